// Generates the paths: shortest ones to every state, ones that together take every transition.
// Must never give up quietly: what no path reaches is reported.

import { stateName } from '../../../machines/index.js'
import { casesFor } from './cases.js'
import { costOf } from './cost.js'
import type { EventCase } from './event-case.js'
import { caseOf, type Exploration, type ModelPath, shortestPaths } from './explore.js'
import { finished, transitionsOf } from './finish.js'
import { namedApart, type PathPlan, planOf } from './plan.js'
import { SETTINGS, type Setting } from './settings.js'
import { STATES, TRANSITIONS, take } from './transitions.js'

interface Candidate {
  readonly setting: Setting
  readonly cases: readonly EventCase[]
  readonly cost: number
}

function casesOf(path: ModelPath): readonly EventCase[] {
  // The library begins a path with a step for the initialisation, which no case stands for.
  return path.steps.filter(({ event }) => event.type !== INIT).map(({ event }) => caseOf(event))
}

const INIT: string = 'xstate.init'

function sum(cases: readonly EventCase[]): number {
  return cases.reduce((total, given) => total + costOf(given), 0)
}

/** Notes for each transition the cheapest path found so far that takes it last. */
function explore(setting: Setting, exploration: Exploration, best: Map<string, Candidate>): void {
  for (const path of shortestPaths(setting, exploration)) {
    if (path.state.status !== 'active') continue
    const before = casesOf(path)
    const costBefore = sum(before)
    for (const given of casesFor(path.state)) {
      const cost = costBefore + costOf(given)
      for (const { id } of take(path.state, given.event).transitions) {
        const kept = best.get(id)
        if (kept === undefined || cost < kept.cost) best.set(id, { setting, cases: [...before, given], cost })
      }
    }
  }
}

/** How many recoveries a setting names that may be taken, where it names any. */
function roomOf({ bounds }: Setting): number {
  const named = Object.values(bounds)
  return named.length === 0 ? Number.POSITIVE_INFINITY : named.filter((bound) => bound !== 0).length
}

/**
 * Paths that together take every transition of the machine, guarded alternatives included. Each goes on to the end of its
 * flow; what others have taken on their way has no path of its own.
 *
 * @example
 * ```ts
 * import { runPath, sandboxTarget, transitionPaths } from 'mpp-flow/testing'
 *
 * const target = await sandboxTarget()
 * for (const path of transitionPaths()) await runPath(path, target)
 * await target.stop()
 * ```
 */
export function transitionPaths(settings: readonly Setting[] = SETTINGS): readonly PathPlan[] {
  const best = new Map<string, Candidate>()
  for (const setting of settings) explore(setting, { maxRecoveries: 1 }, best)
  // What takes two recoveries is looked for only as far as it is still missing, and where there is least to look through.
  for (const setting of [...settings].sort((a, b) => roomOf(a) - roomOf(b))) {
    if (TRANSITIONS.every(({ id }) => best.has(id))) break
    explore(setting, { maxRecoveries: 2 }, best)
  }
  return cover(best)
}

/** The fewest paths, roughly: the long ones first, and none for what they have taken on the way. */
function cover(best: ReadonlyMap<string, Candidate>): readonly PathPlan[] {
  const covered = new Set<string>()
  const byLength = [...best].sort(([, a], [, b]) => b.cases.length - a.cases.length)
  const plans = byLength.flatMap(([id, { setting, cases }]) => {
    if (covered.has(id)) return []
    const whole = finished(setting, cases)
    const transitions = transitionsOf(setting, whole)
    for (const taken of transitions) covered.add(taken)
    return [planOf(setting, whole, transitions)]
  })
  return namedApart(plans)
}

/**
 * Shortest paths that together reach every state in which a flow can rest or end. Each goes on to the end of its flow, so
 * that one path may be the shortest to several states.
 */
export function statePaths(settings: readonly Setting[] = SETTINGS): readonly PathPlan[] {
  const found = new Map<string, Candidate>()
  // What comes after a wait is two steps behind a recovery: looked for where so few are allowed that it stays small.
  const deeper = settings.filter(allowsFew).map((setting) => ({ setting, maxRecoveries: 2 }))
  for (const { setting, maxRecoveries } of [
    ...settings.map((each) => ({ setting: each, maxRecoveries: 1 })),
    ...deeper,
  ]) {
    if (STATES.every((state) => found.has(state) || isPassed(state))) break
    for (const path of shortestPaths(setting, { maxRecoveries })) {
      const state = stateName(path.state.value)
      const cases = casesOf(path)
      const cost = sum(cases)
      const kept = found.get(state)
      if (kept === undefined || cost < kept.cost) found.set(state, { setting, cases, cost })
    }
  }
  const plans = new Map<string, PathPlan>()
  for (const { setting, cases } of found.values()) {
    const whole = finished(setting, cases)
    const key = [setting.name, ...whole.map(({ name }) => name)].join('\n')
    if (!plans.has(key)) plans.set(key, planOf(setting, whole, transitionsOf(setting, whole)))
  }
  return namedApart([...plans.values()])
}

/** Whether a setting allows one recovery, and no other. */
function allowsFew({ bounds }: Setting): boolean {
  return Object.values(bounds).filter((bound) => bound !== 0).length === 1
}

/** Whether a flow only passes a state: it decides there without an event. */
function isPassed(state: string): boolean {
  return TRANSITIONS.some(({ source, event }) => source === state && event === '')
}
