// Merges the transitions of a machine into as many arrows as a reader can follow, and notes inside the states for the rest.
// Must never lose a transition: each one is in exactly one arrow or in exactly one note.

import { ancestors, type GraphTransition, type MachineGraph } from './graph.js'
import { arrowLabel, groupBy } from './labels.js'
import { type Note, notesOf } from './notes.js'
import { type ArrowKind, classifier, happyPairs, notedBy, type PictureRules, pairKey } from './rules.js'

/** Everything that leads from one state (or from anywhere inside it) to another. */
export interface Arrow {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly kind: ArrowKind
  readonly label: readonly string[]
  readonly transitions: readonly GraphTransition[]
}

/** A machine ready to be drawn. */
export interface GroupedGraph {
  readonly graph: MachineGraph
  readonly arrows: readonly Arrow[]
  readonly notes: readonly Note[]
  /** How wide a box may grow, in units of the picture, so that a note can name its events. */
  readonly noteWidth: number
}

/** Everything that leads from one state to another, before it is an arrow or a note. */
export interface Pair {
  readonly source: string
  readonly target: string
  readonly kind: ArrowKind
  readonly transitions: readonly GraphTransition[]
}

/** Everything between two states; one ordinary event among the transitions makes the whole pair an ordinary step. */
function pairsOf(
  transitions: readonly GraphTransition[],
  kindOf: (transition: GraphTransition) => ArrowKind,
  happy: ReadonlySet<string>,
): readonly Pair[] {
  const led = transitions.flatMap((transition) =>
    transition.target === null ? [] : [{ transition, target: transition.target }],
  )
  return groupBy(led, ({ transition, target }) => pairKey(transition.source, target)).flatMap((members) => {
    const [first] = members
    if (first === undefined) return []
    const kinds = members.map(({ transition }) => kindOf(transition))
    const source = first.transition.source
    const plain = kinds.includes('step') ? 'step' : (kinds[0] ?? 'step')
    const kind = happy.has(pairKey(source, first.target)) ? 'happy' : plain
    return [{ source, target: first.target, kind, transitions: members.map(({ transition }) => transition) }]
  })
}

/** Recoveries that leave a compound state from several of its children for the same target leave it as one arrow. */
function lift(graph: MachineGraph, pairs: readonly Pair[]): readonly Pair[] {
  const outermost = ({ source, target }: Pair): string => {
    const around = new Set([target, ...ancestors(graph, target)])
    return (
      ancestors(graph, source)
        .filter((id) => !around.has(id))
        .at(-1) ?? source
    )
  }
  const liftable = pairs.filter(({ kind }) => kind === 'recovery' || kind === 'failure')
  return groupBy(pairs, (pair) =>
    pairKey(
      liftable.includes(pair) ? outermost(pair) : pair.source,
      pair.target + (liftable.includes(pair) ? '' : ' '),
    ),
  ).flatMap((members) => {
    const [first] = members
    if (first === undefined || members.length === 1) return members
    return [{ ...first, source: outermost(first), transitions: members.flatMap(({ transitions }) => transitions) }]
  })
}

/**
 * Groups a machine's transitions for a picture. Deterministic: the same machine and rules give the same groups.
 *
 * - Transitions with the same source and target are one arrow.
 * - Recoveries with the same target out of several children of one state are one arrow from that state.
 * - Failures, transitions that stay, and whatever the rules say are notes inside the states.
 */
export function groupGraph(graph: MachineGraph, rules: PictureRules): GroupedGraph {
  const kindOf = classifier(graph, rules)
  const noted = notedBy(graph, rules)
  const nested = ({ source, target }: Pair): boolean =>
    source === target || ancestors(graph, source).includes(target) || ancestors(graph, target).includes(source)

  const pairs = pairsOf(graph.transitions, kindOf, happyPairs(graph, rules))
  const written = (pair: Pair): boolean => nested(pair) || noted(pair)

  const targetsOf = (transition: GraphTransition): number =>
    new Set(
      graph.transitions
        .filter(({ source, event }) => source === transition.source && event === transition.event)
        .filter((other) => kindOf(other) !== 'failure')
        .map(({ target }) => target),
    ).size
  const arrows = lift(
    graph,
    pairs.filter((pair) => !written(pair)),
  ).map(
    ({ source, target, kind, transitions }): Arrow => ({
      id: pairKey(source, target),
      source,
      target,
      kind,
      label: arrowLabel(transitions, (transition) => targetsOf(transition) > 1),
      transitions,
    }),
  )
  return { graph, arrows, notes: notesOf(graph, pairs.filter(written)), noteWidth: rules.noteWidth }
}

/** Arrows between different states of the top level, whatever depth they start or end at. */
export function topLevelArrows({ graph, arrows }: GroupedGraph): readonly Arrow[] {
  const top = (id: string): string => [id, ...ancestors(graph, id)].at(-2) ?? id
  return arrows.filter(({ source, target }) => top(source) !== top(target))
}
