// What a caller may see of the channels in the ledger.
// Must never show what is inside a record's secrets, nor let one record that cannot be read hide the others.

import { type Amount, max, type SessionStatus, subtract, sum } from '../../machines/index.js'
import { atStake, isEnded, isOfOneRecord, type Ledger, type SessionRecord, StoreError } from '../sessions/index.js'
import { destinationOf, resourceOf } from './capture.js'

/** One channel, as the ledger knows it. Amounts in base units. */
export interface SessionSummary {
  readonly channelId: string
  readonly status: SessionStatus
  readonly chainId: number
  readonly token: string
  readonly payer: string
  readonly payee: string
  readonly escrow: string
  /** Where the channel is used; null when it was found on the chain and not used since. */
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
  /** Chain seconds at which a forced close can be finished; null when none is under way. */
  readonly withdrawableAt: number | null
  /** Found on the chain: more may have been signed and spent than is known here, so that less may come back. */
  readonly adopted: boolean
  /** Milliseconds since the epoch. */
  readonly usedAt: number
}

/** All channels of one token. Amounts in base units. */
export interface TokenTotals {
  readonly chainId: number
  readonly token: string
  /** Channels that are not over. */
  readonly live: number
  /** Channels that are over. */
  readonly ended: number
  /** What live channels hold, and what was signed to add to it. */
  readonly atStake: Amount
  /** Of the live channels. */
  readonly deposit: Amount
  readonly signed: Amount
  readonly spent: Amount
  readonly refundable: Amount
  /** Of the channels that are over, as far as it was seen. */
  readonly settled: Amount
  readonly refunded: Amount
}

/** What neither a receipt acknowledges as spent nor the chain shows as settled. */
function refundableOf({ session }: SessionRecord): Amount {
  return subtract(session.deposit, max(session.spent, session.settled))
}

/** What one record shows; null for a place that has no channel. */
export function summarise(record: SessionRecord): SessionSummary | null {
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
    refundable: isEnded(record) ? '0' : refundableOf(record),
    refunded,
    settled,
    pending: pending?.kind ?? null,
    withdrawableAt: isEnded(record) ? null : session.withdrawableAt,
    adopted: session.adopted,
    usedAt,
  }
}

/**
 * Every channel the ledger knows, the most recently used first.
 *
 * @throws StoreError when a record cannot be read; its `intact` holds the others.
 */
export async function listSessions(ledger: Ledger): Promise<readonly SessionSummary[]> {
  const summaries = eachOnce(await ledger.list())
    .map(summarise)
    .filter((summary) => summary !== null)
  return summaries.sort((a, b) => b.usedAt - a.usedAt)
}

/**
 * Sums per chain and token.
 *
 * @throws StoreError when a record cannot be read: a sum without it would be wrong.
 */
export async function totalSessions(ledger: Ledger): Promise<readonly TokenTotals[]> {
  const groups = new Map<string, SessionRecord[]>()
  for (const record of eachOnce(await ledger.list())) {
    const name = `${record.place.chainId}:${record.place.token}`
    groups.set(name, [...(groups.get(name) ?? []), record])
  }
  return [...groups.values()].flatMap((records) => {
    const [first] = records
    return first === undefined ? [] : [totalsOf(first.place, records)]
  })
}

function totalsOf({ chainId, token }: SessionRecord['place'], records: readonly SessionRecord[]): TokenTotals {
  const live = records.filter((record) => !isEnded(record))
  const ended = records.filter(isEnded)
  const of = (name: 'deposit' | 'signed' | 'spent') => sum(live.map(({ session }) => session[name]))
  return {
    chainId,
    token,
    live: live.length,
    ended: ended.length,
    atStake: sum(live.map(atStake)),
    deposit: of('deposit'),
    signed: of('signed'),
    spent: of('spent'),
    refundable: sum(live.map(refundableOf)),
    settled: sum(ended.map(({ session }) => session.settled)),
    refunded: sum(ended.map(({ session }) => session.refunded ?? '0')),
  }
}

/** Each channel once: a process that died while it archived one has left it twice. */
function eachOnce(records: readonly SessionRecord[]): readonly SessionRecord[] {
  const channels = new Map<string, SessionRecord>()
  for (const record of records) {
    const { channelId } = record.session
    const known = channelId === null ? undefined : channels.get(channelId)
    if (channelId !== null && (known === undefined || isEnded(known))) channels.set(channelId, record)
  }
  return [...channels.values()]
}

/** Where and how a close is asked for. The URL may hold secrets. */
export interface CloseTarget {
  readonly url: string
  readonly method: 'GET' | 'HEAD' | 'POST'
}

/**
 * Where a close of a record's channel goes: to the URL that is given, or else where the channel is used; null when that is
 * not known.
 *
 * @throws TypeError for a URL that is none.
 */
export function closeTarget({ session, secrets }: SessionRecord, given: string | URL | undefined): CloseTarget | null {
  const method = secrets.resource?.method ?? 'POST'
  if (given === undefined) {
    return session.resource === null ? null : { url: `${session.resource}${secrets.resource?.query ?? ''}`, method }
  }
  const to = destinationOf(given)
  return { url: to.url.href, method: resourceOf(to) === session.resource ? method : 'POST' }
}

/** The records that can be read, and why others cannot. */
export async function readableRecords(
  ledger: Ledger,
): Promise<{ readonly records: readonly SessionRecord[]; readonly unreadable: string | null }> {
  try {
    return { records: await ledger.list(), unreadable: null }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (!isOfOneRecord(error)) throw error
    return { records: error.intact, unreadable: error.message }
  }
}

/** The record of a channel by its id; one that is not over goes before an archived one. */
export async function findSession(ledger: Ledger, channelId: string): Promise<SessionRecord | undefined> {
  const { records } = await readableRecords(ledger)
  const found = records.filter((record) => record.session.channelId === channelId)
  return found.find((record) => !isEnded(record)) ?? found[0]
}
