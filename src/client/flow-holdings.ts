// What a flow holds of its channel: the lease, the permit of its paid request, and its reservation. Acquired and released here only.
// Must never be left held: a lease that stays stops every other flow of the channel, a permit that stays blocks its close.

import type { Amount } from '../../machines/index.js'
import { type HeldLease, StoreError, type TurnGrant, type WaitOptions } from '../sessions/index.js'
import type { FlowState, PlacedFlow } from './flow-state.js'
import type { Runtime } from './runtime.js'
import { within } from './within.js'

/** The flow starts: from now on, and until it ends, its effects find its state. */
export function openFlow(runtime: Runtime, flow: FlowState): void {
  runtime.flows.set(flow.id, flow)
}

/** The lease of the flow's channel, if the flow holds it. */
export function leaseOf(flow: FlowState): HeldLease | null {
  return flow.lease
}

/**
 * The lease of the flow's channel: the one it holds, or a new one when it is its turn.
 *
 * @throws StoreError when it is not free in time; the signal's reason when it is aborted.
 */
export async function acquireLease(
  runtime: Runtime,
  flow: FlowState,
  key: string,
  signal: AbortSignal,
): Promise<HeldLease> {
  if (flow.lease !== null) return flow.lease
  // Release our permit first: the lease holder may be draining.
  if (runtime.ledger.hasLeaseQueue(key)) releasePermit(flow, false)
  const lease = await runtime.ledger.lease(key, { signal, timeoutMs: runtime.policy.timeouts.sessionMs })
  if (flow.ended) {
    await lease.release()
    throw new StoreError('busy', 'the flow ended while it waited for the lease')
  }
  flow.lease = lease
  return lease
}

/** Releases the lease, if the flow holds it. */
export async function releaseLease(flow: FlowState): Promise<void> {
  const { lease } = flow
  flow.lease = null
  await lease?.release()
}

/** Does the last work under the flow's lease in the background, and releases the lease then: the flow may be over by that time. */
export function releaseLeaseAfter(
  runtime: Runtime,
  flow: FlowState,
  work: (lease: HeldLease) => Promise<unknown>,
): void {
  const { lease } = flow
  if (lease === null) return
  flow.lease = null
  const concluding = work(lease)
    .then(() => undefined)
    .finally(() => lease.release())
    // A lease that cannot be released expires by itself.
    .catch(() => undefined)
    .finally(() => runtime.concluding.delete(concluding))
  runtime.concluding.add(concluding)
}

/** Counts the flow's paid request as in flight, if it is not already. */
export function acquirePermit(runtime: Runtime, { flow, key }: PlacedFlow): void {
  flow.permit ??= runtime.ledger.inFlight.acquireNow(key)
}

/**
 * Queues for a permit, and says how it was granted. The permit that the flow had before is not kept meanwhile.
 *
 * @throws FlightTimeout when it took too long; the signal's reason when it was aborted.
 */
export async function waitForPermit(
  runtime: Runtime,
  { flow, key }: PlacedFlow,
  options: WaitOptions & { readonly ready: () => Promise<boolean> },
): Promise<TurnGrant> {
  releasePermit(flow, false)
  const { grant, permit } = await runtime.ledger.inFlight.acquire(key, options)
  if (options.signal.aborted || flow.ended) permit.release(true)
  else flow.permit = permit
  return grant
}

/** The flow's paid request is over, or will not be sent: another flow may send. */
export function releasePermit(flow: FlowState, accepted: boolean): void {
  flow.permit?.release(accepted)
  flow.permit = null
}

/** A reservation of a process that died counts until its request would have timed out. */
const RESERVATION_GRACE_MS = 30_000

/** Priced per request: reserves the price in the ledger, so that no other flow counts on it. Once for each flow. */
export async function acquireReservation(runtime: Runtime, { flow, terms, key, place }: PlacedFlow): Promise<void> {
  if (terms.unitType !== 'request' || flow.reserved) return
  const now = Date.now()
  const until = now + runtime.policy.timeouts.paidMs + RESERVATION_GRACE_MS
  const amount = terms.amount.toString()
  await runtime.ledger.apply(key, place, { type: 'RESERVED', flow: flow.id, amount, until, now })
  flow.reserved = true
  // The flow ended while it was written: nobody else releases it, and others would sign for it as well.
  if (flow.ended) await releaseReservation(runtime, flow)
}

/** Releases what the flow has reserved, if it has: nothing was spent. */
export async function releaseReservation(runtime: Runtime, flow: FlowState): Promise<void> {
  const { key, place } = flow
  if (key === null || place === null || !flow.reserved) return
  flow.reserved = false
  await runtime.ledger.apply(key, place, { type: 'RELEASED', flow: flow.id })
}

/** The cumulative amount that was refused as used up before the answer came, if one was. */
export interface RefusedAsUsedUp {
  readonly usedUp?: Amount
}

/** The request was answered, so that what was reserved for it counts as spent, although nothing acknowledges it. */
export async function presumeReservationSpent(
  runtime: Runtime,
  { key, place, flow }: PlacedFlow,
  refused: RefusedAsUsedUp,
): Promise<void> {
  if (!flow.reserved) return
  await runtime.ledger.apply(key, place, { type: 'ANSWER_UNACKNOWLEDGED', flow: flow.id, ...refused })
  flow.reserved = false
}

/** An accepted receipt named the flow, by which the ledger ended its reservation. */
export function reservationSpent(flow: FlowState): void {
  flow.reserved = false
}

/** Releases what a flow holds of a channel that it has signed nothing for, before it is about another one. */
export async function leaveChannel(runtime: Runtime, flow: FlowState): Promise<void> {
  if (flow.key === null) return
  releasePermit(flow, false)
  flow.lastSeenCumulative = null
  await releaseLease(flow)
  await releaseReservation(runtime, flow)
}

/** How long the end of a flow waits for a store: what is not released by then expires by itself. */
const RELEASING_MS = 1_000

/**
 * Releases what a flow holds. What it signed stays in the ledger; a close that was not confirmed leaves the channel open,
 * and whatever the chain says later is found when the channel is used again. A store that does not answer does not hold
 * up the end.
 */
export async function endFlow(runtime: Runtime, flow: FlowState): Promise<void> {
  if (flow.ended) return
  flow.ended = true
  runtime.flows.delete(flow.id)
  releasePermit(flow, true)
  // Most flows hold nothing by then.
  if (!flow.reserved && flow.lease === null) return
  const late = (): StoreError => new StoreError('unavailable', 'the store did not answer')
  await within(RELEASING_MS, releaseAll(runtime, flow), late)
}

async function releaseAll(runtime: Runtime, flow: FlowState): Promise<void> {
  const { key, place, lease } = flow
  try {
    await releaseReservation(runtime, flow)
    if (key !== null && place !== null && lease !== null) {
      const record = await runtime.ledger.read(key)
      if (record?.status === 'closing') await runtime.ledger.apply(key, place, { type: 'CLOSE_ABANDONED' }, { lease })
    }
  } finally {
    await releaseLease(flow)
  }
}
