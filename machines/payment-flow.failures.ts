// What a flow fails with: the code of the event that ended it, and what its reader needs to act.
// Must never put text of a server's body into a failure.

import { formatAmount } from './amount.js'
import { CODE_FACTS, codeOfEvent, type FailureCode, isFailureCode } from './codes.js'
import type { Failure, PaymentFlowContext, PaymentFlowEvent } from './payment-flow.types.js'
import type { Change } from './payment-flow.updates.js'

/** Events that fail with the code of another event. */
const ALSO: Readonly<Partial<Record<PaymentFlowEvent['type'], FailureCode>>> = {
  DIGEST_MISMATCH: 'challenge_rejected',
  DENY: 'policy_denied',
  SESSION_CHANGED: 'session_unavailable',
  TURN_GRANTED: 'session_unavailable',
  OPERATION_UNDECIDED: 'chain_unavailable',
  TOPPED_UP: 'deposit_too_low',
  TOP_UP_UNCONFIRMED: 'chain_unavailable',
  ANSWER_RECEIVED: 'payment_rejected',
  CLOSE_UNCONFIRMED: 'chain_unavailable',
}

function codeOf(event: PaymentFlowEvent): FailureCode {
  if (event.type === 'SERVER_FAILED' && event.mayHaveRun) return 'outcome_unknown'
  return codeOfEvent(event.type) ?? ALSO[event.type] ?? 'internal_error'
}

function detailOf(event: PaymentFlowEvent): string | null {
  if (event.type === 'PAYMENT_REJECTED') return event.code
  if (event.type === 'ANSWER_RECEIVED') return `the gateway answered with HTTP ${event.status}`
  if (event.type === 'DENY') return 'the payment was not approved'
  return 'reason' in event ? event.reason : null
}

function failure(context: PaymentFlowContext, code: FailureCode, more: Partial<Failure>): Change {
  const { advice, retryable } = CODE_FACTS[code]
  const cause = context.rejectedBy === code ? null : context.rejectedBy
  const { references, authorised } = context
  return {
    failure: { code, advice, retryable, detail: null, limit: null, cause, references, authorised, ...more },
  }
}

/** The failure that an event means. */
export function fail(context: PaymentFlowContext, event: PaymentFlowEvent): Change {
  // The answer that ends a flow is no cause of itself, also where it means more than its own code says.
  const own = codeOfEvent(event.type) === context.rejectedBy
  return failure(context, codeOf(event), { detail: detailOf(event), ...(own && { cause: null }) })
}

/** The failure of a plan that a limit or the state of the channel forbids. */
export function failByPlan(context: PaymentFlowContext): Change {
  const { plan } = context
  if (plan?.kind === 'refuse') {
    const detail = `${plan.limit}: ${plan.wanted} base units wanted, ${plan.allowed} allowed`
    return failure(context, 'limit_exceeded', { detail, limit: plan.limit })
  }
  if (plan?.kind === 'unfunded') {
    const detail = `the wallet can pay ${formatAmount(plan.spendable)} of the token, ${formatAmount(plan.needed)} is needed`
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
