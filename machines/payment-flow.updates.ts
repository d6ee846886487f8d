// Context updates of the payment-flow machine, as pure functions of context and event.
// Must never decide where a flow goes next: that is said by the machine's transitions.

import { type Amount, add, max } from './amount.js'
import { CODE_FACTS, codeOfEvent, LOCAL_EVENTS } from './codes.js'
import type {
  AnswerFacts,
  Authorised,
  Demand,
  PaymentFlowContext,
  PaymentFlowEvent,
  PaymentFlowInput,
} from './payment-flow.types.js'
import { movedBy } from './planning.js'

/** What an update changes of the context. */
export type Change = Partial<PaymentFlowContext>

/** The first backoff, doubled at each repetition. */
const BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 8_000
/** The longest that a server's Retry-After is obeyed. */
const LONGEST_RETRY_AFTER_MS = 30_000

/** Of a flow that has signed and sent nothing. */
export const NOTHING_AUTHORISED: Authorised = {
  channelId: null,
  deposit: '0',
  cumulative: '0',
  feeAtMost: '0',
  vouchersSigned: 0,
  paidSends: 0,
}

/** Context of a flow that has not sent anything yet. */
export function initialContext(input: PaymentFlowInput): PaymentFlowContext {
  return {
    flow: input.flow,
    purpose: input.purpose,
    request: input.request,
    limits: input.limits,
    bounds: input.bounds ?? {},
    counts: {},
    closing: input.closing ?? null,
    challenge: null,
    unreadChallenges: 0,
    skipChallenges: 0,
    anotherOffer: false,
    session: null,
    plan: null,
    demand: null,
    reconciled: false,
    approvedDeposit: null,
    turn: 'none',
    afterBackoff: 'requesting',
    backoffMs: 0,
    retryAfterMs: null,
    disputed: null,
    mayHaveBeenCharged: false,
    authorised: NOTHING_AUTHORISED,
    references: { requestId: null, challengeId: null, channelId: input.closing ?? null, httpStatus: null },
    rejectedBy: null,
    receipt: null,
    receiptProblem: null,
    settlement: null,
    failure: null,
  }
}

/** Bounds of events that stand for no code of their own; codes have theirs in CODE_FACTS. */
const EVENT_BOUNDS: Readonly<Record<string, number>> = {
  DIGEST_MISMATCH: 1,
  SESSION_CHANGED: 64,
  CONTENTION: 32,
  // Waits that an answer with a challenge asked for: the first answer, and those to three refused payments.
  RETRY_AFTER: 4,
  TURN_GRANTED: 64,
  OPERATION_UNDECIDED: 12,
  TOPPED_UP: 4,
  TOP_UP_UNCONFIRMED: 2,
  // Opens in place of a channel that was in use: whatever a server says and does, one a flow.
  OPEN_SIGNED: 1,
  CLOSE_UNCONFIRMED: 3,
}

/** Every name under which a policy may bound a recovery: codes, events of codes, and events that stand for no code. */
export const BOUNDED: readonly string[] = [
  ...Object.keys(CODE_FACTS),
  ...Object.values(LOCAL_EVENTS),
  ...Object.keys(EVENT_BOUNDS),
]

/** How many times a flow may take the recovery that `type` causes, unless the caller's policy says otherwise. */
export function defaultBoundOf(type: string): number {
  const code = codeOfEvent(type)
  return code === undefined ? (EVENT_BOUNDS[type] ?? 0) : CODE_FACTS[code].bound
}

/** How many times a flow may take the recovery that `type` causes; a policy names it by the event or by its code. */
export function boundOf(context: PaymentFlowContext, type: string): number {
  const code = codeOfEvent(type)
  return context.bounds[type] ?? (code === undefined ? undefined : context.bounds[code]) ?? defaultBoundOf(type)
}

/** Both say that the channel is gone: a flow gets over that once, whichever of them says it. */
const DENIALS: readonly string[] = ['session/channel-not-found', 'session/channel-finalized']

