// Decides what must be authorised next, from the challenge, the channel and the caller's limits.
// Must never plan past a limit: whatever it returns stays within maxDeposit, maxCumulative, maxExposure and maxTotalDeposit.

import { type Amount, add, exceeds, max, min, subtract } from './amount.js'
import type { ChallengeSummary, Demand, FlowLimits, Plan, PlanLimit, SessionView, Turn } from './payment-flow.types.js'

/** All that a plan is made from. */
export interface PlanningInput {
  readonly challenge: ChallengeSummary
  readonly session: SessionView
  readonly limits: FlowLimits
  readonly demand: Demand | null
  /** Whether the chain was asked about pending operations already. */
  readonly reconciled: boolean
  readonly turn: Turn
}

/** A strategy says how much must be authorised; the limits are applied to its answer afterwards. */
export type Strategy = (input: Omit<PlanningInput, 'limits' | 'reconciled' | 'turn'>) => Amount

const LIVE: ReadonlySet<string> = new Set(['opening', 'open', 'toppingUp', 'closing'])

/** The smallest growth that the server accepts for a new voucher. */
function step(challenge: ChallengeSummary, demand: Demand): Amount {
  const asked = demand.step === null || !exceeds(demand.step, '0') ? challenge.amount : demand.step
  return max(asked, challenge.minVoucherDelta)
}

/**
 * The cumulative amount that must be authorised, in base units:
 * 1. what a checked snapshot requires; 2. priced per request: spent, presumed to be spent, and everything reserved;
 * 3. otherwise the bucket rule: the current voucher is kept, and the first one covers one bucket.
 * A refused voucher adds: more than what was refused, unless somebody has signed more since.
 *
 * @see Ando, "Tempo MPP": the challenge amount is a cumulative voucher bucket, not a price per request
 */
export const defaultStrategy: Strategy = ({ challenge, session, demand }) => {
  const live = LIVE.has(session.status)
  const signed = live ? session.signed : '0'
  // How much more a refusal asks for goes before what the snapshot beside it says.
  const told = demand?.kind === 'voucher' && demand.step !== null
  const known = live && !told && challenge.snapshot?.channelId === session.channelId
  const ofThisChannel = known ? challenge.snapshot : null
  const used = live ? add(session.spent, session.unacknowledged) : '0'
  let required = max(signed, '0')
  if (ofThisChannel !== null) required = ofThisChannel.requiredCumulative
  else if (challenge.unitType === 'request') required = add(used, max(session.reserved, challenge.amount))
  else if (!exceeds(signed, '0')) required = add(used, challenge.amount)
  // A demand is about the channel it was made for; a channel that has ended takes it along.
  const stale = !live && session.channelId !== null
  if (demand?.kind === 'voucher' && !stale && !exceeds(signed, demand.above)) {
    const hinted = ofThisChannel?.requiredCumulative ?? '0'
    required = exceeds(hinted, demand.above) ? hinted : max(required, add(demand.above, step(challenge, demand)))
  }
  return required
}

function refuse(limit: PlanLimit, wanted: Amount, allowed: Amount): Plan {
  return { kind: 'refuse', limit, wanted, allowed }
}

/** What a plan moves into a channel, in base units. */
export function movedBy(plan: Plan): Amount {
  if (plan.kind === 'open') return plan.deposit
  return plan.kind === 'topUp' ? plan.additionalDeposit : '0'
}

/** Whether a plan moves more than was approved, where moving needs an approval. */
export function needsApproval(plan: Plan, limits: FlowLimits, approvedDeposit: Amount | null): boolean {
  if (!limits.approval || (plan.kind !== 'open' && plan.kind !== 'topUp') || plan.resumes) return false
  return approvedDeposit === null || exceeds(movedBy(plan), approvedDeposit)
}

/** The largest deposit a channel may have, and the limit that says so. */
function depositCap({ limits, session }: PlanningInput): { readonly cap: Amount; readonly limit: PlanLimit } {
  if (limits.maxTotalDeposit === null) return { cap: limits.maxDeposit, limit: 'maxDeposit' }
  const left = subtract(limits.maxTotalDeposit, session.depositedElsewhere)
  return exceeds(limits.maxDeposit, left)
    ? { cap: left, limit: 'maxTotalDeposit' }
    : { cap: limits.maxDeposit, limit: 'maxDeposit' }
}

