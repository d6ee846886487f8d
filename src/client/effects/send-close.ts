// Sends the close credential, and believes the close only when the chain shows it.
// Must never close while this process still has paid requests outstanding, nor sign more than was signed before.

import { type EffectInput, exceeds, mostForClose, type PaymentFlowEvent } from '../../../machines/index.js'
import { type Challenge, type Hex, parseReceipt } from '../../protocol/index.js'
import { type ChannelScope, type HeldLease, isEnded, type SessionRecord } from '../../sessions/index.js'
import { ChainFailure, findClosing, readChannel, readClosing, signVoucher } from '../../tempo/index.js'
import type { Answer } from '../answer.js'
import { paidEvent } from '../answer-events.js'
import { acquireLease } from '../flow-holdings.js'
import { type FlowState, keepAnswer, type PlacedFlow } from '../flow-state.js'
import { placedFlow, type Runtime } from '../runtime.js'
import { SendFailure } from '../send.js'
import { holdChannelPolicy } from './authorise.js'
import { contradictionIn } from './contradiction.js'
import { channelOf, closeCredential, isExpired } from './credential.js'
import { type EffectScope, signing } from './effect.js'
import { manageChannel } from './manage-channel.js'
import { isGone, reconcile } from './reconcile.js'

/** Input of the `sendClose` effect. */
export interface SendCloseInput extends EffectInput {
  readonly closing: string | null
}

/** A forced close that is under way is no obstacle: a close by the payee is the faster way to the same end. */
const CLOSABLE: ReadonlySet<SessionRecord['status']> = new Set(['open', 'closeRequested', 'withdrawable'])

const LOOK_EVERY_MS = 250
const LOOKS = 12

export async function sendClose(scope: EffectScope<SendCloseInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow, signal } = scope
  const placed = placedFlow(runtime, flow.id)
  const lease = await acquireLease(runtime, flow, placed.key, signal)
  const reconciled = await reconcile(runtime, placed, lease)
  if ('undecidedMs' in reconciled) {
    return { type: 'CLOSE_UNCONFIRMED', reason: 'a transaction of this channel is not decided yet' }
  }
  const { record } = reconciled
  if (record === undefined || record.session.channelId !== scope.input.closing) {
    return { type: 'SESSION_UNAVAILABLE', reason: 'the ledger has another channel in this place by now' }
  }
  if (isEnded(record)) return settlementOf(record)
  if (!CLOSABLE.has(record.status) || record.session.pending !== null) {
    return { type: 'SESSION_UNAVAILABLE', reason: `the channel is ${record.status}, it cannot be closed now` }
  }
  if (isExpired(placed.challenge, runtime.clock)) return { type: 'CHALLENGE_EXPIRED' }
  return closeAtSigned(scope, placed, lease, record)
}

/** A channel that the chain has ended meanwhile. */
function settlementOf({ session }: SessionRecord): PaymentFlowEvent {
  if (session.refunded === null) return { type: 'ALREADY_CLOSED' }
  return { type: 'CLOSE_CONFIRMED', settled: session.settled, refunded: session.refunded, txHash: null }
}

async function closeAtSigned(
  scope: EffectScope<SendCloseInput>,
  placed: PlacedFlow,
  lease: HeldLease,
  record: SessionRecord,
): Promise<PaymentFlowEvent> {
  const { runtime, flow, signal } = scope
  const voucher = await voucherOf(runtime, placed, await grown(runtime, flow, placed, lease, record))
  const event = { type: 'CLOSE_SIGNED', cumulative: voucher.cumulative } as const
  const closing = await runtime.ledger.apply(placed.key, placed.place, event, { lease, voucher: voucher.signature })
  // From here on nobody sends with this channel any more; what is under way is waited for.
  const { closeMs, paidMs } = runtime.policy.timeouts
  if (!(await runtime.ledger.inFlight.drained(placed.key, { signal, timeoutMs: paidMs }))) {
    return { type: 'SESSION_UNAVAILABLE', reason: 'paid requests of this channel are still outstanding' }
  }
  const { cumulative } = voucher
  const credentialFor = (challenge: Challenge): string =>
    closeCredential({ ...placed, challenge }, closing, voucher).credential
  let answer: Answer | null = null
  try {
    answer = await manageChannel(scope, placed, { credentialFor, cumulative, timeoutMs: closeMs })
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error
    if (!error.left) return { type: 'CONNECTION_FAILED', reason: error.message }
    // It may have arrived: the chain is asked before it is sent again.
    return { type: 'CLOSE_UNCONFIRMED', reason: error.message }
  }
  keepAnswer(flow, answer)
  const { status } = answer.facts
  if (status >= 400 && status < 500) flow.closesRefused += 1
  // A resource that is asked by GET may answer with content, and without end: the head says all that a close says.
  if (answer.ok) await answer.discard()
  return answer.ok ? confirmClose(runtime, placed, lease, closing, answer, signal) : paidEvent(answer)
}

