// The command `codes`: brings about each of the gateway's codes on a sandbox, and holds what follows against the table.
// Must never leave a process behind, nor exit with 0 when a row of the table does not hold.

import { MPP_CODES } from '../../../machines/index.js'
import type { CommandRun } from '../command-run.js'
import { EXIT, usageError } from '../exit.js'
import { createJsonLines, createPaths } from './printers.js'
import { runCodes } from './run.js'

/**
 * Brings the codes about. Its exit code is 0 when every row of the table of codes holds.
 *
 * @param codes which ones; all of them when there are none.
 * @throws CommandError when one of them is no code of the gateway.
 */
export async function codes(run: CommandRun, codes: readonly string[]): Promise<number> {
  const unknown = codes.find((code) => !MPP_CODES.some((known) => known === code))
  if (unknown !== undefined) throw usageError(`"${unknown}" is none of the codes`)
  const write = (text: string): void => void run.write(text)
  const show = run.json ? createJsonLines(write) : createPaths(write, run.colors)
  const results = await runCodes({
    only: new Set(codes),
    show,
    onChain: (chain) => run.onLeave(() => chain.stop()),
  })
  const problems = results.flatMap(({ code, problems }) => problems.map((problem) => `${code}: ${problem}`))
  for (const problem of problems) run.complain(problem)
  return problems.length === 0 ? EXIT.ok : EXIT.failed
}
