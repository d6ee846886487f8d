// Looks for the event with which a channel ended, when the transaction that ended it is not known.
// Must never take a missing event for proof that a channel still lives: nodes may refuse or forget old logs.
import type { Client } from 'viem'
import { getContractEvents } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { Address, Hex } from '../protocol/hex.js'
import { readNewestBlock } from './channel-at-block.js'
import { searchLogs } from './logs.js'

/** How a channel ended, in base units. */
export interface Closing {
  readonly settledToPayee: bigint
  readonly refundedToPayer: bigint
  readonly txHash: Hex
}

/**
 * The `ChannelClosed` event of a channel (TIP-1034), whichever way it was closed.
 *
 * @param p.fromBlock a block in which the channel was still there, where one is known.
 * @returns undefined when there is none, or when the node does not give logs that far back
 */
export async function findClosing(
  client: Client,
  p: { readonly channelId: Hex; readonly escrow: Address; readonly fromBlock?: number | null },
): Promise<Closing | undefined> {
  const read = (part: { readonly fromBlock: bigint; readonly toBlock: bigint }) =>
    getContractEvents(client, {
      address: p.escrow,
      abi: Abis.tip20ChannelReserve,
      eventName: 'ChannelClosed',
      args: { channelId: p.channelId },
      strict: true,
      ...part,
    })
  // A channel closes once: the first event found is the one.
  const enough = (found: readonly unknown[]): boolean => found.length > 0
  const [event] = await readNewestBlock(client)
    .then(({ block }) => searchLogs({ fromBlock: BigInt(p.fromBlock ?? 0), toBlock: BigInt(block) }, read, { enough }))
    .catch(() => [])
  if (event === undefined) return undefined
  const { settledToPayee, refundedToPayer } = event.args
  return { settledToPayee, refundedToPayer, txHash: event.transactionHash }
}
