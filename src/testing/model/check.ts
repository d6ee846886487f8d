// Explores whole state spaces of the model with small bounds, and asserts in every state what must always hold.
// Must never look only at states that a test happens to reach.

import {
  add,
  boundOf,
  CODE_FACTS,
  chartOf,
  exceeds,
  type PaymentFlowContext,
  paymentFlowMachine,
  stateName,
  subtract,
} from '../../../machines/index.js'
import { casesFor } from './cases.js'
import type { EventCase } from './event-case.js'
import { keyOf, startOf } from './explore.js'
import type { FlowSnapshot } from './payment-flow-model.js'
import { everyBound, SETTINGS, type Setting } from './settings.js'
import { take } from './transitions.js'

/** A state space: a setting, and the few recoveries that have a bound above zero in it. */
export interface Space {
  readonly setting: Setting
  /** Recoveries that may be taken, each as often as its bound says; all others have a bound of zero. */
  readonly recoveries: Readonly<Record<string, number>>
}

/** What was found to be broken, and how a flow gets there. */
export interface Violation {
  readonly rule: string
  readonly state: string
  readonly path: readonly string[]
}

/** What exploring one space came to. */
export interface SpaceReport {
  readonly name: string
  readonly recoveries: Readonly<Record<string, number>>
  readonly states: number
  readonly transitions: number
  /** The longest way to a state, in events. */
  readonly depth: number
  readonly seconds: number
  readonly violations: readonly Violation[]
}

/** By the name of the setting: which recoveries may be taken, and how often each. */
const BOUNDS: readonly (readonly [setting: string, recoveries: Readonly<Record<string, number>>])[] = [
  ['plain', { mpp_voucher_bucket_refresh_required: 2, mpp_session_deposit_below_request_cost: 1, TOPPED_UP: 2 }],
  ['plain', { mpp_invalid_challenge: 1, challenge_expired: 1, DIGEST_MISMATCH: 1, RETRY_AFTER: 1 }],
  ['plain', { mpp_payment_verification_failed: 1, chain_unavailable: 1, OPERATION_UNDECIDED: 1 }],
  ['plain', { 'session/channel-not-found': 2, OPEN_SIGNED: 1, SESSION_CHANGED: 1 }],
  ['plain', { server_failed: 2, connection_failed: 1, rate_limited: 1 }],
  ['plain', { wallet_balance_insufficient: 1, chain_unavailable: 1, TOPPED_UP: 1 }],
  ['plain', { deposit_too_low: 1, TOPPED_UP: 1, TOP_UP_UNCONFIRMED: 1 }],
  ['approval', { mpp_session_deposit_below_request_cost: 1, TOPPED_UP: 1, SESSION_CHANGED: 1 }],
  ['work may be repeated', { mpp_commit_failed: 1, mpp_reservation_failed: 1, mpp_method_unsupported: 1 }],
  ['nothing paid is sent again', { server_failed: 1, connection_failed: 1 }],
  ['little exposure', { mpp_voucher_bucket_refresh_required: 2, TURN_GRANTED: 2, SESSION_CHANGED: 1 }],
  [
    'one bucket of deposit',
    { mpp_voucher_bucket_refresh_required: 1, 'session/amount-exceeds-deposit': 1, TOPPED_UP: 1 },
  ],
  ['close', { mpp_session_close_failed: 2, CLOSE_UNCONFIRMED: 1, challenge_expired: 1 }],
  ['close', { mpp_payment_verification_failed: 1, chain_unavailable: 1, mpp_invalid_challenge: 1 }],
]

/** The spaces of the check: small enough to be explored whole, and together with every kind of recovery in them. */
export const SPACES: readonly Space[] = BOUNDS.map(([name, recoveries]) => {
  const setting = SETTINGS.find((known) => known.name === name)
  if (setting === undefined) throw new Error(`there is no setting "${name}"`)
  return { setting: { ...setting, bounds: { ...everyBound(0), ...recoveries } }, recoveries }
})

/** The amount that a flow may sign for in its place: never above what the channel holds or will hold. */
function depositOf({ session }: PaymentFlowContext): string {
  if (session === null) return '0'
  return session.status === 'opening' ? session.pendingAmount : session.deposit
}

/** Events by which a flow comes to authorise more, or to answer another challenge. */
const AUTHORISES: ReadonlySet<string> = new Set([
  'CHALLENGE_ACCEPTED',
  'OPEN_SIGNED',
  'OPEN_RESUMED',
  'TOP_UP_SIGNED',
  'VOUCHER_SIGNED',
])

/** Events that end a paid send without saying whether the request was carried out. */
const LEAVES_OPEN: ReadonlySet<string> = new Set([
  'RATE_LIMITED',
  'SERVER_FAILED',
  'OUTCOME_UNKNOWN',
  'CANCEL',
  'mpp_commit_failed',
  'internal-payment-error',
])

