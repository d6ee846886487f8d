// The line for a channel's lease: who comes first is served first, nobody leaves with it in a pocket, and it outlives its term.
// Must never wait longer than a test has to: times here are real but short.

import { describe, expect, it } from 'vitest'
import { createLedger, type HeldLease, memoryStore, type SessionStore, StoreError } from '../../src/sessions/index.js'
import { KEY, openSigned, PLACE } from './channel-records.js'

const never = new AbortController().signal
const patient = { signal: never, timeoutMs: 20_000 }
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const unavailable = expect.objectContaining({ name: 'StoreError', reason: 'unavailable' })
const busy = expect.objectContaining({ name: 'StoreError', reason: 'busy' })
const lost = expect.objectContaining({ name: 'StoreError', reason: 'lease_lost' })

/** A store whose answers are heard of late. */
function slow(store: SessionStore, ms: number): SessionStore {
  const late = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await answer
    await sleep(ms)
    return value
  }
  return {
    get: (key) => late(store.get(key)),
    list: () => late(store.list()),
    update: (key, change, leases) => late(store.update(key, change, leases)),
    acquireLease: (key, holder, ttlMs) => late(store.acquireLease(key, holder, ttlMs)),
    renewLease: (lease, ttlMs) => late(store.renewLease(lease, ttlMs)),
    releaseLease: (lease) => late(store.releaseLease(lease)),
    isLeased: (key) => late(store.isLeased(key)),
    watch: (key, listener) => store.watch(key, listener),
  }
}

/** Two processes on one store. */
function processes(options: { readonly leaseTtlMs?: number } = {}) {
  const store = memoryStore()
  return { store, here: createLedger({ store, ...options }), there: createLedger({ store, ...options }) }
}

describe('the line for a lease', () => {
  it('serves 200 in the order they came, one at a time', async () => {
    const { store, here } = processes()
    const served: number[] = []
    let inside = 0
    await Promise.all(
      Array.from({ length: 200 }, async (_, turn) => {
        const lease = await here.lease(KEY, patient)
        inside += 1
        expect(inside).toBe(1)
        served.push(turn)
        if (turn % 20 === 0) await sleep(1)
        else await Promise.resolve()
        inside -= 1
        await lease.release()
      }),
    )
    expect(served).toEqual(Array.from({ length: 200 }, (_, turn) => turn))
    expect(await store.isLeased(KEY)).toBe(false)
    expect(here.hasLeaseQueue(KEY)).toBe(false)
  })

  it('owes nothing of that order to the store', async () => {
    const store = memoryStore()
    let asked = 0
    const unfair: SessionStore = {
      ...store,
      // Who asks later is answered sooner, and nobody is told of anything.
      acquireLease: async (key, holder, ttlMs) => {
        asked += 1
        await sleep(Math.max(0, 30 - asked))
        return store.acquireLease(key, holder, ttlMs)
      },
      watch: () => () => undefined,
    }
    const ledger = createLedger({ store: unfair })
    const served: number[] = []
    await Promise.all(
      Array.from({ length: 30 }, async (_, turn) => {
        const lease = await ledger.lease(KEY, patient)
        served.push(turn)
        await lease.release()
      }),
    )
    expect(served).toEqual(Array.from({ length: 30 }, (_, turn) => turn))
    // One at a time: nobody asks the store before it is their turn.
    expect(asked).toBe(30)
  })

  it('keeps the lines of different channels apart', async () => {
    const { here } = processes()
    const held = await here.lease('a', patient)
    const other = await here.lease('b', patient)
    expect([held.key, other.key]).toEqual(['a', 'b'])
    expect([here.hasLeaseQueue('a'), here.hasLeaseQueue('c')]).toEqual([true, false])
    await Promise.all([held.release(), other.release()])
  })

  it('serves two processes, and neither is forgotten', async () => {
    const { store, here, there } = processes()
    const served: string[] = []
    const visit = async (name: string, ledger: typeof here) => {
      const lease = await ledger.lease(KEY, patient)
      served.push(name)
      await sleep(1)
      await lease.release()
    }
    await Promise.all([
      ...Array.from({ length: 20 }, () => visit('here', here)),
      ...Array.from({ length: 20 }, () => visit('there', there)),
    ])
    expect(served.filter((name) => name === 'here').length).toBe(20)
    expect(served.length).toBe(40)
    expect(await store.isLeased(KEY)).toBe(false)
  })

  it('gives up in time, and lets those behind go on', async () => {
    const { here, there } = processes()
    const first = await here.lease(KEY, patient)
    const late = here.lease(KEY, { signal: never, timeoutMs: 30 })
    const behind = here.lease(KEY, patient)
    const elsewhere = there.lease(KEY, { signal: never, timeoutMs: 30 })
    await expect(late).rejects.toEqual(busy)
    await expect(elsewhere).rejects.toEqual(busy)
    await first.release()
    await (await behind).release()
    const again = await there.lease(KEY, { signal: never, timeoutMs: 1_000 })
    await again.release()
  })

  it('never leaves a lease behind when waiting is aborted', async () => {
    const { store, here } = processes()
    const reason = new Error('not wanted any more')
    const held = await here.lease(KEY, patient)
    const served: number[] = []
    const aborts: AbortController[] = []
    const waiting = Array.from({ length: 60 }, async (_, turn) => {
      const abort = new AbortController()
      aborts.push(abort)
      const lease = await here.lease(KEY, { signal: abort.signal, timeoutMs: 20_000 })
      served.push(turn)
      await sleep(0)
      await lease.release()
    })
    const outcomes = Promise.allSettled(waiting)
    for (const [turn, abort] of aborts.entries()) if (turn % 3 === 0) abort.abort(reason)
    await held.release()
    await sleep(2)
    for (const [turn, abort] of aborts.entries()) if (turn % 3 === 1) abort.abort(reason)
    const results = await outcomes
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toBe(reason)
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThanOrEqual(20)
    expect(served).toEqual([...served].sort((a, b) => a - b))
    expect(served.filter((turn) => turn % 3 === 2).length).toBe(20)
    expect(await store.isLeased(KEY)).toBe(false)
    expect(here.hasLeaseQueue(KEY)).toBe(false)
  })

  it('refuses who is aborted before asking', async () => {
    const { store, here } = processes()
    const reason = new Error('never mind')
    await expect(here.lease(KEY, { signal: AbortSignal.abort(reason), timeoutMs: 10 })).rejects.toBe(reason)
    expect(await store.isLeased(KEY)).toBe(false)
    expect(here.hasLeaseQueue(KEY)).toBe(false)
  })

  it('gives back a lease that arrives after the abort', async () => {
    const store = memoryStore()
    const ledger = createLedger({ store: slow(store, 20) })
    const abort = new AbortController()
    const reason = new Error('too late')
    const asked = ledger.lease(KEY, { signal: abort.signal, timeoutMs: 1_000 })
    const outcome = expect(asked).rejects.toBe(reason)
    await sleep(5)
    abort.abort(reason)
    await outcome
    await sleep(60)
    expect(await store.isLeased(KEY)).toBe(false)
    expect(ledger.hasLeaseQueue(KEY)).toBe(false)
  })

  it('goes on when the store fails to give or to take back', async () => {
    const store = memoryStore()
    let broken = true
    const failing: SessionStore = {
      ...store,
      acquireLease: (key, holder, ttlMs) => {
        if (broken) throw new StoreError('unavailable', 'the disk is gone')
        return store.acquireLease(key, holder, ttlMs)
      },
      releaseLease: async (lease) => {
        await store.releaseLease(lease)
        throw new StoreError('unavailable', 'the disk is gone again')
      },
    }
    const ledger = createLedger({ store: failing })
    await expect(ledger.lease(KEY, patient)).rejects.toEqual(unavailable)
    broken = false
    const lease = await ledger.lease(KEY, patient)
    await expect(lease.release()).rejects.toEqual(unavailable)
    const next = await ledger.lease(KEY, patient)
    await next.release().catch(() => undefined)
    expect(ledger.hasLeaseQueue(KEY)).toBe(false)
  })
})

