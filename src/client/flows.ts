// Starts flows: by the tables of the chart when nobody watches, as XState actors otherwise.
// Must never start one without its state, nor end one without giving back what it holds.

import { Actor, type ActorOptions, type InspectionEvent, type Observer, type SnapshotFrom, transition } from 'xstate'
import {
  chartOf,
  type PaymentFlowInput,
  type PaymentFlowOutput,
  type paymentFlowMachine,
  stateName,
  type TraceStep,
  traceInto,
} from '../../machines/index.js'
import type { CapturedRequest } from './capture.js'
import type { Effects } from './effects/index.js'
import { endFlow, openFlow } from './flow-holdings.js'
import { FlowRun, START } from './flow-run.js'
import { createFlowState, type FlowState } from './flow-state.js'
import type { FlowNotes } from './outcome.js'
import type { Runtime } from './runtime.js'
import { whenAborted } from './transport/index.js'
import { UnwatchedFlow } from './unwatched-flow.js'

/** An XState inspector: a function or an observer, such as `createBrowserInspector().inspect` gives. */
export type Inspector = ((event: InspectionEvent) => void) | Observer<InspectionEvent>

/** A running flow: XState's actor of the payment-flow machine. */
export type PaymentFlowActor = Actor<typeof paymentFlowMachine>

/** What a flow is for. */
export type FlowPurpose = Pick<PaymentFlowInput, 'purpose' | 'closing'>

/** A flow under way. */
export interface RunningFlow {
  readonly state: FlowState
  readonly trace: readonly TraceStep[]
  readonly timing: readonly number[]
  /** Settles no earlier than the flow is started, or stopped. Rejected when its machine broke. */
  readonly done: Promise<PaymentFlowOutput>
}

export interface Flows {
  /** An actor that is not started yet. */
  createActor(request: CapturedRequest, purpose: FlowPurpose, inspect?: Inspector): PaymentFlowActor
  /** @throws Error for an actor that was not created here. */
  runningOf(actor: PaymentFlowActor): RunningFlow
  /** Runs a flow to its end. `prepare` is given what the flow keeps, before anything is done with it. */
  start(request: CapturedRequest, purpose: FlowPurpose, prepare?: (state: FlowState) => void): RunningFlow
}

/** What the client noted about a flow while it ran. */
export function notesOf({ state, trace, timing }: RunningFlow): FlowNotes {
  return { response: state.answer?.response ?? null, trace, timing }
}

