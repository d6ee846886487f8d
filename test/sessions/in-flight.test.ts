// Who may send a paid request next on a crowded channel: turns in order, room made by answers, and nobody forgotten.
// Must never depend on how long anything takes: only on what has come back.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createInFlightRequests,
  type InFlightRequests,
  InFlightTimeout,
  type Permit,
  type TurnGrant,
} from '../../src/sessions/in-flight.js'
import { cases } from '../extent.js'

const never = new AbortController().signal
const patient = { signal: never, timeoutMs: 20_000 }
const always = async (): Promise<boolean> => true
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Waits for turns, and notes who was let in and how. */
function line(inFlight: InFlightRequests, key = 'a') {
  const granted: (readonly [name: string, grant: TurnGrant])[] = []
  const permits = new Map<string, Permit>()
  const ask = (name: string, more: Partial<Parameters<InFlightRequests['acquire']>[1]> = {}) => {
    const asked = inFlight.acquire(key, { ...patient, ready: always, ...more }).then(({ grant, permit }) => {
      granted.push([name, grant])
      permits.set(name, permit)
    })
    // Who is still in line when a test ends gives up later, and nobody minds.
    asked.catch(() => undefined)
    return asked
  }
  return { granted, permits, ask }
}

describe('a turn', () => {
  it('is had at once where nothing is under way, and is under way itself then', async () => {
    const inFlight = createInFlightRequests()
    const { grant, permit } = await inFlight.acquire('a', { ...patient, ready: always })
    expect([grant, inFlight.outstanding('a'), inFlight.waiting('a')]).toEqual(['immediate', 1, 0])
    permit.release(true)
    expect(inFlight.outstanding('a')).toBe(0)
  })

  it('comes with an answer that makes room, in the order of asking', async () => {
    const inFlight = createInFlightRequests()
    const permits = Array.from({ length: 5 }, () => inFlight.acquireNow('a'))
    const { granted, ask } = line(inFlight)
    for (const name of ['one', 'two', 'three']) void ask(name)
    expect([inFlight.outstanding('a'), inFlight.waiting('a')]).toEqual([5, 3])
    permits[0]?.release(true)
    await settle()
    expect(granted).toEqual([['one', 'capacity']])
    permits[1]?.release(true)
    await settle()
    expect(granted.map(([name]) => name)).toEqual(['one', 'two'])
    expect([inFlight.outstanding('a'), inFlight.waiting('a')]).toEqual([5, 1])
  })

  it('does not come with a refusal, unless nobody is left under way', async () => {
    const inFlight = createInFlightRequests()
    const [first, second] = [inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const { granted, permits, ask } = line(inFlight)
    void ask('one')
    void ask('two')
    first.release(false)
    await settle()
    expect(granted).toEqual([])
    second.release(false)
    await settle()
    expect(granted).toEqual([['one', 'drained']])
    permits.get('one')?.release(false)
    await settle()
    expect(granted).toEqual([
      ['one', 'drained'],
      ['two', 'drained'],
    ])
  })

  it('is kept for the head of the line until it helps', async () => {
    const inFlight = createInFlightRequests()
    const [first, second, third] = [inFlight.acquireNow('a'), inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const { granted, ask } = line(inFlight)
    let helps = false
    void ask('one', { ready: async () => helps })
    void ask('two')
    first.release(true)
    await settle()
    expect(granted).toEqual([])
    helps = true
    second.release(true)
    await settle()
    expect(granted[0]).toEqual(['one', 'capacity'])
    third.release(true)
    await settle()
    expect(granted.map(([name]) => name)).toEqual(['one', 'two'])
  })

  it('is given to a waiter that cannot be looked at', async () => {
    const inFlight = createInFlightRequests()
    const [first] = [inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const { granted, ask } = line(inFlight)
    void ask('one', { ready: () => Promise.reject(new Error('the store is gone')) })
    first.release(true)
    await settle()
    expect(granted).toEqual([['one', 'capacity']])
  })

  it('is not given twice for one answer', async () => {
    const inFlight = createInFlightRequests()
    const permits = [inFlight.acquireNow('a'), inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const { granted, ask } = line(inFlight)
    void ask('one')
    void ask('two')
    for (let times = 0; times < 3; times += 1) permits[0]?.release(true)
    await settle()
    expect(granted).toEqual([['one', 'capacity']])
    expect(inFlight.outstanding('a')).toBe(3)
  })

  it('is not waited for on another channel', async () => {
    const inFlight = createInFlightRequests()
    inFlight.acquireNow('a')
    expect((await inFlight.acquire('b', { ...patient, ready: always })).grant).toBe('immediate')
  })

  it('is given up in time, or when it is aborted, and leaves no trace', async () => {
    const inFlight = createInFlightRequests()
    const permit = inFlight.acquireNow('a')
    await expect(inFlight.acquire('a', { signal: never, timeoutMs: 10, ready: always })).rejects.toBeInstanceOf(
      InFlightTimeout,
    )
    const abort = new AbortController()
    const reason = new Error('enough')
    const waiting = inFlight.acquire('a', { ...patient, signal: abort.signal, ready: always })
    const { granted, ask } = line(inFlight)
    void ask('behind')
    abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await expect(inFlight.acquire('a', { ...patient, signal: abort.signal, ready: always })).rejects.toBe(reason)
    expect([inFlight.outstanding('a'), inFlight.waiting('a')]).toEqual([1, 1])
    permit.release(true)
    await settle()
    expect(granted).toEqual([['behind', 'drained']])
  })

  it('is not lost on a waiter that leaves while it is looked at', async () => {
    const inFlight = createInFlightRequests()
    const [first] = [inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const abort = new AbortController()
    let looked: (ready: boolean) => void = () => undefined
    const ready = () =>
      new Promise<boolean>((resolve) => {
        looked = resolve
      })
    const waiting = inFlight.acquire('a', { ...patient, signal: abort.signal, ready })
    const { granted, ask } = line(inFlight)
    void ask('behind')
    first.release(true)
    abort.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    looked(true)
    await settle()
    expect(granted).toEqual([['behind', 'capacity']])
  })

  it('comes to everybody when more comes back while the head is looked at', async () => {
    const inFlight = createInFlightRequests()
    const [first, second, third] = [inFlight.acquireNow('a'), inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const { granted, ask } = line(inFlight)
    let spent = 0
    // Says what was true when it was asked; by the time it is heard, more has come back.
    void ask('one', {
      ready: async () => {
        const enough = spent >= 2
        await settle()
        return enough
      },
    })
    spent += 1
    first.release(true)
    spent += 1
    second.release(true)
    await settle()
    await settle()
    await settle()
    expect(granted).toEqual([['one', 'capacity']])
    third.release(true)
  })
})

describe('drained', () => {
  it('is when nobody is under way', async () => {
    const inFlight = createInFlightRequests()
    expect(await inFlight.drained('a', patient)).toBe(true)
    const [first, second] = [inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    let drained: boolean | undefined
    void inFlight.drained('a', patient).then((value) => {
      drained = value
    })
    first.release(true)
    await settle()
    expect(drained).toBeUndefined()
    second.release(false)
    await settle()
    expect(drained).toBe(true)
  })

  it('is given up in time, or when it is aborted', async () => {
    const inFlight = createInFlightRequests()
    inFlight.acquireNow('a')
    expect(await inFlight.drained('a', { signal: never, timeoutMs: 10 })).toBe(false)
    expect(await inFlight.drained('a', { signal: AbortSignal.abort(), timeoutMs: 1_000 })).toBe(false)
    const abort = new AbortController()
    const waiting = inFlight.drained('a', { signal: abort.signal, timeoutMs: 20_000 })
    abort.abort()
    expect(await waiting).toBe(false)
  })

  it('takes no turn from who waits for one', async () => {
    const inFlight = createInFlightRequests()
    const [first] = [inFlight.acquireNow('a'), inFlight.acquireNow('a')]
    const drained = inFlight.drained('a', { signal: never, timeoutMs: 50 })
    const { granted, ask } = line(inFlight)
    void ask('one')
    first.release(true)
    await settle()
    expect(granted).toEqual([['one', 'capacity']])
    expect(await drained).toBe(false)
  })
})

describe('whatever comes back in whatever order', () => {
  const operation = fc.record({
    kind: fc.constantFrom('enter', 'ask', 'ask', 'accept', 'accept', 'refuse', 'abort', 'drained'),
    which: fc.nat(),
    ready: fc.boolean(),
  })

  it('serves everybody in order, and ends with nobody under way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const inFlight = createInFlightRequests()
        const { granted, permits, ask } = line(inFlight)
        const under: Permit[] = []
        const aborts = new Map<string, AbortController>()
        const asked: string[] = []
        const gone = new Set<string>()
        const drains: Promise<boolean>[] = []
        const collect = () => {
          for (const permit of permits.values()) under.push(permit)
          permits.clear()
        }
        for (const [turn, { kind, which, ready }] of operations.entries()) {
          collect()
          const permit = under[which % Math.max(1, under.length)]
          if (kind === 'enter') under.push(inFlight.acquireNow('a'))
          else if (kind === 'drained') drains.push(inFlight.drained('a', patient))
          else if (kind === 'ask') {
            const name = `waiter-${turn}`
            const abort = new AbortController()
            aborts.set(name, abort)
            asked.push(name)
            void ask(name, { signal: abort.signal, ready: async () => ready }).catch(() => gone.add(name))
          } else if (kind === 'abort') {
            const name = asked[which % Math.max(1, asked.length)]
            if (name !== undefined) aborts.get(name)?.abort(new Error('gone'))
          } else if (permit !== undefined) {
            permit.release(kind === 'accept')
            under.splice(under.indexOf(permit), 1)
          }
          expect(inFlight.outstanding('a')).toBeGreaterThanOrEqual(0)
          if (which % 3 === 0) await settle()
        }
        // Everything comes back: whoever was let in sends, and is answered.
        const busy = () => inFlight.outstanding('a') + inFlight.waiting('a') > 0
        for (let rounds = 0; rounds < 200 && busy(); rounds += 1) {
          await settle()
          collect()
          under.shift()?.release(rounds % 2 === 0)
        }
        await settle()
        expect([inFlight.outstanding('a'), inFlight.waiting('a')]).toEqual([0, 0])
        const names = granted.map(([name]) => name)
        expect(new Set([...names, ...gone])).toEqual(new Set(asked))
        expect(names).toEqual(asked.filter((name) => names.includes(name)))
        expect(await Promise.all(drains)).toEqual(drains.map(() => true))
      }),
      { numRuns: cases(400), interruptAfterTimeLimit: 25_000, markInterruptAsFailure: true },
    )
  })
})
