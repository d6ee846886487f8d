// Looks the channel up in the ledger, and waits for room when more must not be exposed.
// Must never sign or send anything.

import { type EffectInput, type PaymentFlowEvent, type PlannedInput, plan } from '../../../machines/index.js'
import { InFlightTimeout, isBusy, type SessionRecord } from '../../sessions/index.js'
import { acquireReservation, leaseOf, waitForPermit } from '../flow-holdings.js'
import { placedFlow, viewFor } from '../runtime.js'
import type { EffectScope } from './effect.js'

/** The record of the channel, once nobody else is opening or closing it; priced per request, a reservation first. */
export async function acquireSession(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow } = scope
  const placed = placedFlow(runtime, flow.id)
  await acquireReservation(runtime, placed)
  const now = await runtime.ledger.read(placed.key)
  const record = isBusy(now) ? await settled(scope, placed.key) : now
  flow.lastSeenCumulative ??= record?.session.signed ?? '0'
  return { type: 'SESSION_ACQUIRED', session: await viewFor(runtime, placed, record) }
}

/** Waits until nobody else opens or closes the channel. */
function settled({ runtime, flow, signal }: EffectScope<EffectInput>, key: string): Promise<SessionRecord | undefined> {
  const timeoutMs = runtime.policy.timeouts.sessionMs
  return runtime.ledger.settled(key, { signal, timeoutMs, holdsLease: leaseOf(flow) !== null })
}

/** Waits until an outstanding request of the channel came back and the plan can go on, or finds that there is none. */
export async function awaitAcknowledgement({
  runtime,
  flow,
  input,
  signal,
}: EffectScope<PlannedInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(runtime, flow.id)
  const look = async () => viewFor(runtime, placed, await runtime.ledger.read(placed.key))
  const ready = async (): Promise<boolean> => {
    const { challenge, ...context } = input.context
    if (challenge === null) return true
    const next = plan({ ...context, turn: 'capacity', challenge, session: await look() }, runtime.policy.strategy)
    return next.kind !== 'awaitAcknowledgement'
  }
  try {
    const timeoutMs = runtime.policy.timeouts.paidMs
    const grant = await waitForPermit(runtime, placed, { ready, signal, timeoutMs })
    return { type: 'TURN_GRANTED', session: await look(), grant }
  } catch (error) {
    if (error instanceof InFlightTimeout) return { type: 'SESSION_UNAVAILABLE', reason: error.message }
    throw error
  }
}
