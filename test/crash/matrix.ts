// The whole matrix: finds the points of every operation, makes a case of each, and runs them side by side.
// Must never leave out a point that an operation passed when nothing went wrong.

import { bundleVictim } from './bundle.js'
import { type Case, type Fault, type Journey, type NodeFault, type Row, runCase } from './cases.js'
import { startSurvivors } from './child.js'
import { createPermits, type Stage } from './ground.js'
import { OPERATIONS, type Operation, type OperationName } from './operations.js'
import type { Edit } from './source-mutations.js'
import type { DiskFault } from './task.js'
import { sharedGrace, startWorld, type World } from './world.js'

export interface MatrixOptions {
  /** A sample: two points of each operation, and one of each other fault. */
  readonly quick: boolean
  /** Only these operations. */
  readonly only?: readonly OperationName[]
  /** Only these cases; those without a fault are always run. */
  readonly chooses?: (one: Case) => boolean
  /** Breaks the client. */
  readonly edits?: readonly Edit[]
  /** How many cases run side by side. Most of each is waiting for a dead process's lease to run out. */
  readonly atOnce: number
  readonly onRow?: (row: Row, done: number, all: number) => void
}

const MOST_CASES = 400
/** How many processes share what is not to be killed. */
const SURVIVORS = 2
const MOST_IN_SAMPLE = 40

const ANSWERS: Readonly<Partial<Record<OperationName, Extract<Fault, { kind: 'answer lost' }>['on']>>> = {
  open: 'open',
  voucher: 'voucher',
  'top-up': 'topUp',
  'paid send': 'voucher',
  close: 'close',
  'forced close': 'transaction',
  withdrawal: 'transaction',
}

/** Where a process dies before its node begins to fail: what it has sent is on the chain, and not in its ledger. */
const NODE_POINTS: Readonly<Partial<Record<OperationName, string>>> = {
  open: 'after answer to open',
  voucher: 'after send of voucher (2)',
  'paid send': 'after send of voucher',
  'top-up': 'after answer to topUp',
  close: 'after answer to close',
  'forced close': 'after answer to transaction',
  withdrawal: 'after answer to transaction',
}

/** Where a node begins to fail under a process that lives on: what it has signed is stored, and about to leave it. */
const MEANWHILE_POINTS: Readonly<Partial<Record<OperationName, string>>> = {
  open: 'before send of open',
  'top-up': 'before send of topUp',
  close: 'before send of close',
  'forced close': 'before send of transaction',
  withdrawal: 'before send of transaction',
}

/** Where what was signed has left the process, and only the chain and the gateway know of it afterwards. */
const LOST_POINTS: Readonly<Partial<Record<OperationName, string>>> = {
  open: 'after send of open',
  voucher: 'after send of voucher (2)',
  'top-up': 'after send of topUp',
  'paid send': 'after send of voucher',
  close: 'after send of close',
  'open again': 'after send of open',
  'forced close': 'after send of transaction',
  withdrawal: 'after send of transaction',
}

/** Operations before which there are records to back up. */
const BACKED_UP: ReadonlySet<OperationName> = new Set([
  'voucher',
  'top-up',
  'paid send',
  'close',
  'open again',
  'forced close',
  'withdrawal',
])

const DISK_FAULTS: readonly DiskFault['kind'][] = ['torn', 'undone', 'lying']
const NODE_FAULTS: readonly NodeFault[] = ['times out', 'answers late', 'answers from the past']

