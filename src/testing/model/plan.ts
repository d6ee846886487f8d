// A plan: one generated path as JSON, with what must happen outside at each step and the trace that must be seen.
// Must never hold a function or a machine snapshot: plans are exported and read by other programs.

import { createActor } from 'xstate'
import { type PaymentFlowEvent, stateName, type TraceStep, traceInto } from '../../../machines/index.js'
import { type Cause, describeCause } from './causes.js'
import type { EventCase } from './event-case.js'
import { type FlowSnapshot, paymentFlowModel } from './payment-flow-model.js'
import { inputOf, type Setting } from './settings.js'

/** One step of a plan. */
export interface PlanStep {
  /** The state in which the event comes, in dotted form. */
  readonly state: string
  /** The event case: `mpp_invalid_challenge/challenged`. */
  readonly case: string
  readonly event: PaymentFlowEvent['type']
  /** What brings the event about. */
  readonly cause: Cause
  /** States passed and reached, each with the event or the guard that led there. */
  readonly reaches: readonly TraceStep[]
}

/** A path through the machine, as it can be run. */
export interface PathPlan {
  readonly name: string
  readonly setting: Setting
  readonly steps: readonly PlanStep[]
  /** Ids of the transitions it takes, in order. */
  readonly transitions: readonly string[]
  /** How the flow ends; null for a path that stops on the way and is cancelled there. */
  readonly ends: PlanEnd | null
}

/** How a flow ends, and what it has authorised until then. */
export interface PlanEnd {
  readonly state: string
  /** The code it failed with, if it did. */
  readonly code: string | null
  readonly vouchersSigned: number
  /** Credentials that went out with a request, answered or not. */
  readonly paidSends: number
}

/** How a flow has ended; null while it has not. */
export function endOf({ status, value, output }: FlowSnapshot): PlanEnd | null {
  if (status !== 'done' || output === undefined) return null
  const { vouchersSigned, paidSends } = output.authorised
  return { state: stateName(value), code: output.failure?.code ?? null, vouchersSigned, paidSends }
}

/** Makes the plan of a list of event cases, by walking the model. */
export function planOf(setting: Setting, cases: readonly EventCase[], transitions: readonly string[]): PathPlan {
  const trace: TraceStep[] = []
  const actor = createActor(paymentFlowModel, { input: inputOf(setting), inspect: traceInto(trace) })
  actor.start()
  const steps = cases.map((given): PlanStep => {
    const state = stateName(actor.getSnapshot().value)
    const before = trace.length
    actor.send(given.event)
    return { state, case: given.name, event: given.event.type, cause: given.cause, reaches: trace.slice(before) }
  })
  const ends = endOf(actor.getSnapshot())
  if (ends === null) actor.stop()
  return {
    name: nameOf(setting, steps),
    setting,
    steps,
    transitions,
    ends,
  }
}

/** What a name says: the steps in which something else than the usual happens; also where; or every step, and where. */
type Wording = 'unusual' | 'unusual in its state' | 'whole'

/** Readable: by default, no more than the steps in which something else than the usual happens. */
function nameOf({ name }: Setting, steps: readonly PlanStep[], wording: Wording = 'unusual'): string {
  const told = steps.filter(({ case: given }) => wording === 'whole' || !USUAL.has(given))
  const words = told.map((step) => (wording === 'unusual' ? step.case : `${step.case} in ${step.state}`))
  const last = steps.at(-1)?.reaches.at(-1)?.state ?? 'requesting'
  return `${name}: ${words.length === 0 ? 'nothing special' : words.join(', ')} → ${last}`
}

/** The same plans, each under a name of its own: those that would share one say more. No two may be the same path. */
export function namedApart(plans: readonly PathPlan[]): readonly PathPlan[] {
  return (['unusual in its state', 'whole'] as const).reduce((named, wording) => {
    const times = new Map<string, number>()
    for (const { name } of named) times.set(name, (times.get(name) ?? 0) + 1)
    return named.map((plan) =>
      times.get(plan.name) === 1 ? plan : { ...plan, name: nameOf(plan.setting, plan.steps, wording) },
    )
  }, plans)
}

const USUAL: ReadonlySet<string> = new Set([
  'CHALLENGE_RECEIVED',
  'CHALLENGE_ACCEPTED/usable',
  'SESSION_ACQUIRED/absent',
  'SESSION_ACQUIRED/unchanged',
  'OPEN_SIGNED',
  'VOUCHER_SIGNED',
  'TOP_UP_SIGNED',
  'PAID_ANSWER_RECEIVED',
  'RECEIPT_VERIFIED',
  'WAITED',
])

/** A plan in words, one line per step. */
export function describePlan({ steps, ends }: PathPlan): readonly string[] {
  const lines = steps.map(
    ({ state, case: given, cause, reaches }) =>
      `${state}: ${describeCause(cause)} → ${given} → ${reaches.map((reached) => reached.state).join(' → ') || 'stays'}`,
  )
  return ends === null ? [...lines, 'the caller cancels'] : lines
}
