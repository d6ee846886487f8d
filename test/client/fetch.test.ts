// The client as a fetch: what passes through untouched, what can be aborted, and what is thrown when there is no answer.
// Must never let a receipt, a failure or a payment cost the caller the answer that the gateway gave.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { InspectionEvent } from 'xstate'
import { createMppClient, PaymentFlowError } from '../../src/index.js'
import { formatReceipt, parseReceipt, type Receipt } from '../../src/protocol/index.js'
import { type PassingAnswer, startProxy } from './proxy.js'
import { chat, counted, events, failureOf, paySome, type Stage, setStage } from './stage.js'

let stage: Stage
const ends: (() => Promise<void>)[] = []
beforeAll(async () => {
  stage = await setStage(80)
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})
afterAll(() => stage?.stop())

/** A server that answers as a test says: any web server, which has never heard of payments. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

const plain = () => createMppClient({ account: stage.chain.accounts[0] ?? stage.payer(), rpcUrl: stage.chain.rpcUrl })

/** What `fetch` throws. @throws when it does not. */
async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('an answer that asks for no payment', () => {
  it.each([200, 201, 204, 304, 400, 401, 403, 404, 409, 422])('%i passes through untouched', async (status) => {
    const url = await serve((_request, response) => {
      response.writeHead(status, 'Its Own Words', { 'x-own': 'a, b', 'set-cookie': ['a=1', 'b=2'] })
      response.end(status === 204 || status === 304 ? undefined : `body of ${status}`)
    })
    const answer = await plain().fetch(`${url}/anything?x=1`)
    const expected = await fetch(`${url}/anything?x=1`)
    expect(answer.status).toBe(status)
    expect(answer.ok).toBe(expected.ok)
    expect(answer.statusText).toBe('Its Own Words')
    expect(answer.url).toBe(expected.url)
    const names = [...expected.headers.keys()].filter((name) => name !== 'date')
    expect([...answer.headers.keys()].filter((name) => name !== 'date')).toEqual(names)
    for (const name of names) expect(answer.headers.get(name)).toBe(expected.headers.get(name))
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await answer.text()).toBe(await expected.text())
  })

  it('is sent as fetch sends it: method, query and headers; no Authorization, nothing of its own but the key', async () => {
    const seen: string[] = []
    const url = await serve((request, response) => {
      seen.push(`${request.method} ${request.url}`)
      seen.push(
        ...Object.keys(request.headers)
          .filter((name) => !['host', 'connection', 'date'].includes(name))
          .sort(),
      )
      response.end()
    })
    const init = { method: 'DELETE', headers: { 'x-app': '1' } }
    await plain().fetch(`${url}/a/b?c=d#part`, init)
    const [line, ...ours] = seen.splice(0)
    await fetch(`${url}/a/b?c=d#part`, init)
    const [expected, ...theirs] = seen.splice(0)
    expect(line).toBe(expected)
    expect(ours.filter((name) => name !== 'idempotency-key')).toEqual(theirs)
  })

  it('takes the options of a Request along, and lets those beside it go before them', async () => {
    const url = await serve((request, response) => response.end(request.headers['cache-control'] ?? 'none'))
    const seen: RequestInit[] = []
    const watching: typeof globalThis.fetch = (input, init) => {
      seen.push(init ?? {})
      return fetch(input, init)
    }
    const mpp = createMppClient({ account: stage.payer(), rpcUrl: stage.chain.rpcUrl, fetch: watching })
    const request = (): Request =>
      new Request(url, { cache: 'no-store', credentials: 'include', referrerPolicy: 'no-referrer' })
    expect(await (await mpp.fetch(request())).text()).toBe('no-cache')
    expect(await (await mpp.fetch(request(), { cache: 'no-cache' })).text()).toBe('max-age=0')
    expect(await (await mpp.fetch(new Request(url))).text()).toBe('none')
    const options = seen.map(({ method: _, headers: __, redirect: ___, signal: ____, ...rest }) => rest)
    expect(options).toEqual([
      { cache: 'no-store', credentials: 'include', referrerPolicy: 'no-referrer' },
      // With anything beside it, a Request loses its referrer, as in fetch.
      { cache: 'no-cache', credentials: 'include' },
      {},
    ])
    // Without a fetch of the caller's, they are a reason to go by fetch.
    expect(await (await plain().fetch(request())).text()).toBe('no-cache')
  })

  it('streams: the first part arrives before the last one is sent', async () => {
    let finish = (): void => undefined
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n\n')
      finish = () => response.end('data: two\n\n')
    })
    const answer = await plain().fetch(url)
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe('data: one\n\n')
    finish()
    expect((await reader?.read())?.value).toBe('data: two\n\n')
    expect((await reader?.read())?.done).toBe(true)
  })

  it('is handed on whole even when it is an error with a long body', async () => {
    const long = 'x'.repeat(300_000)
    const url = await serve((_request, response) => response.writeHead(404).end(long))
    expect(await (await plain().fetch(url)).text()).toBe(long)
  })

  it('is handed on as bytes, also when it was compressed on its way', async () => {
    const { gzipSync } = await import('node:zlib')
    const url = await serve((request, response) => {
      const status = request.url === '/missing' ? 404 : 200
      response.writeHead(status, { 'content-encoding': 'gzip' }).end(gzipSync('unpacked once'))
    })
    expect(await (await plain().fetch(`${url}/there`)).text()).toBe('unpacked once')
    expect(await (await plain().fetch(`${url}/missing`)).text()).toBe('unpacked once')
  })

  it('is followed through redirects within the origin that keep the request as it is', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/old') return response.writeHead(307, { location: '/new' }).end()
      return response.writeHead(200).end(`${request.method} ${request.url}`)
    })
    expect(await (await plain().fetch(`${url}/old`, { method: 'POST', body: 'x' })).text()).toBe('POST /new')
  })

  it('refuses what fetch refuses, by throwing a TypeError', async () => {
    const mpp = plain()
    for (const [input, init] of [
      ['http://', {}],
      ['not a url', {}],
      ['http://127.0.0.1/', { method: 'GET', body: 'x' }],
      ['http://127.0.0.1/', { method: 'BAD METHOD' }],
      ['http://127.0.0.1/', { headers: { 'bad name': 'x' } }],
    ] as const)
      expect(await thrownBy(mpp.fetch(input, init))).toBeInstanceOf(TypeError)
    expect(failureOf(await mpp.pay('not a url'))).toMatchObject({ code: 'request_invalid' })
  })
})

