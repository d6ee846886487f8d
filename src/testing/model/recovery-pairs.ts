// Pairs of consecutive recoveries, and the names under which recoveries are told apart.
// Must never call two arrows alike that do different things to a flow.

import { TRANSITIONS } from './transitions.js'

/** Two recoveries, one right after the other: `paying … ⇒ paying …`. */
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
export function nameOf(id: string, scope: PairScope): string {
  const transition = RECOVERIES.get(id)
  return scope === 'every' || transition === undefined ? id : transition.equivalence
}

/** How many recoveries are told apart: any two of them, in order, are a pair, but not every pair can be taken. */
export function recoveriesIn(scope: PairScope): number {
  return new Set([...RECOVERIES.keys()].map((id) => nameOf(id, scope))).size
}

/** The pair of two recoveries, by their names. */
export function pairOf(first: string, second: string): RecoveryPair {
  return `${first}${THEN}${second}`
}

/** The names of a pair. */
export function partsOf(pair: RecoveryPair): [first: string, second: string] {
  const at = pair.indexOf(THEN)
  return [pair.slice(0, at), pair.slice(at + THEN.length)]
}

const THEN = ' ⇒ '

/** The pairs among the transitions of a path. */
export function pairsOf(transitions: readonly string[], scope: PairScope): readonly RecoveryPair[] {
  const names = transitions.filter((id) => RECOVERIES.has(id)).map((id) => nameOf(id, scope))
  return names.slice(1).map((name, at) => pairOf(names[at] ?? '', name))
}
