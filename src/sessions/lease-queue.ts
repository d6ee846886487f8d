// Acquires, renews and releases the lease of a channel, first come first served.
// Must never let two flows of this process hold the lease of one channel at once.

import { type Lease, type SessionStore, StoreError } from './store.js'

/** A lease in use. It renews itself until it is released. */
export interface HeldLease {
  readonly key: string
  /** The lease as a store update wants it, with its fencing token. */
  current(): Lease
  release(): Promise<void>
}

export interface LeaseOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface LeaseQueue {
  /** Whether somebody in this process holds the lease of `key` or waits for it. */
  hasQueue(key: string): boolean
  /**
   * Waits for the lease of `key`, first come first served within this process.
   *
   * @throws StoreError `busy` when it is not free in time; the signal's reason when it is aborted.
   */
  acquire(key: string, options: LeaseOptions): Promise<HeldLease>
  /** Resolves when the record or lease of `key` may have changed, after `atMostMs`, or when aborted. */
  change(key: string, atMostMs: number, signal: AbortSignal): Promise<void>
}

/** How often a waiter looks by itself, in case a store cannot tell it of changes made by other processes. */
const LOOK_AGAIN_MS = 100

export interface LeaseQueueOptions {
  readonly store: SessionStore
  readonly holder: string
  readonly ttlMs: number
  readonly now: () => number
}

export function createLeaseQueue({ store, holder, ttlMs, now }: LeaseQueueOptions): LeaseQueue {
  /** The tail of the queue, by key; each waits for the one before. */
  const queues = new Map<string, Promise<void>>()

  const change: LeaseQueue['change'] = (key, atMostMs, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        unwatch()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, atMostMs)
      const unwatch = store.watch(key, done)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })

  async function take(key: string, deadline: number, signal: AbortSignal): Promise<Lease> {
    for (;;) {
      signal.throwIfAborted()
      const lease = await store.acquireLease(key, holder, ttlMs)
      if (lease !== undefined) {
        if (!signal.aborted) return lease
        await store.releaseLease(lease)
        throw signal.reason
      }
      const left = deadline - now()
      if (left <= 0) throw new StoreError('busy', 'another process held the lease of this channel for too long')
      await change(key, Math.min(left, LOOK_AGAIN_MS), signal)
    }
  }

  function keep(first: Lease, leave: () => void): HeldLease {
    let lease = first
    let given = false
    const renew = setInterval(() => {
      store.renewLease(lease, ttlMs).then(
        (renewed) => {
          if (renewed !== undefined && !given) lease = renewed
        },
        // A lease that cannot be renewed expires; the next write is refused by its fencing token.
        () => undefined,
      )
    }, ttlMs / 3)
    if (typeof renew === 'object' && 'unref' in renew) renew.unref()
    return {
      key: first.key,
      current: () => lease,
      async release() {
        if (given) return
        given = true
        clearInterval(renew)
        try {
          await store.releaseLease(lease)
        } finally {
          leave()
        }
      },
    }
  }

  return {
    change,
    hasQueue: (key) => queues.has(key),
    async acquire(key, { signal, timeoutMs }) {
      const deadline = now() + timeoutMs
      const before = queues.get(key) ?? Promise.resolve()
      let leave = (): void => undefined
      const turn = new Promise<void>((resolve) => {
        leave = resolve
      })
      const queue = before.then(() => turn)
      queues.set(key, queue)
      void queue.then(() => {
        if (queues.get(key) === queue) queues.delete(key)
      })
      try {
        await inTime(before, deadline - now(), signal)
        return keep(await take(key, deadline, signal), leave)
      } catch (error) {
        leave()
        throw error
      }
    },
  }
}

/** Waits for `turn`, but not longer than `ms` and not after an abort. */
function inTime(turn: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stop()
      reject(new StoreError('busy', 'other requests held the lease of this channel for too long'))
    }, ms)
    const abort = (): void => {
      stop()
      reject(signal.reason)
    }
    const stop = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    void turn.then(() => {
      stop()
      resolve()
    })
  })
}
