// Brings the ledger and the chain together after a crash, or after the ledger was lost.
// Must never sign anything, nor forget anything signed that the chain may still include.

import { abortSignal, chainId, flag, fn, listOf, optionsOf, readOptions, wholeNumber } from '../options/index.js'
import { parseAddress } from '../protocol/index.js'
import type { SessionRecord } from '../sessions/index.js'
import { type SearchPlace, searchChain } from './recover-chain.js'
import { settleLedger } from './recover-ledger.js'
import type { RecoveredChannel, RecoverProgress, RecoveryReport } from './recover-report.js'
import type { Runtime } from './runtime.js'
import { readableRecords } from './sessions.js'

export interface RecoverOptions {
  readonly signal?: AbortSignal
  /** Chains to search for channels that the ledger does not know. Default: those of the ledger and of the policy. */
  readonly chainIds?: readonly number[]
  /** The first block to search. Default: the first of the chain, which takes long on a node that gives few logs at a time. */
  readonly fromBlock?: number
  /**
   * Pay with channels that are found on the chain, also where lost vouchers may be higher than `maxExposure` lets this
   * client sign: its payee may then refuse what is signed. Default false: such channels are kept apart, to be closed.
   */
  readonly reuse?: boolean
  /**
   * You trust the node that this client asks: what it says goes before what other nodes have said. A last sighting that is
   * ahead of it is reset; a transaction that was signed by a clock far ahead is no longer waited for; and what the payee has
   * settled is believed, also where it is more than was signed here. No amount shrinks, and a node that has not caught up
   * is refused. Default false. Give it when channels are refused as seen in a block that does not exist, or contradicted.
   */
  readonly trustNode?: boolean
  /** Told of each channel of the ledger, and of each part of a chain that was searched. Must not throw. */
  readonly onProgress?: (progress: RecoverProgress) => void
}

const recoverOptions = optionsOf({
  signal: abortSignal.optional(),
  chainIds: listOf(chainId, 'chain ids').optional(),
  fromBlock: wholeNumber(0).optional(),
  reuse: flag.optional(),
  trustNode: flag.optional(),
  onProgress: fn<NonNullable<RecoverOptions['onProgress']>>().optional(),
} satisfies Record<keyof RecoverOptions, unknown>)

/**
 * Settles every pending operation of the ledger against the chain: funded is adopted, absent and expired is dropped, absent
 * and still valid is kept and told. Then finds channels of this payer that only the chain knows, so that a lost ledger
 * loses no deposit. Waits for nothing but the leases of channels that are in use.
 *
 * Signs nothing. What was signed for a channel that only the chain knows is unknown, and nothing is guessed: the channel is
 * paid with only when all of its deposit is within `maxExposure`, and then a flow signs its first voucher, within the
 * limits. What a node says was settled counts as taken, and makes no room for more.
 *
 * @throws OptionError for options that cannot be read; StoreError when the store cannot be read at all; the signal's reason
 * when aborted. Everything else is reported.
 *
 * @example
 * ```ts
 * import type { MppClient } from 'mpp-flow'
 *
 * export async function takeStock(mpp: MppClient) {
 *   const { channels } = await mpp.sessions.recover()
 *   for (const { channelId, found, action, detail } of channels) console.log(channelId, found, action, detail)
 * }
 * ```
 */
export async function recover(runtime: Runtime, given: RecoverOptions = {}): Promise<RecoveryReport> {
  const options = readOptions(recoverOptions, given)
  const signal = options.signal ?? new AbortController().signal
  const { records, unreadable } = await readableRecords(runtime.ledger)
  const { onProgress, trustNode = false } = options
  const settled = await settleLedger(runtime, records, { signal, trustNode, onProgress })
  const after = await readableRecords(runtime.ledger)
  const found = await Promise.all(
    placesToSearch(runtime, records, options).map((where) =>
      searchChain(runtime, where, after.records, {
        signal,
        fromBlock: options.fromBlock,
        reuse: options.reuse ?? false,
        trustNode,
        onProgress,
      }),
    ),
  )
  return {
    channels: withoutRepeats([...settled, ...found.flatMap(({ channels }) => channels)]),
    searches: found.map(({ search }) => search),
    unreadable,
  }
}

/** A channel that was found lost and then taken in again is told once, as it is now. */
function withoutRepeats(channels: readonly RecoveredChannel[]): readonly RecoveredChannel[] {
  return [...new Map(channels.map((channel) => [channel.channelId, channel])).values()]
}

/** Every chain and escrow that the policy allows or the ledger has used. */
function placesToSearch(
  { policy, account }: Runtime,
  records: readonly SessionRecord[],
  { chainIds }: { readonly chainIds?: readonly number[] | undefined },
): readonly SearchPlace[] {
  const used = records.filter(({ place }) => place.payer === account.address.toLowerCase()).map(({ place }) => place)
  const chains = new Set(chainIds ?? [...policy.allowedChains, ...used.map(({ chainId }) => chainId)])
  const escrows = new Set([...policy.allowedEscrows, ...used.map(({ escrow }) => escrow)])
  return [...chains].flatMap((chainId) =>
    [...escrows].flatMap((text): SearchPlace[] => {
      const escrow = parseAddress(text)
      return escrow.ok ? [{ chainId, escrow: escrow.value }] : []
    }),
  )
}
