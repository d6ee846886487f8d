// What the live inspector offers to programs.
// Must never export its server: it is only safe behind `inspectLocally`.

export type { Control, Pressing } from './controls.js'
export { type InspectLocallyOptions, inspectLocally, type LocalInspector } from './inspect-locally.js'
