// Generates tours: long paths that together take every pair of consecutive recoveries.
// Must never count a pair that no tour takes: what is known to be possible is reported beside what was taken.

import { exceeds, stateName, subtract } from '../../../machines/index.js'
import { casesFor } from './cases.js'
import { costOf } from './cost.js'
import type { EventCase } from './event-case.js'
import { startOf } from './explore.js'
import { finished, transitionsOf } from './finish.js'
import { BUCKET } from './payloads.js'
import type { FlowSnapshot } from './payment-flow-model.js'
import { type PathPlan, planOf } from './plan.js'
import { type Setting, TOUR_SETTINGS } from './settings.js'
import { TRANSITIONS, take } from './transitions.js'

/** Two recoveries, one right after the other: `paying mpp_invalid_challenge [withinBound] → paying RATE_LIMITED …`. */
export type RecoveryPair = string

/**
 * Which recoveries are told apart: each arrow (`every`), or arrows that differ in more than the name of their event
 * (`unlike`): those of one state with the same guard, target and actions are the same to a flow.
 */
export type PairScope = 'every' | 'unlike'

const RECOVERIES = new Map(
  TRANSITIONS.filter(({ recovers }) => recovers).map((transition) => [transition.id, transition]),
)

/** Under which name an arrow is told from others. */
function nameOf(id: string, scope: PairScope): string {
  const transition = RECOVERIES.get(id)
  return scope === 'every' || transition === undefined ? id : transition.likeness
}

/** How much a tour may cost: what waits for clocks and nodes is spread over many. */
const LONGEST_TOUR = 40
const DEAREST_TOUR = 150
/** How many recoveries in a row a tour may take again to get to where new ones follow. */
const MOST_STALE = 2

/** The pairs among the transitions of a path. */
export function pairsOf(transitions: readonly string[], scope: PairScope): readonly RecoveryPair[] {
  const recoveries = transitions.filter((id) => RECOVERIES.has(id))
  return recoveries.slice(1).map((id, at) => pairOf(recoveries[at] ?? '', id, scope))
}

function pairOf(first: string, second: string, scope: PairScope): RecoveryPair {
  return `${nameOf(first, scope)} → ${nameOf(second, scope)}`
}

/** A recovery that can come next, and the cases that lead to it, itself included, by name. */
interface Continuation {
  readonly recovery: string
  readonly cases: readonly string[]
  readonly cost: number
}

/** Where a flow stands, as far as it decides which recoveries can come next: how amounts compare, and no counts. */
function placeOf({ value, context }: FlowSnapshot): string {
  const { session, plan, demand } = context
  const room = session === null ? '0' : subtract(session.deposit, session.signed)
  return JSON.stringify([
    stateName(value),
    context.challenge?.unitType ?? (context.challenge === null ? 'none' : 'bucket'),
    Math.min(context.unreadChallenges, 1),
    context.skipChallenges,
    session && [
      session.status,
      session.signed === '0',
      session.pendingAmount === '0',
      exceeds(session.signed, session.deposit),
    ],
    room === '0',
    exceeds(BUCKET, room),
    session && demand && [exceeds(session.signed, demand.above), exceeds(session.deposit, demand.depositAbove)],
    plan && [plan.kind, 'resumes' in plan],
    demand?.kind,
    context.reconciled,
    context.approvedDeposit === null,
    context.turn,
    context.afterBackoff,
    context.disputed,
    // Those that are bounded by one, whatever the policy says, and what changes by having waited.
    ['OPERATION_UNDECIDED', 'mpp_commit_failed', 'mpp_method_unsupported', 'method-unsupported'].map(
      (name) => (context.counts[name] ?? 0) > 0,
    ),
    context.authorised.paidSends > 0,
  ])
}

