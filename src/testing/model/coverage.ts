// What a set of paths covers of the machine: states, transitions, guards, codes.
// Must never count what was planned as what was executed.

import { ERROR_CODES } from '../../../machines/index.js'
import { paymentFlowModel } from './payment-flow-model.js'
import type { PathPlan } from './plan.js'
import { STATES, TRANSITIONS } from './transitions.js'

/** How much of one kind of thing there is, and how much of it paths have gone through. */
export interface Covered {
  readonly total: number
  /** By the paths as they were generated. */
  readonly reached: number
  /** By the paths that were run, over HTTP, and went as planned. */
  readonly executed: number
  /** What was not executed. */
  readonly missing: readonly string[]
}

/** Coverage of the payment-flow machine. */
export interface Coverage {
  readonly states: Covered
  readonly transitions: Covered
  /** Each guard counts twice: for saying yes, and for saying no. */
  readonly guards: Covered
  /** The gateway's codes, the standard problem types, and the codes of this side. */
  readonly codes: Covered
}

interface Seen {
  readonly states: ReadonlySet<string>
  readonly transitions: ReadonlySet<string>
  readonly guards: ReadonlySet<string>
  readonly codes: ReadonlySet<string>
}

const BY_ID = new Map(TRANSITIONS.map((transition) => [transition.id, transition]))
const CODE_OF_EVENT = new Map(Object.values(ERROR_CODES).map(({ event, code }) => [event, code]))
const ALL_GUARDS = Object.keys(paymentFlowModel.implementations.guards).flatMap((guard) => [
  `${guard}: yes`,
  `${guard}: no`,
])
const IN_THE_CHART = new Set(TRANSITIONS.flatMap(({ event, guard }) => [event, guard]))
/** Arguments that cannot be sent (`request_invalid`) never become a flow. */
const ALL_CODES = Object.values(ERROR_CODES)
  .filter(({ event }) => IN_THE_CHART.has(event))
  .map(({ code }) => code)

/** A guard said yes when its alternative was taken, and no when a later one was. */
function guardsOf(id: string): readonly string[] {
  const taken = BY_ID.get(id)
  if (taken === undefined) return []
  const said = taken.guard === null ? [] : [`${taken.guard}: yes`]
  const before = TRANSITIONS.filter(
    ({ source, event, index }) => source === taken.source && event === taken.event && index < taken.index,
  )
  return [...said, ...before.flatMap(({ guard }) => (guard === null ? [] : [`${guard}: no`]))]
}

function seenBy(plans: readonly PathPlan[]): Seen {
  const transitions = new Set(plans.flatMap((plan) => plan.transitions))
  return {
    states: new Set(
      plans.flatMap(({ steps }) => steps.flatMap((step) => [step.state, ...step.reaches.map((to) => to.state)])),
    ),
    transitions,
    guards: new Set([...transitions].flatMap(guardsOf)),
    codes: new Set(
      plans.flatMap(({ steps, ends }) => [
        ...steps.flatMap(({ event }) => CODE_OF_EVENT.get(event) ?? []),
        ...(ends?.code == null ? [] : [ends.code]),
      ]),
    ),
  }
}

function covered(all: readonly string[], planned: ReadonlySet<string>, executed: ReadonlySet<string>): Covered {
  return {
    total: all.length,
    reached: all.filter((name) => planned.has(name)).length,
    executed: all.filter((name) => executed.has(name)).length,
    missing: all.filter((name) => !executed.has(name)),
  }
}

/** What paths cover, as they were planned, and as they were run and went as planned. */
export function coverageOf(planned: readonly PathPlan[], executed: readonly PathPlan[]): Coverage {
  const reach = seenBy(planned)
  const run = seenBy(executed)
  return {
    states: covered(STATES, reach.states, run.states),
    transitions: covered(
      TRANSITIONS.map(({ id }) => id),
      reach.transitions,
      run.transitions,
    ),
    guards: covered(ALL_GUARDS, reach.guards, run.guards),
    codes: covered(ALL_CODES, reach.codes, run.codes),
  }
}
