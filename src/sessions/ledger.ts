// The only writer of channel records: every change is an event that the session machine takes, or it does not happen.
// Must never let something signed leave the process before it is stored, nor sign for a channel without its lease.

import { type SessionContext, type SessionEvent, type SessionView, transitionSession } from '../../machines/index.js'
import type { Hex } from '../protocol/index.js'
import { checkedStore } from './checked-store.js'
import { createDeposits, type Freshness } from './deposits.js'
import { createInFlightRequests, type InFlightRequests } from './in-flight.js'
import { createLeaseQueue, type HeldLease, type LeaseOptions } from './lease-queue.js'
import {
  atStake,
  type ChannelScope,
  emptyRecord,
  isBusy,
  isEnded,
  NO_SECRETS,
  type ResourceAccess,
  type SessionRecord,
  secondaryKey,
  viewOf,
} from './record.js'
import { type Lease, type SessionStore, StoreError } from './store.js'

/** A change that the session machine does not allow. Nothing was written. */
export class IllegalChange extends Error {
  override readonly name = 'IllegalChange'
  constructor(
    readonly event: SessionEvent['type'],
    readonly status: string,
  ) {
    super(`the session machine takes no ${event} while a channel is ${status}`)
  }
}

/** Events that only the holder of the lease may cause: they sign, or say what became of something signed. */
const LEASED: ReadonlySet<SessionEvent['type']> = new Set([
  'OPEN_SIGNED',
  'OPEN_CONFIRMED',
  'OPEN_DROPPED',
  'CHANNEL_ADOPTED',
  'VOUCHER_SIGNED',
  'TOP_UP_SIGNED',
  'TOP_UP_CONFIRMED',
  'TOP_UP_DROPPED',
  'CLOSE_SIGNED',
  'CLOSE_CONFIRMED',
  'CLOSE_ABANDONED',
  'REQUEST_CLOSE_SIGNED',
  'REQUEST_CLOSE_DROPPED',
  'CLOSE_REQUESTED',
  'CLOSE_REQUEST_CANCELLED',
  'GRACE_ELAPSED',
  'WITHDRAW_SIGNED',
  'WITHDRAW_DROPPED',
  'WITHDRAWN',
  'CHANNEL_GONE',
  'SEEN_BLOCK_RESET',
  'DEPOSIT_RESET',
])

/** What a change may carry besides its event. */
export interface ChangeOptions {
  readonly lease?: HeldLease
  /** What the change depends on besides: without each of these leases it is not written. */
  readonly dependsOn?: readonly HeldLease[]
  /** Signed by this change: kept beside the record, never in it. */
  readonly voucher?: Hex
  readonly transaction?: Hex
  /** How the resource that the event names is asked. */
  readonly access?: ResourceAccess
}

export interface Ledger {
  readonly inFlight: InFlightRequests
  read(key: string): Promise<SessionRecord | undefined>
  list(): Promise<readonly SessionRecord[]>
  /**
   * Applies one event to the record of a scope, atomically.
   *
   * @throws IllegalChange when the session machine does not take the event; StoreError when the lease was lost.
   */
  apply(key: string, place: ChannelScope, event: SessionEvent, options?: ChangeOptions): Promise<SessionRecord>
  /**
   * Makes a channel whose open may be included only much later a secondary one, which counts as at stake, so that
   * another one can be opened. First copied, then removed: a crash in between leaves it twice.
   *
   * @returns the record where it is now.
   * @throws IllegalChange when the channel is not being opened; StoreError when the lease was lost.
   */
  makeOpenSecondary(key: string, place: ChannelScope, lease: HeldLease): Promise<SessionRecord>
  /** Whether somebody in this process holds the lease of a channel or waits for it. */
  hasLeaseQueue(key: string): boolean
  /** Waits for the lease of a channel. @throws StoreError `unavailable` when it is not free in time. */
  lease(key: string, options: LeaseOptions): Promise<HeldLease>
  /**
   * The record, once nobody is opening or closing its channel: a holder of the lease is waited for. An opening or
   * closing without a holder is returned as it is; it must be reconciled with the chain.
   *
   * @throws StoreError `unavailable` when it takes too long.
   */
  settled(key: string, options: LeaseOptions & { readonly holdsLease: boolean }): Promise<SessionRecord | undefined>
  /** What planning may see; with the deposits of the payer's other channels, as fresh as that, when a total limit needs them. */
  view(
    record: SessionRecord | undefined,
    place: ChannelScope,
    key: string,
    deposits: Freshness | null,
  ): Promise<SessionView>
}

export interface LedgerOptions {
  readonly store: SessionStore
  readonly now?: () => number
  /** Names the process in leases. */
  readonly holder?: string
  readonly leaseTtlMs?: number
}

const LEASE_TTL_MS = 15_000
const LOOK_AGAIN_MS = 250

