// How much heap a flow holds while it waits for an answer.
// Must never count what is garbage already: everything is collected before each look.

import { setImmediate } from 'node:timers/promises'
import { createMppClient, memoryStore } from '../../../src/index.js'
import { newPayer, openInStore } from '../ground/channel.js'
import { memoryGateway } from '../ground/memory-gateway.js'
import { bodyOf } from '../ground/terms.js'
import { section, type Task } from '../processes.js'
import { digits, type SectionResult } from '../result.js'
import { type Spread, spreadOf } from '../statistics.js'

const INIT: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body: bodyOf(1_024) }
/** With something in place of a credential, which the gateway refuses once it was let go on. */
const PAID: RequestInit = { ...INIT, headers: { authorization: 'Payment none' } }
const WARM_UP = 500

interface Look {
  readonly heap: number
  readonly buffers: number
}

async function look(): Promise<Look> {
  for (let time = 0; time < 4; time += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers }
}

async function heap({ part = '1000' }: Task): Promise<SectionResult> {
  if (globalThis.gc === undefined) throw new Error('node needs --expose-gc for this')
  const flows = Number(part)
  let holding: 'unpaid' | 'paid' | null = null
  let waiting = 0
  let release = (): void => undefined
  let gate = Promise.resolve()
  const gateway = memoryGateway({
    hold: (paid) => {
      if (holding !== (paid ? 'paid' : 'unpaid')) return undefined
      waiting += 1
      return gate
    },
  })
  const account = newPayer()
  const store = memoryStore()
  await openInStore(store, account)
  const mpp = createMppClient({ account, store, fetch: gateway.fetch })
  const pay = async (): Promise<void> => {
    const response = await mpp.fetch(gateway.url, INIT)
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    await response.arrayBuffer()
  }
  const withoutClient = async (init: RequestInit): Promise<void> => {
    await (await gateway.fetch(gateway.url, init)).arrayBuffer()
  }
  for (let time = 0; time < WARM_UP; time += 1) {
    await pay()
    await withoutClient(INIT)
    await withoutClient(PAID)
  }

  /** What each of many requests holds while it waits. */
  const held = async (state: 'unpaid' | 'paid', run: () => Promise<void>): Promise<Look> => {
    const before = await look()
    waiting = 0
    holding = state
    gate = new Promise((resolve) => {
      release = resolve
    })
    const running = Array.from({ length: flows }, run)
    while (waiting < flows) await setImmediate()
    const during = await look()
    holding = null
    release()
    await Promise.all(running)
    return { heap: (during.heap - before.heap) / flows, buffers: (during.buffers - before.buffers) / flows }
  }

  const figures: Record<string, Spread> = {}
  const rows: string[][] = []
  for (const state of ['unpaid', 'paid'] as const) {
    const alone = await held(state, () => withoutClient(state === 'paid' ? PAID : INIT))
    const all = await held(state, pay)
    const each = all.heap - alone.heap
    const buffers = all.buffers - alone.buffers
    figures[`heap per flow, ${flows} wait for the ${state} answer (bytes)`] = spreadOf([each])
    figures[`buffers per flow, ${flows} wait for the ${state} answer (bytes)`] = spreadOf([buffers])
    figures[`heap of the gateway in memory, ${flows} wait for the ${state} answer (bytes)`] = spreadOf([alone.heap])
    rows.push([String(flows), state, digits(each / 1000), digits(buffers / 1000), digits(alone.heap / 1000)])
  }
  return {
    section: `heap at ${flows}`,
    tables: [
      {
        title: `Heap per flow, ${flows} in flight on one channel`,
        note: 'Buffers lie outside of the heap: the bytes of the request, which is 1 KB, are kept once. What the gateway in memory and the loop around it hold for a request is measured without the client, and taken off.',
        columns: ['flows', 'waiting for the answer to the … request', 'heap, kB', 'buffers, kB', 'taken off, kB'],
        rows,
      },
    ],
    figures,
  }
}

section(heap)
