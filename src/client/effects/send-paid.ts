// The paid send: the same bytes once more, with the highest voucher of the channel or with its signed open.
// Must never answer an expired challenge, send a voucher above the deposit, or follow an open send by another credential.

import { type EffectInput, exceeds, type PaymentFlowEvent } from '../../../machines/index.js'
import type { HeldLease, SessionRecord } from '../../sessions/index.js'
import { ChainFailure, sightChannel } from '../../tempo/index.js'
import { paidEvent } from '../answer-events.js'
import { holdsReceipt } from '../receipt.js'
import { dropLease, keepAnswer, type PlacedFlow, placedFlow, type Ring, referenceFor, viewFor } from '../ring.js'
import { SendFailure, send } from '../send.js'
import { within } from '../within.js'
import { type BuiltCredential, channelOf, isExpired, openCredential, voucherCredential } from './credential.js'
import type { EffectScope } from './effect.js'

export async function sendPaid(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { ring, flow } = scope
  const placed = placedFlow(ring, flow.id)
  const record = await ring.ledger.read(placed.key)
  const built = record === undefined ? null : credentialFor(placed, record)
  if (record === undefined || built === null) {
    return { type: 'SESSION_CHANGED', session: await viewFor(ring, placed, record) }
  }
  if (record.status !== 'opening' && exceeds(built.cumulative, record.session.deposit)) {
    return { type: 'DEPOSIT_TOO_LOW', session: await viewFor(ring, placed, record) }
  }
  if (isExpired(placed.challenge, ring.clock)) return { type: 'CHALLENGE_EXPIRED' }
  // Over while the ledger was read: what would take off now would never land, and the channel could not be closed.
  if (flow.ended) return { type: 'CONNECTION_FAILED', reason: 'cancelled before anything was sent' }
  const shared = takeOff(ring, placed, built)
  flow.sent = built
  const event = await sendCredential(scope, placed, built)
  return 'contended' in event && event.type !== 'PAID_ANSWER_RECEIVED'
    ? await judged(event, ring, placed, record, built, shared)
    : event
}

/** The credential of the last paid send once more, as it was: what it carried may have been charged already. */
export async function resendPaid(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { ring, flow } = scope
  const placed = placedFlow(ring, flow.id)
  if (flow.sent === null) throw new Error('there is no paid send to repeat')
  if (isExpired(placed.challenge, ring.clock)) return { type: 'CHALLENGE_EXPIRED' }
  return sendCredential(scope, placed, flow.sent)
}

async function sendCredential(
  scope: EffectScope<EffectInput>,
  placed: PlacedFlow,
  { credential, cumulative }: BuiltCredential,
): Promise<PaymentFlowEvent> {
  const { ring, flow } = scope
  let handedOver = false
  try {
    const answer = await send(scope, {
      credential,
      cumulative,
      withBody: true,
      isCharged: (receipt) => holdsReceipt(ring.ledger, placed, receipt),
      timeoutMs: ring.policy.timeouts.paidMs,
    })
    keepAnswer(flow, answer)
    const event = paidEvent(answer)
    handedOver = HANDED_OVER.has(event.type)
    return event
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error
    // The challenge is no answer to this send: the caller must not be handed it as one.
    keepAnswer(flow, null)
    return { type: error.left ? 'OUTCOME_UNKNOWN' : 'CONNECTION_FAILED', reason: error.message }
  } finally {
    if (handedOver) concludeOpenBeside(ring, placed)
    else await concludeOpen(ring, placed)
  }
}

/** Answers that are the caller's: what the chain says about the open changes nothing about them. */
const HANDED_OVER: ReadonlySet<string> = new Set(['PAID_ANSWER_RECEIVED', 'ANSWER_RECEIVED'])

/** The open while the flow is opening the channel, the highest voucher while the channel is usable, null otherwise. */
function credentialFor(placed: PlacedFlow, record: SessionRecord): BuiltCredential | null {
  if (record.status === 'opening') return placed.flow.lease === null ? null : openCredential(placed, record)
  return record.status === 'open' || record.status === 'toppingUp' ? voucherCredential(placed, record) : null
}

