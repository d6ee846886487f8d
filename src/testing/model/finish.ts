// Takes a list of event cases to the end of the flow, and says which transitions it takes.
// Must never leave a flow standing on its way.

import { casesFor } from './cases.js'
import type { EventCase } from './event-case.js'
import { startOf } from './explore.js'
import type { Setting } from './settings.js'
import { take } from './transitions.js'

/** No flow takes more steps to its end when nothing else goes wrong. */
const MOST_STEPS = 60

/**
 * The same cases, and then the first of each state, which is that all goes well, until the flow has ended.
 *
 * @throws Error when there is no end: the machine has a cycle without a bound.
 */
export function finished(setting: Setting, cases: readonly EventCase[]): readonly EventCase[] {
  const all = [...cases]
  let snapshot = startOf(setting)
  for (let at = 0; snapshot.status === 'active'; at += 1) {
    const next = all[at] ?? casesFor(snapshot)[0]
    if (next === undefined || at > cases.length + MOST_STEPS) throw new Error('a generated path has no end')
    if (at === all.length) all.push(next)
    snapshot = take(snapshot, next.event).snapshot
  }
  return all
}

/** The transitions that the cases take, walked from the start. */
export function transitionsOf(setting: Setting, cases: readonly EventCase[]): readonly string[] {
  let snapshot = startOf(setting)
  return cases.flatMap(({ event }) => {
    const taken = take(snapshot, event)
    snapshot = taken.snapshot
    return taken.transitions.map(({ id }) => id)
  })
}
