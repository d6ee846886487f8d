// A store that lives as long as the process: for tests, browsers and short scripts.
// Must never be used where losing the process may not lose track of a deposit.

import { fn, optionsOf, readOptions } from '../options/index.js'
import { leaseLost } from './channel-state.js'
import type { SessionRecord } from './record.js'
import type { Lease, SessionStore } from './store.js'

/** How a memory store works. */
export interface MemoryStoreOptions {
  /** The clock of leases, in milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

const memoryStoreOptions = optionsOf({
  now: fn<() => number>().optional(),
} satisfies Record<keyof MemoryStoreOptions, unknown>)

/**
 * Keeps records in memory.
 *
 * @throws OptionError for options that cannot be read.
 *
 * @example
 * ```ts
 * import { createMppClient, memoryStore } from 'mpp-flow'
 * import type { LocalAccount } from 'viem'
 *
 * export function payer(account: LocalAccount) {
 *   return createMppClient({ account, store: memoryStore() })
 * }
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): SessionStore {
  const { now = Date.now } = readOptions(memoryStoreOptions, options)
  const records = new Map<string, SessionRecord>()
  const leases = new Map<string, Lease>()
  const tokens = new Map<string, number>()
  const listeners = new Map<string, Set<() => void>>()

  const held = (key: string): Lease | undefined => {
    const lease = leases.get(key)
    return lease !== undefined && lease.expiresAt > now() ? lease : undefined
  }
  const isValid = (lease: Lease): boolean => held(lease.key)?.token === lease.token
  const emit = (key: string): void => {
    for (const listener of listeners.get(key) ?? []) listener()
  }

  return {
    get: async (key) => records.get(key),
    list: async () => [...records.values()],
    async update(key, change, leases = []) {
      for (const lease of leases) if (!isValid(lease)) throw leaseLost(key, lease)
      const before = records.get(key)
      const after = change(before)
      if (after !== undefined && after !== before) {
        records.set(key, after)
        emit(key)
      }
      return after
    },
    async acquireLease(key, holder, ttlMs) {
      if (held(key) !== undefined) return undefined
      const token = (tokens.get(key) ?? 0) + 1
      tokens.set(key, token)
      const lease = { key, holder, token, expiresAt: now() + ttlMs }
      leases.set(key, lease)
      return lease
    },
    async renewLease(lease, ttlMs) {
      if (!isValid(lease)) return undefined
      const renewed = { ...lease, expiresAt: now() + ttlMs }
      leases.set(lease.key, renewed)
      return renewed
    },
    async releaseLease(lease) {
      if (!isValid(lease)) return
      leases.delete(lease.key)
      emit(lease.key)
    },
    isLeased: async (key) => held(key) !== undefined,
    watch(key, listener) {
      // Wrapped, so that a listener that is given twice is two.
      const entry = (): void => listener()
      const all = listeners.get(key) ?? new Set()
      listeners.set(key, all.add(entry))
      return () => {
        all.delete(entry)
        if (all.size === 0 && listeners.get(key) === all) listeners.delete(key)
      }
    },
  }
}
