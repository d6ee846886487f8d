// Reads of the chain: channels, balances, time.
// Must never send a transaction.
import { type Client, parseEventLogs } from 'viem'
import { getBlock, getTransactionReceipt, readContract } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { Address, Hex } from '../protocol/hex.js'
import { lowerCase, sameHex } from './channel.js'
import { ChainFailure, toChainFailure } from './failure.js'
import { holdTime, type Reference } from './plausible.js'

/** A channel as the reserve keeps it, in base units. */
export interface ChannelState {
  /** Zero: there is no such channel, because it was never opened or because it is closed and gone. */
  readonly deposit: bigint
  /** Already paid out to the payee. */
  readonly settled: bigint
  /** Chain seconds of the payer's close request; zero when there is none. */
  readonly closeRequestedAt: number
}

/**
 * Reads a channel (TIP-1034 `getChannelState`).
 *
 * @throws {@link ChainFailure}
 */
export async function readChannel(
  client: Client,
  p: { readonly channelId: Hex; readonly escrow: Address },
): Promise<ChannelState> {
  return failingTyped(async () => {
    const state = await readContract(client, {
      address: lowerCase(p.escrow),
      abi: Abis.tip20ChannelReserve,
      functionName: 'getChannelState',
      args: [p.channelId],
    })
    return { deposit: state.deposit, settled: state.settled, closeRequestedAt: state.closeRequestedAt }
  })
}

/**
 * The chain's clock in seconds: the time of the block under way, which is the one a transaction sent now will meet.
 *
 * The latest block alone is not enough: a chain that mines only when there is work lags behind by as long as it idled.
 *
 * @throws {@link ChainFailure}
 */
export async function readChainTime(client: Client, reference: Reference = {}): Promise<number> {
  return Number((await readPendingBlock(client, reference)).timestamp)
}

/**
 * Time in seconds and base fee of the block under way, or of the latest one where a node does not show the former.
 *
 * @throws {@link ChainFailure} `implausible` when the time cannot be.
 */
export async function readPendingBlock(
  client: Client,
  reference: Reference = {},
): Promise<{ readonly timestamp: bigint; readonly baseFeePerGas: bigint }> {
  return failingTyped(async () => {
    const pending = await getBlock(client, { blockTag: 'pending' }).catch(() => undefined)
    const block = pending ?? (await getBlock(client, { blockTag: 'latest' }))
    const { timestamp, baseFeePerGas } = block
    // The client that reads it takes a sign for a part of the number.
    if (baseFeePerGas !== null && baseFeePerGas < 0n)
      throw new ChainFailure('unknown', "the node's base fee is below zero")
    holdTime(Number(timestamp), reference)
    return { timestamp, baseFeePerGas: baseFeePerGas ?? 0n }
  })
}

/**
 * A TIP-20 balance in base units.
 *
 * @throws {@link ChainFailure}
 */
export async function readTokenBalance(
  client: Client,
  p: { readonly token: Address; readonly owner: Address },
): Promise<bigint> {
  return failingTyped(() =>
    readContract(client, {
      address: lowerCase(p.token),
      abi: Abis.tip20,
      functionName: 'balanceOf',
      args: [lowerCase(p.owner)],
    }),
  )
}

/**
 * The token's decimals.
 *
 * @throws {@link ChainFailure}
 */
export async function readDecimals(client: Client, token: Address): Promise<number> {
  return failingTyped(() =>
    readContract(client, { address: lowerCase(token), abi: Abis.tip20, functionName: 'decimals' }),
  )
}

/**
 * How a channel ended, from the `ChannelClosed` event of the transaction that closed it, in base units.
 *
 * @returns undefined while the transaction is not mined, and when it closed no such channel.
 * @throws {@link ChainFailure}
 */
export async function readClosing(
  client: Client,
  p: { readonly channelId: Hex; readonly escrow: Address; readonly txHash: Hex },
): Promise<{ readonly settledToPayee: bigint; readonly refundedToPayer: bigint } | undefined> {
  return failingTyped(async () => {
    const receipt = await getTransactionReceipt(client, { hash: p.txHash }).catch((error: unknown) => {
      if (error instanceof Error && error.name === 'TransactionReceiptNotFoundError') return undefined
      throw error
    })
    if (receipt === undefined) return undefined
    const closing = parseEventLogs({
      abi: Abis.tip20ChannelReserve,
      logs: receipt.logs,
      eventName: 'ChannelClosed',
    }).find((log) => sameHex(log.address, p.escrow) && sameHex(log.args.channelId, p.channelId))
    if (closing === undefined) return undefined
    return { settledToPayee: closing.args.settledToPayee, refundedToPayer: closing.args.refundedToPayer }
  })
}

async function failingTyped<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw toChainFailure(error)
  }
}
