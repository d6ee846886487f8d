// Group commit: the steps of one key run one after the other, and those that came during a write share the next one.
// Must never tell a caller that a step was done before it is written for good.

import type { ChannelState, Moment, Step } from './channel-state.js'

/**
 * Reads what is kept under `key`, applies `apply` to it, and keeps the result, with nothing of anybody else in between: no
 * change of `key`, nor of any of `others`, whose states `apply` gets as well. `apply` may run more than once; the last run counts. Resolves when the result is durable; when it rejects, what `apply`
 * made must be taken as not written.
 */
export type Transact = (
  key: string,
  others: readonly string[],
  apply: (state: ChannelState, moment: Moment) => ChannelState,
) => Promise<void>

/** Runs a step of a key after those before it. It depends on what is kept under `others`, too. */
export type GroupCommit = <T>(key: string, step: Step<T>, others?: readonly string[]) => Promise<T>

interface QueuedStep {
  readonly others: readonly string[]
  /** Runs the step; remembers its result or what it threw. */
  run(state: ChannelState, moment: Moment): ChannelState
  /** The write is durable: the caller gets what the step answered. */
  settle(): void
  fail(error: unknown): void
}

/** The steps that come while a write is under way share the next one: hundreds of flows cost a few writes. */
export function createGroupCommit(transact: Transact): GroupCommit {
  const queues = new Map<string, QueuedStep[]>()

  async function serve(key: string, queue: QueuedStep[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0)
      try {
        const others = new Set(batch.flatMap((queued) => queued.others))
        others.delete(key)
        await transact(key, [...others], (state, moment) =>
          batch.reduce((current, queued) => queued.run(current, moment), state),
        )
        for (const queued of batch) queued.settle()
      } catch (error) {
        for (const queued of batch) queued.fail(error)
      }
    }
    queues.delete(key)
  }

  return (key, step, others = []) =>
    new Promise((resolve, reject) => {
      const queued = queuedStep(step, others, resolve, reject)
      const queue = queues.get(key)
      if (queue !== undefined) queue.push(queued)
      else {
        const started = [queued]
        queues.set(key, started)
        void serve(key, started)
      }
    })
}

function queuedStep<T>(
  step: Step<T>,
  others: readonly string[],
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): QueuedStep {
  let answer = (): void => reject(new Error('a store resolved without running the step'))
  return {
    others,
    run(state, moment) {
      try {
        const stepped = step(state, moment)
        answer = () => resolve(stepped.result)
        return stepped.state
      } catch (error) {
        answer = () => reject(error)
        return state
      }
    },
    settle: () => answer(),
    fail: reject,
  }
}
