// What hostile input costs: counted in characters looked at and copied, so that no clock decides.
// Must never measure time: two busy cores would make such a test lie.
import { describe, expect, it } from 'vitest'
import {
  DEFAULT_MAX_BASE64_LENGTH,
  decodeBase64,
  decodeBase64url,
  decodeJson,
  formatChallenge,
  MAX_CHALLENGE_HEADER_BYTES,
  MAX_CREDENTIAL_BYTES,
  MAX_PROBLEM_BYTES,
  MAX_RECEIPT_BYTES,
  MAX_SNAPSHOT_BYTES,
  parseAmount,
  parseChallenges,
  parseCredential,
  parseDigest,
  parseReceipt,
  parseSnapshotHeader,
  parseSource,
  parseTokenAmount,
  readProblem,
} from '../../src/protocol/index.js'

/** Characters that `run` reads one by one or copies by slicing. */
function charactersTouched(run: () => unknown): number {
  const { charCodeAt, slice } = String.prototype
  let touched = 0
  String.prototype.charCodeAt = function (...args) {
    touched++
    return charCodeAt.apply(this, args)
  }
  String.prototype.slice = function (...args) {
    const result = slice.apply(this, args)
    touched += result.length
    return result
  }
  try {
    run()
  } finally {
    String.prototype.charCodeAt = charCodeAt
    String.prototype.slice = slice
  }
  return touched
}

const fill = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

const UNITS = [
  'Payment ',
  'Payment,',
  'Payment id="1",',
  'Payment id="1" ',
  'a',
  'a ',
  'a=',
  'a=b,',
  'a = b ,',
  '"',
  '\\',
  '"\\',
  '\\"',
  '=',
  ',',
  ' ',
  '\t ,',
  'Basic a==',
  'x=",',
  '@,',
  '@"a,b"',
  'Payment a="\\u2014",',
]

describe('challenge lists', () => {
  it.each(UNITS)('reading %j over and over costs in proportion to its length', (unit) => {
    const cost = (length: number) => charactersTouched(() => parseChallenges(`Payment x="${fill(unit, length)}`))
    const open = (length: number) => charactersTouched(() => parseChallenges(fill(unit, length)))
    for (const measure of [cost, open]) {
      const [small, large] = [measure(1_000), measure(16_000)]
      // Eight looks at each character is what one pass with look-ahead needs; a quadratic reader would need thousands.
      expect(small).toBeLessThan(8 * 1_020)
      expect(large).toBeLessThan(8 * 16_020)
    }
  })

  it('unescaping costs in proportion to its length', () => {
    const base = { id: '1', realm: 'r', method: 'm', intent: 'i', request: 'q' }
    const header = (length: number) => formatChallenge({ ...base, description: '—'.repeat(length / 6) })
    const cost = (length: number) => charactersTouched(() => parseChallenges(header(length)))
    const write = (length: number) => charactersTouched(() => header(length))
    expect(cost(15_000) - write(15_000)).toBeLessThan(16 * (cost(1_500) - write(1_500)))
  })

  it('the counter counts: a reader that slices again and again is found out', () => {
    const text = fill('a,', 1_000)
    const quadratic = charactersTouched(() => {
      for (let rest = text; rest !== ''; rest = rest.slice(1)) rest.charCodeAt(0)
    })
    expect(quadratic).toBeGreaterThan(100_000)
  })
})

describe('sizes are looked at first', () => {
  const huge = (unit: string) => fill(unit, 1_048_576)

  it.each<[string, (text: string) => unknown]>([
    ['parseChallenges', parseChallenges],
    ['parseCredential', (text) => parseCredential(`Payment ${text}`)],
    ['parseReceipt', parseReceipt],
    ['decodeBase64url', (text) => decodeBase64url(text)],
    ['decodeBase64', (text) => decodeBase64(text)],
    ['decodeJson', (text) => decodeJson(text)],
  ])('%s refuses a megabyte unread', (_, parse) => {
    for (const unit of ['A', '"', '{', '[', ',', '\\']) {
      const text = huge(unit)
      let result: unknown
      expect(charactersTouched(() => (result = parse(text)))).toBe(0)
      expect(result).toMatchObject({ ok: false, reason: 'too_large' })
    }
  })

  it('the others refuse a megabyte after a bounded look', () => {
    for (const unit of ['A', '0', '=', ',', ':', '[']) {
      const text = huge(unit)
      const cost = charactersTouched(() => {
        expect(readProblem({ contentType: text, body: text })).toEqual({})
        expect(readProblem({ contentType: text, body: '{}' })).toEqual({})
        expect(parseDigest(text).ok).toBe(false)
        expect(parseSnapshotHeader(text).ok).toBe(false)
      })
      expect(cost).toBeLessThan(100_000)
      expect(parseAmount(text).ok).toBe(false)
      expect(parseTokenAmount(text, 6).ok).toBe(false)
      expect(parseSource(text).ok).toBe(false)
    }
  })

  it('has bounds that a real exchange fits into', () => {
    expect(MAX_CHALLENGE_HEADER_BYTES).toBe(16_384)
    expect(MAX_CREDENTIAL_BYTES).toBe(16_384)
    expect(MAX_RECEIPT_BYTES).toBe(16_384)
    expect(MAX_SNAPSHOT_BYTES).toBe(16_384)
    expect(MAX_PROBLEM_BYTES).toBe(65_536)
    expect(DEFAULT_MAX_BASE64_LENGTH).toBe(65_536)
  })

  it('reads JSON of the largest size in one look at each character, then nests no deeper than allowed', () => {
    const encode = (text: string) => Buffer.from(text).toString('base64url')
    for (const unit of ['[', '{"a":', '"', '\\', '"\\"']) {
      const text = encode(fill(unit, 48_000))
      const cost = charactersTouched(() => expect(decodeJson(text)).toMatchObject({ ok: false, reason: 'malformed' }))
      expect(cost).toBeLessThan(2 * 48_000)
    }
  })
})
