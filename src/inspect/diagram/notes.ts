// Says inside the states what is not drawn as an arrow: failures, what stays, and ways so common that arrows would hide the rest.
// Must never drop a transition it was given: each is in exactly one note.

import type { GraphTransition, MachineGraph } from './graph.js'
import { counted, distinct, eventName, groupBy } from './labels.js'
import type { ArrowKind } from './rules.js'

/** What is written inside a state instead of being drawn. */
export interface Note {
  /** The state it is written in. */
  readonly state: string
  /** `leads`: from here to `other`; `entered`: into this state from several; `stays`: the state is not left. */
  readonly relation: 'leads' | 'entered' | 'stays'
  readonly other: string | null
  readonly kind: ArrowKind
  /** With the events' names, where they are few. */
  readonly text: string
  /** With a count. */
  readonly short: string
  readonly transitions: readonly GraphTransition[]
}

/** What a note is made of: everything that leads from one state to another. */
interface Led {
  readonly source: string
  readonly target: string
  readonly kind: ArrowKind
  readonly transitions: readonly GraphTransition[]
}

/** From this many states on, the same event is noted once where it leads, instead of in each of them. */
const OFTEN = 3

/** Up to two events by their names, more by their count. */
function briefly(transitions: readonly GraphTransition[]): string {
  const names = distinct(transitions.map(({ event, guard }) => eventName(event) || `[${guard ?? 'otherwise'}]`))
  return names.length <= 2 ? names.join(', ') : counted(transitions)
}

function leadsNote(graph: MachineGraph, { source, target, kind, transitions }: Led): Note {
  const name = source === target ? 'again' : (graph.states.find(({ id }) => id === target)?.name ?? target)
  return {
    state: source,
    relation: 'leads',
    other: target,
    kind,
    text: `${name}: ${briefly(transitions)}`,
    short: `${name}: ${counted(transitions)}`,
    transitions,
  }
}

function enteredNote(group: readonly Led[], where: string): readonly Note[] {
  const [first] = group
  if (first === undefined) return []
  return [
    {
      state: first.target,
      relation: 'entered',
      other: null,
      kind: first.kind,
      text: `${briefly(first.transitions)} in ${where}`,
      short: `${counted(first.transitions)} in ${where}`,
      transitions: group.flatMap(({ transitions }) => transitions),
    },
  ]
}

function staysNote(transitions: readonly GraphTransition[]): Note {
  return {
    state: transitions[0]?.source ?? '',
    relation: 'stays',
    other: null,
    kind: 'step',
    text: `stays: ${briefly(transitions)}`,
    short: `stays: ${counted(transitions)}`,
    transitions,
  }
}

/** Notes for everything that is not drawn, in the order of the states they are written in. */
export function notesOf(graph: MachineGraph, led: readonly Led[]): readonly Note[] {
  const isRoot = ({ source }: Led): boolean => source === graph.id
  const events = ({ transitions }: Led): string => distinct(transitions.map(({ event }) => event)).join(' ')
  const single = led.filter((pair) => !isRoot(pair))
  const often = groupBy(single, (pair) => `${pair.target} ${events(pair)}`).filter((group) => group.length >= OFTEN)
  const staying = graph.transitions.filter(({ target }) => target === null)
  const notes = [
    ...groupBy(staying, ({ source }) => source).map(staysNote),
    ...single.filter((pair) => !often.flat().includes(pair)).map((pair) => leadsNote(graph, pair)),
    ...often.flatMap((group) => enteredNote(group, `${group.length} states`)),
    ...led.filter(isRoot).flatMap((pair) => enteredNote([pair], 'any state')),
  ]
  const order = graph.states.map(({ id }) => id)
  const weight: Readonly<Record<ArrowKind, number>> = { happy: 0, step: 0, recovery: 1, failure: 2 }
  return notes.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || weight[a.kind] - weight[b.kind])
}
