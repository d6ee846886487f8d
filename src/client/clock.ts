// Time, as the effects of a flow know it: what o'clock it is, and waiting.
// Must never wait for less than it was asked to; only tests that say so run on another clock.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `ms`. @throws the signal's reason when it is aborted before. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

/** The clock of this machine. */
export const WALL_CLOCK: Clock = {
  now: () => Date.now(),
  pause: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal.reason)
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop)
        resolve()
      }, ms)
      signal.addEventListener('abort', stop, { once: true })
    }),
}
