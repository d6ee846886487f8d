// The command `npm run fixtures`: records the exchange of every code from the sandbox into `fixtures/`.
// Must never overwrite a recording with one in which the table of codes does not hold.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { startChain } from '../../sandbox/index.js'
import { CODE_SCENARIOS } from '../../testing/code-scenarios/index.js'
import { recordFixture } from '../../testing/fixtures/record.js'
import type { Fixture } from '../../testing/fixtures/schema.js'

const HELP = `Usage: npm run fixtures [-- --check | --help]

Records, for each of the gateway's codes, what passes between client and gateway into
fixtures/<code>/exchange.json, and the path that follows into expected.json.

  --check  records, compares with what is there, and writes nothing
  --help   this text

Secrets are replaced by placeholders of the same length; recording again gives
the same files. Exits with 1 when --check finds a difference.
`

const FOLDER = new URL('../../../fixtures/', import.meta.url)
const PARTS = ['exchange', 'expected'] as const

function textOf(part: Fixture[(typeof PARTS)[number]]): string {
  return `${JSON.stringify(part, null, 2)}\n`
}

/** @returns the files that are not, or were not, as they were recorded. */
async function keep(fixture: Fixture, check: boolean): Promise<string[]> {
  const { code } = fixture.exchange
  const folder = new URL(`${code}/`, FOLDER)
  const changed: string[] = []
  for (const name of PARTS) {
    const file = new URL(`${name}.json`, folder)
    const text = textOf(fixture[name])
    // A file that cannot be read is one that has to be written.
    const before = await readFile(file, 'utf8').catch(() => null)
    if (before === text) continue
    changed.push(`fixtures/${code}/${name}.json`)
    if (check) continue
    await mkdir(folder, { recursive: true })
    await writeFile(file, text)
  }
  return changed
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    process.stdout.write(HELP)
    return 0
  }
  const check = values.check ?? false
  const chain = await startChain({ accounts: CODE_SCENARIOS.length + 1 })
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => chain.stop().then(() => process.exit(1)))
  try {
    const changed: string[] = []
    for (const [index, scenario] of CODE_SCENARIOS.entries()) {
      const payer = chain.accounts[index]
      if (payer === undefined) throw new RangeError('the chain has too few accounts')
      changed.push(...(await keep(await recordFixture(scenario, { chain, payer }), check)))
    }
    for (const file of changed) process.stdout.write(`${check ? 'differs' : 'written'}: ${file}\n`)
    if (changed.length === 0) process.stdout.write(`${CODE_SCENARIOS.length} recordings, all as they were\n`)
    return check && changed.length > 0 ? 1 : 0
  } finally {
    await chain.stop()
  }
}

process.exitCode = await main()
