// The `ai` package with `fetch: mpp.fetch`: chats are paid for, and its retries, which go by status, never pay again.
// Must never turn those retries off: what is shown here holds for their defaults.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText } from 'ai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PaymentFlowError } from '../../src/index.js'
import type { GatewayExchange } from '../../src/sandbox/index.js'
import { type Stage, setStage } from '../client/stage.js'
import { startCuttingHop } from './cutting-hop.js'
import { API_KEY, FAILURES, type SdkGround, sdkGround } from './sdk-stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(30)
})
afterAll(() => stage.stop())

const model = ({ baseURL, fetch }: SdkGround) =>
  createOpenAICompatible({ name: 'gateway', apiKey: API_KEY, baseURL, fetch })('sandbox-small')

const ask = (ground: SdkGround, options: { readonly abortSignal?: AbortSignal } = {}) =>
  generateText({ model: model(ground), prompt: 'Hello', maxOutputTokens: 32, ...options })

/** What a call was rejected with, as an error of this package. */
async function refusal(call: Promise<unknown>): Promise<PaymentFlowError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof PaymentFlowError)) throw new Error(`not a PaymentFlowError: ${String(error)}`)
  return error
}

describe('the AI SDK', () => {
  it('chats, paying with one channel and one voucher, and its key stays at home', async () => {
    const ground = await sdkGround(stage)
    for (let turn = 0; turn < 3; turn += 1) {
      const { text, usage } = await ask(ground)
      expect(text).toMatch(/^[a-z]+( [a-z]+)+$/)
      expect(usage.totalTokens).toBeGreaterThan(0)
    }
    expect(ground.spent()).toEqual({ flows: 3, paidSends: 3 })
    expect(await stage.opened(ground.payer)).toBe(1)
    expect((await ground.mpp.sessions.list()).map(({ signed }) => signed)).toEqual(['1000000'])
    expect(ground.keyTravelled()).toBe(false)
  })

  for (const { what, arrange, policy, code, paidSends } of FAILURES) {
    it(`is told of ${what} once, and does not repeat it`, async () => {
      const ground = await sdkGround(stage, { ...(policy !== undefined && { policy }) })
      await arrange(ground.gateway)
      const error = await refusal(ask(ground))
      expect(ground.spent()).toEqual({ flows: 1, paidSends })
      expect(error.failure).toMatchObject({ code, authorised: { paidSends } })
      expect(error.trace.at(-1)?.state).toBe('failed')
    })
  }

  it('does not repeat a paid request that the gateway answered with 409', async () => {
    const ground = await sdkGround(stage)
    ground.gateway.inject('http_409', { times: 99 })
    const { failure } = await refusal(ask(ground))
    expect(failure).toMatchObject({
      code: 'payment_rejected',
      detail: 'the request may have been charged, and the gateway answered with HTTP 409',
    })
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 1 })
  })

  it('does not pay again for a paid answer that breaks off while it is read', async () => {
    const ground = await sdkGround(stage)
    const hop = await startCuttingHop(ground.gateway.url)
    const error: unknown = await ask({ ...ground, baseURL: `${hop.url}/v1/mpp` }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'AI_APICallError', statusCode: 200, isRetryable: false })
    expect(error).toMatchObject({ cause: { message: expect.stringContaining('was paid for') } })
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 1 })
    await hop.stop()
  })

  it('ends with the reason of its signal when it is aborted over a paid request, and does not pay again', async () => {
    const stop = new AbortController()
    const latencyMs = 10_000
    const observe = ({ headers }: GatewayExchange): void => {
      const paid = headers.some(([, value]) => value.startsWith('Payment '))
      // The work has begun by then.
      if (paid) setTimeout(() => stop.abort(new DOMException('enough', 'TimeoutError')), 100)
    }
    const ground = await sdkGround(stage, { sandbox: { latencyMs, observe } })
    await expect(ask(ground, { abortSignal: stop.signal })).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 1 })
  })

  it('is told that streams are not offered before anything is sent', async () => {
    const ground = await sdkGround(stage)
    const errors: unknown[] = []
    const { textStream } = streamText({
      model: model(ground),
      prompt: 'Hello',
      onError: ({ error }) => {
        errors.push(error)
      },
    })
    const parts: string[] = []
    for await (const part of textStream) parts.push(part)
    expect(parts).toEqual([])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ name: 'PaymentFlowError', failure: { code: 'mpp_streaming_unavailable' } })
    expect(ground.gateway.seen).toEqual([])
  })
})

describe('a plain fetch', () => {
  it('still gets the answer of the gateway as it is, and is told by header', async () => {
    const ground = await sdkGround(stage)
    ground.gateway.inject('mpp_commit_failed')
    const body = JSON.stringify({ model: 'sandbox-small', max_tokens: 32, messages: [{ role: 'user', content: 'Hi' }] })
    const answer = await ground.fetch(ground.gateway.chat, { method: 'POST', body })
    expect(answer.status).toBe(500)
    expect(answer.headers.get('x-should-retry')).toBe('false')
    expect(await answer.json()).toMatchObject({ error: { code: 'mpp_commit_failed', type: 'mpp_error' } })
  })
})
