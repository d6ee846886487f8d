// Channels between the accounting and the chain: found, opened, topped up, read again.
// Must never book a deposit that the chain does not show.
import type { OpenPayload, TopUpPayload } from '../../protocol/credential.js'
import type { ChannelDescriptor } from '../../protocol/descriptor.js'
import type { Hex } from '../../protocol/hex.js'
import { type ChannelState, decodeOpen, decodeTopUp, readChannel, sameDescriptor, sameHex } from '../../tempo/index.js'
import type { Account } from './accounting.js'
import { broadcast } from './broadcast.js'
import type { GatewayContext } from './context.js'
import { CodeRefusal, ProblemRefusal } from './refusal.js'

/** A deposit read from the chain is relied upon for this long; a payer can withdraw behind the gateway's back. */
const TRUST_MS = 10_000

/** A channel, and the hash of the transaction that has just changed it. */
export interface ChannelChange {
  readonly account: Account
  readonly txHash?: Hex
}

/**
 * The open channel of this accounting or, failing that, of the chain.
 *
 * @throws ProblemRefusal when it is closed, CodeRefusal when there is none or its payer has asked to close it.
 */
export async function findChannel(
  gateway: GatewayContext,
  channelId: Hex,
  descriptor: ChannelDescriptor,
): Promise<Account> {
  const known = gateway.accounting.find(channelId)
  if (known?.status === 'closed') throw new ProblemRefusal('session/channel-finalized')
  if (known !== undefined && Date.now() - known.readAt < TRUST_MS) return usable(known)
  const state = await readState(gateway, channelId)
  if (known === undefined) {
    if (state.deposit === 0n)
      throw new CodeRefusal('mpp_payment_verification_failed', 'There is no such channel on the chain.')
    return usable(gateway.accounting.add(channelId, descriptor, state, Date.now()))
  }
  return usable(update(gateway, known, state))
}

/** Asks the chain again for a channel's deposit. @throws ProblemRefusal when the channel is gone. */
export async function refreshChannel(gateway: GatewayContext, account: Account): Promise<Account> {
  return update(gateway, account, await readState(gateway, account.channelId))
}

/**
 * Opens the channel of an open credential, or finds it when it is open already: the same credential may come twice.
 *
 * @throws CodeRefusal, always before anything is broadcast when the credential itself is wrong.
 */
export async function openChannel(
  gateway: GatewayContext,
  payload: OpenPayload,
  quote: bigint,
): Promise<ChannelChange> {
  const { channelId, descriptor } = payload
  if (gateway.accounting.find(channelId) !== undefined)
    return { account: await findChannel(gateway, channelId, descriptor) }
  const deposit = await requireOpen(gateway, payload)
  const cumulative = BigInt(payload.cumulativeAmount)
  if (cumulative > deposit) throw new CodeRefusal('mpp_session_deposit_below_request_cost')
  if (cumulative < quote)
    throw new CodeRefusal(
      quote > gateway.settings().bucket ? 'mpp_request_exceeds_voucher_bucket' : 'mpp_voucher_bucket_refresh_required',
    )
  const sent = await broadcast(gateway.client, payload.transaction)
  const state = await readState(gateway, channelId)
  if (!sent.ok && state.deposit === 0n) throw new CodeRefusal('mpp_payment_verification_failed', sent.detail)
  if (state.deposit === 0n)
    throw new CodeRefusal('mpp_payment_verification_failed', 'The transaction did not open the channel.')
  const account = usable(gateway.accounting.add(channelId, descriptor, state, Date.now()))
  gateway.accounting.counts.opens += 1
  return sent.ok ? { account, txHash: sent.value } : { account }
}

/** Adds to a channel's deposit. The same credential may come twice and counts once. @throws CodeRefusal */
export async function topUpChannel(gateway: GatewayContext, payload: TopUpPayload): Promise<ChannelChange> {
  const { channelId, descriptor, transaction } = payload
  const account = await findChannel(gateway, channelId, descriptor)
  const decoded = await decodeTopUp(transaction, gateway)
  if (!decoded.ok) throw new CodeRefusal('mpp_payment_verification_failed', decoded.detail)
  const { value } = decoded
  if (value.awaitsFeePayer) throw new CodeRefusal('mpp_payment_verification_failed', 'Fees are not sponsored here.')
  if (!sameHex(value.channelId, channelId) || !sameDescriptor(value.descriptor, descriptor))
    throw new CodeRefusal('mpp_payment_verification_failed', 'The transaction tops up another channel.')
  if (value.additionalDeposit !== BigInt(payload.additionalDeposit))
    throw new CodeRefusal('mpp_payment_verification_failed', 'The transaction adds another amount.')
  const sent = await broadcast(gateway.client, transaction)
  await refreshChannel(gateway, account)
  if (!sent.ok) throw new CodeRefusal('mpp_payment_verification_failed', sent.detail)
  if (!account.topUps.has(sent.value)) {
    account.topUps.add(sent.value)
    gateway.accounting.counts.topUps += 1
  }
  return { account, txHash: sent.value }
}

/** The transaction opens exactly the channel that the credential names. @returns its deposit in base units. */
async function requireOpen(gateway: GatewayContext, payload: OpenPayload): Promise<bigint> {
  const decoded = await decodeOpen(payload.transaction, gateway)
  if (!decoded.ok) throw new CodeRefusal('mpp_payment_verification_failed', decoded.detail)
  const { value } = decoded
  if (value.awaitsFeePayer) throw new CodeRefusal('mpp_payment_verification_failed', 'Fees are not sponsored here.')
  if (
    !sameHex(value.channelId, payload.channelId) ||
    !sameDescriptor(value.descriptor, payload.descriptor) ||
    !sameHex(value.authorizedSigner, payload.authorizedSigner)
  )
    throw new CodeRefusal('mpp_payment_verification_failed', 'The transaction opens another channel.')
  return value.deposit
}

function update(gateway: GatewayContext, account: Account, state: ChannelState): Account {
  account.readAt = Date.now()
  account.closeRequestedAt = state.closeRequestedAt
  if (state.deposit === 0n) {
    // Gone without our close: the payer waited out the grace period and withdrew what was not settled.
    gateway.accounting.finish(account, account.settled, account.deposit - account.settled)
    throw new ProblemRefusal('session/channel-finalized')
  }
  account.deposit = state.deposit
  account.settled = state.settled
  return account
}

function usable(account: Account): Account {
  if (account.closeRequestedAt !== 0)
    throw new CodeRefusal('mpp_payment_verification_failed', 'The payer has asked the chain to close this channel.')
  return account
}

async function readState(gateway: GatewayContext, channelId: Hex): Promise<ChannelState> {
  try {
    return await readChannel(gateway.client, { channelId, escrow: gateway.escrow })
  } catch {
    // Whatever keeps the chain from answering, nothing can be reserved without knowing the deposit, and nothing was run.
    throw new CodeRefusal('mpp_reservation_failed', 'The chain does not answer.')
  }
}
