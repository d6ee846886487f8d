// One client in a process of its own that does one thing with a channel once it is told to: pays, closes, forces a close, recovers.
// Must never say more than what came of it: its parent judges by the chain and by the gateway's books.

import { argv } from 'node:process'
import { Pool } from 'pg'
import { privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import { fileStore } from '../../src/files/index.js'
import { createMppClient } from '../../src/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import { chat } from '../client/stage.js'
import { readTask } from './store-task.js'

const task = readTask(argv[2] ?? '')
const action = z.enum(['pays', 'closes', 'forces', 'recovers']).parse(argv[3])
const channelId = argv[4] ?? ''

const { store: where } = task
const pool = where.kind === 'postgres' ? new Pool({ connectionString: where.url, max: 4 }) : undefined
const database = pool === undefined ? undefined : postgresStore({ pool, schema: where.name })
const mpp = createMppClient({
  account: privateKeyToAccount(task.key),
  rpcUrl: task.rpcUrl,
  store: database ?? fileStore(where.name),
  policy: task.policy,
})

/** Until the grace period runs, which the chain would have to be moved on for. */
async function force() {
  const abort = new AbortController()
  const onProgress = ({ step }: { readonly step: string }): void => {
    if (step === 'waiting') abort.abort()
  }
  return mpp.sessions.forceClose(channelId, { signal: abort.signal, onProgress })
}

const ACTIONS = {
  pays: async () => void (await mpp.pay(task.url, chat(task.requests[0] ?? 0))),
  closes: async () => void (await mpp.sessions.close(channelId)),
  forces: async () => void (await force()),
  recovers: async () => void (await mpp.sessions.recover()),
} as const

process.stdout.write('ready\n')
await new Promise<void>((resolve) => process.stdin.once('data', () => resolve()))
await ACTIONS[action]()
await mpp.sessions.list()
await database?.close()
await pool?.end()
process.stdin.destroy()
