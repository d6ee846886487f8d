// The interface of a store over any backend that can read, list and atomically change what is kept under a key.
// Must never decide by its own clock: each backend has one clock that all of its processes share.

import { type ChannelState, changeRecord, giveLeaseBack, heldLease, prolongLease, takeLease } from './channel-state.js'
import { createGroupCommit, type Transact } from './group-commit.js'
import type { SessionRecord } from './record.js'
import { type SessionStore, StoreError } from './store.js'

/** Storage that outlives the process. */
export interface StoreBackend {
  /** What is kept under `key`, with the time by the backend's clock. */
  read(key: string): Promise<{ readonly state: ChannelState; readonly now: number }>
  list(): Promise<readonly SessionRecord[]>
  readonly transact: Transact
  watch(key: string, listener: () => void): () => void
}

/** The store over a backend. */
export function storeOf({ read, list, transact, watch }: StoreBackend): SessionStore {
  const commit = createGroupCommit(transact)
  return {
    get: async (key) => (await read(key)).state.record,
    list,
    update: (key, change, leases = []) => {
      const others = leases.map((lease) => lease.key)
      return commit(key, changeRecord(key, change, leases), others)
    },
    async acquireLease(key, holder, ttlMs) {
      // Looking costs less than a turn, and who waits for a lease looks often.
      const { state, now } = await read(key)
      if (heldLease(state, now) !== undefined) return undefined
      return commit(key, takeLease(key, holder, ttlMs))
    },
    renewLease: (lease, ttlMs) => commit(lease.key, prolongLease(lease, ttlMs)),
    releaseLease: (lease) => commit(lease.key, giveLeaseBack(lease)),
    async isLeased(key) {
      const { state, now } = await read(key)
      return heldLease(state, now) !== undefined
    },
    watch,
  }
}

/** Every record of a list, or a refusal that says how many cannot be read and carries the others. */
export function allOrRefuse(
  records: readonly SessionRecord[],
  refusals: readonly StoreError[],
): readonly SessionRecord[] {
  const [first] = refusals
  if (first === undefined) return records
  const more = refusals.length > 1 ? ` (and ${refusals.length - 1} more)` : ''
  throw new StoreError(first.reason, `${first.message}${more}`, { intact: records })
}
