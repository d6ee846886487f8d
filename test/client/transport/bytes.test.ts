// A body in any pieces, in any coding, peeked into and read in any way: the reader gets what was sent, byte for byte.
// Must never know how the bytes were cut: that is drawn anew each time.
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Incoming } from '../../../src/client/transport/index.js'
import { cases } from '../../extent.js'
import { type RunningServer, rawServer, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

const CODINGS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  'x-gzip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => (bytes.length % 2 === 0 ? deflateSync(bytes) : deflateRawSync(bytes)),
  br: (bytes) => brotliCompressSync(bytes),
  'deflate, gzip': (bytes) => gzipSync(deflateSync(bytes)),
}

interface Sending {
  readonly head: string
  readonly pieces: readonly Buffer[]
  readonly pauses: readonly boolean[]
  readonly chunked: boolean
}

let sending: Sending
let server: RunningServer
beforeAll(async () => {
  server = await rawServer(async (socket) => {
    const { head, pieces, pauses, chunked } = sending
    socket.write(head)
    for (const [n, piece] of pieces.entries()) {
      if (pauses[n % pauses.length] === true) await new Promise((resolve) => setTimeout(resolve, 1))
      if (chunked) socket.write(`${piece.length.toString(16)}\r\n`)
      socket.write(piece)
      if (chunked) socket.write('\r\n')
    }
    if (chunked) socket.write('0\r\n\r\n')
  })
})
afterAll(() => server?.stop())

/** The bytes in pieces of about those lengths, none of them empty. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const length = lengths[n % lengths.length] ?? 1
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}

/** Reads on with a buffer of its own where a size is given, and as it comes where none is. */
async function readAll(body: ReadableStream<Uint8Array>, sizes: readonly (number | null)[]): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let n = 0; ; n += 1) {
    const size = sizes[n % sizes.length] ?? null
    const reader = size === null ? body.getReader() : body.getReader({ mode: 'byob' })
    const next =
      reader instanceof ReadableStreamBYOBReader ? await reader.read(new Uint8Array(size ?? 1)) : await reader.read()
    reader.releaseLock()
    if (next.value !== undefined) parts.push(Buffer.from(next.value))
    if (next.done) return Buffer.concat(parts)
  }
}

const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.integer({ min: 1, max: 600 }))
    .map(([bytes, times]) => Buffer.concat(Array<Uint8Array>(times).fill(bytes))),
)

describe('a body', () => {
  it('arrives byte for byte', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.constantFrom(...Object.keys(CODINGS)),
        fc.array(fc.integer({ min: 200, max: 40_000 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        fc.array(fc.nat(100_000), { maxLength: 4 }),
        fc.array(fc.option(fc.integer({ min: 500, max: 70_000 })), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (bytes, coding, lengths, pauses, chunked, peeks, sizes, signalled) => {
          const encoded = CODINGS[coding]?.(Buffer.from(bytes)) ?? Buffer.alloc(0)
          const length = chunked ? 'transfer-encoding: chunked' : `content-length: ${encoded.length}`
          const head = `HTTP/1.1 404 X\r\ncontent-encoding: ${coding}\r\n${length}\r\n\r\n`
          sending = { head, pieces: cut(encoded, lengths), pauses, chunked }
          const incoming = await send(server.url, signalled ? { signal: new AbortController().signal } : {})
          for (const limit of peeks) {
            const peeked = await incoming.peek(limit)
            expect(peeked.length).toBeGreaterThanOrEqual(Math.min(limit, bytes.length))
            expect(Buffer.from(peeked).equals(Buffer.from(bytes).subarray(0, peeked.length))).toBe(true)
          }
          const { response } = incoming
          if (response.body === null) throw new Error('there is no body')
          const read = await readAll(response.body, sizes)
          expect(read.equals(Buffer.from(bytes))).toBe(true)
        },
      ),
      { numRuns: cases(300) },
    )
  })
})

describe('a response of a fetch that was given', () => {
  /** The transport's view of it, as `sendOverFetch` makes it: nothing is read before it is peeked into. */
  const of = async (response: Response): Promise<Incoming> => {
    const { sendOverFetch } = await import('../../../src/client/transport/over-fetch.js')
    const { outgoing } = await import('./server.js')
    return sendOverFetch(async () => response, outgoing('http://a.example/')).answer
  }

  it('is read on behind an empty chunk', async () => {
    const parts = [new Uint8Array(0), Buffer.from('a'), new Uint8Array(0), new Uint8Array(0), Buffer.from('b')]
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = parts.shift()
        if (part === undefined) controller.close()
        else controller.enqueue(part)
      },
    })
    const incoming = await of(new Response(stream, { status: 402 }))
    await incoming.peek(1)
    expect(await incoming.response.text()).toBe('ab')
  })

  it('gives small Buffers, which share their memory: it stays theirs', async () => {
    const [small, neighbour] = [Buffer.from('small'), Buffer.from('neighbour')]
    expect(small.buffer).toBe(neighbour.buffer)
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(small)
        controller.close()
      },
    })
    const incoming = await of(new Response(stream, { status: 402 }))
    await incoming.peek(1)
    expect(await incoming.response.text()).toBe('small')
    expect(neighbour.toString()).toBe('neighbour')
  })

  it('is discarded without a word, also when it has broken off', async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('broken')) })
    const incoming = await of(new Response(broken))
    await incoming.discard()
    expect(incoming).toBeInstanceOf(Incoming)
  })

  it('keeps its URL and type when it was peeked into', async () => {
    const given = Object.defineProperties(new Response('body', { status: 402 }), {
      url: { value: 'http://a.example/b' },
      type: { value: 'cors' },
    })
    const incoming = await of(given)
    await incoming.peek(2)
    const { response } = incoming
    expect([response.url, response.type, response.clone().url]).toEqual([
      'http://a.example/b',
      'cors',
      'http://a.example/b',
    ])
  })
})
