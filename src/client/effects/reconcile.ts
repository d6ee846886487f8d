// Asks the chain what became of a channel, and writes the answer into the ledger.
// Must never drop something signed that the chain may still include, nor take a server's word for the chain's.

import type { Client } from 'viem'
import { type EffectInput, max, type PaymentFlowEvent, type SessionEvent } from '../../../machines/index.js'
import { type Address, type Hex, parseHex } from '../../protocol/index.js'
import { type HeldLease, isEnded, type SessionRecord } from '../../sessions/index.js'
import {
  ChainFailure,
  type ChannelAtBlock,
  findClosing,
  readChainTime,
  readChannelAtBlock,
  readClosing,
  readWithdrawalDelay,
} from '../../tempo/index.js'
import { acquireLease, releaseLease } from '../flow-holdings.js'
import type { PlacedFlow } from '../flow-state.js'
import { placedFlow, type Runtime, referenceFor, viewFor } from '../runtime.js'
import { contradictionIn } from './contradiction.js'
import { channelOf } from './credential.js'
import type { EffectScope } from './effect.js'

/** A transaction this close to its end is not sent again: it is waited for until it is decided. */
const CLOSE_TO_EXPIRY_SECONDS = 4

/** What the chain says: the record as it is now, or how long to wait until a transaction is decided. */
export type Reconciled =
  | {
      readonly record: SessionRecord | undefined
      /** The node says what cannot be, given what was signed: nothing of that is in the record. */
      readonly contradiction?: string
    }
  | { readonly undecidedMs: number }

export async function reconcileSession({ runtime, flow, signal }: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(runtime, flow.id)
  const lease = await acquireLease(runtime, flow, placed.key, signal)
  try {
    const result = await reconcile(runtime, placed, lease)
    if ('undecidedMs' in result) {
      await releaseLease(flow)
      return { type: 'OPERATION_UNDECIDED', waitMs: result.undecidedMs }
    }
    // Nothing is signed on the word of a node that contradicts what is known.
    if (result.contradiction !== undefined) throw new ChainFailure('contradiction', result.contradiction)
    // An open that is to be sent again keeps the lease until the server has answered.
    if (result.record?.status !== 'opening') await releaseLease(flow)
    return { type: 'SESSION_RECONCILED', session: await viewFor(runtime, placed, result.record) }
  } catch (error) {
    await releaseLease(flow)
    throw error
  }
}

/**
 * Brings a record in line with the chain, as of one block that is no older than the one in which the channel was last
 * seen. What is absent then is absent for good only when the block's own time says that nothing can come any more.
 *
 * @param options.vouched a person trusts the node: what contradicts the record is believed, and named all the same.
 * @throws ChainFailure when the chain cannot be asked, answers from the past, says what cannot be, or shows an end of the
 * channel that contradicts what was signed; nothing is changed then.
 */
