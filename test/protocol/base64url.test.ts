// Base64url: agrees with the platform on what is valid, and refuses everything that is not canonical.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  DEFAULT_MAX_BASE64_LENGTH,
  decodeAnyBase64,
  decodeBase64,
  decodeBase64url,
  decodeJson,
  encodeBase64url,
} from '../../src/protocol/index.js'
import { assertTyped, damaged, RUNS, reasonOf, unwrap } from './arbitraries.js'

const bytes = fc.uint8Array({ maxLength: 300 })

describe('base64url', () => {
  it('encodes without padding and in the URL alphabet', () => {
    expect(encodeBase64url(Uint8Array.of(0xfb, 0xff, 0xfe, 0xff))).toBe('-__-_w')
    expect(encodeBase64url('é')).toBe('w6k')
    expect(encodeBase64url('')).toBe('')
  })

  it('encodes a view of a larger buffer as what the view shows', () => {
    expect(encodeBase64url(Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4))).toBe('AgME')
  })

  it.each([
    ['padding', 'AA=='],
    ['one padding character', 'AAA='],
    ['the standard alphabet', '+/+/'],
    ['white space inside', 'AA AA'],
    ['a line break at the end', 'AAAA\n'],
    ['a length that cannot be', 'AAAAA'],
    ['one character', 'A'],
    ['four spare bits set', 'AB'],
    ['two spare bits set', 'AAB'],
    ['a letter beyond ASCII', 'AAé'],
    ['a NUL', 'AA\0A'],
  ])('refuses %s', (_, text) => {
    expect(reasonOf(decodeBase64url(text))).toBe('malformed')
  })

  it('returns bytes of its own', () => {
    const first = unwrap(decodeBase64url('AAAA'))
    first[0] = 9
    expect([...unwrap(decodeBase64url('AAAA'))]).toEqual([0, 0, 0])
    expect(first.byteOffset).toBe(0)
    expect(first.buffer.byteLength).toBe(3)
  })

  it('looks at the size before anything else', () => {
    expect(reasonOf(decodeBase64url('!'.repeat(5), 4))).toBe('too_large')
    expect(decodeBase64url('AAAA', 4).ok).toBe(true)
    expect(reasonOf(decodeBase64url('A'.repeat(DEFAULT_MAX_BASE64_LENGTH + 1)))).toBe('too_large')
  })

  it('agrees with the platform on every byte string', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const text = encodeBase64url(value)
        expect(text).toBe(Buffer.from(value).toString('base64url'))
        expect(Buffer.from(unwrap(decodeBase64url(text))).equals(value)).toBe(true)
      }),
      RUNS,
    )
  })

  it('accepts a text exactly when encoding the result gives that text again', () => {
    const near = damaged(bytes.map((value) => Buffer.from(value).toString('base64url')))
    const alphabet = fc.string({ unit: fc.constantFrom(...'ABab019-_+/= '), maxLength: 9 })
    fc.assert(
      fc.property(fc.oneof(near, alphabet, fc.string({ unit: 'binary' })), (text) => {
        const result = decodeBase64url(text)
        assertTyped(result, ['malformed'])
        const canonical = Buffer.from(text, 'base64url').toString('base64url') === text
        expect(result.ok).toBe(canonical)
      }),
      RUNS,
    )
  })

  it('reads standard base64 with its padding or without, and no other spelling', () => {
    fc.assert(
      fc.property(bytes, damaged(bytes.map((value) => Buffer.from(value).toString('base64'))), (value, near) => {
        const text = Buffer.from(value).toString('base64')
        expect([...unwrap(decodeBase64(text))]).toEqual([...value])
        expect([...unwrap(decodeBase64(text.replaceAll('=', '')))]).toEqual([...value])
        const canonical = Buffer.from(near, 'base64').toString('base64')
        expect(decodeBase64(near).ok).toBe(near === canonical || near === canonical.replaceAll('=', ''))
      }),
      RUNS,
    )
  })
})

