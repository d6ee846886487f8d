// Encoded bodies: what a caller reads of them is what fetch would let it read, byte for byte or error for error.
// Must never leave the connection with a body that cannot be decoded, nor wait for its end.
import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodyOf, both } from './parity.js'
import { type RunningServer, rawServer, rejection, send, undiciIsUsed, until } from './server.js'

beforeAll(undiciIsUsed)

const PLAIN = Buffer.from('Ein Text, mehr als einmal. '.repeat(300))
/** What does not get smaller: many buffers of it pass through a decoder. */
const NOISE = randomBytes(300_000)

const gzip = gzipSync(PLAIN)
const corrupt = (bytes: Buffer, at: number): Buffer =>
  Buffer.concat([bytes.subarray(0, at), Buffer.from('XXXXXXXX'), bytes.subarray(at + 8)])

const BODIES: Readonly<Record<string, readonly [encoding: string, body: Buffer]>> = {
  gzip: ['gzip', gzip],
  'x-gzip': ['x-gzip', gzip],
  GZip: ['GZip', gzip],
  'gzip with spaces': [' gzip', gzip],
  'codings with spaces': [' gzip  ,\tgzip', gzipSync(gzip)],
  'gzip of noise': ['gzip', gzipSync(NOISE)],
  'gzip of nothing': ['gzip', gzipSync('')],
  'two members of gzip': ['gzip', Buffer.concat([gzipSync('one'), gzipSync('two')])],
  'gzip with garbage behind it': ['gzip', Buffer.concat([gzip, Buffer.from('garbage')])],
  'gzip with much garbage behind it': ['gzip', Buffer.concat([gzip, Buffer.alloc(300_000, 120)])],
  'deflate with header': ['deflate', deflateSync(PLAIN)],
  'deflate without header': ['deflate', deflateRawSync(PLAIN)],
  'deflate without header, of noise': ['deflate', deflateRawSync(NOISE)],
  br: ['br', brotliCompressSync(PLAIN)],
  'br of noise': ['br', brotliCompressSync(NOISE)],
  'gzip in br': ['gzip, br', brotliCompressSync(gzip)],
  'br in gzip': ['br,gzip', gzipSync(brotliCompressSync(PLAIN))],
  'five codings': ['gzip, gzip, gzip, gzip, gzip', [1, 2, 3, 4, 5].reduce((body) => gzipSync(body), PLAIN)],
  identity: ['identity', PLAIN],
  'an unknown coding': ['snappy', PLAIN],
  'an unknown coding in gzip': ['snappy, gzip', gzip],
  'gzip in an unknown coding': ['gzip, snappy', gzip],
  'no name of a coding': ['', PLAIN],
  'a comma too many': ['gzip,', gzip],
  'plain text called gzip': ['gzip', PLAIN],
  'plain text called br': ['br', PLAIN],
  'plain text called deflate': ['deflate', PLAIN],
  'corrupt gzip at its start': ['gzip', corrupt(gzip, 0)],
  'gzip with a wrong sum': ['gzip', corrupt(gzip, gzip.length - 8)],
  'truncated gzip': ['gzip', gzipSync(NOISE).subarray(0, 200_000)],
  'gzip without its sum': ['gzip', gzip.subarray(0, -8)],
  'one byte of gzip': ['gzip', gzip.subarray(0, 1)],
  'truncated deflate': ['deflate', deflateSync(PLAIN).subarray(0, -10)],
  'truncated br': ['br', brotliCompressSync(NOISE).subarray(0, 100_000)],
  'nothing called gzip': ['gzip', Buffer.alloc(0)],
  'nothing called br': ['br', Buffer.alloc(0)],
  'nothing called gzip and br': ['gzip, br', Buffer.alloc(0)],
}

