// What a caller may see of the channels in the ledger.
// Must never show what is inside a record's secrets.

import { type Amount, type SessionStatus, subtract } from '../../machines/index.js'
import { isEnded, type Ledger, type SessionRecord } from '../sessions/index.js'

/** One channel, as the ledger knows it. Amounts in base units. */
export interface SessionSummary {
  readonly channelId: string
  readonly status: SessionStatus
  readonly chainId: number
  readonly token: string
  readonly payer: string
  readonly payee: string
  readonly escrow: string
  /** Where the channel is used. */
  readonly resource: string | null
  readonly deposit: Amount
  readonly signed: Amount
  readonly accepted: Amount
  readonly spent: Amount
  /** What a close now would give back, as far as is acknowledged. */
  readonly refundable: Amount
  /** What came back, once the channel has ended. */
  readonly refunded: Amount | null
  readonly settled: Amount
  /** Signed, but not decided by the chain yet. */
  readonly pending: string | null
  /** Milliseconds since the epoch. */
  readonly usedAt: number
}

function summarise(record: SessionRecord): SessionSummary | null {
  const { session, place, status, usedAt } = record
  if (session.channelId === null) return null
  const { deposit, signed, accepted, spent, settled, refunded, resource, channelId, pending } = session
  return {
    channelId,
    status,
    chainId: place.chainId,
    token: place.token,
    payer: place.payer,
    payee: place.payee,
    escrow: place.escrow,
    resource,
    deposit,
    signed,
    accepted,
    spent,
    refundable: isEnded(record) ? '0' : subtract(deposit, spent),
    refunded,
    settled,
    pending: pending?.kind ?? null,
    usedAt,
  }
}

/** Every channel the ledger knows, the most recently used first. */
export async function listSessions(ledger: Ledger): Promise<readonly SessionSummary[]> {
  const summaries = (await ledger.list()).map(summarise).filter((summary) => summary !== null)
  return summaries.sort((a, b) => b.usedAt - a.usedAt)
}

/** The record of a channel by its id. */
export async function findSession(ledger: Ledger, channelId: string): Promise<SessionRecord | undefined> {
  return (await ledger.list()).find((record) => record.session.channelId === channelId)
}
