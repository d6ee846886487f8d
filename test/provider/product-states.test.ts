import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from 'xstate'
import { type ChatOutcome, createProviderClient, type ProviderClientOptions } from '../../src/provider/index.js'
import { VIRTUAL_KEYS } from '../../src/sandbox/gateway/account-routes.js'
import { type AccountServer, CHAT, NO_WAIT, startAccountServer } from './http-servers.js'

let server: AccountServer

beforeEach(async () => {
  server = await startAccountServer()
})
afterEach(() => server.stop())

function clientWith(virtualKey: ProviderClientOptions['virtualKey'], more: Partial<ProviderClientOptions> = {}) {
  return createProviderClient({ baseUrl: server.url, virtualKey, retry: NO_WAIT, ...more })
}

function chats(): number {
  return server.seen.filter(({ path }) => path === '/v1/chat/completions').length
}

function expectFailed(outcome: ChatOutcome) {
  if (outcome.status !== 'failed') throw new Error('the request succeeded')
  expect(outcome.failure.action.length).toBeGreaterThan(20)
  return outcome
}

describe('an answer', () => {
  it('reaches the caller as parsed JSON with its request id and the way it went', async () => {
    const outcome = await clientWith(VIRTUAL_KEYS.valid).chat(CHAT)
    expect(outcome).toMatchObject({
      status: 'succeeded',
      response: { status: 200, requestId: expect.stringMatching(/^req-/), body: { object: 'chat.completion' } },
    })
    expect(outcome.trace).toEqual([
      { state: 'requesting', event: 'SUBMIT' },
      { state: 'succeeded', event: 'HTTP_2XX' },
    ])
    expect(server.seen).toEqual([
      {
        method: 'POST',
        path: '/v1/chat/completions',
        authorization: `Bearer ${VIRTUAL_KEYS.valid}`,
        body: JSON.stringify(CHAT),
      },
    ])
  })

  it('lists the models the key may use', async () => {
    expect(await clientWith(VIRTUAL_KEYS.valid).models()).toMatchObject({
      status: 'succeeded',
      models: ['sandbox-small', 'sandbox-large', 'sandbox-verbose'],
    })
    expect(await clientWith(async () => VIRTUAL_KEYS.restricted).models()).toMatchObject({ models: ['sandbox-small'] })
    expect(await clientWith(VIRTUAL_KEYS.revoked).models()).toMatchObject({
      status: 'failed',
      failure: { state: 'reconnectRequired', httpStatus: 401, requestId: expect.stringMatching(/^req-/) },
    })
  })
})

