// Keeps channels in a PostgreSQL database, for processes of many machines.
// Must never change a channel without its lock, nor decide by a clock other than the database's.

import * as z from 'zod'
import { hasMethods, optionsOf, readOptions, text } from '../options/index.js'
import { type ChannelState, type KeptLease, NOTHING_KEPT } from './channel-state.js'
import { allOrRefuse, type StoreBackend, storeOf } from './durable-store.js'
import { createChanges } from './postgres-changes.js'
import {
  type Connections,
  connectionsOf,
  type EmbeddedPostgres,
  type PostgresPool,
  type Queryable,
  quoted,
} from './postgres-pool.js'
import { checkSchemaName, lockName, prepareSchema } from './postgres-schema.js'
import type { SessionRecord } from './record.js'
import { read, readJson, readRecord, UnreadableRecord } from './record-format.js'
import { type SessionStore, StoreError } from './store.js'

export interface PostgresStoreOptions {
  /** A pool of the package `pg`, or a PGlite database. It stays the caller's: the store never ends it. */
  readonly pool: PostgresPool | EmbeddedPostgres
  /** The schema that holds the store's tables; created when it is not there. Default `mpp_flow`. */
  readonly schema?: string
}

const postgresStoreOptions = optionsOf({
  pool: z.custom<PostgresStoreOptions['pool']>(
    (value) => hasMethods(value, ['connect']) || hasMethods(value, ['query', 'transaction']),
    { error: 'a pool of the package pg, or a PGlite database' },
  ),
  schema: text.default('mpp_flow'),
} satisfies Record<keyof PostgresStoreOptions, unknown>)

/** A store in a database. */
export interface PostgresStore extends SessionStore {
  /** Gives back the connection it listens on. Call it before the pool is ended; the store can be used again. */
  close(): Promise<void>
}

/**
 * Keeps records in PostgreSQL 12 or newer. Tables are created, and those of an older version migrated, on first use.
 *
 * @throws OptionError for options that cannot be read; StoreError from its methods: `damaged` and `newer_format` for a row that cannot be read, which is left as it is;
 * `unavailable` with the SQLSTATE or the system's code.
 *
 * @example
 * ```ts
 * import { createMppClient } from 'mpp-flow'
 * import { postgresStore } from 'mpp-flow/postgres'
 * import { Pool } from 'pg'
 * import type { LocalAccount } from 'viem'
 *
 * export function payer(account: LocalAccount) {
 *   return createMppClient({ account, store: postgresStore({ pool: new Pool() }) })
 * }
 * ```
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  const { pool, schema } = readOptions(postgresStoreOptions, options)
  const name = checkSchemaName(schema)
  const connections = connectionsOf(pool)
  const changes = createChanges(connections, name, `${quoted(name)}.channels`)
  const place = { ...createTable(connections, name, changes.emit), watch: changes.watch }
  return { ...storeOf(place), close: changes.close }
}

const row = z.looseObject({
  key: z.string(),
  record: z.string().nullable(),
  holder: z.string().nullable(),
  token: z.number().nullable(),
  expires_at: z.number().nullable(),
  lease_ms: z.number().nullable(),
  last_token: z.number(),
})
type Row = z.infer<typeof row>
const clockRows = z.tuple([z.looseObject({ now: z.number() })])

/** Every value as text or as a double, which all drivers read alike; milliseconds fit in a double exactly. */
const COLUMNS = `key, record::text AS record, lease_holder AS holder, lease_token::float8 AS token,
  floor(extract(epoch FROM lease_expires_at) * 1000)::float8 AS expires_at, lease_ms, last_token::float8 AS last_token`
/** Not \`now()\`: that is when the transaction began, which may have waited for a lock since. */
const CLOCK = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'

