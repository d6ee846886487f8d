// Closes a channel on the payer's word: captures what was spent, and the chain refunds the rest.
// Must never capture an unfinished request, nor more than was spent.
import type { ClosePayload } from '../../protocol/credential.js'
import type { Hex } from '../../protocol/hex.js'
import { readClosing, signClose } from '../../tempo/index.js'
import type { Account } from './accounting.js'
import { broadcast } from './broadcast.js'
import { type ChannelChange, findChannel, refreshChannel } from './channels.js'
import type { GatewayContext } from './context.js'
import { CodeRefusal, ProblemRefusal } from './refusal.js'

/**
 * Closes the channel with the credential's voucher. Call it with the channel locked: no request may start meanwhile,
 * and the running ones are waited for.
 *
 * @throws CodeRefusal, ProblemRefusal
 */
export async function closeChannel(gateway: GatewayContext, payload: ClosePayload): Promise<ChannelChange> {
  const account = await findForClosing(gateway, payload)
  await gateway.accounting.idle(account)
  if (BigInt(payload.cumulativeAmount) < account.spent)
    throw new CodeRefusal('mpp_payment_verification_failed', 'The voucher does not cover what was spent.')
  const txHash = await sendClose(gateway, account, payload)
  const { client, escrow } = gateway
  const closing = await readClosing(client, { channelId: account.channelId, escrow, txHash }).catch(() => undefined)
  if (closing === undefined) throw new CodeRefusal('mpp_session_close_failed', 'The close could not be recorded.')
  if (BigInt(payload.cumulativeAmount) > account.accepted) {
    account.accepted = BigInt(payload.cumulativeAmount)
    account.acceptedSignature = payload.signature
  }
  gateway.accounting.finish(account, closing.settledToPayee, closing.refundedToPayer)
  gateway.accounting.counts.closes += 1
  return { account, txHash }
}

/** A payer that has asked the chain to close may close here all the same: it is the faster way to the same end. */
async function findForClosing(gateway: GatewayContext, payload: ClosePayload): Promise<Account> {
  const known = gateway.accounting.find(payload.channelId)
  if (known?.status === 'closed') throw new ProblemRefusal('session/channel-finalized')
  try {
    if (known !== undefined) return await refreshChannel(gateway, known)
    return await findChannel(gateway, payload.channelId, payload.descriptor)
  } catch (error) {
    if (error instanceof CodeRefusal && error.code === 'mpp_reservation_failed')
      throw new CodeRefusal('mpp_session_close_failed', error.detail)
    throw error
  }
}

async function sendClose(gateway: GatewayContext, account: Account, payload: ClosePayload): Promise<Hex> {
  const { client, chainId, escrow, payee, sponsor } = gateway
  const signed = await signClose(client, {
    account: payee,
    feePayer: sponsor,
    chainId,
    escrow,
    descriptor: account.descriptor,
    cumulative: BigInt(payload.cumulativeAmount),
    capture: account.spent,
    signature: payload.signature,
  }).catch(() => undefined)
  if (signed === undefined) throw new CodeRefusal('mpp_session_close_failed', 'The close could not be prepared.')
  const sent = await broadcast(client, signed.transaction)
  if (!sent.ok) throw new CodeRefusal('mpp_session_close_failed', sent.detail)
  return sent.value
}
