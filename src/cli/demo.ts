// The command `npm run demo`: pays real requests on a chain of its own, and shows how.
// Must never leave a process behind, nor print anything but the demo on standard output.

import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { createJsonPrinter } from './demo/json-printer.js'
import { runDemo } from './demo/run.js'
import { createTerminalPrinter } from './demo/terminal-printer.js'

const HELP = `Usage: npm run demo [-- --json | --help]

Starts a gateway and a Tempo chain on this machine, pays chat completions with
real signatures, and shows every transition of the payment flow as it happens:
open, voucher reuse, refresh, top-up, twenty requests at once, close.

  --json   one JSON object per line; the last one is the summary. Amounts are
           base units. (npm prints a banner first; npm run --silent does not.)
  --help   this text

Exits with 0 when every request was paid for on one channel and the chain's
balances account for every unit; otherwise with 1, and says why.
NO_COLOR=1 turns colours off; a pipe gets none.
`

const EXIT_SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

function complain(text: string): void {
  process.stderr.write(`demo: ${text}\n`)
}

function readArguments(): { readonly json: boolean; readonly help: boolean } | null {
  try {
    const { values } = parseArgs({ options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
    return { json: values.json ?? false, help: values.help ?? false }
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
  // Requests that are cut off by the end of the gateway are not worth a word.
  const leave = (code: number): void => {
    leaving = true
    stop().finally(() => process.exit(code))
  }
  for (const [signal, code] of Object.entries(EXIT_SIGNALS)) process.once(signal, () => leave(code))
  // Whoever reads has gone, such as `head`: there is nobody to show anything to.
  process.stdout.on('error', () => leave(1))

  const isTTY = process.stdout.isTTY === true
  const terminal = {
    write,
    columns: isTTY ? process.stdout.columns : undefined,
    rewritable: isTTY && process.env.TERM !== 'dumb',
  }
  const report = given.json
    ? createJsonPrinter(write)
    : createTerminalPrinter(terminal, pc.createColors(isTTY && pc.isColorSupported))
  try {
    const problems = await runDemo({ report, onSandbox: (sandbox) => (stop = () => sandbox.stop()) })
    if (!leaving) for (const problem of problems) complain(problem)
    return problems.length === 0 ? 0 : 1
  } catch (error) {
    if (!leaving) complain(firstLine(error))
    return 1
  }
}

process.exitCode = await main()
