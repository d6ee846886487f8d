// Body digests: one hash, three spellings, nothing weaker.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatDigest, parseDigest, sameBytes, sha256 } from '../../src/protocol/index.js'
import { cases } from '../extent.js'
import { assertTyped, damaged, RUNS, reasonOf, unwrap } from './arbitraries.js'

const EMPTY = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('sha256', () => {
  it('hashes what a view shows, also of shared memory', async () => {
    expect(formatDigest(await sha256(new Uint8Array()))).toBe(`sha-256=:${EMPTY}:`)
    const expected = createHash('sha256').update('bcd').digest()
    const whole = new TextEncoder().encode('abcde')
    expect(Buffer.from(await sha256(whole.subarray(1, 4))).equals(expected)).toBe(true)
    const shared = new Uint8Array(new SharedArrayBuffer(3))
    shared.set([98, 99, 100])
    expect(Buffer.from(await sha256(shared)).equals(expected)).toBe(true)
  })

  it('agrees with the platform', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect(Buffer.from(await sha256(bytes)).equals(createHash('sha256').update(bytes).digest())).toBe(true)
      }),
      { numRuns: cases(1_000) },
    )
  })
})

describe('parseDigest', () => {
  const expected = createHash('sha256').digest()

  it.each([
    ['the structured field', `sha-256=:${EMPTY}:`],
    ['no colons', `sha-256=${EMPTY}`],
    ['no colons and no padding', `sha-256=${EMPTY.replace('=', '')}`],
    ['an algorithm in capitals', `SHA-256=:${EMPTY}:`],
    ['a dictionary, sha-256 last', `sha-512=:AAAA:, sha-256=:${EMPTY}:`],
    ['a dictionary, sha-256 first, no space', `sha-256=:${EMPTY}:,sha-512=:AAAA:`],
    ['a parameter on the member', `sha-256=:${EMPTY}:;q=1`],
    ['white space around', `  sha-256=:${EMPTY}:  `],
  ])('reads %s', (_, text) => {
    expect(Buffer.from(unwrap(parseDigest(text))).equals(expected)).toBe(true)
  })

  it.each([
    ['another algorithm', 'sha-512=:AAAA:', 'unsupported_algorithm'],
    ['a weak algorithm of the right name length', `md5=${EMPTY}`, 'unsupported_algorithm'],
    ['a longer name', `xsha-256=${EMPTY}`, 'unsupported_algorithm'],
    ['nothing', '', 'malformed'],
    ['no value', 'sha-256=', 'malformed'],
    ['no equals sign', 'sha-256', 'malformed'],
    ['31 bytes', `sha-256=:${Buffer.alloc(31).toString('base64')}:`, 'malformed'],
    ['33 bytes', `sha-256=:${Buffer.alloc(33).toString('base64')}:`, 'malformed'],
    ['one colon', `sha-256=:${EMPTY}`, 'malformed'],
    ['the colon at the end only', `sha-256=${EMPTY}:`, 'malformed'],
    ['a single colon', 'sha-256=:', 'malformed'],
    ['the URL alphabet', `sha-256=:${EMPTY.replace('+', '-').replace('/', '_')}:`, 'malformed'],
    ['spare bits set', `sha-256=:${EMPTY.replace('U=', 'V=')}:`, 'malformed'],
    ['sha-256 twice', `sha-256=:${EMPTY}:, sha-256=:${EMPTY}:`, 'malformed'],
    ['more than a kilobyte', `sha-256=:${EMPTY}:, ${'x'.repeat(1024)}=1`, 'malformed'],
  ])('refuses %s', (_, text, reason) => {
    expect(reasonOf(parseDigest(text))).toBe(reason)
  })

  it('reads every hash in all three spellings', () => {
    fc.assert(
      fc.property(hash, (value) => {
        const base64 = Buffer.from(value).toString('base64')
        expect(formatDigest(value)).toBe(`sha-256=:${base64}:`)
        for (const text of [formatDigest(value), `sha-256=${base64}`, `sha-256=${base64.replace('=', '')}`]) {
          expect(sameBytes(unwrap(parseDigest(text)), value)).toBe(true)
        }
      }),
      RUNS,
    )
  })

  it('is total over any text and any damage, and yields 32 bytes or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), damaged(hash.map(formatDigest))), (text) => {
        const result = parseDigest(text)
        assertTyped(result, ['unsupported_algorithm', 'malformed'])
        if (result.ok) expect(result.value).toHaveLength(32)
      }),
      RUNS,
    )
  })

  it('writes only 32 bytes', () => {
    expect(() => formatDigest(new Uint8Array(31))).toThrow(RangeError)
  })
})

describe('sameBytes', () => {
  it('says whether bytes are equal', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), fc.nat(), (a, b, at) => {
        expect(sameBytes(a, Uint8Array.from(a))).toBe(true)
        expect(sameBytes(a, b)).toBe(Buffer.from(a).equals(b))
        const changed = Uint8Array.from(a)
        if (a.length === 0) return
        changed[at % a.length] = (a[at % a.length] ?? 0) ^ 1
        expect(sameBytes(a, changed)).toBe(false)
      }),
      RUNS,
    )
  })
})
