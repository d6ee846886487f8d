// Puts into a few words what the transitions of one arrow have in common.
// Must never list more than a reader takes in at once: three names, or families with a count.

import type { GraphTransition } from './graph.js'
import { isErrorCode } from './rules.js'

const MOST_NAMES = 3

/** The different values, in the order they first appear. */
export function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
}

/** Items with the same key together, in the order the keys first appear. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups.values()]
}

/** `1 code`, `4 codes`, `2 events`, `3 decisions`. */
export function counted(transitions: readonly GraphTransition[]): string {
  const names = distinct(transitions.map(({ event, guard }) => event || `[${guard ?? 'otherwise'}]`))
  const decided = transitions.every(({ event }) => event === '')
  const noun = decided ? 'decision' : names.every(isErrorCode) ? 'code' : 'event'
  return `${names.length} ${noun}${names.length === 1 ? '' : 's'}`
}

/** An event as a reader knows it: XState's own names for ends and delays are put into words. */
export function eventName(event: string): string {
  if (event.startsWith('xstate.done.')) return 'done'
  if (event.startsWith('xstate.error.')) return 'error'
  const delay = /^xstate\.after\.([^.]+)\./.exec(event)
  return delay === null ? event : `after ${delay[1]}`
}

/**
 * What a transition is called on its arrow: the event, with the guard where the guard is what decides between arrows.
 *
 * @param decides whether the same event of the same state leads elsewhere too
 */
function transitionLines({ event, guard }: GraphTransition, decides: boolean): readonly string[] {
  const condition = `[${guard ?? 'otherwise'}]`
  if (event === '') return [condition]
  return decides ? [eventName(event), condition] : [eventName(event)]
}

const OTHERS = 'other codes'

function familyOf({ leadsTo }: GraphTransition): string {
  return leadsTo ?? OTHERS
}

/** Codes by what they have in common, largest family first, as many lines as there are families. */
function families(codes: readonly GraphTransition[]): readonly string[] {
  const names = distinct(codes.map((code) => familyOf(code)))
  if (names.length === 1 && names[0] === OTHERS) return [counted(codes)]
  return names
    .map((name) => ({ name, members: codes.filter((code) => familyOf(code) === name) }))
    .sort((a, b) => distinctEvents(b.members) - distinctEvents(a.members) || (a.name < b.name ? -1 : 1))
    .map(({ name, members }) => `${name}: ${counted(members)}`)
}

function distinctEvents(transitions: readonly GraphTransition[]): number {
  return distinct(transitions.map(({ event }) => event)).length
}

/**
 * The lines that stand on an arrow.
 *
 * @param decides tells whether a transition's event leads elsewhere too, so that its guard has to be named
 */
export function arrowLabel(
  transitions: readonly GraphTransition[],
  decides: (transition: GraphTransition) => boolean,
): readonly string[] {
  const codes = transitions.filter(({ event }) => isErrorCode(event))
  const events = transitions.filter(({ event }) => !isErrorCode(event))
  const names = distinct(events.map(({ event, guard }) => `${event} ${guard}`))
  const named = distinct(events.flatMap((transition) => transitionLines(transition, decides(transition))))
  const codeNames = distinct(codes.map(({ event }) => event))
  const lines = names.length > MOST_NAMES ? [counted(events)] : [...named]
  if (names.length + codeNames.length <= MOST_NAMES) return [...lines, ...codeNames]
  // Beside what normally happens, the codes are an aside.
  if (lines.length > 0) return [...lines, `+ ${counted(codes)}`]
  return families(codes)
}