describe('a redirect of a challenged request', () => {
  it('within the origin is paid where it led to', async () => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (answer.request.path !== '/entry') return
        Object.assign(answer, { status: 308, body: new Uint8Array() })
        answer.headers.set('location', '/v1/mpp/chat/completions')
      },
    })
    ends.push(proxy.stop)
    const answer = await stage.client(stage.payer()).fetch(`${proxy.url}/entry`, chat(500))
    expect(answer.status).toBe(200)
    expect(proxy.seen.map(({ path, paid }) => `${path} ${paid}`)).toEqual([
      '/entry false',
      '/v1/mpp/chat/completions false',
      '/v1/mpp/chat/completions true',
    ])
  })

  it('to another origin is the caller’s answer: no credential goes there', async () => {
    const gateway = await stage.gateway()
    const elsewhere: string[] = []
    const other = await serve((request, response) => {
      elsewhere.push(String(request.headers.authorization))
      response.end('elsewhere')
    })
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (!answer.request.paid) return
        Object.assign(answer, { status: 307, body: new Uint8Array() })
        answer.headers.set('location', `${other}/steal`)
      },
    })
    ends.push(proxy.stop)
    const outcome = await stage.client(stage.payer()).pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
    expect(outcome.response?.status).toBe(307)
    expect(elsewhere).toEqual([])
  })
})

