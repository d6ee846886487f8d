// What a recovery has found and done, channel by channel.
// Must never leave out a channel that could not be looked at: it is named, with the reason.

import { type Amount, exceeds, type PendingOperation, type SessionStatus } from '../../machines/index.js'
import { isEnded, type SessionRecord } from '../sessions/index.js'
import { timeOf } from '../tempo/index.js'
import { summarise } from './sessions.js'

/**
 * What the chain shows:
 * - `funded`: it holds the channel's deposit;
 * - `ended`: the channel is over;
 * - `nothing`: it was never funded, and cannot be any more;
 * - `undecided`: something that was signed may still be included;
 * - `unasked`: the chain could not be asked, or the channel is in use by somebody else just now.
 */
export type RecoveryFinding = 'funded' | 'ended' | 'nothing' | 'undecided' | 'unasked'

/**
 * What was done in the ledger:
 * - `adopted`: what the chain has is in the ledger now (a channel, a top-up, the request of a forced close);
 * - `dropped`: what was signed can never be included, and is no longer waited for;
 * - `closed`: the end of the channel is in the ledger now;
 * - `kept`: left as it was, because it is not decided or could not be looked at;
 * - `none`: the ledger was right.
 */
export type RecoveryAction = 'adopted' | 'dropped' | 'closed' | 'kept' | 'none'

/** Base units. */
export interface RecoveredAmounts {
  readonly deposit: Amount
  readonly signed: Amount
  readonly spent: Amount
  readonly settled: Amount
  readonly refundable: Amount
  readonly refunded: Amount | null
}

/** One channel that was looked at. */
export interface RecoveredChannel {
  readonly channelId: string
  readonly chainId: number
  readonly token: string
  readonly payee: string
  /** Whether the ledger knew it, or only the chain did. */
  readonly source: 'ledger' | 'chain'
  readonly found: RecoveryFinding
  readonly action: RecoveryAction
  /** What the ledger says now. */
  readonly status: SessionStatus
  readonly amounts: RecoveredAmounts
  /** In words, what a person should know or do; null when there is nothing. */
  readonly detail: string | null
}

/** Where unknown channels were looked for. */
export interface ChainSearch {
  readonly chainId: number
  readonly escrow: string
  /** The blocks whose logs were read; null when the chain could not be searched. */
  readonly blocks: { readonly from: number; readonly to: number } | null
  /** Channels of this payer that were opened in those blocks, closed ones included. */
  readonly opened: number
  /** Why it could not be searched. */
  readonly detail: string | null
}

/** Told while a recovery goes on. */
export type RecoverProgress =
  /** How many of the ledger's channels are still to be looked at. */
  | { readonly step: 'settling'; readonly left: number; readonly of: number }
  /** How many blocks of a chain are still to be searched, from the newest one back. */
  | {
      readonly step: 'searching'
      readonly chainId: number
      readonly escrow: string
      readonly left: number
      readonly of: number
    }

/** What {@link recover} has done. */
export interface RecoveryReport {
  readonly channels: readonly RecoveredChannel[]
  readonly searches: readonly ChainSearch[]
  /** Why records of the ledger could not be read; null when all could. */
  readonly unreadable: string | null
}

const NO_AMOUNTS: RecoveredAmounts = {
  deposit: '0',
  signed: '0',
  spent: '0',
  settled: '0',
  refundable: '0',
  refunded: null,
}

/** One line of the report. `known` is the record that names the channel, also where the ledger has forgotten it. */
export function reportOf(
  known: SessionRecord,
  now: SessionRecord | undefined,
  rest: Pick<RecoveredChannel, 'source' | 'found' | 'action' | 'detail'>,
): RecoveredChannel {
  const summary = now === undefined ? null : summarise(now)
  const { place, session } = known
  return {
    channelId: session.channelId ?? '',
    chainId: place.chainId,
    token: place.token,
    payee: place.payee,
    ...rest,
    status: now?.status ?? 'absent',
    amounts: summary === null ? NO_AMOUNTS : amountsOf(summary),
  }
}