describe('401 reconnectRequired', () => {
  it.each([VIRTUAL_KEYS.revoked, 'vk-nobody-knows'])('comes from a key that is not accepted (%s)', async (key) => {
    const { failure, trace } = expectFailed(await clientWith(key).chat(CHAT))
    expect(failure).toMatchObject({ state: 'reconnectRequired', httpStatus: 401, retryable: false })
    expect(failure.requestId).toMatch(/^req-/)
    expect(trace.at(-2)).toEqual({ state: 'reconnectRequired', event: 'HTTP_401' })
    expect(trace.at(-1)?.state).toBe('failed')
  })

  it.each(['', 'Bearer vk-sandbox-valid', 'Payment eyJjaGFsbGVuZ2UiOnt9fQ', 'two\nlines'])(
    'comes without any request from what is no key (%j)',
    async (key) => {
      const { failure } = expectFailed(await clientWith(key).chat(CHAT))
      expect(failure.state).toBe('reconnectRequired')
      expect(failure.httpStatus).toBeUndefined()
      expect(server.seen).toEqual([])
    },
  )

  it('comes without any request when the key cannot be fetched, and does not say why', async () => {
    const outcome = await clientWith(() => Promise.reject(new Error('vk-secret is locked'))).chat(CHAT)
    expect(expectFailed(outcome).failure.state).toBe('reconnectRequired')
    expect(JSON.stringify(outcome)).not.toContain('vk-secret')
    expect(server.seen).toEqual([])
  })

  it('waits for a new key, retests it with GET /v1/models and sends the same bytes again', async () => {
    const client = clientWith(VIRTUAL_KEYS.revoked)
    const flow = client.createFlow(CHAT).start()
    flow.send({ type: 'SUBMIT' })
    await waitFor(flow, (snapshot) => snapshot.matches('reconnectRequired'))
    client.replaceKey('vk-still-wrong')
    flow.send({ type: 'KEY_REPLACED' })
    await waitFor(flow, (snapshot) => snapshot.matches('retestingConnection'))
    await waitFor(flow, (snapshot) => snapshot.matches('reconnectRequired'))
    expect(chats()).toBe(1)
    client.replaceKey(VIRTUAL_KEYS.valid)
    flow.send({ type: 'KEY_REPLACED' })
    const done = await waitFor(flow, (snapshot) => snapshot.status === 'done')
    expect(done.output).toMatchObject({ status: 'succeeded', state: null, action: null })
    expect(client.resultOf(flow).response?.body).toMatchObject({ object: 'chat.completion' })
    expect(client.resultOf(flow).trace.map(({ state }) => state)).toEqual([
      'requesting',
      'reconnectRequired',
      'retestingConnection',
      'reconnectRequired',
      'retestingConnection',
      'requesting',
      'succeeded',
    ])
    const [first, second, third, fourth] = server.seen
    expect([first?.path, second?.path, third?.path, fourth?.path]).toEqual([
      '/v1/chat/completions',
      '/v1/models',
      '/v1/models',
      '/v1/chat/completions',
    ])
    expect(fourth?.body).toBe(first?.body)
    expect(fourth?.authorization).toBe(`Bearer ${VIRTUAL_KEYS.valid}`)
  })

  it('lets a plain client retry the kept prompt with the replaced key', async () => {
    const client = clientWith(VIRTUAL_KEYS.revoked)
    const outcome = expectFailed(await client.chat(CHAT))
    client.replaceKey(VIRTUAL_KEYS.valid)
    expect((await outcome.retry?.())?.status).toBe('succeeded')
    expect(server.seen[1]?.body).toBe(server.seen[0]?.body)
  })
})

describe('402 spendLimitReached', () => {
  it('keeps the prompt for a retry after the budget was raised', async () => {
    const outcome = expectFailed(await clientWith(VIRTUAL_KEYS.exhausted).chat({ ...CHAT }))
    expect(outcome.failure).toMatchObject({ state: 'spendLimitReached', httpStatus: 402, retryable: false })
    expect(chats()).toBe(1)
    const again = expectFailed((await outcome.retry?.()) ?? outcome)
    expect(again.failure.state).toBe('spendLimitReached')
    server.routes.setBudget(VIRTUAL_KEYS.exhausted, 1000)
    expect((await again.retry?.())?.status).toBe('succeeded')
    expect(new Set(server.seen.map(({ body }) => body))).toEqual(new Set([JSON.stringify(CHAT)]))
    expect(chats()).toBe(3)
  })

  it('lets a person send a smaller request in the same flow', async () => {
    server.routes.setBudget(VIRTUAL_KEYS.exhausted, 20)
    const client = clientWith(VIRTUAL_KEYS.exhausted)
    const flow = client.createFlow(CHAT).start()
    flow.send({ type: 'SUBMIT' })
    await waitFor(flow, (snapshot) => snapshot.matches('spendLimitReached'))
    flow.send({ type: 'MAX_TOKENS_CHOSEN', maxTokens: 0 })
    expect(flow.getSnapshot().value).toBe('spendLimitReached')
    flow.send({ type: 'MAX_TOKENS_CHOSEN', maxTokens: 5 })
    await waitFor(flow, (snapshot) => snapshot.matches('succeeded'))
    expect(JSON.parse(server.seen[1]?.body ?? '')).toEqual({ ...CHAT, max_tokens: 5 })
    expect(client.resultOf(flow).response?.body).toMatchObject({ usage: { completion_tokens: 5 } })
  })
})

