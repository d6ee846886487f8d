// Answers as they come off the wire: the transport hands on what fetch does, in head and body.
// Must never know what an answer should look like: fetch is the only measure.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { both } from './parity.js'
import { type RunningServer, rawServer, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

const lines = (...all: string[]): string => `${all.join('\r\n')}\r\n\r\n`
const ok = (...fields: string[]): string => lines('HTTP/1.1 200 OK', ...fields)

/** Answers, written as latin-1; the connection ends with each. */
const ANSWERS: Readonly<Record<string, string>> = {
  'a body with a length': `${ok('content-type: text/plain', 'content-length: 5')}hello`,
  'an empty body with a length': ok('content-length: 0'),
  'a body that ends with the connection': `${ok('content-type: text/plain')}until the end`,
  'no body and no length': ok(),
  chunks: `${ok('transfer-encoding: chunked')}3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n`,
  'chunks with trailers': `${ok('transfer-encoding: chunked', 'trailer: x-sum')}3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n`,
  'no chunk but the last': `${ok('transfer-encoding: chunked')}0\r\n\r\n`,
  'chunks that break off': `${ok('transfer-encoding: chunked')}5\r\nab`,
  'a body that breaks off': `${ok('content-length: 100')}not a hundred`,
  'a body longer than its length': `${ok('content-length: 3')}abcdef`,
  'bytes of every value': `${ok('content-length: 256')}${String.fromCharCode(...Array(256).keys())}`,
  'a head that breaks off': 'HTTP/1.1 200 OK\r\nx: y\r\n',
  'no HTTP': 'what is HTTP?\r\n\r\n',
  'HTTP/1.0': `${lines('HTTP/1.0 200 OK')}old`,
  'two lengths': `${ok('content-length: 3', 'content-length: 4')}abcd`,
  '103 and then 200': `${lines('HTTP/1.1 103 Early Hints', 'link: </a>', 'x-early: 1')}${ok('content-length: 2')}ok`,
  '103 twice, then 404': `${lines('HTTP/1.1 103 A')}${lines('HTTP/1.1 103 B')}${lines('HTTP/1.1 404 C', 'content-length: 0')}`,
  '102 and then nothing': lines('HTTP/1.1 102 Processing'),
  '100, unasked': `${lines('HTTP/1.1 100 Continue')}${ok('content-length: 2')}ok`,
  '101, unasked': lines('HTTP/1.1 101 Switching', 'connection: upgrade', 'upgrade: x'),
  '201 without phrase': lines('HTTP/1.1 201 ', 'content-length: 0'),
  '202 without a space': lines('HTTP/1.1 202', 'content-length: 0'),
  '203 with a long phrase': lines(`HTTP/1.1 203 ${'Non-Authoritative '.repeat(40).trim()}`, 'content-length: 0'),
  'a phrase with a tab': lines('HTTP/1.1 200 O\tK', 'content-length: 0'),
  'a phrase in latin-1': lines('HTTP/1.1 200 Caf\xe9', 'content-length: 0'),
  'a phrase in UTF-8': lines('HTTP/1.1 200 Caf\xc3\xa9 \xe2\x82\xac', 'content-length: 0'),
  'an error whose phrase is in UTF-8': `${lines('HTTP/1.1 404 \xe2\x82\xac', 'content-length: 2')}no`,
  '204': lines('HTTP/1.1 204 No Content'),
  '204 with a length': lines('HTTP/1.1 204 No Content', 'content-length: 5'),
  '205': lines('HTTP/1.1 205 Reset Content', 'content-length: 0'),
  '205 with a body': `${lines('HTTP/1.1 205 Reset Content', 'content-length: 4')}body`,
  '304 with a length': lines('HTTP/1.1 304 Not Modified', 'etag: "a"', 'content-length: 5'),
  '206 with a range': `${lines('HTTP/1.1 206 Partial', 'content-range: bytes 0-1/5', 'content-length: 2')}he`,
  '300': `${lines('HTTP/1.1 300 Choices', 'content-length: 1')}x`,
  ...Object.fromEntries(
    [301, 302, 303, 307, 308].map((status) => [
      `${status}, not followed`,
      `${lines(`HTTP/1.1 ${status} Elsewhere`, 'location: /next?a=b', 'content-length: 4')}gone`,
    ]),
  ),
  '302 without location': lines('HTTP/1.1 302 Found', 'content-length: 0'),
  ...Object.fromEntries(
    [400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 418, 422, 425, 429, 451, 500, 502, 503, 504, 511, 599].map(
      (status) => [`${status}`, `${lines(`HTTP/1.1 ${status} Said So`, 'content-length: 4')}body`],
    ),
  ),
  '401 with a challenge': `${lines('HTTP/1.1 401 No', 'www-authenticate: Basic realm="x"', 'content-length: 0')}`,
  '402 with two challenges': lines(
    'HTTP/1.1 402 Pay',
    'www-authenticate: A b="c"',
    'WWW-Authenticate: D',
    'content-length: 0',
  ),
  'values in latin-1': ok('x-name: J\xfcrgen', 'x-utf8: \xe2\x82\xac', 'content-length: 0'),
  'values with spaces before': ok('x-padded:    a  b', 'x-tab:\tc', 'x-none:', 'x-blank:   ', 'content-length: 0'),
  'names in every case': ok('X-UPPER: 1', 'x-lower: 2', 'X-MiXeD: 3', 'Content-Length: 0'),
  'odd names': ok("!#$%&'*+-.^_`|~1: odd", 'content-length: 0'),
  'repeated fields': ok('x-a: 1', 'x-b: 2', 'X-A: 3', 'x-a: 4, 5', 'content-length: 0'),
  'no field': `HTTP/1.1 200 OK\r\n\r\nbody`,
  cookies: ok('set-cookie: a=1; Path=/', 'Set-Cookie: b=2, c', 'x: y', 'set-cookie: a=1; Path=/', 'content-length: 0'),
  'many fields': ok(...Array.from({ length: 200 }, (_, n) => `x-${n}: ${n}`), 'content-length: 0'),
  'more fields than are read': ok(`x: ${'y'.repeat(40_000)}`, 'content-length: 0'),
  'a type that nobody knows': `${ok('content-type: nonsense;;', 'content-length: 1')}x`,
}

let server: RunningServer
beforeAll(async () => {
  server = await rawServer((socket, { head }) => {
    const name = new URLSearchParams(head[0]?.split(' ')[1]?.split('?')[1]).get('answer') ?? ''
    socket.end(Buffer.from(ANSWERS[name] ?? '', 'latin1'))
  })
})
afterAll(() => server?.stop())

const urlOf = (name: string): string => `${server.url}/path?answer=${encodeURIComponent(name)}`

describe('an answer is what fetch makes of it', () => {
  it.each(Object.keys(ANSWERS))('%s', async (name) => {
    const { ours, theirs } = await both(urlOf(name))
    expect(ours).toEqual(theirs)
  })

  it.each(Object.keys(ANSWERS).filter((name) => /length|chunk|phrase|40|30/.test(name)))(
    'to HEAD: %s',
    async (name) => {
      const { ours, theirs } = await both(urlOf(name), { method: 'HEAD' })
      expect(ours).toEqual(theirs)
    },
  )

  it.each([
    '/',
    '/a/../b',
    '/a%20b?c=%C3%A9&d=e f',
    '/?',
    '/a?b#c',
    '/ü?ü=ü#ü',
    '//double',
    '/a;b=c,d',
    "/!$&'()*+@:~",
  ])('its URL, asked for as %s', async (path) => {
    const { ours, theirs } = await both(`${server.url}${path}`)
    expect(ours).toEqual(theirs)
    const asked = await both(`${urlOf('a body with a length')}${path.replace(/[?]/g, '&')}`)
    expect(asked.ours).toEqual(asked.theirs)
  })
})

describe('where fetch is not followed', () => {
  it('421 is not sent again on another connection', async () => {
    const misdirected = await rawServer((socket) => socket.end(lines('HTTP/1.1 421 Misdirected', 'content-length: 0')))
    const { ours } = await both(misdirected.url)
    expect(ours).toMatchObject({ status: 421 })
    // Fetch's two, and ours.
    expect(misdirected.seen.length).toBe(3)
    await misdirected.stop()
  })

  it('spaces behind a value are no part of it, as HTTP has it', async () => {
    const padded = await rawServer((socket) => socket.end(ok('x-padded:  a  b \t ', 'content-length: 0')))
    const incoming = await send(padded.url)
    expect(incoming.response.headers.get('x-padded')).toBe('a  b')
    await padded.stop()
  })
})
