// A wait with an end: what somebody else is to answer, for as long as the policy says and no longer.
// Must never leave what comes too late unhandled, nor keep a process alive once the answer is there.

/**
 * What `work` comes to, if it does so within `ms`.
 *
 * @param tooLate what the wait ends with otherwise
 * @param late is given what came after that, where somebody must give it back
 * @throws what `work` throws, or `tooLate`.
 */
export function within<T>(
  ms: number,
  work: Promise<T>,
  tooLate: () => Error,
  late: (value: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false
    const timer = setTimeout(() => {
      over = true
      reject(tooLate())
    }, ms)
    work.then(
      (value) => {
        clearTimeout(timer)
        if (over) late(value)
        else resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        // Also after the end: somebody has taken note of it then.
        reject(error)
      },
    )
  })
}

/** What `work` comes to, unless `signal` is aborted before. @throws what `work` throws; the signal's reason. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    const stop = (): void => signal.removeEventListener('abort', abort)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    work.then(
      (value) => {
        stop()
        resolve(value)
      },
      (error: unknown) => {
        stop()
        reject(error)
      },
    )
  })
}
