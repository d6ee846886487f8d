// Counts the paid requests of each channel that are outstanding in this process, and lets waiters in as they come back.
// Must never hold money state: it only says who may go next, and when.

/**
 * How a waiter was let in:
 * - `idle`: there was nothing to wait for;
 * - `freed`: an outstanding request came back and made room;
 * - `quiet`: all of them came back, and the waiter is the only one under way.
 */
export type TurnGrant = 'idle' | 'freed' | 'quiet'

/** A paid request under way, from its permission to go until its answer was dealt with. */
export interface Slot {
  /** Ends it, once. A refused request makes no room for another one. */
  land(accepted: boolean): void
}

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface Flights {
  /** A paid request goes at once. */
  enter(key: string): Slot
  /**
   * Waits in line until an outstanding request of `key` came back and `ready` says that it helps. The slot is the
   * waiter's own from then on, so that those behind it wait for it.
   *
   * @throws FlightTimeout when it took too long; the signal's reason when it was aborted.
   */
  turn(
    key: string,
    options: WaitOptions & { readonly ready: () => Promise<boolean> },
  ): Promise<{ readonly grant: TurnGrant; readonly slot: Slot }>
  /** How many paid requests of `key` are under way. */
  outstanding(key: string): number
  /** How many wait for their turn. */
  waiting(key: string): number
  /** Waits until no paid request of `key` is under way; false when it took too long. */
  quiet(key: string, options: WaitOptions): Promise<boolean>
}

/** Nothing came back in time. */
export class FlightTimeout extends Error {
  override readonly name = 'FlightTimeout'
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
  /** Grows with each landing, so that a look at the line knows when it is out of date. */
  landings: number
  admitting: boolean
  readonly waiters: Waiter[]
  readonly listeners: Set<() => void>
}

/** There is one for each paid request under way. */
class OwnSlot implements Slot {
  readonly #channel: Channel
  readonly #landed: (channel: Channel, accepted: boolean) => void
  #over = false

  constructor(channel: Channel, landed: (channel: Channel, accepted: boolean) => void) {
    this.#channel = channel
    this.#landed = landed
  }

  land(accepted: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#landed(this.#channel, accepted)
  }
}

export function createFlights(): Flights {
  const channels = new Map<string, Channel>()

  function channelOf(key: string): Channel {
    const known = channels.get(key)
    if (known !== undefined) return known
    const made = {
      key,
      outstanding: 0,
      credits: 0,
      successes: 0,
      landings: 0,
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

  function slotOf(channel: Channel): Slot {
    channel.outstanding += 1
    return new OwnSlot(channel, landed)
  }

  function landed(channel: Channel, accepted: boolean): void {
    channel.outstanding -= 1
    channel.landings += 1
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

  /** Lets in the head of the line while there is room; when nobody is under way, the head goes in any case. */
  async function admit(channel: Channel): Promise<void> {
    if (channel.admitting) return
    channel.admitting = true
    try {
      for (let head = channel.waiters[0]; head !== undefined; head = channel.waiters[0]) {
        if (channel.outstanding === 0) {
          channel.waiters.shift()
          channel.credits = 0
          head.grant('quiet')
          continue
        }
        if (channel.credits <= 0) return
        const seen = channel.landings
        const ready = await head.ready()
        if (channel.waiters[0] !== head) continue
        if (!ready) {
          // More came back while the head was looked at: what it saw is out of date.
          if (channel.outstanding === 0 || channel.landings !== seen) continue
          return
        }
        channel.waiters.shift()
        channel.credits -= 1
        head.grant('freed')
      }
      channel.credits = 0
    } finally {
      channel.admitting = false
    }
  }

  return {
    enter: (key) => slotOf(channelOf(key)),
    outstanding: (key) => channels.get(key)?.outstanding ?? 0,
    waiting: (key) => channels.get(key)?.waiters.length ?? 0,
    turn(key, { ready, signal, timeoutMs }) {
      const channel = channelOf(key)
      if (channel.outstanding === 0 && channel.waiters.length === 0) {
        return Promise.resolve({ grant: 'idle', slot: slotOf(channel) })
      }
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', abort)
        }
        const leave = (reason: unknown): void => {
          stop()
          const place = channel.waiters.indexOf(waiter)
          if (place >= 0) channel.waiters.splice(place, 1)
          forget(channel)
          reject(reason)
        }
        const abort = (): void => leave(signal.reason)
        const late = (): void =>
          leave(new FlightTimeout('outstanding requests of this channel did not come back in time'))
        const timer = setTimeout(late, timeoutMs)
        const waiter: Waiter = {
          // A waiter that cannot be looked at is let in: its own planning will say what is wrong.
          ready: () => ready().catch(() => true),
          grant: (grant) => {
            stop()
            resolve({ grant, slot: slotOf(channel) })
          },
        }
        channel.waiters.push(waiter)
        signal.addEventListener('abort', abort, { once: true })
        if (signal.aborted) abort()
      })
    },
    quiet(key, { signal, timeoutMs }) {
      const channel = channelOf(key)
      return new Promise((resolve) => {
        const finish = (quiet: boolean): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', giveUp)
          channel.listeners.delete(look)
          forget(channel)
          resolve(quiet)
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
