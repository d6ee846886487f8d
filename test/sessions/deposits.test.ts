// What a total limit is held against: never too little where it counts, and not added up anew for every request.
// Must never compare with anything but a plain sum over the store.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ChannelScope,
  channelKey,
  createLedger,
  type Ledger,
  memoryStore,
  type SessionStore,
} from '../../src/sessions/index.js'
import { atStake } from '../../src/sessions/record.js'
import { cases } from '../extent.js'
import { openSigned, placeOf } from './channel-records.js'

const patient = { signal: new AbortController().signal, timeoutMs: 5_000 }
const HERE = placeOf('1')

function setUp() {
  const clock = { now: 1_000_000 }
  const now = (): number => clock.now
  const store = memoryStore({ now })
  let lists = 0
  let during = (): Promise<unknown> => Promise.resolve()
  const counting: SessionStore = {
    ...store,
    async list() {
      lists += 1
      const records = await store.list()
      await during()
      return records
    },
  }
  return {
    clock,
    store,
    ledger: createLedger({ store: counting, now }),
    other: createLedger({ store, now }),
    lists: () => lists,
    /** Happens once, between the reading of the store and what is made of it. */
    duringNextList(work: () => Promise<unknown>) {
      during = () => {
        during = () => Promise.resolve()
        return work()
      }
    },
  }
}

/** Signs for a channel, which counts from then on; the lease is given back. */
async function open(ledger: Ledger, place: ChannelScope, seed: string, deposit: string): Promise<void> {
  const key = channelKey(place)
  const lease = await ledger.lease(key, patient)
  await ledger.apply(key, place, openSigned({ seed, deposit, cumulative: '1' }, place), { lease })
  await lease.release()
}

async function gone(ledger: Ledger, place: ChannelScope, deposit: string): Promise<void> {
  const key = channelKey(place)
  const lease = await ledger.lease(key, patient)
  await ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit }, { lease })
  await ledger.apply(key, place, { type: 'CHANNEL_GONE' }, { lease })
  await lease.release()
}

const elsewhere = async (ledger: Ledger, freshness: 'recent' | 'now'): Promise<string> =>
  (await ledger.view(undefined, HERE, channelKey(HERE), freshness)).depositedElsewhere

describe('deposits elsewhere', () => {
  it('are added up once for many looks, and again a moment later', async () => {
    const { clock, ledger, lists } = setUp()
    await open(ledger, placeOf('2'), 'c2', '30')
    for (let look = 0; look < 100; look += 1) expect(await elsewhere(ledger, 'recent')).toBe('30')
    expect(lists()).toBe(1)
    clock.now += 250
    expect(await elsewhere(ledger, 'recent')).toBe('30')
    expect(lists()).toBe(2)
  })

  it('show what this process has signed for or lost at once', async () => {
    const { ledger } = setUp()
    await open(ledger, placeOf('2'), 'c2', '30')
    expect(await elsewhere(ledger, 'recent')).toBe('30')
    await open(ledger, placeOf('3'), 'c3', '12')
    expect(await elsewhere(ledger, 'recent')).toBe('42')
    await gone(ledger, placeOf('2'), '30')
    expect(await elsewhere(ledger, 'recent')).toBe('12')
  })

  it('show what another process has signed for at once when it counts, and a moment later otherwise', async () => {
    const { clock, ledger, other } = setUp()
    expect(await elsewhere(ledger, 'recent')).toBe('0')
    await open(other, placeOf('2'), 'c2', '30')
    expect(await elsewhere(ledger, 'recent')).toBe('0')
    expect(await elsewhere(ledger, 'now')).toBe('30')
    expect(await elsewhere(ledger, 'recent')).toBe('30')
    await open(other, placeOf('3'), 'c3', '12')
    clock.now += 250
    expect(await elsewhere(ledger, 'recent')).toBe('42')
  })

  it('are not kept when they changed while they were added up', async () => {
    const { ledger, duringNextList } = setUp()
    duringNextList(() => open(ledger, placeOf('2'), 'c2', '30'))
    await elsewhere(ledger, 'recent')
    expect(await elsewhere(ledger, 'recent')).toBe('30')
  })

  it('stay as they are while vouchers are signed and receipts come in', async () => {
    const { ledger, lists } = setUp()
    const place = placeOf('2')
    const key = channelKey(place)
    const lease = await ledger.lease(key, patient)
    await ledger.apply(key, place, openSigned({ seed: 'c2', deposit: '30', cumulative: '1' }, place), { lease })
    await ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit: '30' }, { lease })
    expect(await elsewhere(ledger, 'recent')).toBe('30')
    await ledger.apply(key, place, { type: 'VOUCHER_SIGNED', cumulative: '5' }, { lease, voucher: '0x01' })
    await ledger.apply(key, place, { type: 'RECEIPT_ACCEPTED', accepted: '5', spent: '2', resource: 'http://x/y' })
    expect(await elsewhere(ledger, 'recent')).toBe('30')
    expect(lists()).toBe(1)
    await lease.release()
  })

  it('are the plain sum over the store, whoever changes what and when', async () => {
    const step = fc.record({
      who: fc.boolean(),
      digit: fc.constantFrom('1', '2', '3', '4'),
      deposit: fc.integer({ min: 1, max: 1_000 }).map(String),
      pauseMs: fc.constantFrom(0, 1, 249, 250, 1_000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, alone) => {
        const { clock, store, ledger, other } = setUp()
        const key = channelKey(HERE)
        const plainly = async (): Promise<string> =>
          (await store.list())
            .filter((record) => record.key !== key)
            .reduce((sum, record) => sum + BigInt(atStake(record)), 0n)
            .toString()
        const opened = new Map<string, string>()
        let at = 0
        for (const { who, digit, deposit, pauseMs } of steps) {
          clock.now += pauseMs
          at += 1
          const writer = alone || who ? ledger : other
          const before = opened.get(digit)
          if (before === undefined) {
            await open(writer, placeOf(digit), `c${at}`, deposit)
            opened.set(digit, deposit)
          } else {
            await gone(writer, placeOf(digit), before)
            opened.delete(digit)
          }
          const recent = await elsewhere(ledger, 'recent')
          if (alone) expect(recent).toBe(await plainly())
          expect(await elsewhere(ledger, 'now')).toBe(await plainly())
        }
      }),
      { numRuns: cases(200) },
    )
  })
})
