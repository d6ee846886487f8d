// `npm run crash`: kills real processes at every point of every operation, and counts what is lost by it.
// Must never end well when a single unit, channel, request or case is not accounted for.

import { argv, env, exit, stderr } from 'node:process'
import { Command, Option } from 'commander'
import { bundleVictim } from './bundle.js'
import { pointOf } from './cases.js'
import { runMatrix } from './matrix.js'
import { OPERATIONS } from './operations.js'
import { type CrowdStore, filesForCrowd, postgresForCrowd, runCrowd } from './processes.js'
import { crowdLine, problemsOf, sumsOf, tableOf } from './report.js'
import { startWorld } from './world.js'

const names = OPERATIONS.map(({ name }) => name)

const program = new Command('crash')
  .description('Kills processes at every point of every operation, recovers, and accounts for every unit.')
  .option('--json', 'end with one line of JSON')
  .option('--quick', 'a sample that takes less than a minute')
  .option('--processes', 'many processes on one channel, killed at random, instead of the matrix')
  .option('--at-once <count>', 'how many cases run side by side', Number, 14)
  .addOption(new Option('--only <operation...>', 'only these operations').choices(names))
  .parse(argv)

const options = program.opts<{
  json?: boolean
  quick?: boolean
  processes?: boolean
  atOnce: number
  only?: (typeof names)[number][]
}>()

async function matrix(): Promise<boolean> {
  const started = performance.now()
  const rows = await runMatrix({
    quick: options.quick ?? false,
    atOnce: options.atOnce,
    ...(options.only !== undefined && { only: options.only }),
    onRow: ({ operation, fault, outcome }, done, all) =>
      void stderr.write(`${done}/${all}  ${operation.name}, ${pointOf(fault)}: ${outcome}\n`),
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

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => exit(1))

const passed = options.processes === true ? await crowds() : await matrix()
exit(passed ? 0 : 1)
