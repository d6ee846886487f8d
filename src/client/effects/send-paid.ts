// The paid send: the same bytes once more, with the highest voucher of the channel or with its signed open.
// Must never answer an expired challenge, send a voucher above the deposit, or follow an open send by another credential.

import { type EffectInput, exceeds, type PaymentFlowEvent } from '../../../machines/index.js'
import type { HeldLease, SessionRecord } from '../../sessions/index.js'
import { ChainFailure, readChannelAtBlock } from '../../tempo/index.js'
import { paidEvent } from '../answer-events.js'
import { acquirePermit, leaseOf, releaseLease, releaseLeaseAfter } from '../flow-holdings.js'
import { keepAnswer, type PlacedFlow } from '../flow-state.js'
import { holdsReceipt } from '../receipt.js'
import { placedFlow, type Runtime, referenceFor, viewFor } from '../runtime.js'
import { SendFailure, send } from '../send.js'
import { within } from '../within.js'
import { type BuiltCredential, channelOf, isExpired, openCredential, voucherCredential } from './credential.js'
import type { EffectScope } from './effect.js'

export async function sendPaid(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow } = scope
  const placed = placedFlow(runtime, flow.id)
  const record = await runtime.ledger.read(placed.key)
  const built = record === undefined ? null : credentialFor(placed, record)
  if (record === undefined || built === null) {
    return { type: 'SESSION_CHANGED', session: await viewFor(runtime, placed, record) }
  }
  if (record.status !== 'opening' && exceeds(built.cumulative, record.session.deposit)) {
    return { type: 'DEPOSIT_TOO_LOW', session: await viewFor(runtime, placed, record) }
  }
  if (isExpired(placed.challenge, runtime.clock)) return { type: 'CHALLENGE_EXPIRED' }
  // Cancelled meanwhile: a permit acquired now would leak, and the channel could not be closed.
  if (flow.ended) return { type: 'CONNECTION_FAILED', reason: 'cancelled before anything was sent' }
  const shared = sharesChannel(runtime, placed, built)
  flow.sent = built
  const event = await sendCredential(scope, placed, built)
  return 'contended' in event && event.type !== 'PAID_ANSWER_RECEIVED'
    ? await judged(event, runtime, placed, record, built, shared)
    : event
}

/** The credential of the last paid send once more, as it was: what it carried may have been charged already. */
export async function resendPaid(scope: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow } = scope
  const placed = placedFlow(runtime, flow.id)
  if (flow.sent === null) throw new Error('there is no paid send to repeat')
  if (isExpired(placed.challenge, runtime.clock)) return { type: 'CHALLENGE_EXPIRED' }
  return sendCredential(scope, placed, flow.sent)
}

async function sendCredential(
  scope: EffectScope<EffectInput>,
  placed: PlacedFlow,
  { credential, cumulative }: BuiltCredential,
): Promise<PaymentFlowEvent> {
  const { runtime, flow } = scope
  let handedOver = false
  try {
    const answer = await send(scope, {
      credential,
      cumulative,
      withBody: true,
      isCharged: (receipt) => holdsReceipt(runtime.ledger, placed, receipt),
      timeoutMs: runtime.policy.timeouts.paidMs,
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
    // The caller has the answer: the chain is asked in the background.
    if (handedOver) releaseLeaseAfter(runtime, flow, (lease) => confirmOpen(runtime, placed, lease))
    else await concludeOpen(runtime, placed)
  }
}

/** Answers that are the caller's: what the chain says about the open changes nothing about them. */
const HANDED_OVER: ReadonlySet<string> = new Set(['PAID_ANSWER_RECEIVED', 'ANSWER_RECEIVED'])

/** The open while the flow is opening the channel, the highest voucher while the channel is usable, null otherwise. */
function credentialFor(placed: PlacedFlow, record: SessionRecord): BuiltCredential | null {
  if (record.status === 'opening') return leaseOf(placed.flow) === null ? null : openCredential(placed, record)
  return record.status === 'open' || record.status === 'toppingUp' ? voucherCredential(placed, record) : null
}

/** The flow is under way from here on. Gives whether it shares the channel with others, as far as that is known by now. */
function sharesChannel(runtime: Runtime, placed: PlacedFlow, { cumulative }: BuiltCredential): boolean {
  const { flow, key } = placed
  acquirePermit(runtime, placed)
  // A voucher that somebody else has signed since this flow looked, here or in another process: whoever did shares it.
  const foreign = exceeds(cumulative, flow.lastSeenCumulative ?? cumulative)
  flow.lastSeenCumulative = cumulative
  return foreign || runtime.ledger.inFlight.outstanding(key) > 1
}

/** The refusal, with what is known of others on the channel. */
async function judged<Refusal extends PaymentFlowEvent>(
  event: Refusal,
  runtime: Runtime,
  placed: PlacedFlow,
  record: SessionRecord,
  { cumulative }: BuiltCredential,
  sharedBefore: boolean,
): Promise<Refusal & { readonly contended: boolean; readonly overtaken: boolean }> {
  const { overtaken, shared } = await movedSince(runtime, placed, record, cumulative)
  const contended = sharedBefore || shared || runtime.ledger.inFlight.outstanding(placed.key) > 1
  return { ...event, contended, overtaken }
}

/**
 * What others have done to the channel since `sent` was read, in this process or another: whether a higher voucher was
 * signed (sends overtake each other on their way), and whether they share the channel at all.
 */
async function movedSince(
  runtime: Runtime,
  { key }: PlacedFlow,
  sent: SessionRecord,
  cumulative: string,
): Promise<{ readonly overtaken: boolean; readonly shared: boolean }> {
  try {
    const record = await runtime.ledger.read(key)
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
async function concludeOpen(runtime: Runtime, placed: PlacedFlow): Promise<void> {
  // Only a flow that is opening its channel still holds the lease when it sends.
  const lease = leaseOf(placed.flow)
  if (lease === null) return
  if (await confirmOpen(runtime, placed, lease)) await releaseLease(placed.flow).catch(() => undefined)
}

/** Whether the chain confirms the open. */
async function confirmOpen(runtime: Runtime, { key, place }: PlacedFlow, lease: HeldLease): Promise<boolean> {
  const { chainMs } = runtime.policy.timeouts
  const late = (): ChainFailure => new ChainFailure('unreachable')
  try {
    const record = await runtime.ledger.read(key)
    if (record?.status !== 'opening') return false
    const { channelId } = channelOf(record)
    const where = { channelId, escrow: place.escrow, ...referenceFor(runtime, record) }
    const sight = async () => readChannelAtBlock(await runtime.clientFor(place.chainId), where)
    const { deposit, block } = await within(chainMs, sight(), late)
    if (deposit === 0n) return false
    await runtime.ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit: deposit.toString(), block }, { lease })
    return true
  } catch {
    // Pending is the truth as far as it is known here; nothing that was signed is forgotten by it.
    return false
  }
}
