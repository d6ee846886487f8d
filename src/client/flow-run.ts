// Runs one flow by the tables of its chart: takes the events that effects report, and starts and stops effects.
// Must never decide where a flow goes: that is the chart's, and an event that its state does not take is dropped.

import type {
  ChartOf,
  ChartSnapshot,
  PaymentFlowContext,
  PaymentFlowEvent,
  PaymentFlowInput,
  PaymentFlowOutput,
  paymentFlowMachine,
  TraceStep,
  TransitionResult,
} from '../../machines/index.js'
import type { Listener, Stoppable } from './effects/effect.js'
import type { Effects } from './effects/index.js'

/** What a trace calls the beginning of a flow. */
export const START = 'START'

/** The payment-flow machine as tables. */
export type FlowChart = ChartOf<typeof paymentFlowMachine>

export interface FlowWatch {
  /** The flow took a step. */
  step(step: TraceStep): void
  over(output: PaymentFlowOutput): void
  /** The chart itself broke: a guard or an update threw. */
  broke(error: unknown): void
}

/** An effect that was started, under the name that its state knows it by. */
interface Started {
  readonly id: string
  readonly work: Stoppable
}

/** A flow that runs without an actor. Like an actor's, its events are taken one after the other, each with all that follows. */
export class FlowRun implements Listener {
  readonly #chart: FlowChart
  readonly #effects: Effects
  readonly #watch: FlowWatch
  #snapshot: ChartSnapshot<PaymentFlowContext>
  #started: readonly Started[] = []
  /** Null while nothing is being taken, which is most of the time. */
  #waiting: PaymentFlowEvent[] | null = []
  #ended = false

  constructor(chart: FlowChart, effects: Effects, input: PaymentFlowInput, watch: FlowWatch) {
    this.#chart = chart
    this.#effects = effects
    this.#watch = watch
    const begun = chart.initial(input)
    this.#snapshot = begun.snapshot
    watch.step({ state: begun.snapshot.state, event: START })
    this.#take(() => begun)
  }

  send(event: PaymentFlowEvent): void {
    if (this.#ended) return
    if (this.#waiting !== null) this.#waiting.push(event)
    else {
      this.#waiting = []
      this.#take(() => this.#chart.transition(this.#snapshot, event))
    }
  }

  /** Takes what that comes to, and then what was reported meanwhile. */
  #take(first: () => TransitionResult<PaymentFlowContext> | undefined): void {
    try {
      this.#advance(first())
      for (let next = this.#waiting?.shift(); next !== undefined && !this.#ended; next = this.#waiting?.shift()) {
        this.#advance(this.#chart.transition(this.#snapshot, next))
      }
    } catch (error) {
      this.#end()
      this.#watch.broke(error)
    } finally {
      this.#waiting = null
    }
  }

  #advance(taken: TransitionResult<PaymentFlowContext> | undefined): void {
    if (taken === undefined) return
    this.#snapshot = taken.snapshot
    for (const step of taken.steps) this.#watch.step(step)
    this.#perform(taken)
    if (!taken.snapshot.done) return
    this.#end()
    this.#watch.over(this.#chart.outputOf(taken.snapshot.context))
  }

  #perform({ effects: work }: TransitionResult<unknown>): void {
    for (const effect of work) {
      const { id, src } = effect.invocation
      if (effect.kind === 'stop') {
        for (const started of this.#started) if (started.id === id) started.work.stop()
        this.#started = this.#started.filter((started) => started.id !== id)
      } else if (isEffect(this.#effects, src)) {
        const started = { id, work: this.#effects[src](effect.input, this) }
        // There is hardly ever more than one, and a list that grows is made for seventeen.
        this.#started = this.#started.length === 0 ? [started] : [...this.#started, started]
      } else throw new Error(`there is no effect called ${src}`)
    }
  }

  #end(): void {
    this.#ended = true
    for (const { work } of this.#started) work.stop()
    this.#started = []
  }
}

function isEffect(effects: Effects, name: string): name is keyof Effects {
  return Object.hasOwn(effects, name)
}
