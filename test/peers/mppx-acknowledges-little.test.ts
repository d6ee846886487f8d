// Unmodified mppx servers behind a way that loses or shortens receipts: nothing is refused first, and the limit still holds.
import { describe, expect, it } from 'vitest'
import { formatReceipt, parseReceipt } from '../../src/protocol/index.js'
import { startProxy } from '../client/proxy.js'
import { failureOf } from '../client/stage.js'
import { prepareMeetings, work } from './peer-stage.js'

const meetings = prepareMeetings()
const PRICE = 100_000n

const REWRITES: readonly (readonly [name: string, rewrite: (header: string) => string | null])[] = [
  ['deletes receipts', () => null],
  [
    'has the cost of the one request in place of the running total',
    (header) => {
      const receipt = parseReceipt(header)
      return receipt.ok ? formatReceipt({ ...receipt.value, spent: PRICE }) : null
    },
  ],
]

describe.each(REWRITES)('a gateway that %s', (_, rewrite) => {
  it('and charges for a 404 that says nothing, refuses one request after it, and no more', async () => {
    const silent = 3
    const meeting = await meetings.meet({
      suggestedDeposit: '10',
      content: (served) => ({ status: served === silent ? 404 : 200 }),
    })
    const proxy = await startProxy(new URL(meeting.gateway.url).origin, {
      answer: ({ headers, status }) => {
        const header = headers.get('payment-receipt')
        const rewritten = header === null || status === 404 ? null : rewrite(header)
        if (rewritten === null) headers.delete('payment-receipt')
        else headers.set('payment-receipt', rewritten)
      },
    })
    try {
      for (let at = 1; at <= 9; at += 1) {
        const outcome = await meeting.mpp.pay(`${proxy.url}/work`, work())
        expect(outcome).toMatchObject({ status: 'succeeded', response: { status: at === silent ? 404 : 200 } })
      }
      expect(meeting.gateway.refused.filter((type) => type !== 'payment-required')).toHaveLength(1)
      const [channel] = await meeting.gateway.channels()
      expect(channel).toMatchObject({ spent: 9n * PRICE, highestVoucherAmount: 9n * PRICE })
      const [session] = await meeting.mpp.sessions.list()
      expect(session).toMatchObject({ signed: String(9n * PRICE) })
    } finally {
      await proxy.stop()
    }
  })

  it('is paid 20 times without one refusal; then the failure says what it does and what to do', async () => {
    const meeting = await meetings.meet({ suggestedDeposit: '10', policy: { maxExposure: '2' } })
    const proxy = await startProxy(new URL(meeting.gateway.url).origin, {
      answer: ({ headers }) => {
        const header = headers.get('payment-receipt')
        const rewritten = header === null ? null : rewrite(header)
        if (rewritten === null) headers.delete('payment-receipt')
        else headers.set('payment-receipt', rewritten)
      },
    })
    try {
      const pay = () => meeting.mpp.pay(`${proxy.url}/work`, work())
      let answered = 0
      let last = await pay()
      for (; last.status === 'succeeded' && answered < 30; last = await pay()) answered += 1
      expect(answered).toBeGreaterThanOrEqual(20)
      expect(answered).toBeLessThanOrEqual(21)
      expect(meeting.gateway.refused.filter((type) => type !== 'payment-required')).toEqual([])
      const failure = failureOf(last)
      expect(failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxExposure', mayHaveBeenCharged: false })
      expect(failure.advice).toMatch(/without acknowledging.*close the channel.*maxExposure/)
      const [channel] = await meeting.gateway.channels()
      expect(channel?.spent).toBe(BigInt(answered) * PRICE)
    } finally {
      await proxy.stop()
    }
  })
})
