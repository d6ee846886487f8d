// What a flow fails with: the code of the event that ended it, and what its reader needs to act.
// Must never put text of a server's body into a failure.

import { exceeds, formatAmount } from './amount.js'
import { CODE_FACTS, codeOfEvent, type FailureCode, isFailureCode } from './codes.js'
import type { ApprovalFault, Failure, PaymentFlowContext, PaymentFlowEvent } from './payment-flow.types.js'
import type { Change } from './payment-flow.updates.js'
import { amountOf } from './token-names.js'

/** Events that fail with the code of another event. */
const ALSO: Readonly<Partial<Record<PaymentFlowEvent['type'], FailureCode>>> = {
  DIGEST_MISMATCH: 'challenge_rejected',
  DENY: 'policy_denied',
  FEE_TOO_HIGH: 'limit_exceeded',
  CHALLENGE_ACCEPTED: 'rate_limited',
  SESSION_CHANGED: 'session_unavailable',
  TURN_GRANTED: 'session_unavailable',
  OPERATION_UNDECIDED: 'chain_unavailable',
  TOPPED_UP: 'deposit_too_low',
  TOP_UP_UNCONFIRMED: 'chain_unavailable',
  ANSWER_RECEIVED: 'payment_rejected',
  CLOSE_UNCONFIRMED: 'chain_unavailable',
}

/** Where receipts are missing, or do not say what was spent, exposure grows with every answer and never shrinks. */
const SILENT_GATEWAY =
  'This gateway answers without acknowledging what was spent: close the channel to settle it, or raise maxExposure.'

/** What is said of a transaction that may cost more than `maxFee`: the price may fall, or be the word of one node alone. */
export const FEE_LIMIT = {
  limit: 'maxFee',
  retryable: true,
  advice: 'Try again when the chain is cheaper or with another RPC endpoint, or raise maxFee if you accept the cost.',
} as const satisfies Partial<Failure>

function codeOf(event: PaymentFlowEvent): FailureCode {
  if (event.type === 'SERVER_FAILED' && event.mayHaveRun) return 'outcome_unknown'
  return codeOfEvent(event.type) ?? ALSO[event.type] ?? 'internal_error'
}

const NOT_APPROVED: Readonly<Record<ApprovalFault, string>> = {
  approve_threw: 'policy.approve threw an error; the payment was not approved',
  approve_gave_no_boolean:
    'policy.approve must return true, false, or undefined to wait for an event; the payment was not approved',
}

function detailOf(event: PaymentFlowEvent): string | null {
  if (event.type === 'PAYMENT_REJECTED') {
    return (
      event.code ?? `the gateway answered the payment with HTTP ${event.status}, without a code or a usable challenge`
    )
  }
  if (event.type === 'ANSWER_RECEIVED') return `the gateway answered with HTTP ${event.status}`
  if (event.type === 'CHALLENGE_ACCEPTED') return 'the gateway asks for another wait each time'
  if (event.type === 'DENY') {
    return event.fault === undefined ? 'the payment was not approved' : NOT_APPROVED[event.fault]
  }
  return 'reason' in event ? event.reason : null
}

function failure(context: PaymentFlowContext, code: FailureCode, more: Partial<Failure>): Change {
  const { mayHaveBeenCharged } = context
  // Whatever ended the flow: what was left open decides whether repeating it is safe.
  const { advice } = CODE_FACTS[mayHaveBeenCharged ? 'outcome_unknown' : code]
  const retryable = CODE_FACTS[code].retryable && !mayHaveBeenCharged
  const cause = context.rejectedBy === code ? null : context.rejectedBy
  const { references, authorised } = context
  return {
    failure: {
      code,
      advice,
      retryable,
      detail: null,
      limit: null,
      cause,
      mayHaveBeenCharged,
      references,
      authorised,
      token: context.challenge?.currency ?? null,
      ...more,
    },
  }
}

/** The failure that an event means. */
export function fail(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  const { advice, retryable, limit } = FEE_LIMIT
  // What was left open goes before: then only that decides whether repeating is safe.
  const fee = event.type !== 'FEE_TOO_HIGH' ? {} : context.mayHaveBeenCharged ? { limit } : { limit, advice, retryable }
  return failure(context, codeOf(event), { detail: detailOf(event), ...uncaused(context, event), ...fee })
}

/** The answer that ends a flow is no cause of itself, also where it means more than its own code says. */
function uncaused(context: PaymentFlowContext, event: PaymentFlowEvent): Partial<Failure> {
  return codeOfEvent(event.type) === context.rejectedBy ? { cause: null } : {}
}

/** A paid send was left open, and what came after it does not settle whether it was carried out. */
export function failUnknown(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  const refused = isFailureCode(event.type) ? `sent again, the credential was refused with ${event.type}` : null
  return failure(context, 'outcome_unknown', { detail: refused ?? detailOf(event), ...uncaused(context, event) })
}

/** The failure of a plan that a limit or the state of the channel forbids. */
export function failByPlan(context: PaymentFlowContext): Change {
  const { plan } = context
  if (plan?.kind === 'refuse') {
    const token = context.challenge?.currency ?? null
    const { spent = '0', signed = '0', unacknowledged = '0' } = context.session ?? {}
    const silent = plan.limit === 'maxExposure' && exceeds(unacknowledged, '0')
    const acknowledged = `; the gateway has acknowledged ${formatAmount(spent)} of ${formatAmount(signed)} signed`
    const told = `${plan.limit}: ${amountOf(plan.wanted, token)} wanted, ${formatAmount(plan.allowed)} allowed`
    const raise = `Raise the limit ${plan.limit} if you accept the cost, or send a smaller request.`
    return failure(context, 'limit_exceeded', {
      detail: silent ? told + acknowledged : told,
      advice: silent ? SILENT_GATEWAY : raise,
      limit: plan.limit,
    })
  }
  if (plan?.kind === 'unfunded') {
    const needed = amountOf(plan.needed, context.challenge?.currency ?? null)
    const detail = `${needed} needed, and the wallet can pay ${formatAmount(plan.spendable)}`
    return failure(context, 'wallet_balance_insufficient', { detail })
  }
  return failure(context, 'session_unavailable', { detail: plan?.kind === 'unavailable' ? plan.reason : null })
}

/** A server that denies a channel which the chain still funds: the channel is kept, nothing new is funded. */
export function failByDispute(context: PaymentFlowContext): Change {
  const code = context.disputed !== null && isFailureCode(context.disputed) ? context.disputed : 'payment_rejected'
  return failure(context, code, {
    detail: 'the chain still holds the deposit of this channel; it is kept in the ledger',
  })
}

/** Two channels of one flow are gone: whatever the server says about it, no third one is funded. */
export function failByReplacement(context: PaymentFlowContext): Change {
  const code =
    context.rejectedBy !== null && isFailureCode(context.rejectedBy) ? context.rejectedBy : 'payment_rejected'
  return failure(context, code, { detail: 'the channel that was opened in place of a lost one is gone as well' })
}
