// Receipts: ours against mppx's, on valid ones and on damaged ones.
// Must never count a difference that the table below does not explain.
import fc from 'fast-check'
import { Receipt as MppxReceipt } from 'mppx'
import { Session } from 'mppx/tempo'
import { afterAll, describe, expect, it } from 'vitest'
import { formatReceipt, MAX_RECEIPT_BYTES, parseReceipt, type Receipt } from '../../src/protocol/index.js'
import { receipt as receipts } from '../protocol/arbitraries.js'
import {
  documentIn,
  encodingDifferences,
  hasCapitalHex,
  isHexOf,
  isRealMoment,
  isUint96Text,
  looksLikeDateTime,
  memberAt,
} from './wire-anatomy.js'
import {
  attempt,
  CASES,
  DAMAGED_RUNS,
  type Difference,
  Differential,
  ours,
  PATIENCE,
  type Reading,
  SEED,
  VALID_RUNS,
} from './wire-differential.js'
import { base64url, editDocument, edits, layers } from './wire-mutations.js'

type Read = Record<keyof Receipt, unknown>

const { Receipt: SessionReceipt } = Session.Precompile

/** Theirs is what both of their readers accept: the general one knows dates, the session's knows its members. */
function readTheirs(text: string): Read {
  MppxReceipt.deserialize(text)
  const read = SessionReceipt.deserializeSessionReceipt(text)
  // Their client turns the amounts into numbers before it uses them, and so refuses there.
  return pick({ ...read, acceptedCumulative: BigInt(read.acceptedCumulative), spent: BigInt(read.spent) })
}

/** Both keep more than the members of a receipt, or less; these are the ones they must agree on. */
function pick(read: Partial<Read>): Read {
  const { method, intent, status, timestamp, reference, challengeId, channelId } = read
  const { acceptedCumulative, spent, units, txHash } = read
  return {
    method,
    intent,
    status,
    timestamp,
    reference,
    challengeId,
    channelId,
    acceptedCumulative,
    spent,
    units,
    txHash,
  }
}

function readOurs(text: string): Reading<Read> {
  const reading = ours(parseReceipt(text))
  return reading.accepted ? { accepted: true, value: pick(reading.value) } : reading
}

const H = `0x${'cd'.repeat(32)}`
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
const example = (change: object) => base64url(JSON.stringify({ ...wire, ...change }))
const member = (text: string, name: string) => memberAt(documentIn(text), name)

const table: readonly Difference<string, Read>[] = [
  ...encodingDifferences<string, Read>(
    (text) => text,
    (text) => text,
    wire,
  ),
  {
    name: 'longer than 16 KB',
    side: 'only theirs accepts',
    why: 'a header of a hostile server must not cost memory; no receipt comes near the bound',
    applies: (text) => text.length > MAX_RECEIPT_BYTES,
    example: example({ reference: 'x'.repeat(MAX_RECEIPT_BYTES) }),
  },
  {
    name: 'an amount that is no uint96 in decimal digits',
    side: 'only theirs accepts',
    why: 'theirs takes whatever the engine makes a big integer of: empty text, hex, signs, white space, any size',
    applies: (text) => ['acceptedCumulative', 'spent'].some((name) => !isUint96Text(member(text, name))),
    example: example({ spent: '0x10' }),
  },
  {
    name: 'a channel id or transaction hash that is not 32 bytes',
    side: 'only theirs accepts',
    why: 'theirs asks for text only; a receipt for something that is no channel is of no use',
    applies: (text) => {
      const txHash = member(text, 'txHash')
      return !isHexOf(member(text, 'channelId'), 32) || (txHash !== undefined && !isHexOf(txHash, 32))
    },
    example: example({ channelId: '0x12' }),
  },
  {
    name: 'units that are no whole number',
    side: 'only theirs accepts',
    why: 'units count deliveries; fractions, negative and inexact numbers are refused',
    applies: (text) => {
      const units = member(text, 'units')
      return typeof units === 'number' && !(Number.isSafeInteger(units) && units >= 0)
    },
    example: example({ units: 1.5 }),
  },
  {
    name: 'a date-time that names no moment, or is finer than nanoseconds',
    side: 'only theirs accepts',
    why: 'their pattern takes the thirtieth of February and a leap second; RFC 3339 leaves the former out, and no clock has the latter',
    applies: (text) => {
      const time = member(text, 'timestamp')
      return looksLikeDateTime(time) && (!isRealMoment(time) || /\.\d{10}/.test(time))
    },
    example: example({ timestamp: '2026-02-30T10:00:00Z' }),
  },
  {
    name: 'a date-time with small letters',
    side: 'only ours accepts',
    why: 'RFC 3339 §5.6 allows `t` and `z`',
    applies: (text) => {
      const time = member(text, 'timestamp')
      return typeof time === 'string' && /[tz]/.test(time) && looksLikeDateTime(time.toUpperCase())
    },
    example: example({ timestamp: '2026-11-22t10:00:00z' }),
  },
  {
    name: 'a member of other payment methods with a wrong type',
    side: 'only ours accepts',
    why: 'a session receipt has no `externalId` and no `subscriptionId`; ours ignores members it does not know',
    applies: (text) =>
      ['externalId', 'subscriptionId'].some((name) => !['undefined', 'string'].includes(typeof member(text, name))),
    example: example({ externalId: 1 }),
  },
  {
    name: 'hex with capitals',
    side: 'read differently',
    why: 'letter case of hex means nothing; ours hands out lower case, so that ids can be compared',
    applies: (text, a, b) =>
      hasCapitalHex([member(text, 'channelId'), member(text, 'txHash')]) &&
      a.accepted &&
      b.accepted &&
      String(a.value.channelId) === String(b.value.channelId).toLowerCase() &&
      String(a.value.txHash) === String(b.value.txHash).toLowerCase(),
    example: example({ channelId: `0x${'CD'.repeat(32)}` }),
  },
]

const books = new Differential('receipts', table)
afterAll(() => console.log(books.report()))

describe('receipts, ours and theirs', () => {
  it(
    'agree on every valid one, whoever wrote it, to the byte',
    () => {
      fc.assert(
        fc.property(receipts, (receipt) => {
          const text = formatReceipt(receipt)
          const read = readTheirs(text)
          books.agree(text, { accepted: true, value: pick(receipt) }, { accepted: true, value: read })
          const { acceptedCumulative, spent, ...rest } = receipt
          const written = SessionReceipt.serializeSessionReceipt({
            ...SessionReceipt.createSessionReceipt({
              challengeId: rest.challengeId,
              channelId: rest.channelId,
              acceptedCumulative,
              spent,
              ...(rest.units !== undefined && { units: rest.units }),
              ...(rest.txHash !== undefined && { txHash: rest.txHash }),
            }),
            timestamp: rest.timestamp,
            reference: rest.reference,
          })
          expect(written).toBe(text)
          books.agree(written, readOurs(written), { accepted: true, value: pick(receipt) })
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    () => {
      fc.assert(
        fc.property(receipts, edits, layers, (receipt, list, layer) => {
          const document = documentIn(formatReceipt(receipt))
          const text = editDocument(document, list, layer)
          books.judge(
            text,
            readOurs(text),
            attempt(() => readTheirs(text)),
          )
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(books.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(table.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example: text }) => {
    expect(
      new Differential('example', table).judge(
        text,
        readOurs(text),
        attempt(() => readTheirs(text)),
      ),
    ).toBe(name)
  })
})