describe('AbortSignal', () => {
  it('aborted before: nothing is sent, and the signal’s own reason is thrown', async () => {
    const gateway = await stage.gateway()
    const reason = new Error('the user left')
    const mpp = stage.client(stage.payer())
    for (const init of [chat(500), { ...chat(500), body: new URLSearchParams('a=b') }]) {
      const error = await thrownBy(mpp.fetch(gateway.chat, { ...init, signal: AbortSignal.abort(reason) }))
      expect(error).toBe(reason)
    }
    const request = new Request(gateway.chat, { ...chat(500), signal: AbortSignal.abort(reason) })
    expect(await thrownBy(mpp.fetch(request))).toBe(reason)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(gateway.seen).toEqual([])
  })

  it('aborted while the paid request runs: rejects at once, and the channel goes on working', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    gateway.configure({ latencyMs: 2_000 })
    const abort = new AbortController()
    const started = Date.now()
    setTimeout(() => abort.abort(), 100)
    const error = await thrownBy(mpp.fetch(gateway.chat, { ...chat(500), signal: abort.signal }))
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(Date.now() - started).toBeLessThan(1_000)
    gateway.configure({ latencyMs: 0 })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it('aborted while the channel is being opened: the next request goes on with that channel', async () => {
    const gateway = await stage.gateway({ latencyMs: 400 })
    const payer = stage.payer()
    const mpp = stage.client(payer)
    const abort = new AbortController()
    const paying = mpp.fetch(gateway.chat, { ...chat(500), signal: abort.signal })
    await until(() => gateway.accounting().counts.opens === 1)
    abort.abort()
    expect(await thrownBy(paying)).toMatchObject({ name: 'AbortError' })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    expect(await stage.opened(payer)).toBe(1)
  })

  it('aborted while it waits between two attempts', async () => {
    const gateway = await stage.gateway()
    gateway.inject('http_502', { on: 'unpaid', times: 9 })
    const abort = new AbortController()
    const paying = stage.client(stage.payer()).pay(gateway.chat, { ...chat(500), signal: abort.signal })
    while (gateway.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    abort.abort()
    expect(failureOf(await paying)).toMatchObject({ code: 'cancelled' })
    const sent = gateway.seen.length
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(gateway.seen.length).toBe(sent)
  })

  it('of a timeout is thrown as fetch throws it', async () => {
    const url = await serve(() => undefined)
    const error = await thrownBy(plain().fetch(url, { signal: AbortSignal.timeout(60) }))
    expect(error).toMatchObject({ name: 'TimeoutError' })
  })

  it('aborted after the answer: the rest of its body is broken off, as with fetch', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200).write('first')
    })
    const abort = new AbortController()
    const answer = await plain().fetch(url, { signal: abort.signal })
    const reader = answer.body?.getReader()
    await reader?.read()
    abort.abort()
    expect(await thrownBy(reader?.read() ?? Promise.resolve())).toMatchObject({ name: 'AbortError' })
  })
})

describe('a gateway that cannot be reached', () => {
  it('PaymentFlowError says so, with the code and what was authorised: nothing', async () => {
    const gateway = await stage.gateway()
    await gateway.stop()
    const payer = counted(stage.payer())
    const error = await thrownBy(stage.client(payer.account).fetch(gateway.chat, chat(500, 'a prompt to keep quiet')))
    if (!(error instanceof PaymentFlowError)) throw error
    expect(error.name).toBe('PaymentFlowError')
    expect(error.failure).toMatchObject({
      code: 'connection_failed',
      retryable: true,
      detail: 'no answer (ECONNREFUSED)',
    })
    expect(error.message).toContain('connection_failed')
    expect(error.message).toContain('ECONNREFUSED')
    expect(error.message).toContain('Nothing was authorised by this request.')
    expect(error.message).toContain('Check the URL')
    expect(error.message).not.toContain('quiet')
    expect(error.trace.at(-1)).toEqual({ state: 'failed', event: 'CONNECTION_FAILED' })
    expect(payer.signatures()).toBe(0)
  })

  it('after an open was sent: the error says what was authorised, and on which channel', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    gateway.inject('connection_lost', { on: 'open' })
    const error = await thrownBy(mpp.fetch(gateway.chat, chat(500)))
    // The only answer was the challenge; it is not what the caller asked for, but it is an answer of the gateway.
    const failure = error instanceof PaymentFlowError ? error.failure : undefined
    expect(failure).toMatchObject({ code: 'outcome_unknown', authorised: { deposit: '5000000', vouchersSigned: 1 } })
    const [session] = await mpp.sessions.list()
    expect(failure?.references.channelId).toBe(session?.channelId)
    expect(failure?.authorised.cumulative).toBe('1000000')
    expect(failure?.authorised.paidSends).toBe(1)
  })

  it('because nobody answers in time: the timeout is the policy’s', async () => {
    const url = await serve(() => undefined)
    const mpp = stage.client(stage.payer(), {
      policy: { timeouts: { unpaidMs: 50 }, attempts: { CONNECTION_FAILED: 0 } },
    })
    const failure = failureOf(await mpp.pay(url, { method: 'POST', body: 'x' }))
    expect(failure).toMatchObject({ code: 'connection_failed', detail: 'no answer within 50 ms' })
  })
})

