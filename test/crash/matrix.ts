// The whole matrix: finds the points of every operation, makes a case of each, and runs them side by side.
// Must never leave out a point that an operation passed when nothing went wrong.

import { bundleVictim } from './bundle.js'
import { type Case, type Fault, type Journey, type NodeFault, type Row, runCase } from './cases.js'
import { createSlots, type Stage } from './ground.js'
import { OPERATIONS, type Operation, type OperationName } from './operations.js'
import type { DiskFault } from './task.js'
import { sharedGrace, startWorld, type World } from './world.js'

export interface MatrixOptions {
  /** A sample: two points of each operation, and one of each other fault. */
  readonly quick: boolean
  /** Only these operations. */
  readonly only?: readonly OperationName[]
  /** How many cases run side by side. Most of each is waiting for a dead process's lease to run out. */
  readonly atOnce: number
  readonly onRow?: (row: Row, done: number, all: number) => void
}

const MOST_CASES = 400
const MOST_IN_SAMPLE = 40

const ANSWERS: Readonly<Partial<Record<OperationName, Extract<Fault, { kind: 'answer lost' }>['on']>>> = {
  open: 'open',
  voucher: 'voucher',
  'top-up': 'topUp',
  'paid send': 'voucher',
  close: 'close',
}

/** Where a process dies before its node begins to fail: what it has sent is on the chain, and not in its ledger. */
const NODE_POINTS: Readonly<Partial<Record<OperationName, string>>> = {
  open: 'after answer to open',
  'top-up': 'after answer to topUp',
  close: 'after answer to close',
  'forced close': 'after answer to transaction',
  withdrawal: 'after answer to transaction',
}

/** Where what was signed has left the process, and only the chain and the gateway know of it afterwards. */
const LOST_POINTS: Readonly<Partial<Record<OperationName, string>>> = {
  open: 'after send of open',
  voucher: 'after send of voucher (2)',
  'top-up': 'after send of topUp',
  close: 'after send of close',
}

const DISK_OPERATIONS: ReadonlySet<OperationName> = new Set(['open', 'voucher', 'top-up', 'close'])
const DISK_FAULTS: readonly DiskFault['kind'][] = ['torn', 'undone', 'lying']
const NODE_FAULTS: readonly NodeFault[] = ['times out', 'answers late', 'answers from the past']

/** All faults of an operation, given the journey that it makes without one. */
export function faultsOf({ name }: Operation, { points, writes }: Journey): Fault[] {
  const kills = points.map((point): Fault => ({ kind: 'kill', point }))
  const numbers = DISK_OPERATIONS.has(name) ? Array.from({ length: writes }, (_, index) => index + 1) : []
  const disks = numbers.flatMap((write) => DISK_FAULTS.map((kind): Fault => ({ kind: 'disk', disk: { kind, write } })))
  const on = ANSWERS[name]
  const point = NODE_POINTS[name]
  const nodes = point === undefined ? [] : NODE_FAULTS.map((node): Fault => ({ kind: 'node', node, point }))
  const lost = LOST_POINTS[name]
  return [
    ...kills,
    ...disks,
    ...(lost === undefined ? [] : [{ kind: 'disk lost', point: lost } as const]),
    ...(on === undefined ? [] : [{ kind: 'answer lost', on } as const]),
    ...nodes,
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
  const bundled = await bundleVictim()
  const worlds: World[] = []
  try {
    const started = await Promise.all([startWorld(payers), startWorld(payers)])
    worlds.push(...started)
    const [calm, warped] = started
    const operations = OPERATIONS.filter(({ name }) => options.only?.includes(name) ?? true)
    const at = (world: World, atOnce: number): Stage => ({
      world,
      program: bundled.program,
      slots: createSlots(atOnce),
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
  const cases = options.quick ? sample(all) : all
  const grace = graceFor(cases.length)
  // Without a grace period to wait for, a case holds its place from beginning to end.
  const places = createSlots(warped === null ? options.atOnce : cases.length)
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
