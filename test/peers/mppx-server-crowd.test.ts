// Two hundred requests to an unmodified mppx server, sixteen at a time, on one channel.
// Must never be satisfied with success alone: every signature, every refusal and every unit is counted.
import { describe, expect, it, vi } from 'vitest'
import type { PaymentOutcome } from '../../src/index.js'
import { cases } from '../extent.js'
import { type Meeting, type MeetingOptions, prepareMeetings, settlementOf, tally } from './peer-stage.js'

const { stage, meet } = prepareMeetings()

// Two cores may be shared with much else.
vi.setConfig({ testTimeout: 180_000 })

const REQUESTS = cases(200)
const AT_ONCE = 16
const PRICE = 100_000n

/** Pays for that many requests, so many at a time. */
async function crowd({ pay }: Meeting): Promise<PaymentOutcome[]> {
  const outcomes: PaymentOutcome[] = []
  let left = REQUESTS
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left > 0) {
        left -= 1
        outcomes.push(await pay())
      }
    }),
  )
  return outcomes
}

/** How flows ended, so that a failure says by itself what happened. */
const ends = (outcomes: readonly PaymentOutcome[]) =>
  tally(
    outcomes.map((outcome) =>
      outcome.status === 'failed'
        ? `failed: ${outcome.failure.code}`
        : `${outcome.response.status} ${outcome.receiptProblem ?? 'with a receipt'}`,
    ),
  )

const ROOMY = { suggestedDeposit: '50', policy: { maxExposure: '50' } }
const meetings: readonly (MeetingOptions & { readonly what: string; readonly refusals: readonly string[] })[] = [
  { what: 'priced per request, exposure and deposit tight', suggestedDeposit: '2', refusals: ['verification-failed'] },
  { what: 'priced per request, with room', ...ROOMY, refusals: ['verification-failed'] },
  {
    what: 'priced by the bucket',
    unitType: 'token',
    suggestedDeposit: '2',
    refusals: ['session/insufficient-balance', 'verification-failed'],
  },
  {
    what: 'overtaking each other on the way',
    ...ROOMY,
    jitterMs: 60,
    refusals: ['verification-failed'],
  },
]

describe(`${REQUESTS} requests, ${AT_ONCE} at a time`, () => {
  it.each(meetings)(
    '$what: all are answered, on one channel, and the books are equal',
    async ({ what, refusals, ...options }) => {
      const meeting = await meet(options)
      const { gateway, payer, mpp, close, gains } = meeting
      const outcomes = await crowd(meeting)
      expect(ends(outcomes)).toEqual({ '200 with a receipt': REQUESTS })
      expect(gateway.served()).toBe(REQUESTS)

      // One channel: on the chain, in mppx's store, in the ledger. The same figures in all of them.
      expect(await stage().opened(payer.account)).toBe(1)
      const channels = await gateway.channels()
      const sessions = await mpp.sessions.list()
      expect([channels.length, sessions.length]).toEqual([1, 1])
      const total = PRICE * BigInt(REQUESTS)
      const [channel] = channels
      expect(channel).toMatchObject({ spent: total, units: REQUESTS, highestVoucherAmount: total })
      const deposit = channel?.deposit ?? 0n
      expect(sessions[0]).toMatchObject({
        channelId: channel?.channelId,
        status: 'open',
        signed: String(total),
        accepted: String(total),
        spent: String(total),
        deposit: String(deposit),
        pending: null,
      })
      expect(await gains()).toEqual({ payer: -deposit, payee: 0n, reserve: deposit })

      // A voucher that was refused is not signed again: no amount was signed twice.
      expect(new Set(payer.vouchers).size).toBe(payer.vouchers.length)
      // mppx refuses what is used up, and a voucher that a higher one has overtaken. Nothing else happened.
      for (const refusal of new Set(gateway.refused)) expect(refusals).toContain(refusal)
      if (what.startsWith('overtaking')) expect(gateway.refused).toContain('verification-failed')

      expect(settlementOf(await close())).toMatchObject({ settled: String(total), refunded: String(deposit - total) })
      expect(await gains()).toEqual({ payer: -total, payee: total, reserve: 0n })
    },
  )
})