describe('base64 of any spelling', () => {
  /** The four spellings of the same bytes. */
  const spellings = (value: Uint8Array): readonly string[] => {
    const standard = Buffer.from(value).toString('base64')
    const url = standard.replaceAll('+', '-').replaceAll('/', '_')
    return [standard, url, standard.replaceAll('=', ''), url.replaceAll('=', '')]
  }

  it('reads either alphabet, padded or not', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        for (const text of spellings(value)) expect([...unwrap(decodeAnyBase64(text))]).toEqual([...value])
      }),
      RUNS,
    )
  })

  it('refuses everything that is none of the four spellings, and is total', () => {
    const near = fc.oneof(...[0, 1, 2, 3].map((which) => damaged(bytes.map((value) => spellings(value)[which] ?? ''))))
    const alphabet = fc.string({ unit: fc.constantFrom(...'ABab019-_+/= '), maxLength: 9 })
    fc.assert(
      fc.property(fc.oneof(near, alphabet, fc.string({ unit: 'binary' })), (text) => {
        const result = decodeAnyBase64(text)
        assertTyped(result, ['malformed'])
        expect(result.ok).toBe(spellings(Buffer.from(text, 'base64')).includes(text))
      }),
      RUNS,
    )
  })

  it.each(['+_AA', '-/AA', 'A=', 'AA=', 'AAA==', 'AAAA=', 'AAAA====', 'AB==', '-_=A', '=', '==='])(
    'refuses %j',
    (text) => {
      expect(reasonOf(decodeAnyBase64(text))).toBe('malformed')
    },
  )

  it('counts the padding against the bound', () => {
    for (const text of ['AA==', '-w==']) {
      expect(decodeAnyBase64(text, 4).ok).toBe(true)
      expect(reasonOf(decodeAnyBase64(text, 3))).toBe('too_large')
    }
  })
})

describe('decodeJson', () => {
  const encode = (text: string | Uint8Array) => Buffer.from(text).toString('base64url')

  it('reads JSON', () => {
    expect(unwrap(decodeJson(encode('{"a":[1,"é"]}')))).toEqual({ a: [1, 'é'] })
  })

  it.each([
    ['bytes that are not UTF-8', Uint8Array.of(0x22, 0xc3, 0x28, 0x22)],
    ['an overlong encoding', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
    ['a byte order mark', '\uFEFF{}'],
    ['nothing', ''],
    ['text that is not JSON', '{a:1}'],
    ['two documents', '{}{}'],
  ])('refuses %s', (_, text) => {
    expect(reasonOf(decodeJson(encode(text)))).toBe('malformed')
  })

  it('reads 32 levels and refuses 33, brackets in strings not counted', () => {
    expect(decodeJson(encode('['.repeat(32) + ']'.repeat(32))).ok).toBe(true)
    expect(reasonOf(decodeJson(encode('['.repeat(33) + ']'.repeat(33))))).toBe('malformed')
    expect(reasonOf(decodeJson(encode('{"a":'.repeat(33))))).toBe('malformed')
    expect(unwrap(decodeJson(encode(`["${'['.repeat(99)}\\"${'{'.repeat(99)}"]`)))).toHaveLength(1)
  })

  it('does not let a member named __proto__ reach a prototype', () => {
    const value = unwrap(decodeJson(encode('{"__proto__":{"polluted":true}}')))
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('reads back any JSON, and is total over any text and any bytes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.string({ unit: 'binary' }), bytes, (value, text, raw) => {
        const json = JSON.stringify(value)
        expect(JSON.stringify(unwrap(decodeJson(encode(json))))).toBe(JSON.stringify(JSON.parse(json)))
        assertTyped(decodeJson(text), ['malformed'])
        assertTyped(decodeJson(encode(raw)), ['malformed'])
      }),
      RUNS,
    )
  })
})
