// Asks the chain what became of a channel, and writes the answer into the ledger.
// Must never drop something signed that the chain may still include, nor take a server's word for the chain's.

import { type EffectInput, max, type PaymentFlowEvent } from '../../../machines/index.js'
import { type HeldLease, isEnded, type SessionRecord } from '../../sessions/index.js'
import { findClosing, readChainTime, readChannel } from '../../tempo/index.js'
import { dropLease, holdLease, type PlacedFlow, placedFlow, type Ring, viewFor } from '../ring.js'
import { channelOf } from './credential.js'
import type { EffectScope } from './effect.js'

/** A transaction this close to its end is not sent again: it is waited for until it is decided. */
const CLOSE_TO_EXPIRY_SECONDS = 4

/** What the chain says: the record as it is now, or how long to wait until a transaction is decided. */
export type Reconciled = { readonly record: SessionRecord | undefined } | { readonly undecidedMs: number }

export async function reconcileSession({ ring, flow, signal }: EffectScope<EffectInput>): Promise<PaymentFlowEvent> {
  const placed = placedFlow(ring, flow.id)
  const lease = await holdLease(ring, flow, placed.key, signal)
  try {
    const result = await reconcile(ring, placed, lease)
    if ('undecidedMs' in result) {
      await dropLease(flow)
      return { type: 'OPERATION_UNDECIDED', waitMs: result.undecidedMs }
    }
    // An open that is to be sent again keeps the lease until the server has answered.
    if (result.record?.status !== 'opening') await dropLease(flow)
    return { type: 'SESSION_RECONCILED', session: await viewFor(ring, placed, result.record) }
  } catch (error) {
    await dropLease(flow)
    throw error
  }
}

/**
 * Brings a record in line with the chain.
 *
 * @throws ChainFailure when the chain cannot be asked; nothing is changed then.
 */
export async function reconcile(ring: Ring, { key, place }: PlacedFlow, lease: HeldLease): Promise<Reconciled> {
  const record = await ring.ledger.read(key)
  if (record === undefined || record.session.channelId === null || isEnded(record)) return { record }
  const { channelId } = channelOf(record)
  const client = await ring.clientFor(place.chainId)
  const where = { channelId, escrow: place.escrow }
  // The clock is read before the channel: what is expired by then and not there after, will never be there.
  const chainTime = await readChainTime(client)
  const state = await readChannel(client, where)
  const deposit = state.deposit.toString()
  const apply = async (event: Parameters<typeof ring.ledger.apply>[2]): Promise<Reconciled> => ({
    record: await ring.ledger.apply(key, place, event, { lease }),
  })
  const { pending } = record.session
  // A ledger that believes in more than the chain holds (restored from another machine, say) keeps its belief: a deposit
  // never shrinks here. The server refuses what the chain does not cover, and a top-up makes it true.
  const held = max(deposit, record.session.deposit)

  if (state.deposit === 0n) {
    if (record.status === 'opening') {
      if ((await findClosing(client, where)) === undefined) {
        return undecided(record, chainTime) ?? apply({ type: 'OPEN_DROPPED' })
      }
      // Opened and closed again before anybody here looked: what it cost is kept.
      await apply({ type: 'OPEN_CONFIRMED', deposit: pending?.amount ?? '0' })
    }
    return ended()
  }
  switch (record.status) {
    case 'opening':
      return apply({ type: 'OPEN_CONFIRMED', deposit })
    case 'toppingUp': {
      if (state.deposit >= BigInt(pending?.reaching ?? '0')) return apply({ type: 'TOP_UP_CONFIRMED', deposit: held })
      return undecided(record, chainTime) ?? apply({ type: 'TOP_UP_DROPPED' })
    }
    case 'closing':
      return apply({ type: 'CLOSE_ABANDONED' })
    case 'open':
      return apply({ type: 'DEPOSIT_SEEN', deposit: held, settled: state.settled.toString() })
    default:
      return { record }
  }

  async function ended(): Promise<Reconciled> {
    const closing = await findClosing(client, where)
    if (closing === undefined) return apply({ type: 'CHANNEL_GONE' })
    const settled = closing.settledToPayee.toString()
    return apply({ type: 'CLOSE_CONFIRMED', settled, refunded: closing.refundedToPayer.toString() })
  }
}

/** While a transaction may still be included: send it again, or wait when it is about to expire. Null: it is too late. */
function undecided(record: SessionRecord, chainTime: number): Reconciled | null {
  const left = (record.session.pending?.validBefore ?? 0) - chainTime
  if (left > CLOSE_TO_EXPIRY_SECONDS) return { record }
  // `validBefore` itself is too late for a block, so from that second on nothing can happen any more.
  return left > 0 ? { undecidedMs: (left + 1) * 1000 } : null
}
