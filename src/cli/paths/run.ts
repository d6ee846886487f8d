// Runs the command `paths` without the rest of the program: for `npm run paths`.
// Must never know an option of its own: they are those of the command.

import { Command, CommanderError } from 'commander'
import { runCommand } from '../command-run.js'
import { EXIT } from '../exit.js'
import { definePaths } from './define.js'

/**
 * Exports the generated paths.
 *
 * @param args of the command, without its name: `['--format', 'json']`.
 * @returns the exit code.
 */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = new Command('mpp-flow').exitOverride()
  definePaths(program, (command, work) => {
    command.action(async () => {
      const given = { options: command.opts(), args: command.args }
      exitCode = await runCommand('mpp-flow paths', false, (running) => work(running, given))
    })
  })
  try {
    await program.parseAsync(['paths', ...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
}
