// Finds the channels that a payer has opened, from the chain alone: the event holds the whole descriptor.
// Must never take a node's word for a channel whose id does not follow from its descriptor.
import type { Client } from 'viem'
import { getContractEvents } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import type { Address, Hex } from '../protocol/hex.js'
import { computeChannelId, lowerCase, lowerCaseDescriptor, sameHex } from './channel.js'
import { readNewestBlock } from './channel-at-block.js'
import { searchLogs } from './logs.js'

/** A channel as it was opened. */
export interface Opening {
  readonly channelId: Hex
  readonly descriptor: ChannelDescriptor
  readonly block: number
}

/** What was found, and in which blocks. */
export interface Openings {
  readonly openings: readonly Opening[]
  readonly fromBlock: number
  readonly toBlock: number
}

/**
 * The `ChannelOpened` events of a payer (TIP-1034), oldest first, closed channels included.
 *
 * @throws {@link ChainFailure} when the node does not give the logs of the whole range; the signal's reason when aborted.
 */
export async function findOpenings(
  client: Client,
  p: {
    readonly payer: Address
    readonly escrow: Address
    readonly chainId: number
    /** Default: the first block of the chain. */
    readonly fromBlock?: number
    readonly signal?: AbortSignal
    /** Told how many of how many blocks are still to be read. Must not throw. */
    readonly onPart?: (left: number, of: number) => void
  },
): Promise<Openings> {
  const { chainId, escrow, payer, fromBlock = 0 } = p
  const { block: toBlock } = await readNewestBlock(client)
  const range = { fromBlock: BigInt(fromBlock), toBlock: BigInt(toBlock) }
  const read = (part: typeof range) =>
    getContractEvents(client, {
      address: lowerCase(escrow),
      abi: Abis.tip20ChannelReserve,
      eventName: 'ChannelOpened',
      args: { payer: lowerCase(payer) },
      strict: true,
      ...part,
    })
  const all = toBlock - fromBlock + 1
  const onPart = (left: number): void => p.onPart?.(left, all)
  const events = await searchLogs(range, read, { onPart, ...(p.signal !== undefined && { signal: p.signal }) })
  const openings = events.flatMap(({ args, blockNumber }): Opening[] => {
    const descriptor = lowerCaseDescriptor(args)
    if (!sameHex(computeChannelId(descriptor, { chainId, escrow }), args.channelId)) return []
    return [{ channelId: lowerCase(args.channelId), descriptor, block: Number(blockNumber) }]
  })
  return { openings: openings.sort((a, b) => a.block - b.block), fromBlock, toBlock }
}
