// How the options of public calls are checked.
// Must never know which calls there are: each keeps its schema beside its types.

export { OptionError } from './option-error.js'
export { optionsOf, readOptions } from './read-options.js'
export * from './values.js'
