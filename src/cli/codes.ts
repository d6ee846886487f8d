// The command `npm run codes`: brings about each of the 16 codes on a sandbox, and holds what follows against the table.
// Must never leave a process behind, nor exit with 0 when a row of the table does not hold.

import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { MPP_CODES } from '../../machines/index.js'
import { createJsonLines, createPaths } from './codes/printers.js'
import { runCodes } from './codes/run.js'

const HELP = `Usage: npm run codes [-- [--json] [code …] | --help]

Brings about each of the 16 codes of the gateway on a sandbox with a chain of
its own, by its real cause wherever it has one, and shows where each one leads. With codes
named, only those.

  --json   one JSON object per line and code:
           {"code","cause","outcome","failureCode","states"}
           (npm prints a banner first; npm run -s does not.)
  --help   this text

Exits with 0 when every row of the table of codes holds: where the code leads,
how often, with the newest challenge, with the same bytes, and how it ends;
otherwise with 1, and says on standard error what does not hold.
NO_COLOR=1 turns colours off; a pipe gets none.
`

const EXIT_SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

function complain(text: string): void {
  process.stderr.write(`codes: ${text}\n`)
}

interface Arguments {
  readonly json: boolean
  readonly help: boolean
  readonly only: ReadonlySet<string>
}

function readArguments(): Arguments | null {
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    const unknown = positionals.find((code) => !MPP_CODES.some((known) => known === code))
    if (unknown !== undefined) throw new RangeError(`"${unknown}" is none of the codes`)
    return { json: values.json ?? false, help: values.help ?? false, only: new Set(positionals) }
  } catch (error) {
    complain(`${firstLine(error)} (see --help)`)
    return null
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : 'something failed').split('\n', 1)[0] ?? ''
}

async function main(): Promise<number> {
  const given = readArguments()
  if (given === null) return 2
  let leaving = false
  const write = (text: string): void => {
    if (!leaving) process.stdout.write(text)
  }
  if (given.help) {
    write(HELP)
    return 0
  }
  let stop = async (): Promise<void> => undefined
  const leave = (code: number): void => {
    leaving = true
    stop().finally(() => process.exit(code))
  }
  for (const [signal, code] of Object.entries(EXIT_SIGNALS)) process.once(signal, () => leave(code))
  // Whoever reads has gone, such as `head`: there is nobody to show anything to.
  process.stdout.on('error', () => leave(1))

  const isTTY = process.stdout.isTTY === true
  const show = given.json ? createJsonLines(write) : createPaths(write, pc.createColors(isTTY && pc.isColorSupported))
  try {
    const results = await runCodes({ only: given.only, show, onChain: (chain) => (stop = () => chain.stop()) })
    const problems = results.flatMap(({ code, problems }) => problems.map((problem) => `${code}: ${problem}`))
    if (!leaving) for (const problem of problems) complain(problem)
    return problems.length === 0 ? 0 : 1
  } catch (error) {
    if (!leaving) complain(firstLine(error))
    return 1
  }
}

process.exitCode = await main()
