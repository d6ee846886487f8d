// A map of the places at which flows stand between recoveries, and of the recoveries that lead from one to the next.
// Must never tell places apart that allow the same recoveries, or the map has no end.

import { exceeds, stateName, subtract } from '../../../machines/index.js'
import { casesFor } from './cases.js'
import { costOf } from './cost.js'
import type { EventCase } from './event-case.js'
import { ofThisChannel } from './explore.js'
import { BUCKET } from './payloads.js'
import type { FlowSnapshot } from './payment-flow-model.js'
import { nameOf, type PairScope } from './recovery-pairs.js'
import { arrowFor, take } from './transitions.js'

/** A recovery that can come next, and the cases that lead to it, itself included, by name. */
export interface RecoveryEdge {
  /** Id of the recovery's arrow, and the name under which it is told from others. */
  readonly recovery: string
  readonly name: string
  readonly cases: readonly string[]
  readonly cost: number
  /** Where it led to from where it was found. */
  readonly to: string
  /** The two together. */
  readonly arc: string
}

/** States that act on a plan; elsewhere the one that was made last has no meaning any more. */
const PLANNED: ReadonlySet<string> = new Set([
  'authorizing.awaitingAcknowledgement',
  'authorizing.awaitingApproval',
  'authorizing.openingSession',
  'authorizing.toppingUp',
  'authorizing.signingVoucher',
])

const ONCE = ['OPERATION_UNDECIDED', 'mpp_commit_failed', 'mpp_method_unsupported', 'method-unsupported'] as const

/** Where a flow stands, as far as it decides which recoveries can come next: how amounts compare, and no counts. */
export function placeOf({ value, context }: FlowSnapshot): string {
  const { session, plan, demand, disputed } = context
  const state = stateName(value)
  const waits = state === 'backingOff'
  const reconciles = state === 'authorizing.reconcilingSession' || (waits && context.afterBackoff === 'reconciling')
  const room = session === null ? '0' : subtract(session.deposit, session.signed)
  return JSON.stringify([
    state,
    waits && context.afterBackoff,
    (context.retryAfterMs ?? 0) > 0,
    context.challenge?.unitType ?? (context.challenge === null ? 'none' : 'bucket'),
    reconciles && [
      Math.min(context.unreadChallenges, 1),
      disputed !== null && (disputed.startsWith('session/channel-') ? 'denied' : 'disputed'),
    ],
    session && [
      session.status,
      session.signed === '0',
      session.pendingAmount === '0',
      exceeds(session.signed, session.deposit),
    ],
    room === '0',
    exceeds(BUCKET, room),
    session && demand && [exceeds(session.signed, demand.above), exceeds(session.deposit, demand.depositAbove)],
    demand && [demand.kind, ofThisChannel(context)],
    PLANNED.has(state) && plan && [plan.kind, 'resumes' in plan],
    context.reconciled,
    context.approvedDeposit === null,
    context.turn,
    // Those that can be taken once, whatever the policy says, and what changes by having waited.
    ONCE.some((name) => (context.counts[name] ?? 0) > 0),
    context.authorised.paidSends > 0,
  ])
}

/**
 * Another process that signs shares the channel: after the second refusal in its wake the flow waits for its turn, which
 * the cases do not foresee. One in a sequence is foreseen.
 */
function takeableFrom(snapshot: FlowSnapshot): readonly EventCase[] {
  const again = (snapshot.context.counts.SESSION_CHANGED ?? 0) > 0
  return casesFor(snapshot).filter(({ cause }) => !again || cause.by !== 'another-process' || cause.does !== 'signs')
}

/** The cases that do something else than the ones before them: codes that are alike lead to the same. */
function unlikeCases(snapshot: FlowSnapshot, scope: PairScope): readonly EventCase[] {
  const seen = new Set<string>()
  return takeableFrom(snapshot).filter(({ event, cause }) => {
    const arrow = arrowFor(snapshot, event)
    if (arrow === undefined || arrow.target === 'failed') return false
    if (scope === 'every' || cause.by !== 'gateway' || cause.answer.carriedOut) return true
    const key = `${arrow.equivalence} ${cause.answer.challenges} ${(cause.answer.retryAfter ?? 0) > 0}`
    const isFirst = !seen.has(key)
    seen.add(key)
    return isFirst
  })
}

/** Every recovery that can come next without another one before it, by its cheapest way to each place it leads to. */
function edgesFrom(from: FlowSnapshot, scope: PairScope): readonly RecoveryEdge[] {
  const found = new Map<string, RecoveryEdge>()
  const seen = new Set([placeOf(from)])
  const queue: { readonly snapshot: FlowSnapshot; readonly cases: readonly string[]; readonly cost: number }[] = [
    { snapshot: from, cases: [], cost: 0 },
  ]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const given of unlikeCases(next.snapshot, scope)) {
      const { snapshot, transitions } = take(next.snapshot, given.event)
      if (snapshot.status !== 'active') continue
      const cases = [...next.cases, given.name]
      const cost = next.cost + costOf(given)
      const recovery = transitions.find(({ recovers }) => recovers)
      const to = placeOf(snapshot)
      if (recovery !== undefined) {
        const name = nameOf(recovery.id, scope)
        const arc = `${name} ${to}`
        const kept = found.get(arc)
        if (kept === undefined || cost < kept.cost)
          found.set(arc, { recovery: recovery.id, name, cases, cost, to, arc })
        continue
      }
      if (seen.has(to)) continue
      seen.add(to)
      queue.push({ snapshot, cases, cost })
    }
  }
  return [...found.values()]
}

/** A flow that has gone a edge further. */
export interface Gone {
  readonly snapshot: FlowSnapshot
  readonly cases: readonly EventCase[]
}

/** Goes a edge from a snapshot; undefined when it does not lead there from this very one. */
export function follow(from: FlowSnapshot, { cases, recovery }: RecoveryEdge): Gone | undefined {
  let snapshot = from
  const followed: EventCase[] = []
  let reached: string | undefined
  for (const name of cases) {
    const given = takeableFrom(snapshot).find((known) => known.name === name)
    if (given === undefined) return undefined
    const taken = take(snapshot, given.event)
    reached = taken.transitions.find(({ recovers }) => recovers)?.id
    snapshot = taken.snapshot
    followed.push(given)
  }
  return reached === recovery && snapshot.status === 'active' ? { snapshot, cases: followed } : undefined
}

/** The edges that lead away from each place, worked out when they are first asked for. */
export class RecoveryMap {
  readonly #edges = new Map<string, readonly RecoveryEdge[]>()

  constructor(private readonly scope: PairScope) {}

  /** @param snapshot - Any flow that stands at `place`. */
  edges(place: string, snapshot: FlowSnapshot): readonly RecoveryEdge[] {
    const known = this.#edges.get(place)
    if (known !== undefined) return known
    const edges = edgesFrom(snapshot, this.scope)
    this.#edges.set(place, edges)
    return edges
  }

  /** The same for a place that was asked for before; none for one that was not. */
  known(place: string): readonly RecoveryEdge[] {
    return this.#edges.get(place) ?? []
  }
}
