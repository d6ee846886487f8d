// What is read back is exactly what was written; older formats are brought up to date, newer and damaged ones refused.
// Must never accept an amount that a channel cannot hold.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SessionEvent, transitionSession } from '../../machines/index.js'
import { emptyRecord, RECORD_FORMAT, type SessionRecord } from '../../src/sessions/index.js'
import { readRecord } from '../../src/sessions/record-format.js'
import { KEY, openSigned, PLACE, placeOf, topUpSigned } from './channel-records.js'

const CHANNEL = `0x${'c'.repeat(64)}`

function after(...events: readonly SessionEvent[]): SessionRecord {
  let record = emptyRecord(KEY, PLACE, 1_000)
  for (const event of events) {
    const next = transitionSession(record, event)
    if (next === undefined) throw new Error(`${record.status} takes no ${event.type}`)
    record = { ...record, ...next, version: record.version + 1 }
  }
  return record
}

const OPENING = after(openSigned({ channelId: CHANNEL }))
const TOPPING_UP = after(
  openSigned({ channelId: CHANNEL }),
  { type: 'OPEN_CONFIRMED', deposit: '5000000' },
  { type: 'RESERVED', flow: 'flow-1', amount: '7', until: 2_000, now: 1_000 },
  { type: 'RECEIPT_ACCEPTED', accepted: '1000000', spent: '17' },
  topUpSigned(),
)

/** Through JSON, as every store does it. */
function stored(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** The record with one member, named by its path, replaced. */
function withMember(record: unknown, path: string, value: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(record))
  const names = path.split('.')
  const last = names.pop() ?? ''
  const owner = names.reduce((at, name) => at[name], copy)
  if (value === undefined) delete owner[last]
  else owner[last] = value
  return copy
}

/** The record as format 0 would have it. */
function inFormatZero(record: SessionRecord): unknown {
  const { seenAtBlock, adopted, ...session } = record.session
  const { reaching, ...pending } = session.pending ?? { reaching: null }
  expect([seenAtBlock, adopted]).toEqual([null, false])
  const { resource: _, ...secrets } = record.secrets
  return stored({ ...record, format: 0, secrets, session: { ...session, pending: reaching === null ? null : pending } })
}

/** What formats 0 and 1 had of a channel: nothing of answers that no receipt has acknowledged. */
function withoutAcknowledgement({ unacknowledged, reservations, ...session }: SessionRecord['session']) {
  expect(unacknowledged).toBe('0')
  return { ...session, reservations: reservations.map(({ spent: _, ...held }) => held) }
}

/** The record as format 1 would have it. */
function inFormatOne(record: SessionRecord): unknown {
  const { resource, ...secrets } = record.secrets
  expect(resource).toBeNull()
  return stored({ ...record, format: 1, secrets, session: withoutAcknowledgement(record.session) })
}

const damaged = expect.objectContaining({ name: 'UnreadableRecord', reason: 'damaged' })

