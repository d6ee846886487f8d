// What one paid request costs, next to two plain fetches and to mppx, over loopback to a server in another process.
// Must never measure one subject at another time than the others: all of them take their turn in every round.

import { measure } from 'mitata'
import {
  mppFlow,
  mppFlowOverFetch,
  mppxManager,
  mppxWithoutSigning,
  plainFetch,
  type Subject,
  transportAlone,
} from '../ground/subjects.js'
import { bodyOf } from '../ground/terms.js'
import { section, type Task, trafficOf } from '../processes.js'
import { type SectionResult, type Table, told } from '../result.js'
import { ratios, type Spread, spreadOf, turnOrder } from '../statistics.js'

interface Size {
  readonly name: string
  readonly bytes: number
  readonly rounds: number
  /** Requests of each subject in a round. */
  readonly requests: number
}

const SIZES: readonly Size[] = [
  { name: '1 KB', bytes: 1_024, rounds: 24, requests: 100 },
  { name: '100 KB', bytes: 102_400, rounds: 12, requests: 30 },
  { name: '1 MB', bytes: 1_048_576, rounds: 12, requests: 8 },
]
const QUICK_SIZES: readonly Size[] = [
  { name: '1 KB', bytes: 1_024, rounds: 8, requests: 25 },
  { name: '100 KB', bytes: 102_400, rounds: 4, requests: 10 },
  { name: '1 MB', bytes: 1_048_576, rounds: 4, requests: 4 },
]
/** Until then the engine is still compiling what a request runs through. */
const WARM_UP = 2_000
const QUICK_WARM_UP = 150
const COUNTED = 20

interface Measured {
  /** Every request, in microseconds. */
  readonly all: number[]
  /** The median of each round. */
  readonly rounds: number[]
  /** User and system time of this process per request, in microseconds, of each round. */
  readonly cpu: number[]
}

/** How many HTTP requests each subject makes for a paid one, and whether it keeps its connection. */
async function countTraffic(subjects: readonly Subject[], origin: string): Promise<Table> {
  const rows: string[][] = []
  for (const { name, send } of subjects) {
    await send('{}')
    const before = await trafficOf(origin)
    for (let sent = 0; sent < COUNTED; sent += 1) await send('{}')
    const after = await trafficOf(origin)
    const each = (of: 'unpaid' | 'paid' | 'refused'): string => String((after[of] - before[of]) / COUNTED)
    rows.push([name, each('unpaid'), each('paid'), each('refused'), String(after.connections - before.connections)])
  }
  return {
    title: `What is sent for a paid request (counted by the server over ${COUNTED} of each)`,
    columns: ['', 'without a credential', 'with a voucher', 'refused', 'new connections in all'],
    rows,
  }
}

async function measureRounds(subjects: readonly Subject[], size: Size): Promise<Measured[]> {
  const measured = subjects.map((): Measured => ({ all: [], rounds: [], cpu: [] }))
  const { rounds, requests } = size
  const body = bodyOf(size.bytes)
  for (let round = 0; round < rounds; round += 1) {
    for (const at of turnOrder(subjects.length, round)) {
      const [subject, into] = [subjects[at], measured[at]]
      if (subject === undefined || into === undefined) throw new RangeError('no such subject')
      // Not within what is measured, and not on account of the one before.
      globalThis.gc?.()
      const before = process.cpuUsage()
      const stats = await measure(() => subject.send(body), {
        min_samples: requests,
        max_samples: requests,
        min_cpu_time: 0,
        gc: false,
        // Batches would hide the single request.
        batch_threshold: 0,
      })
      const { user, system } = process.cpuUsage(before)
      into.cpu.push((user + system) / requests)
      into.rounds.push(stats.p50 / 1000)
      into.all.push(...stats.samples.map((nanoseconds) => nanoseconds / 1000))
    }
  }
  return measured
}

async function latency({ quick, origin }: Task): Promise<SectionResult> {
  const plain = await plainFetch(origin)
  const flow = await mppFlow(origin)
  const mppx = await mppxManager(origin)
  const remembered = await mppxWithoutSigning(origin)
  // What explains the figures, and is not compared, is left out where a rough look is wanted.
  const explaining = quick ? [] : [await mppFlowOverFetch(origin), await transportAlone(origin)]
  const subjects = [plain, flow, mppx, remembered, ...explaining]
  const warmUp = quick ? QUICK_WARM_UP : WARM_UP
  for (const { send } of subjects) for (let sent = 0; sent < warmUp; sent += 1) await send(bodyOf(1_024))

  const figures: Record<string, Spread> = {}
  const tables: Table[] = [await countTraffic(subjects, origin)]
  for (const size of quick ? QUICK_SIZES : SIZES) {
    const measured = await measureRounds(subjects, size)
    const [floor] = measured
    const own = measured[1]
    if (floor === undefined || own === undefined) throw new RangeError('nothing was measured')
    const rows = subjects.map(({ name }, at): string[] => {
      const { all, rounds, cpu } = measured[at] ?? own
      const key = `latency ${size.name}, ${name}`
      const overFloor = spreadOf(ratios(rounds, floor.rounds))
      const ownOver = spreadOf(ratios(own.rounds, rounds))
      figures[`${key} (µs)`] = spreadOf(all)
      figures[`${key}, CPU of the client (µs)`] = spreadOf(cpu)
      figures[`${key}, times two plain fetches`] = overFloor
      figures[`${key}, mpp-flow is this many times it`] = ownOver
      return [name, told(spreadOf(all)), told(overFloor), told(ownOver), told(spreadOf(cpu))]
    })
    tables.push({
      title: `Latency of a paid request, ${size.name} each way`,
      columns: ['', 'µs', '× two plain fetches', 'mpp-flow ÷ it', 'CPU of the client, µs'],
      rows,
    })
  }
  return { section: 'latency', tables, figures }
}

section(latency)
