// The transaction with which a payee ends a channel: it takes what was spent, and the payer gets the rest back.
// Must never capture more than the voucher it carries allows; the chain would refuse, and the fee would be lost.
import { type Client, encodeFunctionData } from 'viem'
import { Abis } from 'viem/tempo'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import type { Hex } from '../protocol/hex.js'
import { lowerCaseDescriptor } from './channel.js'
import { type SignedCall, signEscrowCall, type TransactionTerms } from './escrow-call.js'
import { settleableSignature } from './voucher.js'

export interface CloseTerms extends TransactionTerms {
  readonly descriptor: ChannelDescriptor
  /** Base units: the voucher's running total. */
  readonly cumulative: bigint
  /** Base units the payee takes in all, at most `cumulative` and at least what was settled before. */
  readonly capture: bigint
  /** The payer's voucher for `cumulative`, as it was signed. */
  readonly signature: Hex
}

/**
 * Signs `close` for the payee or the channel's operator (TIP-1034).
 *
 * @throws RangeError when more would be captured than the voucher allows, {@link ChainFailure} otherwise.
 */
export async function signClose(client: Client, terms: CloseTerms): Promise<SignedCall> {
  const { descriptor, cumulative, capture, signature } = terms
  if (capture > cumulative) throw new RangeError('the capture is more than the voucher allows')
  const data = encodeFunctionData({
    abi: Abis.tip20ChannelReserve,
    functionName: 'close',
    args: [lowerCaseDescriptor(descriptor), cumulative, capture, settleableSignature(signature)],
  })
  return signEscrowCall(client, terms, { token: descriptor.token, amount: 0n, data })
}
