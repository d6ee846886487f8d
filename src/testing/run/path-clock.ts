// The clock of a flow that follows a path: it can be set past a moment, and does not wait for what a script has decided.
// Must never shorten a wait for something that really has to happen meanwhile.

import { type Clock, WALL_CLOCK } from '../../client/clock.js'
import { HURRY } from '../hurried-clock.js'
import type { PlanStep } from '../model/plan.js'

export interface PathClock extends Clock {
  /** From now on it is later than `moment`. @throws Error when there is no such moment. */
  passes(moment: number | null): void
  /** It is now again. */
  restore(): void
}

/** `due`: the step whose event is waited for. */
export function createPathClock(due: () => PlanStep | undefined): PathClock {
  let ahead = 0
  return {
    now: () => WALL_CLOCK.now() + ahead,
    pause: (ms, signal) => WALL_CLOCK.pause(isPointless(due()) ? ms / HURRY : ms, signal),
    passes(moment) {
      if (moment === null) throw new Error('no challenge that runs out was handed out')
      ahead = Math.max(0, moment - WALL_CLOCK.now()) + 1
    },
    restore() {
      ahead = 0
    },
  }
}

/** A backoff, or looking for what the script has kept from arriving. */
function isPointless(step: PlanStep | undefined): boolean {
  return step !== undefined && (step.event === 'WAITED' || step.cause.by === 'connection')
}
