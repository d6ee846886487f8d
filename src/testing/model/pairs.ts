// Generates sequences: long paths that together take every pair of consecutive recoveries.
// Must never count a pair that no sequence takes: what is known to be possible is reported beside what was taken.

import { exceeds } from '../../../machines/index.js'
import type { EventCase } from './event-case.js'
import { startOf } from './explore.js'
import { finished, transitionsOf } from './finish.js'
import type { FlowSnapshot } from './payment-flow-model.js'
import { type PathPlan, planOf } from './plan.js'
import { follow, placeOf, type RecoveryEdge, RecoveryMap } from './recovery-map.js'
import { type PairScope, pairOf, partsOf, type RecoveryPair } from './recovery-pairs.js'
import { type Explored, SEQUENCE_SETTINGS, type Setting } from './settings.js'

/** How long a sequence may be: one that leaves its path costs all that would have come after it. */
const LONGEST_TOUR = 40
const DEAREST_TOUR = 250
/** How many recoveries a sequence may take again to get to where a new pair follows. */
const LONGEST_DETOUR = 3
/** How often a sequence may find that a edge of the map cannot be gone from where it really stands. */
const MOST_ERRORS = 10

/** A flow that stands right behind a recovery, or at its start, and how it got there. */
interface Standing {
  readonly snapshot: FlowSnapshot
  readonly place: string
  readonly cases: readonly EventCase[]
  /** Name of the recovery; null at the start. */
  readonly last: string | null
}

/** A way to a pair: where its first recovery has led, and how the second follows. */
interface Witness {
  readonly behind: Standing
  readonly next: RecoveryEdge
}

interface Sequence {
  at: Standing
  recoveries: number
  cost: number
  /** Legs that could not be gone. */
  readonly errors: Set<RecoveryEdge>
}

/** A place that the map leads to, and by which edges. */
interface Reached {
  readonly place: string
  readonly last: string | null
  readonly before: Reached | null
  readonly edge: RecoveryEdge | null
  readonly cost: number
}

function edgesTo({ before, edge }: Reached): readonly RecoveryEdge[] {
  return before === null || edge === null ? [] : [...edgesTo(before), edge]
}

const NONE: ReadonlySet<string> = new Set()

/** Finds the pairs that are possible in a setting, and makes sequences that take them. */
class Explorer {
  readonly taken = new Set<RecoveryPair>()
  readonly #map: RecoveryMap
  readonly #witnesses = new Map<RecoveryPair, Witness>()
  /** The same pairs as `taken`, by their first recovery. */
  readonly #takenAfter = new Map<string, Set<string>>()
  /** Recoveries with the places behind them from which what can follow was noted. */
  readonly #noted = new Set<string>()

  constructor(
    private readonly setting: Setting,
    scope: PairScope,
    before: ReadonlySet<RecoveryPair>,
  ) {
    for (const pair of before) this.#take(...partsOf(pair))
    this.#map = new RecoveryMap(scope)
  }

  get known(): Iterable<RecoveryPair> {
    return this.#witnesses.keys()
  }