/** The limit that a new voucher would cross, if any. */
function voucherLimit(input: PlanningInput, cumulative: Amount, spent: Amount): Plan | null {
  const { limits } = input
  if (limits.maxCumulative !== null && exceeds(cumulative, limits.maxCumulative)) {
    return refuse('maxCumulative', cumulative, limits.maxCumulative)
  }
  if (exceeds(subtract(cumulative, spent), limits.maxExposure)) {
    return input.turn === 'none' || input.turn === 'capacity'
      ? { kind: 'awaitAcknowledgement' }
      : refuse('maxExposure', subtract(cumulative, spent), limits.maxExposure)
  }
  return null
}

function planOpen(input: PlanningInput, required: Amount): Plan {
  const cumulative = max(required, input.challenge.minVoucherDelta)
  const { limits, challenge } = input
  if (limits.maxCumulative !== null && exceeds(cumulative, limits.maxCumulative)) {
    return refuse('maxCumulative', cumulative, limits.maxCumulative)
  }
  if (exceeds(cumulative, limits.maxExposure)) return refuse('maxExposure', cumulative, limits.maxExposure)
  const { cap, limit } = depositCap(input)
  if (exceeds(cumulative, cap)) return refuse(limit, cumulative, cap)
  const { spendable } = input.session
  if (spendable !== null && exceeds(cumulative, spendable)) return { kind: 'unfunded', needed: cumulative, spendable }
  const most = min(cap, spendable ?? cap)
  return { kind: 'open', cumulative, deposit: max(cumulative, min(challenge.suggestedDeposit ?? cumulative, most)) }
}

function planTopUp(input: PlanningInput, cumulative: Amount, least: Amount): Plan {
  const { cap, limit } = depositCap(input)
  const room = subtract(cap, input.session.deposit)
  if (exceeds(least, room)) return refuse(limit, add(input.session.deposit, least), cap)
  const { spendable } = input.session
  if (spendable !== null && exceeds(least, spendable)) return { kind: 'unfunded', needed: least, spendable }
  const most = min(room, spendable ?? room)
  const additionalDeposit = max(least, min(input.challenge.suggestedDeposit ?? least, most))
  return { kind: 'topUp', cumulative, additionalDeposit }
}

/**
 * What to do next. The plan is always within the limits; when it cannot be, it says which limit is in the way.
 *
 * @example
 * ```ts
 * import { type PlanningInput, plan } from 'mpp-flow/machines'
 *
 * export function next({ challenge, session, limits }: PlanningInput) {
 *   return plan({ challenge, session, limits, demand: null, reconciled: false, turn: 'none' })
 *   // → { kind: 'reuse', cumulative: '1000000' } while the current voucher is enough
 * }
 * ```
 */
