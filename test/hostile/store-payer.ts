// One payer in a process of its own: pays for one or two requests, and blocks where it is told to while its account signs.
// Must never say more than what came of it: its parent judges by the chain and by the gateway's books.

import { readSync, writeSync } from 'node:fs'
import { argv } from 'node:process'
import { Pool } from 'pg'
import { privateKeyToAccount } from 'viem/accounts'
import { fileStore } from '../../src/files/index.js'
import { createMppClient, type MppClientOptions } from '../../src/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import type { SessionStore } from '../../src/sessions/index.js'
import { chat } from '../client/stage.js'
import { readTask } from './store-task.js'

const task = readTask(argv[2] ?? '')
const say = (word: string, what: unknown = null): void => {
  writeSync(1, `${JSON.stringify({ word, what })}\n`)
}

const go = (): Promise<void> => new Promise((resolve) => process.stdin.once('data', () => resolve()))

/** Nothing else of this process runs meanwhile: no timer, no renewal. */
function blockUntilTold(): void {
  for (;;) {
    try {
      readSync(0, Buffer.alloc(64))
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

let transactions = 0

async function blocked(): Promise<void> {
  transactions += 1
  if (transactions !== task.block.at) return
  const { clockStepMs, how } = task.block
  if (clockStepMs !== 0) {
    const { now } = Date
    Date.now = () => now() + clockStepMs
  }
  say('signing')
  if (how === 'event loop') blockUntilTold()
  else if (how === 'account') await go()
}

const payer = privateKeyToAccount(task.key)
const account: MppClientOptions['account'] = {
  ...payer,
  async signTransaction(...args) {
    await blocked()
    return payer.signTransaction(...args)
  },
}

const { store: where } = task
const pool = where.kind === 'postgres' ? new Pool({ connectionString: where.url, max: 4 }) : undefined
const database = pool === undefined ? undefined : postgresStore({ pool, schema: where.name })
const store: SessionStore = database ?? fileStore(where.name)
const kept: SessionStore = !task.losesRenewals
  ? store
  : {
      ...store,
      // Lost on its way: nobody is told.
      renewLease: (lease, ttlMs) =>
        lease.key.startsWith('deposits:') ? new Promise(() => undefined) : store.renewLease(lease, ttlMs),
    }

const mpp = createMppClient({ account, rpcUrl: task.rpcUrl, store: kept, policy: task.policy })
for (const tokens of task.requests) {
  const outcome = await mpp.pay(task.url, chat(tokens))
  const failure = outcome.status === 'failed' ? outcome.failure : null
  say('paid', { status: outcome.status, code: failure?.code ?? null, detail: failure?.detail ?? null })
}
// Until the open is confirmed beside its answer: what comes after needs the store.
await mpp.sessions.list()
await database?.close()
await pool?.end()
process.stdin.destroy()
