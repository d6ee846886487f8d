// Who may send a paid request next on a crowded channel: turns in order, room made by answers, and nobody forgotten.
// Must never depend on how long anything takes: only on what has come back.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFlights, type Flights, FlightTimeout, type Slot, type TurnGrant } from '../../src/sessions/flights.js'
import { cases } from '../extent.js'

const never = new AbortController().signal
const patient = { signal: never, timeoutMs: 20_000 }
const always = async (): Promise<boolean> => true
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Waits for turns, and notes who was let in and how. */
function line(flights: Flights, key = 'a') {
  const granted: (readonly [name: string, grant: TurnGrant])[] = []
  const slots = new Map<string, Slot>()
  const ask = (name: string, more: Partial<Parameters<Flights['turn']>[1]> = {}) => {
    const asked = flights.turn(key, { ...patient, ready: always, ...more }).then(({ grant, slot }) => {
      granted.push([name, grant])
      slots.set(name, slot)
    })
    // Who is still in line when a test ends gives up later, and nobody minds.
    asked.catch(() => undefined)
    return asked
  }
  return { granted, slots, ask }
}

describe('a turn', () => {
  it('is had at once where nothing is under way, and is under way itself then', async () => {
    const flights = createFlights()
    const { grant, slot } = await flights.turn('a', { ...patient, ready: always })
    expect([grant, flights.outstanding('a'), flights.waiting('a')]).toEqual(['idle', 1, 0])
    slot.land(true)
    expect(flights.outstanding('a')).toBe(0)
  })

  it('comes with an answer that makes room, in the order of asking', async () => {
    const flights = createFlights()
    const slots = Array.from({ length: 5 }, () => flights.enter('a'))
    const { granted, ask } = line(flights)
    for (const name of ['one', 'two', 'three']) void ask(name)
    expect([flights.outstanding('a'), flights.waiting('a')]).toEqual([5, 3])
    slots[0]?.land(true)
    await settle()
    expect(granted).toEqual([['one', 'freed']])
    slots[1]?.land(true)
    await settle()
    expect(granted.map(([name]) => name)).toEqual(['one', 'two'])
    expect([flights.outstanding('a'), flights.waiting('a')]).toEqual([5, 1])
  })

  it('does not come with a refusal, unless nobody is left under way', async () => {
    const flights = createFlights()
    const [first, second] = [flights.enter('a'), flights.enter('a')]
    const { granted, slots, ask } = line(flights)
    void ask('one')
    void ask('two')
    first.land(false)
    await settle()
    expect(granted).toEqual([])
    second.land(false)
    await settle()
    expect(granted).toEqual([['one', 'quiet']])
    slots.get('one')?.land(false)
    await settle()
    expect(granted).toEqual([
      ['one', 'quiet'],
      ['two', 'quiet'],
    ])
  })

  it('is kept for the head of the line until it helps', async () => {
    const flights = createFlights()
    const [first, second, third] = [flights.enter('a'), flights.enter('a'), flights.enter('a')]
    const { granted, ask } = line(flights)
    let helps = false
    void ask('one', { ready: async () => helps })
    void ask('two')
    first.land(true)
    await settle()
    expect(granted).toEqual([])
    helps = true
    second.land(true)
    await settle()
    expect(granted[0]).toEqual(['one', 'freed'])
    third.land(true)
    await settle()
    expect(granted.map(([name]) => name)).toEqual(['one', 'two'])
  })

  it('is given to a waiter that cannot be looked at', async () => {
    const flights = createFlights()
    const [first] = [flights.enter('a'), flights.enter('a')]
    const { granted, ask } = line(flights)
    void ask('one', { ready: () => Promise.reject(new Error('the store is gone')) })
    first.land(true)
    await settle()
    expect(granted).toEqual([['one', 'freed']])
  })

  it('is not given twice for one answer', async () => {
    const flights = createFlights()
    const slots = [flights.enter('a'), flights.enter('a'), flights.enter('a')]
    const { granted, ask } = line(flights)
    void ask('one')
    void ask('two')
    for (let times = 0; times < 3; times += 1) slots[0]?.land(true)
    await settle()
    expect(granted).toEqual([['one', 'freed']])
    expect(flights.outstanding('a')).toBe(3)
  })

  it('is not waited for on another channel', async () => {
    const flights = createFlights()
    flights.enter('a')
    expect((await flights.turn('b', { ...patient, ready: always })).grant).toBe('idle')
  })

  it('is given up in time, or when it is aborted, and leaves no trace', async () => {
    const flights = createFlights()
    const slot = flights.enter('a')
    await expect(flights.turn('a', { signal: never, timeoutMs: 10, ready: always })).rejects.toBeInstanceOf(
      FlightTimeout,
    )
    const abort = new AbortController()
    const reason = new Error('enough')
    const waiting = flights.turn('a', { ...patient, signal: abort.signal, ready: always })
    const { granted, ask } = line(flights)
    void ask('behind')
    abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await expect(flights.turn('a', { ...patient, signal: abort.signal, ready: always })).rejects.toBe(reason)
    expect([flights.outstanding('a'), flights.waiting('a')]).toEqual([1, 1])
    slot.land(true)
    await settle()
    expect(granted).toEqual([['behind', 'quiet']])
  })

  it('is not lost on a waiter that leaves while it is looked at', async () => {
    const flights = createFlights()
    const [first] = [flights.enter('a'), flights.enter('a')]
    const abort = new AbortController()
    let looked: (ready: boolean) => void = () => undefined
    const ready = () =>
      new Promise<boolean>((resolve) => {
        looked = resolve
      })
    const waiting = flights.turn('a', { ...patient, signal: abort.signal, ready })
    const { granted, ask } = line(flights)
    void ask('behind')
    first.land(true)
    abort.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    looked(true)
    await settle()
    expect(granted).toEqual([['behind', 'freed']])
  })

  it('comes to everybody when more comes back while the head is looked at', async () => {
    const flights = createFlights()
    const [first, second, third] = [flights.enter('a'), flights.enter('a'), flights.enter('a')]
    const { granted, ask } = line(flights)
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
    first.land(true)
    spent += 1
    second.land(true)
    await settle()
    await settle()
    await settle()
    expect(granted).toEqual([['one', 'freed']])
    third.land(true)
  })
})

