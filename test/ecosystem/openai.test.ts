// The `openai` package with `fetch: mpp.fetch`: chats are paid for, and its own retries never pay a second time.
// Must never turn its retries off: what is shown here holds for its defaults.

import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Stage, setStage } from '../client/stage.js'
import { startCuttingHop } from './cutting-hop.js'
import { API_KEY, FAILURES, type SdkGround, sdkGround } from './sdk-stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(30)
})
afterAll(() => stage.stop())

const openai = ({ baseURL, fetch }: SdkGround, options: { readonly timeout?: number } = {}) =>
  new OpenAI({ apiKey: API_KEY, baseURL, fetch, ...options })

const ask = (client: OpenAI, options: { readonly signal?: AbortSignal } = {}) =>
  client.chat.completions.create(
    { model: 'sandbox-small', max_tokens: 32, messages: [{ role: 'user', content: 'Hello' }] },
    options,
  )

/** What a call was rejected with, as the SDK's own error. */
async function refusal(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof OpenAI.APIError)) throw new Error(`not an error of the SDK: ${String(error)}`)
  return error
}

describe('the openai package', () => {
  it('chats, paying with one channel and one voucher, and its key stays at home', async () => {
    const ground = await sdkGround(stage)
    const client = openai(ground)
    expect(client.maxRetries).toBe(2)
    for (let turn = 0; turn < 3; turn += 1) {
      const completion = await ask(client)
      expect(completion.object).toBe('chat.completion')
      expect(completion.choices[0]?.message.content).toMatch(/^[a-z]+( [a-z]+)+$/)
      expect(completion.usage?.total_tokens).toBeGreaterThan(0)
    }
    expect(ground.spent()).toEqual({ flows: 3, paidSends: 3 })
    expect(await stage.opened(ground.payer)).toBe(1)
    expect((await ground.mpp.sessions.list()).map(({ signed }) => signed)).toEqual(['1000000'])
    expect(ground.keyTravelled()).toBe(false)
  })

  it('pays for many chats at once, and for a response that is read raw', async () => {
    const ground = await sdkGround(stage)
    const client = openai(ground)
    const completions = await Promise.all(Array.from({ length: 20 }, () => ask(client)))
    expect(new Set(completions.map(({ object }) => object))).toEqual(new Set(['chat.completion']))
    const { data, response, request_id } = await ask(client).withResponse()
    expect([data.object, response.status]).toEqual(['chat.completion', 200])
    expect(request_id).toMatch(/^req_/)
    expect(response.headers.get('payment-receipt')).not.toBeNull()
    expect(await stage.opened(ground.payer)).toBe(1)
  })

  for (const { what, arrange, policy, code, paidSends } of FAILURES) {
    it(`is told of ${what} once, and does not repeat it`, async () => {
      const ground = await sdkGround(stage, { ...(policy !== undefined && { policy }) })
      await arrange(ground.gateway)
      const error = await refusal(ask(openai(ground)))
      expect(ground.spent()).toEqual({ flows: 1, paidSends })
      expect(error.code).toBe(code)
      expect(error.type).toBe('payment_flow_error')
      expect(error.headers?.get('x-should-retry')).toBe('false')
      expect(error.headers?.get('x-mpp-failure')).toBe(code)
      // What was and was not authorised is in the words.
      expect(error.message).toContain(paidSends === 0 ? 'Nothing was authorised' : 'This request sent vouchers up to')
    })
  }

  it('does not repeat a paid request that the gateway answered with 409, and hands that answer on', async () => {
    const ground = await sdkGround(stage)
    ground.gateway.inject('http_409', { times: 99 })
    const error = await refusal(ask(openai(ground)))
    expect([error.status, error.headers?.get('x-should-retry')]).toEqual([409, 'false'])
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 1 })
  })

  it('may repeat what was answered without a payment', async () => {
    const ground = await sdkGround(stage)
    ground.gateway.inject('http_409', { on: 'unpaid', times: 1 })
    expect((await ask(openai(ground))).object).toBe('chat.completion')
    expect(ground.spent()).toEqual({ flows: 2, paidSends: 1 })
  })

  it('does not pay again when its own timeout runs out over a paid request', async () => {
    const ground = await sdkGround(stage)
    await ask(openai(ground))
    ground.gateway.configure({ latencyMs: 10_000 })
    // Long enough to send a voucher that is signed already, shorter than the work.
    const error = await refusal(ask(openai(ground, { timeout: 2500 })))
    expect(error.code).toBe('cancelled')
    expect(error.message).toContain('This request sent vouchers up to 1.00 pathUSD')
    expect(ground.spent()).toEqual({ flows: 2, paidSends: 2 })
  })

  it('does not pay again for a paid answer that breaks off while it is read', async () => {
    const ground = await sdkGround(stage)
    const hop = await startCuttingHop(ground.gateway.url)
    const call = ask(openai({ ...ground, baseURL: `${hop.url}/v1/mpp` }))
    await expect(call).rejects.toThrow('terminated')
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 1 })
    await hop.stop()
  })

  it('is stopped by its caller before anything is paid, as by any fetch', async () => {
    const stop = new AbortController()
    const approve = (): undefined => {
      stop.abort()
      return undefined
    }
    const ground = await sdkGround(stage, { policy: { approve } })
    await expect(ask(openai(ground), { signal: stop.signal })).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 0 })
  })

  it('is told that streams are not offered before anything is sent', async () => {
    const ground = await sdkGround(stage)
    const stream = openai(ground).chat.completions.create({
      model: 'sandbox-small',
      max_tokens: 32,
      stream: true,
      messages: [{ role: 'user', content: 'Hello' }],
    })
    const error = await refusal(stream)
    expect([error.status, error.code]).toEqual([402, 'mpp_streaming_unavailable'])
    expect(error.message).toContain('stream: false')
    expect(ground.gateway.seen).toEqual([])
    expect(ground.spent()).toEqual({ flows: 1, paidSends: 0 })
  })
})