export function plan(asked: PlanningInput, strategy: Strategy = defaultStrategy): Plan {
  const input = { ...asked, demand: demandOn(asked) }
  const { challenge, session, demand } = input
  if (session.status === 'closeRequested' || session.status === 'withdrawable') {
    // Somebody else may have called it off, or the payee may have settled since: only the chain knows.
    return input.reconciled
      ? { kind: 'unavailable', reason: 'a forced close of this channel is under way' }
      : { kind: 'reconcile' }
  }
  if (mustQueue(input)) return { kind: 'awaitAcknowledgement' }
  const required = strategy({ challenge, session, demand })
  if (!LIVE.has(session.status)) return planOpen(input, required)
  // Something signed is still on its way: nothing new is signed before the chain has said what became of it.
  if (session.status === 'opening') return input.reconciled ? resumeOpen(input, required) : { kind: 'reconcile' }
  if (session.status === 'closing') {
    return input.reconciled ? { kind: 'unavailable', reason: 'the channel is being closed' } : { kind: 'reconcile' }
  }
  const refusedDeposit = demand?.kind === 'deposit' && !exceeds(session.deposit, demand.depositAbove)
  // A voucher of nothing is none: the first one covers a bucket.
  const enough = exceeds(session.signed, '0') && !exceeds(required, session.signed)
  // A refused signature is made anew, unless somebody has signed a higher voucher since.
  const refusedSignature = demand?.kind === 'signature' && !exceeds(session.signed, demand.above)
  // Above the deposit nothing is signed, not even anew: the paid send finds that, and the deposit grows first.
  const covered = !exceeds(session.signed, session.deposit)
  if (enough && refusedSignature && covered) return { kind: 'sign', cumulative: session.signed }
  if (enough && !refusedDeposit) return { kind: 'reuse', cumulative: session.signed }
  const least = exceeds(session.signed, '0') ? required : max(required, challenge.amount)
  const cumulative = enough ? session.signed : max(least, add(session.signed, challenge.minVoucherDelta))
  const shortfall = subtract(cumulative, session.deposit)
  const toppingUp = session.status === 'toppingUp' && (refusedDeposit || exceeds(shortfall, '0'))
  if (toppingUp && !input.reconciled) return { kind: 'reconcile' }
  const blocked = enough ? null : voucherLimit(input, cumulative, session.spent)
  // Nothing new may be signed, but all requests that were outstanding have made room: the voucher in hand may do now.
  if (blocked?.kind === 'refuse' && blocked.limit === 'maxExposure' && mayTryAgain(input)) {
    return { kind: 'reuse', cumulative: session.signed }
  }
  if (blocked !== null) return blocked
  if (toppingUp) return resumeTopUp(input, cumulative)
  if (refusedDeposit) return planTopUp(input, cumulative, max(shortfall, demand.step ?? challenge.amount, '1'))
  if (exceeds(shortfall, '0')) return planTopUp(input, cumulative, shortfall)
  return { kind: 'sign', cumulative }
}

/** What was asked of one channel is not asked of the one that took its place: its amounts begin anew. */
function demandOn({ demand, session }: PlanningInput): Demand | null {
  if (demand === null || demand.channelId === null || session.channelId === null) return demand
  return demand.channelId === session.channelId ? demand : null
}

/**
 * On a channel that is in demand, a flow goes when it is its turn: behind those who wait already, and after it was
 * refused twice because others came first. But who knows that the highest voucher is used up goes on, so that somebody
 * signs the next one.
 */
function mustQueue({ session, demand, turn }: PlanningInput): boolean {
  if (turn !== 'none' || session.status !== 'open') return false
  if (demand?.kind !== 'voucher') return session.waiting > 0
  return exceeds(session.signed, demand.above) && (session.waiting > 0 || demand.contentions >= 2)
}

/**
 * A signed open whose transaction may still be included is sent again, never signed twice. But one that was signed under
 * a wider policy is not: sending it would move more than this caller allows, and it expires by itself.
 */
function resumeOpen(input: PlanningInput, required: Amount): Plan {
  const { session } = input
  const { cap, limit } = depositCap(input)
  if (exceeds(session.pendingAmount, cap)) return refuse(limit, session.pendingAmount, cap)
  // The first voucher was refused as too small: it may grow within the deposit that is being opened.
  if (exceeds(required, session.signed) && !exceeds(required, session.pendingAmount)) {
    return voucherLimit(input, required, session.spent) ?? { kind: 'sign', cumulative: required }
  }
  return { kind: 'open', cumulative: session.signed, deposit: session.pendingAmount, resumes: true }
}

/** The same for a top-up that is signed already. */
function resumeTopUp(input: PlanningInput, cumulative: Amount): Plan {
  const { session } = input
  const { cap, limit } = depositCap(input)
  const deposit = add(session.deposit, session.pendingAmount)
  if (exceeds(deposit, cap)) return refuse(limit, deposit, cap)
  return { kind: 'topUp', cumulative, additionalDeposit: session.pendingAmount, resumes: true }
}

function mayTryAgain({ session, demand, turn }: PlanningInput): boolean {
  return turn === 'drained' && demand?.kind === 'voucher' && exceeds(session.signed, session.spent)
}
