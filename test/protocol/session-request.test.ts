// Session requests and snapshots: which session protocol is spoken, and strict types.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CHANNEL_RESERVE,
  type Challenge,
  encodeSessionRequest,
  formatSnapshot,
  parseSessionRequest,
  parseSnapshot,
  parseSnapshotHeader,
  type SessionSnapshot,
} from '../../src/protocol/index.js'
import { cases } from '../extent.js'
import { anyJson, assertTyped, damaged, RUNS, reasonOf, sessionRequest, snapshot, unwrap } from './arbitraries.js'

const A = `0x${'aB'.repeat(20)}`
const H = `0x${'Cd'.repeat(32)}`
const details = { chainId: 42431, escrowContract: CHANNEL_RESERVE, sessionProtocol: 'v2' }
const terms = { amount: '1000000', currency: A, recipient: A, methodDetails: details }

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const challengeOf = (request: string): Challenge => ({
  id: '1',
  realm: 'r',
  method: 'tempo',
  intent: 'session',
  request,
})
const parse = (value: unknown) => parseSessionRequest(challengeOf(encode(value)))
const withDetails = (change: object) => parse({ ...terms, methodDetails: { ...details, ...change } })

const descriptor = { payer: A, payee: A, operator: A, token: A, salt: H, authorizedSigner: A, expiringNonceHash: H }
const wireSnapshot = {
  acceptedCumulative: '1',
  chainId: 42431,
  channelId: H,
  deposit: '5',
  descriptor,
  escrow: A,
  requiredCumulative: '2',
  settled: '0',
  spent: '1',
}
const lowerDescriptor = Object.fromEntries(Object.entries(descriptor).map(([name, hex]) => [name, hex.toLowerCase()]))
const readSnapshot: unknown = {
  acceptedCumulative: 1n,
  chainId: 42431,
  channelId: H.toLowerCase(),
  deposit: 5n,
  descriptor: lowerDescriptor,
  escrow: A.toLowerCase(),
  requiredCumulative: 2n,
  settled: 0n,
  spent: 1n,
}