function answer(encoding: string, body: Buffer, status = '200 OK'): Buffer {
  const head = `HTTP/1.1 ${status}\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

let server: RunningServer
/** What is answered to the next requests, and whether the connection ends with it. */
let next: { readonly bytes: Buffer; readonly keep: boolean } = { bytes: Buffer.alloc(0), keep: false }
beforeAll(async () => {
  server = await rawServer((socket) => (next.keep ? socket.write(next.bytes) : socket.end(next.bytes)))
})
afterAll(() => server?.stop())

describe('an encoded body is read as fetch reads it', () => {
  it.each(Object.keys(BODIES))('%s', async (name) => {
    const [encoding, body] = BODIES[name] ?? ['', PLAIN]
    next = { bytes: answer(encoding, body), keep: true }
    const { ours, theirs } = await both(server.url)
    expect(ours).toEqual(theirs)
  })

  it.each(['204 No Content', '304 Not Modified'])('none comes with %s', async (status) => {
    next = { bytes: answer('gzip', Buffer.alloc(0), status), keep: false }
    const { ours, theirs } = await both(server.url)
    expect(ours).toEqual(theirs)
  })

  it('none comes with HEAD', async () => {
    next = { bytes: answer('gzip, gzip, gzip, gzip, gzip, gzip', Buffer.alloc(0)), keep: false }
    const { ours, theirs } = await both(server.url, { method: 'HEAD' })
    expect(ours).toEqual(theirs)
  })

  it('the connection breaks off within it', async () => {
    next = { bytes: answer('gzip', gzipSync(NOISE)).subarray(0, 100_000), keep: false }
    const { ours, theirs } = await both(server.url)
    expect(ours).toEqual(theirs)
  })
})

describe('an encoded body that cannot be decoded', () => {
  it('gives its connection back at once, however much is still to come', async () => {
    // The server has no end: were the body read on, it would go on for good.
    const endless = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1000000000\r\n\r\n`)
      const more = (): void => {
        while (!socket.destroyed && socket.write(NOISE));
      }
      socket.on('drain', more)
      more()
    })
    const { response } = await send(endless.url)
    expect(await bodyOf(response)).toBe('TypeError: terminated')
    await until(() => endless.open() === 0)
    await endless.stop()
  })

  // Some versions of fetch never come to an end with these.
  it.each<[string, string, Buffer]>([
    ['far behind its start', 'gzip', corrupt(gzipSync(NOISE), 100_000)],
    ['within another coding', 'gzip, br', brotliCompressSync(corrupt(gzipSync(NOISE), 100_000))],
  ])('breaks off: %s', async (_name, encoding, body) => {
    next = { bytes: answer(encoding, body), keep: true }
    expect(await bodyOf((await send(server.url)).response)).toBe('TypeError: terminated')
  })

  it('is none at all when it has more codings than anybody needs: not all versions of fetch mind', async () => {
    next = {
      bytes: answer(
        'gzip, gzip, gzip, gzip, gzip, gzip',
        [1, 2, 3, 4, 5, 6].reduce((body) => gzipSync(body), PLAIN),
      ),
      keep: true,
    }
    expect(await rejection(send(server.url))).toBeInstanceOf(RangeError)
    await until(() => server.open() === 0)
  })

  it('says why', async () => {
    next = { bytes: answer('gzip', corrupt(gzip, 0)), keep: false }
    const { response } = await send(server.url)
    expect(await rejection(response.text())).toMatchObject({ message: 'terminated', cause: { code: 'Z_DATA_ERROR' } })
  })
})

describe('an encoded body is handed on as it comes', () => {
  it.each([
    ['gzip', (bytes: Buffer) => gzipSync(bytes, { finishFlush: 2 })],
    ['deflate', (bytes: Buffer) => deflateSync(bytes, { finishFlush: 2 })],
  ])('%s: the first part is read before the second one is sent', async (encoding, encode) => {
    let finish = (): unknown => undefined
    const parts = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\n\r\n`)
      socket.write(encode(Buffer.from('first')))
      finish = () => socket.end()
    })
    const { response } = await send(parts.url)
    const reader = response.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first')
    finish()
    expect((await reader?.read())?.done).toBe(true)
    await parts.stop()
  })
})
