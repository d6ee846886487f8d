// Creates the tables of the Postgres store and brings those of an older version up to date.
// Must never change tables that a newer version made.

import * as z from 'zod'
import { OptionError } from '../options/index.js'
import { type Connections, type Queryable, quoted } from './postgres-pool.js'
import { read } from './record-format.js'
import { StoreError } from './store.js'

/** What makes tables of one version into those of the next. Never edited once released: a new version is a new step. */
const STEPS: readonly ((schema: string) => readonly string[])[] = [
  (schema) => [
    `CREATE TABLE ${schema}.channels (
      key text PRIMARY KEY,
      record jsonb,
      lease_holder text,
      lease_token bigint,
      lease_expires_at timestamptz,
      lease_ms double precision,
      last_token bigint NOT NULL DEFAULT 0,
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`,
  ],
  // By its revision, who cannot be notified sees that something changed without reading the record.
  (schema) => [`ALTER TABLE ${schema}.channels ADD COLUMN revision bigint NOT NULL DEFAULT 1`],
]

/** The version that this code works with. */
export const SCHEMA_VERSION = STEPS.length

const versionRows = z.tuple([z.looseObject({ version: z.number().int().nonnegative().nullable() })])
const existsRows = z.tuple([z.looseObject({ exists: z.boolean() })])

/** A name that can be a schema: nothing that would have to be quoted in anybody's queries. */
export function checkSchemaName(name: string): string {
  if (/^[a-z_][a-z0-9_]{0,47}$/.test(name)) return name
  throw new OptionError(
    'schema',
    'schema must be a name of up to 48 lower-case letters, digits and underscores that starts with no digit',
  )
}

/**
 * Makes the tables what this version needs; processes that start at once wait for each other.
 *
 * @param upTo the version to stop at; only a test of migrations asks for an older one.
 * @throws StoreError `newer_format` when a newer version made the tables.
 */
export async function prepareSchema(connections: Connections, name: string, upTo = SCHEMA_VERSION): Promise<void> {
  // Without this look, a role that may use the tables but not make any could not start.
  if ((await versionOf({ query: async (...of) => ({ rows: await connections.query(...of) }) }, name)) === upTo) return
  await connections.transact(async (transaction) => {
    await lockName(transaction, `${name}.schema`)
    const version = await versionOf(transaction, name)
    const schema = quoted(name)
    if (version === 0) {
      await transaction.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
      await transaction.query(
        `CREATE TABLE ${schema}.schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
      )
    }
    for (const [index, step] of STEPS.slice(0, upTo).entries()) {
      if (index < version) continue
      for (const statement of step(schema)) await transaction.query(statement)
      await transaction.query(`INSERT INTO ${schema}.schema_version (version) VALUES ($1)`, [index + 1])
    }
  })
}

/** Waits until no other transaction has a lock of this name, and takes it until the end of this one. */
export async function lockName(transaction: Queryable, name: string): Promise<void> {
  await transaction.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name])
}

/** The version of the tables that are there; 0 when there are none. */
async function versionOf(database: Queryable, name: string): Promise<number> {
  const table = `${quoted(name)}.schema_version`
  // Reads the catalog as a table: `to_regclass` may answer from before this transaction waited for its lock.
  const there = await database.query(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'schema_version') AS exists`,
    [name],
  )
  const [{ exists }] = read(existsRows, there.rows)
  if (!exists) return 0
  const found = await database.query(`SELECT max(version)::float8 AS version FROM ${table}`)
  const version = read(versionRows, found.rows)[0].version ?? 0
  if (version > SCHEMA_VERSION) {
    const both = `the tables in schema ${name} have version ${version}, and this version of mpp-flow knows ${SCHEMA_VERSION}`
    throw new StoreError(
      'newer_format',
      `${both}. Nothing was signed or changed. Use the newer version for this database`,
    )
  }
  return version
}
