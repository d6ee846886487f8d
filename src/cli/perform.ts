// What defines commands and what carries them out have in common.
// Must never import either of them.

import type { Command } from 'commander'
import type { CommandRun } from './command-run.js'

/** What was given to a command. Its options are read by the command itself. */
export interface Given {
  readonly options: unknown
  readonly args: readonly string[]
}

/** Makes `work` what a command does. */
export type Perform = (command: Command, work: (run: CommandRun, given: Given) => Promise<number>) => void
