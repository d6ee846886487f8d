// Error bodies: every envelope a code may come in, and nothing of the body's text but its title.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PROBLEM_BYTES, readProblem } from '../../src/protocol/index.js'
import { anyJson, damaged, RUNS } from './arbitraries.js'

const read = (body: unknown, contentType: string | null = 'application/json') =>
  readProblem({ contentType, body: typeof body === 'string' ? body : JSON.stringify(body) })

const BASE = 'https://paymentauth.org/problems/'

describe('readProblem: codes', () => {
  it.each([
    ['error.code', { error: { code: 'mpp_invalid_challenge' } }],
    ['error.type', { error: { type: 'mpp_invalid_challenge' } }],
    ['code', { code: 'mpp_invalid_challenge' }],
    ['error as text', { error: 'mpp_invalid_challenge' }],
    ['detail.code', { detail: { code: 'mpp_invalid_challenge' } }],
    ['detail as text', { detail: 'mpp_invalid_challenge' }],
    ['a problem type that is a URL', { type: 'https://api.example/errors/mpp_invalid_challenge', title: 'x' }],
    ['a problem type that is a URN', { type: 'urn:example:problem:mpp_invalid_challenge' }],
    ['a problem type with a fragment', { type: 'https://api.example/errors#mpp_invalid_challenge' }],
    ['a problem code that is a URL', { type: 'about:blank', code: 'https://api.example/mpp_invalid_challenge' }],
    ['error.type that is a URL', { error: { type: 'https://api.example/mpp_invalid_challenge' } }],
    [
      'a problem type outside the class of errors',
      { error: { type: 'mpp_error' }, type: 'urn:x:mpp_invalid_challenge' },
    ],
    ['the class of errors as the type', { error: { code: 'mpp_invalid_challenge', type: 'mpp_error' } }],
    ['the class of errors inside, the code outside', { error: { type: 'mpp_error' }, code: 'mpp_invalid_challenge' }],
  ])('finds the code in %s', (_, body) => {
    expect(read(body).code).toBe('mpp_invalid_challenge')
  })

  it('finds payment_required beside the class of errors', () => {
    expect(read({ error: { code: 'payment_required', type: 'mpp_error' } }).code).toBe('payment_required')
  })

  it.each([
    ['another code', { error: { code: 'rate_limited' } }],
    ['the class of errors alone', { error: { type: 'mpp_error' } }],
    ['a code with a prefix', { code: 'xmpp_invalid_challenge' }],
    ['a code in capitals', { code: 'MPP_INVALID_CHALLENGE' }],
    ['a code in a sentence', { error: 'failed with mpp_invalid_challenge' }],
    ['a code in the message', { error: { message: 'mpp_invalid_challenge' } }],
    ['a code of more than 64 characters after mpp_', { code: `mpp_${'a'.repeat(65)}` }],
    ['a code with a line break', { code: 'mpp_x\n' }],
    ['a number', { code: 402 }],
    ['a list', [{ code: 'mpp_invalid_challenge' }]],
    ['a detail list', { detail: [{ code: 'mpp_invalid_challenge' }] }],
    ['null', null],
  ])('finds none in %s', (_, body) => {
    expect(read(body)).toEqual({})
  })

  it('does not take inherited members for members', () => {
    expect(read({ code: 'constructor' })).toEqual({})
    expect(read('{"__proto__":{"code":"mpp_invalid_challenge"}}')).toEqual({})
  })
})

describe('readProblem: standard problems', () => {
  it('reads type, title and what is missing', () => {
    const body = { type: `${BASE}session/insufficient-balance`, title: 'Insufficient Balance', requiredTopUp: '250000' }
    expect(read(body, 'application/problem+json; charset=utf-8')).toEqual({
      problem: 'session/insufficient-balance',
      title: 'Insufficient Balance',
      requiredTopUp: 250_000n,
    })
  })

  it('reads the type inside error, and numbers', () => {
    expect(read({ error: { type: `${BASE}payment-expired`, requiredTopUp: 7 } })).toEqual({
      problem: 'payment-expired',
      requiredTopUp: 7n,
    })
  })

  it.each([
    `${BASE}`,
    `${BASE}Session/x`,
    `${BASE}a/b/c`,
    `${BASE}../x`,
    `${BASE}a?b`,
    `${BASE}${'a'.repeat(200)}`,
    'http://paymentauth.org/problems/payment-expired',
    'https://paymentauth.org.evil.example/problems/payment-expired',
  ])('refuses the type %s', (type) => {
    expect(read({ type }).problem).toBeUndefined()
  })

  it.each([-1, 1.5, 2 ** 53, '1.5', '-1', '79228162514264337593543950336', true, {}])(
    'drops %j as what is missing',
    (requiredTopUp) => {
      expect(read({ requiredTopUp })).toEqual({})
    },
  )

  it('reads the request id from either spelling, inside or outside, when it has the shape of one', () => {
    expect(read({ request_id: 'req_1' }).requestId).toBe('req_1')
    expect(read({ error: { requestId: 'a.b:c-d' } }).requestId).toBe('a.b:c-d')
    expect(read({ request_id: 'a b' })).toEqual({})
    expect(read({ request_id: 'a'.repeat(129) })).toEqual({})
  })

  it('cuts the title and takes control characters out', () => {
    expect(read({ title: 'a'.repeat(500) }).title).toHaveLength(120)
    expect(read({ title: 'red\u001b[31m\nline' }).title).toBe('red [31m line')
    expect(read({ title: ' \n ' })).toEqual({})
  })
})

