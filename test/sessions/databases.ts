// Databases to try the Postgres store on: one inside the process, and a real server when there is one.
// Must never need a server: without MPP_FLOW_TEST_POSTGRES everything runs on the one inside.

import { PGlite } from '@electric-sql/pglite'
import { Pool } from 'pg'
import type { EmbeddedPostgres, PostgresPool } from '../../src/postgres/index.js'

/** A connection string of a server whose role may create schemas. */
export const SERVER = process.env.MPP_FLOW_TEST_POSTGRES

export interface TestDatabase {
  readonly pool: (PostgresPool | EmbeddedPostgres) & {
    query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
  }
  /** A schema name that nobody used before. */
  schema(): string
  close(): Promise<void>
}

const schemas = (): (() => string) => {
  let last = 0
  return () => {
    last += 1
    return `mpp_test_${process.pid}_${Date.now().toString(36)}_${last}`
  }
}

export async function embeddedDatabase(): Promise<TestDatabase> {
  const pool = new PGlite()
  await pool.waitReady
  return { pool, schema: schemas(), close: () => pool.close() }
}

/** A pool on the server. @param url {@link SERVER} */
export function serverDatabase(url: string): TestDatabase {
  const pool = new Pool({ connectionString: url, max: 6 })
  const used: string[] = []
  const next = schemas()
  return {
    pool,
    schema() {
      const name = next()
      used.push(name)
      return name
    },
    async close() {
      for (const name of used) await pool.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`)
      await pool.end()
    },
  }
}
