// A clock for flows whose gateway and chain are local: it says the real time, and pauses are over much sooner.

import { type Clock, WALL_CLOCK } from '../client/clock.js'

/** How many times sooner. Backoffs give servers and nodes time that these do not need. */
export const HURRY = 50

export interface HurriedClock extends Clock {
  /** What was to be waited for, in milliseconds, in order. */
  readonly pauses: readonly number[]
}

export function hurriedClock(): HurriedClock {
  const pauses: number[] = []
  return {
    pauses,
    now: () => WALL_CLOCK.now(),
    pause(ms, signal) {
      pauses.push(ms)
      return WALL_CLOCK.pause(ms / HURRY, signal)
    },
  }
}