describe('a failed flow that has an answer', () => {
  it('returns it, with x-should-retry: false, so that an SDK does not pay again by itself', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    gateway.inject('mpp_commit_failed')
    const answer = await mpp.fetch(gateway.chat, chat(500))
    expect(answer.status).toBe(500)
    expect(answer.headers.get('x-should-retry')).toBe('false')
    expect(answer.headers.get('x-mpp-failure')).toBe('mpp_commit_failed')
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    expect(answer.url).toBe(gateway.chat)
    expect(await answer.json()).toMatchObject({ error: { code: 'mpp_commit_failed' } })
  })

  it('returns the challenge itself when the policy forbids to answer it', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { policy: { maxDeposit: '0.1' } })
    const answer = await mpp.fetch(gateway.chat, chat(500))
    expect(answer.status).toBe(402)
    expect(answer.headers.get('x-mpp-failure')).toBe('limit_exceeded')
    expect(answer.headers.get('www-authenticate')).toContain('Payment ')
  })

  it('does not put those headers on an answer that is simply the caller’s', async () => {
    const url = await serve((_request, response) => response.writeHead(404).end())
    const answer = await plain().fetch(url)
    expect([answer.headers.get('x-should-retry'), answer.headers.get('x-mpp-failure')]).toEqual([null, null])
  })
})

describe('a paid answer', () => {
  it('can be read after the flow is over, once, as JSON, and through a clone', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const outcome = await mpp.pay(gateway.chat, chat(500))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const copy = outcome.response?.clone()
    expect(await outcome.response?.json()).toMatchObject({ usage: { total_tokens: 500 } })
    expect(outcome.response?.bodyUsed).toBe(true)
    expect(await copy?.json()).toMatchObject({ object: 'chat.completion', usage: { total_tokens: 500 } })
    expect(outcome.response?.url).toBe(gateway.chat)
    expect(outcome.response?.headers.get('payment-receipt')).not.toBeNull()
  })

  it('is streamed on: its body may end long after the receipt was checked', async () => {
    const gateway = await stage.gateway()
    let finish = (): void => undefined
    const proxied = new URL(gateway.url)
    const url = await serve(async (request, response) => {
      const { buffer } = await import('node:stream/consumers')
      const body = new Uint8Array(await buffer(request))
      const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers
      const answer = await fetch(`${proxied.origin}${request.url}`, {
        method: 'POST',
        headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
        body,
      })
      const bytes = new Uint8Array(await answer.arrayBuffer())
      const { 'content-length': _answered, ...passed } = Object.fromEntries(answer.headers)
      response.writeHead(answer.status, passed)
      if (answer.status !== 200) return response.end(bytes)
      response.write(bytes.subarray(0, 20))
      finish = () => response.end(bytes.subarray(20))
    })
    const mpp = stage.client(stage.payer())
    const outcome = await mpp.pay(`${url}/v1/mpp/chat/completions`, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(outcome.receipt).toMatchObject({ spent: '100000' })
    setTimeout(finish, 50)
    expect(await outcome.response?.json()).toMatchObject({ object: 'chat.completion' })
  })
})

describe('a receipt', () => {
  const rewritten = (change: (receipt: Receipt) => Receipt) => (answer: PassingAnswer) => {
    const receipt = parseReceipt(answer.headers.get('payment-receipt'))
    if (receipt.ok) answer.headers.set('payment-receipt', formatReceipt(change(receipt.value)))
  }

  it.each<[string, (answer: PassingAnswer) => void, RegExp]>([
    ['is missing', ({ headers }) => headers.delete('payment-receipt'), /no receipt/],
    ['is unreadable', ({ headers, request }) => request.paid && headers.set('payment-receipt', 'not base64url!'), /./],
    ['is too long', ({ headers, request }) => request.paid && headers.set('payment-receipt', 'A'.repeat(12_000)), /./],
    ['is for another channel', rewritten((it) => ({ ...it, channelId: `0x${'ab'.repeat(32)}` })), /another channel/],
    ['is for another challenge', rewritten((it) => ({ ...it, challengeId: 'other' })), /another challenge/],
    [
      'accepts more than was signed',
      rewritten((it) => ({ ...it, acceptedCumulative: it.acceptedCumulative + 1n })),
      /more than was signed/,
    ],
    [
      'spends more than it accepts',
      rewritten((it) => ({ ...it, spent: it.acceptedCumulative + 1n })),
      /spent more|malformed|exceeds|accepted/,
    ],
  ])(
    'that %s does not cost the caller the answer, and the ledger is not moved by it',
    async (_name, answer, problem) => {
      const gateway = await stage.gateway()
      const proxy = await startProxy(gateway.url, { answer })
      ends.push(proxy.stop)
      const mpp = stage.client(stage.payer())
      const outcome = await mpp.pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
      expect(outcome.status).toBe('succeeded')
      expect(outcome.receipt).toBeUndefined()
      expect(outcome.receiptProblem).toMatch(problem)
      expect(await outcome.response?.json()).toMatchObject({ usage: { total_tokens: 500 } })
      expect(await mpp.sessions.list()).toMatchObject([
        { status: 'open', signed: '1000000', accepted: '0', spent: '0' },
      ])
      expect(outcome.trace.at(-1)?.state).toBe('succeeded')
      // And the channel is as good as before.
      await paySome(mpp, gateway.chat, 1, () => chat(500))
    },
  )

  it('that spends less than an earlier one does not shrink what is known to be spent', async () => {
    const gateway = await stage.gateway()
    let shrink = false
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (shrink) rewritten((it) => ({ ...it, spent: 1n }))(answer)
      },
    })
    ends.push(proxy.stop)
    const url = `${proxy.url}/v1/mpp/chat/completions`
    const mpp = stage.client(stage.payer())
    await paySome(mpp, url, 2, () => chat(500))
    shrink = true
    const outcome = await mpp.pay(url, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(await mpp.sessions.list()).toMatchObject([{ spent: '200000' }])
  })

  it('on an error is the charge of that answer, whatever its status', async () => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (answer.request.paid) Object.assign(answer, { status: 418 })
      },
    })
    ends.push(proxy.stop)
    const mpp = stage.client(stage.payer())
    const outcome = await mpp.pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
    expect(outcome.response?.status).toBe(418)
    expect(outcome.receipt).toMatchObject({ spent: '100000' })
    expect(await mpp.sessions.list()).toMatchObject([{ spent: '100000', accepted: '1000000' }])
  })
})

