// Arithmetic on amounts in machine context against bigint, and what it must refuse.
// Must never use a number where base units are meant.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { add, exceeds, formatAmount, max, min, subtract, sum } from '../../machines/index.js'

const units = fc.bigInt({ min: 0n, max: 2n ** 96n - 1n })
const byValue = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
const RUNS = { numRuns: 2_000 }

describe('amounts', () => {
  it('add, subtract and compare like bigints, and never go below zero', () => {
    fc.assert(
      fc.property(units, units, (a, b) => {
        const [left, right] = [a.toString(), b.toString()]
        expect(add(left, right)).toBe((a + b).toString())
        expect(subtract(left, right)).toBe((a > b ? a - b : 0n).toString())
        expect(exceeds(left, right)).toBe(a > b)
        expect(max(left, right)).toBe(String([a, b].toSorted(byValue)[1]))
        expect(min(left, right)).toBe(String([a, b].toSorted(byValue)[0]))
        expect(add(subtract(left, right), min(left, right))).toBe(left)
      }),
      RUNS,
    )
  })

  it('sum and pick from any number of amounts', () => {
    fc.assert(
      fc.property(fc.array(units, { minLength: 1, maxLength: 20 }), (list) => {
        const [first = '0', ...rest] = list.map(String)
        const sorted = list.toSorted(byValue)
        expect(sum([first, ...rest])).toBe(list.reduce((total, next) => total + next, 0n).toString())
        expect(min(first, ...rest)).toBe(String(sorted[0]))
        expect(max(first, ...rest)).toBe(String(sorted.at(-1)))
      }),
      RUNS,
    )
    expect(sum([])).toBe('0')
  })

  it('keep what a float would round', () => {
    expect(add('9007199254740992', '1')).toBe('9007199254740993')
    expect(exceeds('79228162514264337593543950335', '79228162514264337593543950334')).toBe(true)
  })

  it.each(['', ' ', '-1', '+1', '1.0', '1e3', '0x10', '1_000', '١', '1\n', ' 1', 'NaN', '1'.repeat(41)])(
    'refuse %j',
    (text) => {
      expect(() => add(text, '1')).toThrow(RangeError)
      expect(() => add('1', text)).toThrow(RangeError)
      expect(() => subtract(text, '1')).toThrow(RangeError)
      expect(() => exceeds('1', text)).toThrow(RangeError)
      expect(() => max('1', text)).toThrow(RangeError)
      expect(() => min(text, '1')).toThrow(RangeError)
      expect(() => sum(['1', text])).toThrow(RangeError)
    },
  )

  it('refuse a lone amount that is none', () => {
    expect(() => max('-1')).toThrow(RangeError)
    expect(() => min('1.5')).toThrow(RangeError)
  })

  it.each([
    ['0', '0.00'],
    ['1', '0.000001'],
    ['10000', '0.01'],
    ['1500000', '1.50'],
    ['1234567', '1.234567'],
    ['5000000000000', '5000000.00'],
  ])('are read in tokens: %s is %s', (baseUnits, tokens) => {
    expect(formatAmount(baseUnits)).toBe(tokens)
  })

  it('are read with the decimals of their token', () => {
    expect(formatAmount('15', 1)).toBe('1.5')
    expect(formatAmount('15', 0)).toBe('15')
    expect(() => formatAmount('-1')).toThrow(RangeError)
  })

  it('say nothing of what was refused', () => {
    expect(() => add('secret', '1')).toThrow(/^an amount is a decimal string of base units$/)
  })
})
