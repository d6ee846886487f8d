// Arguments that no request can be made of: refused as fetch refuses them, by a name of their own, before anything is sent.
// Must never let a piece of an argument into an error: each of them holds a secret here.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMppClient } from '../../src/index.js'
import { failureOf } from './stage.js'

const SECRET = 'hunter2secret'
let requests = 0
let url = ''
const server = createServer((_, response) => {
  requests += 1
  response.end('free of charge')
})
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}/`
})
afterAll(() => server.close())

const mpp = createMppClient({ account: privateKeyToAccount(generatePrivateKey()), rpcUrl: 'http://127.0.0.1:1' })

function usedRequest(): Request {
  const request = new Request(url, { method: 'POST', body: SECRET })
  request.text().catch(() => undefined)
  return request
}

function lockedStream(): ReadableStream<Uint8Array> {
  const stream = new Blob([SECRET]).stream()
  stream.getReader()
  return stream
}

async function readStream(): Promise<ReadableStream<Uint8Array>> {
  const stream = new Blob([SECRET]).stream()
  const reader = stream.getReader()
  await reader.read()
  reader.releaseLock()
  return stream
}

type Call = readonly [input: unknown, init?: unknown]
const CALLS: readonly (readonly [name: string, detail: RegExp, call: () => Call | Promise<Call>])[] = [
  ['a URL that is none', /the URL cannot be read/, () => [`nonsense ${SECRET}`]],
  ['a URL that is none, with a body', /the URL cannot be read/, () => [SECRET, { method: 'POST', body: 'x' }]],
  ['nothing at all', /the URL cannot be read/, () => [undefined]],
  ['ftp:', /only http: and https:/, () => [`ftp://example.com/${SECRET}`]],
  ['file:', /only http: and https:/, () => [new URL(`file:///${SECRET}`)]],
  ['data:', /only http: and https:/, () => [`data:text/plain,${SECRET}`]],
  ['ftp:, with a body', /only http: and https:/, () => ['ftp://example.com/', { method: 'POST', body: SECRET }]],
  ['a password in the URL', /user name or a password/, () => [url.replace('//', `//me:${SECRET}@`)]],
  ['a body on GET', /GET or HEAD/, () => [url, { body: SECRET }]],
  ['a stream on HEAD', /GET or HEAD/, () => [url, { method: 'HEAD', body: new Blob([SECRET]).stream() }]],
  ['a method that is none', /this method/, () => [url, { method: `BAD ${SECRET}` }]],
  ['a method that fetch refuses', /this method/, () => [url, { method: 'TRACE' }]],
  ['a method that fetch refuses, with a body', /this method/, () => [url, { method: 'CONNECT', body: SECRET }]],
  ['a header name that is none', /a header/, () => [url, { headers: { [`bad ${SECRET}`]: 'x' } }]],
  ['a header value that is none', /a header/, () => [url, { headers: { authorization: `Bearer ${SECRET}\nx: y` } }]],
  ['a header that is none, with a body', /a header/, () => [url, { method: 'POST', body: 'x', headers: [[SECRET]] }]],
  ['a Request that was read', /read before/, () => [usedRequest()]],
  ['a stream that is being read', /read before/, () => [url, { method: 'POST', body: lockedStream() }]],
  ['a stream that was read', /read before/, async () => [url, { method: 'POST', body: await readStream() }]],
  ['a signal that is none', /AbortSignal/, () => [url, { method: 'POST', body: 'x', signal: { secret: SECRET } }]],
  ['a signal that is none, without a body', /AbortSignal/, () => [url, { signal: { secret: SECRET } }]],
  ['an option that fetch refuses', /an option/, () => [url, { redirect: SECRET }]],
]

/** Calls as JavaScript does, without types in the way. */
const untyped = <Result>(method: (...args: never[]) => Result, call: Call): Result => Reflect.apply(method, mpp, call)

describe.each(CALLS)('%s', (_, detail, make) => {
  it('makes fetch reject with a TypeError that says what, and quotes nothing', async () => {
    const call = await make()
    const error = await untyped(mpp.fetch, call).then(
      () => expect.fail('it was sent'),
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: expect.stringMatching(detail), code: 'request_invalid' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(SECRET)
  })

  it('makes pay fail with request_invalid, and quotes nothing', async () => {
    const outcome = await untyped(mpp.pay, await make())
    expect(failureOf(outcome)).toMatchObject({
      code: 'request_invalid',
      detail: expect.stringMatching(detail),
      retryable: false,
      authorised: { paidSends: 0, deposit: '0' },
    })
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toContain(SECRET)
  })

  it('makes createFlow throw the same TypeError', async () => {
    const call = await make()
    expect(() => untyped(mpp.createFlow, call)).toThrow(TypeError)
    expect(() => untyped(mpp.createFlow, call)).toThrow(detail)
  })
})

describe('no request', () => {
  it('was sent for any of them', () => {
    expect(requests).toBe(0)
  })

  it('is refused that fetch sends', async () => {
    const calls: readonly Call[] = [
      [url],
      [url, null],
      [url, { signal: null, body: null }],
      [new URL(url), { method: 'post', body: 'x' }],
      [new Request(url, { method: 'POST', body: 'x' })],
      [usedRequest(), { method: 'POST', body: 'another' }],
      [url, { method: 'PATCH', body: new URLSearchParams({ a: 'b' }) }],
    ]
    for (const call of calls) expect(await (await untyped(mpp.fetch, call)).text()).toBe('free of charge')
    expect(requests).toBe(calls.length)
  })
})

describe('a body that breaks off while it is read', () => {
  it('fails by name, and nothing of it is sent', async () => {
    const before = requests
    const body = new ReadableStream({
      pull(controller) {
        controller.error(new Error(SECRET))
      },
    })
    const outcome = await mpp.pay(url, { method: 'POST', body })
    expect(failureOf(outcome).detail).toBe('the body of the request broke off before all of it was read')
    expect(JSON.stringify(outcome)).not.toContain(SECRET)
    expect(requests).toBe(before)
  })
})