describe('a lease that is held', () => {
  it('renews itself beyond its term', async () => {
    const { store, here, there } = processes({ leaseTtlMs: 1500 })
    const lease = await here.lease(KEY, patient)
    const before = lease.current()
    await expect(there.lease(KEY, { signal: never, timeoutMs: 3000 })).rejects.toEqual(busy)
    expect(lease.current().expiresAt).toBeGreaterThan(before.expiresAt)
    expect(lease.current().token).toBe(before.token)
    const record = await here.apply(KEY, PLACE, openSigned(), { lease })
    expect(record.status).toBe('opening')
    await lease.release()
    await sleep(100)
    expect(await store.isLeased(KEY)).toBe(false)
  })

  it('can be given back twice', async () => {
    const { here, there } = processes()
    const lease = await here.lease(KEY, patient)
    await lease.release()
    const next = await there.lease(KEY, patient)
    await lease.release()
    await expect(here.apply(KEY, PLACE, openSigned(), { lease })).rejects.toEqual(lost)
    expect((await there.apply(KEY, PLACE, openSigned(), { lease: next })).status).toBe('opening')
    await next.release()
  })

  it('writes nothing once it was lost to another process, and takes nothing from it', async () => {
    let now = 1_000_000
    const store = memoryStore({ now: () => now })
    const options = { store, now: () => now, leaseTtlMs: 15_000 }
    const [here, there] = [createLedger(options), createLedger(options)]
    const stalled: HeldLease = await here.lease(KEY, patient)
    now += 15_001
    const taken = await there.lease(KEY, patient)
    const record = await there.apply(KEY, PLACE, openSigned(), { lease: taken })
    await expect(here.apply(KEY, PLACE, { type: 'OPEN_DROPPED' }, { lease: stalled })).rejects.toEqual(lost)
    await stalled.release()
    expect(await store.get(KEY)).toEqual(record)
    expect(
      (await there.apply(KEY, PLACE, { type: 'OPEN_CONFIRMED', deposit: '5000000' }, { lease: taken })).status,
    ).toBe('open')
    await taken.release()
  })
})
