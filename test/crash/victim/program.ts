// A process that pays, closes or recovers as it is told, task by task, until it is done or dies at the point it was told.
// Must never pay for anything twice by itself, nor share a store or a client between two tasks.

import { createInterface } from 'node:readline'
import { createClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { tempoModerato } from 'viem/chains'
import { fileStore } from '../../../src/files/index.js'
import { createMppClient, type MppClient, type SessionStore } from '../../../src/index.js'
import { parseHex } from '../../../src/protocol/index.js'
import { requestFor } from '../request.js'
import { type Step, type Task, taskSchema } from '../task.js'
import { faultyDisk } from './disk.js'
import { createPoints, type Points, type Say, sayingOf } from './points.js'
import { storeWithPoints } from './store-points.js'
import { fetchWithPoints, rpcFetchWithPoints } from './wire-points.js'

/** A store, and what must be closed after it. */
async function openStore(
  task: Task,
  points: Points,
  say: Say,
): Promise<{ store: SessionStore; close(): Promise<void> }> {
  if (task.store.kind === 'files') {
    const store = fileStore(task.store.folder, { layer: faultyDisk(task.disk, points, say) })
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

/** What a step works with. */
interface Work {
  readonly mpp: MppClient
  readonly task: Task
  readonly say: Say
}

async function payOne({ mpp, task, say }: Work, id: string): Promise<void> {
  say({ say: 'asking', id })
  const outcome = await mpp.pay(task.url, requestFor(id, task.tokens))
  const ok = outcome.status === 'succeeded' && outcome.response.ok
  // The whole answer, or it was not got.
  if (ok) await outcome.response.arrayBuffer()
  const code = outcome.status === 'failed' ? outcome.failure.code : ok ? null : `http_${outcome.response.status}`
  const detail = outcome.status === 'failed' ? outcome.failure.detail : null
  say({ say: 'paid', id, ok, code, detail })
  // An open is confirmed beside its answer: the points of that are passed before the next step. A record that cannot be
  // read is for the steps that need it.
  await mpp.sessions.list().catch(() => undefined)
}

async function live(mpp: MppClient) {
  const ended = new Set(['closed', 'withdrawn', 'lost'])
  return (await mpp.sessions.list()).filter(({ status }) => !ended.has(status))
}

const STEPS: Readonly<Record<Step['do'], (work: Work, step: Step) => Promise<void>>> = {
  async pay(work, { ids = [] }) {
    for (const id of ids) await payOne(work, id)
  },
  async crowd(work, { ids = [], atOnce = 1 }) {
    const left = [...ids]
    const one = async (): Promise<void> => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) await payOne(work, id)
    }
    await Promise.all(Array.from({ length: atOnce }, one))
  },
  async close({ mpp, task, say }) {
    for (const { channelId } of await live(mpp)) {
      const outcome = await mpp.sessions.close(channelId, { url: task.url })
      const code = outcome.status === 'failed' ? `${outcome.failure.code} ${outcome.failure.detail ?? ''}` : null
      say({ say: 'ended', how: 'close', channelId, status: outcome.status, code })
    }
  },
  async force({ mpp, say }, { untilWaiting = false }) {
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
  async recover({ mpp, task, say }) {
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
  async list({ mpp, say }) {
    const list = await mpp.sessions.list()
    say({
      say: 'sessions',
      list: list.map(({ channelId, status, pending }) => ({ channelId, status, pending })),
    })
  },
}

async function perform(task: Task): Promise<void> {
  const say = sayingOf(task.of)
  const points = createPoints(task.kill, say)
  const { store, close } = await openStore(task, points, say)
  const mpp = clientOf(task, store, points)
  try {
    for (const step of task.steps) {
      points.arm(step.armed ?? false)
      await STEPS[step.do]({ mpp, task, say }, step)
      points.arm(false)
    }
  } finally {
    await close()
  }
}

const running: Promise<void>[] = []
for await (const text of createInterface(process.stdin)) {
  const task = taskSchema.parse(JSON.parse(text))
  const say = sayingOf(task.of)
  running.push(
    perform(task).then(
      () => say({ say: 'done' }),
      (error: unknown) => say({ say: 'failed', why: error instanceof Error ? error.message : String(error) }),
    ),
  )
}
await Promise.all(running)
process.exit(0)