/** How many recoveries of this kind are left. */
export function recoveriesLeft(context: PaymentFlowContext, type: string): number {
  const alike = DENIALS.includes(type) ? DENIALS : [type]
  const used = alike.reduce((sum, name) => sum + (context.counts[name] ?? 0), 0)
  return Math.max(0, boundOf(context, type) - used)
}

/**
 * Under which name a recovery is counted. A voucher that was refused while other requests shared it says nothing against
 * this flow: such refusals are counted, and bounded, apart. So are those of a voucher that a higher one has overtaken,
 * which a server cannot verify any more. A wait that was asked for, before a challenge is answered or after the chain was
 * asked, is no recovery by its own name.
 */
export function recoveryName(event: PaymentFlowEvent): string {
  if (event.type === 'CHALLENGE_ACCEPTED' || event.type === 'SESSION_RECONCILED') return 'RETRY_AFTER'
  const contended = 'contended' in event && event.contended && REFUSES_VOUCHER.has(event.type)
  const overtaken = 'overtaken' in event && event.overtaken === true && REFUSES_LOWER_VOUCHER.has(event.type)
  return contended || overtaken ? CONTENTION : event.type
}

const CONTENTION = 'CONTENTION'
const REFUSES_VOUCHER: ReadonlySet<string> = new Set([
  'mpp_voucher_bucket_refresh_required',
  'mpp_request_exceeds_voucher_bucket',
  'payment-insufficient',
  'session/delta-too-small',
  'session/insufficient-balance',
])
const REFUSES_LOWER_VOUCHER: ReadonlySet<string> = new Set(['mpp_payment_verification_failed', 'verification-failed'])

/** Counts one recovery. */
export function count(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  return countAs(context, recoveryName(event))
}

/** Counts one more of a name: what a server may ask to wait for is bounded by the flow, whichever codes it says it with. */
export function countAs(context: PaymentFlowContext, name: string): Change {
  return { counts: { ...context.counts, [name]: (context.counts[name] ?? 0) + 1 } }
}

function factsOf(event: PaymentFlowEvent): AnswerFacts | null {
  return 'challengesOffered' in event ? event : null
}

/** Keeps what an answer says about itself: ids, status, how many challenges it carried. */
export function noteAnswer(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  const facts = factsOf(event)
  if (facts === null) return {}
  const accepted = event.type === 'PAID_ANSWER_RECEIVED' || event.type === 'ANSWER_RECEIVED'
  const challenged =
    event.type === 'CHALLENGE_RECEIVED' ||
    (facts.cumulative === null && (event.type === 'payment_required' || event.type === 'payment-required'))
  // What left a paid send open stays the cause of all that comes of it.
  const left = context.mayHaveBeenCharged
  return {
    unreadChallenges: facts.challengesOffered,
    skipChallenges: 0,
    turn: 'none',
    reconciled: false,
    retryAfterMs: longer(context.retryAfterMs, facts.retryAfterMs),
    rejectedBy: accepted || challenged || left ? context.rejectedBy : (codeOfEvent(event.type) ?? event.type),
    references: {
      ...context.references,
      requestId: facts.requestId ?? context.references.requestId,
      challengeId: facts.challengeId ?? context.references.challengeId,
      // Zero: found before anything was sent.
      httpStatus: facts.status === 0 ? null : facts.status,
    },
    authorised: notePaidSend(context.authorised, facts),
  }
}

/** Keeps an answer that asks for payment: whatever code stands on it, it refuses nothing that this flow has sent. */
export function noteOffer(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  return { ...noteAnswer(context, event), rejectedBy: context.rejectedBy }
}

/** Whether an answer said when to come back, and that was not waited for yet. */
export function isAskedToWait({ retryAfterMs }: PaymentFlowContext): boolean {
  return retryAfterMs !== null && retryAfterMs > 0
}

function longer(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}

function notePaidSend(authorised: Authorised, facts: AnswerFacts): Authorised {
  if (facts.cumulative === null) return authorised
  return {
    ...authorised,
    paidSends: authorised.paidSends + 1,
    cumulative: max(authorised.cumulative, facts.cumulative),
  }
}

