// Checks the receipt of a paid answer before the ledger believes it.
// Must never cost the caller the answer: whatever the receipt says, the response is delivered.

import type { AnsweredInput, PaymentFlowEvent } from '../../../machines/index.js'
import { parseReceipt, type Receipt, shownName } from '../../protocol/index.js'
import { IllegalChange } from '../../sessions/index.js'
import { resourceOf } from '../capture.js'
import { presumeReservationSpent, type RefusedAsUsedUp, releasePermit, reservationSpent } from '../flow-holdings.js'
import { secretsOf } from '../flow-secrets.js'
import { accessOf, type PlacedFlow } from '../flow-state.js'
import { refuseReceipt } from '../receipt.js'
import { placedFlow, type Runtime } from '../runtime.js'
import type { EffectScope } from './effect.js'

export async function verifyReceipt({ runtime, flow, input }: EffectScope<AnsweredInput>): Promise<PaymentFlowEvent> {
  const refused = input.usedUp === null ? {} : { usedUp: input.usedUp }
  const placed = placedFlow(runtime, flow.id)
  try {
    const receipt = parseReceipt(flow.answer?.header('payment-receipt'))
    const event: PaymentFlowEvent = receipt.ok
      ? await believe(runtime, placed, receipt.value, refused)
      : receipt.reason === 'absent'
        ? { type: 'RECEIPT_MISSING' }
        : { type: 'RECEIPT_REJECTED', reason: receipt.detail }
    if (event.type !== 'RECEIPT_VERIFIED') await presumeReservationSpent(runtime, placed, refused)
    return event
  } catch {
    // The answer was paid for and is delivered; the next receipt brings the ledger up to date.
    return { type: 'RECEIPT_REJECTED', reason: 'the ledger could not be updated' }
  } finally {
    releasePermit(flow, true)
  }
}

/** Checks a receipt against the challenge, the channel and what was signed; moves the ledger when it holds. */
async function believe(
  runtime: Runtime,
  placed: PlacedFlow,
  receipt: Receipt,
  refused: RefusedAsUsedUp,
): Promise<PaymentFlowEvent> {
  const { key, place, challenge, flow } = placed
  const refuse = (reason: string): PaymentFlowEvent => ({ type: 'RECEIPT_REJECTED', reason })
  const record = await runtime.ledger.read(key)
  const refusal = refuseReceipt(receipt, challenge.id, record)
  if (refusal !== null) return refuse(refusal)
  const accepted = receipt.acceptedCumulative.toString()
  const spent = receipt.spent.toString()
  try {
    const booked = { accepted, spent, resource: resourceOf(flow.to), flow: flow.id, ...refused }
    const event = { type: 'RECEIPT_ACCEPTED', ...booked } as const
    await runtime.ledger.apply(key, place, event, { access: accessOf(flow) })
    reservationSpent(flow)
  } catch (error) {
    if (error instanceof IllegalChange)
      return refuse('the receipt claims more than was signed, or spent more than it accepted')
    throw error
  }
  const { challengeId, channelId, txHash = null } = receipt
  const secrets = await secretsOf(runtime, flow, await flow.request.body, [])
  return {
    type: 'RECEIPT_VERIFIED',
    receipt: {
      challengeId: shownName(challengeId, secrets),
      channelId,
      acceptedCumulative: accepted,
      spent,
      txHash: txHash === null ? null : shownName(txHash, secrets),
    },
  }
}
