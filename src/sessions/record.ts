// One channel's record as it is stored: what the session machine decides, and the secrets that go with it.
// Must never be logged or shown as a whole: `secrets` holds signatures and signed transactions.

import {
  ABSENT_SESSION,
  type Amount,
  add,
  depositAtStake,
  max,
  type SessionContext,
  type SessionState,
  type SessionStatus,
  type SessionView,
  subtract,
  sum,
} from '../../machines/index.js'
import type { Address, Hex } from '../protocol/index.js'

/** Version of the stored format. A newer one is refused, an older one migrated. */
export const RECORD_FORMAT = 2

/** Who pays whom, where, with what: a channel is shared by everything that has this in common. */
export interface ChannelScope {
  readonly chainId: number
  readonly escrow: Address
  readonly payer: Address
  /** The key that signs vouchers; the payer itself unless another signer was authorised. */
  readonly signer: Address
  readonly payee: Address
  readonly token: Address
  readonly operator: Address
}

/** How the resource of a channel is asked, besides its origin and path. */
export interface ResourceAccess {
  /** Of requests without a body: what asks for the content where that has no effects, POST otherwise. */
  readonly method: 'GET' | 'HEAD' | 'POST'
  /** With its `?`, or empty. May hold keys of the caller. */
  readonly query: string
}

/** What was signed, and what the caller may have a secret in. Leaves the ledger only inside a request to the payee. */
export interface SessionSecrets {
  readonly voucher: { readonly cumulative: Amount; readonly signature: Hex } | null
  readonly pendingTransaction: Hex | null
  /** Belongs to `session.resource`; null when that is not known, or was noted before this was. */
  readonly resource: ResourceAccess | null
}

/** What a record holds of a channel of which nothing was signed. */
export const NO_SECRETS: SessionSecrets = { voucher: null, pendingTransaction: null, resource: null }

/** A stored record. `version` grows with every change. */
export interface SessionRecord extends SessionState {
  readonly format: typeof RECORD_FORMAT
  readonly key: string
  readonly version: number
  readonly place: ChannelScope
  readonly status: SessionStatus
  readonly session: SessionContext
  readonly secrets: SessionSecrets
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly usedAt: number
}

/** The key under which flows of one scope share a channel. */
export function channelKey(place: ChannelScope): string {
  const { chainId, escrow, payer, signer, payee, token, operator } = place
  return [chainId, escrow, payer, signer, payee, token, operator].join(':').toLowerCase()
}

/** The key of a channel that has ended and made room, or that was found where another one is in use. */
export function secondaryKey(key: string, channelId: string): string {
  return `${key}#${channelId}`
}

/** Whether `key` is that of a secondary channel: one beside the channel in use at `own`. */
export function isSecondary(key: string, own: string): boolean {
  return key.startsWith(`${own}#`)
}

/** A record for a scope that has no channel yet. */
export function emptyRecord(key: string, place: ChannelScope, now: number): SessionRecord {
  return {
    format: RECORD_FORMAT,
    key,
    version: 0,
    place,
    status: 'absent',
    session: ABSENT_SESSION,
    secrets: NO_SECRETS,
    createdAt: now,
    usedAt: now,
  }
}

const ENDED: ReadonlySet<SessionStatus> = new Set(['absent', 'closed', 'withdrawn', 'lost'])

/** Whether a record's channel is over, or never was. */
export function isEnded(record: SessionRecord): boolean {
  return ENDED.has(record.status)
}

/** Whether a channel is being opened or closed: by a holder of its lease, or by one that is gone. */
export function isBusy(record: SessionRecord | undefined): record is SessionRecord {
  return record?.status === 'opening' || record?.status === 'closing'
}

/** What planning may see of a record. Amounts in base units. */
export function viewOf(
  record: SessionRecord,
  now: number,
  others: { readonly depositedElsewhere: Amount; readonly waiting: number },
): SessionView {
  const { status, session } = record
  // What a payee has taken is presumed to be spent. It makes no room for more: only a receipt acknowledges work.
  const presumed = max(add(session.spent, session.unacknowledged), session.settled)
  const live = session.reservations.filter((held) => held.until > now)
  return {
    status,
    channelId: session.channelId,
    deposit: session.deposit,
    signed: session.signed,
    accepted: session.accepted,
    spent: session.spent,
    unacknowledged: subtract(presumed, session.spent),
    reserved: sum(live.map((held) => held.amount)),
    ...others,
    pending: session.pending?.kind ?? null,
    pendingAmount: session.pending?.amount ?? '0',
    spendable: null,
  }
}

/** What a record's channel holds or may soon hold: deposits confirmed and signed for, in base units. */
export function atStake(record: SessionRecord): Amount {
  return isEnded(record) ? '0' : depositAtStake(record.session)
}