type Rule = (before: FlowSnapshot, given: EventCase, after: FlowSnapshot) => boolean

const TABLES = chartOf(paymentFlowMachine)

/** What must hold of every step: what it began with, the event, and what came of it. */
const RULES: Readonly<Record<string, Rule>> = {
  'a voucher that is signed is covered by the deposit': (_, { event }, { context }) =>
    event.type !== 'VOUCHER_SIGNED' || !exceeds(event.cumulative, depositOf(context)),
  'nothing is planned beyond the deposit that the policy allows': (_, __, { context: { plan, limits, session } }) => {
    if (plan?.kind === 'open')
      return !exceeds(plan.deposit, limits.maxDeposit) && !exceeds(plan.cumulative, plan.deposit)
    if (plan?.kind !== 'topUp') return true
    return !exceeds(add(session?.deposit ?? '0', plan.additionalDeposit), limits.maxDeposit)
  },
  'no voucher is planned beyond what the policy exposes': (_, __, { context: { plan, limits, session } }) => {
    if (plan?.kind !== 'sign' || session === null || !exceeds(plan.cumulative, session.signed)) return true
    return !exceeds(subtract(plan.cumulative, session.spent), limits.maxExposure)
  },
  'no voucher is planned beyond the cumulative that the policy allows': (_, __, { context: { plan, limits } }) =>
    limits.maxCumulative === null ||
    plan === null ||
    !('cumulative' in plan) ||
    !exceeds(plan.cumulative, limits.maxCumulative),
  'a paid send has a challenge that was read and accepted': (_, __, after) =>
    stateName(after.value) !== 'paying' || (after.context.challenge !== null && after.context.unreadChallenges === 0),
  'a challenge that has expired, or is for another body, is not answered': (_, { event }, after) =>
    (event.type !== 'CHALLENGE_EXPIRED' && event.type !== 'DIGEST_MISMATCH') ||
    ['requesting', 'failed'].includes(stateName(after.value)) ||
    // Another one is asked for once the wait is over that the first one came with.
    (stateName(after.value) === 'backingOff' && after.context.afterBackoff === 'requesting'),
  'no second open is signed while one may be included': (before, { event }) =>
    event.type !== 'OPEN_SIGNED' || before.context.session?.status !== 'opening',
  'a flow funds one channel in place of another at most as often as it may': ({ context }, { event }) =>
    event.type !== 'OPEN_SIGNED' ||
    context.authorised.paidSends === 0 ||
    (context.counts.OPEN_SIGNED ?? 0) < Math.max(1, boundOf(context, 'OPEN_SIGNED')),
  'funds move only when they were approved, where that is asked for': ({ context }, { event }) =>
    !context.limits.approval ||
    (event.type !== 'OPEN_SIGNED' && event.type !== 'TOP_UP_SIGNED') ||
    (context.approvedDeposit !== null &&
      !exceeds(event.type === 'OPEN_SIGNED' ? event.deposit : event.additionalDeposit, context.approvedDeposit)),
  'flows that nobody watches, which run by tables, go where XState goes': (before, { event }, after) => {
    const taken = TABLES?.transition({ state: stateName(before.value), context: before.context, done: false }, event)
    if (taken === undefined) return false
    const { state, done, context } = taken.snapshot
    return (
      state === stateName(after.value) &&
      done === (after.status === 'done') &&
      JSON.stringify(context) === JSON.stringify(after.context)
    )
  },
  'a paid send that is left open is remembered to the end': (before, { event }, { context }) => {
    const state = stateName(before.value)
    const sends =
      state === 'paying' || state === 'resending' || (state === 'verifyingReceipt' && event.type === 'CANCEL')
    const failed = event.type === 'PAYMENT_REJECTED' && (event.code === null || event.status >= 500)
    const isOpen = before.context.mayHaveBeenCharged || (sends && (failed || LEAVES_OPEN.has(event.type)))
    return !isOpen || context.mayHaveBeenCharged
  },
  'for one request nothing more is authorised while a paid send is left open': ({ context }, { event }, after) =>
    !context.mayHaveBeenCharged ||
    context.limits.retryCommitFailed ||
    (!AUTHORISES.has(event.type) && stateName(after.value) !== 'paying'),
  'a failed flow says when it may have been charged': (_, __, after) => {
    if (stateName(after.value) !== 'failed') return true
    const failure = after.output?.failure
    const { mayHaveBeenCharged } = after.context
    return failure?.mayHaveBeenCharged === mayHaveBeenCharged && !(mayHaveBeenCharged && failure.retryable)
  },
  'a failed flow says its code and what to do': (_, __, after) => {
    if (stateName(after.value) !== 'failed') return true
    const { output } = after
    return (
      output?.status === 'failed' &&
      output.failure !== null &&
      output.failure.advice !== '' &&
      output.failure.code in CODE_FACTS
    )
  },
  'a flow that did not fail carries no failure': (_, __, after) =>
    after.status !== 'done' || stateName(after.value) === 'failed' || after.output?.failure === null,
  'what a flow authorised never shrinks': (before, _, { context }) =>
    !exceeds(before.context.authorised.cumulative, context.authorised.cumulative) &&
    !exceeds(before.context.authorised.deposit, context.authorised.deposit) &&
    !exceeds(before.context.authorised.feeAtMost, context.authorised.feeAtMost) &&
    before.context.authorised.paidSends <= context.authorised.paidSends,
  'no recovery is taken more often than its bound': (_, __, { context }) =>
    Object.entries(context.counts).every(
      ([name, taken]) => (taken ?? 0) <= Math.max(boundOf(context, name), ONCE_IN_ANY_CASE.has(name) ? 1 : 0),
    ),
}

