// Runs one flow by the tables of its chart: takes the events that effects report, and starts and stops effects.
// Must never decide where a flow goes: that is the chart's, and an event that its state does not take is dropped.

import type {
  ChartOf,
  PaymentFlowContext,
  PaymentFlowEvent,
  PaymentFlowInput,
  PaymentFlowOutput,
  paymentFlowMachine,
  Taken,
  TraceStep,
} from '../../machines/index.js'
import type { Effects } from './effects/index.js'

/** What a trace calls the beginning of a flow. */
export const START = 'START'

/** The payment-flow machine as tables. */
export type FlowChart = ChartOf<typeof paymentFlowMachine>

/** A flow that runs without an actor. */
export interface FlowRun {
  send(event: PaymentFlowEvent): void
}

export interface FlowWatch {
  /** The flow took a step. */
  readonly step: (step: TraceStep) => void
  readonly over: (output: PaymentFlowOutput) => void
  /** The chart itself broke: a guard or an update threw. */
  readonly broke: (error: unknown) => void
}

/** Starts a flow. Like an actor's, its events are taken one after the other, each with all that follows from it. */
export function runFlow(chart: FlowChart, effects: Effects, input: PaymentFlowInput, watch: FlowWatch): FlowRun {
  const running = new Map<string, () => void>()
  const waiting: PaymentFlowEvent[] = []
  let busy = true
  let ended = false

  function end(tell: () => void): void {
    ended = true
    for (const stop of running.values()) stop()
    running.clear()
    tell()
  }

  function perform({ effects: work }: Taken<unknown>): void {
    for (const effect of work) {
      const { id, src } = effect.invocation
      if (effect.kind === 'stop') {
        running.get(id)?.()
        running.delete(id)
      } else if (isEffect(effects, src)) running.set(id, effects[src](effect.input, send))
      else throw new Error(`there is no effect called ${src}`)
    }
  }

  function advance(taken: Taken<PaymentFlowContext>): void {
    position = taken.position
    for (const step of taken.steps) watch.step(step)
    perform(taken)
    if (position.done) end(() => watch.over(chart.outputOf(taken.position.context)))
  }

  function drain(): void {
    try {
      for (let event = waiting.shift(); event !== undefined && !ended; event = waiting.shift()) {
        const taken = chart.take(position, event)
        if (taken !== undefined) advance(taken)
      }
    } catch (error) {
      end(() => watch.broke(error))
    } finally {
      busy = false
    }
  }

  function send(event: PaymentFlowEvent): void {
    if (ended) return
    waiting.push(event)
    if (busy) return
    busy = true
    drain()
  }

  const begun = chart.begin(input)
  let { position } = begun
  watch.step({ state: position.state, event: START })
  try {
    advance(begun)
  } catch (error) {
    end(() => watch.broke(error))
  }
  drain()
  return { send }
}

function isEffect(effects: Effects, name: string): name is keyof Effects {
  return Object.hasOwn(effects, name)
}
