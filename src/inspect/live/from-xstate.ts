// Follows the actors of this process through XState's own inspection events.
// Must never throw into the program it watches, and never keep an actor alive.

import type { AnyStateMachine, AnyTransitionDefinition, InspectionEvent, StateValue } from 'xstate'
import { type Drawing, drawingOf } from './chart.js'
import type { FlowBook } from './flow-book.js'
import { asJson } from './json.js'
import type { Step } from './messages.js'

/** An actor as far as it is looked at. */
interface SeenActor {
  readonly id: string
  readonly sessionId: string
  readonly logic: unknown
}

/** A machine's snapshot as far as it is looked at. */
interface SeenSnapshot {
  readonly value: StateValue
  readonly context: unknown
  readonly status: Step['status']
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

function seenActor(actorRef: unknown): SeenActor | null {
  if (!isObject(actorRef)) return null
  const { id, sessionId, logic } = actorRef
  return typeof id === 'string' && typeof sessionId === 'string' ? { id, sessionId, logic } : null
}

/** By its parts, not by its class: the program may have another copy of XState than this package. */
function isMachine(logic: unknown): logic is AnyStateMachine {
  return isObject(logic) && isObject(logic.root) && 'transitions' in logic.root && isObject(logic.root.states)
}

function isStateValue(value: unknown): value is StateValue {
  if (typeof value === 'string') return true
  return isObject(value) && Object.values(value).every(isStateValue)
}

const STATUSES: readonly Step['status'][] = ['active', 'done', 'error', 'stopped']

function seenSnapshot(snapshot: unknown): SeenSnapshot | null {
  if (!isObject(snapshot) || !isStateValue(snapshot.value)) return null
  const status = STATUSES.find((one) => one === snapshot.status) ?? 'active'
  return { value: snapshot.value, context: snapshot.context, status }
}

/** The events XState itself sends are about actors, not about what happened. */
const eventName = (type: string): string => (type === 'xstate.init' ? 'START' : type)

/** An inspector for `createActor(machine, { inspect })` that writes what it sees into the book. */
export function fromXState(book: FlowBook): (inspection: InspectionEvent) => void {
  const drawings = new WeakMap<AnyStateMachine, Drawing | null>()
  const senders = new Map<string, { readonly event: unknown; readonly by: string }>()

  function drawingFor(machine: AnyStateMachine): Drawing | null {
    const known = drawings.get(machine)
    if (known !== undefined) return known
    let drawing: Drawing | null = null
    try {
      drawing = drawingOf(machine)
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown reason'
      process.emitWarning(`the inspector cannot read the machine "${machine.root.id}": ${reason}`)
    }
    drawings.set(machine, drawing)
    return drawing
  }

  function write(
    inspection: Extract<InspectionEvent, { type: '@xstate.microstep' | '@xstate.snapshot' }>,
    definitions: readonly AnyTransitionDefinition[],
  ): void {
    const actor = seenActor(inspection.actorRef)
    const snapshot = seenSnapshot(inspection.snapshot)
    if (actor === null || snapshot === null || !isMachine(actor.logic)) return
    const drawing = drawingFor(actor.logic)
    if (drawing === null) return
    book.begin(actor.sessionId, { name: actor.id, drawing })
    const { event } = inspection
    const sender = senders.get(actor.sessionId)
    const { type, ...payload } = event
    book.add(actor.sessionId, {
      event: eventName(type),
      by: sender?.event === event ? sender.by : null,
      value: snapshot.value,
      taken: definitions.flatMap((definition) => drawing.takenOf(definition)),
      status: snapshot.status,
      payload: type.startsWith('xstate.init') ? {} : asJson(payload),
      context: asJson(snapshot.context),
    })
    if (snapshot.status !== 'active') senders.delete(actor.sessionId)
  }

  return (inspection) => {
    if (inspection.type === '@xstate.event') {
      const actor = seenActor(inspection.actorRef)
      const source = seenActor(inspection.sourceRef)
      if (actor === null || !isMachine(actor.logic)) return
      if (source === null) senders.delete(actor.sessionId)
      else senders.set(actor.sessionId, { event: inspection.event, by: source.id })
    } else if (inspection.type === '@xstate.microstep') {
      write(inspection, inspection._transitions)
    } else if (inspection.type === '@xstate.snapshot') {
      // Every other snapshot was a microstep before.
      if (inspection.event.type === 'xstate.init') write(inspection, [])
    }
  }
}
