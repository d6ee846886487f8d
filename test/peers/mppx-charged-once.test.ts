// Unmodified mppx servers whose content fails after it was charged: one request is run and charged once, whatever is answered.
// Must never take the client's word for a charge: the server's own accounting is asked.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
import fc from 'fast-check'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { PaymentFlowError, type PaymentOutcome } from '../../src/index.js'
import { type RunningProxy, startProxy } from '../client/proxy.js'
import { failureOf } from '../client/stage.js'
import { cases } from '../extent.js'
import { type Meeting, prepareMeetings, work } from './peer-stage.js'

const meetings = prepareMeetings()
const PRICE = 100_000n
/** No wait before the next attempt. */
const AT_ONCE = { 'retry-after': '0' }

/** What the server has charged on all its channels, in base units. */
async function charged({ gateway }: Meeting): Promise<bigint> {
  return (await gateway.channels()).reduce((sum, { spent }) => sum + spent, 0n)
}

/** A way to the server that loses receipts where `loses` says so. */
function losingReceipts({ gateway }: Meeting, loses: () => boolean = () => true): Promise<RunningProxy> {
  return startProxy(new URL(gateway.url).origin, {
    answer: ({ headers }) => {
      if (headers.has('payment-receipt') && loses()) headers.delete('payment-receipt')
    },
  })
}

describe('an error that the server charged for, and says so by a receipt', () => {
  it.each([429, 503, 500, 502, 504, 404])(
    'HTTP %i is the answer of the flow: one run, one charge, booked',
    async (status) => {
      const meeting = await meetings.meet({ content: () => ({ status, headers: { 'retry-after': '1' } }) })
      const outcome = await meeting.pay()
      expect(outcome).toMatchObject({ status: 'succeeded', receipt: { spent: '100000' } })
      expect(outcome.response?.status).toBe(status)
      expect(await outcome.response?.json()).toEqual({ served: 1 })
      expect(meeting.gateway.served()).toBe(1)
      expect(await charged(meeting)).toBe(PRICE)
      expect(await meeting.mpp.sessions.list()).toMatchObject([{ signed: '100000', spent: '100000' }])
      expect(meeting.payer.vouchers).toHaveLength(1)
    },
  )

  it('SDKs are told once: openai and the AI SDK do not pay again by their own retries', async () => {
    for (const status of [429, 503, 500]) {
      const first = await meetings.meet({ content: () => ({ status }) })
      const openai = new OpenAI({ apiKey: 'unused', baseURL: first.gateway.url, fetch: first.mpp.fetch })
      const asked = openai.chat.completions.create({ model: 'any', messages: [] })
      await expect(asked).rejects.toMatchObject({ status })
      expect([first.gateway.served(), await charged(first)]).toEqual([1, PRICE])

      const second = await meetings.meet({ content: () => ({ status }) })
      const { gateway, mpp } = second
      const model = createOpenAICompatible({ name: 'mppx', baseURL: gateway.url, fetch: mpp.fetch })('any')
      const error: unknown = await generateText({ model, prompt: 'Hello' }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(PaymentFlowError)
      expect(error).toMatchObject({ failure: { mayHaveBeenCharged: true, retryable: false } })
      expect([gateway.served(), await charged(second)]).toEqual([1, PRICE])
    }
  })
})

describe('an error that the server charged for, and whose receipt is lost on the way', () => {
  it.each([429, 503])(
    'HTTP %i is followed by the same credential where the policy says so, and its refusal ends the flow',
    async (status) => {
      const meeting = await meetings.meet({
        content: () => ({ status, headers: AT_ONCE }),
        policy: { resendPaid: true },
      })
      const proxy = await losingReceipts(meeting)
      try {
        const outcome = await meeting.mpp.pay(`${proxy.url}/work`, work())
        expect(failureOf(outcome)).toMatchObject({
          code: 'outcome_unknown',
          cause: status === 429 ? 'rate_limited' : 'server_failed',
          detail: 'sent again, the credential was refused with session/insufficient-balance',
          mayHaveBeenCharged: true,
          retryable: false,
        })
        expect(meeting.gateway.served()).toBe(1)
        expect(await charged(meeting)).toBe(PRICE)
        expect(meeting.payer.vouchers).toHaveLength(1)
        const credentials = meeting.gateway.seen
          .filter(({ kind }) => kind !== 'unpaid')
          .map(({ credential }) => credential)
        expect(credentials).toHaveLength(2)
        expect(credentials[1]).toEqual(credentials[0])
      } finally {
        await proxy.stop()
      }
    },
  )

  it.each([429, 503, 500])('HTTP %i is final otherwise', async (status) => {
    const meeting = await meetings.meet({
      content: () => ({ status, headers: AT_ONCE }),
    })
    const proxy = await losingReceipts(meeting)
    try {
      const outcome = await meeting.mpp.pay(`${proxy.url}/work`, work())
      expect(failureOf(outcome)).toMatchObject({ code: 'outcome_unknown', mayHaveBeenCharged: true })
      expect(outcome.response?.status).toBe(status)
      expect(meeting.gateway.seen.filter(({ kind }) => kind !== 'unpaid')).toHaveLength(1)
    } finally {
      await proxy.stop()
    }
  })

  it('whatever is answered in whatever order, no request is charged twice or signed for twice', async () => {
    const statuses: number[] = []
    const losses: boolean[] = []
    const meeting = await meetings.meet({
      content: () => ({ status: statuses.shift() ?? 200, headers: AT_ONCE }),
      suggestedDeposit: '40',
      policy: { maxExposure: '40' },
    })
    const proxy = await losingReceipts(meeting, () => losses.shift() ?? false)
    const signed = async () => BigInt((await meeting.mpp.sessions.list())[0]?.signed ?? '0')
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom(200, 404, 429, 500, 503), { minLength: 1, maxLength: 4 }),
          fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
          async (answers, lost) => {
            statuses.splice(0, statuses.length, ...answers)
            losses.splice(0, losses.length, ...lost)
            const before = { charged: await charged(meeting), signed: await signed(), served: meeting.gateway.served() }
            const outcome = await meeting.mpp.pay(`${proxy.url}/work`, work())
            const cost = (await charged(meeting)) - before.charged
            expect(cost <= PRICE, `${outcome.status} cost ${cost}`).toBe(true)
            expect(meeting.gateway.served() - before.served).toBeLessThanOrEqual(1)
            // Earlier requests whose receipts were lost are made up for: never beyond what the server has charged.
            expect((await signed()) <= (await charged(meeting)) + PRICE).toBe(true)
            if (outcome.status === 'failed' && cost > 0n) expect(outcome.failure.mayHaveBeenCharged).toBe(true)
          },
        ),
        { numRuns: cases(60) },
      )
    } finally {
      await proxy.stop()
    }
  })
})

