// A database that is rolled back, cut off in the middle of a write, or locked by who was stopped: what it costs a payer.
// Must never find a second channel funded, nor a transaction on the wire that the database does not hold.

import { PGlite } from '@electric-sql/pglite'
import { Pool } from 'pg'
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type EmbeddedPostgres,
  type PostgresClient,
  type PostgresPool,
  type PostgresStore,
  postgresStore,
} from '../../src/postgres/index.js'
import { chat, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { SERVER } from '../sessions/databases.js'

const BALANCE = 10_000_000_000n

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

/** When the connection breaks: before the transaction that stores an open is committed, or before anybody hears that it was. */
type Cut = 'before' | 'after' | null

interface Database {
  /** A pool whose connection breaks once, as `cut` says, in the transaction that stores an open. */
  readonly pool: PostgresPool | EmbeddedPostgres
  cut: Cut
  run(text: string, values?: unknown[]): Promise<unknown>
  close(): Promise<void>
}

class ConnectionLost extends Error {}

const storesOpen = (text: string, values: unknown[] | undefined): boolean =>
  text.includes('INSERT INTO') && JSON.stringify(values ?? []).includes('\\"status\\":\\"opening\\"')

async function embedded(): Promise<Database> {
  const lite = new PGlite()
  const database: Database = {
    cut: null,
    pool: {
      query: (text, values) => lite.query(text, values),
      async transaction(work) {
        let opens = false
        const result = await lite.transaction(async (inner) => {
          const made = await work({
            query: (text, values) => {
              opens ||= storesOpen(text, values)
              return inner.query(text, values)
            },
          })
          if (opens && database.cut === 'before') throw lost(database)
          return made
        })
        if (opens && database.cut === 'after') throw lost(database)
        return result
      },
    },
    run: (text, values) => lite.query(text, values),
    close: () => lite.close(),
  }
  return database
}

function lost(database: Database): ConnectionLost {
  database.cut = null
  return new ConnectionLost('the connection is gone')
}

async function served(url: string): Promise<Database> {
  const pool = new Pool({ connectionString: url, max: 4 })
  // As whoever makes a pool must: an idle connection that breaks says so here.
  pool.on('error', () => undefined)
  const database: Database = {
    cut: null,
    pool: {
      options: { max: 4 },
      async connect() {
        const client = await pool.connect()
        let opens = false
        async function query(text: string, values?: unknown[]) {
          opens ||= storesOpen(text, values)
          if (text !== 'COMMIT' || !opens) return client.query(text, values)
          opens = false
          if (database.cut === 'before') {
            await pool.query('SELECT pg_terminate_backend($1)', [await backendOf(client)])
            database.cut = null
          }
          const answer = await client.query(text, values)
          if (database.cut === 'after') throw lost(database)
          return answer
        }
        const cutting: PostgresClient = new Proxy(client, {
          get(target, name) {
            if (name === 'query') return query
            const member: unknown = Reflect.get(target, name)
            return typeof member === 'function' ? member.bind(target) : member
          },
        })
        return cutting
      },
    },
    run: (text, values) => pool.query(text, values),
    close: () => pool.end(),
  }
  return database
}

async function backendOf(client: { query(text: string): Promise<{ readonly rows: readonly unknown[] }> }) {
  const [row] = (await client.query('SELECT pg_backend_pid() AS pid')).rows
  return typeof row === 'object' && row !== null && 'pid' in row ? row.pid : null
}

function describeDatabase(name: string, connect: () => Promise<Database>): void {
  describe(`a payer whose records are in ${name}`, () => {
    let database: Database
    let store: PostgresStore
    let schemas = 0
    let schema: string
    let gateway: WatchedGateway
    let account: LocalAccount
    beforeAll(async () => {
      database = await connect()
    })
    afterAll(() => database?.close())

    async function withStore(work: () => Promise<void>, options = {}): Promise<void> {
      schemas += 1
      schema = `mpp_hostile_${process.pid}_${Date.now().toString(36)}_${schemas}`
      store = postgresStore({ pool: database.pool, schema })
      gateway = await stage.gateway(options)
      account = stage.payer()
      try {
        await work()
      } finally {
        await store.close()
        await database.run(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      }
    }

    const moved = async (): Promise<bigint> => BALANCE - (await stage.balance(account.address))
    const credentials = () => gateway.seen.flatMap(({ credential }) => credential?.payload.action ?? [])

    it('deposits no more than maxDeposit after its rows were put back to those of before a top-up', () =>
      withStore(
        async () => {
          const policy = { maxDeposit: '5', maxExposure: '5' }
          await paySome(stage.client(account, { store, policy: { ...policy, maxDeposit: '3' } }), gateway.chat, 3, () =>
            chat(5_000),
          )
          await database.run(`CREATE TABLE ${schema}.backup AS SELECT * FROM ${schema}.channels`)
          await paySome(stage.client(account, { store, policy }), gateway.chat, 2, () => chat(5_000))
          expect(await moved()).toBe(5_000_000n)
          await database.run(`DELETE FROM ${schema}.channels`)
          await database.run(`INSERT INTO ${schema}.channels SELECT * FROM ${schema}.backup`)
          const outcome = await stage.client(account, { store, policy }).pay(gateway.chat, chat(5_000))
          expect(failureOf(outcome)).toMatchObject({ code: 'limit_exceeded', limit: 'maxDeposit' })
          expect(await moved()).toBe(5_000_000n)
        },
        { suggestedDeposit: '3' },
      ))

    it('sends nothing that was signed when the connection breaks before the commit, and signs anew', () =>
      withStore(async () => {
        const mpp = stage.client(account, { store })
        database.cut = 'before'
        expect(failureOf(await mpp.pay(gateway.chat, chat(500)))).toMatchObject({ code: 'store_unavailable' })
        expect(credentials()).toEqual([])
        expect(await store.list()).toEqual([])
        await paySome(stage.client(account, { store }), gateway.chat, 1, () => chat(500))
        expect(credentials()).toEqual(['open'])
        expect(await moved()).toBe(5_000_000n)
      }))

    it('sends nothing when nobody hears of the commit, and then what was stored: one channel', () =>
      withStore(async () => {
        const mpp = stage.client(account, { store })
        database.cut = 'after'
        expect(failureOf(await mpp.pay(gateway.chat, chat(500)))).toMatchObject({ code: 'store_unavailable' })
        expect(credentials()).toEqual([])
        const [stored] = await store.list()
        expect(stored?.status).toBe('opening')
        await paySome(stage.client(account, { store }), gateway.chat, 1, () => chat(500))
        expect(await stage.opened(account)).toBe(1)
        expect((await store.list()).map(({ session }) => session.channelId)).toEqual([stored?.session.channelId])
        expect(await moved()).toBe(5_000_000n)
      }))
  })
}

describeDatabase('PGlite', embedded)
if (SERVER !== undefined) {
  const url = SERVER
  describeDatabase('PostgreSQL', () => served(url))

  describe('a payer on a PostgreSQL server', () => {
    async function withPool(work: (pool: Pool, schema: string, store: PostgresStore) => Promise<void>): Promise<void> {
      const application = `mpp_hostile_${process.pid}_${Date.now().toString(36)}`
      const pool = new Pool({ connectionString: url, max: 4, application_name: application })
      pool.on('error', () => undefined)
      const store = postgresStore({ pool, schema: application })
      try {
        await work(pool, application, store)
      } finally {
        await store.close()
        await pool.query(`DROP SCHEMA IF EXISTS ${application} CASCADE`)
        await pool.end()
      }
    }

    it('goes on once the server has ended the transaction of a process that was stopped in it', () =>
      withPool(async (_pool, schema, store) => {
        const gateway = await stage.gateway()
        const mpp = stage.client(stage.payer(), { store })
        await paySome(mpp, gateway.chat, 1, () => chat(500))
        const [record] = await store.list()
        const stopped = new Pool({ connectionString: url, max: 1 })
        const client = await stopped.connect()
        client.on('error', () => undefined)
        await client.query('BEGIN')
        // As every transaction of the store begins.
        await client.query("SELECT set_config('idle_in_transaction_session_timeout', '15s', true)")
        await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
          `${schema}.channel:${record?.key}`,
        ])
        await paySome(mpp, gateway.chat, 1, () => chat(500))
        await expect(client.query('COMMIT')).rejects.toThrow()
        client.release(true)
        await stopped.end()
      }))

    it('goes on with its channel after all of its connections were cut at once, as by a restart', () =>
      withPool(async (_pool, schema, store) => {
        const gateway = await stage.gateway()
        const account = stage.payer()
        const mpp = stage.client(account, { store })
        await paySome(mpp, gateway.chat, 1, () => chat(500))
        const elsewhere = new Pool({ connectionString: url, max: 1 })
        for (let round = 0; round < 5; round += 1) {
          const requests = Array.from({ length: 8 }, () => mpp.pay(gateway.chat, chat(500)))
          await elsewhere.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
            schema,
          ])
          for (const outcome of await Promise.all(requests)) {
            if (outcome.status === 'failed') expect(outcome.failure.code).toBe('store_unavailable')
          }
        }
        await elsewhere.end()
        await paySome(mpp, gateway.chat, 1, () => chat(500))
        expect(await stage.opened(account)).toBe(1)
        const [session] = await mpp.sessions.list()
        expect((await mpp.sessions.close(session?.channelId ?? '')).status).toBe('closed')
        const [channel] = gateway.accounting().channels
        expect(BALANCE - (await stage.balance(account.address))).toBe(BigInt(channel?.spent ?? '-1'))
      }))
  })
}
