// Looks the channel up in the ledger, and waits for room when more must not be exposed.
// Must never sign or send anything.

import { type EffectInput, type PaymentFlowEvent, type PlannedInput, plan } from '../../../machines/index.js'
import { FlightTimeout, isBusy, type SessionRecord } from '../../sessions/index.js'
import { land, placedFlow, type Ring, unreserve, viewFor } from '../ring.js'
import type { EffectScope } from './effect.js'

/** A reservation of a process that died counts until its request would have timed out. */
const RESERVATION_GRACE_MS = 30_000

/** The record of the channel, once nobody else is opening or closing it; priced per request, a reservation first. */
export async function acquireSession(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { ring, flow } = scope
  const placed = placedFlow(ring, flow.id)
  await reserve(ring, flow.id)
  const now = await ring.ledger.read(placed.key)
  const record = isBusy(now) ? await settled(scope, placed.key) : now
  flow.known ??= record?.session.signed ?? '0'
  return { type: 'SESSION_ACQUIRED', session: await viewFor(ring, placed, record) }
}

/** Waits until nobody else opens or closes the channel. */
function settled({ ring, flow, signal }: EffectScope<EffectInput>, key: string): Promise<SessionRecord | undefined> {
  const timeoutMs = ring.policy.timeouts.sessionMs
  return ring.ledger.settled(key, { signal, timeoutMs, holdsLease: flow.lease !== null })
}

async function reserve(ring: Ring, id: string): Promise<void> {
  const { flow, terms, key, place } = placedFlow(ring, id)
  if (terms.unitType !== 'request' || flow.reserved) return
  const now = Date.now()
  const until = now + ring.policy.timeouts.paidMs + RESERVATION_GRACE_MS
  await ring.ledger.apply(key, place, { type: 'RESERVED', flow: id, amount: terms.amount.toString(), until, now })
  flow.reserved = true
  // Over while it was written: nobody else gives it back, and others would sign for it as well.
  if (flow.ended) await unreserve(ring, flow)
}

/** Waits until an outstanding request of the channel came back and the plan can go on, or finds that there is none. */
export async function awaitAcknowledgement({
  ring,
  flow,
  input,
  signal,
}: EffectScope<PlannedInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(ring, flow.id)
  const look = async () => viewFor(ring, placed, await ring.ledger.read(placed.key))
  const ready = async (): Promise<boolean> => {
    const { challenge, ...context } = input.context
    if (challenge === null) return true
    const next = plan({ ...context, turn: 'freed', challenge, session: await look() }, ring.policy.strategy)
    return next.kind !== 'awaitAcknowledgement'
  }
  // A slot that this flow was given before is not kept while it waits for another.
  land(flow, false)
  try {
    const timeoutMs = ring.policy.timeouts.paidMs
    const { grant, slot } = await ring.ledger.flights.turn(placed.key, { ready, signal, timeoutMs })
    if (signal.aborted || flow.ended) slot.land(true)
    else flow.slot = slot
    return { type: 'TURN_GRANTED', session: await look(), grant }
  } catch (error) {
    if (error instanceof FlightTimeout) return { type: 'SESSION_UNAVAILABLE', reason: error.message }
    throw error
  }
}
