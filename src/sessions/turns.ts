// Lets the steps of one key run one after the other, and writes once for all that came while the last write was under way.
// Must never tell a caller that a step was done before it is written for good.

import type { ChannelState, Step } from './channel-state.js'

/**
 * Reads what is kept under `key`, applies `apply` to it, and keeps the result, with nothing of anybody else in between.
 * `apply` may run more than once; the last run counts. Resolves when the result is durable; when it rejects, what `apply`
 * made must be taken as not written.
 */
export type Transact = (key: string, apply: (state: ChannelState, now: number) => ChannelState) => Promise<void>

/** Runs a step of a key in its turn. */
export type TakeTurn = <T>(key: string, step: Step<T>) => Promise<T>

interface Waiting {
  /** Runs the step; remembers its result or what it threw. */
  run(state: ChannelState, now: number): ChannelState
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
        await transact(key, (state, now) => batch.reduce((current, waiting) => waiting.run(current, now), state))
        for (const waiting of batch) waiting.settle()
      } catch (error) {
        for (const waiting of batch) waiting.fail(error)
      }
    }
    lines.delete(key)
  }

  return (key, step) =>
    new Promise((resolve, reject) => {
      const waiting = waitingFor(step, resolve, reject)
      const line = lines.get(key)
      if (line !== undefined) line.push(waiting)
      else {
        const started = [waiting]
        lines.set(key, started)
        void serve(key, started)
      }
    })
}

function waitingFor<T>(step: Step<T>, resolve: (result: T) => void, reject: (error: unknown) => void): Waiting {
  let answer = (): void => reject(new Error('a store resolved without running the step'))
  return {
    run(state, now) {
      try {
        const stepped = step(state, now)
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
