// Public entry `mpp-flow`: the client and its memory store.
// Must never import what only runs on a developer's machine: the sandbox and test tools have their own entries.

export type { Failure, FailureCode, TraceStep } from '../machines/index.js'
export { formatAmount } from '../machines/index.js'
export * from './client/index.js'
export {
  type Lease,
  type MemoryStoreOptions,
  memoryStore,
  type SessionRecord,
  type SessionStore,
  StoreError,
} from './sessions/index.js'
