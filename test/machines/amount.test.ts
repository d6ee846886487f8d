// Arithmetic on amounts in machine context against bigint, and what it must refuse.
// Must never use a number where base units are meant.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { add, amountOf, exceeds, formatAmount, max, min, subtract, sum, tokenName } from '../../machines/index.js'
import { parseTokenAmount } from '../../src/protocol/index.js'
import { cases } from '../extent.js'

const units = fc.bigInt({ min: 0n, max: 2n ** 96n - 1n })
const byValue = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
const RUNS = { numRuns: cases(2_000) }

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

  it('say nothing of what was refused', () => {
    expect(() => add('secret', '1')).toThrow(/^an amount is a decimal string of base units$/)
  })
})

describe('an amount for a person', () => {
  it.each([
    ['0', '0.00'],
    ['1', '0.000001'],
    ['10', '0.00001'],
    ['250000', '0.25'],
    ['2600000', '2.60'],
    ['5000000', '5.00'],
    ['9995400000', '9995.40'],
    ['007', '0.000007'],
  ])('%s is %s', (units, shown) => {
    expect(formatAmount(units)).toBe(shown)
  })

  it('is read back as the same amount, and is never rounded', () => {
    fc.assert(
      fc.property(units, fc.integer({ min: 0, max: 40 }), (amount, decimals) => {
        const shown = formatAmount(amount.toString(), decimals)
        expect(shown).toMatch(/^(0|[1-9][0-9]*)\.[0-9]{2,}$/)
        expect(shown).not.toMatch(/\.[0-9]{2,}0$/)
        const read = parseTokenAmount(shown, Math.max(decimals, 2))
        const scaled = amount * 10n ** BigInt(Math.max(0, 2 - decimals))
        expect(read).toEqual(scaled < 2n ** 96n ? { ok: true, value: scaled } : expect.objectContaining({ ok: false }))
      }),
      RUNS,
    )
  })

  it.each(['', '-1', '1.5', '1e3', 'secret'])('refuses %j', (text) => {
    expect(() => formatAmount(text)).toThrow(/^an amount is a decimal string of base units$/)
  })

  it.each([-1, 0.5, 256, Number.NaN])('refuses %d decimals', (decimals) => {
    expect(() => formatAmount('1', decimals)).toThrow(RangeError)
  })

  it('has the name of a token that everybody knows, and the whole address of any other', () => {
    const like = `0x20c0${'0'.repeat(35)}2`
    expect([
      amountOf('1000000', '0x20C000000000000000000000b9537d11c60E8b50'),
      amountOf('250000', `0x20c0${'0'.repeat(36)}`),
      amountOf('1', `0x20c0${'0'.repeat(35)}1`),
      amountOf('1', like),
      amountOf('1', null),
      tokenName('constructor'),
    ]).toEqual([
      '1.00 USDC.e',
      '0.25 pathUSD',
      '0.000001 AlphaUSD',
      `0.000001 tokens of ${like}`,
      '0.000001 tokens',
      'constructor',
    ])
  })
})
