// A process that pays, closes or recovers as it is told, until it is done or dies at the point that it was told.
// Must never pay for anything twice by itself, nor do anything after the point at which it was to die.

import { text } from 'node:stream/consumers'
import { createClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { tempoModerato } from 'viem/chains'
import { fileStore } from '../../../src/files/index.js'
import { createMppClient, type MppClient, type SessionStore } from '../../../src/index.js'
import { parseHex } from '../../../src/protocol/index.js'
import { requestFor } from '../request.js'
import { type Step, type Task, taskSchema } from '../task.js'
import { faultyDisk } from './disk.js'
import { createPoints, type Points, say } from './points.js'
import { storeWithPoints } from './store-points.js'
import { fetchWithPoints, rpcFetchWithPoints } from './wire-points.js'

/** A store, and what must be closed after it. */
async function openStore(task: Task, points: Points): Promise<{ store: SessionStore; close(): Promise<void> }> {
  if (task.store.kind === 'files') {
    const store = fileStore(task.store.folder, { layer: faultyDisk(task.disk, points) })
    return { store, close: async () => undefined }
  }
  const { Pool } = await import('pg')
  const { postgresStore } = await import('../../../src/postgres/index.js')
  const pool = new Pool({ connectionString: task.store.connection, max: 3 })
  const store = postgresStore({ pool, schema: task.store.schema })
  return {
    store,
    close: async () => {
      await store.close()
      await pool.end()
    },
  }
}

function keyOf(task: Task): `0x${string}` {
  const key = parseHex(task.key, 32)
  if (!key.ok) throw new Error('the task has no key')
  return key.value
}

function clientOf(task: Task, store: SessionStore, points: Points): MppClient {
  const { url, timeoutMs, retries } = task.rpc
  const transport = http(url, { timeout: timeoutMs, retryCount: retries, fetchFn: rpcFetchWithPoints(points) })
  return createMppClient({
    account: privateKeyToAccount(keyOf(task)),
    getClient: () => createClient({ chain: { ...tempoModerato, id: task.chainId }, transport, pollingInterval: 50 }),
    policy: { ...task.policy, allowedOrigins: [new URL(task.url).origin], allowedChains: [task.chainId] },
    store: storeWithPoints(store, points),
    fetch: fetchWithPoints(points),
  })
}

async function payOne(mpp: MppClient, task: Task, id: string): Promise<void> {
  say({ say: 'asking', id })
  const outcome = await mpp.pay(task.url, requestFor(id, task.tokens))
  const ok = outcome.status === 'succeeded' && outcome.response.ok
  // The whole answer, or it was not got.
  if (ok) await outcome.response.arrayBuffer()
  const code = outcome.status === 'failed' ? outcome.failure.code : ok ? null : `http_${outcome.response.status}`
  const detail = outcome.status === 'failed' ? outcome.failure.detail : null
  say({ say: 'paid', id, ok, code, detail })
}

async function live(mpp: MppClient) {
  const ended = new Set(['closed', 'withdrawn', 'lost'])
  return (await mpp.sessions.list()).filter(({ status }) => !ended.has(status))
}

const STEPS: Readonly<Record<Step['do'], (mpp: MppClient, step: Step, task: Task) => Promise<void>>> = {
  async pay(mpp, { ids = [] }, task) {
    for (const id of ids) await payOne(mpp, task, id)
  },
  async crowd(mpp, { ids = [], atOnce = 1 }, task) {
    const left = [...ids]
    const one = async (): Promise<void> => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) await payOne(mpp, task, id)
    }
    await Promise.all(Array.from({ length: atOnce }, one))
  },
  async close(mpp, _step, task) {
    for (const { channelId } of await live(mpp)) {
      const outcome = await mpp.sessions.close(channelId, { url: task.url })
      const code = outcome.status === 'failed' ? `${outcome.failure.code} ${outcome.failure.detail ?? ''}` : null
      say({ say: 'ended', how: 'close', channelId, status: outcome.status, code })
    }
  },
  async force(mpp, { untilWaiting = false }) {
    for (const { channelId } of await live(mpp)) {
      const stop = new AbortController()
      const outcome = await mpp.sessions.forceClose(channelId, {
        signal: stop.signal,
        lookEveryMs: 500,
        onProgress: ({ step }) => {
          if (untilWaiting && step === 'waiting') stop.abort()
        },
      })
      const code = outcome.status === 'failed' ? `${outcome.failure.code} ${outcome.failure.detail ?? ''}` : null
      say({ say: 'ended', how: 'force', channelId, status: outcome.status, code })
    }
  },
  async recover(mpp, _step, task) {
    const { channels, searches, unreadable } = await mpp.sessions.recover({ chainIds: [task.chainId] })
    say({
      say: 'recovered',
      unreadable: unreadable !== null,
      unsearched: searches.filter(({ blocks }) => blocks === null).length,
      channels: channels.map(({ channelId, source, found, action, status }) => ({
        channelId,
        source,
        found,
        action,
        status,
      })),
    })
  },
  async list(mpp) {
    const list = await mpp.sessions.list()
    say({
      say: 'sessions',
      list: list.map(({ channelId, status, pending }) => ({ channelId, status, pending })),
    })
  },
}

const task = taskSchema.parse(JSON.parse(await text(process.stdin)))
const points = createPoints(task.kill)
const { store, close } = await openStore(task, points)
const mpp = clientOf(task, store, points)
for (const step of task.steps) {
  points.arm(step.armed ?? false)
  await STEPS[step.do](mpp, step, task)
  points.arm(false)
}
await close()
say({ say: 'done' })
process.exit(0)
