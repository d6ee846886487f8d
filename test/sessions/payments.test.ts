// Real payments over the durable stores: several clients, as processes would be, on one channel, and what is left of them.
// Must never ask a store what happened where the chain or the gateway can be asked.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileStore } from '../../src/files/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import type { SessionStore } from '../../src/sessions/index.js'
import { chat, counted, paySome, type Stage, setStage } from '../client/stage.js'
import { embeddedDatabase } from './databases.js'

interface Ground {
  /** The store as a process of its own would open it. */
  open(): SessionStore
  close(): Promise<void>
}

const kinds: [string, () => Promise<Ground>][] = [
  [
    'file',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-payments-'))
      return { open: () => fileStore(folder), close: () => rm(folder, { recursive: true }) }
    },
  ],
  [
    'postgres',
    async () => {
      const { pool, schema, close } = await embeddedDatabase()
      const name = schema()
      return { open: () => postgresStore({ pool, schema: name }), close }
    },
  ],
]

let stage: Stage
beforeAll(async () => {
  stage = await setStage(4)
})
afterAll(() => stage.stop())

describe.each(kinds)('payments over the %s store', (_, set) => {
  let ground: Ground
  beforeAll(async () => {
    ground = await set()
  })
  afterAll(() => ground.close())

  it('share one channel, survive a restart, and account for every unit at the close', async () => {
    const gateway = await stage.gateway()
    const { account, vouchers } = counted(stage.payer())
    const before = await stage.balance(account.address)
    const clients = Array.from({ length: 3 }, () => stage.client(account, { store: ground.open() }))
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, (_, turn) => clients[turn % 3]?.pay(gateway.chat, chat(100, `turn ${turn % 10}`))),
    )
    expect(outcomes.map((outcome) => outcome?.status)).toEqual(outcomes.map(() => 'succeeded'))
    expect(await stage.opened(account)).toBe(1)
    // 30 answers of 0.02 each are within one bucket: whoever came first signed for all.
    expect(vouchers.length).toBe(1)

    const restarted = stage.client(account, { store: ground.open() })
    await paySome(restarted, gateway.chat, 2, () => chat(100))
    expect(await stage.opened(account)).toBe(1)
    const [session, ...more] = await restarted.sessions.list()
    expect(more).toEqual([])
    expect(session).toMatchObject({ status: 'open', deposit: '5000000', signed: '1000000', spent: '640000' })
    const closed = await restarted.sessions.close(session?.channelId ?? '')
    expect(closed).toMatchObject({ status: 'closed', settlement: { settled: '640000', refunded: '4360000' } })
    // Fees of a transaction are paid in the same token, and are far below a cent.
    const spent = before - (await stage.balance(account.address))
    expect(spent).toBeGreaterThanOrEqual(640_000n)
    expect(spent).toBeLessThan(650_000n)
  })
})
