// What may be signed for a channel that was found on the chain, for any amounts and limits.
// Must never take the bounds from the functions that are tested: they are written out here.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mayPayWithAdopted, mostForClose } from '../../machines/index.js'

const amount = fc.bigInt({ min: 0n, max: 20n })
const limits = fc.record({ maxExposure: amount.map(String), maxCumulative: fc.option(amount.map(String)) })

describe('a channel that was found on the chain', () => {
  it('is paid with exactly when a voucher for all of it is within the limits', () => {
    fc.assert(
      fc.property(amount, limits, (deposit, policy) => {
        const all = deposit <= BigInt(policy.maxExposure)
        const below = policy.maxCumulative === null || deposit <= BigInt(policy.maxCumulative)
        expect(mayPayWithAdopted({ deposit: deposit.toString() }, policy)).toBe(all && below)
      }),
    )
  })

  it('is closed with a voucher that never exposes more than the limits, nor shrinks, nor passes the deposit', () => {
    fc.assert(
      fc.property(amount, amount, amount, limits, (spent, more, rest, policy) => {
        const signed = spent + more
        const deposit = signed + rest
        const session = {
          deposit: deposit.toString(),
          signed: signed.toString(),
          spent: spent.toString(),
        }
        const most = BigInt(mostForClose(session, policy))
        expect(most >= signed).toBe(true)
        expect(most <= deposit).toBe(true)
        if (most === signed) return
        expect(most - spent <= BigInt(policy.maxExposure)).toBe(true)
        if (policy.maxCumulative !== null) expect(most <= BigInt(policy.maxCumulative)).toBe(true)
      }),
    )
  })

  it('with the default limits: two of five may be signed', () => {
    const policy = { maxExposure: '2000000', maxCumulative: null }
    expect(mayPayWithAdopted({ deposit: '5000000' }, policy)).toBe(false)
    expect(mayPayWithAdopted({ deposit: '2000000' }, policy)).toBe(true)
    const session = { deposit: '5000000', signed: '0', spent: '0' }
    expect(mostForClose(session, policy)).toBe('2000000')
    expect(mostForClose({ ...session, signed: '3000000', spent: '3000000' }, policy)).toBe('5000000')
  })
})
