// Finds the payer's channels that the ledger does not know, from the chain's own events, and takes them in.
// Must never sign anything, nor take in a channel as one to pay with when lost vouchers may be higher than the policy lets be signed.

import { amountOf, mayPayWithAdopted, type SessionEvent } from '../../machines/index.js'
import type { Address, Hex } from '../protocol/index.js'
import {
  type ChannelScope,
  channelKey,
  emptyRecord,
  isEnded,
  type SessionRecord,
  StoreError,
  secondaryKey,
} from '../sessions/index.js'
import {
  ChainFailure,
  type ChannelAtBlock,
  effectiveSigner,
  findOpenings,
  lowerCase,
  type Opening,
  readChannelsAtBlock,
  sameHex,
} from '../tempo/index.js'
import { askAgain } from './ask-again.js'
import { contradictionIn } from './effects/contradiction.js'
import { reconcile } from './effects/reconcile.js'
import { causeOf } from './force-close-outcome.js'
import {
  type ChainSearch,
  forcedClose,
  type RecoveredChannel,
  type RecoverProgress,
  reportOf,
} from './recover-report.js'
import type { Runtime } from './runtime.js'

/** Where to look. */
export interface SearchPlace {
  readonly chainId: number
  readonly escrow: Address
}

export interface SearchOptions {
  readonly signal: AbortSignal
  readonly fromBlock: number | undefined
  /** Pay with what is found, whatever was signed for it before. */
  readonly reuse: boolean
  /** A person vouches for the node. */
  readonly trustNode: boolean
  readonly onProgress: ((progress: RecoverProgress) => void) | undefined
}

/** What one search has come to. */
export interface Searched {
  readonly search: ChainSearch
  readonly channels: readonly RecoveredChannel[]
}

/**
 * Searches one chain and escrow for channels of this payer that the ledger does not know, or believes lost.
 * Never throws, except when it is aborted.
 */
export async function searchChain(
  runtime: Runtime,
  where: SearchPlace,
  records: readonly SessionRecord[],
  options: SearchOptions,
): Promise<Searched> {
  const { chainId, escrow } = where
  const payer = lowerCase(runtime.account.address)
  try {
    const { signal, fromBlock, onProgress } = options
    const client = await askAgain(runtime, signal, () => runtime.clientFor(chainId))
    const range = fromBlock === undefined ? {} : { fromBlock }
    const onPart = (left: number, of: number): void => onProgress?.({ step: 'searching', chainId, escrow, left, of })
    const found = await askAgain(runtime, signal, () =>
      findOpenings(client, { payer, escrow, chainId, signal, onPart, ...range }),
    )
    const unknown = found.openings.filter(({ channelId }) => isUnknown(records, channelId))
    const channelIds = unknown.map(({ channelId }) => channelId)
    const atBlocks = await askAgain(runtime, signal, () =>
      readChannelsAtBlock(client, { channelIds, escrow, clock: runtime.clock }),
    )
    const channels: RecoveredChannel[] = []
    // One after the other: of two in the same place, the first one found takes it.
    for (const [index, opening] of unknown.entries()) {
      const atBlock = atBlocks[index]
      if (atBlock === undefined || atBlock.deposit === 0n) continue
      const known = records.find((record) => record.session.channelId === opening.channelId)
      channels.push(await takeIn(runtime, where, { opening, atBlock, known }, options))
    }
    const blocks = { from: found.fromBlock, to: found.toBlock }
    return { search: { chainId, escrow, blocks, opened: found.openings.length, detail: null }, channels }
  } catch (error) {
    if (options.signal.aborted) throw error
    const { code, detail } = causeOf(error)
    const why = `${code}${detail === null ? '' : `: ${detail}`}`
    return { search: { chainId, escrow, blocks: null, opened: 0, detail: why }, channels: [] }
  }
}

/** A channel that the ledger believes lost counts as unknown: when the chain has it, the belief was wrong. */
function isUnknown(records: readonly SessionRecord[], channelId: Hex): boolean {
  const known = records.filter((record) => record.session.channelId === channelId)
  return known.every(({ status }) => status === 'lost')
}

