// What the Postgres store needs of a driver, by shape: node-postgres' pool fits, and PGlite does.
// Must never let a driver's message out: it may quote what was written, and records hold signatures.

import { StoreError } from './store.js'

/** Something that runs SQL. Results are read by column name and checked; drivers differ in types, so SQL asks for plain ones. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** A connection of a pool, as node-postgres has it. */
export interface PostgresClient extends Queryable {
  /** @param broken the connection is not to be used again. */
  release(broken?: boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  on(
    event: 'notification',
    listener: (notice: { readonly channel: string; readonly payload?: string | undefined }) => void,
  ): unknown
  removeAllListeners(event: 'notification'): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool of connections: `new Pool(…)` of the package `pg`. */
export interface PostgresPool {
  readonly options?: { readonly max?: number | undefined }
  connect(): Promise<PostgresClient>
}

/** A database inside the process with one connection: `new PGlite()` of `@electric-sql/pglite`. */
export interface EmbeddedPostgres extends Queryable {
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>
  listen?(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>>
}

/** A driver of either shape, in one. */
export interface Connections {
  /** Runs one statement by itself. */
  query(text: string, values?: unknown[]): Promise<readonly unknown[]>
  /** Runs `work` in a transaction that sees what others committed before each of its statements. */
  transact<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>
  /**
   * Listens on a channel until the result is called. Undefined when the driver cannot.
   *
   * @param onLost called once when the connection broke: nothing is heard from then on.
   */
  readonly listen:
    | ((channel: string, hear: (payload: string) => void, onLost: () => void) => Promise<() => Promise<void>>)
    | undefined
}

/** How long a statement waits for a lock, and how long a stopped process may keep one. */
const LOCK_LIMITS =
  "SELECT set_config('lock_timeout', '15s', true), set_config('idle_in_transaction_session_timeout', '15s', true)"

/** Serialisation failure and deadlock: the transaction was undone and may simply run again. */
const RUN_AGAIN: ReadonlySet<string> = new Set(['40001', '40P01'])
const MAX_RUNS = 5
/** Others held the lock of this channel for as long as a statement waits for one. */
const LOCK_TIMED_OUT = '55P03'

/** What to do about a refusal, by its SQLSTATE or the class of it. */
const MENDING: Readonly<Record<string, string>> = {
  '28': 'check the user and the password that the pool was made with',
  '3D': 'there is no such database: create it, or name another one',
  '42501': "grant this user the rights on the store's schema and tables",
  '53100': 'its disk is full: free some space',
  '53300': 'it has too many connections: raise its limit, or use fewer',
  '25006': 'it is read-only: connect to the primary',
}

/** Makes one interface of either shape. */
export function connectionsOf(pool: PostgresPool | EmbeddedPostgres): Connections {
  return 'transaction' in pool ? embedded(pool) : pooled(pool)
}

function embedded(database: EmbeddedPostgres): Connections {
  const { listen } = database
  return {
    query: (text, values) => wrapErrors(async () => (await database.query(text, values)).rows),
    transact: (work) => retry(() => wrapErrors(() => database.transaction(work))),
    listen:
      listen === undefined
        ? undefined
        : (channel, hear) => wrapErrors(() => listen.call(database, channel, (payload) => hear(payload))),
  }
}

function pooled(pool: PostgresPool): Connections {
  /** Runs `work` on a connection. One that breaks meanwhile is dropped, and must not end the process by its event. */
  async function on<T>(work: (client: PostgresClient) => Promise<T>): Promise<T> {
    const client = await pool.connect()
    let broken = false
    const note = (): void => {
      broken = true
    }
    client.on('error', note)
    try {
      return await work(client)
    } catch (error) {
      broken = broken || (!(error instanceof StoreError) && stateOf(error) === undefined)
      throw error
    } finally {
      client.removeListener('error', note)
      client.release(broken)
    }
  }

  return {
    query: (text, values) => wrapErrors(() => on(async (client) => (await client.query(text, values)).rows)),
    transact: (work) => retry(() => wrapErrors(() => on((client) => transaction(client, work)))),
    // A pool of one connection has none to spare for listening.
    listen: pool.options?.max === 1 ? undefined : (...of) => wrapErrors(() => listenOn(pool, ...of)),
  }
}

async function listenOn(
  pool: PostgresPool,
  channel: string,
  hear: (payload: string) => void,
  onLost: () => void,
): Promise<() => Promise<void>> {
  const client = await pool.connect()
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    client.removeAllListeners('notification')
    client.removeListener('error', lost)
    // Not given back to others: it would go on listening.
    client.release(true)
  }
  const lost = (): void => {
    if (over) return
    end()
    onLost()
  }
  client.on('error', lost)
  client.on('notification', (notice) => {
    if (notice.channel === channel) hear(notice.payload ?? '')
  })
  try {
    await client.query(`LISTEN ${quoted(channel)}`)
  } catch (error) {
    end()
    throw error
  }
  return async () => end()
}

async function transaction<T>(client: PostgresClient, work: (transaction: Queryable) => Promise<T>): Promise<T> {
  // Each statement must see what was committed while it waited for a lock, whatever the server's default is.
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
  try {
    await client.query(LOCK_LIMITS)
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    // A connection that cannot even roll back is broken; the server undoes what it had begun.
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** A name in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A transaction that the server undid because of others. */
class Undone extends StoreError {}

async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let run = 1; ; run += 1) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Undone) || run >= MAX_RUNS) throw error
    }
  }
}

/** The SQLSTATE of a driver's error. Errors without one did not come from the server: the connection broke. */
function stateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

/** The server ended the connection, or is ending: nothing is wrong with what was asked. */
function isGone(state: string): boolean {
  return state.startsWith('08') || state.startsWith('57P') || state === '25P03'
}

async function wrapErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreError) throw error
    const state = stateOf(error)
    const unsent = 'whatever was signed since must not be sent'
    if (state === undefined || isGone(state)) {
      const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
      const mending = 'see that it runs, and that this process can connect to it'
      throw new StoreError('unavailable', `the database cannot be reached${code}: ${mending}; ${unsent}`)
    }
    const mending = MENDING[state] ?? MENDING[state.slice(0, 2)]
    const refused = `the database refused (SQLSTATE ${state})${mending === undefined ? '' : `: ${mending}`}`
    const refusal = `${refused}; nothing was written, and ${unsent}`
    if (RUN_AGAIN.has(state)) throw new Undone('busy', refusal)
    throw new StoreError(state === LOCK_TIMED_OUT ? 'busy' : 'unavailable', refusal)
  }
}
