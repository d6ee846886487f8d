// Puts the Postgres store through the contract of every store, on PGlite and on a real server when there is one.
// Must never pass over the server when it was named: then a server that cannot be reached fails.

import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresStore, postgresStore } from '../../src/postgres/index.js'
import { createLedger, RECORD_FORMAT, type SessionRecord, type StoreError } from '../../src/sessions/index.js'
import { connectionsOf } from '../../src/sessions/postgres-pool.js'
import { prepareSchema, SCHEMA_VERSION } from '../../src/sessions/postgres-schema.js'
import { KEY, openSigned, PLACE, recordAt } from './channel-records.js'
import { embeddedDatabase, SERVER, serverDatabase, type TestDatabase } from './databases.js'
import { describeStore } from './store-contract.js'

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const grow = (key: string) => (record: SessionRecord | undefined) => recordAt(key, (record?.version ?? 0) + 1)
const refusal = (reason: StoreError['reason']) => expect.objectContaining({ name: 'StoreError', reason })

const server = SERVER
const kinds: [string, () => Promise<TestDatabase>][] = [['embedded', embeddedDatabase]]
if (server !== undefined) kinds.push(['server', async () => serverDatabase(server)])

/** Resolves when a change of `key` is told. */
function told(store: PostgresStore, key: string): { readonly first: Promise<void>; readonly stop: () => void } {
  let tell = (): void => undefined
  const first = new Promise<void>((resolve) => {
    tell = resolve
  })
  return { first, stop: store.watch(key, () => tell()) }
}

describe.each(kinds)('on a database (%s)', (_, start) => {
  let database: TestDatabase
  const open: PostgresStore[] = []
  beforeAll(async () => {
    database = await start()
  })
  afterAll(() => database.close())
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close()
  })

  function storeIn(schema: string, pool: TestDatabase['pool'] = database.pool): PostgresStore {
    const store = postgresStore({ pool, schema })
    open.push(store)
    return store
  }

  describeStore(
    'postgres',
    async () => {
      const schema = database.schema()
      return { store: storeIn(schema), other: storeIn(schema), pass: sleep }
    },
    { ttlMs: 1_200 },
  )

  describe('tables', () => {
    it('are made once, whoever comes first', async () => {
      for (let turn = 0; turn < 5; turn += 1) {
        const schema = database.schema()
        const stores = Array.from({ length: 6 }, () => storeIn(schema))
        const all = await Promise.all(stores.map((store) => store.update('a', grow('a'))))
        expect(all.map((record) => record?.version).sort()).toEqual([1, 2, 3, 4, 5, 6])
        const { rows } = await database.pool.query(`SELECT version FROM ${schema}.schema_version ORDER BY version`)
        expect(rows).toEqual(Array.from({ length: SCHEMA_VERSION }, (_, index) => ({ version: index + 1 })))
      }
    })

    it('of an older version are brought up to date, with what is in them', async () => {
      const schema = database.schema()
      await prepareSchema(connectionsOf(database.pool), schema, 1)
      await database.pool.query(`INSERT INTO ${schema}.channels (key, record, last_token) VALUES ($1, $2, 7)`, [
        'a',
        JSON.stringify({ ...recordAt('a', 3), format: 0 }),
      ])
      const store = storeIn(schema)
      expect(await store.get('a')).toEqual(recordAt('a', 3))
      expect((await store.acquireLease('a', 'holder-1', 60_000))?.token).toBe(8)
      expect((await store.update('a', grow('a')))?.version).toBe(4)
      const { rows } = await database.pool.query(`SELECT record->>'format' AS format FROM ${schema}.channels`)
      expect(rows).toEqual([{ format: String(RECORD_FORMAT) }])
    })

    it('of a newer version are refused and left as they are', async () => {
      const schema = database.schema()
      await storeIn(schema).update('a', grow('a'))
      await database.pool.query(`INSERT INTO ${schema}.schema_version (version) VALUES (${SCHEMA_VERSION + 1})`)
      const store = storeIn(schema)
      await expect(store.get('a')).rejects.toEqual(refusal('newer_format'))
      await expect(store.update('a', grow('a'))).rejects.toThrow(/newer version/)
      const { rows } = await database.pool.query(`SELECT record->>'version' AS version FROM ${schema}.channels`)
      expect(rows).toEqual([{ version: '1' }])
    })

    it('have a name that needs no quoting', () => {
      for (const schema of ['', 'Mpp', 'a b', 'a"; DROP TABLE x', '1a', 'x'.repeat(49)]) {
        expect(() => postgresStore({ pool: database.pool, schema })).toThrow(TypeError)
      }
    })
  })

  describe('rows', () => {
    it.each([
      ['damaged', `jsonb_set(record, '{session,deposit}', '"-5"')`, /session\.deposit/],
      ['damaged', `'[]'::jsonb`, /cannot be read/],
      ['newer_format', `jsonb_set(record, '{format}', '${RECORD_FORMAT + 1}')`, /newer version/],
    ] as const)('that are %s (%s) are refused and left as they are', async (reason, change, message) => {
      const schema = database.schema()
      const store = storeIn(schema)
      await store.update('a', grow('a'))
      await store.update('b', grow('b'))
      await database.pool.query(`UPDATE ${schema}.channels SET record = ${change} WHERE key = 'a'`)
      const look = () => database.pool.query(`SELECT record::text FROM ${schema}.channels WHERE key = 'a'`)
      const { rows } = await look()
      let looked = 0
      const count = (record: SessionRecord | undefined) => {
        looked += 1
        return grow('a')(record)
      }
      await expect(store.get('a')).rejects.toThrow(message)
      await expect(store.update('a', count)).rejects.toEqual(refusal(reason))
      await expect(store.acquireLease('a', 'holder-1', 1_000)).rejects.toEqual(refusal(reason))
      await expect(store.list()).rejects.toMatchObject({ reason, intact: [recordAt('b', 1)] })
      expect(looked).toBe(0)
      expect((await look()).rows).toEqual(rows)
      expect((await store.update('b', grow('b')))?.version).toBe(2)
    })

    it('hold what a ledger signs', async () => {
      const store = storeIn(database.schema())
      const ledger = createLedger({ store })
      const lease = await ledger.lease(KEY, { signal: new AbortController().signal, timeoutMs: 5_000 })
      const signed = { lease, voucher: '0xab', transaction: '0xcd' } as const
      const record = await ledger.apply(KEY, PLACE, openSigned(), signed)
      await lease.release()
      expect(await storeIn(database.schema()).get(KEY)).toBeUndefined()
      expect(await store.get(KEY)).toEqual(record)
      expect(record.secrets).toEqual({
        voucher: { cumulative: '1000000', signature: '0xab' },
        pendingTransaction: '0xcd',
        resource: null,
      })
    })
  })

  it('leases go by the clock of the database, not by that of a process', async () => {
    const schema = database.schema()
    const store = storeIn(schema)
    const lease = await store.acquireLease('a', 'holder-1', 60_000)
    // As it looks to a process whose clock is an hour ahead.
    const later = `UPDATE ${schema}.channels SET lease_expires_at = clock_timestamp() - interval '1 millisecond'`
    expect(await store.isLeased('a')).toBe(true)
    await database.pool.query(later)
    expect(await store.isLeased('a')).toBe(false)
    expect(lease === undefined ? lease : await store.renewLease(lease, 1_000)).toBeUndefined()
    const { rows } = await database.pool.query(`SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now`)
    expect(rows).toEqual([{ now: expect.closeTo((lease?.expiresAt ?? 0) - 60_000, -4) }])
  })

  it('watchers are told by a look now and then where the driver hears nothing', async () => {
    const schema = database.schema()
    const { pool } = database
    const deaf: TestDatabase['pool'] =
      'transaction' in pool
        ? { query: (...of) => pool.query(...of), transaction: (work) => pool.transaction(work) }
        : { query: (...of) => pool.query(...of), connect: () => pool.connect(), options: { max: 1 } }
    const watching = storeIn(schema, deaf)
    await watching.update('a', grow('a'))
    const watcher = told(watching, 'a')
    await storeIn(schema).update('a', grow('a'))
    await watcher.first
    watcher.stop()
    await watching.close()
    // And again after it was closed.
    const again = told(watching, 'a')
    await storeIn(schema).update('a', grow('a'))
    await again.first
    again.stop()
  })
})