interface Found {
  readonly opening: Opening
  readonly atBlock: ChannelAtBlock
  /** The record that believes it lost. */
  readonly known: SessionRecord | undefined
}

async function takeIn(
  runtime: Runtime,
  where: SearchPlace,
  { opening, atBlock, known }: Found,
  options: SearchOptions,
): Promise<RecoveredChannel> {
  const { channelId, descriptor } = opening
  const { payer, payee, token, operator } = descriptor
  const place: ChannelScope = { ...where, payer, payee, token, operator, signer: effectiveSigner(descriptor) }
  const own = channelKey(place)
  const amounts = { deposit: atBlock.deposit.toString(), settled: atBlock.settled.toString() }
  const cumulative = known?.session.signed ?? '0'
  const event: SessionEvent = {
    type: 'CHANNEL_ADOPTED',
    channelId,
    descriptor,
    resource: known?.session.resource ?? null,
    ...amounts,
    cumulative,
    block: atBlock.block,
  }
  const none = emptyRecord(own, place, Date.now())
  const outside = { ...none, session: { ...none.session, ...amounts, channelId } }
  try {
    const contradiction = contradictionIn(known, atBlock.settled)
    if (contradiction !== null && !options.trustNode) throw new ChainFailure('contradiction', contradiction)
    const usable = options.reuse || mayPayWithAdopted(amounts, runtime.policy.limits)
    const keys = usable ? [own, secondaryKey(own, channelId)] : [secondaryKey(own, channelId)]
    const record = await adopt(runtime, place, event, {
      keys: known === undefined ? keys : [known.key],
      signal: options.signal,
    })
    return reportOf(record, record, {
      source: 'chain',
      found: 'funded',
      action: 'adopted',
      detail: adviceOn(runtime, record, own),
    })
  } catch (error) {
    if (options.signal.aborted) throw error
    const { code, detail } = causeOf(error)
    const why = `it holds ${amountOf(amounts.deposit, token)}; ${code}${detail === null ? '' : `: ${detail}`}`
    return reportOf(outside, outside, { source: 'chain', found: 'funded', action: 'kept', detail: why })
  }
}

/** Takes the channel in under the first of `keys` that no other channel stands at, and whose record can be read. */
async function adopt(
  runtime: Runtime,
  place: ChannelScope,
  event: Extract<SessionEvent, { type: 'CHANNEL_ADOPTED' }>,
  p: { readonly keys: readonly string[]; readonly signal: AbortSignal },
): Promise<SessionRecord> {
  let refusal: unknown = new Error('no place in the ledger took the channel')
  for (const key of p.keys) {
    try {
      const lease = await runtime.ledger.lease(key, { signal: p.signal, timeoutMs: runtime.policy.timeouts.sessionMs })
      try {
        const standing = await runtime.ledger.read(key)
        if (standing !== undefined && !isEnded(standing)) continue
        await runtime.ledger.apply(key, place, event, { lease })
        // A forced close may be under way.
        await askAgain(runtime, p.signal, () => reconcile(runtime, { key, place }, lease))
        const record = await runtime.ledger.read(key)
        if (record !== undefined) return record
      } finally {
        await lease.release()
      }
    } catch (error) {
      // What cannot be read is not written over: the channel is kept beside it.
      if (!(error instanceof StoreError) || error.reason !== 'damaged') throw error
      refusal = error
    }
  }
  throw refusal
}

function adviceOn(runtime: Runtime, record: SessionRecord, own: string): string {
  const forced = forcedClose(record)
  if (forced !== null) return forced
  if (!sameHex(record.place.signer, runtime.voucherSigner.address)) {
    return `its vouchers are signed by ${record.place.signer}, which is not this client: get its deposit back with forceClose`
  }
  if (record.key === own) return 'requests to its payee are paid with it from now on'
  return 'it is not paid with: what was signed for it is not known. Get its deposit back with close(channelId, { url }) or forceClose'
}
