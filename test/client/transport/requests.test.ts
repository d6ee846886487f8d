// Requests as they go over the wire: what a server gets from the transport is what it gets from fetch.
// Must never count the order of fields or the case of their names: neither says anything in HTTP.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, rawServer, rejection, type SeenRequest, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

let server: RunningServer
beforeAll(async () => {
  server = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
})
afterEach(() => server.seen.splice(0))
afterAll(() => server?.stop())

/** What a request says. */
function said({ head: [line, ...fields], body }: SeenRequest): Record<string, unknown> {
  const named = fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase())).sort()
  return { line, fields: named, body: body.toString('base64') }
}

interface Asked {
  readonly path?: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** The same request by fetch and by the transport, as the server saw them. */
async function both({
  path = '/',
  method = 'GET',
  headers = {},
  body,
}: Asked): Promise<{ ours: unknown; theirs: unknown }> {
  const bytes = body === undefined ? {} : { body: new TextEncoder().encode(body) }
  await fetch(`${server.url}${path}`, { method, headers, redirect: 'manual', ...bytes }).then((answer) => answer.text())
  await send(`${server.url}${path}`, { method, headers, ...bytes }).then(({ response }) => response.text())
  const [theirs, ours] = server.seen
  if (server.seen.length !== 2 || theirs === undefined || ours === undefined) throw new Error('not two requests')
  return { ours: said(ours), theirs: said(theirs) }
}

const BODY = '{"ü":"€"}'

describe('a request is sent as fetch sends it', () => {
  it.each<Asked>([
    { method: 'GET' },
    { method: 'HEAD' },
    { method: 'OPTIONS' },
    { method: 'POST' },
    { method: 'POST', body: '' },
    { method: 'POST', body: BODY },
    { method: 'POST', body: 'x'.repeat(1_000_000) },
    { method: 'PUT' },
    { method: 'PUT', body: '' },
    { method: 'PUT', body: BODY },
    { method: 'DELETE' },
    { method: 'DELETE', body: '' },
    { method: 'DELETE', body: BODY },
    { method: 'PATCH' },
    { method: 'PATCH', body: BODY },
    { method: 'patch', body: BODY },
    { method: 'QUERY', body: BODY },
    { method: 'PURGE' },
    { method: 'PURGE', body: BODY },
    { method: 'M-SEARCH' },
  ])('$method, body $body.length', async (asked) => {
    const { ours, theirs } = await both(asked)
    expect(ours).toEqual(theirs)
  })

  it.each(['/a/b?c=d&e=f', '/a#b', '/a?b#c?d', '//x', '/a/../b/./c', '/%C3%BC?%20', '/ü ?ü ', '/a|b?"<>', '/a;b?c??d'])(
    'its target, of %s',
    async (path) => {
      const { ours, theirs } = await both({ path })
      expect(ours).toEqual(theirs)
    },
  )

  it.each<Record<string, string>>([
    { accept: 'text/event-stream' },
    { accept: '' },
    { 'accept-language': 'de' },
    { 'user-agent': 'someone/1.0' },
    { 'user-agent': '' },
    { 'accept-encoding': 'identity' },
    { 'accept-encoding': 'gzip;q=0.5, br' },
    { 'accept-encoding': 'zstd' },
    { 'accept-encoding': '*' },
    { range: 'bytes=0-1' },
    { range: 'bytes=0-1', 'accept-encoding': 'gzip' },
    { 'if-none-match': '"a"' },
    { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    { 'if-match': '"a"', 'cache-control': 'max-age=1' },
    { 'if-range': '"a"', pragma: 'x' },
    { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT', 'cache-control': 'x', pragma: 'y' },
    { 'cache-control': 'no-store' },
    { host: 'elsewhere.example' },
    { 'sec-fetch-mode': 'navigate' },
    { connection: 'close' },
    { connection: 'keep-alive' },
    { cookie: 'a=1; b=2' },
    { referer: 'http://a.example/' },
    { origin: 'http://a.example' },
    { authorization: 'Payment x="y"' },
    { 'X-Cased': 'A', 'x-latin': 'J\xfcrgen', 'x-empty': '', 'x-padded': '  a  ' },
    { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
  ])('with %o', async (headers) => {
    for (const asked of [{ headers }, { method: 'POST', headers, body: BODY }]) {
      const { ours, theirs } = await both(asked)
      expect(ours).toEqual(theirs)
      server.seen.splice(0)
    }
  })

  it('with a field that it refuses, it is not sent at all', async () => {
    for (const headers of [{ expect: '100-continue' }, { 'transfer-encoding': 'chunked' }, { upgrade: 'h2c' }]) {
      await rejection(fetch(server.url, { method: 'POST', headers, body: BODY }))
      await rejection(send(server.url, { method: 'POST', headers, body: new TextEncoder().encode(BODY) }))
    }
    expect(server.seen).toEqual([])
  })
})

describe('where versions of fetch differ', () => {
  it('a body has the length that it has, whatever the caller said', async () => {
    for (const length of ['3', '9', '11', '1000']) {
      await send(server.url, {
        method: 'POST',
        headers: { 'content-length': length },
        body: new TextEncoder().encode('123456789'),
      })
    }
    expect(server.seen.map(({ body }) => body.toString())).toEqual(Array(4).fill('123456789'))
    expect(server.seen.map(({ head }) => head.filter((line) => /^content-length/i.test(line)))).toEqual(
      Array(4).fill(['content-length: 9']),
    )
  })

  it('a question mark with nothing behind it is part of the target', async () => {
    await send(`${server.url}/a?`)
    await send(`${server.url}/a?#b`)
    await send(`${server.url}/a#?`)
    expect(server.seen.map(({ head }) => head[0]?.split(' ')[1])).toEqual(['/a?', '/a?', '/a'])
  })
})