/** A paid send whose answer never came counts as sent: what it carried may have been taken. */
export function noteSend(context: PaymentFlowContext): Change {
  const { authorised, session } = context
  const cumulative = max(authorised.cumulative, session?.signed ?? '0')
  return { authorised: { ...authorised, paidSends: authorised.paidSends + 1, cumulative } }
}

/** Rejections after which the work may have run all the same. */
const LEAVES_OPEN: ReadonlySet<string> = new Set(['mpp_commit_failed', 'internal-payment-error'])
const TOO_MANY_REQUESTS = 429

/** Whether a paid send that ended with `event` may have been carried out and charged. */
function leavesOpen(event: PaymentFlowEvent): boolean {
  const facts = factsOf(event)
  // Cancelled or broken off: the send may have left by then.
  if (facts === null) return true
  if (facts.cumulative === null) return false
  if (event.type === 'RATE_LIMITED' || event.type === 'SERVER_FAILED') return true
  if (event.type === 'PAYMENT_REJECTED') {
    return event.code === null || facts.status === TOO_MANY_REQUESTS || facts.status >= 500
  }
  return LEAVES_OPEN.has(event.type)
}

/** Remembers, to the flow's end, that a paid send was left open. */
export function noteOpenSend(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  return context.purpose === 'pay' && leavesOpen(event) ? { mayHaveBeenCharged: true } : {}
}

function demand(context: PaymentFlowContext, event: PaymentFlowEvent, kind: Demand['kind']): Change {
  const facts = factsOf(event)
  return {
    demand: {
      kind,
      channelId: context.session?.channelId ?? null,
      above: facts?.cumulative ?? context.session?.signed ?? '0',
      depositAbove: context.session?.deposit ?? '0',
      step: facts?.requiredTopUp ?? null,
      contentions: context.counts[CONTENTION] ?? 0,
    },
  }
}

/** Refusals by which a server says that a voucher is used up: less is left of it than the request costs. */
const USED_UP: ReadonlySet<string> = new Set(['session/insufficient-balance', 'payment-insufficient'])

/** The cumulative amount that the gateway says is used up, when that was its last refusal of this flow; else null. */
export function usedUp({ demand, rejectedBy, session }: PaymentFlowContext): Amount | null {
  if (demand?.kind !== 'voucher' || rejectedBy === null || !USED_UP.has(rejectedBy)) return null
  return demand.channelId !== null && demand.channelId === session?.channelId ? demand.above : null
}

/** The next voucher must authorise more than the refused one did. */
export const demandVoucher = (context: PaymentFlowContext, event: PaymentFlowEvent): Change =>
  demand(context, event, 'voucher')

/** The channel must hold more than it did when it was refused. */
export const demandDeposit = (context: PaymentFlowContext, event: PaymentFlowEvent): Change =>
  demand(context, event, 'deposit')

/** The voucher must be signed anew. */
export const demandSignature = (context: PaymentFlowContext, event: PaymentFlowEvent): Change =>
  demand(context, event, 'signature')

/** Keeps the accepted challenge. What was approved for another channel, or for a fee that others pay, is asked for anew. */
export function noteChallenge(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  if (event.type !== 'CHALLENGE_ACCEPTED') return {}
  const { challenge: before, approvedDeposit } = context
  const { channelKey, feePayer } = event.challenge
  const isSame = before?.channelKey === channelKey && (feePayer || !before.feePayer)
  return {
    challenge: event.challenge,
    approvedDeposit: isSame ? approvedDeposit : null,
    anotherOffer: event.another === true,
    unreadChallenges: 0,
    references: { ...context.references, challengeId: event.challenge.id },
  }
}

/** Whether this flow has signed or sent anything. */
export function hasAuthorised({ authorised }: PaymentFlowContext): boolean {
  const { deposit, vouchersSigned, paidSends } = authorised
  return deposit !== '0' || vouchersSigned > 0 || paidSends > 0
}

