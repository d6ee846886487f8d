// A store whose every answer is waited for with an end.
// Must never take silence for success: what was not answered in time counts as not written.

import { type Lease, type SessionStore, StoreError } from '../sessions/index.js'
import { within } from './within.js'

/**
 * The same store; a call that it does not answer within `ms` fails with `unavailable`. A lease that it gives after that is
 * given back, and a write that it makes after that is found by whoever reads the record next.
 */
export function answeringStore(store: SessionStore, ms: number): SessionStore {
  const silent = (): StoreError =>
    new StoreError('unavailable', `the store did not answer within ${ms} ms; see that it can be reached, and try again`)
  const answered = <T>(asked: Promise<T>, late?: (value: T) => void): Promise<T> => within(ms, asked, silent, late)
  const giveBack = (lease: Lease | undefined): void => {
    // What cannot be given back runs out by itself.
    if (lease !== undefined) store.releaseLease(lease).catch(() => undefined)
  }
  return {
    get: (key) => answered(store.get(key)),
    list: () => answered(store.list()),
    update: (key, change, leases) => answered(store.update(key, change, leases)),
    acquireLease: (key, holder, ttlMs) => answered(store.acquireLease(key, holder, ttlMs), giveBack),
    renewLease: (lease, ttlMs) => answered(store.renewLease(lease, ttlMs)),
    releaseLease: (lease) => answered(store.releaseLease(lease)),
    isLeased: (key) => answered(store.isLeased(key)),
    watch: (key, listener) => store.watch(key, listener),
  }
}
