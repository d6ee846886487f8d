// Lets the steps of one key run one after the other, and writes once for all that came while the last write was under way.
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

/** Runs a step of a key in its turn. It depends on what is kept under `others`, too. */
export type TakeTurn = <T>(key: string, step: Step<T>, others?: readonly string[]) => Promise<T>

interface Waiting {
  readonly others: readonly string[]
  /** Runs the step; remembers its result or what it threw. */
  run(state: ChannelState, moment: Moment): ChannelState
  /** The write is durable: the caller gets what the step answered. */
  settle(): void
  fail(error: unknown): void
}

/** The steps that come while a write is under way share the next one: hundreds of flows cost a few writes. */
export function createTurns(transact: Transact): TakeTurn {
  const lines = new Map<string, Waiting[]>()

  async function serve(key: string, line: Waiting[]): Promise<void> {
    while (line.length > 0) {
      const batch = line.splice(0)
      try {
        const others = new Set(batch.flatMap((waiting) => waiting.others))
        others.delete(key)
        await transact(key, [...others], (state, moment) =>
          batch.reduce((current, waiting) => waiting.run(current, moment), state),
        )
        for (const waiting of batch) waiting.settle()
      } catch (error) {
        for (const waiting of batch) waiting.fail(error)
      }
    }
    lines.delete(key)
  }

  return (key, step, others = []) =>
    new Promise((resolve, reject) => {
      const waiting = waitingFor(step, others, resolve, reject)
      const line = lines.get(key)
      if (line !== undefined) line.push(waiting)
      else {
        const started = [waiting]
        lines.set(key, started)
        void serve(key, started)
      }
    })
}

function waitingFor<T>(
  step: Step<T>,
  others: readonly string[],
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): Waiting {
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