/** Another offered method, and repeated work, are allowed once by a rule of their own. */
const ONCE_IN_ANY_CASE: ReadonlySet<string> = new Set([
  'mpp_method_unsupported',
  'method-unsupported',
  'mpp_commit_failed',
  'OPEN_SIGNED',
  'CONTENTION',
])

interface Visited {
  readonly snapshot: FlowSnapshot
  readonly depth: number
  readonly from: Visited | null
  readonly by: string
}

function pathTo(visited: Visited | null): readonly string[] {
  return visited === null || visited.from === null ? [] : [...pathTo(visited.from), visited.by]
}

/** Explores one space to its last state. */
export function checkSpace({ setting, recoveries }: Space): SpaceReport {
  const began = performance.now()
  const violations: Violation[] = []
  const start: Visited = { snapshot: startOf(setting), depth: 0, from: null, by: '' }
  const seen = new Map<string, Visited>([[keyOf(start.snapshot), start]])
  /** Where each state leads, to find cycles. */
  const successors = new Map<string, Set<string>>()
  const queue = [start]
  let transitions = 0
  let depth = 0
  for (let at = 0; at < queue.length; at += 1) {
    const visited = queue[at]
    if (visited === undefined) break
    depth = Math.max(depth, visited.depth)
    if (visited.snapshot.status !== 'active') continue
    const key = keyOf(visited.snapshot)
    const nexts = new Set<string>()
    successors.set(key, nexts)
    for (const given of casesFor(visited.snapshot)) {
      const { snapshot, transitions: taken } = take(visited.snapshot, given.event)
      transitions += taken.length
      const next: Visited = { snapshot, depth: visited.depth + 1, from: visited, by: given.name }
      if (taken.length === 0) violations.push(violation('every event of an effect is taken', next))
      for (const [rule, holds] of Object.entries(RULES)) {
        if (!holds(visited.snapshot, given, snapshot)) violations.push(violation(rule, next))
      }
      const nextKey = keyOf(snapshot)
      nexts.add(nextKey)
      if (seen.has(nextKey)) continue
      seen.set(nextKey, next)
      queue.push(next)
    }
    if (nexts.size === 0) violations.push(violation('no state but the last ones is without an exit', visited))
  }
  const cycle = cycleIn(successors)
  const inCycle = cycle === undefined ? undefined : seen.get(cycle)
  if (inCycle !== undefined) violations.push(violation('every cycle uses up a bound', inCycle))
  return {
    name: setting.name,
    recoveries,
    states: seen.size,
    transitions,
    depth,
    seconds: (performance.now() - began) / 1000,
    violations,
  }
}

function violation(rule: string, visited: Visited): Violation {
  return { rule, state: stateName(visited.snapshot.value), path: pathTo(visited) }
}

/** A state from which the same state can be reached again, if there is one. Counts are part of a state: they only grow. */
function cycleIn(successors: ReadonlyMap<string, ReadonlySet<string>>): string | undefined {
  const open = new Set<string>()
  const done = new Set<string>()
  for (const root of successors.keys()) {
    const stack: { readonly key: string; readonly rest: Iterator<string> }[] = []
    const enter = (key: string): void => {
      open.add(key)
      stack.push({ key, rest: (successors.get(key) ?? new Set<string>()).values() })
    }
    if (!done.has(root)) enter(root)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.rest.next()
      if (next.done === true) {
        open.delete(top.key)
        done.add(top.key)
        stack.pop()
      } else if (open.has(next.value)) return next.value
      else if (!done.has(next.value)) enter(next.value)
    }
  }
  return undefined
}

/** Explores every space. Takes a while: tell whoever waits with `onSpace`. */
export function checkModel(
  onSpace: (report: SpaceReport) => void = () => undefined,
  spaces = SPACES,
): readonly SpaceReport[] {
  return spaces.map((space) => {
    const report = checkSpace(space)
    onSpace(report)
    return report
  })
}
