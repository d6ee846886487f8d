// Merges the transitions of a machine into as many arrows as a reader can follow, and notes inside the states for the rest.
// Must never lose a transition: each one is in exactly one arrow or in exactly one note.

import { ancestors, type GraphTransition, type MachineGraph } from './graph.js'
import { arrowLabel, counted, distinct, eventName } from './labels.js'
import { type ArrowKind, classifier, happyPairs, type PictureRules, pairKey, stateAt } from './rules.js'

/** Everything that leads from one state (or from anywhere inside it) to another. */
export interface Arrow {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly kind: ArrowKind
  readonly label: readonly string[]
  readonly transitions: readonly GraphTransition[]
}

/** What is written inside a state instead of being drawn. */
export interface Note {
  /** The state it is written in. */
  readonly state: string
  /** `leads`: from here to `other`; `entered`: into this state from several; `stays`: the state is not left. */
  readonly relation: 'leads' | 'entered' | 'stays'
  readonly other: string | null
  readonly kind: ArrowKind
  readonly text: string
  readonly transitions: readonly GraphTransition[]
}

/** A machine ready to be drawn. */
export interface GroupedGraph {
  readonly graph: MachineGraph
  readonly arrows: readonly Arrow[]
  readonly notes: readonly Note[]
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups.values()]
}

interface Pair {
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
    return ancestors(graph, source).filter((id) => !around.has(id)).at(-1) ?? source
  }
  const liftable = pairs.filter(({ kind }) => kind === 'recovery' || kind === 'failure')
  return groupBy(pairs, (pair) =>
    pairKey(liftable.includes(pair) ? outermost(pair) : pair.source, pair.target + (liftable.includes(pair) ? '' : ' ')),
  ).flatMap((members) => {
    const [first] = members
    if (first === undefined || members.length === 1) return members
    return [{ ...first, source: outermost(first), transitions: members.flatMap(({ transitions }) => transitions) }]
  })
}

/** The same event from three states or more needs to be said only once, where it leads. */
function gatherNotes(graph: MachineGraph, notes: readonly Note[]): readonly Note[] {
  const eventsOf = (note: Note): string => distinct(note.transitions.map(({ event }) => event)).join(' ')
  const leading = notes.filter(({ relation }) => relation === 'leads')
  const gathered = groupBy(leading, ({ other }) => other ?? '').filter(
    (group) => group.length >= 3 && new Set(group.map(eventsOf)).size === 1,
  )
  const replaced = new Set(gathered.flat())
  const once = gathered.flatMap((group): Note[] => {
    const [first] = group
    if (first?.other == null) return []
    const names = distinct(first.transitions.map(({ event }) => eventName(event))).join(', ')
    return [
      {
        state: first.other,
        relation: 'entered',
        other: null,
        kind: first.kind,
        text: `${names} in ${group.length} states`,
        transitions: group.flatMap(({ transitions }) => transitions),
      },
    ]
  })
  const order = graph.states.map(({ id }) => id)
  return [...notes.filter((note) => !replaced.has(note)), ...once].sort(
    (a, b) => order.indexOf(a.state) - order.indexOf(b.state),
  )
}

/** Few events are named, many are counted; their names are in the note's transitions. */
function briefly(transitions: readonly GraphTransition[]): string {
  const names = distinct(transitions.map(({ event, guard }) => (event === '' ? `[${guard ?? 'otherwise'}]` : event)))
  return names.length === 1 ? eventName(names[0] ?? '') : counted(transitions)
}

/**
 * Groups a machine's transitions for a picture. Deterministic: the same machine and rules give the same groups.
 *
 * - Transitions with the same source and target are one arrow.
 * - Recoveries with the same target out of several children of one state are one arrow from that state.
 * - Failures, transitions that stay, and recoveries to a `noted` state are notes inside the states.
 */
export function groupGraph(graph: MachineGraph, rules: PictureRules): GroupedGraph {
  const kindOf = classifier(graph, rules)
  const noted = new Set([...rules.noted, ...rules.failures].map((path) => stateAt(graph, path)))
  const nameOf = (id: string): string => graph.states.find((state) => state.id === id)?.name ?? id
  const isRoot = (id: string): boolean => id === graph.id
  const nested = ({ source, target }: Pair): boolean =>
    source === target || ancestors(graph, source).includes(target) || ancestors(graph, target).includes(source)

  const pairs = pairsOf(graph.transitions, kindOf, happyPairs(graph, rules))
  const written = (pair: Pair): boolean =>
    nested(pair) || (noted.has(pair.target) && (pair.kind === 'recovery' || pair.kind === 'failure'))

  const leaving = pairs.filter(written).map(
    ({ source, target, kind, transitions }): Note =>
      isRoot(source)
        ? {
            state: target,
            relation: 'entered',
            other: null,
            kind,
            text: `${briefly(transitions)} in any state`,
            transitions,
          }
        : {
            state: source,
            relation: 'leads',
            other: target,
            kind,
            text: source === target ? `again: ${briefly(transitions)}` : `${nameOf(target)}: ${briefly(transitions)}`,
            transitions,
          },
  )
  const staying = groupBy(
    graph.transitions.filter(({ target }) => target === null),
    ({ source }) => source,
  ).map(
    (transitions): Note => ({
      state: transitions[0]?.source ?? graph.id,
      relation: 'stays',
      other: null,
      kind: 'step',
      text: `stays: ${briefly(transitions)}`,
      transitions,
    }),
  )

  const targetsOf = (transition: GraphTransition): number =>
    new Set(
      graph.transitions
        .filter(({ source, event }) => source === transition.source && event === transition.event)
        .filter((other) => kindOf(other) !== 'failure')
        .map(({ target }) => target),
    ).size
  const arrows = lift(graph, pairs.filter((pair) => !written(pair))).map(
    ({ source, target, kind, transitions }): Arrow => ({
      id: pairKey(source, target),
      source,
      target,
      kind,
      label: arrowLabel(transitions, rules, (transition) => targetsOf(transition) > 1),
      transitions,
    }),
  )
  return { graph, arrows, notes: gatherNotes(graph, [...staying, ...leaving]) }
}

/** Arrows between different states of the top level, whatever depth they start or end at. */
export function topLevelArrows({ graph, arrows }: GroupedGraph): readonly Arrow[] {
  const top = (id: string): string => [id, ...ancestors(graph, id)].at(-2) ?? id
  return arrows.filter(({ source, target }) => top(source) !== top(target))
}
