// Public entry `mpp-flow/postgres`: a store in PostgreSQL, for processes of many machines.
// Must never import a driver: the caller brings the pool.

export type { EmbeddedPostgres, PostgresClient, PostgresPool, Queryable } from '../sessions/postgres-pool.js'
export { type PostgresStore, type PostgresStoreOptions, postgresStore } from '../sessions/postgres-store.js'