describe('readProblem: bounds', () => {
  it('does not look at what is declared to be something else', () => {
    for (const type of ['text/html', 'text/event-stream', 'image/png', 'multipart/form-data; boundary=x']) {
      expect(read({ code: 'mpp_invalid_challenge' }, type)).toEqual({})
    }
    for (const type of [null, '', 'text/plain', 'application/octet-stream', 'text/json', 'APPLICATION/JSON']) {
      expect(read({ code: 'mpp_invalid_challenge' }, type).code).toBe('mpp_invalid_challenge')
    }
  })

  it('reads up to 64 KB', () => {
    const body = (length: number) => {
      const frame = JSON.stringify({ pad: '', code: 'mpp_invalid_challenge' })
      return frame.replace('""', `"${'x'.repeat(length - frame.length)}"`)
    }
    expect(read(body(MAX_PROBLEM_BYTES)).code).toBe('mpp_invalid_challenge')
    expect(read(body(MAX_PROBLEM_BYTES + 1))).toEqual({})
  })

  it('does not read what nests deeper than 32', () => {
    expect(read(`{"code":"mpp_invalid_challenge","a":${'['.repeat(32)}${']'.repeat(32)}}`)).toEqual({})
  })

  it('is total: any text, any JSON, any content type; what it keeps is limited in shape', () => {
    const names = ['error', 'code', 'type', 'detail', 'details', 'title', 'requiredTopUp', 'request_id', 'requestId']
    const json = anyJson(names).map((value) => JSON.stringify(value))
    const valid = fc.constant(
      JSON.stringify({ error: { code: 'mpp_x', type: `${BASE}a/b` }, title: 't', requiredTopUp: '1', request_id: 'r' }),
    )
    fc.assert(
      fc.property(
        fc.oneof(json, damaged(valid), fc.string({ unit: 'binary' })),
        fc.option(fc.constantFrom('application/json', 'text/html', ';', '\0')),
        (body, contentType) => {
          const { code, problem, requiredTopUp, requestId, title, ...rest } = readProblem({ contentType, body })
          expect(rest).toEqual({})
          if (code !== undefined) expect(code).toMatch(/^(payment_required|mpp_[a-z0-9_]{1,64})$/)
          if (problem !== undefined) expect(problem).toMatch(/^[a-z][a-z0-9-]*(\/[a-z0-9-]+)?$/)
          if (requiredTopUp !== undefined) expect(requiredTopUp >= 0n && requiredTopUp < 1n << 96n).toBe(true)
          if (requestId !== undefined) expect(requestId).toMatch(/^[A-Za-z0-9._:-]{1,128}$/)
          if (title !== undefined) expect(title.length).toBeLessThanOrEqual(120)
        },
      ),
      RUNS,
    )
  })

  it('finds every code in every envelope', () => {
    const code = fc.oneof(
      fc.constant('payment_required'),
      fc
        .string({ unit: fc.constantFrom(...'abcxyz019_'), minLength: 1, maxLength: 64 })
        .map((rest) => `mpp_${rest}`)
        .filter((text) => text !== 'mpp_error'),
    )
    const wrap = fc.constantFrom<(code: string) => unknown>(
      (code) => ({ error: { code, message: 'm' } }),
      (code) => ({ error: { type: code } }),
      (code) => ({ code, message: 'm' }),
      (code) => ({ error: code }),
      (code) => ({ detail: { code } }),
      (code) => ({ type: `https://api.example/errors/${code}`, title: 't', status: 402 }),
      (code) => ({ type: 'about:blank', code: `urn:example:${code}` }),
    )
    fc.assert(
      fc.property(code, wrap, (text, envelope) => {
        expect(read(envelope(text)).code).toBe(text)
      }),
      RUNS,
    )
  })
})