describe('quiet', () => {
  it('is when nobody is under way', async () => {
    const flights = createFlights()
    expect(await flights.quiet('a', patient)).toBe(true)
    const [first, second] = [flights.enter('a'), flights.enter('a')]
    let quiet: boolean | undefined
    void flights.quiet('a', patient).then((value) => {
      quiet = value
    })
    first.land(true)
    await settle()
    expect(quiet).toBeUndefined()
    second.land(false)
    await settle()
    expect(quiet).toBe(true)
  })

  it('is given up in time, or when it is aborted', async () => {
    const flights = createFlights()
    flights.enter('a')
    expect(await flights.quiet('a', { signal: never, timeoutMs: 10 })).toBe(false)
    expect(await flights.quiet('a', { signal: AbortSignal.abort(), timeoutMs: 1_000 })).toBe(false)
    const abort = new AbortController()
    const waiting = flights.quiet('a', { signal: abort.signal, timeoutMs: 20_000 })
    abort.abort()
    expect(await waiting).toBe(false)
  })

  it('takes no turn from who waits for one', async () => {
    const flights = createFlights()
    const [first] = [flights.enter('a'), flights.enter('a')]
    const quiet = flights.quiet('a', { signal: never, timeoutMs: 50 })
    const { granted, ask } = line(flights)
    void ask('one')
    first.land(true)
    await settle()
    expect(granted).toEqual([['one', 'freed']])
    expect(await quiet).toBe(false)
  })
})

describe('whatever comes back in whatever order', () => {
  const operation = fc.record({
    kind: fc.constantFrom('enter', 'ask', 'ask', 'accept', 'accept', 'refuse', 'abort', 'quiet'),
    which: fc.nat(),
    ready: fc.boolean(),
  })

  it('serves everybody in order, and ends with nobody under way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const flights = createFlights()
        const { granted, slots, ask } = line(flights)
        const under: Slot[] = []
        const aborts = new Map<string, AbortController>()
        const asked: string[] = []
        const gone = new Set<string>()
        const quiets: Promise<boolean>[] = []
        const collect = () => {
          for (const slot of slots.values()) under.push(slot)
          slots.clear()
        }
        for (const [turn, { kind, which, ready }] of operations.entries()) {
          collect()
          const slot = under[which % Math.max(1, under.length)]
          if (kind === 'enter') under.push(flights.enter('a'))
          else if (kind === 'quiet') quiets.push(flights.quiet('a', patient))
          else if (kind === 'ask') {
            const name = `waiter-${turn}`
            const abort = new AbortController()
            aborts.set(name, abort)
            asked.push(name)
            void ask(name, { signal: abort.signal, ready: async () => ready }).catch(() => gone.add(name))
          } else if (kind === 'abort') {
            const name = asked[which % Math.max(1, asked.length)]
            if (name !== undefined) aborts.get(name)?.abort(new Error('gone'))
          } else if (slot !== undefined) {
            slot.land(kind === 'accept')
            under.splice(under.indexOf(slot), 1)
          }
          expect(flights.outstanding('a')).toBeGreaterThanOrEqual(0)
          if (which % 3 === 0) await settle()
        }
        // Everything comes back: whoever was let in sends, and is answered.
        const busy = () => flights.outstanding('a') + flights.waiting('a') > 0
        for (let rounds = 0; rounds < 200 && busy(); rounds += 1) {
          await settle()
          collect()
          under.shift()?.land(rounds % 2 === 0)
        }
        await settle()
        expect([flights.outstanding('a'), flights.waiting('a')]).toEqual([0, 0])
        const names = granted.map(([name]) => name)
        expect(new Set([...names, ...gone])).toEqual(new Set(asked))
        expect(names).toEqual(asked.filter((name) => names.includes(name)))
        expect(await Promise.all(quiets)).toEqual(quiets.map(() => true))
      }),
      { numRuns: cases(400), interruptAfterTimeLimit: 25_000, markInterruptAsFailure: true },
    )
  })
})
