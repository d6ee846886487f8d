// Follows a running flow along its plan: says at each step whether it went where it should, and what must happen next.
// Must never help a flow back onto its path: the first step that differs ends the run.

import type { InspectionEvent } from 'xstate'
import { type TraceStep, traceInto } from '../../../machines/index.js'
import type { PathPlan, PlanStep } from '../model/plan.js'

/** Where and how a flow left its path. */
export interface Divergence {
  /** Index of the step; as many as there are steps when the flow went on after the end. */
  readonly step: number
  readonly state: string
  readonly planned: string
  readonly happened: string
}

export interface PlanChecker {
  /** Give it to the client: it sees every step of the flow. */
  readonly inspect: (event: InspectionEvent) => void
  /** The step whose event is due; undefined after the last one and after a divergence. */
  current(): PlanStep | undefined
  /** The steps from the present one on. */
  ahead(): readonly PlanStep[]
  /** Something happened outside that the plan has no place for. */
  diverge(happened: string): void
  divergence(): Divergence | undefined
  /** How many steps were seen to be taken. */
  taken(): number
}

export interface PlanCheckerOptions {
  readonly plan: PathPlan
  /** Called when a step has been taken as planned; the flow rests in the next state. */
  readonly onStep: (next: PlanStep | undefined) => void
  /** Called once, when the flow has left its path. */
  readonly onDivergence: () => void
}

function show(steps: readonly TraceStep[]): string {
  return steps.length === 0 ? 'nothing' : steps.map(({ state, event }) => `${event} → ${state}`).join(', ')
}

function same(a: readonly TraceStep[], b: readonly TraceStep[]): boolean {
  return a.length === b.length && a.every(({ state, event }, at) => state === b[at]?.state && event === b[at]?.event)
}

function isRoot(event: InspectionEvent): boolean {
  return 'sessionId' in event.actorRef && event.actorRef.sessionId === event.rootId
}

export function createPlanChecker({ plan, onStep, onDivergence }: PlanCheckerOptions): PlanChecker {
  const trace: TraceStep[] = []
  const note = traceInto(trace)
  let at = 0
  let noted = 0
  /** An event has come, and its step is not over. */
  let waited = false
  let diverged: Divergence | undefined

  const current = (): PlanStep | undefined => (diverged === undefined ? plan.steps[at] : undefined)

  function diverge(planned: string, happened: string): void {
    if (diverged !== undefined) return
    const state = trace.at(-1)?.state ?? plan.steps[0]?.state ?? 'requesting'
    diverged = { step: at, state, planned, happened }
    onDivergence()
  }

  /** A state was reached: held against the plan at once, for the effect of that state begins next. */
  function reached(): void {
    const step = current()
    const seen = trace.slice(noted)
    if (step === undefined) diverge('the end', show(seen))
    else if (!same(seen, step.reaches.slice(0, seen.length))) {
      diverge(`${step.event} → ${show(step.reaches)}`, show(seen))
    } else if (seen.length === step.reaches.length) {
      noted = trace.length
      at += 1
      waited = false
      onStep(current())
    }
  }

  return {
    inspect(event) {
      const before = trace.length
      note(event)
      if (!isRoot(event)) return
      if (event.type === '@xstate.event' && event.event.type !== 'xstate.init') {
        const step = current()
        waited = step !== undefined
        if (step !== undefined && step.event !== event.event.type) diverge(step.event, event.event.type)
      }
      if (trace.length > before) reached()
      // The event was dealt with, and less came of it than was planned.
      if (event.type === '@xstate.snapshot' && waited) diverge(current()?.event ?? 'the end', show(trace.slice(noted)))
    },
    current,
    ahead: () => (diverged === undefined ? plan.steps.slice(at) : []),
    diverge: (happened) => diverge(current()?.case ?? 'the end', happened),
    divergence: () => diverged,
    taken: () => at,
  }
}
