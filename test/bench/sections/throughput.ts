// How many paid requests a second one channel takes, at concurrencies from 1 to 512.
// Must never wait for a whole batch: as in a server, each lane sends its next request when its last one is answered.

import {
  managerRefusesConcurrency,
  mppFlow,
  mppxFetch,
  mppxManager,
  plainFetch,
  type Send,
  type Subject,
} from '../ground/subjects.js'
import { bodyOf } from '../ground/terms.js'
import { section, type Task } from '../processes.js'
import { type SectionResult, told } from '../result.js'
import { ratios, type Spread, spreadOf, turnOrder } from '../statistics.js'

const CONCURRENCIES = [1, 8, 32, 128, 512]
/** Until then the engine is still compiling what a request runs through. */
const WARM_UP = 2_000
const QUICK_WARM_UP = 150

/** Requests a second. The benchmark library sends batches and waits for the slowest of each, so the loop is our own. */
async function rate(send: Send, body: string, concurrency: number, requests: number): Promise<number> {
  let left = requests
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await send(body)
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: concurrency }, lane))
  return (requests / (performance.now() - started)) * 1000
}

async function throughput({ quick, origin }: Task): Promise<SectionResult> {
  const body = bodyOf(1_024)
  const shared = [await plainFetch(origin), await mppFlow(origin)]
  const manager = await mppxManager(origin)
  const alternative = await mppxFetch(origin)
  const refuses = await managerRefusesConcurrency(origin)
  const warmUp = quick ? QUICK_WARM_UP : WARM_UP
  for (const { send } of [...shared, alternative]) await rate(send, body, 8, warmUp)
  await rate(manager.send, body, 1, warmUp)

  const figures: Record<string, Spread> = {}
  const rows: string[][] = []
  for (const concurrency of CONCURRENCIES) {
    const requests = Math.max(quick ? 40 : 400, concurrency * (quick ? 1 : 3))
    // Those that a target is about are measured more often.
    const rounds = concurrency === 32 ? (quick ? 5 : 16) : quick ? 1 : concurrency > 32 ? 5 : 8
    const others = concurrency === 1 || !refuses ? [manager, alternative] : [alternative]
    const subjects: readonly Subject[] = [...shared, ...others]
    const rates = subjects.map((): number[] => [])
    for (let round = 0; round < rounds; round += 1) {
      for (const at of turnOrder(subjects.length, round)) {
        const subject = subjects[at]
        if (subject === undefined) throw new RangeError('no such subject')
        globalThis.gc?.()
        rates[at]?.push(await rate(subject.send, body, concurrency, requests))
      }
    }
    const floor = rates[0] ?? []
    subjects.forEach(({ name }, at) => {
      const measured = rates[at] ?? []
      const share = spreadOf(ratios(measured, floor))
      figures[`throughput at ${concurrency}, ${name} (requests/s)`] = spreadOf(measured)
      figures[`throughput at ${concurrency}, ${name}, times two plain fetches`] = share
      rows.push([String(concurrency), name, told(spreadOf(measured)), told(share)])
    })
  }
  return {
    section: 'throughput',
    tables: [
      {
        title: 'Throughput on one channel, 1 KB each way',
        note: refuses
          ? 'mppx’s session manager refuses a second request while one is under way. The best alternative is mppx’s own fetch, which signs a higher voucher for each request; a server that takes no voucher lower than the last would refuse those that are overtaken, which this one does not.'
          : 'mppx’s session manager takes concurrent requests.',
        columns: ['at once', '', 'requests/s', '× two plain fetches'],
        rows,
      },
    ],
    figures,
  }
}

section(throughput)
