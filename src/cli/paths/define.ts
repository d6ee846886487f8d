// The command `paths` with its options, as commander wants them.
// Must never load what the command does before it is called.

import { type Command, Option } from 'commander'
import type { Perform } from '../perform.js'
import { FORMATS } from './formats.js'

const HELP = `
A path is one way through the payment-flow machine, with what has to happen at
each step. What the formats look like: docs/model-based-testing.md.

Examples:
  mpp-flow paths --format vitest --output paths.test.ts
  mpp-flow paths --format markdown --states`

/** Adds the command to the program. */
export function definePaths(program: Command, perform: Perform): void {
  const command = program
    .command('paths')
    .summary('export the paths through the payment-flow machine, as tests or to read')
    .description('Generates paths that together take every transition of the payment-flow machine, and prints them.')
    .addOption(new Option('--format <format>', 'how they are written').choices(FORMATS).default('json'))
    .option('--states', 'only a shortest path to every state')
    .option('--output <file>', 'write them to a file, which is replaced')
    .addHelpText('after', HELP)
  perform(command, async (run, given) => (await import('./command.js')).paths(run, given))
}
