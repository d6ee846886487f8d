// Where every rejection leads: the only place in which an error code becomes an arrow.
// Must never grow an unbounded loop: every arrow that goes back is guarded by a bound, and ends in `failed` without it.

import type { MppCode, ProblemType } from './codes.js'
import { to } from './leads-to.js'

/** A row for every code, and none for what is no code: one without an arrow would be dropped by the machine. */
type Rows = Readonly<Record<MppCode | ProblemType, readonly object[]>>

/**
 * Ids that the arrows point at; the machine's states carry the same names. Arrows to `requesting` may start there: they
 * re-enter it, because only then the request is sent again.
 */
const REQUESTING = '#paymentFlow.requesting'
const PARSING = '#paymentFlow.parsingChallenge'
const RECONCILING = '#paymentFlow.authorizing.reconcilingSession'
const BACKING_OFF = '#paymentFlow.backingOff'
const FAILED = '#paymentFlow.failed'

const terminal = [{ target: FAILED, actions: ['noteAnswer', 'fail'] }] as const

const reChallenge = [
  { guard: 'withinBoundAndChallenged', target: PARSING, actions: ['count', 'noteAnswer'], meta: to.reChallenge },
  {
    guard: 'withinBoundToldToWait',
    target: BACKING_OFF,
    actions: ['count', 'countWait', 'noteAnswer', 'backOffToRequesting'],
    meta: to.reChallenge,
  },
  { guard: 'withinBound', target: REQUESTING, reenter: true, actions: ['count', 'noteAnswer'], meta: to.reChallenge },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const refreshVoucher = [
  {
    guard: 'withinBoundAndChallenged',
    target: PARSING,
    actions: ['count', 'demandVoucher', 'noteAnswer'],
    meta: to.voucherRefresh,
  },
  {
    guard: 'withinBoundToldToWait',
    target: BACKING_OFF,
    actions: ['count', 'countWait', 'demandVoucher', 'noteAnswer', 'backOffToRequesting'],
    meta: to.voucherRefresh,
  },
  {
    guard: 'withinBound',
    target: REQUESTING,
    reenter: true,
    actions: ['count', 'demandVoucher', 'noteAnswer'],
    meta: to.voucherRefresh,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const topUp = [
  {
    guard: 'withinBoundAndChallenged',
    target: PARSING,
    actions: ['count', 'demandDeposit', 'noteAnswer'],
    meta: to.topUp,
  },
  {
    guard: 'withinBoundToldToWait',
    target: BACKING_OFF,
    actions: ['count', 'countWait', 'demandDeposit', 'noteAnswer', 'backOffToRequesting'],
    meta: to.topUp,
  },
  {
    guard: 'withinBound',
    target: REQUESTING,
    reenter: true,
    actions: ['count', 'demandDeposit', 'noteAnswer'],
    meta: to.topUp,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const reconcileAndSignAnew = [
  {
    guard: 'withinBoundOnChannel',
    target: RECONCILING,
    actions: ['count', 'demandSignature', 'dispute', 'noteAnswer'],
    meta: to.reconcile,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const askTheChain = [
  {
    guard: 'withinBoundOnChannel',
    target: RECONCILING,
    actions: ['count', 'dispute', 'noteAnswer'],
    meta: to.reconcile,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

export const backOffAndReChallenge = [
  {
    guard: 'withinBound',
    target: BACKING_OFF,
    actions: ['count', 'noteAnswer', 'backOffToRequesting'],
    meta: to.reChallenge,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const anotherMethod = [
  {
    guard: 'anotherChallengeOffered',
    target: PARSING,
    actions: ['count', 'noteAnswer', 'skipChallenge'],
    meta: to.nextOffer,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

const repeatWorkIfAllowed = [
  {
    guard: 'mayRepeatWork',
    target: BACKING_OFF,
    actions: ['count', 'noteAnswer', 'noteOpenSend', 'backOffToRequesting'],
    meta: to.reChallenge,
  },
  { target: FAILED, actions: ['noteAnswer', 'noteOpenSend', 'fail'] },
] as const

const workMayHaveRun = [{ target: FAILED, actions: ['noteAnswer', 'noteOpenSend', 'fail'] }] as const

/**
 * One arrow, or one guarded group of arrows, per code of the gateway and per standard problem type.
 *
 * @see Ando, "Errors", Tempo MPP errors; "Payment" HTTP Authentication Scheme, problem types
 */
export const REJECTIONS = {
  payment_required: reChallenge,
  mpp_session_deposit_below_request_cost: topUp,
  mpp_malformed_credential: reChallenge,
  mpp_method_unsupported: anotherMethod,
  mpp_invalid_challenge: reChallenge,
  mpp_body_digest_mismatch: reChallenge,
  mpp_request_quote_invalid: terminal,
  mpp_request_exceeds_voucher_bucket: refreshVoucher,
  mpp_payment_verification_failed: reconcileAndSignAnew,
  mpp_payer_not_allowed: terminal,
  mpp_voucher_bucket_refresh_required: refreshVoucher,
  mpp_reservation_failed: backOffAndReChallenge,
  mpp_commit_failed: repeatWorkIfAllowed,
  mpp_session_close_unavailable: terminal,
  mpp_session_close_failed: terminal,
  mpp_streaming_unavailable: terminal,
  'payment-required': reChallenge,
  'payment-expired': reChallenge,
  'invalid-challenge': reChallenge,
  'session/challenge-not-found': reChallenge,
  'payment-insufficient': refreshVoucher,
  'session/delta-too-small': refreshVoucher,
  'session/insufficient-balance': refreshVoucher,
  'session/amount-exceeds-deposit': topUp,
  'session/invalid-signature': reconcileAndSignAnew,
  'verification-failed': reconcileAndSignAnew,
  'session/signer-mismatch': terminal,
  'session/channel-not-found': askTheChain,
  'session/channel-finalized': askTheChain,
  'malformed-credential': reChallenge,
  'method-unsupported': anotherMethod,
  'internal-payment-error': workMayHaveRun,
} as const satisfies Rows

const refusedAgain = [{ target: FAILED, actions: ['noteAnswer', 'failUnknown'] }] as const

/**
 * The same for a credential that was sent again because its first send was left open. Whatever the server says about it
 * now, it may say because it has charged the first send: nothing new is signed, whichever code it is.
 */
export const RESEND_REJECTIONS = refusedAgainBy(REJECTIONS)

function refusedAgainBy<Code extends string>(rejections: Readonly<Record<Code, unknown>>) {
  const rows = Object.keys(rejections).map((code) => [code, refusedAgain] as const)
  return Object.fromEntries(rows) as Readonly<Record<Code, typeof refusedAgain>>
}

const firstChallenge = [
  { guard: 'challenged', target: PARSING, actions: ['noteOffer'] },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

/**
 * The same for a send without a credential. A code that judges a credential says nothing then: with a challenge beside it,
 * the answer simply is the challenge. What is left of the table judges the request, or the gateway itself.
 */
export const UNPAID_REJECTIONS = {
  ...REJECTIONS,
  payment_required: firstChallenge,
  mpp_session_deposit_below_request_cost: firstChallenge,
  mpp_malformed_credential: firstChallenge,
  mpp_method_unsupported: firstChallenge,
  mpp_invalid_challenge: firstChallenge,
  mpp_body_digest_mismatch: firstChallenge,
  mpp_request_exceeds_voucher_bucket: firstChallenge,
  mpp_payment_verification_failed: firstChallenge,
  mpp_voucher_bucket_refresh_required: firstChallenge,
  'payment-required': firstChallenge,
  'payment-expired': firstChallenge,
  'invalid-challenge': firstChallenge,
  'session/challenge-not-found': firstChallenge,
  'payment-insufficient': firstChallenge,
  'session/delta-too-small': firstChallenge,
  'session/insufficient-balance': firstChallenge,
  'session/amount-exceeds-deposit': firstChallenge,
  'session/invalid-signature': firstChallenge,
  'verification-failed': firstChallenge,
  'session/signer-mismatch': firstChallenge,
  'session/channel-not-found': firstChallenge,
  'session/channel-finalized': firstChallenge,
  'malformed-credential': firstChallenge,
  'method-unsupported': firstChallenge,
} as const satisfies Rows

export const closeAgain = [
  {
    guard: 'withinBound',
    target: '#paymentFlow.closing.backingOff',
    actions: ['count', 'noteAnswer', 'backOffToClosing'],
    meta: to.retryClose,
  },
  { target: FAILED, actions: ['noteAnswer', 'fail'] },
] as const

/** The same for a close credential: what the gateway could not do now is tried again, and the chain is asked each time. */
export const CLOSE_REJECTIONS = {
  ...REJECTIONS,
  mpp_session_close_unavailable: closeAgain,
  mpp_session_close_failed: closeAgain,
  mpp_payment_verification_failed: closeAgain,
  mpp_reservation_failed: closeAgain,
  mpp_commit_failed: terminal,
  mpp_session_deposit_below_request_cost: terminal,
  mpp_voucher_bucket_refresh_required: terminal,
  mpp_request_exceeds_voucher_bucket: terminal,
  'session/invalid-signature': closeAgain,
  'verification-failed': closeAgain,
  'session/channel-not-found': closeAgain,
  'session/channel-finalized': closeAgain,
  'payment-insufficient': terminal,
  'session/delta-too-small': terminal,
  'session/insufficient-balance': terminal,
  'session/amount-exceeds-deposit': terminal,
} as const satisfies Rows
