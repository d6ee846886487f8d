// Looks the channel up in the ledger, and waits for room when more must not be exposed.
// Must never sign or send anything.

import type { EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import { placedFlow, type Ring, viewFor } from '../ring.js'
import type { EffectScope } from './effect.js'

/** A reservation of a process that died counts until its request would have timed out. */
const RESERVATION_GRACE_MS = 30_000

/** The record of the channel, once nobody else is opening or closing it; priced per request, a reservation first. */
export async function acquireSession({ ring, flow, signal }: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(ring, flow.id)
  await reserve(ring, flow.id)
  const record = await ring.ledger.settled(placed.key, {
    signal,
    timeoutMs: ring.policy.timeouts.sessionMs,
    holdsLease: flow.lease !== null,
  })
  return { type: 'SESSION_ACQUIRED', session: await viewFor(ring, placed, record) }
}

async function reserve(ring: Ring, id: string): Promise<void> {
  const { flow, terms, key, place } = placedFlow(ring, id)
  if (terms.unitType !== 'request' || flow.reserved) return
  const now = Date.now()
  const until = now + ring.policy.timeouts.paidMs + RESERVATION_GRACE_MS
  await ring.ledger.apply(key, place, { type: 'RESERVED', flow: id, amount: terms.amount.toString(), until, now })
  flow.reserved = true
}

/** Waits until an outstanding request of the channel is acknowledged, or finds that there is none. */
export async function awaitAcknowledgement({
  ring,
  flow,
  signal,
}: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(ring, flow.id)
  const grant = await ring.ledger.flights.turn(placed.key, { signal, timeoutMs: ring.policy.timeouts.sessionMs })
  const record = await ring.ledger.read(placed.key)
  return { type: 'TURN_GRANTED', session: await viewFor(ring, placed, record), freed: grant === 'freed' }
}
