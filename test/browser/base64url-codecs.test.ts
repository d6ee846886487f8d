// The codec of browser builds and the npm package that it stands in for agree on everything they are given.
// Must never compare them through base64url.ts alone: that has only one of the two.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import npmPackage from '#base64url'
import nativePackage from '../../src/protocol/base64url-native.js'
import { decodeBase64url, encodeBase64url } from '../../src/protocol/index.js'
import { cases } from '../extent.js'

const native = nativePackage.default
const npm = npmPackage.default
const RUNS = { numRuns: cases(10_000) }
const bytes = fc.uint8Array({ maxLength: 300 })

describe('the two base64url codecs', () => {
  it('are not the same one', () => {
    expect(native).not.toBe(npm)
    expect(String(npm.toBuffer)).toContain('Buffer')
    expect(String(native.toBuffer)).not.toMatch(/\bBuffer\b/)
  })

  it('write the same text for all bytes, also for a view of a larger buffer', () => {
    fc.assert(
      fc.property(bytes, fc.nat(20), (value, from) => {
        const view = value.subarray(Math.min(from, value.length))
        expect(native.encode(view)).toBe(encodeBase64url(view))
        expect(native.encode(view)).toBe(npm.encode(Buffer.from(view)))
      }),
      RUNS,
    )
  })

  it('write the same text for all strings, surrogates without a partner too', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), loneSurrogates), (text) => {
        expect(native.encode(text)).toBe(npm.encode(text))
      }),
      RUNS,
    )
  })

  it('read the same bytes from every text that is valid', () => {
    const alphabet = fc.string({ unit: fc.constantFrom(...'ABCXYZabcxyz0189-_'), maxLength: 40 })
    fc.assert(
      fc.property(fc.oneof(bytes.map(encodeBase64url), alphabet), (text) => {
        const checked = decodeBase64url(text)
        if (!checked.ok) return
        const read = native.toBuffer(text)
        expect(read).toEqual(checked.value)
        expect(read).toEqual(Uint8Array.from(npm.toBuffer(text)))
        expect(read.buffer.byteLength).toBe(read.length)
      }),
      RUNS,
    )
  })

  it('take a megabyte, which is more than one call has arguments', () => {
    const large = new Uint8Array(1_000_003).map((_, at) => (at * 31) & 0xff)
    const text = npm.encode(Buffer.from(large))
    expect(native.encode(large) === text).toBe(true)
    expect(Buffer.compare(native.toBuffer(text), large)).toBe(0)
  })
})

const loneSurrogates = fc
  .array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 20 })
  .map((units) => String.fromCharCode(...units))
