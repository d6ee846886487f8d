import { afterEach, describe, expect, it } from 'vitest'
import { readRetryAfter } from '../../src/provider/exchange.js'
import { createProviderClient, type ProviderClientOptions } from '../../src/provider/index.js'
import { CHAT, NO_WAIT, startServer, type TestServer } from './http-servers.js'

const KEY = 'vk-transport-secret'
const servers: TestServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

async function serving(answer: Parameters<typeof startServer>[0]): Promise<TestServer> {
  const server = await startServer(answer)
  servers.push(server)
  return server
}

function clientAt(baseUrl: string, more: Partial<ProviderClientOptions> = {}) {
  return createProviderClient({ baseUrl, virtualKey: KEY, retry: NO_WAIT, ...more })
}

describe('where the key goes', () => {
  it.each([
    'http://gateway.example',
    'http://localhost.gateway.example',
    'http://127.0.0.1.gateway.example',
    'https://user:password@gateway.example',
    'https://gateway.example/?key=1',
    'ftp://gateway.example',
    'gateway.example',
  ])('refuses the base URL %s, without quoting it', (baseUrl) => {
    expect(() => clientAt(baseUrl)).toThrow(TypeError)
    expect(() => clientAt(baseUrl)).not.toThrow(/gateway\.example|password/)
  })

  it.each([
    ['https://gateway.example', 'https://gateway.example/v1/models'],
    ['https://gateway.example/v1/', 'https://gateway.example/v1/models'],
    ['https://gateway.example/ando/v1', 'https://gateway.example/ando/v1/models'],
    ['http://localhost:8080/', 'http://localhost:8080/v1/models'],
    ['http://[::1]:8080', 'http://[::1]:8080/v1/models'],
  ])('finds the routes under %s', async (baseUrl, expected) => {
    const asked: string[] = []
    await clientAt(baseUrl, {
      fetch: async (input) => {
        asked.push(String(input))
        return Response.json({ data: [] })
      },
    }).models()
    expect(asked).toEqual([expected])
  })

  it.each([301, 302, 303, 307, 308])('follows no redirect (%i)', async (status) => {
    const elsewhere = await serving((_, response) => response.end('{}'))
    const server = await serving((_, response) =>
      response.writeHead(status, { location: `${elsewhere.url}/v1/chat/completions` }).end(),
    )
    const outcome = await clientAt(server.url).chat(CHAT)
    expect(outcome).toMatchObject({ status: 'failed', failure: { state: 'requestRejected', httpStatus: status } })
    expect(elsewhere.seen).toEqual([])
    expect(server.seen).toHaveLength(1)
  })
})

describe('connections', () => {
  it('retries where none was made, then is temporarily unavailable', async () => {
    const gone = await startServer((_, response) => response.end())
    await gone.stop()
    const outcome = await clientAt(gone.url).chat(CHAT)
    expect(outcome).toMatchObject({ status: 'failed', failure: { state: 'temporarilyUnavailable', retryable: true } })
    expect(outcome.trace.filter(({ event }) => event === 'CONNECTION_FAILED')).toHaveLength(4)
    expect(outcome.trace.filter(({ state }) => state === 'requesting')).toHaveLength(4)
  })

  it('never repeats a prompt whose answer was lost: it may have been charged', async () => {
    const server = await serving((request) => request.socket.destroy())
    const outcome = await clientAt(server.url).chat(CHAT)
    expect(outcome).toMatchObject({
      status: 'failed',
      failure: { state: 'temporarilyUnavailable', action: expect.stringContaining('may have been carried out') },
    })
    expect(server.seen).toHaveLength(1)
  })

  it('asks for a lost list of models again', async () => {
    let asked = 0
    const server = await serving((request, response) => {
      asked += 1
      return asked < 3 ? request.socket.destroy() : response.end('{"data":[{"id":"one"}]}')
    })
    expect(await clientAt(server.url).models()).toMatchObject({ status: 'succeeded', models: ['one'] })
    expect(server.seen).toHaveLength(3)
  })

  it('does not wait longer than the timeout, for the head or for the rest of an answer', async () => {
    const silent = await serving(() => undefined)
    const halting = await serving((_, response) => response.writeHead(200).write('{"choices":'))
    for (const server of [silent, halting]) {
      const started = performance.now()
      const outcome = await clientAt(server.url, { timeoutMs: 150 }).chat(CHAT)
      expect(performance.now() - started).toBeLessThan(2000)
      expect(outcome).toMatchObject({ status: 'failed', failure: { state: 'temporarilyUnavailable' } })
      expect(server.seen).toHaveLength(1)
    }
  })

  it('closes the connection of a cancelled request', async () => {
    let noteClosed = () => {}
    const closed = new Promise<void>((resolve) => {
      noteClosed = resolve
    })
    const server = await serving((request) => request.socket.once('close', noteClosed))
    const abort = new AbortController()
    const pending = clientAt(server.url).chat(CHAT, { signal: abort.signal })
    setTimeout(() => abort.abort(), 100)
    expect(await pending).toMatchObject({ status: 'failed', failure: { state: 'cancelled' } })
    await closed
  })
})