describe('a stored record', () => {
  it.each([
    ['without a channel', emptyRecord(KEY, PLACE, 1_000)],
    ['of a channel that opens', OPENING],
    ['of a channel that is topped up', TOPPING_UP],
    [
      'of a channel that was closed',
      after(
        openSigned({ channelId: CHANNEL }),
        { type: 'OPEN_CONFIRMED', deposit: '5000000' },
        { type: 'CLOSE_CONFIRMED', settled: '1', refunded: '4999999' },
      ),
    ],
  ])('%s is read as it was written', (_, record) => {
    expect(readRecord(stored(record), KEY)).toEqual(record)
  })

  it('keeps the spelling of addresses: records are found by comparing them', () => {
    const place = placeOf('2', { payer: `0x${'aB'.repeat(20)}` })
    expect(readRecord(stored(emptyRecord(KEY, place, 1)), KEY).place.payer).toBe(place.payer)
  })

  it.each(['deposit', 'signed', 'accepted', 'spent', 'settled', 'refunded', 'pending.amount', 'pending.reaching'])(
    'is refused when %s is no amount that a channel can hold',
    (name) => {
      const wrong = ['', '-1', '1.5', '1e3', ' 1', '0x1', 1, true, {}, '9'.repeat(30), (1n << 96n).toString()]
      for (const value of wrong) {
        expect(() => readRecord(withMember(TOPPING_UP, `session.${name}`, value), KEY)).toThrow(damaged)
      }
    },
  )

  it.each([
    'session.reservations.0.amount',
    'session.reservations.0.until',
    'session.reservations.0.spent',
    'session.unacknowledged',
    'secrets.voucher',
    'secrets.pendingTransaction',
    'secrets.resource',
    'place.token',
    'session.channelId',
    'session.descriptor.salt',
    'status',
    'version',
    'key',
    'createdAt',
  ])('is refused when %s is missing or of another kind', (path) => {
    for (const value of [undefined, [], { a: 1 }, 'no such thing']) {
      expect(() => readRecord(withMember(TOPPING_UP, path, value), KEY)).toThrow(damaged)
    }
  })

  it('is refused when amounts contradict each other', () => {
    expect(() => readRecord(withMember(TOPPING_UP, 'session.accepted', '1000001'), KEY)).toThrow(/more was accepted/)
    expect(() => readRecord(withMember(TOPPING_UP, 'session.spent', '1000001'), KEY)).toThrow(/more was spent/)
    const voucher = { cumulative: '1000001', signature: '0xab' }
    expect(() => readRecord(withMember(TOPPING_UP, 'secrets.voucher', voucher), KEY)).toThrow(/more than was signed/)
  })

  it('is refused when it has a member that this version does not know', () => {
    expect(() => readRecord(withMember(OPENING, 'session.promised', '5'), KEY)).toThrow(damaged)
  })

  it('is refused as the record of another key', () => {
    expect(() => readRecord(stored(OPENING), `${KEY}#${CHANNEL}`)).toThrow(/another channel/)
  })

  it('never quotes what it holds when it is refused', () => {
    const secret = `0x${'5ec7e7'.repeat(8)}`
    const voucher = { cumulative: secret, signature: secret }
    for (const wrong of [
      withMember(OPENING, 'secrets.voucher', voucher),
      withMember(OPENING, 'secrets.pendingTransaction', `${secret}x`),
      withMember(OPENING, 'secrets.resource', { method: secret, query: '' }),
      withMember(OPENING, 'secrets.resource', { method: 'GET', query: secret }),
      withMember(OPENING, 'status', secret),
      withMember(OPENING, 'session.pending.kind', secret),
    ]) {
      expect(() => readRecord(wrong, KEY)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('5ec7e7') }),
      )
    }
  })

  it('is never read from anything that is no record', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => readRecord(value, KEY)).toThrow(damaged)
      }),
    )
  })
})

describe('formats', () => {
  it('from the future are refused, whatever they hold', () => {
    const newer = { format: RECORD_FORMAT + 1, everything: 'else' }
    expect(() => readRecord(newer, KEY)).toThrow(
      expect.objectContaining({
        name: 'UnreadableRecord',
        reason: 'newer_format',
        message: `it has record format ${RECORD_FORMAT + 1}, and this version of mpp-flow reads formats up to ${RECORD_FORMAT}`,
      }),
    )
  })

  it.each([
    ['an open by the deposit it brings', OPENING, '5000000'],
    ['a top-up by the deposit it reaches', TOPPING_UP, '10000000'],
  ])('0 is brought up to date: %s', (_, record, reaching) => {
    expect(record.session.pending?.reaching).toBe(reaching)
    expect(readRecord(inFormatZero(record), KEY)).toEqual(record)
  })

  it('0 is brought up to date where nothing is pending, and where a close is', () => {
    const empty = emptyRecord(KEY, PLACE, 1_000)
    expect(readRecord(inFormatZero(empty), KEY)).toEqual(empty)
    const closing = after(
      openSigned({ channelId: CHANNEL }),
      { type: 'OPEN_CONFIRMED', deposit: '5000000' },
      { type: 'CLOSE_SIGNED', cumulative: '1000000' },
    )
    expect(readRecord(inFormatZero(closing), KEY)).toEqual(closing)
  })

  it('1 is brought up to date: nothing is known of how its resource is asked', () => {
    for (const record of [emptyRecord(KEY, PLACE, 1_000), OPENING, TOPPING_UP]) {
      expect(readRecord(inFormatOne(record), KEY)).toEqual(record)
    }
    expect(() => readRecord(withMember(inFormatOne(OPENING), 'secrets', 5), KEY)).toThrow(damaged)
  })

  it('0 is refused when it is damaged', () => {
    const zero = withMember(inFormatZero(TOPPING_UP), 'session.pending.amount', 'five')
    expect(() => readRecord(zero, KEY)).toThrow(damaged)
    expect(() => readRecord({ format: 0 }, KEY)).toThrow(damaged)
  })
})
