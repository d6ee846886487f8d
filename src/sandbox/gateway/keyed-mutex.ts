// One task at a time for each key, in the order they came.
// Must never let a failed task block the ones behind it.

export interface KeyedMutex {
  /** Runs `task` when every earlier task of this key has ended; settles as the task does. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>
}

export function createKeyedMutex(): KeyedMutex {
  const tails = new Map<string, Promise<unknown>>()
  return {
    run(key, task) {
      const before = tails.get(key) ?? Promise.resolve()
      const result = before.then(task)
      // The queue only waits: what a task throws goes to the caller of `run`, who holds `result`.
      const tail = result
        .catch(() => undefined)
        .then(() => {
          if (tails.get(key) === tail) tails.delete(key)
        })
      tails.set(key, tail)
      return result
    },
  }
}