/** Every recovery that can come next without another one before it, each by its shortest way. */
function continuations(from: FlowSnapshot): readonly Continuation[] {
  const found = new Map<string, Continuation>()
  const seen = new Set([placeOf(from)])
  const queue: { readonly snapshot: FlowSnapshot; readonly cases: readonly string[]; readonly cost: number }[] = [
    { snapshot: from, cases: [], cost: 0 },
  ]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const given of casesFor(next.snapshot)) {
      const { snapshot, transitions } = take(next.snapshot, given.event)
      const cases = [...next.cases, given.name]
      const cost = next.cost + costOf(given)
      const recovery = transitions.find(({ recovers }) => recovers)
      if (snapshot.status !== 'active') continue
      if (recovery !== undefined) {
        if (!found.has(recovery.id)) found.set(recovery.id, { recovery: recovery.id, cases, cost })
        continue
      }
      const place = placeOf(snapshot)
      if (seen.has(place)) continue
      seen.add(place)
      queue.push({ snapshot, cases, cost })
    }
  }
  return [...found.values()]
}

/** A way to a pair: cases up to and including its first recovery, and how its second follows. */
interface Witness {
  readonly cases: readonly EventCase[]
  readonly last: string
  readonly next: Continuation
}

interface Tour {
  snapshot: FlowSnapshot
  readonly cases: EventCase[]
  last: string | null
  recoveries: number
  cost: number
  /** How many recoveries in a row made no new pair. */
  stale: number
}

function cheapestFirst(all: readonly Continuation[]): readonly Continuation[] {
  return [...all].sort((a, b) => a.cost - b.cost)
}

/** Generates tours until no pair that is known can be reached in a new one. */
class Guide {
  readonly known = new Set<RecoveryPair>()
  readonly taken = new Set<RecoveryPair>()
  /** What is known to be able to follow each recovery, and has not yet: the pairs that are left. */
  readonly #left = new Map<string, Set<string>>()
  /** A way to each pair that is known. */
  readonly #witnesses = new Map<RecoveryPair, Witness>()
  readonly #continuations = new Map<string, readonly Continuation[]>()

  constructor(
    private readonly setting: Setting,
    private readonly scope: PairScope,
  ) {}

