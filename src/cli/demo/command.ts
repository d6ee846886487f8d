// The command `demo`: pays real requests on a chain of its own, and shows how.
// Must never leave a process behind, nor print anything but the demo on standard output.

import type { CommandRun } from '../command-run.js'
import { EXIT } from '../exit.js'
import { createJsonPrinter } from './json-printer.js'
import { runDemo } from './run.js'
import { createTerminalPrinter } from './terminal-printer.js'

/** Plays the demo. Its exit code is 0 when every request was paid for and the balances account for every unit. */
export async function demo(run: CommandRun): Promise<number> {
  const isTTY = process.stdout.isTTY === true
  const write = (text: string): void => void run.write(text)
  const terminal = {
    write,
    columns: isTTY ? process.stdout.columns : undefined,
    rewritable: isTTY && process.env.TERM !== 'dumb',
  }
  const report = run.json ? createJsonPrinter(write) : createTerminalPrinter(terminal, run.colors)
  // Requests that are cut off by the end of the gateway are not worth a word.
  const problems = await runDemo({ report, onSandbox: (sandbox) => run.onLeave(() => sandbox.stop()) })
  for (const problem of problems) run.complain(problem)
  return problems.length === 0 ? EXIT.ok : EXIT.failed
}