/** Creates the ledger over a store. Amounts are decimal strings of base units. */
export function createLedger({
  store,
  now = Date.now,
  holder = crypto.randomUUID(),
  leaseTtlMs = LEASE_TTL_MS,
}: LedgerOptions): Ledger {
  const inFlight = createInFlightRequests()
  const records = checkedStore(store)
  const deposits = createDeposits(records, now)
  const leaseQueue = createLeaseQueue({ store: records, holder, ttlMs: leaseTtlMs, now })

  /**
   * Keeps the record of a channel that has ended before another one takes its place: first it is made sure that the
   * change will be allowed, then the old record is copied, and only then replaced. A crash in between leaves it twice,
   * never nowhere.
   */
  async function archiveReplaced(
    key: string,
    place: ChannelScope,
    event: SessionEvent,
    options: ChangeOptions,
  ): Promise<void> {
    if (event.type !== 'OPEN_SIGNED' && event.type !== 'CHANNEL_ADOPTED') return
    let ended: SessionRecord | undefined
    const look = (stored: SessionRecord | undefined): SessionRecord | undefined => {
      const before = stored ?? emptyRecord(key, place, now())
      ended = isReplaced(before, change(before, event, options, now())) ? before : undefined
      return stored
    }
    await records.update(key, look, leasesOf(options))
    if (ended === undefined) return
    const archived = { ...ended, key: secondaryKey(key, ended.session.channelId ?? '') }
    await records.update(archived.key, (existing) => existing ?? archived)
  }

  const ledger: Ledger = {
    inFlight,
    async makeOpenSecondary(key, place, lease) {
      const stored = await records.get(key)
      const channelId = stored?.session.channelId ?? null
      if (stored?.status !== 'opening' || channelId === null)
        throw new IllegalChange('OPEN_DROPPED', stored?.status ?? 'absent')
      const secondary: SessionRecord = { ...stored, key: secondaryKey(key, channelId) }
      const kept = await records.update(secondary.key, (existing) => existing ?? secondary)
      deposits.changed()
      await ledger.apply(key, place, { type: 'OPEN_DROPPED' }, { lease })
      return kept ?? secondary
    },
    read: (key) => records.get(key),
    list: () => records.list(),
    hasLeaseQueue: (key) => leaseQueue.hasQueue(key),
    lease: (key, options) => leaseQueue.acquire(key, options),
    async apply(key, place, event, options = {}) {
      if (LEASED.has(event.type) && options.lease?.key !== key) {
        throw new StoreError('lease_lost', `${event.type} needs the lease of its channel`)
      }
      await archiveReplaced(key, place, event, options)
      let movesDeposit = false
      const changing = (stored: SessionRecord | undefined): SessionRecord => {
        const before = stored ?? emptyRecord(key, place, now())
        const after = change(before, event, options, now())
        movesDeposit ||= atStake(before) !== atStake(after)
        return after
      }
      const record = await records.update(key, changing, leasesOf(options)).finally(() => {
        // Also when nobody knows whether it was written.
        if (movesDeposit) deposits.changed()
      })
      if (record === undefined) throw new StoreError('unavailable', 'the store kept no record of the change')
      return record
    },
    async settled(key, { signal, timeoutMs, holdsLease }) {
      const deadline = now() + timeoutMs
      for (;;) {
        signal.throwIfAborted()
        const record = await records.get(key)
        if (!isBusy(record) || holdsLease) return record
        if (!(await records.isLeased(key))) {
          // Its holder may have finished between the two looks.
          const again = await records.get(key)
          if (again?.version === record.version) return record
          continue
        }
        const left = deadline - now()
        if (left <= 0) throw new StoreError('busy', `the channel stayed ${record.status} for too long`)
        await leaseQueue.change(key, Math.min(left, LOOK_AGAIN_MS), signal)
      }
    },
    async view(record, place, key, freshness) {
      const elsewhere = freshness === null ? '0' : await deposits.elsewhere(place, key, freshness)
      const others = { depositedElsewhere: elsewhere, waiting: inFlight.waiting(key) }
      return viewOf(record ?? emptyRecord(key, place, now()), now(), others)
    },
  }
  return ledger
}

/** All leases that a change is written under, as they are now. */
function leasesOf({ lease, dependsOn = [] }: ChangeOptions): readonly Lease[] {
  return [...(lease === undefined ? [] : [lease]), ...dependsOn].map((held) => held.current())
}

/** Whether a channel that has ended makes room for another one. */
function isReplaced(before: SessionRecord, after: SessionRecord): boolean {
  return before.session.channelId !== null && before.session.channelId !== after.session.channelId && isEnded(before)
}

/** The record after an event, with the secrets that belong to it. Pure. */
function change(record: SessionRecord, event: SessionEvent, options: ChangeOptions, now: number): SessionRecord {
  const next = transitionSession(record, event)
  if (next === undefined) throw new IllegalChange(event.type, record.status)
  return {
    ...record,
    ...next,
    version: record.version + 1,
    usedAt: now,
    secrets: secretsAfter(record, event, next.session, options),
  }
}

function secretsAfter(
  record: SessionRecord,
  event: SessionEvent,
  session: SessionContext,
  options: ChangeOptions,
): SessionRecord['secrets'] {
  const sameChannel = record.session.channelId === session.channelId
  const kept = sameChannel ? record.secrets : NO_SECRETS
  const voucher =
    options.voucher === undefined ? kept.voucher : { cumulative: session.signed, signature: options.voucher }
  const pendingTransaction = session.pending === null ? null : (options.transaction ?? kept.pendingTransaction)
  const isNamed = 'resource' in event && event.resource === session.resource
  const resource = kept.resource ?? (isNamed ? (options.access ?? null) : null)
  return { voucher, pendingTransaction, resource }
}