it('a database that is gone while somebody still listens troubles nobody', async () => {
  const { pool, schema, close } = await embeddedDatabase()
  const store = postgresStore({ pool, schema: schema() })
  await store.update('a', grow('a'))
  const watcher = told(store, 'a')
  await store.update('a', grow('a'))
  await watcher.first
  await close()
  watcher.stop()
  await expect(store.get('a')).rejects.toEqual(refusal('unavailable'))
  await store.close()
})

describe.runIf(server !== undefined)('on a server', () => {
  const connectionString = server ?? ''

  it('a connection that breaks is replaced, also the one that listens', async () => {
    const database = serverDatabase(connectionString)
    const schema = database.schema()
    const pool = new Pool({ connectionString, max: 4, application_name: schema })
    // Idle connections that break are the pool's owner's to hear of.
    pool.on('error', () => undefined)
    const store = postgresStore({ pool, schema })
    try {
      await store.update('a', grow('a'))
      const watcher = told(store, 'a')
      await sleep(200)
      const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`
      expect((await database.pool.query(end, [schema])).rows.length).toBeGreaterThan(0)
      watcher.stop()
      const next = told(store, 'a')
      const other = postgresStore({ pool: database.pool, schema })
      await sleep(1_500)
      await other.update('a', grow('a'))
      await next.first
      next.stop()
      expect((await store.update('a', grow('a')))?.version).toBe(3)
      await other.close()
    } finally {
      await store.close()
      await pool.end()
      await database.close()
    }
  })

  it('a change whose connection breaks in the middle is not made, and told without quoting it', async () => {
    const database = serverDatabase(connectionString)
    const schema = database.schema()
    const pool = new Pool({ connectionString, max: 2 })
    pool.on('error', () => undefined)
    const store = postgresStore({ pool, schema })
    try {
      await store.update('a', grow('a'))
      // The lock of the channel is held by somebody else, so the change waits, and its connection is ended meanwhile.
      const blocker = new Pool({ connectionString, max: 1 })
      const client = await blocker.connect()
      await client.query('BEGIN')
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`${schema}.channel:a`])
      const change = store.update('a', grow('a'))
      const outcome = expect(change).rejects.toEqual(refusal('unavailable'))
      await sleep(300)
      await database.pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pg_advisory%'`,
      )
      await outcome
      await client.query('COMMIT')
      client.release()
      await blocker.end()
      expect((await store.get('a'))?.version).toBe(1)
      expect((await store.update('a', grow('a')))?.version).toBe(2)
    } finally {
      await store.close()
      await pool.end()
      await database.close()
    }
  })

  it('a server that is not there is told as such', async () => {
    const pool = new Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/none' })
    const store = postgresStore({ pool })
    await expect(store.get('a')).rejects.toThrow(/cannot be reached \(ECONNREFUSED\)/)
    await pool.end()
  })
})
