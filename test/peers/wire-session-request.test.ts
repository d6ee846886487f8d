// Session requests (what a challenge asks for) and snapshots: ours against mppx's.
// Must never count a difference that the tables do not explain.
import fc from 'fast-check'
import { PaymentRequest } from 'mppx'
import { Methods, Session } from 'mppx/tempo'
import { afterAll, describe, expect, it } from 'vitest'
// The package exports its server, not the reader inside that server; this is the file the server itself runs.
import {
  getChallengePaymentFields,
  resolveVerificationRequest,
} from '../../node_modules/mppx/dist/tempo/session/server/RequestState.js'
import {
  CHANNEL_RESERVE,
  decodeJson,
  encodeSessionRequest,
  formatSnapshot,
  parseSessionRequest,
  parseSnapshotHeader,
  snapshotToWire,
} from '../../src/protocol/index.js'
import { cases } from '../extent.js'
import { hexOf, sessionRequest, snapshot as snapshots } from '../protocol/arbitraries.js'
import { documentIn, isObject, withLowerHex } from './wire-anatomy.js'
import {
  attempt,
  CASES,
  DAMAGED_RUNS,
  Differential,
  ours,
  PATIENCE,
  type Reading,
  SEED,
  SINGLE_RUNS,
  VALID_RUNS,
} from './wire-differential.js'
import { editDocument, edits, layers } from './wire-mutations.js'
import { requestTable, snapshotTable } from './wire-session-request-table.js'

const AMOUNTS = ['amount', 'suggestedDeposit', 'minVoucherDelta']
const TERMS = ['amount', 'unitType', 'suggestedDeposit', 'currency', 'recipient']
const DETAILS = ['chainId', 'escrowContract', 'channelId', 'minVoucherDelta', 'feePayer', 'feeToken', 'operator']

function readOurs(request: string): Reading<unknown> {
  const reading = ours(parseSessionRequest({ id: '1', realm: 'r', method: 'tempo', intent: 'session', request }))
  if (!reading.accepted) return reading
  // What was understood, written down again: so it can be held against what they read.
  const again = decodeJson(encodeSessionRequest(reading.value))
  return { accepted: true, value: again.ok ? terms(again.value) : null }
}

/** Their server's reading of the request that a challenge carries, and the amounts as the numbers it makes of them. */
function readTheirs(text: string): unknown {
  const request = PaymentRequest.deserialize(text)
  getChallengePaymentFields({ id: '1', realm: 'r', method: 'tempo', intent: 'session', request })
  return terms(resolveVerificationRequest(request))
}

/** The members that both know. A snapshot is compared by itself, below. */
function terms(request: unknown): unknown {
  const { methodDetails, ...rest } = isObject(request) ? request : {}
  const known = (value: unknown, names: readonly string[]) =>
    names.flatMap((name) => {
      const member = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
      if (member === undefined) return []
      return [[name, AMOUNTS.includes(name) && typeof member === 'string' ? BigInt(member).toString() : member]]
    })
  return { ...Object.fromEntries(known(rest, TERMS)), methodDetails: Object.fromEntries(known(methodDetails, DETAILS)) }
}

/** Their server insists on a unit type and their schema on an amount above zero; ours does not know a default unit. */
const requests = fc
  .tuple(sessionRequest, fc.string({ unit: 'binary', maxLength: 12 }))
  .map(([request, unitType]) => ({ ...request, unitType }))

const requestBooks = new Differential('session requests', requestTable)
const snapshotBooks = new Differential('session snapshots', snapshotTable)
afterAll(() => console.log(`${requestBooks.report()}\n${snapshotBooks.report()}`))

