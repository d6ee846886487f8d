// What a person's word for a node undoes: what other nodes have lied into a record.
// Must never forget what was signed for: no amount shrinks but a deposit that this node does not show, and never below that.

import type { PendingOperation, SessionEvent } from '../../machines/index.js'
import { amountOf, exceeds, max } from '../../machines/index.js'
import { channelKey, type HeldLease, isEnded, isSecondary, type SessionRecord } from '../sessions/index.js'
import { ChainFailure, readChannelAtBlock, readNewestBlock, type SeenBlock, timeOf } from '../tempo/index.js'
import { channelOf } from './effects/credential.js'
import { type Runtime, referenceFor } from './runtime.js'

/** A node that is further behind than this has not caught up, and cannot be vouched for. */
const CAUGHT_UP_SECONDS = 60

/** Nodes take a transaction 30 seconds before its time is over at the earliest. */
const INCLUDED_AHEAD_SECONDS = 30

/** Signed by an honest clock, no transaction has more time left than this, as seen from a node that has caught up. */
const LONGEST_WAIT_SECONDS = CAUGHT_UP_SECONDS + INCLUDED_AHEAD_SECONDS + 30

/** A channel that has gone is believed gone once the chain is newer than the record. */
const NEXT_BLOCK_MS = 1_500

/** What was undone, in words. */
export interface Vouched {
  readonly notes: readonly string[]
  /** Where the channel is now, when it was moved out of the way. */
  readonly secondary: SessionRecord | null
}

/** What becomes of a transaction that no node includes for a long time. An open stays a liability, and is moved instead. */
const DROPS: Readonly<Record<PendingOperation['kind'], (SessionEvent['type'] & `${string}_DROPPED`) | null>> = {
  open: null,
  topUp: 'TOP_UP_DROPPED',
  close: null,
  requestClose: 'REQUEST_CLOSE_DROPPED',
  withdraw: 'WITHDRAW_DROPPED',
}

/**
 * Undoes what only a lie can have brought into a record: a last sighting that is ahead of the node, a deposit that is
 * larger than the node shows, and a transaction whose time is over much later than any that an honest clock lets be signed.
 *
 * @throws ChainFailure `behind` when the node has not caught up with this machine's clock.
 */
export async function undoLies(
  runtime: Runtime,
  record: SessionRecord,
  lease: HeldLease,
  signal: AbortSignal,
): Promise<Vouched> {
  if (isEnded(record)) return { notes: [], secondary: null }
  const { key, place, session } = record
  const newest = await readNewestBlock(await runtime.clientFor(place.chainId), { clock: runtime.clock })
  holdCaughtUp(runtime, newest)
  const notes: string[] = []
  const { seenAtBlock } = session
  if (seenAtBlock !== null && seenAtBlock > newest.block) {
    await runtime.ledger.apply(key, place, { type: 'SEEN_BLOCK_RESET' }, { lease })
    notes.push(
      `it was last seen in block ${seenAtBlock}, which the node does not have (its newest is ${newest.block}): that block was reset`,
    )
    await runtime.clock.pause(NEXT_BLOCK_MS, signal)
  }
  const reset = await resetDeposit(runtime, key, lease)
  if (reset !== null) notes.push(reset)
  const { pending } = session
  if (pending === null || (pending.validBefore ?? 0) <= newest.blockTime + LONGEST_WAIT_SECONDS)
    return { notes, secondary: null }
  const until = timeOf(pending.validBefore ?? 0)
  const moves = amountOf(pending.amount, place.token)
  const drop = DROPS[pending.kind]
  if (drop !== null) {
    await runtime.ledger.apply(key, place, { type: drop }, { lease })
    const still =
      pending.kind === 'topUp'
        ? `: it may still add ${moves} to the deposit then, unless the channel is closed before`
        : ', and it moves nothing'
    notes.push(
      `what was signed for it can be included shortly before ${until} only, and is no longer waited for${still}`,
    )
    return { notes, secondary: null }
  }
  // Beside the place already, it keeps nothing waiting.
  if (pending.kind !== 'open' || isSecondary(key, channelKey(place))) return { notes, secondary: null }
  notes.push(
    `its open can be included shortly before ${until} only: it is kept apart, its deposit of ${moves} counts in maxTotalDeposit until then, and another channel may be opened`,
  )
  return { notes, secondary: await runtime.ledger.makeOpenSecondary(key, place, lease) }
}

/**
 * A deposit that is larger than the chain's would stop every top-up. What was signed for stays covered here: the gateway
 * refuses what the chain does not cover, and a top-up makes it true.
 *
 * @returns what was done, in words; null when there was nothing to do.
 */
async function resetDeposit(runtime: Runtime, key: string, lease: HeldLease): Promise<string | null> {
  const record = await runtime.ledger.read(key)
  if (record?.status !== 'open') return null
  const { place, session } = record
  const { channelId } = channelOf(record)
  const where = { channelId, escrow: place.escrow, notBefore: session.seenAtBlock, ...referenceFor(runtime, record) }
  const atBlock = await readChannelAtBlock(await runtime.clientFor(place.chainId), where)
  const shown = atBlock.deposit.toString()
  const deposit = max(shown, session.signed)
  // One that is not there at all has ended, which is looked into next.
  if (atBlock.deposit === 0n || !exceeds(session.deposit, deposit)) return null
  await runtime.ledger.apply(key, place, { type: 'DEPOSIT_RESET', deposit }, { lease })
  const [believed, real] = [amountOf(session.deposit, place.token), amountOf(shown, place.token)]
  return `its deposit was believed to be ${believed}, the node shows ${real}: that was reset`
}

function holdCaughtUp({ clock }: Runtime, { blockTime }: SeenBlock): void {
  const now = Math.floor(clock.now() / 1000)
  if (blockTime >= now - CAUGHT_UP_SECONDS) return
  const both = `the time of its newest block is ${timeOf(blockTime)}, that of this machine is ${timeOf(now)}`
  throw new ChainFailure('behind', `${both}: only a node that has caught up can be trusted with this`)
}