/** The flow is under way from here on. Gives whether it shares the channel with others, as far as that is known by now. */
function takeOff(ring: Ring, { flow, key }: PlacedFlow, { cumulative }: BuiltCredential): boolean {
  const { flights } = ring.ledger
  flow.slot ??= flights.enter(key)
  // A voucher that somebody else has signed since this flow looked, here or in another process: whoever did shares it.
  const foreign = exceeds(cumulative, flow.known ?? cumulative)
  flow.known = cumulative
  return foreign || flights.outstanding(key) > 1
}

/** The refusal, with what is known of others on the channel. */
async function judged<Refusal extends PaymentFlowEvent>(
  event: Refusal,
  ring: Ring,
  placed: PlacedFlow,
  record: SessionRecord,
  { cumulative }: BuiltCredential,
  sharedBefore: boolean,
): Promise<Refusal & { readonly contended: boolean; readonly overtaken: boolean }> {
  const { overtaken, shared } = await movedSince(ring, placed, record, cumulative)
  const contended = sharedBefore || shared || ring.ledger.flights.outstanding(placed.key) > 1
  return { ...event, contended, overtaken }
}

/**
 * What others have done to the channel since `sent` was read, in this process or another: whether a higher voucher was
 * signed (sends overtake each other on their way), and whether they share the channel at all.
 */
async function movedSince(
  ring: Ring,
  { key }: PlacedFlow,
  sent: SessionRecord,
  cumulative: string,
): Promise<{ readonly overtaken: boolean; readonly shared: boolean }> {
  try {
    const record = await ring.ledger.read(key)
    if (record === undefined) return { overtaken: false, shared: false }
    const overtaken = exceeds(record.session.signed, cumulative)
    // Only answers to others can have been booked: this one was refused.
    return { overtaken, shared: overtaken || exceeds(record.session.spent, sent.session.spent) }
  } catch {
    // The answer is what counts: without the ledger it is taken as it is, which is the stricter reading.
    return { overtaken: false, shared: false }
  }
}

/**
 * Whatever the server answered to an open, the chain says whether the channel is funded. When it is not, or cannot be
 * asked in time, the open stays pending in the ledger and the next one who needs the channel looks again.
 */
async function concludeOpen(ring: Ring, placed: PlacedFlow): Promise<void> {
  const { flow } = placed
  // Only a flow that is opening its channel still holds the lease when it sends.
  if (flow.lease === null) return
  if (await confirmOpen(ring, placed, flow.lease)) await dropLease(flow).catch(() => undefined)
}

/** The same, beside the flow, which may be over before the chain has answered: the lease is no longer the flow's. */
function concludeOpenBeside(ring: Ring, placed: PlacedFlow): void {
  const { flow } = placed
  const { lease } = flow
  if (lease === null) return
  flow.lease = null
  const concluding = confirmOpen(ring, placed, lease)
    .then(() => lease.release())
    // A lease that cannot be given back runs out by itself.
    .catch(() => undefined)
    .finally(() => ring.concluding.delete(concluding))
  ring.concluding.add(concluding)
}

/** Whether the chain confirms the open. */
async function confirmOpen(ring: Ring, { key, place }: PlacedFlow, lease: HeldLease): Promise<boolean> {
  const { chainMs } = ring.policy.timeouts
  const late = (): ChainFailure => new ChainFailure('unreachable')
  try {
    const record = await ring.ledger.read(key)
    if (record?.status !== 'opening') return false
    const { channelId } = channelOf(record)
    const where = { channelId, escrow: place.escrow, ...referenceFor(ring, record) }
    const sight = async () => sightChannel(await ring.clientFor(place.chainId), where)
    const { deposit, block } = await within(chainMs, sight(), late)
    if (deposit === 0n) return false
    await ring.ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit: deposit.toString(), block }, { lease })
    return true
  } catch {
    // Pending is the truth as far as it is known here; nothing that was signed is forgotten by it.
    return false
  }
}