describe('answers that cannot be used', () => {
  it.each([
    ['no JSON', '<html>hello</html>'],
    ['too large', `{"choices":"${'x'.repeat(5000)}"}`],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('are paid for, so they are not repeated (%s)', async (_, body) => {
    const server = await serving((_request, response) => response.writeHead(200, { 'x-request-id': 'req-1' }).end(body))
    const outcome = await clientAt(server.url, { maxResponseBytes: 4096 }).chat(CHAT)
    expect(outcome).toMatchObject({
      status: 'failed',
      response: { status: 200, requestId: 'req-1', body: undefined },
      failure: { state: 'answerUnreadable', requestId: 'req-1', retryable: false },
    })
    expect(outcome).not.toHaveProperty('retry')
    expect(server.seen).toHaveLength(1)
  })

  it('a list of models that is none fails by name', async () => {
    const server = await serving((_, response) => response.end('{"data":"nothing"}'))
    expect(await clientAt(server.url).models()).toMatchObject({ failure: { state: 'answerUnreadable' } })
  })

  it('an error page that is no JSON still has its product state', async () => {
    const server = await serving((_, response) => response.writeHead(403).end('<h1>Forbidden</h1>'))
    expect(await clientAt(server.url).chat(CHAT)).toMatchObject({
      response: { status: 403, body: undefined },
      failure: { state: 'policyBlocked' },
    })
  })

  it('request ids and models that echo the key, and ids that are no id, are dropped', async () => {
    const server = await serving((request, response) => {
      if (request.url === '/v1/models')
        return response.end(JSON.stringify({ data: [{ id: `x-${KEY}` }, { id: 'one' }] }))
      return response.writeHead(401, { 'x-request-id': `echo-${KEY}` }).end()
    })
    const client = clientAt(server.url)
    expect(JSON.stringify(await client.chat(CHAT))).not.toContain(KEY)
    expect(await client.models()).toMatchObject({ models: ['one'] })
  })
})

describe('request ids', () => {
  const NAMES: readonly (readonly [string, string])[] = [
    ['the key in hex', Buffer.from(KEY).toString('hex')],
    ['the key in base64url', Buffer.from(KEY).toString('base64url')],
    [
      'the prompt with other signs',
      JSON.stringify(CHAT)
        .replaceAll(/[^a-z0-9]+/gi, '-')
        .slice(0, 100),
    ],
    ['the prompt in base64', Buffer.from(JSON.stringify(CHAT)).toString('base64').slice(0, 100)],
  ]
  it.each(NAMES)('that are %s are dropped', async (_, name) => {
    const server = await serving((_request, response) => response.writeHead(401, { 'x-request-id': name }).end())
    expect(JSON.stringify(await clientAt(server.url).chat(CHAT))).not.toContain(name)
  })
})

describe('a server that asks for time', () => {
  it('gets at least that, and an end instead of a wait past the cap', async () => {
    let asked = 0
    const server = await serving((_, response) => {
      asked += 1
      return asked === 1 ? response.writeHead(503, { 'retry-after': '1' }).end() : response.end('{}')
    })
    const started = performance.now()
    const outcome = await clientAt(server.url, { retry: { baseMs: 1, capMs: 2000 }, random: () => 0 }).chat(CHAT)
    expect(outcome.status).toBe('succeeded')
    expect(performance.now() - started).toBeGreaterThan(990)
    asked = 0
    expect(await clientAt(server.url, { retry: { baseMs: 1, capMs: 500 } }).chat(CHAT)).toMatchObject({
      failure: { state: 'temporarilyUnavailable', retryAfterMs: 1000 },
    })
    expect(asked).toBe(1)
  })

  it.each([
    ['7', 7000],
    ['0', 0],
    ['Wed, 21 Oct 2015 07:28:10 GMT', 10_000],
    ['Wed, 21 Oct 2015 07:27:00 GMT', 0],
    ['999999999', 604_800_000],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['', null],
    [null, null],
  ])('Retry-After %j is %j ms', (value, expected) => {
    expect(readRetryAfter(value, Date.UTC(2015, 9, 21, 7, 28, 0))).toBe(expected)
  })
})