describe('parseSessionRequest', () => {
  it('reads the least a request has, addresses lower-cased', () => {
    expect(unwrap(parse(terms))).toEqual({
      amount: 1_000_000n,
      currency: A.toLowerCase(),
      recipient: A.toLowerCase(),
      chainId: 42431,
      escrowContract: CHANNEL_RESERVE,
      sessionProtocol: 'v2',
    })
  })

  it('reads the most a request has, and ignores what it does not know', () => {
    const more = { channelId: H, minVoucherDelta: '7', feePayer: true, feeToken: A, operator: A, other: [1] }
    const request = {
      ...terms,
      unitType: 'request',
      suggestedDeposit: '5000000',
      constructor: 'x',
      methodDetails: { ...details, ...more, sessionSnapshot: { ...wireSnapshot, highestVoucher: {} } },
    }
    expect(unwrap(parse(request))).toEqual({
      ...unwrap(parse(terms)),
      unitType: 'request',
      suggestedDeposit: 5_000_000n,
      channelId: H.toLowerCase(),
      minVoucherDelta: 7n,
      feePayer: true,
      feeToken: A.toLowerCase(),
      operator: A.toLowerCase(),
      snapshot: readSnapshot,
    })
  })

  it('is only for tempo sessions', () => {
    const challenge = challengeOf(encode(terms))
    for (const other of [{ method: 'stripe' }, { intent: 'charge' }, { method: 'Tempo' }, { intent: 'constructor' }]) {
      expect(reasonOf(parseSessionRequest({ ...challenge, ...other }))).toBe('not_a_tempo_session')
    }
  })

  it('tells the session protocols apart', () => {
    const { sessionProtocol: _, ...unnamed } = details
    const reserve = CHANNEL_RESERVE.toUpperCase().replace('0X', '0x')
    expect(parse({ ...terms, methodDetails: unnamed }).ok).toBe(true)
    expect(parse({ ...terms, methodDetails: { ...unnamed, escrowContract: reserve } }).ok).toBe(true)
    const { escrowContract: __, ...bare } = unnamed
    const named = { ...bare, sessionProtocol: 'v2' }
    expect(unwrap(parse({ ...terms, methodDetails: named })).escrowContract).toBe(CHANNEL_RESERVE)
    expect(unwrap(withDetails({ escrowContract: A })).escrowContract).toBe(A.toLowerCase())
    expect(reasonOf(parse({ ...terms, methodDetails: bare }))).toBe('unsupported_protocol')
    expect(reasonOf(parse({ ...terms, methodDetails: { ...unnamed, escrowContract: A } }))).toBe('unsupported_protocol')
    expect(reasonOf(withDetails({ sessionProtocol: 'v1' }))).toBe('unsupported_protocol')
    expect(reasonOf(withDetails({ sessionProtocol: 'V2' }))).toBe('unsupported_protocol')
    expect(reasonOf(withDetails({ sessionProtocol: 2 }))).toBe('malformed')
  })

  it.each<[string, object]>([
    ['amount as a number', { amount: 1 }],
    ['amount with a fraction', { amount: '1.5' }],
    ['amount beyond uint96', { amount: '79228162514264337593543950336' }],
    ['no amount', { amount: undefined }],
    ['a short address', { currency: '0x12' }],
    ['an address with other digits', { currency: `0x${'zz'.repeat(20)}` }],
    ['no recipient', { recipient: undefined }],
    ['a unit type that is no text', { unitType: 1 }],
    ['a deposit of null', { suggestedDeposit: null }],
    ['no details', { methodDetails: undefined }],
    ['details that are a list', { methodDetails: [details] }],
    ['a chain of null', { methodDetails: { ...details, chainId: null } }],
    ['a chain as text', { methodDetails: { ...details, chainId: '42431' } }],
    ['a chain that is no whole number', { methodDetails: { ...details, chainId: 1.5 } }],
    ['chain zero', { methodDetails: { ...details, chainId: 0 } }],
    ['an escrow that is no address', { methodDetails: { ...details, escrowContract: 'escrow' } }],
    ['a channel id of 31 bytes', { methodDetails: { ...details, channelId: `0x${'00'.repeat(31)}` } }],
    ['a fee payer that is no yes or no', { methodDetails: { ...details, feePayer: 'true' } }],
  ])('refuses %s', (_, change) => {
    expect(reasonOf(parse({ ...terms, ...change }))).toBe('malformed')
  })

  it('means the main network where it names no chain', () => {
    expect(unwrap(withDetails({ chainId: undefined })).chainId).toBe(4217)
  })

  it('reads every spelling of base64, and nothing that mixes them', () => {
    fc.assert(
      fc.property(sessionRequest, fc.string({ unit: 'binary', maxLength: 12 }), (value, note) => {
        const written = Buffer.from(encodeSessionRequest(value), 'base64url').toString()
        const json = Buffer.from(JSON.stringify({ ...JSON.parse(written), note }))
        const standard = json.toString('base64')
        const url = standard.replaceAll('+', '-').replaceAll('/', '_')
        for (const text of [standard, url, standard.replaceAll('=', ''), url.replaceAll('=', '')]) {
          expect(unwrap(parseSessionRequest(challengeOf(text)))).toEqual(value)
          expect(reasonOf(parseSessionRequest(challengeOf(`${text.replaceAll('=', '')}+_AA`)))).toBe('malformed')
        }
      }),
      { numRuns: cases(1_000) },
    )
    expect(reasonOf(parseSessionRequest(challengeOf(`${'A'.repeat(16_384)}====`)))).toBe('malformed')
  })

  it.each(['', 'e30', 'bnVsbA', 'W10', 'e30=', '!!'])('refuses the request text %j', (request) => {
    expect(reasonOf(parseSessionRequest(challengeOf(request)))).toBe('malformed')
  })

  it('leaves a malformed snapshot out and says why', () => {
    const request = unwrap(withDetails({ sessionSnapshot: { ...wireSnapshot, spent: -1 } }))
    expect(request.snapshot).toBeUndefined()
    expect(request.snapshotRefused).toContain('spent')
  })

  it('writes canonical JSON: names sorted, no white space', () => {
    const request = encodeSessionRequest({ ...unwrap(parse(terms)), suggestedDeposit: 5n, minVoucherDelta: 1n })
    expect(Buffer.from(request, 'base64url').toString()).toBe(
      `{"amount":"1000000","currency":"${A.toLowerCase()}","methodDetails":{"chainId":42431,"escrowContract":"${CHANNEL_RESERVE}",` +
        `"minVoucherDelta":"1","sessionProtocol":"v2"},"recipient":"${A.toLowerCase()}","suggestedDeposit":"5"}`,
    )
  })

  it('reads back what was written', () => {
    fc.assert(
      fc.property(sessionRequest, (value) => {
        expect(unwrap(parseSessionRequest(challengeOf(encodeSessionRequest(value))))).toEqual(value)
      }),
      RUNS,
    )
  })

  it('is total over any JSON and any damage', () => {
    const names = ['amount', 'currency', 'methodDetails', 'chainId', 'sessionProtocol', 'escrowContract']
    const near = damaged(
      fc.constant(JSON.stringify({ ...terms, methodDetails: { ...details, sessionSnapshot: wireSnapshot } })),
    )
    const text = fc.oneof(
      anyJson(names).map(encode),
      anyJson(names).map((methodDetails) => encode({ ...terms, methodDetails })),
      near.map((json) => Buffer.from(json).toString('base64url')),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(text, (request) => {
        const result = parseSessionRequest(challengeOf(request))
        assertTyped(result, ['unsupported_protocol', 'malformed'])
        if (result.ok) expect([typeof result.value.amount, result.value.sessionProtocol]).toEqual(['bigint', 'v2'])
      }),
      RUNS,
    )
  })
})