/** Passes over the accepted challenge, and leaves what was found out about its channel. */
export function takeAnotherOffer(context: PaymentFlowContext): Change {
  return {
    skipChallenges: context.skipChallenges + 1,
    anotherOffer: false,
    session: null,
    plan: null,
    demand: null,
    reconciled: false,
    approvedDeposit: null,
    turn: 'none',
    references: { ...context.references, channelId: null },
  }
}

/** Keeps the newest view of the channel. */
export function noteSession(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  if (!('session' in event)) return {}
  const channelId = event.session.channelId ?? context.references.channelId
  return {
    session: event.session,
    reconciled: event.type === 'SESSION_RECONCILED',
    turn: event.type === 'TURN_GRANTED' ? event.grant : context.turn,
    references: { ...context.references, channelId },
  }
}

/** Keeps what was signed: nothing signed is ever forgotten. */
export function noteSigned(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  const { authorised } = context
  if (event.type === 'OPEN_SIGNED') {
    return {
      ...(authorised.paidSends > 0 && count(context, event)),
      // What was approved is used up: the next deposit is asked for anew.
      approvedDeposit: null,
      authorised: {
        ...authorised,
        channelId: event.session.channelId,
        deposit: add(authorised.deposit, event.deposit),
        feeAtMost: add(authorised.feeAtMost, event.feeAtMost),
        vouchersSigned: authorised.vouchersSigned + 1,
      },
    }
  }
  if (event.type === 'VOUCHER_SIGNED') {
    const signedAnew = context.demand?.kind === 'signature' ? { demand: null } : {}
    return {
      ...signedAnew,
      authorised: {
        ...authorised,
        channelId: event.session.channelId,
        vouchersSigned: authorised.vouchersSigned + 1,
      },
    }
  }
  if (event.type === 'TOP_UP_SIGNED') {
    const deposit = add(authorised.deposit, event.additionalDeposit)
    const feeAtMost = add(authorised.feeAtMost, event.feeAtMost)
    return { approvedDeposit: null, authorised: { ...authorised, deposit, feeAtMost } }
  }
  // One refusal is answered by one top-up, also when the ledger believed in a larger deposit than the chain has.
  if (event.type === 'TOPPED_UP' && context.demand?.kind === 'deposit') return { demand: null }
  return {}
}

/** Keeps the approval for the deposit that the plan asks for. */
export function noteApproval(context: PaymentFlowContext): Change {
  const { plan } = context
  return plan === null ? {} : { approvedDeposit: movedBy(plan) }
}

/** Keeps how the receipt was judged; a bad receipt never costs the answer. */
export function noteReceipt(_context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  if (event.type === 'RECEIPT_VERIFIED') return { receipt: event.receipt, receiptProblem: null }
  if (event.type === 'RECEIPT_MISSING') return { receiptProblem: 'the answer carries no receipt' }
  if (event.type === 'RECEIPT_REJECTED') return { receiptProblem: event.reason }
  return {}
}

/** Keeps what a close has settled and refunded. */
export function noteSettlement(_context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  if (event.type !== 'CLOSE_CONFIRMED') return {}
  return { settlement: { settled: event.settled, refunded: event.refunded, txHash: event.txHash } }
}

/** How long to wait, and where to go on afterwards. Jitter is added by whoever waits. */
export function backOff(
  context: PaymentFlowContext,
  event: PaymentFlowEvent,
  afterBackoff: PaymentFlowContext['afterBackoff'],
): Change {
  if (event.type === 'OPERATION_UNDECIDED') return { afterBackoff, backoffMs: event.waitMs }
  const repetition = Math.max(0, (context.counts[event.type] ?? 1) - 1)
  const growing = Math.min(LONGEST_BACKOFF_MS, BACKOFF_MS * 2 ** repetition)
  // What the chain is waited for is no answer to the gateway: its wait is still ahead.
  const asksGateway = afterBackoff === 'parsing' || afterBackoff === 'requesting'
  if (factsOf(event) === null && !asksGateway) return { afterBackoff, backoffMs: growing }
  const asked = context.retryAfterMs
  const backoffMs = asked === null ? growing : Math.min(asked, LONGEST_RETRY_AFTER_MS)
  return { afterBackoff, backoffMs, retryAfterMs: null }
}
