// The command `model` with its options, as commander wants them.
// Must never load what the command does before it is called.

import { type Command, Option } from 'commander'
import type { Perform } from '../perform.js'

const HELP = `
Without an option: runs a path through every transition of the machine against
the sandbox, over HTTP, and reports what of the machine was executed.

With --json the last line is one JSON document:
  {"states":{"total","executed"},"transitions":{…},"codes":{…},"paths"}
  --pairs:  besides, "pairs":{"total","executed","left_out"}
  --check:  {"spaces","states","transitions","violations"}
  --mutate: {"mutants","killed","survivors"}`

/** Adds the command to the program. */
export function defineModel(program: Command, perform: Perform): void {
  const command = program
    .command('model')
    .summary('run the paths generated from the machine, and report what they cover')
    .description('Tests the payment-flow machine with paths generated from it.')
    .addOption(
      new Option('--pairs', 'run the sequences through every pair of consecutive recoveries too').conflicts([
        'check',
        'mutate',
      ]),
    )
    .addOption(
      new Option('--every-pair', 'the same, telling apart arrows that are alike but for their event').conflicts([
        'check',
        'mutate',
      ]),
    )
    .addOption(new Option('--check', 'explore whole state spaces with small bounds instead').conflicts('mutate'))
    .option('--mutate', 'prove that the paths notice a wrong machine instead')
    .addOption(new Option('--json', 'end with one JSON document'))
    .option('--concurrency <paths>', 'how many paths are run at once', '8')
    .addHelpText('after', HELP)
  perform(command, async (run, given) => (await import('./command.js')).model(run, given))
}
