// Challenges: the header grammar, what is echoed, and what one bad challenge does to the others.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Challenge,
  credentialHeaderOf,
  expiresAt,
  formatChallenge,
  MAX_CHALLENGE_HEADER_BYTES,
  parseChallenges,
} from '../../src/protocol/index.js'
import { assertTyped, challenge, damaged, fieldText, RUNS, reasonOf, unwrap } from './arbitraries.js'

const REASONS = ['absent', 'too_large', 'malformed', 'none_usable']
const MINIMAL = 'id="1", realm="r", method="tempo", intent="session", request="e30"'

const only = (header: string): Challenge => {
  const list = unwrap(parseChallenges(header))
  expect(list.challenges).toHaveLength(1)
  const [first] = list.challenges
  if (first === undefined) throw new Error('no challenge')
  return first
}
const ids = (header: string) => unwrap(parseChallenges(header)).challenges.map((one) => one.id)

describe('parseChallenges: one challenge', () => {
  it('reads every parameter as it was sent', () => {
    const header =
      'Payment id="abc", realm="api.example.com", method="tempo", intent="session", request="eyJhIjoxfQ", ' +
      'expires="2026-11-22T10:00:00Z", digest="sha-256=:AAAA:", description="One turn", opaque="e30"'
    expect(only(header)).toEqual({
      id: 'abc',
      realm: 'api.example.com',
      method: 'tempo',
      intent: 'session',
      request: 'eyJhIjoxfQ',
      expires: '2026-11-22T10:00:00Z',
      digest: 'sha-256=:AAAA:',
      description: 'One turn',
      opaque: 'e30',
    })
  })

  it('leaves out what was not sent', () => {
    expect(Object.keys(only(`Payment ${MINIMAL}`))).toEqual(['id', 'realm', 'method', 'intent', 'request'])
  })

  it('takes names and scheme in any case, values as they are', () => {
    expect(only('pAYMENT ID="Ab", Realm="R", METHOD="tempo", Intent="session", rEquest="E30"')).toEqual({
      id: 'Ab',
      realm: 'R',
      method: 'tempo',
      intent: 'session',
      request: 'E30',
    })
  })

  it('takes unquoted tokens, and white space where the grammar has it', () => {
    expect(only('Payment id = 1\t,realm= "r" ,, method =tempo , intent=session,request=e30').id).toBe('1')
  })

  it('refuses an unquoted value that is no token', () => {
    expect(reasonOf(parseChallenges(`Payment ${MINIMAL}, expires=2026-11-22T10:00:00Z`))).toBe('none_usable')
  })

  it('ignores unknown parameters, also those named like members of every object', () => {
    const header = `Payment constructor="a", __proto__="b", toString="c", hasOwnProperty=d, ${MINIMAL}, heading="X-A"`
    expect(Object.keys(only(header))).toEqual(['id', 'realm', 'method', 'intent', 'request'])
    expect(reasonOf(parseChallenges('Payment constructor="a", __proto__="b"'))).toBe('none_usable')
  })

  it('unescapes quoted pairs', () => {
    expect(only(`Payment ${MINIMAL}, opaque="a\\"b\\\\c\\d, Payment id=\\"2\\""`).opaque).toBe(
      'a"b\\cd, Payment id="2"',
    )
  })

  it('decodes \\uXXXX above Latin-1 in the description and nowhere else', () => {
    const header = `Payment ${MINIMAL}, description="\\u2014\\u00e9\\u001b\\\\u2014\\u20", opaque="\\u2014"`
    expect(only(header).description).toBe('—u00e9u001b\\u2014u20')
    expect(only(header).opaque).toBe('u2014')
    expect(only(`Payment ${MINIMAL}, description="\\ud83d\\ude00"`).description).toBe('😀')
  })

  it('reads a challenge of 4 KB and one that fills 16 KB, and refuses one more byte', () => {
    const request = 'A'.repeat(4096)
    expect(only(`Payment ${MINIMAL.replace('e30', request)}`).request).toBe(request)
    const frame = `Payment ${MINIMAL.replace('e30', '')}`
    const full = `Payment ${MINIMAL.replace('e30', 'A'.repeat(MAX_CHALLENGE_HEADER_BYTES - frame.length))}`
    expect(full).toHaveLength(MAX_CHALLENGE_HEADER_BYTES)
    expect(parseChallenges(full).ok).toBe(true)
    expect(reasonOf(parseChallenges(`${full} `))).toBe('too_large')
  })

  it.each(['id', 'realm', 'method', 'intent', 'request'])('needs %s', (name) => {
    const header = `Payment ${MINIMAL.replace(new RegExp(`${name}="[^"]*"`), 'other="x"')}`
    const result = parseChallenges(header)
    expect(reasonOf(result)).toBe('none_usable')
    expect(result).toHaveProperty('detail', expect.stringContaining(name))
  })

  it('needs an id that is not empty; other values may be', () => {
    expect(reasonOf(parseChallenges(`Payment ${MINIMAL.replace('"1"', '""')}`))).toBe('none_usable')
    expect(only(`Payment ${MINIMAL.replace('"r"', '""')}`).realm).toBe('')
  })

  it.each([
    ['a parameter twice', `Payment ${MINIMAL}, realm="r"`],
    ['a parameter twice in another case', `Payment ${MINIMAL}, ID="1"`],
    ['an unknown parameter twice', `Payment ${MINIMAL}, x=1, x=1`],
    ['a value without its end', `Payment ${MINIMAL}, opaque="e30`],
    ['a value that ends in its escape', `Payment ${MINIMAL}, opaque="e30\\"`],
    ['no comma between parameters', `Payment ${MINIMAL} opaque="e30"`],
    ['text after a value', `Payment ${MINIMAL}, opaque="e30"x`],
    ['a parameter without a value', `Payment ${MINIMAL}, opaque=`],
    ['a token68', 'Payment e30='],
    ['the bare scheme', 'Payment'],
    ['a semicolon for a comma', `Payment ${MINIMAL.replaceAll(',', ';')}`],
  ])('refuses %s', (_, header) => {
    expect(reasonOf(parseChallenges(header))).toBe('none_usable')
  })

  it('keeps the header that the credential goes into, and lets it be one of two', () => {
    const named = (header: string) => credentialHeaderOf(only(`Payment ${MINIMAL}, header="${header}"`))
    expect(credentialHeaderOf(only(`Payment ${MINIMAL}`))).toEqual({ ok: true, value: 'authorization' })
    expect(only(`Payment ${MINIMAL}, header="Payment-Authorization"`).header).toBe('Payment-Authorization')
    expect(named('Payment-Authorization')).toEqual({ ok: true, value: 'payment-authorization' })
    expect(named('AUTHORIZATION')).toEqual({ ok: true, value: 'authorization' })
    for (const other of ['Cookie', 'Host', 'X-Pay']) expect(reasonOf(named(other))).toBe('unsupported_header')
    expect(reasonOf(parseChallenges(`Payment ${MINIMAL}, header="a b"`))).toBe('none_usable')
  })

  it.each(['\r', '\n', '\0', '\r\n', '\u001b', '\u007f'])('refuses a header with the control character %j', (char) => {
    expect(reasonOf(parseChallenges(`Payment ${MINIMAL}, description="a${char}b"`))).toBe('malformed')
    expect(reasonOf(parseChallenges(`Payment${char}${MINIMAL}`))).toBe('malformed')
  })

  it('says that a header is absent, or has no payment challenge, or is no list of challenges', () => {
    for (const header of [null, undefined, '', ' , ', 'Bearer realm="x"', 'Basic', 'Paymentx id="1"']) {
      expect(reasonOf(parseChallenges(header))).toBe('absent')
    }
    for (const header of ['"Payment id=1"', '=', 'id="1"', '@ Payment id="1"']) {
      expect(reasonOf(parseChallenges(header))).toBe('malformed')
    }
  })
})