describe('403 policyBlocked', () => {
  it('names the state and does not repeat', async () => {
    const outcome = await clientWith(VIRTUAL_KEYS.restricted).chat({ ...CHAT, model: 'sandbox-large' })
    expect(expectFailed(outcome).failure).toMatchObject({ state: 'policyBlocked', httpStatus: 403, retryable: false })
    expect(chats()).toBe(1)
  })

  it('refreshes the models and sends the prompt with the one a person chose', async () => {
    const flow = clientWith(VIRTUAL_KEYS.restricted)
      .createFlow({ ...CHAT, model: 'sandbox-large' })
      .start()
    flow.send({ type: 'SUBMIT' })
    await waitFor(flow, (snapshot) => snapshot.matches('policyBlocked'))
    flow.send({ type: 'REFRESH_MODELS' })
    const listed = await waitFor(
      flow,
      (snapshot) => snapshot.matches('policyBlocked') && snapshot.context.models !== null,
    )
    expect(listed.context.models).toEqual(['sandbox-small'])
    flow.send({ type: 'MODEL_CHOSEN', model: 'sandbox-small' })
    const done = await waitFor(flow, (snapshot) => snapshot.status === 'done')
    expect(done.output?.status).toBe('succeeded')
    expect(server.seen.map(({ path }) => path)).toEqual(['/v1/chat/completions', '/v1/models', '/v1/chat/completions'])
    expect(JSON.parse(server.seen[2]?.body ?? '')).toEqual(CHAT)
  })
})

describe('429 rateLimited', () => {
  it('is never repeated by itself and says when to come back', async () => {
    const client = clientWith(VIRTUAL_KEYS.limited)
    expect((await client.chat(CHAT)).status).toBe('succeeded')
    const { failure } = expectFailed(await client.chat(CHAT))
    expect(failure).toMatchObject({ state: 'rateLimited', httpStatus: 429, retryable: true })
    expect(failure.retryAfterMs).toBeGreaterThan(50_000)
    expect(failure.retryAfterMs).toBeLessThanOrEqual(60_000)
    expect(chats()).toBe(2)
  })

  it('is sent again on a person’s word once the window is over', async () => {
    let now = 0
    const slow = await startAccountServer({ now: () => now, rate: { requests: 1, windowSeconds: 10 } })
    const client = createProviderClient({ baseUrl: slow.url, virtualKey: VIRTUAL_KEYS.limited })
    now = 1_000_000
    expect((await client.chat(CHAT)).status).toBe('succeeded')
    const outcome = expectFailed(await client.chat(CHAT))
    expect(outcome.failure.retryAfterMs).toBe(10_000)
    now += 10_000
    expect((await outcome.retry?.())?.status).toBe('succeeded')
    await slow.stop()
  })
})

describe('5xx temporarilyUnavailable', () => {
  it('succeeds when the server recovers within the retries, with identical bytes', async () => {
    server.routes.failNext(2, 503)
    const outcome = await clientWith(VIRTUAL_KEYS.valid).chat(CHAT)
    expect(outcome.status).toBe('succeeded')
    expect(outcome.trace.map(({ state }) => state)).toEqual([
      'requesting',
      'backingOff',
      'requesting',
      'backingOff',
      'requesting',
      'succeeded',
    ])
    expect(new Set(server.seen.map(({ body }) => body)).size).toBe(1)
    expect(server.routes.counts()).toEqual({
      'POST /v1/chat/completions 503': 2,
      'POST /v1/chat/completions 200': 1,
    })
  })

  it('gives up after three retries and keeps the request id of the last answer', async () => {
    server.routes.failNext(10, 502)
    const outcome = expectFailed(await clientWith(VIRTUAL_KEYS.valid).chat(CHAT))
    expect(outcome.failure).toMatchObject({ state: 'temporarilyUnavailable', httpStatus: 502, retryable: true })
    expect(outcome.failure.requestId).toBe(outcome.response?.requestId)
    expect(outcome.failure.requestId).toMatch(/^req-/)
    expect(chats()).toBe(4)
  })

  it('retries the retest of a new key too', async () => {
    const client = clientWith(VIRTUAL_KEYS.revoked)
    const flow = client.createFlow(CHAT).start()
    flow.send({ type: 'SUBMIT' })
    await waitFor(flow, (snapshot) => snapshot.matches('reconnectRequired'))
    server.routes.failNext(2, 500, '/v1/models')
    client.replaceKey(VIRTUAL_KEYS.valid)
    flow.send({ type: 'KEY_REPLACED' })
    await waitFor(flow, (snapshot) => snapshot.matches('succeeded'))
    expect(server.routes.counts()).toMatchObject({ 'GET /v1/models 500': 2, 'GET /v1/models 200': 1 })
    expect(chats()).toBe(2)
  })

  it('waits exponentially, with jitter below and the cap above', async () => {
    server.routes.failNext(4, 500)
    const started = performance.now()
    const low = await clientWith(VIRTUAL_KEYS.valid, { retry: { baseMs: 40, capMs: 100 }, random: () => 0 }).chat(CHAT)
    const lowMs = performance.now() - started
    expect(low.status).toBe('failed')
    server.routes.failNext(4, 500)
    const again = performance.now()
    await clientWith(VIRTUAL_KEYS.valid, { retry: { baseMs: 40, capMs: 100 }, random: () => 0.999 }).chat(CHAT)
    const highMs = performance.now() - again
    // 40 + 80 + 100, and half of that with the lowest jitter; the timers may be a little early.
    expect(lowMs).toBeGreaterThan(105)
    expect(highMs).toBeGreaterThan(212)
  })
})

