// Asks a person or a rule before funds move, while the lease keeps everybody else from asking for the same.
// Must never take silence for an approval.

import { movedBy, type PaymentFlowEvent, type Plan, type PlannedInput } from '../../../machines/index.js'
import type { PaymentIntent, Policy } from '../policy.js'
import type { FlowResources, PlacedFlow } from '../ring.js'
import { authorise, type Changed } from './authorise.js'
import type { EffectScope } from './effect.js'

export async function requestApproval(scope: EffectScope<PlannedInput>): Promise<PaymentFlowEvent | null> {
  const { ring, flow, input, signal } = scope
  const kind = input.plan?.kind
  if (kind !== 'open' && kind !== 'topUp') return { type: 'EFFECT_FAILED', reason: 'there is nothing to approve' }
  const authorised = await authorise(scope, kind)
  if (isChanged(authorised)) return { type: 'SESSION_CHANGED', session: authorised.changed }
  const intent = intentOf(flow, authorised.placed, authorised.plan, authorised.view.channelId)
  const event = await askedOf(ring.policy.approve, intent)
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

function isChanged(result: object): result is Changed {
  return 'changed' in result
}

function intentOf(
  flow: FlowResources,
  { place }: PlacedFlow,
  plan: Extract<Plan, { kind: 'open' | 'topUp' }>,
  channelId: string | null,
): PaymentIntent {
  return {
    action: plan.kind,
    deposit: movedBy(plan),
    cumulative: plan.cumulative,
    chainId: place.chainId,
    token: place.token,
    payee: place.payee,
    escrow: place.escrow,
    origin: flow.to.origin,
    // A channel that is yet to be opened has no id; the one in its place has ended.
    channelId: plan.kind === 'open' ? null : channelId,
  }
}
