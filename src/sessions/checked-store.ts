// Any store, of which nothing is taken on trust: every record that it gives, or is given, is of one channel as a whole.
// Must never repair: what does not fit together is refused as damaged, and left as it is.

import { allOrRefuse } from './durable-store.js'
import type { SessionRecord } from './record.js'
import { rememberingMisfits } from './record-identity.js'
import { isOfOneRecord, type SessionStore, StoreError } from './store.js'

const REPAIR =
  'Nothing was signed for it, and it was left as it is. Put a good copy in its place, or remove it and let the channel be found on the chain; until then this channel is not used'

/** The same store, refusing records whose parts are of different channels. */
export function checkedStore(store: SessionStore): SessionStore {
  const misfitOf = rememberingMisfits()

  function checked<R extends SessionRecord | undefined>(record: R, key: string): R {
    const misfit = record === undefined ? null : misfitOf(record, key)
    if (misfit === null) return record
    throw new StoreError('damaged', `the record of ${key} does not fit together: ${misfit}. ${REPAIR}`)
  }

  return {
    get: async (key) => checked(await store.get(key), key),
    async list() {
      const refusals: StoreError[] = []
      const all = await store.list().catch((error: unknown) => {
        if (!(error instanceof StoreError) || !isOfOneRecord(error)) throw error
        refusals.push(error)
        return error.intact
      })
      const fitting = all.filter((record) => {
        try {
          return checked(record, record.key)
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          refusals.push(error)
          return false
        }
      })
      return allOrRefuse(fitting, refusals)
    },
    update: (key, change, leases) =>
      store.update(
        key,
        (stored) => {
          const record = change(checked(stored, key))
          const misfit = record === undefined || record === stored ? null : misfitOf(record, key)
          if (misfit === null) return record
          const why = `the change makes a record that does not fit together (${misfit})`
          throw new StoreError(
            'unavailable',
            `${why}; nothing was written, and what was signed for it must not be sent`,
          )
        },
        leases,
      ),
    acquireLease: (key, holder, ttlMs) => store.acquireLease(key, holder, ttlMs),
    renewLease: (lease, ttlMs) => store.renewLease(lease, ttlMs),
    releaseLease: (lease) => store.releaseLease(lease),
    isLeased: (key) => store.isLeased(key),
    watch: (key, listener) => store.watch(key, listener),
  }
}
