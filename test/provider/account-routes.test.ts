import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VIRTUAL_KEYS } from '../../src/sandbox/gateway/account-routes.js'
import { complete, parseChatRequest } from '../../src/sandbox/gateway/model.js'
import { type AccountServer, CHAT, startAccountServer } from './http-servers.js'

let server: AccountServer

beforeEach(async () => {
  server = await startAccountServer({ keys: { 'vk-small-budget': { budgetTokens: 60 } } })
})
afterEach(() => server.stop())

async function ask(key: string | undefined, body: unknown = CHAT, method = 'POST', path = '/v1/chat/completions') {
  const response = await fetch(server.url + path, {
    method,
    headers: key === undefined ? {} : { authorization: key },
    ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: text === '' ? undefined : JSON.parse(text) }
}

const bearer = (key: string) => `Bearer ${key}`

describe('account routes', () => {
  it.each([
    [undefined, 401, 'invalid_api_key'],
    ['Payment eyJjaGFsbGVuZ2UiOnt9fQ', 401, 'invalid_api_key'],
    [bearer('vk-unknown'), 401, 'invalid_api_key'],
    [bearer(VIRTUAL_KEYS.revoked), 401, 'invalid_api_key'],
    [bearer(VIRTUAL_KEYS.exhausted), 402, 'spend_limit_reached'],
  ])('answer %s with %i %s', async (authorization, status, code) => {
    const answer = await ask(authorization)
    expect(answer.status).toBe(status)
    expect(answer.json).toMatchObject({ error: { code, message: expect.any(String), type: expect.any(String) } })
    expect(answer.headers.get('x-request-id')).toMatch(/^req-/)
    expect(answer.text).not.toContain('vk-')
  })

  it.each([
    ['{', 'not_json'],
    ['[]', 'not_json'],
    [{ ...CHAT, model: '' }, 'invalid_model'],
    [{ ...CHAT, messages: [] }, 'invalid_messages'],
    [{ ...CHAT, messages: [{ content: 'no role' }] }, 'invalid_messages'],
    [{ ...CHAT, max_tokens: 0 }, 'invalid_max_tokens'],
    [{ ...CHAT, max_tokens: '24' }, 'invalid_max_tokens'],
    [{ ...CHAT, stream: 'yes' }, 'invalid_stream'],
    [{ ...CHAT, stream: true }, 'streaming_unavailable'],
  ])('refuse the body %j with %s', async (body, code) => {
    const answer = await ask(bearer(VIRTUAL_KEYS.valid), body)
    expect(answer.status).toBe(400)
    expect(answer.json.error.code).toBe(code)
  })

  it('take from the budget what was used, and refuse what might not be covered', async () => {
    const key = bearer('vk-small-budget')
    const first = await ask(key)
    expect(first.status).toBe(200)
    const { prompt_tokens: prompt, completion_tokens: completion } = first.json.usage
    expect(completion).toBeGreaterThan(0)
    const left = 60 - prompt - completion
    const second = await ask(key, { ...CHAT, max_tokens: left - prompt + 1 })
    expect(second.status).toBe(402)
    expect((await ask(key, { ...CHAT, max_tokens: left - prompt })).status).toBe(200)
  })

  it('limit models, methods and rates, and fail when told to', async () => {
    const restricted = bearer(VIRTUAL_KEYS.restricted)
    expect((await ask(restricted, { ...CHAT, model: 'sandbox-large' })).status).toBe(403)
    expect((await ask(restricted)).status).toBe(200)
    expect((await ask(restricted, undefined, 'GET', '/v1/models')).json.data).toHaveLength(1)
    expect((await ask(restricted, undefined, 'GET', '/v1/models/sandbox-large')).status).toBe(404)
    expect((await ask(restricted, undefined, 'GET', '/v1/models/sandbox-small')).json.id).toBe('sandbox-small')
    const wrong = await ask(restricted, undefined, 'GET')
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await ask(restricted, undefined, 'GET', '/v1/other')).status).toBe(404)
    const limited = bearer(VIRTUAL_KEYS.limited)
    expect((await ask(limited)).status).toBe(200)
    const tooFast = await ask(limited)
    expect(tooFast.status).toBe(429)
    expect(Number(tooFast.headers.get('retry-after'))).toBeGreaterThan(50)
    server.routes.failNext(1, 503)
    expect((await ask(bearer(VIRTUAL_KEYS.valid))).status).toBe(503)
    expect((await ask(bearer(VIRTUAL_KEYS.valid))).status).toBe(200)
    expect(() => server.routes.failNext(1, 404)).toThrow(RangeError)
  })
})

describe('the model', () => {
  const request = (body: object) => {
    const read = parseChatRequest(new TextEncoder().encode(JSON.stringify(body)))
    if (!read.ok) throw new Error(read.detail)
    return read.value
  }

  it('answers the same bytes the same way and never writes more than it may', () => {
    const text = (body: object) => new TextDecoder().decode(complete(request(body)).body)
    expect(text(CHAT)).toBe(text({ ...CHAT }))
    expect(text(CHAT)).not.toBe(text({ ...CHAT, temperature: 1 }))
    for (const maxTokens of [1, 2, 15, 16, 48, 300]) {
      const completion = complete(request({ ...CHAT, max_tokens: maxTokens }))
      const answer = JSON.parse(new TextDecoder().decode(completion.body))
      expect(completion.completionTokens).toBeLessThanOrEqual(maxTokens)
      expect(answer.choices[0].message.content.split(' ')).toHaveLength(completion.completionTokens)
      expect(answer.usage.total_tokens).toBe(completion.promptTokens + completion.completionTokens)
    }
    expect(complete(request({ ...CHAT, model: 'sandbox-verbose', max_tokens: 700 })).completionTokens).toBe(700)
    const both = request({ ...CHAT, max_completion_tokens: 3 })
    expect(complete(both).completionTokens).toBe(3)
  })

  it('counts texts, parts and messages without text', () => {
    const tokens = (content: unknown) => request({ model: 'm', messages: [{ role: 'user', content }] }).promptTokens
    expect(tokens('12345')).toBe(5)
    expect(tokens([{ type: 'text', text: '12345' }, { type: 'image_url' }])).toBe(5)
    expect(tokens(null)).toBe(3)
  })
})