  #start(): Standing {
    const snapshot = startOf(this.setting)
    return { snapshot, place: placeOf(snapshot), cases: [], last: null }
  }

  #go(from: Standing, edge: RecoveryEdge): Standing | undefined {
    const gone = follow(from.snapshot, edge)
    if (gone === undefined) return undefined
    const { snapshot } = gone
    return { snapshot, place: placeOf(snapshot), cases: [...from.cases, ...gone.cases], last: edge.name }
  }

  /**
   * Goes to every place that is not more than so many recoveries away, and one further with channels that few flows have;
   * notes a way to every pair. Each is gone from the beginning of a flow: a pair is known only if a flow can take it.
   */
  explore(depth: number): void {
    const start = this.#start()
    const seen = new Set([start.place])
    let level: readonly Standing[] = [start]
    for (let at = 0; at <= depth + 1 && level.length > 0; at += 1) {
      const origins = at <= depth ? level : level.filter(isOverdrawn)
      level = origins.flatMap((from) =>
        this.#map.edges(from.place, from.snapshot).flatMap((edge) => {
          if (this.#noted.has(`${edge.name} ${edge.to}`)) return []
          const to = this.#go(from, edge)
          if (to === undefined) return []
          this.#note(to)
          if (seen.has(to.place)) return []
          seen.add(to.place)
          return [to]
        }),
      )
    }
  }

  /** Notes what can follow from where a flow really stands. */
  #note(behind: Standing): void {
    const { last, place, snapshot } = behind
    const arc = `${last} ${place}`
    if (last === null || this.#noted.has(arc)) return
    this.#noted.add(arc)
    for (const next of this.#map.edges(place, snapshot)) {
      const pair = pairOf(last, next.name)
      if (this.#witnesses.has(pair) || follow(snapshot, next) === undefined) continue
      this.#witnesses.set(pair, { behind, next })
    }
  }

  /** The edges to the nearest new pair, its second recovery included; undefined when none is near. */
  #nearest({ at, errors }: Sequence): readonly RecoveryEdge[] | undefined {
    let reached: readonly Reached[] = [{ place: at.place, last: at.last, before: null, edge: null, cost: 0 }]
    const seen = new Set<string>()
    for (let detour = 0; detour <= LONGEST_DETOUR; detour += 1) {
      let best: Reached | undefined
      const next: Reached[] = []
      for (const before of reached) {
        const { place, last } = before
        const after = last === null ? undefined : (this.#takenAfter.get(last) ?? NONE)
        for (const edge of this.#map.known(place)) {
          if (errors.has(edge)) continue
          const cost = before.cost + edge.cost
          const isNew = after !== undefined && !after.has(edge.name)
          if (isNew && (best === undefined || cost < best.cost)) {
            best = { place: edge.to, last: edge.name, before, edge, cost }
          }
          if (seen.has(edge.arc)) continue
          seen.add(edge.arc)
          next.push({ place: edge.to, last: edge.name, before, edge, cost })
        }
      }
      if (best !== undefined) return edgesTo(best)
      reached = next
    }
    return undefined
  }

  #take(first: string, second: string): void {
    this.taken.add(pairOf(first, second))
    const after = this.#takenAfter.get(first) ?? new Set()
    this.#takenAfter.set(first, after.add(second))
  }

  /** One recovery further; false when it cannot be gone from here. */
  #step(sequence: Sequence, edge: RecoveryEdge): boolean {
    const to = this.#go(sequence.at, edge)
    if (to === undefined) return false
    if (sequence.at.last !== null) this.#take(sequence.at.last, edge.name)
    sequence.at = to
    sequence.recoveries += 1
    sequence.cost += edge.cost
    this.#note(to)
    return true
  }

  /** On from new pair to new pair, as long as there is one near. */
  #wander(sequence: Sequence): void {
    while (sequence.recoveries < LONGEST_TOUR && sequence.errors.size < MOST_ERRORS) {
      const edges = this.#nearest(sequence)
      if (edges === undefined || sequence.cost + costOf(edges) > DEAREST_TOUR) return
      const wrong = edges.find((edge) => !this.#step(sequence, edge))
      if (wrong !== undefined) sequence.errors.add(wrong)
    }
  }

  /** The sequence that begins with the way to a pair. */
  #begin({ behind, next }: Witness): Sequence {
    const sequence: Sequence = { at: behind, recoveries: 0, cost: 0, errors: new Set() }
    if (!this.#step(sequence, next)) throw new Error('a pair that was found cannot be taken again')
    return sequence
  }

  #finish({ at }: Sequence): PathPlan {
    const whole = finished(this.setting, at.cases)
    return planOf(this.setting, whole, transitionsOf(this.setting, whole))
  }

  /** Sequences to every pair that is known and was not taken; what they find on their way is known from then on. */
  sequences(): readonly PathPlan[] {
    const sequences: PathPlan[] = []
    for (const [pair, witness] of this.#witnesses) {
      if (this.taken.has(pair)) continue
      const sequence = this.#begin(witness)
      this.#wander(sequence)
      sequences.push(this.#finish(sequence))
    }
    return sequences
  }
}

/** More is signed than deposited. */
function isOverdrawn({ snapshot }: Standing): boolean {
  const { session } = snapshot.context
  return session !== null && exceeds(session.signed, session.deposit) && session.status !== 'opening'
}

function costOf(edges: readonly RecoveryEdge[]): number {
  return edges.reduce((sum, { cost }) => sum + cost, 0)
}

/** What the sequences are made of and for. */
export interface PairSequences {
  readonly sequences: readonly PathPlan[]
  /** Every pair that is possible in one of the settings. */
  readonly known: ReadonlySet<RecoveryPair>
}

/**
 * Paths that together take every pair of consecutive recoveries. They are long: dozens of recoveries each.
 */
export function pairSequences(
  scope: PairScope = 'unlike',
  explored: readonly Explored[] = SEQUENCE_SETTINGS,
): PairSequences {
  const known = new Set<RecoveryPair>()
  const taken = new Set<RecoveryPair>()
  const sequences = explored.flatMap(({ setting, depth }) => {
    const explorer = new Explorer(setting, scope, taken)
    explorer.explore(depth)
    const made = explorer.sequences()
    for (const pair of explorer.known) known.add(pair)
    for (const pair of explorer.taken) taken.add(pair)
    return made
  })
  return { sequences, known }
}
