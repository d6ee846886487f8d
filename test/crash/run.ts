// `npm run crash`: kills real processes at every point of every operation, and counts what is lost by it.
// Must never end well when a single unit, channel, request or case is not accounted for.

import { argv, env, exit, stderr } from 'node:process'
import { Command, Option } from 'commander'
import { bundleVictim } from './bundle.js'
import { pointOf } from './cases.js'
import { createPermits } from './ground.js'
import { runMatrix } from './matrix.js'
import { OPERATIONS } from './operations.js'
import { type CrowdStore, filesForCrowd, postgresForCrowd, runCrowd } from './processes.js'
import { crowdLine, problemsOf, sumsOf, tableOf } from './report.js'
import { SOURCE_MUTATIONS, type SourceMutation } from './source-mutations.js'
import { startWorld } from './world.js'

const names = OPERATIONS.map(({ name }) => name)

const program = new Command('crash')
  .description('Kills processes at every point of every operation, recovers, and accounts for every unit.')
  .option('--json', 'end with one line of JSON')
  .option('--quick', 'a sample that takes less than a minute')
  .option('--processes', 'many processes on one channel, killed at random, instead of the matrix')
  .option('--source-mutations', 'break the client on purpose, one way at a time, and see that the matrix notices')
  .option('--at-once <count>', 'how many cases run side by side', Number, 24)
  .addOption(new Option('--only <operation...>', 'only these operations').choices(names))
  .parse(argv)

const options = program.opts<{
  json?: boolean
  quick?: boolean
  processes?: boolean
  sourceMutations?: boolean
  atOnce: number
  only?: (typeof names)[number][]
}>()

const ROWS_BETWEEN_LINES = 20

async function matrix(): Promise<boolean> {
  const started = performance.now()
  const rows = await runMatrix({
    quick: options.quick ?? false,
    atOnce: options.atOnce,
    ...(options.only !== undefined && { only: options.only }),
    onRow({ operation, fault, outcome }, done, all) {
      // The table says it all in the end: who only reads the log is told now and then that it goes on.
      const told = stderr.isTTY === true || done % ROWS_BETWEEN_LINES === 0
      if (told) stderr.write(`${done}/${all}  ${operation.name}, ${pointOf(fault)}: ${outcome}\n`)
    },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`\n${tableOf(rows)}\n`)
  const problems = problemsOf(rows)
  for (const problem of problems) console.log(`WRONG  ${problem}`)
  const sums = sumsOf(rows)
  const { points, lost, doubleChannels, doublePaid } = sums
  console.log(
    `${points} points in ${seconds} s: ${lost} units lost, ${doubleChannels} double channels, ${doublePaid} paid twice, ${problems.length} problems`,
  )
  if (options.json === true) console.log(JSON.stringify(sums))
  return problems.length === 0 && points > 0
}

/** Through the file store always, through Postgres where there is a server. */
async function crowds(): Promise<boolean> {
  const { processes, requests } =
    options.quick === true ? { processes: 4, requests: 48 } : { processes: 8, requests: 256 }
  const server = env.MPP_FLOW_TEST_POSTGRES
  if (server === undefined) console.log('MPP_FLOW_TEST_POSTGRES names no server: Postgres is left out')
  const stores: (() => Promise<CrowdStore>)[] = [
    filesForCrowd,
    ...(server === undefined ? [] : [() => postgresForCrowd(server)]),
  ]
  const bundled = await bundleVictim()
  const world = await startWorld(stores.length * 2)
  let wrong = 0
  try {
    const stage = { world, program: bundled.program }
    for (const open of stores) {
      for (const shape of [
        { processes: 1, requests, kills: 0 },
        { processes, requests, kills: processes },
      ]) {
        const store = await open()
        try {
          const result = await runCrowd(stage, store, shape)
          console.log(crowdLine(result))
          for (const problem of result.problems) console.log(`WRONG  ${problem}`)
          wrong += result.problems.length + result.lost + result.doubleChannels + result.doublePaid
          if (options.json === true) console.log(JSON.stringify(result))
        } finally {
          await store.close()
        }
      }
    }
  } finally {
    await world.stop()
    bundled.remove()
  }
  return wrong === 0
}

/** How many broken clients are tried side by side. */
const MUTATIONS_AT_ONCE = 3

async function mutateSource(): Promise<boolean> {
  const permits = createPermits(MUTATIONS_AT_ONCE)
  const results = await Promise.all(SOURCE_MUTATIONS.map((one) => permits(() => tryMutation(one))))
  const unnoticed = results.filter((noticed) => !noticed).length
  if (options.json === true) console.log(JSON.stringify({ sourceMutations: results.length, unnoticed }))
  return unnoticed === 0
}

/** Runs the case in which a broken client does harm. @returns whether the harm was noticed for what it is. */
async function tryMutation({ name, edits, at: [operation, point], caught }: SourceMutation): Promise<boolean> {
  const rows = await runMatrix({
    quick: true,
    atOnce: 2,
    only: [operation],
    edits,
    chooses: ({ fault }) => pointOf(fault) === point,
  })
  const harmed = rows.filter(({ fault }) => fault.kind !== 'none')
  const problems = problemsOf(harmed)
  const noticed = harmed.length === 1 && (caught === 'problems' ? problems.length : sumsOf(harmed)[caught]) > 0
  const said = problems.map((problem) => `    ${problem}\n`).join('')
  console.log(`${noticed ? 'noticed' : 'NOT NOTICED'}: ${name} (${caught})\n${said}`)
  return noticed
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => exit(1))

const chosen = options.sourceMutations === true ? mutateSource : options.processes === true ? crowds : matrix
const passed = await chosen()
exit(passed ? 0 : 1)
