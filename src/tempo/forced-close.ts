// The two transactions of a forced close, which the payer sends itself: ask for the close, and withdraw when time is up.
// Must never broadcast them, nor move anything but what the payer deposited.
import { type Client, encodeFunctionData } from 'viem'
import { readContract } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import type { Address } from '../protocol/hex.js'
import { lowerCase, lowerCaseDescriptor } from './channel.js'
import { type SignedCall, signEscrowCall, type TransactionTerms } from './escrow-call.js'
import { ChainFailure, toChainFailure } from './failure.js'
import { LONGEST_GRACE_SECONDS } from './plausible.js'

export interface ForcedCloseTerms extends TransactionTerms {
  readonly descriptor: ChannelDescriptor
}

/**
 * Signs `requestClose` (TIP-1034): the grace period begins, in which the payee may still settle its highest voucher. A
 * second request neither fails nor restarts the period. The payer pays the fee.
 *
 * @throws {@link ChainFailure}
 */
export function signRequestClose(client: Client, terms: ForcedCloseTerms): Promise<SignedCall> {
  return signCall(client, terms, 'requestClose')
}

/**
 * Signs `withdraw` (TIP-1034): ends the channel and returns what was never settled, once the grace period is over.
 *
 * @throws {@link ChainFailure}: `reverted` when it is not over yet, or the channel is gone.
 */
export function signWithdraw(client: Client, terms: ForcedCloseTerms): Promise<SignedCall> {
  return signCall(client, terms, 'withdraw')
}

function signCall(
  client: Client,
  terms: ForcedCloseTerms,
  functionName: 'requestClose' | 'withdraw',
): Promise<SignedCall> {
  const { descriptor } = terms
  const data = encodeFunctionData({
    abi: Abis.tip20ChannelReserve,
    functionName,
    args: [lowerCaseDescriptor(descriptor)],
  })
  return signEscrowCall(client, terms, { token: descriptor.token, amount: 0n, data })
}

/** What is waited beyond the grace period, in seconds: the times of blocks vary (Tempo session intent draft, Forced Close). */
const WITHDRAWAL_MARGIN_SECONDS = 60

/**
 * How many seconds lie between the request of a forced close and its withdrawal: the contract's `CLOSE_GRACE_PERIOD`
 * (TIP-1034), and a minute. With the 15 minutes of the channel reserve these are the 16 minutes that the draft asks for.
 *
 * @throws {@link ChainFailure}: `implausible` for a period of more than 30 days.
 */
export async function readWithdrawalDelay(client: Client, escrow: Address): Promise<number> {
  const seconds = await readContract(client, {
    address: lowerCase(escrow),
    abi: Abis.tip20ChannelReserve,
    functionName: 'CLOSE_GRACE_PERIOD',
  }).catch((error: unknown) => {
    throw toChainFailure(error)
  })
  if (seconds > BigInt(LONGEST_GRACE_SECONDS))
    throw new ChainFailure('implausible', 'it says that a forced close takes more than 30 days')
  return Number(seconds) + WITHDRAWAL_MARGIN_SECONDS
}