describe('createFlow', () => {
  it('can be watched by an inspector of its own, and no other flow is', async () => {
    const gateway = await stage.gateway()
    const events: InspectionEvent[] = []
    const mpp = stage.client(stage.payer())
    const inspect = (event: InspectionEvent): void => void events.push(event)
    const watched = mpp.createFlow(gateway.chat, chat(500), { inspect })
    watched.start()
    expect((await mpp.outcomeOf(watched)).status).toBe('succeeded')
    const seen = events.length
    expect(events.some(({ type }) => type === '@xstate.microstep')).toBe(true)
    expect(events.every(({ rootId }) => rootId === watched.sessionId)).toBe(true)
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    expect(events).toHaveLength(seen)
  })

  it('gives the actor itself: not started, watchable, with its outcome at the end', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const actor = mpp.createFlow(gateway.chat, chat(500))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(gateway.seen).toEqual([])
    const tags = new Set<string>()
    const values: string[] = []
    actor.subscribe((snapshot) => {
      values.push(JSON.stringify(snapshot.value))
      for (const tag of ['network', 'wallet', 'waiting', 'final'] as const) if (snapshot.hasTag(tag)) tags.add(tag)
    })
    actor.start()
    const outcome = await mpp.outcomeOf(actor)
    expect(values).toContain('{"authorizing":"openingSession"}')
    expect(values.at(-1)).toBe('"succeeded"')
    expect([...tags].sort()).toEqual(['final', 'network', 'waiting', 'wallet'])
    expect(actor.getSnapshot().status).toBe('done')
    expect(actor.getSnapshot().output).toMatchObject({ status: 'succeeded', receipt: { spent: '100000' } })
    expect(outcome.response?.status).toBe(200)
    // Asked again, it says the same.
    expect((await mpp.outcomeOf(actor)).receipt).toEqual(outcome.receipt)
  })

  it('takes CANCEL while it pays, and nothing more is sent', async () => {
    const gateway = await stage.gateway({ latencyMs: 400 })
    const mpp = stage.client(stage.payer())
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const actor = mpp.createFlow(gateway.chat, chat(500))
    actor.subscribe(() => undefined)
    actor.start()
    await until(() => gateway.seen.length === 4)
    expect(actor.getSnapshot().matches('paying')).toBe(true)
    actor.send({ type: 'CANCEL' })
    const outcome = await mpp.outcomeOf(actor)
    expect(failureOf(outcome)).toMatchObject({ code: 'cancelled', retryable: false })
    expect(events(outcome).at(-1)).toBe('CANCEL')
    const sent = gateway.seen.length
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(gateway.seen.length).toBe(sent)
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it.each(['requesting', 'parsingChallenge', 'acquiringSession', 'openingSession', 'paying'])(
    'takes CANCEL on entering %s: nothing is paid, and nothing stays behind',
    async (state) => {
      const gateway = await stage.gateway()
      const payer = stage.payer()
      const mpp = stage.client(payer)
      const actor = mpp.createFlow(gateway.chat, chat(500))
      actor.subscribe((snapshot) => {
        if (JSON.stringify(snapshot.value).includes(`"${state}"`)) actor.send({ type: 'CANCEL' })
      })
      actor.start()
      expect(failureOf(await mpp.outcomeOf(actor)).code).toBe('cancelled')
      await new Promise((resolve) => setTimeout(resolve, 60))
      expect(gateway.seen.filter(({ credential }) => credential !== undefined)).toEqual([])
      await paySome(mpp, gateway.chat, 1, () => chat(500))
      expect(await stage.opened(payer)).toBe(1)
    },
  )

  it('takes CANCEL while the body of the request is still being read: nothing is sent, not even unpaid', async () => {
    let requests = 0
    const url = await serve((_request, response) => {
      requests += 1
      response.end()
    })
    let finish = (): void => undefined
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        finish = () => {
          controller.enqueue(new TextEncoder().encode('a prompt'))
          controller.close()
        }
      },
    })
    const mpp = plain()
    const actor = mpp.createFlow(`${url}/work`, { method: 'POST', body })
    actor.subscribe(() => undefined)
    actor.start()
    // It waits for the body by now.
    await new Promise((resolve) => setTimeout(resolve, 20))
    actor.send({ type: 'CANCEL' })
    expect(failureOf(await mpp.outcomeOf(actor)).code).toBe('cancelled')
    finish()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(requests).toBe(0)
  })

  it('takes CANCEL right before the paid send: nothing counts as under way, and the channel can be closed', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { policy: { timeouts: { paidMs: 3_000 } } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    for (let time = 0; time < 3; time += 1) {
      const actor = mpp.createFlow(gateway.chat, chat(500))
      actor.subscribe((snapshot) => {
        if (snapshot.matches('paying')) actor.send({ type: 'CANCEL' })
      })
      actor.start()
      expect(failureOf(await mpp.outcomeOf(actor)).code).toBe('cancelled')
    }
    const [session] = await mpp.sessions.list()
    expect(await mpp.sessions.close(session?.channelId ?? '')).toMatchObject({ status: 'closed' })
    expect(gateway.seen.filter(({ credential }) => credential !== undefined)).toHaveLength(2)
  })

  it('takes CANCEL at any moment of an opening: the next request finds one channel, or opens the only one', async () => {
    const gateway = await stage.gateway({ latencyMs: 10 })
    await Promise.all(
      [1, 4, 8, 12, 16, 20, 25, 30, 40, 50].map(async (delay) => {
        const payer = stage.payer()
        const mpp = stage.client(payer)
        const actor = mpp.createFlow(gateway.chat, chat(500))
        actor.start()
        await new Promise((resolve) => setTimeout(resolve, delay))
        actor.send({ type: 'CANCEL' })
        await mpp.outcomeOf(actor)
        await paySome(mpp, gateway.chat, 2, () => chat(500))
        expect(await stage.opened(payer)).toBe(1)
        expect(await stage.balance(payer.address)).toBe(10_000_000_000n - 5_000_000n)
      }),
    )
  })

  it('ends as cancelled when its actor is stopped from outside', async () => {
    const gateway = await stage.gateway({ latencyMs: 200 })
    const mpp = stage.client(stage.payer())
    const actor = mpp.createFlow(gateway.chat, chat(500))
    actor.start()
    const outcome = mpp.outcomeOf(actor)
    actor.stop()
    expect(failureOf(await outcome).code).toBe('cancelled')
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it('does not know the actors of other clients', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const actor = stage.client(stage.payer()).createFlow(gateway.chat, chat(500))
    await expect(mpp.outcomeOf(actor)).rejects.toThrow(/not created by this client/)
  })
})

describe('what an SDK does with a fetch', () => {
  it('works detached from its client, as the value of an option', async () => {
    const gateway = await stage.gateway()
    const { fetch: pay } = stage.client(stage.payer())
    const answer = await pay(new URL(gateway.chat), chat(500))
    expect(answer.ok).toBe(true)
  })

  it('uses the fetch it was given for the gateway', async () => {
    const gateway = await stage.gateway()
    const urls: string[] = []
    const mpp = stage.client(stage.payer(), {
      fetch: (input, init) => {
        urls.push(String(input))
        return fetch(input, init)
      },
    })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    expect(urls).toEqual([gateway.chat, gateway.chat])
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
