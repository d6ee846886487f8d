// Who wants to be told when something under a key may have changed.
// Must never lose one of two equal listeners, nor break because a listener stops while it is told.

export interface Listeners {
  /** Adds a listener of a key; the result takes it away again. */
  add(key: string, listener: () => void): () => void
  emit(key: string): void
  emitAll(): void
  keys(): readonly string[]
}

/** @param onChange called with how many keys have listeners, whenever one was added or taken away. */
export function createListeners(onChange: (keys: number) => void = () => undefined): Listeners {
  const listeners = new Map<string, Set<() => void>>()
  const emit = (key: string): void => {
    for (const listener of [...(listeners.get(key) ?? [])]) listener()
  }
  return {
    add(key, listener) {
      // Wrapped, so that a listener that is given twice is two.
      const entry = (): void => listener()
      const all = listeners.get(key) ?? new Set()
      listeners.set(key, all.add(entry))
      onChange(listeners.size)
      return () => {
        if (!all.delete(entry)) return
        if (all.size === 0 && listeners.get(key) === all) listeners.delete(key)
        onChange(listeners.size)
      }
    },
    emit,
    emitAll: () => {
      for (const key of [...listeners.keys()]) emit(key)
    },
    keys: () => [...listeners.keys()],
  }
}
