// Credentials: the echo is exact, the payloads are told apart, and no refusal quotes one.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Credential,
  formatChallenge,
  formatCredential,
  formatSource,
  MAX_CREDENTIAL_BYTES,
  parseChallenges,
  parseCredential,
  parseSource,
} from '../../src/protocol/index.js'
import {
  address,
  anyJson,
  assertTyped,
  chainId,
  challenge,
  credential,
  damaged,
  descriptor,
  hexOf,
  payload,
  RUNS,
  reasonOf,
  unwrap,
} from './arbitraries.js'

const REASONS = ['absent', 'not_payment', 'too_large', 'malformed', 'unsupported_payload']
const sample = <T>(arbitrary: fc.Arbitrary<T>): T => {
  const [value] = fc.sample(arbitrary, { numRuns: 1, seed: 7 })
  if (value === undefined) throw new Error('no sample')
  return value
}
const challengeFields = { id: '1', realm: 'r', method: 'tempo', intent: 'session', request: 'e30' }
const voucher = {
  action: 'voucher' as const,
  channelId: sample(hexOf(32)),
  descriptor: sample(descriptor),
  cumulativeAmount: '1000000',
  signature: sample(hexOf(65)),
}
const open = {
  ...voucher,
  action: 'open' as const,
  type: 'transaction' as const,
  transaction: sample(hexOf(100)),
  authorizedSigner: voucher.descriptor.payer,
}
const { cumulativeAmount: _, signature: __, authorizedSigner: ___, ...transfer } = open
const topUp = { ...transfer, action: 'topUp' as const, additionalDeposit: '5' }
const source = 'did:pkh:eip155:42431:0x0000000000000000000000000000000000000001'

const encode = (value: unknown) => `Payment ${Buffer.from(JSON.stringify(value)).toString('base64url')}`
const parse = (change: object) =>
  parseCredential(encode({ challenge: challengeFields, source, payload: voucher, ...change }))
const wireOf = (header: string): unknown => JSON.parse(Buffer.from(header.slice(8), 'base64url').toString())

describe('formatCredential', () => {
  it('echoes the parameters received and nothing else', () => {
    const received = { ...challengeFields, expires: '2026-11-22T10:00:00Z', digest: 'sha-256=x', opaque: 'e30' }
    const extended = { ...received, description: 'd', refused: 'not a parameter' }
    expect(wireOf(formatCredential({ challenge: extended, source, payload: voucher }))).toEqual({
      challenge: { ...received, description: 'd' },
      source,
      payload: voucher,
    })
  })

  it('echoes request and opaque byte for byte, however they are encoded', () => {
    for (const request of ['eyJiIjoxLCAiYSI6Mn0', 'AB', '!not base64!', 'e30=', '']) {
      const header = formatChallenge({ ...challengeFields, request, opaque: request })
      const [received] = unwrap(parseChallenges(header)).challenges
      if (received === undefined) throw new Error('no challenge')
      const wire = wireOf(formatCredential({ challenge: received, source, payload: voucher }))
      expect(wire).toHaveProperty('challenge.request', request)
      expect(wire).toHaveProperty('challenge.opaque', request)
    }
  })

  it('is a scheme, one space, and base64url without padding', () => {
    expect(formatCredential({ challenge: challengeFields, source, payload: open })).toMatch(/^Payment [A-Za-z0-9_-]+$/)
  })

  it('echoes every challenge as received, through header and credential', () => {
    fc.assert(
      fc.property(challenge, payload, (value, body) => {
        const [received] = unwrap(parseChallenges(formatChallenge(value))).challenges
        if (received === undefined) throw new Error('no challenge')
        expect(wireOf(formatCredential({ challenge: received, source, payload: body }))).toHaveProperty(
          'challenge',
          value,
        )
      }),
      RUNS,
    )
  })
})

