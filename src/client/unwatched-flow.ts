// A flow that nobody watches, from its start to its end: keeps its trace, and lets go of what it holds before it is over.
// Must never be told apart from a watched one by its outcome.

import type { PaymentFlowOutput, TraceStep } from '../../machines/index.js'
import { endFlow } from './flow-holdings.js'
import type { FlowRun, FlowWatch } from './flow-run.js'
import type { FlowState } from './flow-state.js'
import type { Runtime } from './runtime.js'
import { whenAborted } from './transport/index.js'

/** A flow under way. */
export class UnwatchedFlow implements FlowWatch {
  readonly state: FlowState
  trace: readonly TraceStep[] = []
  timing: readonly number[] = []
  readonly done: Promise<PaymentFlowOutput>
  readonly #runtime: Runtime
  #run: FlowRun | null = null
  #unsubscribe: (() => void) | null = null
  #resolve: (output: PaymentFlowOutput) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(runtime: Runtime, state: FlowState) {
    this.#runtime = runtime
    this.state = state
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** @param run starts it */
  start(run: (watch: FlowWatch) => FlowRun): void {
    const { signal } = this.state.request
    if (signal !== null) this.#unsubscribe = whenAborted(signal, () => this.#run?.send({ type: 'CANCEL' }))
    this.#run = run(this)
    if (signal?.aborted === true) this.#run.send({ type: 'CANCEL' })
  }

  step(step: TraceStep): void {
    // A list that grows makes room for sixteen more, and most flows take six steps.
    this.trace = this.trace.concat(step)
    this.timing = this.timing.concat(Date.now())
  }

  over(output: PaymentFlowOutput): void {
    const settle = (): void => this.#resolve(output)
    this.#letGo().then(settle, settle)
  }

  broke(error: unknown): void {
    const settle = (): void => this.#reject(error)
    this.#letGo().then(settle, settle)
  }

  #letGo(): Promise<void> {
    this.#unsubscribe?.()
    return endFlow(this.#runtime, this.state)
  }
}
