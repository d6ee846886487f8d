// What a picture of one machine is told beyond the machine: its happy path, and what its arrows have in common.
// Must never name a state that the machine does not have: a rule that no longer fits is an error, not a silence.

import { LOCAL_CODES, LOCAL_EVENTS, MPP_CODES, PROBLEM_TYPES } from '../../../machines/index.js'
import type { GraphTransition, MachineGraph } from './graph.js'

/** How an arrow is drawn. */
export type ArrowKind = 'happy' | 'step' | 'recovery' | 'failure'

/** Arrows that all its parts fit are noted; a part left out fits everything. */
export interface NotedRule {
  readonly from?: readonly string[]
  readonly to?: readonly string[]
  readonly kind?: ArrowKind
  readonly events?: readonly string[]
}

/** Everything about a picture that cannot be read from the machine. States are given by their dotted path. */
export interface PictureRules {
  /** The states of undisturbed runs, in order; the arrows between them are emphasised. */
  readonly happyPaths: readonly (readonly string[])[]
  /** Final states that mean failure. */
  readonly failures: readonly string[]
  /** What is written inside the states instead of drawn, because so many arrows would hide the rest. */
  readonly noted: readonly NotedRule[]
  /** How wide a box may grow, in units of the picture, to name the events in its notes rather than count them. */
  readonly noteWidth: number
}

/** Rules for a machine nobody has told anything about. */
export const PLAIN_RULES: PictureRules = {
  happyPaths: [],
  failures: [],
  noted: [],
  noteWidth: 240,
}

const ERROR_CODES: ReadonlySet<string> = new Set([
  ...MPP_CODES,
  ...PROBLEM_TYPES,
  ...LOCAL_CODES.map((code) => LOCAL_EVENTS[code]),
])

/** Whether an event is an error code: of the gateway, of the standard, or of this side (`RATE_LIMITED`). */
export function isErrorCode(event: string): boolean {
  return ERROR_CODES.has(event)
}

/** The id of the state with this dotted path; throws when the machine has none. */
export function stateAt(graph: MachineGraph, path: string): string {
  const state = graph.states.find((candidate) => candidate.path === path)
  if (state === undefined) throw new Error(`the picture of "${graph.id}" names a state the machine lacks: "${path}"`)
  return state.id
}

/** Source and target of every arrow on the happy path; throws when the machine has no such arrow. */
export function happyPairs(graph: MachineGraph, rules: PictureRules): ReadonlySet<string> {
  const pairs = rules.happyPaths.flatMap((path) => {
    const ids = path.map((step) => stateAt(graph, step))
    return ids.slice(1).map((next, index) => {
      const source = ids[index] ?? next
      // Entering a compound state is entering its initial state.
      const around = graph.states.find(({ initial }) => initial === next)?.id
      const target = graph.transitions.find(
        (t) => t.source === source && (t.target === next || t.target === around),
      )?.target
      if (target == null) throw new Error(`a happy path of "${graph.id}" lacks an arrow: ${source} → ${next}`)
      return pairKey(source, target)
    })
  })
  return new Set(pairs)
}

/** Identifies what leads from one state to another. */
export function pairKey(source: string, target: string): string {
  return `${source} → ${target}`
}

/** Says of single transitions what kind they are. */
export function classifier(graph: MachineGraph, rules: PictureRules): (transition: GraphTransition) => ArrowKind {
  const failures = new Set(rules.failures.map((path) => stateAt(graph, path)))
  const recovering = new Set(graph.states.filter(({ tags }) => tags.includes('recovering')).map(({ id }) => id))
  return ({ source, target, event, leadsTo }) => {
    if (target !== null && failures.has(target)) return 'failure'
    const recovers =
      isErrorCode(event) || leadsTo !== null || recovering.has(source) || (target !== null && recovering.has(target))
    return recovers ? 'recovery' : 'step'
  }
}

/** Says whether an arrow is noted inside a state rather than drawn; throws for rules about states the machine lacks. */
export function notedBy(
  graph: MachineGraph,
  rules: PictureRules,
): (arrow: { source: string; target: string; kind: ArrowKind; transitions: readonly GraphTransition[] }) => boolean {
  const ids = (paths: readonly string[] | undefined): ReadonlySet<string> | null =>
    paths === undefined ? null : new Set(paths.map((path) => stateAt(graph, path)))
  const compiled = rules.noted.map(({ from, to, kind, events }) => ({ from: ids(from), to: ids(to), kind, events }))
  return ({ source, target, kind, transitions }) =>
    kind === 'failure' ||
    compiled.some(
      (rule) =>
        (rule.from?.has(source) ?? true) &&
        (rule.to?.has(target) ?? true) &&
        (rule.kind ?? kind) === kind &&
        transitions.every(({ event }) => rule.events?.includes(event) ?? true),
    )
}
