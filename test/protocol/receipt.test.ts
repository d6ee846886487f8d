// Receipts: strict in their types, deaf to members they do not know.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatReceipt, MAX_RECEIPT_BYTES, parseReceipt } from '../../src/protocol/index.js'
import { anyJson, assertTyped, damaged, RUNS, reasonOf, receipt, unwrap } from './arbitraries.js'

const H = `0x${'Cd'.repeat(32)}`
const wire = {
  method: 'tempo',
  intent: 'session',
  status: 'success',
  timestamp: '2026-11-22T10:00:00.000Z',
  reference: H,
  challengeId: 'abc',
  channelId: H,
  acceptedCumulative: '1000000',
  spent: '10000',
}
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('parseReceipt', () => {
  it('reads a receipt, amounts as bigint, hashes lower-cased, the reference as it is', () => {
    const lower = H.toLowerCase()
    const value = { ...wire, channelId: lower, acceptedCumulative: 1_000_000n, spent: 10_000n }
    expect(unwrap(parseReceipt(encode(wire)))).toEqual(value)
    const more = { ...wire, units: 12, txHash: H, externalId: 'x', __proto__: { a: 1 } }
    expect(unwrap(parseReceipt(encode(more)))).toEqual({ ...value, units: 12, txHash: lower })
  })

  it.each<[string, object]>([
    ['another method', { method: 'stripe' }],
    ['another intent', { intent: 'charge' }],
    ['a failure', { status: 'failed' }],
    ['a timestamp that is none', { timestamp: 'yesterday' }],
    ['no reference', { reference: undefined }],
    ['no challenge id', { challengeId: undefined }],
    ['a short channel id', { channelId: '0x12' }],
    ['an amount that is a number', { acceptedCumulative: 1 }],
    ['spent below zero', { spent: '-1' }],
    ['spent beyond uint96', { spent: '79228162514264337593543950336' }],
    ['units as text', { units: '12' }],
    ['units of null', { units: null }],
    ['units below zero', { units: -1 }],
    ['a transaction hash that is none', { txHash: '0x' }],
  ])('refuses %s', (_, change) => {
    expect(reasonOf(parseReceipt(encode({ ...wire, ...change })))).toBe('malformed')
  })

  it.each([
    [null, 'absent'],
    [undefined, 'absent'],
    ['', 'absent'],
    ['bnVsbA', 'malformed'],
    ['e30', 'malformed'],
    ['W10', 'malformed'],
    ['not a receipt', 'malformed'],
    [`${encode(wire)}=`, 'malformed'],
    [`${encode(wire)}, ${encode(wire)}`, 'malformed'],
    ['A'.repeat(MAX_RECEIPT_BYTES + 1), 'too_large'],
  ])('refuses %s', (header, reason) => {
    expect(reasonOf(parseReceipt(header))).toBe(reason)
  })

  it('reads back what was written', () => {
    fc.assert(
      fc.property(receipt, (value) => {
        expect(unwrap(parseReceipt(formatReceipt(value)))).toEqual(value)
      }),
      RUNS,
    )
  })

  it('is total over any text, any JSON and any damage', () => {
    const header = fc.oneof(
      damaged(receipt.map(formatReceipt)),
      damaged(fc.constant(JSON.stringify(wire))).map((json) => Buffer.from(json).toString('base64url')),
      anyJson(Object.keys(wire)).map(encode),
      fc
        .tuple(fc.constantFrom(...Object.keys(wire)), anyJson([]))
        .map(([name, value]) => encode({ ...wire, [name]: value })),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(header, (text) => {
        assertTyped(parseReceipt(text), ['absent', 'malformed'])
      }),
      RUNS,
    )
  })
})
