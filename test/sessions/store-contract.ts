// What every place that keeps session records must do, as a suite that any store can be put through.
// Must never look inside a store: whatever it is made of, only the interface is used.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Lease, type SessionRecord, type SessionStore, StoreError } from '../../src/sessions/index.js'
import { recordAt } from './channel-records.js'

const LONG_MS = 600_000

/** A store to be tried. */
export interface StoreUnderTest {
  readonly store: SessionStore
  /** Another client of the same records: another process, as far as the store can tell. The same store, if it has none. */
  readonly other?: SessionStore
  /** Lets time pass for the store: by its clock, or by waiting. */
  pass(ms: number): Promise<void>
  close?(): Promise<void>
}

export interface ContractOptions {
  /** Whether `watch` tells of changes; a store that cannot is looked at by its waiters. Default true. */
  readonly watches?: boolean
  /** Lease time of the tests, in milliseconds: longer where time is real. Default 1000. */
  readonly ttlMs?: number
  /** How many updates come at once. Default 500. */
  readonly parallel?: number
}

/**
 * Puts a store through the contract of SessionStore.
 *
 * @example
 * ```ts
 * describeStore('memory', async () => ({ store: memoryStore({ now: () => now }), pass: async (ms) => { now += ms } }))
 * ```
 */
export function describeStore(
  name: string,
  open: () => Promise<StoreUnderTest>,
  { watches = true, ttlMs = 1_000, parallel = 500 }: ContractOptions = {},
): void {
  describe(`${name} store`, () => {
    let tried: StoreUnderTest
    let store: SessionStore
    let other: SessionStore
    beforeEach(async () => {
      tried = await open()
      store = tried.store
      other = tried.other ?? tried.store
    })
    afterEach(() => tried.close?.())

    const grow = (key: string) => (record: SessionRecord | undefined) => recordAt(key, (record?.version ?? 0) + 1)

    /** A lease that outlasts any test, or one that will run out. */
    async function taken(key: string, holder = 'holder-1', from = store, ms = LONG_MS): Promise<Lease> {
      const lease = await from.acquireLease(key, holder, ms)
      if (lease === undefined) throw new Error(`the lease of ${key} is not free`)
      return lease
    }

    const lost = expect.objectContaining({ name: 'StoreError', reason: 'lease_lost' })

    describe('records', () => {
      it('are kept as they were given', async () => {
        const plain = recordAt('a', 3)
        const record: SessionRecord = {
          ...plain,
          session: { ...plain.session, signed: '1' },
          secrets: {
            voucher: { cumulative: '1', signature: '0xab' },
            pendingTransaction: '0xcd',
            resource: { method: 'GET', query: '?key=a%20b&empty=' },
          },
        }
        expect(await store.get('a')).toBeUndefined()
        expect(await store.list()).toEqual([])
        expect(await store.update('a', () => record)).toEqual(record)
        expect(await store.get('a')).toEqual(record)
        expect(await other.get('a')).toEqual(record)
        await store.update('b', grow('b'))
        expect((await other.list()).map(({ key }) => key).sort()).toEqual(['a', 'b'])
      })

      it(`grow one by one under ${parallel} updates at once`, async () => {
        const from = (turn: number) => (turn % 2 === 0 ? store : other)
        const results = await Promise.all(
          Array.from({ length: parallel }, (_, turn) => from(turn).update('a', grow('a'))),
        )
        const versions = results.map((record) => record?.version ?? 0).sort((a, b) => a - b)
        expect(versions).toEqual(Array.from({ length: parallel }, (_, turn) => turn + 1))
        expect((await store.get('a'))?.version).toBe(parallel)
      })

      it('of different keys do not touch each other', async () => {
        const keys = ['a', 'b', 'c', 'a#0xc1', 'constructor', '__proto__']
        await Promise.all(keys.flatMap((key) => Array.from({ length: 20 }, () => store.update(key, grow(key)))))
        for (const key of keys) expect(await store.get(key)).toEqual(recordAt(key, 20))
        expect((await store.list()).length).toBe(keys.length)
      })

      it('stay as they are when an update gives the same back, or nothing', async () => {
        await store.update('a', grow('a'))
        const before = await store.get('a')
        expect(await store.update('a', (record) => record)).toEqual(before)
        expect(await store.get('a')).toEqual(before)
        await store.update('a', () => undefined)
        expect(await store.get('a')).toEqual(before)
        expect(await store.update('b', (record) => record)).toBeUndefined()
        expect(await store.get('b')).toBeUndefined()
        expect((await store.list()).length).toBe(1)
      })

      it('stay as they are when an update throws, and can be updated afterwards', async () => {
        await store.update('a', grow('a'))
        const refuse = () => {
          throw new RangeError('not allowed')
        }
        await expect(store.update('a', refuse)).rejects.toThrow('not allowed')
        expect((await store.get('a'))?.version).toBe(1)
        expect((await store.update('a', grow('a')))?.version).toBe(2)
      })

      it('are listed as of the moment', async () => {
        await store.update('a', grow('a'))
        const listed = await store.list()
        await store.update('a', grow('a'))
        await store.update('b', grow('b'))
        expect(listed).toEqual([recordAt('a', 1)])
      })
    })

    describe('leases', () => {
      it('go to one of many who ask at once', async () => {
        const asked = Array.from({ length: 200 }, (_, turn) =>
          (turn % 2 === 0 ? store : other).acquireLease('a', `holder-${turn}`, LONG_MS),
        )
        const leases = (await Promise.all(asked)).filter((lease) => lease !== undefined)
        expect(leases.length).toBe(1)
        expect(await other.isLeased('a')).toBe(true)
        expect(await other.isLeased('b')).toBe(false)
        expect(await store.acquireLease('a', leases[0]?.holder ?? '', LONG_MS)).toBeUndefined()
        expect(await store.acquireLease('b', 'holder-1', LONG_MS)).toMatchObject({ key: 'b', holder: 'holder-1' })
      })

      it('carry a token that grows with every lease of the key', async () => {
        const tokens: number[] = []
        for (let turn = 0; turn < 5; turn += 1) {
          const even = turn % 2 === 0
          const lease = await taken('a', `holder-${turn}`, even ? store : other, even ? LONG_MS : ttlMs)
          tokens.push(lease.token)
          if (even) await store.releaseLease(lease)
          else await tried.pass(ttlMs + 1)
        }
        expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
      })

      it('are free again when they are given back, also twice', async () => {
        const lease = await taken('a')
        await store.releaseLease(lease)
        expect(await other.isLeased('a')).toBe(false)
        const next = await taken('a', 'holder-2', other)
        await store.releaseLease(lease)
        expect(await store.isLeased('a')).toBe(true)
        await other.releaseLease(next)
        expect(await store.isLeased('a')).toBe(false)
      })

      it('run out, and are gone then for who held them', async () => {
        const lease = await taken('a', 'holder-1', store, ttlMs)
        await tried.pass(ttlMs + 1)
        expect(await store.isLeased('a')).toBe(false)
        expect(await store.renewLease(lease, ttlMs)).toBeUndefined()
        await expect(store.update('a', grow('a'), [lease])).rejects.toEqual(lost)
        const next = await taken('a', 'holder-2', other)
        await store.releaseLease(lease)
        expect(await other.isLeased('a')).toBe(true)
        expect((await other.update('a', grow('a'), [next]))?.version).toBe(1)
      })

      it('last longer when they are renewed', async () => {
        const lease = await taken('a', 'holder-1', store, ttlMs)
        let current = lease
        for (let turn = 0; turn < 4; turn += 1) {
          await tried.pass(Math.floor(ttlMs * 0.4))
          const renewed = await store.renewLease(current, ttlMs)
          if (renewed === undefined) throw new Error('the lease was lost while it was renewed')
          expect(renewed).toMatchObject({ key: 'a', holder: 'holder-1', token: lease.token })
          expect(renewed.expiresAt).toBeGreaterThan(current.expiresAt)
          current = renewed
        }
        expect(await other.acquireLease('a', 'holder-2', ttlMs)).toBeUndefined()
        expect((await store.update('a', grow('a'), [current]))?.version).toBe(1)
      })

      it('that were given back cannot be renewed or written with', async () => {
        const lease = await taken('a')
        await store.releaseLease(lease)
        expect(await store.renewLease(lease, ttlMs)).toBeUndefined()
        await expect(store.update('a', grow('a'), [lease])).rejects.toBeInstanceOf(StoreError)
        expect(await store.isLeased('a')).toBe(false)
      })
    })

    describe('fencing', () => {
      it('keeps a holder that lost its lease from writing, and writes nothing', async () => {
        const late = await taken('a', 'holder-1', store, ttlMs)
        await store.update('a', grow('a'), [late])
        await tried.pass(ttlMs + 1)
        const next = await taken('a', 'holder-2', other)
        await other.update('a', grow('a'), [next])
        let looked = 0
        const change = (record: SessionRecord | undefined) => {
          looked += 1
          return grow('a')(record)
        }
        await expect(store.update('a', change, [late])).rejects.toEqual(lost)
        expect((await other.get('a'))?.version).toBe(2)
        expect(looked).toBeLessThanOrEqual(1)
        expect((await other.update('a', grow('a'), [next]))?.version).toBe(3)
      })

      it('checks each lease under the key that it is of', async () => {
        const [own, all] = [await taken('a'), await taken('all')]
        await expect(store.update('a', grow('a'), [{ ...all, key: 'b' }])).rejects.toEqual(lost)
        await expect(store.update('a', grow('a'), [own, { ...all, token: all.token + 1 }])).rejects.toEqual(lost)
        await expect(store.update('a', grow('a'), [{ ...own, key: 'all', token: 2 }, own])).rejects.toEqual(lost)
        expect(await store.get('a')).toBeUndefined()
        expect((await other.update('a', grow('a'), [all, own]))?.version).toBe(1)
      })

      it('keeps from writing whoever lost one of the leases that a change depends on', async () => {
        const all = await taken('all', 'holder-1', store, ttlMs)
        const own = await taken('a')
        expect((await store.update('a', grow('a'), [own, all]))?.version).toBe(1)
        await tried.pass(ttlMs + 1)
        await expect(store.update('a', grow('a'), [own, all])).rejects.toEqual(lost)
        const next = await taken('all', 'holder-2', other)
        await expect(store.update('a', grow('a'), [own, all])).rejects.toEqual(lost)
        expect((await other.get('a'))?.version).toBe(1)
        // The record's own lease is as good as before.
        expect((await store.update('a', grow('a'), [own]))?.version).toBe(2)
        expect((await other.update('b', grow('b'), [next]))?.version).toBe(1)
      })

      it('gives a lease to nobody between the check and the write that depends on it', async () => {
        // Each takes the lease of the sum, adds up, and writes under it: whoever was late must not have written.
        const limit = 5
        const added = { keys: ['a', 'b', 'c', 'd'], refused: 0 }
        for (let round = 0; round < limit * 2; round += 1) {
          await Promise.all(
            added.keys.map(async (key, turn) => {
              const from = turn % 2 === 0 ? store : other
              const lease = await from.acquireLease('all', `holder-${turn}`, LONG_MS)
              if (lease === undefined) return
              const sum = (await from.list()).reduce((total, { version }) => total + version, 0)
              if (sum < limit) {
                const gone = turn === 3 ? from.releaseLease(lease) : undefined
                await from.update(key, grow(key), [lease]).catch((error: unknown) => {
                  expect(error).toEqual(lost)
                  added.refused += 1
                })
                await gone
              }
              await from.releaseLease(lease)
            }),
          )
        }
        expect((await store.list()).reduce((total, { version }) => total + version, 0)).toBe(limit)
      })

      it('does not let changes that depend on each other’s leases wait for each other', async () => {
        const [a, b] = [await taken('a'), await taken('b')]
        const rounds = Array.from({ length: 20 }, (_, turn) => [
          (turn % 2 === 0 ? store : other).update('a', grow('a'), [a, b]),
          (turn % 2 === 0 ? other : store).update('b', grow('b'), [b, a]),
        ])
        await Promise.all(rounds.flat())
        expect((await store.list()).map(({ version }) => version)).toEqual([20, 20])
      })

      it('does not stop updates that need no lease', async () => {
        const lease = await taken('a')
        await other.update('a', grow('a'))
        expect((await store.update('a', grow('a'), [lease]))?.version).toBe(2)
      })

      it('holds while many who lost the lease try at once', async () => {
        const leases: Lease[] = []
        for (let turn = 0; turn < 4; turn += 1) {
          leases.push(await taken('a', `holder-${turn}`, store, ttlMs))
          await tried.pass(ttlMs + 1)
        }
        const last = await taken('a', 'holder-last')
        const results = await Promise.allSettled(
          [...leases, last].map((lease) => store.update('a', grow('a'), [lease])),
        )
        expect(results.map(({ status }) => status)).toEqual([...leases.map(() => 'rejected'), 'fulfilled'])
        expect((await store.get('a'))?.version).toBe(1)
      })
    })

    describe.runIf(watches)('watching', () => {
      function told(key: string, from = store) {
        let times = 0
        let tell = (): void => undefined
        const first = new Promise<void>((resolve) => {
          tell = resolve
        })
        const unwatch = from.watch(key, () => {
          times += 1
          tell()
        })
        return { first, unwatch, times: () => times }
      }

      it('tells of a change by somebody else', async () => {
        const watcher = told('a', other)
        await store.update('a', grow('a'))
        await watcher.first
        watcher.unwatch()
      })

      it('tells of a lease that is given back', async () => {
        const lease = await taken('a')
        const watcher = told('a', other)
        await store.releaseLease(lease)
        await watcher.first
        watcher.unwatch()
      })

      it('ends when it is told to, for one watcher alone', async () => {
        const [gone, here] = [told('a'), told('a')]
        gone.unwatch()
        gone.unwatch()
        await store.update('a', grow('a'))
        await here.first
        expect(gone.times()).toBe(0)
        here.unwatch()
      })

      it('counts one listener that was given twice as two', async () => {
        let times = 0
        const listener = (): void => {
          times += 1
        }
        const unwatch = store.watch('a', listener)
        const stay = store.watch('a', listener)
        unwatch()
        const watcher = told('a')
        await store.update('a', grow('a'))
        await watcher.first
        expect(times).toBeGreaterThan(0)
        stay()
        watcher.unwatch()
      })

      it('bears a listener that stops watching while it is told', async () => {
        const stop: (() => void)[] = []
        stop.push(store.watch('a', () => stop[0]?.()))
        const watcher = told('a')
        await store.update('a', grow('a'))
        await watcher.first
        watcher.unwatch()
      })
    })
  })
}
