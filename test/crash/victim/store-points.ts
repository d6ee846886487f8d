// A store whose writes and leases are points of the journal.
// Must never change what is written, nor name a write by anything secret in it.

import type { SessionRecord, SessionStore } from '../../../src/sessions/index.js'
import type { Points } from './points.js'

/** What a write is about, in a word or two. */
function nameOf(before: SessionRecord | undefined, after: SessionRecord | undefined): string {
  const [was, is] = [before?.session, after?.session]
  if (is === undefined || after === undefined) return 'removal'
  if (before?.status !== after.status) return after.status
  if (was?.pending?.kind !== is.pending?.kind) return is.pending === null ? 'decided' : is.pending.kind
  if (was?.signed !== is.signed || before?.secrets.voucher !== after.secrets.voucher) return 'voucher'
  if (was?.spent !== is.spent || was?.accepted !== is.accepted) return 'receipt'
  return 'sighting'
}

export function storeWithPoints(inner: SessionStore, points: Points): SessionStore {
  return {
    ...inner,
    async update(key, change, leases) {
      if (!points.armed) return inner.update(key, change, leases)
      let before: SessionRecord | undefined
      let after: SessionRecord | undefined
      try {
        before = await inner.get(key)
        // A change is pure and may run more than once: this one only tells what will be written.
        after = change(before)
      } catch {
        // Refused, by the record or by the store: the update itself says so to whoever asked for it.
        return inner.update(key, change, leases)
      }
      if (before === after) return inner.update(key, change, leases)
      return points.around(`write of ${nameOf(before, after)}`, () => inner.update(key, change, leases))
    },
    async acquireLease(key, holder, ttlMs) {
      // Who waits for a lease looks again and again; a look that finds it taken writes nothing.
      if (points.armed && (await inner.isLeased(key))) return undefined
      return points.around('lease taken', () => inner.acquireLease(key, holder, ttlMs))
    },
    releaseLease: (lease) => points.around('lease given back', () => inner.releaseLease(lease)),
  }
}
