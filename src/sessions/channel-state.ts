// What a durable store keeps under one key, a record and a lease, and the steps that change it. Pure.
// Must never do I/O: where it is kept, and how one step after the other, is up to each store.

import type { SessionRecord } from './record.js'
import { checkRecord } from './record-format.js'
import { type Lease, StoreError } from './store.js'

/** A lease as it is kept. Times in milliseconds since the epoch, by the clock of the store. */
export interface KeptLease {
  readonly holder: string
  readonly token: number
  readonly expiresAt: number
  /** For how long it was given, by which a clock that was set back can be noticed. */
  readonly ttlMs: number
}

/** Everything that is kept under one key. */
export interface ChannelState {
  readonly record: SessionRecord | undefined
  readonly lease: KeptLease | undefined
  /** The newest fencing token that was given out: it outlives the lease it was for. */
  readonly lastToken: number
}

/** A key of which nothing is kept yet. */
export const NOTHING_KEPT: ChannelState = { record: undefined, lease: undefined, lastToken: 0 }

/** What a step makes of the state, and what it answers. The same state back: nothing is to be written. */
export interface Stepped<T> {
  readonly state: ChannelState
  readonly result: T
}

/** What a step sees besides the state of its own key. */
export interface Moment {
  /** By the clock of the store. */
  readonly now: number
  /** What is kept under each other key that the step depends on: none of it changes before the step is written. */
  readonly others: ReadonlyMap<string, ChannelState>
}

/** A change of what is kept under one key. May run more than once, and may throw; then it changes nothing. */
export type Step<T> = (state: ChannelState, moment: Moment) => Stepped<T>

/** A lease that ends this much later than it can was given by a clock that was set back since. */
const CLOCK_TOLERANCE_MS = 60_000

/** The lease that is valid now. */
export function heldLease({ lease }: ChannelState, now: number): KeptLease | undefined {
  if (lease === undefined || lease.expiresAt <= now) return undefined
  return lease.expiresAt - now > lease.ttlMs + CLOCK_TOLERANCE_MS ? undefined : lease
}

function isValid(lease: Lease, state: ChannelState, now: number): boolean {
  return heldLease(state, now)?.token === lease.token
}

/** The refusal of a write that a lost lease was given with. Says what is not known yet: that something signed was dropped. */
export function leaseLost(key: string, lease: Lease): StoreError {
  const whose = lease.key === key ? 'this channel' : 'what this change depends on'
  const why = `the lease of ${whose} expired, or was taken over, before the change was written`
  return new StoreError('lease_lost', `${why}; nothing was written, and what was signed for it was dropped unsent`)
}

/** Replaces the record by what `change` makes of it, under leases or without. */
export function changeRecord(
  key: string,
  change: (record: SessionRecord | undefined) => SessionRecord | undefined,
  leases: readonly Lease[],
): Step<SessionRecord | undefined> {
  return (state, { now, others }) => {
    for (const lease of leases) {
      const kept = lease.key === key ? state : (others.get(lease.key) ?? NOTHING_KEPT)
      if (!isValid(lease, kept, now)) throw leaseLost(key, lease)
    }
    const record = change(state.record)
    if (record === undefined || record === state.record) return { state, result: record }
    checkRecord(record, key)
    return { state: { ...state, record }, result: record }
  }
}

/** Gives the lease to `holder` if nobody has it. */
export function takeLease(key: string, holder: string, ttlMs: number): Step<Lease | undefined> {
  return (state, { now }) => {
    if (heldLease(state, now) !== undefined) return { state, result: undefined }
    const token = state.lastToken + 1
    const kept = { holder, token, expiresAt: now + ttlMs, ttlMs }
    return { state: { ...state, lease: kept, lastToken: token }, result: leaseOf(key, kept) }
  }
}

/** Prolongs a lease that is still valid. */
export function prolongLease(lease: Lease, ttlMs: number): Step<Lease | undefined> {
  return (state, { now }) => {
    if (!isValid(lease, state, now)) return { state, result: undefined }
    const kept = { holder: lease.holder, token: lease.token, expiresAt: now + ttlMs, ttlMs }
    return { state: { ...state, lease: kept }, result: leaseOf(lease.key, kept) }
  }
}

/** Gives a lease back; one that was lost is ignored. */
export function giveLeaseBack(lease: Lease): Step<void> {
  return (state, { now }) => ({
    state: isValid(lease, state, now) ? { ...state, lease: undefined } : state,
    result: undefined,
  })
}

function leaseOf(key: string, { holder, token, expiresAt }: KeptLease): Lease {
  return { key, holder, token, expiresAt }
}