/** The same line with more to say. */
export function withNotes(report: RecoveredChannel, notes: readonly string[]): RecoveredChannel {
  const said = [...notes, ...(report.detail === null ? [] : [report.detail])]
  return said.length === 0 ? report : { ...report, detail: said.join('; ') }
}

function amountsOf({ deposit, signed, spent, settled, refundable, refunded }: RecoveredAmounts): RecoveredAmounts {
  return { deposit, signed, spent, settled, refundable, refunded }
}

/** No honest clock, however it was set, lets anything be signed for longer. */
const LONGEST_HONEST_MS = 2 * 86_400_000
const LIED_TO =
  'a node has lied about the time when it was signed. To wait for it no longer, recover({ trustNode: true }) with a node that you trust'

type Told = Pick<RecoveredChannel, 'found' | 'action' | 'detail'>

const PENDING: Readonly<Record<PendingOperation['kind'], string>> = {
  open: 'the signed open',
  topUp: 'the signed top-up',
  close: 'the close',
  requestClose: 'the request of the forced close',
  withdraw: 'the withdrawal',
}

/** What a look at the chain has changed in a record of the ledger. */
export function told(before: SessionRecord, after: SessionRecord | undefined, undecided: boolean): Told {
  const { pending } = before.session
  const what = pending === null ? null : PENDING[pending.kind]
  if (after === undefined || after.session.channelId === null) {
    return { found: 'nothing', action: 'dropped', detail: `${what ?? 'the open'} can no longer be included` }
  }
  if (isEnded(after)) {
    const unseen =
      after.status === 'lost' ? 'the chain no longer has it, and its node does not show how it ended' : null
    return { found: 'ended', action: isEnded(before) ? 'none' : 'closed', detail: unseen }
  }
  const waits = after.session.pending
  if (undecided || (waits !== null && waits.transactionHash === pending?.transactionHash)) {
    const until = pending?.validBefore ?? null
    const still = `${what ?? 'a transaction'} may still be included${until === null ? '' : `, until ${timeOf(until)}`}`
    const detail = (until ?? 0) * 1000 - before.usedAt <= LONGEST_HONEST_MS ? still : `${still}; ${LIED_TO}`
    return { found: 'undecided', action: 'kept', detail }
  }
  return { found: 'funded', ...changeOf(before, after, what) }
}

function changeOf(
  before: SessionRecord,
  after: SessionRecord,
  what: string | null,
): { readonly action: RecoveryAction; readonly detail: string | null } {
  const { pending } = before.session
  const forced = forcedClose(after)
  if (pending?.kind === 'topUp' && exceeds(pending.reaching, after.session.deposit)) {
    return { action: 'dropped', detail: `${what} can no longer be included` }
  }
  if (pending !== null && (pending.kind === 'open' || pending.kind === 'topUp')) {
    return { action: 'adopted', detail: `${what} was included` }
  }
  if (pending?.kind === 'close')
    return { action: 'dropped', detail: 'the close was not carried out; it may be repeated' }
  if (pending !== null && after.status === before.status) {
    return pending.kind === 'requestClose'
      ? { action: 'adopted', detail: forced }
      : { action: 'dropped', detail: `${what} can no longer be included; force the close again to repeat it` }
  }
  if (before.status !== after.status) {
    if (forced !== null) return { action: 'adopted', detail: forced }
    const detail = pending === null ? 'a top-up has called the forced close off' : `${what} can no longer be included`
    return { action: pending === null ? 'adopted' : 'dropped', detail }
  }
  const grown = exceeds(after.session.deposit, before.session.deposit)
  return grown
    ? { action: 'adopted', detail: 'the chain holds more than the ledger knew' }
    : { action: 'none', detail: forced }
}

/** Where a forced close stands. */
export function forcedClose({ status, session }: SessionRecord): string | null {
  if (status === 'withdrawable') return 'a forced close can be finished: call forceClose again'
  if (status !== 'closeRequested' || session.withdrawableAt === null) return null
  return `a forced close is under way; it can be finished from ${timeOf(session.withdrawableAt)} on: call forceClose again`
}