function createTable(connections: Connections, name: string, emit: (key: string) => void): Omit<StoreBackend, 'watch'> {
  const table = `${quoted(name)}.channels`
  const select = `SELECT ${COLUMNS} FROM ${table} WHERE key = $1`
  const selectWithClock = `SELECT * FROM (${CLOCK}) AS clock LEFT JOIN (${select}) AS kept ON true`
  let prepared: Promise<void> | undefined

  function prepare(): Promise<void> {
    prepared ??= prepareSchema(connections, name).catch((error: unknown) => {
      prepared = undefined
      throw error
    })
    return prepared
  }

  const validate = <T>(key: string, work: () => T): T => judgeRow(`${name}.channels`, key, work)

  const stateFrom = (key: string, rows: readonly unknown[]): ChannelState => {
    const [first] = rows
    return first === undefined ? NOTHING_KEPT : validate(key, () => stateOfRow(read(row, first)))
  }

  return {
    async read(key) {
      await prepare()
      const rows = await connections.query(selectWithClock, [key])
      const [found] = read(clockRows, rows)
      return { state: stateFrom(key, found.key === null ? [] : [found]), now: found.now }
    },
    async list() {
      await prepare()
      const rows = await connections.query(`SELECT ${COLUMNS} FROM ${table} WHERE record IS NOT NULL ORDER BY key`)
      const records: SessionRecord[] = []
      const refusals: StoreError[] = []
      for (const value of rows) {
        const found = read(row, value)
        try {
          const { record } = validate(found.key, () => stateOfRow(found))
          if (record !== undefined) records.push(record)
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          refusals.push(error)
        }
      }
      return allOrRefuse(records, refusals)
    },
    async transact(key, others, apply) {
      await prepare()
      await connections.transact(async (transaction) => {
        // The locks come first, so that a key that has no row yet is changed by one at a time, too; and in one order, so that
        // no two wait for each other.
        for (const locked of [key, ...others].sort()) await lockName(transaction, `${name}.channel:${locked}`)
        const stateNow = async (of: string) =>
          stateFrom(of, (await transaction.query(`${select} FOR UPDATE`, [of])).rows)
        const before = await stateNow(key)
        const beside = new Map<string, ChannelState>()
        for (const other of others) beside.set(other, await stateNow(other))
        const [{ now }] = read(clockRows, (await transaction.query(CLOCK)).rows)
        const after = apply(before, { now, others: beside })
        if (after !== before) await save(transaction, { key, table, channel: name, state: after })
      })
      emit(key)
    },
  }
}

async function save(
  transaction: Queryable,
  to: { readonly key: string; readonly table: string; readonly channel: string; readonly state: ChannelState },
): Promise<void> {
  const { key, table, channel, state } = to
  const { record, lease, lastToken } = state
  const text = record === undefined ? null : JSON.stringify(record)
  const expires = lease === undefined ? null : lease.expiresAt / 1000
  // The notification goes out when the transaction is committed, and only then.
  await transaction.query(
    `WITH saved AS (
      INSERT INTO ${table} AS old (key, record, lease_holder, lease_token, lease_expires_at, lease_ms, last_token)
      VALUES ($1, $2::text::jsonb, $3, $4::float8::bigint, to_timestamp($5::float8), $6::float8, $7::float8::bigint)
      ON CONFLICT (key) DO UPDATE SET (record, lease_holder, lease_token, lease_expires_at, lease_ms, last_token) =
        (excluded.record, excluded.lease_holder, excluded.lease_token, excluded.lease_expires_at, excluded.lease_ms,
         excluded.last_token),
        revision = old.revision + 1, updated_at = clock_timestamp()
      RETURNING key
    ) SELECT pg_notify($8, key) FROM saved`,
    [key, text, lease?.holder ?? null, lease?.token ?? null, expires, lease?.ttlMs ?? null, lastToken, channel],
  )
}

function stateOfRow({ key, record, last_token: lastToken, ...kept }: Row): ChannelState {
  return {
    record: record === null ? undefined : readRecord(readJson(record), key),
    lease: leaseOfRow(kept),
    lastToken,
  }
}

function leaseOfRow(kept: Pick<Row, 'holder' | 'token' | 'expires_at' | 'lease_ms'>): KeptLease | undefined {
  const { holder, token, expires_at: expiresAt, lease_ms: ttlMs } = kept
  if (holder === null || token === null || expiresAt === null || ttlMs === null) return undefined
  return { holder, token, expiresAt, ttlMs }
}

function judgeRow<T>(table: string, key: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof UnreadableRecord)) throw error
    const where = `the row of key ${key} in ${table}`
    if (error.reason === 'newer_format') {
      const advice = 'Nothing was signed or changed. Use the newer version for this database'
      throw new StoreError('newer_format', `${where} was written by a newer version: ${error.message}. ${advice}`)
    }
    const advice =
      'Nothing was signed for it, and the row was left as it is. Restore the row from a backup, or delete it and let the channel be found on the chain; until then this channel is not used'
    throw new StoreError('damaged', `${where} cannot be read: ${error.message}. ${advice}`)
  }
}
