// Looks at channels as of one named block, so that nodes that lag behind or disagree cannot mislead.
// Must never take an answer from before the block in which a channel was last seen, nor one that cannot be.
import type { Client } from 'viem'
import { getBlock, readContract } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { Address, Hex } from '../protocol/hex.js'
import type { ChannelState } from './chain.js'
import { lowerCase } from './channel.js'
import { ChainFailure, toChainFailure } from './failure.js'
import { holdHeight, holdTime, type Reference } from './plausible.js'

/** The block as of which something was read. */
export interface SeenBlock {
  readonly block: number
  /** Chain seconds. What expires at this time or before it cannot be included any more. */
  readonly blockTime: number
}

/** A channel as of one block. */
export interface ChannelAtBlock extends ChannelState, SeenBlock {}

/** Channels asked for in one call. */
const AT_ONCE = 100

/** Behind one address there may be several nodes: another one is asked before one that lags is taken for all of them. */
const LOOKS = 4
const LOOK_AGAIN_MS = 150

/**
 * The newest block that the node has.
 *
 * @throws {@link ChainFailure} `behind` when that is older than `notBefore`; `implausible` when it cannot be.
 */
export async function readNewestBlock(
  client: Client,
  p: Reference & { readonly notBefore?: number | null } = {},
): Promise<SeenBlock> {
  const { notBefore = null } = p
  const newest = await getBlock(client, { blockTag: 'latest' }).catch((error: unknown) => {
    throw toChainFailure(error)
  })
  const block = Number(newest.number)
  const blockTime = Number(newest.timestamp)
  holdTime(blockTime, p)
  holdHeight(block, p)
  if (notBefore !== null && block < notBefore)
    throw new ChainFailure('behind', `it is at block ${block}, block ${notBefore} was seen before`)
  return { block, blockTime }
}

/**
 * Reads a channel (TIP-1034 `getChannelState`) as of the node's newest block. Block and state are asked for one after the
 * other, and the state by the block's number: behind a load balancer, a node that does not have the block refuses.
 *
 * @throws {@link ChainFailure} `behind` when the node is behind `notBefore`, the block in which the channel was last seen;
 * `implausible` when what it says cannot be.
 */
export async function readChannelAtBlock(
  client: Client,
  p: Reference & { readonly channelId: Hex; readonly escrow: Address; readonly notBefore?: number | null },
): Promise<ChannelAtBlock> {
  return lookAgain(async () => {
    const seen = await readNewestBlock(client, p)
    const state = await readContract(client, {
      address: lowerCase(p.escrow),
      abi: Abis.tip20ChannelReserve,
      functionName: 'getChannelState',
      args: [p.channelId],
      blockNumber: BigInt(seen.block),
    })
    return consistent({
      deposit: state.deposit,
      settled: state.settled,
      closeRequestedAt: state.closeRequestedAt,
      ...seen,
    })
  })
}

/** @throws ChainFailure `implausible` for a state that no channel can have. */
function consistent(atBlock: ChannelAtBlock): ChannelAtBlock {
  const { deposit, settled, closeRequestedAt, blockTime } = atBlock
  if (deposit > 0n && settled > deposit)
    throw new ChainFailure('implausible', 'it says that more of a channel was settled than was deposited')
  if (closeRequestedAt > blockTime)
    throw new ChainFailure('implausible', 'it says that a close was requested later than in its newest block')
  return atBlock
}

async function lookAgain<T>(look: () => Promise<T>): Promise<T> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look()
    } catch (error) {
      const failure = toChainFailure(error)
      if ((failure.reason !== 'behind' && failure.reason !== 'implausible') || looks >= LOOKS) throw failure
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }
}

/**
 * The same for many channels, in the order of `channelIds`, all as of one block.
 *
 * @throws {@link ChainFailure}
 */
export async function readChannelsAtBlock(
  client: Client,
  p: Reference & { readonly channelIds: readonly Hex[]; readonly escrow: Address },
): Promise<readonly ChannelAtBlock[]> {
  return lookAgain(async () => {
    const seen = await readNewestBlock(client, p)
    const atBlocks: ChannelAtBlock[] = []
    for (let at = 0; at < p.channelIds.length; at += AT_ONCE) {
      const states = await readContract(client, {
        address: lowerCase(p.escrow),
        abi: Abis.tip20ChannelReserve,
        functionName: 'getChannelStatesBatch',
        args: [p.channelIds.slice(at, at + AT_ONCE)],
        blockNumber: BigInt(seen.block),
      })
      for (const { deposit, settled, closeRequestedAt } of states)
        atBlocks.push(consistent({ deposit, settled, closeRequestedAt, ...seen }))
    }
    return atBlocks
  })
}
