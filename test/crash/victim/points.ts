// The points of an operation at which a process may die, in the order in which they are passed.
// Must never let an instruction run after the point at which the process was to die.

import { writeSync } from 'node:fs'
import type { Line } from '../task.js'

/** Says a line of one task. */
export type Say = (line: Line) => void

/** Lines of the task `of` that are out even if the process is killed right after. */
export function sayingOf(of: string): Say {
  return (line) => void writeSync(1, `${JSON.stringify({ of, line })}\n`)
}

/** Ends this process as a power cut would: nothing after it runs, no handler, no flush. */
export function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is delivered before the call returns; should it not be, this process must still go no further.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
}

export interface Points {
  readonly armed: boolean
  arm(on: boolean): void
  /** Passes a point. */
  at(label: string): void
  /** Tells of a point at which somebody else ends this process. @returns whether it is the one. */
  isDoomed(label: string): boolean
  /** Passes the points around `work`. */
  around<T>(what: string, work: () => Promise<T>): Promise<T>
}

export function createPoints(kill: string | null, say: Say): Points {
  const passed = new Map<string, number>()
  let armed = false
  function isLast(label: string): boolean {
    if (!armed) return false
    const times = (passed.get(label) ?? 0) + 1
    passed.set(label, times)
    const name = times === 1 ? label : `${label} (${times})`
    say({ say: 'point', name })
    return name === kill
  }
  const at = (label: string): void => {
    if (isLast(label)) die()
  }
  return {
    get armed() {
      return armed
    },
    arm: (on) => {
      armed = on
    },
    at,
    isDoomed: isLast,
    async around(what, work) {
      at(`before ${what}`)
      const result = await work()
      at(`after ${what}`)
      return result
    },
  }
}