/**
 * A channel found on the chain may have had more signed for it than is known here. When its payee has refused to close at
 * the known amount, the next close credential authorises as much as the policy lets be exposed; what was spent is captured.
 */
async function grown(
  runtime: Runtime,
  { closesRefused }: FlowState,
  { key, place }: PlacedFlow,
  lease: HeldLease,
  record: SessionRecord,
): Promise<SessionRecord> {
  const { session, status } = record
  if (!session.adopted || closesRefused === 0 || status !== 'open') return record
  const cumulative = mostForClose(session, runtime.policy.limits)
  if (!exceeds(cumulative, session.signed)) return record
  const voucher = await signedAt(runtime, place, record, cumulative)
  return runtime.ledger.apply(key, place, { type: 'VOUCHER_SIGNED', cumulative }, { lease, voucher })
}

/** The highest voucher; a channel that was never used is closed at zero. */
async function voucherOf(
  runtime: Runtime,
  { place }: PlacedFlow,
  record: SessionRecord,
): Promise<{ readonly cumulative: string; readonly signature: Hex }> {
  if (record.secrets.voucher !== null && record.secrets.voucher.cumulative === record.session.signed) {
    return record.secrets.voucher
  }
  const cumulative = record.session.signed
  return { cumulative, signature: await signedAt(runtime, place, record, cumulative) }
}

async function signedAt(
  runtime: Runtime,
  { chainId, escrow }: ChannelScope,
  record: SessionRecord,
  cumulative: string,
): Promise<Hex> {
  const { channelId, descriptor } = channelOf(record)
  holdChannelPolicy(runtime, { chainId, escrow }, descriptor)
  const last = { channelId, cumulative: BigInt(cumulative), chainId, escrow }
  return signing('close', () => signVoucher(runtime.voucherSigner, last))
}

async function confirmClose(
  runtime: Runtime,
  { key, place }: PlacedFlow,
  lease: HeldLease,
  record: SessionRecord,
  answer: Answer,
  signal: AbortSignal,
): Promise<PaymentFlowEvent> {
  const { channelId } = channelOf(record)
  const client = await runtime.clientFor(place.chainId)
  const where = { channelId, escrow: place.escrow }
  const receipt = parseReceipt(answer.header('payment-receipt'))
  const txHash = receipt.ok ? receipt.value.txHash : undefined
  let gone = false
  const until = runtime.clock.now() + runtime.policy.timeouts.closeMs
  for (let look = 0; look < LOOKS && runtime.clock.now() <= until; look += 1) {
    gone = (await readChannel(client, where)).deposit === 0n && (await isGone(runtime, client, where, record))
    const reported = !gone || txHash === undefined ? undefined : await readClosing(client, { ...where, txHash })
    const found = reported === undefined && gone ? await findClosing(client, where) : undefined
    const closing = reported === undefined ? found : { ...reported, txHash: txHash ?? null }
    if (closing !== undefined) {
      const contradiction = contradictionIn(record, closing.settledToPayee)
      if (contradiction !== null) throw new ChainFailure('contradiction', contradiction)
      const settled = closing.settledToPayee.toString()
      const refunded = closing.refundedToPayer.toString()
      await runtime.ledger.apply(key, place, { type: 'CLOSE_CONFIRMED', settled, refunded }, { lease })
      return { type: 'CLOSE_CONFIRMED', settled, refunded, txHash: closing.txHash }
    }
    await runtime.clock.pause(LOOK_EVERY_MS, signal)
  }
  if (gone) {
    // It is over, but the node does not say what was settled: no figure is better than a made-up one.
    await runtime.ledger.apply(key, place, { type: 'CHANNEL_GONE' }, { lease })
    return { type: 'ALREADY_CLOSED' }
  }
  return { type: 'CLOSE_UNCONFIRMED', reason: 'the gateway reports a close that the chain does not show' }
}