  #pair(first: string, second: string): RecoveryPair {
    return pairOf(first, second, this.scope)
  }

  /** How much that is new can follow a recovery, as far as it is known. */
  #newAfter(recovery: string): number {
    return this.#left.get(nameOf(recovery, this.scope))?.size ?? 0
  }

  /** What can come next; worked out once for all that stand at the same place. */
  #from({ snapshot, last, cases }: Tour): readonly Continuation[] {
    const place = placeOf(snapshot)
    const before = this.#continuations.get(place)
    const all = before ?? continuations(snapshot)
    this.#continuations.set(place, all)
    if (last !== null) this.#note(last, all, before === undefined ? [...cases] : null)
    return all
  }

  /** Goes on by named cases; false when they do not lead there from this very snapshot. */
  #follow(tour: Tour, { cases, recovery, cost }: Continuation): boolean {
    let { snapshot } = tour
    const followed: EventCase[] = []
    let reached: string | undefined
    for (const name of cases) {
      const given = casesFor(snapshot).find((known) => known.name === name)
      if (given === undefined) return false
      const taken = take(snapshot, given.event)
      reached = taken.transitions.find(({ recovers }) => recovers)?.id
      snapshot = taken.snapshot
      followed.push(given)
    }
    if (reached !== recovery || snapshot.status !== 'active') return false
    tour.snapshot = snapshot
    tour.cases.push(...followed)
    tour.recoveries += 1
    tour.cost += cost
    tour.last = recovery
    return true
  }

  /** One step of a tour: to a recovery that makes a new pair, else to one from which new pairs can be made. */
  #step(tour: Tour): boolean {
    const { last } = tour
    const all = this.#from(tour)
    const fresh = all.filter(({ recovery }) => last === null || !this.taken.has(this.#pair(last, recovery)))
    tour.stale = fresh.length > 0 ? 0 : tour.stale + 1
    if (tour.stale > MOST_STALE) return false
    for (const candidate of fresh.length > 0 ? cheapestFirst(fresh) : this.#mostNewFirst(all)) {
      if (tour.cost > 0 && tour.cost + candidate.cost > DEAREST_TOUR) return false
      if (!this.#follow(tour, candidate)) continue
      if (last !== null) this.#take(last, candidate.recovery)
      return true
    }
    return false
  }

  #take(first: string, second: string): void {
    const pair = this.#pair(first, second)
    this.known.add(pair)
    this.taken.add(pair)
    const left = this.#left.get(nameOf(first, this.scope)) ?? new Set()
    for (const next of left) if (this.#pair(first, next) === pair) left.delete(next)
  }

  /** Nothing new from here: to where the most new follows. */
  #mostNewFirst(all: readonly Continuation[]): readonly Continuation[] {
    return all
      .map((next) => ({ next, value: this.#newAfter(next.recovery) / next.cost }))
      .filter(({ value }) => value > 0)
      .sort((a, b) => b.value - a.value)
      .map(({ next }) => next)
  }

  /** Only what was worked out from this very flow, after these cases, is known for certain to be able to follow `last`. */
  #note(last: string, all: readonly Continuation[], cases: readonly EventCase[] | null): void {
    const name = nameOf(last, this.scope)
    const left = this.#left.get(name) ?? new Set()
    this.#left.set(name, left)
    for (const next of all) {
      const pair = this.#pair(last, next.recovery)
      if (!this.taken.has(pair)) left.add(next.recovery)
      const kept = this.#witnesses.get(pair)
      if (cases === null || (kept !== undefined && kept.cases.length <= cases.length)) continue
      this.known.add(pair)
      this.#witnesses.set(pair, { cases, last, next })
    }
  }

  #start(): Tour {
    return { snapshot: startOf(this.setting), cases: [], last: null, recoveries: 0, cost: 0, stale: 0 }
  }

  #begin(first: Continuation): Tour | undefined {
    const tour = this.#start()
    return this.#follow(tour, first) ? tour : undefined
  }

  /** The tour that goes straight to a pair that no other tour came by, and on from there. */
  #directed({ cases, last, next }: Witness): Tour | undefined {
    const tour = this.#start()
    for (const given of cases) tour.snapshot = take(tour.snapshot, given.event).snapshot
    tour.cases.push(...cases)
    tour.last = last
    if (!this.#follow(tour, next)) return undefined
    this.#take(last, next.recovery)
    return tour
  }

  #missing(): Witness | undefined {
    for (const [pair, witness] of this.#witnesses) if (!this.taken.has(pair)) return witness
    return undefined
  }

  #wander(tour: Tour): void {
    while (tour.recoveries < LONGEST_TOUR && this.#step(tour));
  }

  #finish(tour: Tour): PathPlan {
    const whole = finished(this.setting, tour.cases)
    return planOf(this.setting, whole, transitionsOf(this.setting, whole))
  }

  /** Tours that begin with each recovery in turn, as long as they find new pairs. */
  tours(): readonly PathPlan[] {
    const tours: PathPlan[] = []
    for (const first of this.#from(this.#start())) {
      for (;;) {
        const before = this.taken.size
        const tour = this.#begin(first)
        if (tour === undefined) break
        this.#wander(tour)
        if (this.taken.size === before) break
        tours.push(this.#finish(tour))
      }
    }
    for (let pair = this.#missing(); pair !== undefined; pair = this.#missing()) {
      const tour = this.#directed(pair)
      if (tour === undefined) throw new Error('a pair that was found cannot be taken again')
      this.#wander(tour)
      tours.push(this.#finish(tour))
    }
    return tours
  }
}

/** What the tours are made of and for. */
export interface PairTours {
  readonly tours: readonly PathPlan[]
  /** Every pair that is possible in one of the settings. */
  readonly known: ReadonlySet<RecoveryPair>
}

/**
 * Paths that together take every pair of consecutive recoveries. They are long: dozens of recoveries each.
 */
export function pairTours(scope: PairScope = 'unlike', settings: readonly Setting[] = TOUR_SETTINGS): PairTours {
  const known = new Set<RecoveryPair>()
  const taken = new Set<RecoveryPair>()
  const tours = settings.flatMap((setting) => {
    const guide = new Guide(setting, scope)
    for (const pair of taken) guide.taken.add(pair)
    const made = guide.tours()
    for (const pair of guide.known) known.add(pair)
    for (const pair of guide.taken) taken.add(pair)
    return made
  })
  return { tours, known }
}