/** All faults of an operation, given the journey that it makes without one. */
export function faultsOf({ name }: Operation, { points, writes }: Journey): Fault[] {
  const kills = points.map((point): Fault => ({ kind: 'kill', point }))
  const numbers = Array.from({ length: writes }, (_, index) => index + 1)
  const disks = numbers.flatMap((write) => DISK_FAULTS.map((kind): Fault => ({ kind: 'disk', disk: { kind, write } })))
  const on = ANSWERS[name]
  const point = NODE_POINTS[name]
  const nodes = point === undefined ? [] : NODE_FAULTS.map((node): Fault => ({ kind: 'node', node, point }))
  const from = MEANWHILE_POINTS[name]
  const meanwhile = NODE_FAULTS.flatMap((node): Fault[] =>
    from === undefined ? [] : [{ kind: 'node meanwhile', node, point: from }],
  )
  const lost = LOST_POINTS[name]
  return [
    ...kills,
    ...disks,
    ...(lost === undefined ? [] : [{ kind: 'disk lost', point: lost } as const]),
    ...(BACKED_UP.has(name) ? [{ kind: 'restored' } as const] : []),
    ...(on === undefined ? [] : [{ kind: 'answer lost', on } as const]),
    ...nodes,
    ...meanwhile,
  ]
}

/** Where a process holds something signed that nobody but the chain can decide: what a sample must not miss. */
const SAMPLED: readonly string[] = [
  'before send of open',
  'after send of open',
  'after send of voucher (2)',
  'after send of topUp',
  'after write of closing',
  'after send of close',
  'after send of transaction',
]

function sample(cases: readonly Case[]): Case[] {
  const others = new Set<string>()
  return cases.filter(({ operation, fault }) => {
    if (fault.kind === 'kill') return SAMPLED.includes(fault.point)
    const kind = fault.kind === 'disk' ? fault.disk.kind : fault.kind
    // The middle of an open is where most is at stake.
    const wanted = operation.name === 'open' && (fault.kind !== 'disk' || fault.disk.write === 3)
    if (!wanted || others.has(kind)) return false
    others.add(kind)
    return true
  })
}

export async function runMatrix(options: MatrixOptions): Promise<readonly Row[]> {
  const payers = options.quick ? MOST_IN_SAMPLE : MOST_CASES
  const bundled = await bundleVictim(options.edits)
  const worlds: World[] = []
  const survivors = startSurvivors(bundled.program, SURVIVORS)
  try {
    const started = await Promise.all([startWorld(payers), startWorld(payers)])
    worlds.push(...started)
    const [calm, warped] = started
    const operations = OPERATIONS.filter(({ name }) => options.only?.includes(name) ?? true)
    const at = (world: World, atOnce: number): Stage => ({
      world,
      program: bundled.program,
      survivors,
      permits: createPermits(atOnce),
    })
    const forced = operations.filter(({ grace }) => grace !== undefined)
    const others = operations.filter(({ grace }) => grace === undefined)
    // Those that wait for a grace period wait for it together: all are under way, and their processes take turns.
    const groups = await Promise.all([
      runGroup(at(calm, options.atOnce), others, options, null),
      runGroup(at(warped, Math.max(2, options.atOnce / 2)), forced, options, warped),
    ])
    return groups.flat()
  } finally {
    await survivors.stop()
    await Promise.all(worlds.map((world) => world.stop()))
    bundled.remove()
  }
}

async function runGroup(
  stage: Stage,
  operations: readonly Operation[],
  options: MatrixOptions,
  warped: World | null,
): Promise<readonly Row[]> {
  const graceFor = (expected: number) => (warped === null ? null : sharedGrace(warped.chain, expected))
  const noFault: Fault = { kind: 'none' }
  const first = graceFor(operations.length)
  const journeys = await Promise.all(
    operations.map(async (operation) => runCase(stage, { operation, fault: noFault }, first)),
  )
  const all = journeys.flatMap(({ operation, ...journey }) =>
    faultsOf(operation, journey).map((fault): Case => ({ operation, fault })),
  )
  const { chooses } = options
  const cases = chooses !== undefined ? all.filter(chooses) : options.quick ? sample(all) : all
  const grace = graceFor(cases.length)
  // Without a grace period to wait for, a case holds its place from beginning to end.
  const places = createPermits(warped === null ? options.atOnce : cases.length)
  let done = 0
  const rows = await Promise.all(
    cases.map((one) =>
      places(async (): Promise<Row> => {
        const row = await runCase(stage, one, grace)
        done += 1
        options.onRow?.(row, done, cases.length)
        return row
      }),
    ),
  )
  return [...journeys, ...rows]
}
