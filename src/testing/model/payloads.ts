// The payloads of the event cases: what a gateway that charges by the bucket, its chain and the ledger would report.
// Must never hold a value that no real channel could have.

import {
  type AnswerFacts,
  add,
  type ChallengeSummary,
  type PaymentFlowContext,
  type SessionView,
} from '../../../machines/index.js'
import type { Finding } from './causes.js'

/** One token, in base units: the size of a bucket. */
export const BUCKET = '1000000'
/** What challenges suggest as a deposit, in base units. */
export const SUGGESTED_DEPOSIT = '5000000'
/** What a transaction may cost, in base units. */
export const FEE_AT_MOST = '20000'
/** Stands for whatever id the first channel of a flow has. */
export const MODEL_CHANNEL = `0x${'c1'.repeat(32)}`

/** The id of a channel that is opened now: another one than any before. */
export function nextChannel({ references }: Pick<PaymentFlowContext, 'references'>): string {
  return references.channelId === null ? MODEL_CHANNEL : `0x${(BigInt(references.channelId) + 1n).toString(16)}`
}

export function facts(more: Partial<AnswerFacts>): AnswerFacts {
  return {
    status: 402,
    requestId: 'request',
    challengeId: null,
    challengesOffered: 0,
    cumulative: null,
    requiredTopUp: null,
    retryAfterMs: null,
    contended: false,
    ...more,
  }
}

export const MODEL_CHALLENGE: ChallengeSummary = {
  id: 'challenge',
  realm: 'gateway.example',
  channelKey: 'key',
  amount: BUCKET,
  unitType: null,
  suggestedDeposit: SUGGESTED_DEPOSIT,
  minVoucherDelta: '0',
  currency: `0x20c0${'0'.repeat(36)}`,
  recipient: `0x${'9a'.repeat(20)}`,
  operator: `0x${'0'.repeat(40)}`,
  chainId: 42431,
  escrow: '0x4d50500000000000000000000000000000000000',
  feePayer: false,
  expiresAt: null,
  snapshot: null,
}

/** An offer in another token, of which the wallet has nothing. */
export const BEYOND_THE_WALLET: ChallengeSummary = {
  ...MODEL_CHALLENGE,
  channelKey: 'other key',
  currency: `0x20c0${'0'.repeat(35)}1`,
}

const NO_CHANNEL: SessionView = {
  status: 'absent',
  channelId: null,
  deposit: '0',
  signed: '0',
  accepted: '0',
  spent: '0',
  reserved: '0',
  unacknowledged: '0',
  waiting: 0,
  depositedElsewhere: '0',
  pending: null,
  pendingAmount: '0',
  spendable: null,
}

const ONE_BUCKET: SessionView = {
  ...NO_CHANNEL,
  status: 'open',
  channelId: MODEL_CHANNEL,
  deposit: SUGGESTED_DEPOSIT,
  signed: BUCKET,
  accepted: BUCKET,
  // A tenth of the bucket was used.
  spent: '100000',
}

/** The channel as the ledger holds it when a flow finds it first. */
export const FOUND: Readonly<Record<Exclude<Finding, 'unchanged'>, SessionView>> = {
  absent: NO_CHANNEL,
  open: ONE_BUCKET,
  'used-up': { ...ONE_BUCKET, deposit: BUCKET },
  opening: {
    ...NO_CHANNEL,
    status: 'opening',
    channelId: MODEL_CHANNEL,
    signed: BUCKET,
    pending: 'open',
    pendingAmount: SUGGESTED_DEPOSIT,
  },
  'topping-up': {
    ...ONE_BUCKET,
    status: 'toppingUp',
    deposit: BUCKET,
    pending: 'topUp',
    pendingAmount: SUGGESTED_DEPOSIT,
  },
  closing: { ...ONE_BUCKET, status: 'closing', pending: 'close' },
  overdrawn: { ...ONE_BUCKET, deposit: BUCKET, signed: '2000000' },
  'close-requested': { ...ONE_BUCKET, status: 'closeRequested', pending: null },
  closed: { ...ONE_BUCKET, status: 'closed' },
}

/** What the flow knows of its channel; a flow that closes one has not looked yet, and will find it open. */
export function sessionOf({ session, purpose }: PaymentFlowContext): SessionView {
  return session ?? (purpose === 'close' ? ONE_BUCKET : NO_CHANNEL)
}

/** The channel once what is pending has been included. */
export function included(session: SessionView): SessionView {
  return {
    ...session,
    status: 'open',
    deposit: add(session.deposit, session.pendingAmount),
    pending: null,
    pendingAmount: '0',
  }
}

/** The channel once what is pending can no longer be included. */
export function dropped(session: SessionView): SessionView {
  if (session.status === 'opening') return NO_CHANNEL
  return { ...session, status: 'open', pending: null, pendingAmount: '0' }
}

/** The channel once it is over. */
export function ended(session: SessionView): SessionView {
  return { ...session, status: 'closed', pending: null, pendingAmount: '0' }
}