describe('parseChallenges: several', () => {
  const payment = (id: string) => `Payment ${MINIMAL.replace('"1"', `"${id}"`)}`

  it.each([
    ['two of ours', `${payment('1')}, ${payment('2')}`, ['1', '2']],
    ['Bearer before', `Bearer realm="x", error="Payment id=\\"9\\"", ${payment('1')}`, ['1']],
    ['Bearer after', `${payment('1')}, Bearer`, ['1']],
    ['Basic with a token68 between', `${payment('1')}, Basic dXNlcg==, ${payment('2')}`, ['1', '2']],
    ['Negotiate without anything', `Negotiate, ${payment('1')}`, ['1']],
    ['Digest with commas in quotes', `Digest qop="auth,auth-int", nonce="Payment id=", ${payment('1')}`, ['1']],
    ['a token68 that is called Payment', `Bearer Payment, ${payment('1')}`, ['1']],
    ['a parameter that is called Payment', `Bearer payment="x", ${payment('1')}`, ['1']],
    ['a parameter called Payment with spaces', `Bearer realm="a", Payment = "x", ${payment('1')}`, ['1']],
    ['empty elements', `,, ${payment('1')} ,\t, ${payment('2')},`, ['1', '2']],
    ['a scheme that starts like ours', `PaymentX ${MINIMAL}, ${payment('1')}`, ['1']],
  ])('reads %s', (_, header, expected) => {
    expect(ids(header)).toEqual(expected)
  })

  it.each([
    ['incomplete', 'Payment id="bad"', 'missing_parameter'],
    ['duplicated', `${payment('bad')}, id="again"`, 'duplicate_parameter'],
    ['a token68', 'Payment e30=', 'malformed'],
    ['garbled', 'Payment id=@@"x, y", realm="r"', 'malformed'],
    ['missing a comma', 'Payment id="bad" realm="r"', 'malformed'],
    [
      'garbled around a quoted one',
      'Payment id=@"a, Payment id=9, realm=r, method=m, intent=i, request=q, "',
      'malformed',
    ],
  ])('reads the neighbours of a challenge that is %s', (_, bad, reason) => {
    const list = unwrap(parseChallenges(`${payment('1')}, ${bad}, ${payment('2')}`))
    expect(list.challenges.map((one) => one.id)).toEqual(['1', '2'])
    expect(list.refused.map((one) => one.reason)).toEqual([reason])
  })

  it('keeps what came before a quote that never ends', () => {
    const list = unwrap(parseChallenges(`${payment('1')}, Payment id="bad, ${payment('2').replaceAll('"', '')}`))
    expect(list.challenges.map((one) => one.id)).toEqual(['1'])
    expect(list.refused).toHaveLength(1)
  })

  it('does not quote the header in a refusal', () => {
    const result = parseChallenges('Payment id="s3cret", realm="s3cret", realm="s3cret"')
    expect(JSON.stringify(result)).not.toContain('s3cret')
  })
})