/** @param watching sees every flow; then all of them are actors */
export function createFlows(
  runtime: Runtime,
  machine: typeof paymentFlowMachine,
  effects: Effects,
  watching: Inspector | undefined,
): Flows {
  const { limits, bounds } = runtime.policy
  // An inspector is shown XState's own actors; flows that nobody watches need none.
  const chart = watching === undefined ? chartOf(machine) : null
  // Names that no other process gives: other processes see them in the ledger.
  const series = crypto.randomUUID()
  let started = 0
  const actors = new WeakMap<PaymentFlowActor, RunningFlow>()

  function inputOf(id: string, request: CapturedRequest, purpose: FlowPurpose): PaymentFlowInput {
    const { method, to } = request
    return {
      flow: id,
      request: { method, origin: to.origin, path: to.path },
      limits,
      bounds,
      ...purpose,
    }
  }

  function createActorOf(request: CapturedRequest, purpose: FlowPurpose, inspect?: Inspector): PaymentFlowActor {
    const id = crypto.randomUUID()
    const state = createFlowState(id, request)
    const trace: TraceStep[] = []
    const timing: number[] = []
    const note = traceInto(trace)
    const { signal } = request
    let unsubscribe: (() => void) | null = null
    let started = false
    // Nothing but its own actor holds a flow that was not started: whoever drops that has dropped its body.
    const begin = (): void => {
      started = true
      // Stopped before: its effects find nothing to work with.
      if (state.ended) return
      openFlow(runtime, state)
      const cancel = (): void => actor.send({ type: 'CANCEL' })
      if (signal?.aborted === true) cancel()
      else if (signal !== null) unsubscribe = whenAborted(signal, cancel)
    }
    const options = {
      id: `payment-flow-${id.slice(0, 8)}`,
      input: inputOf(id, request, purpose),
      inspect: (event: InspectionEvent) => {
        if (!started && event.type === '@xstate.event' && event.event.type === INIT) begin()
        note(event)
        while (timing.length < trace.length) timing.push(Date.now())
        emit(watching, event)
        emit(inspect, event)
      },
    }
    let stopped = (): void => undefined
    const actor: PaymentFlowActor = new FlowActor(machine, options, () => stopped())
    trace.push({ state: stateName(actor.getSnapshot().value), event: START })
    timing.push(Date.now())
    // Ends the flow's hold on things before anybody hears of its end.
    const over = (): Promise<void> => {
      unsubscribe?.()
      return endFlow(runtime, state)
    }
    const done = new Promise<PaymentFlowOutput>((resolve, reject) => {
      actor.subscribe({
        complete: () => {
          const snapshot = actor.getSnapshot()
          // Without an output it was stopped from outside before it was over.
          const settle = (): PaymentFlowOutput => snapshot.output ?? cancelledAt(machine, snapshot)
          over().then(settle, settle).then(resolve, reject)
        },
        error: (error) => {
          over().then(
            () => reject(error),
            () => reject(error),
          )
        },
      })
      // XState tells nobody of a stop before the start.
      stopped = () => {
        if (started || state.ended) return
        state.ended = true
        resolve(cancelledAt(machine, actor.getSnapshot()))
      }
    })
    done.catch(() => undefined)
    actors.set(actor, { state, trace, timing, done })
    return actor
  }

  function start(request: CapturedRequest, purpose: FlowPurpose, prepare?: (state: FlowState) => void): RunningFlow {
    if (chart === null) {
      const actor = createActorOf(request, purpose)
      const run = runningOf(actor)
      prepare?.(run.state)
      actor.start()
      return run
    }
    started += 1
    const id = `${series}.${started}`
    const state = createFlowState(id, request)
    openFlow(runtime, state)
    prepare?.(state)
    const unwatched = new UnwatchedFlow(runtime, state)
    unwatched.start((watch) => new FlowRun(chart, effects, inputOf(id, request, purpose), watch))
    return unwatched
  }

  function runningOf(actor: PaymentFlowActor): RunningFlow {
    const found = actors.get(actor)
    if (found === undefined) throw new Error('this actor was not created by this client')
    return found
  }

  return { createActor: createActorOf, runningOf, start }
}

/** What XState sends an actor that is started. */
const INIT = 'xstate.init'

/** An actor that tells of being stopped, also before it was started. */
class FlowActor extends Actor<typeof paymentFlowMachine> {
  readonly #stopped: () => void

  constructor(
    machine: typeof paymentFlowMachine,
    options: ActorOptions<typeof paymentFlowMachine>,
    stopped: () => void,
  ) {
    super(machine, options)
    this.#stopped = stopped
  }

  override stop(): this {
    super.stop()
    this.#stopped()
    return this
  }
}

/** What a stopped flow has come to: what `CANCEL` would have made of it where it stood. */
function cancelledAt(
  machine: typeof paymentFlowMachine,
  { value, context }: SnapshotFrom<typeof paymentFlowMachine>,
): PaymentFlowOutput {
  const [{ output }] = transition(machine, machine.resolveState({ value, context }), { type: 'CANCEL' })
  if (output === undefined) throw new Error('CANCEL does not end the flow')
  return output
}

function emit(inspector: Inspector | undefined, event: InspectionEvent): void {
  if (typeof inspector === 'function') inspector(event)
  else inspector?.next?.(event)
}
