// Asks a person or a rule before funds move, while the lease keeps everybody else from asking for the same.
// Must never take silence for an approval.

import { type Amount, movedBy, type PaymentFlowEvent, type Plan, type PlannedInput } from '../../../machines/index.js'
import { releaseLease } from '../flow-holdings.js'
import type { FlowState, PlacedFlow } from '../flow-state.js'
import type { PaymentIntent, Policy } from '../policy.js'
import type { EffectScope } from './effect.js'
import { authoriseDeposit, insteadOfDeposit, isAsPlanned } from './funding.js'

export async function requestApproval(scope: EffectScope<PlannedInput>): Promise<PaymentFlowEvent | null> {
  const { runtime, flow, input, signal } = scope
  const kind = input.plan?.kind
  if (kind !== 'open' && kind !== 'topUp') return { type: 'EFFECT_FAILED', reason: 'there is nothing to approve' }
  const authorised = await authoriseDeposit(scope, kind)
  if (!('plan' in authorised)) return insteadOfDeposit(authorised)
  // The wallet can pay less: that is planned first, so that what is approved is what will be signed.
  if (!isAsPlanned(authorised, input)) {
    await releaseLease(flow)
    return { type: 'SESSION_CHANGED', session: authorised.view }
  }
  const { placed, plan, view } = authorised
  const intent = intentOf(flow, placed, plan, { channelId: view.channelId, maxFee: runtime.policy.maxFee })
  const event = await askedOf(runtime.policy.approve, intent)
  signal.throwIfAborted()
  return event
}

/** Exactly `true` approves. The caller's rule is not ours: what it gives is looked at, and what it throws is dropped. */
async function askedOf(approve: Policy['approve'], intent: PaymentIntent): Promise<PaymentFlowEvent | null> {
  let answer: unknown
  try {
    answer = await approve?.(intent)
  } catch {
    return { type: 'DENY', fault: 'approve_threw' }
  }
  if (answer === undefined) return null
  if (answer === true) return { type: 'APPROVE' }
  return answer === false ? { type: 'DENY' } : { type: 'DENY', fault: 'approve_gave_no_boolean' }
}

function intentOf(
  flow: FlowState,
  { place, terms }: PlacedFlow,
  plan: Extract<Plan, { kind: 'open' | 'topUp' }>,
  { channelId, maxFee }: { readonly channelId: string | null; readonly maxFee: Amount },
): PaymentIntent {
  return {
    action: plan.kind,
    deposit: movedBy(plan),
    cumulative: plan.cumulative,
    fee: terms.feePayer === true ? '0' : maxFee,
    feeToken: terms.feeToken ?? place.token,
    chainId: place.chainId,
    token: place.token,
    payee: place.payee,
    escrow: place.escrow,
    origin: flow.to.origin,
    // A channel that is yet to be opened has no id; the one in its place has ended.
    channelId: plan.kind === 'open' ? null : channelId,
  }
}