describe('expiresAt', () => {
  const at = (expires: string) => expiresAt({ ...only(`Payment ${MINIMAL}`), expires })

  it('is undefined when the challenge does not say', () => {
    expect(unwrap(expiresAt(only(`Payment ${MINIMAL}`)))).toBeUndefined()
  })

  it.each([
    ['2026-11-22T10:00:00Z', Date.UTC(2026, 10, 22, 10)],
    ['2026-11-22t10:00:00z', Date.UTC(2026, 10, 22, 10)],
    ['2026-11-22T10:00:00.5Z', Date.UTC(2026, 10, 22, 10, 0, 0, 500)],
    ['2026-11-22T10:00:00.123456789Z', Date.UTC(2026, 10, 22, 10, 0, 0, 123)],
    ['2026-11-22T12:30:00+02:30', Date.UTC(2026, 10, 22, 10)],
    ['2026-11-22T05:00:00-05:00', Date.UTC(2026, 10, 22, 10)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['0001-01-01T00:00:00Z', Date.parse('0001-01-01T00:00:00Z')],
  ])('reads %s', (text, expected) => {
    expect(unwrap(at(text))).toBe(expected)
  })

  it.each([
    '',
    '2026-11-22',
    '2026-11-22T10:00:00',
    '2026-11-22 10:00:00Z',
    '2026-11-22T10:00Z',
    '2026-11-22T10:00:00,5Z',
    '2026-11-22T10:00:00.Z',
    '2026-11-22T10:00:00+0230',
    '2026-11-22T10:00:00+24:00',
    '2026-11-22T10:00:00+00:60',
    '2026-11-22T24:00:00Z',
    '2026-11-22T10:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-13-10T00:00:00Z',
    '2026-11-00T00:00:00Z',
    '2026-11-31T00:00:00Z',
    '26-11-22T10:00:00Z',
    '+2026-11-22T10:00:00Z',
    ' 2026-11-22T10:00:00Z',
    '2026-11-22T10:00:00Z\n',
    'Sun, 22 Nov 2026 10:00:00 GMT',
    '1795341600',
    '２０２６-11-22T10:00:00Z',
  ])('refuses %j', (text) => {
    expect(reasonOf(at(text))).toBe('malformed')
  })

  it('agrees with the platform on its own spelling, and is total over damage to it', () => {
    const date = fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    fc.assert(
      fc.property(date, damaged(date.map((value) => value.toISOString())), (value, text) => {
        expect(unwrap(at(value.toISOString()))).toBe(value.getTime())
        const result = at(text)
        assertTyped(result, ['malformed'])
        if (result.ok) expect(result.value).toBe(Date.parse(text.toUpperCase()))
      }),
      RUNS,
    )
  })
})

describe('challenge properties', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(challenge, (value) => {
        const header = formatChallenge(value)
        if (header.length > MAX_CHALLENGE_HEADER_BYTES) return
        expect(unwrap(parseChallenges(header))).toEqual({ challenges: [value], refused: [] })
      }),
      RUNS,
    )
  })

  it('writes only what a header may hold', () => {
    fc.assert(
      fc.property(challenge, (value) => {
        expect(formatChallenge(value)).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/)
      }),
      RUNS,
    )
    const value = only(`Payment ${MINIMAL}`)
    expect(() => formatChallenge({ ...value, realm: 'a\nb' })).toThrow(RangeError)
    expect(() => formatChallenge({ ...value, realm: 'a—b' })).toThrow(RangeError)
    expect(() => formatChallenge({ ...value, description: 'a\nb' })).toThrow(RangeError)
  })

  it('finds all payment challenges among other schemes, in order', () => {
    const quoted = fieldText.map((text) => `"${text.replace(/["\\]/g, (char) => `\\${char}`)}"`)
    const token = fc.string({ unit: fc.constantFrom(...'abcXYZ019-._~+'), minLength: 1, maxLength: 8 })
    const scheme = fc.constantFrom('Bearer', 'Basic', 'Digest', 'Negotiate', 'Payments', 'X-Payment')
    const param = fc.tuple(token, fc.oneof(quoted, token)).map(([name, value]) => `${name}=${value}`)
    const other = fc.oneof(
      scheme,
      fc.tuple(scheme, token, fc.constantFrom('', '=', '==')).map(([name, value, pad]) => `${name} ${value}${pad}`),
      fc
        .tuple(scheme, fc.array(param, { minLength: 1, maxLength: 3 }))
        .map(([name, params]) => `${name} ${params.join(', ')}`),
    )
    const entry = fc.oneof(
      challenge.map((value) => ({ text: formatChallenge(value), value })),
      other.map((text) => ({ text, value: undefined })),
    )
    const separator = fc.constantFrom(',', ', ', ' , ', ',,', '\t,\t')
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), separator, (entries, comma) => {
        const header = entries.map(({ text }) => text).join(comma)
        if (header.length > MAX_CHALLENGE_HEADER_BYTES) return
        const expected = entries.flatMap(({ value }) => (value === undefined ? [] : [value]))
        const result = parseChallenges(header)
        if (expected.length === 0) expect(reasonOf(result)).toBe('absent')
        else expect(unwrap(result)).toEqual({ challenges: expected, refused: [] })
      }),
      RUNS,
    )
  })

  it('is total over any text and any damage', () => {
    const grammar = fc.string({ unit: fc.constantFrom('Payment', 'id', '=', '"', ',', ' ', '\\', 'x', '\t', 'é') })
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), grammar, damaged(challenge.map(formatChallenge))),
        (header) => {
          const result = parseChallenges(header)
          assertTyped(result, REASONS)
          if (!result.ok) return
          expect(result.value.challenges.length).toBeGreaterThan(0)
          for (const value of result.value.challenges) {
            expect(value.id).not.toBe('')
            for (const [name, text] of Object.entries(value)) expect([name, typeof text]).toEqual([name, 'string'])
            assertTyped(expiresAt(value), ['malformed'])
          }
        },
      ),
      RUNS,
    )
  })
})
