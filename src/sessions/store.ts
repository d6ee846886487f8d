// What the ledger asks of a place that keeps its records: atomic updates, leases with fencing, a list.
// Must never be given meaning here: which change is legal is decided by the session machine, not by a store.

import type { SessionRecord } from './record.js'

/** The right to sign for one channel, for a while. */
export interface Lease {
  readonly key: string
  readonly holder: string
  /** Grows with every lease of this key: a holder that lost its lease carries a smaller one and cannot write. */
  readonly token: number
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/**
 * Why a store refused.
 * - `lease_lost`: a lease given with an update has expired or was taken over.
 * - `busy`: others held the channel, or its lock, for too long; the store itself works.
 * - `unavailable`: the store cannot be reached or does not work. The message says where it is and what to do about it.
 * - `damaged`: what is stored of a channel cannot be read; the channel is refused until somebody repaired it.
 * - `newer_format`: it was written by a newer version of this package, and is left as it is.
 */
export type StoreRefusal = 'lease_lost' | 'busy' | 'unavailable' | 'damaged' | 'newer_format'

/** A store that refused. Nothing was written by what it refused. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly #intact: readonly SessionRecord[]
  constructor(
    readonly reason: StoreRefusal,
    message: string,
    more: { readonly intact?: readonly SessionRecord[] } = {},
  ) {
    super(message)
    this.#intact = more.intact ?? []
  }

  /**
   * When a list failed over some records: the others, for who may do without the rest. They hold signatures, so that nothing
   * that prints or serialises the error shows them.
   */
  get intact(): readonly SessionRecord[] {
    return this.#intact
  }
}

/** Whether a refusal is about one record that cannot be read, and not about the store. */
export function isOfOneRecord({ reason }: StoreError): boolean {
  return reason === 'damaged' || reason === 'newer_format'
}

/**
 * A place that keeps session records. All methods may be called by many flows, and by many processes, at once.
 */
export interface SessionStore {
  /** The record under `key`, or undefined. @throws StoreError `damaged` or `newer_format` when it cannot be read. */
  get(key: string): Promise<SessionRecord | undefined>
  /**
   * Every record, also of channels that have ended.
   *
   * @throws StoreError `damaged` or `newer_format` when one of them cannot be read: a list that left it out would make a
   * limit over all channels look wider than it is. `intact` has the others.
   */
  list(): Promise<readonly SessionRecord[]>
  /**
   * Replaces the record under `key` by what `change` makes of it, atomically: no other update comes between.
   * `change` is pure and may run more than once; returning its argument leaves the record as it is.
   *
   * `leases` are all that the change depends on: that of the record itself, and of whatever else was read under a lease,
   * a sum over all channels, say. They are checked where the record is written, so that none of them can be given to
   * somebody else in between: the lease of another key as well as that of `key`.
   *
   * @throws StoreError `lease_lost` when one of `leases` is no longer valid under its own key; nothing is written then.
   */
  update(
    key: string,
    change: (record: SessionRecord | undefined) => SessionRecord | undefined,
    leases?: readonly Lease[],
  ): Promise<SessionRecord | undefined>
  /** Takes the lease of `key` if nobody holds it. */
  acquireLease(key: string, holder: string, ttlMs: number): Promise<Lease | undefined>
  /** Prolongs a lease that is still valid; undefined when it was lost. */
  renewLease(lease: Lease, ttlMs: number): Promise<Lease | undefined>
  /** Gives the lease back. A lost lease is ignored. */
  releaseLease(lease: Lease): Promise<void>
  /** Whether somebody holds the lease of `key` now. */
  isLeased(key: string): Promise<boolean>
  /** Calls `listener` when the record or the lease of `key` may have changed. Best effort: waiters also look by themselves. */
  watch(key: string, listener: () => void): () => void
}
