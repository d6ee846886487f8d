// Hears of a caller's abort with one listener for each signal, however many requests share it.
// Must never keep a listener on a signal that no request is under way with: such signals can live as long as a process.

interface Watch {
  readonly callbacks: Set<() => void>
  readonly tell: () => void
}

const watches = new WeakMap<AbortSignal, Watch>()

/**
 * Calls back when the signal is aborted; the function that it returns takes that back. A platform warns of a leak from the
 * eleventh listener on, and hundreds of requests may share one signal.
 */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  const watch = watches.get(signal) ?? watchOf(signal)
  // Wrapped, so that one that is given twice is two.
  const entry = (): void => callback()
  watch.callbacks.add(entry)
  return () => {
    if (!watch.callbacks.delete(entry) || watch.callbacks.size > 0) return
    signal.removeEventListener('abort', watch.tell)
    watches.delete(signal)
  }
}

function watchOf(signal: AbortSignal): Watch {
  const callbacks = new Set<() => void>()
  const tell = (): void => {
    const thrown: unknown[] = []
    for (const callback of [...callbacks]) {
      try {
        callback()
      } catch (error) {
        // As with listeners of one event: the others are told all the same.
        thrown.push(error)
      }
    }
    if (thrown.length > 0) throw thrown[0]
  }
  const watch = { callbacks, tell }
  signal.addEventListener('abort', tell, { once: true })
  watches.set(signal, watch)
  return watch
}
