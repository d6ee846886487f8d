// The paid requests of each channel that are in flight in this process. Waiters are admitted as requests come back.

/**
 * How a waiter was let in:
 * - `immediate`: there was nothing to wait for;
 * - `capacity`: an outstanding request came back and made room;
 * - `drained`: all of them came back, and the waiter is the only one under way.
 */
export type TurnGrant = 'immediate' | 'capacity' | 'drained'

/** Counts one paid request as in flight, from before it is sent until its answer was dealt with. */
export interface Permit {
  /** Once; further calls do nothing. A refused request makes no room for another one. */
  release(accepted: boolean): void
}

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface InFlightRequests {
  /** A paid request goes at once. */
  acquireNow(key: string): Permit
  /**
   * Queues until an outstanding request of `key` came back and `ready` says that it helps. The permit is held from then
   * on, so that those behind it wait for it.
   *
   * @throws FlightTimeout when it took too long; the signal's reason when it was aborted.
   */
  acquire(
    key: string,
    options: WaitOptions & { readonly ready: () => Promise<boolean> },
  ): Promise<{ readonly grant: TurnGrant; readonly permit: Permit }>
  /** How many paid requests of `key` are under way. */
  outstanding(key: string): number
  /** How many wait for their turn. */
  waiting(key: string): number
  /** Waits until no paid request of `key` is under way; false when it took too long. */
  drained(key: string, options: WaitOptions): Promise<boolean>
}

/** Nothing came back in time. */
export class InFlightTimeout extends Error {
  override readonly name = 'InFlightTimeout'
}

interface Waiter {
  readonly ready: () => Promise<boolean>
  readonly grant: (grant: TurnGrant) => void
}

interface Channel {
  readonly key: string
  outstanding: number
  /** How many more may be let in. */
  credits: number
  /** Accepted answers since the last refusal: when all that were under way came back well, one more is let in. */
  successes: number
  /** Grows with each release, so that a look at the queue knows when it is out of date. */
  releases: number
  admitting: boolean
  readonly waiters: Waiter[]
  readonly listeners: Set<() => void>
}

/** There is one for each paid request under way. */
class OwnPermit implements Permit {
  readonly #channel: Channel
  readonly #released: (channel: Channel, accepted: boolean) => void
  #isReleased = false

  constructor(channel: Channel, onRelease: (channel: Channel, accepted: boolean) => void) {
    this.#channel = channel
    this.#released = onRelease
  }

  release(accepted: boolean): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#released(this.#channel, accepted)
  }
}

export function createInFlightRequests(): InFlightRequests {
  const channels = new Map<string, Channel>()

  function channelOf(key: string): Channel {
    const known = channels.get(key)
    if (known !== undefined) return known
    const made = {
      key,
      outstanding: 0,
      credits: 0,
      successes: 0,
      releases: 0,
      admitting: false,
      waiters: [],
      listeners: new Set<() => void>(),
    }
    channels.set(key, made)
    return made
  }

  function forget(channel: Channel): void {
    const idle = channel.outstanding === 0 && channel.waiters.length === 0 && channel.listeners.size === 0
    if (idle && channels.get(channel.key) === channel) channels.delete(channel.key)
  }

  function permitOf(channel: Channel): Permit {
    channel.outstanding += 1
    return new OwnPermit(channel, released)
  }

  function released(channel: Channel, accepted: boolean): void {
    channel.outstanding -= 1
    channel.releases += 1
    if (accepted) {
      channel.successes += 1
      channel.credits += 1
      if (channel.successes > channel.outstanding) {
        channel.successes = 0
        channel.credits += 1
      }
    } else channel.successes = 0
    if (channel.waiters.length === 0) {
      // Nobody to let in.
      channel.credits = 0
      forget(channel)
    } else void admit(channel).then(() => forget(channel))
    for (const listener of [...channel.listeners]) listener()
  }

  /** Admits the head of the queue while there is room; when nobody is under way, the head goes in any case. */
  async function admit(channel: Channel): Promise<void> {
    if (channel.admitting) return
    channel.admitting = true
    try {
      for (let head = channel.waiters[0]; head !== undefined; head = channel.waiters[0]) {
        if (channel.outstanding === 0) {
          channel.waiters.shift()
          channel.credits = 0
          head.grant('drained')
          continue
        }
        if (channel.credits <= 0) return
        const seen = channel.releases
        const ready = await head.ready()
        if (channel.waiters[0] !== head) continue
        if (!ready) {
          // More came back while the head was looked at: what it saw is out of date.
          if (channel.outstanding === 0 || channel.releases !== seen) continue
          return
        }
        channel.waiters.shift()
        channel.credits -= 1
        head.grant('capacity')
      }
      channel.credits = 0
    } finally {
      channel.admitting = false
    }
  }

  return {
    acquireNow: (key) => permitOf(channelOf(key)),
    outstanding: (key) => channels.get(key)?.outstanding ?? 0,
    waiting: (key) => channels.get(key)?.waiters.length ?? 0,
    acquire(key, { ready, signal, timeoutMs }) {
      const channel = channelOf(key)
      if (channel.outstanding === 0 && channel.waiters.length === 0) {
        return Promise.resolve({ grant: 'immediate', permit: permitOf(channel) })
      }
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', abort)
        }
        const leave = (reason: unknown): void => {
          stop()
          const position = channel.waiters.indexOf(waiter)
          if (position >= 0) channel.waiters.splice(position, 1)
          forget(channel)
          reject(reason)
        }
        const abort = (): void => leave(signal.reason)
        const late = (): void =>
          leave(new InFlightTimeout('outstanding requests of this channel did not come back in time'))
        const timer = setTimeout(late, timeoutMs)
        const waiter: Waiter = {
          // A waiter that cannot be looked at is let in: its own planning will say what is wrong.
          ready: () => ready().catch(() => true),
          grant: (grant) => {
            stop()
            resolve({ grant, permit: permitOf(channel) })
          },
        }
        channel.waiters.push(waiter)
        signal.addEventListener('abort', abort, { once: true })
        if (signal.aborted) abort()
      })
    },
    drained(key, { signal, timeoutMs }) {
      const channel = channelOf(key)
      return new Promise((resolve) => {
        const finish = (drained: boolean): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', giveUp)
          channel.listeners.delete(look)
          forget(channel)
          resolve(drained)
        }
        const giveUp = (): void => finish(false)
        const look = (): void => {
          if (channel.outstanding === 0) finish(true)
        }
        const timer = setTimeout(giveUp, timeoutMs)
        channel.listeners.add(look)
        signal.addEventListener('abort', giveUp, { once: true })
        if (signal.aborted) giveUp()
        else look()
      })
    },
  }
}