export async function reconcile(
  runtime: Runtime,
  { key, place }: Pick<PlacedFlow, 'key' | 'place'>,
  lease: HeldLease,
  { vouched = false }: { readonly vouched?: boolean } = {},
): Promise<Reconciled> {
  const record = await runtime.ledger.read(key)
  if (record === undefined || record.session.channelId === null || isEnded(record)) return { record }
  const { channelId } = channelOf(record)
  const client = await runtime.clientFor(place.chainId)
  const where = { channelId, escrow: place.escrow }
  const { pending, seenAtBlock, withdrawableAt } = record.session
  const atBlock = await readChannelAtBlock(client, {
    ...where,
    notBefore: seenAtBlock,
    ...referenceFor(runtime, record),
  })
  const { block } = atBlock
  const deposit = atBlock.deposit.toString()
  // A ledger that believes in more than the chain holds (restored from another machine, say) keeps its belief: a deposit
  // never shrinks here. The server refuses what the chain does not cover, and a top-up makes it true.
  const held = max(deposit, record.session.deposit)
  const contradiction = contradictionIn(record, atBlock.settled)
  const named = contradiction === null ? {} : { contradiction }
  const settled = contradiction === null || vouched ? atBlock.settled.toString() : record.session.settled
  const apply = async (event: SessionEvent): Promise<Reconciled> => ({
    record: await runtime.ledger.apply(key, place, event, { lease }),
    ...named,
  })
  /** What is to be done about a transaction that the chain does not show: wait for it, or go on without it. */
  const unless = async (tooLate: SessionEvent): Promise<Reconciled> =>
    (await undecided(runtime, record, client, atBlock)) ?? apply(tooLate)

  if (atBlock.deposit === 0n) {
    if (record.status === 'opening') {
      const closing = await findClosing(client, where)
      if (closing === undefined) return unless({ type: 'OPEN_DROPPED' })
      holdEnd(closing.settledToPayee)
      // Opened and closed again before anybody here looked: what it cost is kept.
      await apply({ type: 'OPEN_CONFIRMED', deposit: pending?.amount ?? '0', block })
      return ended()
    }
    refuseOldAbsence(record, atBlock)
    return ended()
  }
  switch (record.status) {
    case 'opening':
      return apply({ type: 'OPEN_CONFIRMED', deposit, block })
    case 'toppingUp': {
      const arrived = atBlock.deposit >= BigInt(pending?.reaching ?? '0')
      return arrived ? apply({ type: 'TOP_UP_CONFIRMED', deposit: held, block }) : unless({ type: 'TOP_UP_DROPPED' })
    }
    case 'closing':
      return apply({ type: 'CLOSE_ABANDONED' })
    case 'open':
      return open()
    case 'closeRequested':
      return requested()
    case 'withdrawable':
      if (pending !== null) return unless({ type: 'WITHDRAW_DROPPED' })
      return atBlock.closeRequestedAt === 0 ? calledOff() : { record, ...named }
    default:
      return { record, ...named }
  }

  async function open(): Promise<Reconciled> {
    // Of a node that contradicts what is known, nothing is taken over.
    if (contradiction !== null && !vouched) return { record, contradiction }
    const known = seenAtBlock !== null && deposit === record?.session.deposit && settled === record.session.settled
    const seen = known ? { record } : await apply({ type: 'DEPOSIT_SEEN', deposit: held, settled, block })
    // Asked for by a process that does not share this ledger.
    return atBlock.closeRequestedAt === 0 ? seen : apply(await graceBegun())
  }

  async function requested(): Promise<Reconciled> {
    if (atBlock.closeRequestedAt === 0) {
      return pending === null ? calledOff() : unless({ type: 'REQUEST_CLOSE_DROPPED' })
    }
    const begun = await graceBegun()
    const known = pending === null && withdrawableAt === begun.withdrawableAt
    const now = known ? { record, ...named } : await apply(begun)
    return atBlock.blockTime >= begun.withdrawableAt ? apply({ type: 'GRACE_ELAPSED' }) : now
  }

  async function graceBegun() {
    const delay = await readWithdrawalDelay(client, place.escrow)
    return { type: 'CLOSE_REQUESTED', withdrawableAt: atBlock.closeRequestedAt + delay, block } as const
  }

  /** The channel is there and the request is not: a top-up has called the forced close off. */
  async function calledOff(): Promise<Reconciled> {
    await apply({ type: 'CLOSE_REQUEST_CANCELLED', block })
    return apply({ type: 'DEPOSIT_SEEN', deposit: held, settled, block })
  }

  async function ended(): Promise<Reconciled> {
    const withdrawal = pending?.kind === 'withdraw' ? parseHex(pending.transactionHash, 32) : null
    if (withdrawal?.ok === true) {
      const ours = await readClosing(client, { ...where, txHash: withdrawal.value })
      if (ours !== undefined) {
        holdEnd(ours.settledToPayee)
        return apply({
          type: 'WITHDRAWN',
          settled: ours.settledToPayee.toString(),
          refunded: ours.refundedToPayer.toString(),
        })
      }
    }
    const closing = await findClosing(client, { ...where, fromBlock: seenAtBlock })
    if (closing === undefined) return apply({ type: 'CHANNEL_GONE' })
    const ending = holdEnd(closing.settledToPayee)
    const refunded = closing.refundedToPayer.toString()
    return {
      ...(await apply({ type: 'CLOSE_CONFIRMED', settled: closing.settledToPayee.toString(), refunded })),
      ...ending,
    }
  }

  /** An end that cannot be makes no room for another channel, unless a person vouches for it. */
  function holdEnd(settledInTheEnd: bigint): { readonly contradiction?: string } {
    const impossible = contradictionIn(record, settledInTheEnd)
    if (impossible === null) return {}
    if (!vouched) throw new ChainFailure('contradiction', impossible)
    return { contradiction: impossible }
  }
}

/**
 * Whether the chain no longer has the channel of a record.
 *
 * @throws ChainFailure when the chain cannot be asked, or answers from before the channel was last seen.
 */
export async function isGone(
  runtime: Pick<Runtime, 'clock'>,
  client: Client,
  where: { readonly channelId: Hex; readonly escrow: Address },
  record: SessionRecord,
): Promise<boolean> {
  const notBefore = record.session.seenAtBlock
  const atBlock = await readChannelAtBlock(client, { ...where, notBefore, ...referenceFor(runtime, record) })
  if (atBlock.deposit !== 0n) return false
  refuseOldAbsence(record, atBlock)
  return true
}

/**
 * A record that does not say in which block its channel was seen: the chain must at least be as new as the record.
 *
 * @throws ChainFailure `behind`
 */
function refuseOldAbsence({ session, usedAt }: SessionRecord, { block, blockTime }: ChannelAtBlock): void {
  if (session.seenAtBlock !== null || blockTime * 1000 >= usedAt) return
  throw new ChainFailure('behind', `block ${block} is older than what is known of the channel`)
}

/** While a transaction may still be included: send it again, or wait when it is about to expire. Null: it is too late. */
async function undecided(
  { clock }: Pick<Runtime, 'clock'>,
  record: SessionRecord,
  client: Client,
  { blockTime }: ChannelAtBlock,
): Promise<Reconciled | null> {
  const validBefore = record.session.pending?.validBefore ?? 0
  // No block from this one on may include it, and this one shows that none before has: whichever node says so.
  if (blockTime >= validBefore) return null
  // The clock of the block under way says whether sending is still worth it. It proves nothing: a node that lags has one too.
  const left = validBefore - (await readChainTime(client, { clock }))
  if (left > CLOSE_TO_EXPIRY_SECONDS) return { record }
  return { undecidedMs: (Math.max(left, 0) + 1) * 1000 }
}