describe('a request that is given up after it was paid for', () => {
  it('says that it may have been charged: pay by its failure, fetch by the cause of its rejection', async () => {
    const giveUp = { now: (): void => undefined }
    const meeting = await meetings.meet({
      before: async ({ kind }) => {
        if (kind === 'unpaid') return
        giveUp.now()
        await new Promise(() => undefined)
      },
    })
    const paying = new AbortController()
    giveUp.now = () => paying.abort()
    const outcome: PaymentOutcome = await meeting.mpp.pay(meeting.gateway.url, { ...work(), signal: paying.signal })
    expect(failureOf(outcome)).toMatchObject({ code: 'cancelled', mayHaveBeenCharged: true, retryable: false })

    const fetching = new AbortController()
    const reason = new Error('shared by many requests')
    giveUp.now = () => fetching.abort(reason)
    const error: unknown = await meeting.mpp
      .fetch(meeting.gateway.url, { ...work(), signal: fetching.signal })
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: 'Error',
      cause: { failure: { code: 'cancelled', mayHaveBeenCharged: true }, cause: reason },
    })
    expect(reason.cause).toBeUndefined()
  })

  it('that was given up before it was paid for rejects with the very reason', async () => {
    const meeting = await meetings.meet({ before: () => new Promise(() => undefined) })
    const reason = new Error('no longer wanted')
    await expect(meeting.mpp.fetch(meeting.gateway.url, { ...work(), signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
  })
})

describe('a server that asks to pay once more without saying how', () => {
  it('is a failure with a name, not a success', async () => {
    const meeting = await meetings.meet()
    const proxy = await startProxy(new URL(meeting.gateway.url).origin, {
      answer: (answer) => {
        if (!answer.request.paid) return
        answer.status = 402
        answer.body = new TextEncoder().encode('{}')
        for (const name of ['payment-receipt', 'www-authenticate']) answer.headers.delete(name)
      },
    })
    try {
      const failure = failureOf(await meeting.mpp.pay(`${proxy.url}/work`, work()))
      expect(failure).toMatchObject({
        code: 'payment_rejected',
        references: { httpStatus: 402 },
        mayHaveBeenCharged: true,
      })
      expect(failure.detail).toMatch(/402/)
    } finally {
      await proxy.stop()
    }
  })
})