describe('snapshots', () => {
  it('reads the optional members and drops the unknown', () => {
    const value = { ...wireSnapshot, closeRequestedAt: '1795341600', units: 3, highestVoucher: { signature: '0x00' } }
    expect(unwrap(parseSnapshot(value))).toEqual({
      ...Object(readSnapshot),
      closeRequestedAt: 1_795_341_600n,
      units: 3,
    })
  })

  it.each<[string, object]>([
    ['units below zero', { units: -1 }],
    ['units with a fraction', { units: 0.5 }],
    ['a deposit that is a number', { deposit: 5 }],
    ['no descriptor', { descriptor: undefined }],
    ['a descriptor without its salt', { descriptor: { ...descriptor, salt: undefined } }],
    ['a channel id that is an address', { channelId: A }],
    ['a chain beyond safe integers', { chainId: 2 ** 53 }],
  ])('refuses %s', (_, change) => {
    expect(reasonOf(parseSnapshot({ ...wireSnapshot, ...change }))).toBe('malformed')
  })

  it('reads the header as base64url, and as the padded standard base64 that some servers write there', () => {
    const json = JSON.stringify({ ...wireSnapshot, note: '???>>>~~~' })
    for (const header of [Buffer.from(json).toString('base64'), Buffer.from(json).toString('base64url')]) {
      expect(unwrap(parseSnapshotHeader(header))).toEqual(readSnapshot)
    }
    expect(Buffer.from(json).toString('base64')).toMatch(/[+/=]/)
    const onlyPadded = [0, 1, 2].map((spaces) =>
      Buffer.from(JSON.stringify(wireSnapshot) + ' '.repeat(spaces)).toString('base64'),
    )
    expect(onlyPadded.filter((header) => /^[A-Za-z0-9]+=+$/.test(header))).toHaveLength(2)
    for (const header of onlyPadded) expect(unwrap(parseSnapshotHeader(header))).toEqual(readSnapshot)
    expect(reasonOf(parseSnapshotHeader(null))).toBe('absent')
    expect(reasonOf(parseSnapshotHeader(''))).toBe('malformed')
    expect(reasonOf(parseSnapshotHeader('A'.repeat(16_385)))).toBe('too_large')
    expect(reasonOf(parseSnapshotHeader(`${Buffer.from(json).toString('base64url')}-/`))).toBe('malformed')
  })

  it('reads back what was written, and is total over damage to it', () => {
    fc.assert(
      fc.property(snapshot, damaged(snapshot.map(formatSnapshot)), (value, near) => {
        expect(unwrap<SessionSnapshot>(parseSnapshotHeader(formatSnapshot(value)))).toEqual(value)
        assertTyped(parseSnapshotHeader(near), ['malformed'])
      }),
      RUNS,
    )
  })

  it('is total over any value', () => {
    const names = Object.keys(wireSnapshot)
    fc.assert(
      fc.property(fc.oneof(fc.anything(), anyJson(names)), fc.constantFrom(...names), (value, name) => {
        assertTyped(parseSnapshot(value), ['malformed'])
        assertTyped(parseSnapshot({ ...wireSnapshot, [name]: value }), ['malformed'])
      }),
      RUNS,
    )
  })
})