describe('other answers', () => {
  it.each([
    [{ ...CHAT, messages: [] }, 400],
    [{ ...CHAT, model: 'no-such-model' }, 404],
  ])('end the request without a retry', async (body, httpStatus) => {
    const outcome = expectFailed(await clientWith(VIRTUAL_KEYS.valid).chat(body))
    expect(outcome.failure).toMatchObject({ state: 'requestRejected', httpStatus, retryable: false })
    expect(outcome.response?.body).toMatchObject({ error: { type: 'invalid_request_error' } })
    expect(outcome.retry).toBeUndefined()
    expect(chats()).toBe(1)
  })

  it('a stream is refused before anything is sent', async () => {
    const body = { ...CHAT, stream: true }
    // @ts-expect-error the type refuses it as well
    await expect(clientWith(VIRTUAL_KEYS.valid).chat(body)).rejects.toThrow(TypeError)
    expect(server.seen).toEqual([])
  })
})

describe('cancelling', () => {
  it('ends a wait at once and keeps the prompt', async () => {
    server.routes.failNext(1, 500)
    const abort = new AbortController()
    const client = clientWith(VIRTUAL_KEYS.valid, {
      retry: { baseMs: 5000, capMs: 5000 },
      inspect: (inspection) => {
        if (inspection.type === '@xstate.event' && inspection.event.type === 'HTTP_5XX')
          setTimeout(() => abort.abort(), 5)
      },
    })
    const outcome = expectFailed(await client.chat(CHAT, { signal: abort.signal }))
    expect(outcome.failure.state).toBe('cancelled')
    expect(outcome.trace.slice(-2)).toEqual([
      { state: 'backingOff', event: 'HTTP_5XX' },
      { state: 'cancelled', event: 'CANCEL' },
    ])
    expect((await outcome.retry?.())?.status).toBe('succeeded')
  })

  it('sends nothing when it is cancelled already', async () => {
    const outcome = await clientWith(VIRTUAL_KEYS.valid).chat(CHAT, { signal: AbortSignal.abort() })
    expect(expectFailed(outcome).failure.state).toBe('cancelled')
    expect(server.seen).toEqual([])
  })

  it('gives up in a product state with that state as the result', async () => {
    const flow = clientWith(VIRTUAL_KEYS.exhausted).createFlow(CHAT).start()
    flow.send({ type: 'SUBMIT' })
    await waitFor(flow, (snapshot) => snapshot.matches('spendLimitReached'))
    flow.send({ type: 'GIVE_UP' })
    expect(flow.getSnapshot().output).toMatchObject({ status: 'failed', state: 'spendLimitReached', httpStatus: 402 })
  })
})
