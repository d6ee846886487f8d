// Writes down the states a flow goes through and what led there, from XState's inspection events.
// Must never note more than names: no context, no payload.

import type { InspectionEvent, StateValue } from 'xstate'

/** One step: a state in dotted form, and the event that led to it (for a decision without an event, its guard). */
export interface TraceStep {
  readonly state: string
  readonly event: string
}

/** A state value as text: `authorizing.openingSession`. */
export function stateName(value: StateValue): string {
  if (typeof value === 'string') return value
  return Object.entries(value)
    .map(([parent, child]) => (child === undefined ? parent : `${parent}.${stateName(child)}`))
    .join('|')
}

function guardName(guard: unknown): string | null {
  if (typeof guard === 'string') return guard
  if (typeof guard === 'object' && guard !== null && 'type' in guard && typeof guard.type === 'string')
    return guard.type
  return null
}

/**
 * Adds the steps of the inspected root actor to `trace`; give it to createActor as `inspect`.
 *
 * @example
 * ```ts
 * import { type PaymentFlowInput, paymentFlowMachine, type TraceStep, traceInto } from 'mpp-flow/machines'
 * import { createActor } from 'xstate'
 *
 * export function traced(input: PaymentFlowInput) {
 *   const trace: TraceStep[] = []
 *   return { trace, actor: createActor(paymentFlowMachine, { input, inspect: traceInto(trace) }) }
 * }
 * ```
 */
export function traceInto(trace: TraceStep[]): (inspection: InspectionEvent) => void {
  return (inspection) => {
    if (inspection.type !== '@xstate.microstep') return
    const { actorRef, rootId, snapshot, event, _transitions } = inspection
    // Effects are actors too; only the root's steps are states of the machine.
    if (!('sessionId' in actorRef) || actorRef.sessionId !== rootId || !('value' in snapshot)) return
    const taken = _transitions[0]
    // An event that the state does not know takes no step.
    if (taken === undefined) return
    const decided = taken.eventType === '' ? (guardName(taken.guard) ?? 'otherwise') : null
    // A snapshot of a machine has a state value; other actors' snapshots have none.
    const { value } = snapshot
    if (typeof value === 'string' || (typeof value === 'object' && value !== null)) {
      trace.push({ state: stateName(value as StateValue), event: decided ?? event.type })
    }
  }
}
