// Counts the paid requests of each channel that are outstanding in this process, and lets waiters in one by one.
// Must never hold money state: it only says who may plan again, and when.

/** How a waiter was let in: because a request came back, or because there was none to wait for. */
export type TurnGrant = 'freed' | 'idle'

export interface Flights {
  /** Notes that a paid request leaves; the returned function notes that it is over. */
  enter(key: string): () => void
  /** Waits until one outstanding request of `key` is over. Each one that ends lets one waiter in. */
  turn(key: string, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<TurnGrant>
  /** Waits until no paid request of `key` is outstanding in this process; false when it took too long. */
  quiet(key: string, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<boolean>
}

interface Channel {
  outstanding: number
  readonly waiters: (() => void)[]
}

export function createFlights(): Flights {
  const channels = new Map<string, Channel>()

  const wait = (channel: Channel, signal: AbortSignal, timeoutMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      const finish = (granted: boolean) => (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
        const place = channel.waiters.indexOf(grant)
        if (place >= 0) channel.waiters.splice(place, 1)
        resolve(granted)
      }
      const grant = finish(true)
      const giveUp = finish(false)
      const timer = setTimeout(giveUp, timeoutMs)
      channel.waiters.push(grant)
      signal.addEventListener('abort', giveUp, { once: true })
      if (signal.aborted) giveUp()
    })

  return {
    enter(key) {
      const channel = channels.get(key) ?? { outstanding: 0, waiters: [] }
      channels.set(key, channel)
      channel.outstanding += 1
      let over = false
      return () => {
        if (over) return
        over = true
        channel.outstanding -= 1
        if (channel.outstanding === 0) {
          // Nothing is left to wait for: everybody plans again, and may find that nothing more can be had.
          for (const waiter of [...channel.waiters]) waiter()
          if (channels.get(key) === channel) channels.delete(key)
        } else channel.waiters[0]?.()
      }
    },
    async turn(key, { signal, timeoutMs }) {
      const channel = channels.get(key)
      if (channel === undefined || channel.outstanding === 0) return 'idle'
      return (await wait(channel, signal, timeoutMs)) ? 'freed' : 'idle'
    },
    async quiet(key, { signal, timeoutMs }) {
      const deadline = Date.now() + timeoutMs
      for (;;) {
        const channel = channels.get(key)
        if (channel === undefined || channel.outstanding === 0) return true
        const left = deadline - Date.now()
        if (left <= 0 || signal.aborted) return false
        await wait(channel, signal, left)
      }
    },
  }
}
