// Amounts: exactly uint96, exactly decimal digits.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTokenAmount, MAX_UINT96, parseAmount, parseTokenAmount } from '../../src/protocol/index.js'
import { amount, assertTyped, RUNS, reasonOf, unwrap } from './arbitraries.js'

describe('parseAmount', () => {
  it('reads zero, leading zeros and the largest uint96, and refuses one more', () => {
    expect(unwrap(parseAmount('0'))).toBe(0n)
    expect(unwrap(parseAmount('007'))).toBe(7n)
    expect(unwrap(parseAmount('79228162514264337593543950335'))).toBe(MAX_UINT96)
    expect(reasonOf(parseAmount('79228162514264337593543950336'))).toBe('out_of_range')
  })

  it.each([
    '',
    ' 1',
    '1 ',
    '1\n',
    '+1',
    '-1',
    '1.0',
    '1e3',
    '0x10',
    '1_000',
    '1,000',
    '１',
    '٣',
    'NaN',
    '0'.repeat(30),
    1,
    1n,
    null,
    undefined,
    [],
    ['1'],
    {},
  ])('refuses %s', (value) => {
    expect(reasonOf(parseAmount(value))).toBe('malformed')
  })

  it('reads back every amount it can hold, and nothing outside', () => {
    fc.assert(
      fc.property(amount, fc.bigInt({ min: MAX_UINT96 + 1n, max: 10n ** 40n }), (inside, outside) => {
        expect(unwrap(parseAmount(inside.toString()))).toBe(inside)
        expect(parseAmount(outside.toString()).ok).toBe(false)
        expect(parseAmount((-inside - 1n).toString()).ok).toBe(false)
      }),
      RUNS,
    )
  })

  it('is total over any value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string({ unit: 'binary' })), (value) => {
        const result = parseAmount(value)
        assertTyped(result, ['malformed', 'out_of_range'])
        if (result.ok) expect(String(value)).toMatch(/^[0-9]{1,29}$/)
      }),
      RUNS,
    )
  })
})

describe('token amounts', () => {
  it.each([
    ['5', 6, 5_000_000n],
    ['0.25', 6, 250_000n],
    ['0.000001', 6, 1n],
    ['1.50', 2, 150n],
    ['3', 0, 3n],
    ['00.5', 1, 5n],
  ])('reads %s with %d decimals', (text, decimals, expected) => {
    expect(unwrap(parseTokenAmount(text, decimals))).toBe(expected)
  })

  it.each(['', '.', '5.', '.5', '-1', '+1', '1e3', '1,5', ' 5', '5 ', '0x5', '1.2.3', 'five', '1.-5'])(
    'refuses %j',
    (text) => {
      expect(reasonOf(parseTokenAmount(text, 6))).toBe('malformed')
    },
  )

  it('refuses more decimals than the token has, even zeros', () => {
    expect(reasonOf(parseTokenAmount('0.0000001', 6))).toBe('too_precise')
    expect(reasonOf(parseTokenAmount('0.2500000', 6))).toBe('too_precise')
    expect(reasonOf(parseTokenAmount('1.0', 0))).toBe('too_precise')
  })

  it('refuses what a channel cannot hold', () => {
    expect(reasonOf(parseTokenAmount('79228162514264337593543950336', 0))).toBe('out_of_range')
    expect(reasonOf(parseTokenAmount('99999999999999999999999999999', 255))).toBe('out_of_range')
  })

  it.each([-1, 1.5, 256, Number.NaN])('throws on %d decimals: that is a mistake in the program', (decimals) => {
    expect(() => parseTokenAmount('1', decimals)).toThrow(RangeError)
    expect(() => formatTokenAmount(1n, decimals)).toThrow(RangeError)
  })

  it('writes without trailing zeros', () => {
    expect(formatTokenAmount(250_000n, 6)).toBe('0.25')
    expect(formatTokenAmount(5_000_000n, 6)).toBe('5')
    expect(formatTokenAmount(0n, 6)).toBe('0')
    expect(formatTokenAmount(7n, 0)).toBe('7')
    expect(formatTokenAmount(-1_500_000n, 6)).toBe('-1.5')
  })

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 40 }), (value, decimals) => {
        expect(unwrap(parseTokenAmount(formatTokenAmount(value, decimals), decimals))).toBe(value)
      }),
      RUNS,
    )
  })

  it('is total over any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom('0', '9', '.', '-', 'e', ' '), maxLength: 60 }),
        ),
        fc.integer({ min: 0, max: 255 }),
        (text, decimals) => {
          assertTyped(parseTokenAmount(text, decimals), ['malformed', 'out_of_range', 'too_precise'])
        },
      ),
      RUNS,
    )
  })
})