describe('session requests, ours and theirs', () => {
  it(
    'agree on every valid one, to the byte',
    () => {
      fc.assert(
        fc.property(requests, (request) => {
          const text = encodeSessionRequest(request)
          requestBooks.agree(
            text,
            readOurs(text),
            attempt(() => readTheirs(text)),
          )
          // Their canonical JSON of the same value is the same text.
          expect(PaymentRequest.serialize(PaymentRequest.deserialize(text))).toBe(text)
        }),
        { numRuns: SINGLE_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'read what their method writes from its own options',
    () => {
      const options = fc.record(
        {
          amount: fc.bigInt({ min: 1n, max: (1n << 96n) - 1n }).map(String),
          currency: hexOf(20),
          decimals: fc.constant(0),
          unitType: fc.constantFrom('request', 'token'),
          recipient: hexOf(20),
          chainId: fc.constantFrom(4217, 42431),
          escrowContract: fc.constant(CHANNEL_RESERVE),
          suggestedDeposit: fc.bigInt({ min: 1n, max: (1n << 96n) - 1n }).map(String),
          minVoucherDelta: fc.nat().map(String),
          feePayer: fc.boolean(),
          operator: hexOf(20),
        },
        { requiredKeys: ['amount', 'currency', 'decimals', 'unitType', 'recipient', 'chainId', 'escrowContract'] },
      )
      fc.assert(
        fc.property(options, (value) => {
          const text = PaymentRequest.serialize(PaymentRequest.fromMethod(Methods.session, { ...value }))
          requestBooks.agree(
            text,
            readOurs(text),
            attempt(() => readTheirs(text)),
          )
        }),
        { numRuns: cases(1_000), seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    () => {
      fc.assert(
        fc.property(requests, edits, layers, ({ snapshot: _, ...request }, list, layer) => {
          const text = editDocument(documentIn(encodeSessionRequest(request)), list, layer)
          requestBooks.judge(
            text,
            readOurs(text),
            attempt(() => readTheirs(text)),
          )
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(requestBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(requestTable.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example }) => {
    const books = new Differential('example', requestTable)
    expect(
      books.judge(
        example,
        readOurs(example),
        attempt(() => readTheirs(example)),
      ),
    ).toBe(name)
  })
})

function readSnapshot(header: string): Reading<unknown> {
  const reading = ours(parseSnapshotHeader(header))
  return reading.accepted ? { accepted: true, value: withLowerHex(snapshotToWire(reading.value)) } : reading
}

/** Theirs checks shapes here and makes numbers of the amounts where it uses them; letter case of hex means nothing. */
function readTheirSnapshot(header: string): unknown {
  const { highestVoucher: _, ...snapshot } = Session.deserializeSnapshot(header)
  const { acceptedCumulative, closeRequestedAt, deposit, requiredCumulative, settled, spent } = snapshot
  const decimal = (text: string) => BigInt(text).toString()
  return withLowerHex({
    ...snapshot,
    acceptedCumulative: decimal(acceptedCumulative),
    ...(closeRequestedAt !== undefined && { closeRequestedAt: decimal(closeRequestedAt) }),
    deposit: decimal(deposit),
    requiredCumulative: decimal(requiredCumulative),
    settled: decimal(settled),
    spent: decimal(spent),
  })
}

describe('snapshots, ours and theirs', () => {
  it(
    'agree on every valid one, in both alphabets',
    () => {
      fc.assert(
        fc.property(snapshots, (snapshot) => {
          const value = snapshotToWire(snapshot)
          const header = formatSnapshot(snapshot)
          snapshotBooks.agree(
            header,
            { accepted: true, value },
            attempt(() => readTheirSnapshot(header)),
          )
          const written = Session.serializeSnapshot(Session.deserializeSnapshot(header))
          snapshotBooks.agree(written, readSnapshot(written), { accepted: true, value })
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
        fc.property(snapshots, edits, layers, fc.boolean(), (snapshot, list, layer, standard) => {
          const text = editDocument(snapshotToWire(snapshot), list, layer)
          const header = standard ? Buffer.from(text, 'base64url').toString('base64') : text
          snapshotBooks.judge(
            header,
            readSnapshot(header),
            attempt(() => readTheirSnapshot(header)),
          )
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(snapshotBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(snapshotTable.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example }) => {
    const books = new Differential('example', snapshotTable)
    expect(
      books.judge(
        example,
        readSnapshot(example),
        attempt(() => readTheirSnapshot(example)),
      ),
    ).toBe(name)
  })
})