describe('parseCredential', () => {
  it.each([
    ['voucher', voucher],
    ['close', { ...voucher, action: 'close' as const }],
    ['open', open],
    ['topUp', topUp],
  ])('reads %s', (_, body) => {
    expect(unwrap(parse({ payload: body }))).toEqual({ challenge: challengeFields, source, payload: body })
  })

  it('takes the signer of an open from the descriptor when it is left out', () => {
    const { authorizedSigner: _, ...body } = open
    expect(unwrap(parse({ payload: body })).payload).toEqual({
      ...open,
      authorizedSigner: open.descriptor.authorizedSigner,
    })
  })

  it('lower-cases hex, and drops members it does not know', () => {
    const upper = { ...voucher, signature: `0x${voucher.signature.slice(2).toUpperCase()}`, extra: 1 }
    expect(unwrap(parse({ payload: upper, extra: 1 })).payload).toEqual(voucher)
  })

  it('takes the scheme in any case', () => {
    const header = encode({ challenge: challengeFields, source, payload: voucher })
    expect(parseCredential(header.replace('Payment', 'pAYMENT')).ok).toBe(true)
    expect(parseCredential(header.replace('Payment ', 'Payment  ')).ok).toBe(true)
  })

  it.each([
    [null, 'absent'],
    [undefined, 'absent'],
    ['', 'absent'],
    ['Bearer abc', 'not_payment'],
    ['Basic dXNlcg==', 'not_payment'],
    ['Payments e30', 'not_payment'],
    ['Payment=e30', 'not_payment'],
    ['Payment', 'malformed'],
    ['Payment ', 'malformed'],
    ['Payment e30', 'malformed'],
    ['Payment e30=', 'malformed'],
    ['Payment bnVsbA', 'malformed'],
    ['Payment e30, Bearer x', 'malformed'],
    [`Payment ${'A'.repeat(MAX_CREDENTIAL_BYTES)}`, 'too_large'],
  ])('refuses %s', (header, reason) => {
    expect(reasonOf(parseCredential(header))).toBe(reason)
  })

  it.each<[string, object]>([
    ['no source', { source: undefined }],
    ['a source that is no text', { source: 1 }],
    ['no payload', { payload: undefined }],
    ['a list as the payload', { payload: [voucher] }],
    ['no challenge', { challenge: undefined }],
    ['a challenge without an id', { challenge: { ...challengeFields, id: '' } }],
    ['a request that is an object', { challenge: { ...challengeFields, request: {} } }],
    ['an expiry of null', { challenge: { ...challengeFields, expires: null } }],
    ['an amount that is a number', { payload: { ...voucher, cumulativeAmount: 1 } }],
    ['an amount with a fraction', { payload: { ...voucher, cumulativeAmount: '1.0' } }],
    ['an amount beyond uint96', { payload: { ...voucher, cumulativeAmount: '79228162514264337593543950336' } }],
    ['an empty signature', { payload: { ...voucher, signature: '0x' } }],
    ['half a byte', { payload: { ...voucher, signature: '0x123' } }],
    ['a short channel id', { payload: { ...voucher, channelId: '0x12' } }],
    ['no descriptor', { payload: { ...voucher, descriptor: undefined } }],
    ['a transaction of another type', { payload: { ...topUp, type: 'hash' } }],
    ['an open without its transaction', { payload: { ...open, transaction: undefined } }],
  ])('refuses %s', (_, change) => {
    expect(reasonOf(parse(change))).toBe('malformed')
  })

  it('tells a payload of another kind from a malformed one', () => {
    for (const body of [
      { type: 'hash', hash: '0x00' },
      { ...voucher, action: 'refund' },
      { action: '__proto__' },
      {},
    ]) {
      expect(reasonOf(parse({ payload: body }))).toBe('unsupported_payload')
    }
    expect(reasonOf(parse({ payload: {}, challenge: {} }))).toBe('malformed')
  })

  it('does not quote the credential in a refusal', () => {
    const marked = { ...voucher, signature: '0xs3cret', cumulativeAmount: 's3cret', action: 'voucher' }
    for (const change of [{ payload: marked }, { payload: { ...marked, action: 's3cret' } }, { source: ['s3cret'] }]) {
      expect(JSON.stringify(parse(change))).not.toContain('s3cret')
    }
    expect(JSON.stringify(parseCredential('Payment s3cret!'))).not.toContain('s3cret')
    expect(JSON.stringify(parseCredential('Bearer s3cret'))).not.toContain('s3cret')
  })

  it('reads back what was written', () => {
    fc.assert(
      fc.property(credential, (value: Credential) => {
        const header = formatCredential(value)
        if (header.length > MAX_CREDENTIAL_BYTES) expect(reasonOf(parseCredential(header))).toBe('too_large')
        else expect(unwrap(parseCredential(header))).toEqual(value)
      }),
      RUNS,
    )
  })

  it('is total over any text, any JSON and any damage', () => {
    const names = ['challenge', 'payload', 'source', 'action', 'descriptor', ...Object.keys(challengeFields)]
    const near = damaged(credential.map((value) => JSON.stringify(value)))
    const header = fc.oneof(
      damaged(credential.map(formatCredential)),
      near.map((json) => `Payment ${Buffer.from(json).toString('base64url')}`),
      anyJson(names).map(encode),
      anyJson(names).map((body) => encode({ challenge: challengeFields, source, payload: body })),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }).map((text) => `Payment ${text}`),
    )
    fc.assert(
      fc.property(header, (text) => {
        assertTyped(parseCredential(text), REASONS)
      }),
      RUNS,
    )
  })
})

describe('source', () => {
  it.each([
    '',
    'did:pkh:eip155:1',
    'did:pkh:eip155:0:0x0000000000000000000000000000000000000001',
    'did:pkh:eip155:01:0x0000000000000000000000000000000000000001',
    'did:pkh:eip155:9999999999999999:0x0000000000000000000000000000000000000001',
    'did:pkh:eip155:1:0x00000000000000000000000000000000000001',
    'did:pkh:eip155:1:0x0000000000000000000000000000000000000001\n',
    ' did:pkh:eip155:1:0x0000000000000000000000000000000000000001',
    'did:pkh:solana:1:0x0000000000000000000000000000000000000001',
  ])('refuses %j', (text) => {
    expect(reasonOf(parseSource(text))).toBe('malformed')
  })

  it('reads back what was written, in lower case, and is total over damage', () => {
    const written = fc.tuple(chainId, address).map(([id, payer]) => formatSource(id, payer))
    fc.assert(
      fc.property(chainId, address, fc.oneof(damaged(written), fc.string({ unit: 'binary' })), (id, payer, text) => {
        expect(unwrap(parseSource(formatSource(id, payer)))).toEqual({ chainId: id, payer })
        const upper = formatSource(id, `0x${payer.slice(2).toUpperCase()}`)
        expect(unwrap(parseSource(upper))).toEqual({ chainId: id, payer })
        assertTyped(parseSource(text), ['malformed'])
      }),
      RUNS,
    )
  })
})
