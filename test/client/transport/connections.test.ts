// Connections: used again when an answer is over, given back when nobody reads on, and slowed down for a slow reader.
// Must never measure time: what is counted are connections and bytes.

import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, rawServer, rejection, send, undiciIsUsed, until } from './server.js'

beforeAll(undiciIsUsed)

let server: RunningServer
afterEach(() => server?.stop())

const answer = (status: number, body: string | Buffer, ...fields: string[]): Buffer =>
  Buffer.concat([
    Buffer.from([`HTTP/1.1 ${status} X`, ...fields, `content-length: ${body.length}`, '', ''].join('\r\n')),
    Buffer.from(body),
  ])

const BLOCK = Buffer.alloc(65_536, 'x')
/** Far more than all buffers on the way. */
const MUCH = 200_000_000

/** Sends that much, as fast as it is taken; tells how much that was. */
function pour(socket: Socket, length: number): () => number {
  let sent = 0
  const more = (): void => {
    while (!socket.destroyed && sent < length) {
      sent += BLOCK.length
      if (!socket.write(BLOCK)) return
    }
  }
  socket.on('drain', more)
  more()
  return () => sent - socket.writableLength
}

/** Waits until a number stays as it is. */
async function settled(value: () => number): Promise<number> {
  for (let before = -1; ; ) {
    if (before === value()) return before
    before = value()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

describe('a connection is used again', () => {
  it.each<[string, number, string]>([
    ['read', 200, 'body'],
    ['peeked into and discarded', 402, 'body'],
    ['without content', 204, ''],
    ['discarded when all of it came', 200, 'body'],
    ['never looked at', 200, 'body'],
  ])('after an answer that was %s', async (what, status, body) => {
    server = await rawServer((socket) => socket.write(answer(status, body)))
    for (let n = 0; n < 5; n += 1) {
      const incoming = await send(server.url, { method: 'POST' })
      if (what === 'read') expect(await incoming.response.text()).toBe(body)
      if (what.startsWith('peeked')) expect((await incoming.peek(1_000)).length).toBe(body.length)
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (what.includes('discarded')) await incoming.discard()
    }
    expect(server.seen.length).toBe(5)
    expect(server.connections()).toBe(1)
  })
})

describe('a connection is given back', () => {
  const endless = (): Promise<RunningServer> =>
    rawServer((socket) => {
      socket.write(`HTTP/1.1 402 Pay\r\ncontent-length: ${MUCH}\r\n\r\n`)
      pour(socket, MUCH)
    })

  it('when a half read answer is discarded', async () => {
    server = await endless()
    const incoming = await send(server.url)
    expect((await incoming.peek(10_000)).length).toBeGreaterThanOrEqual(10_000)
    await incoming.discard()
    await until(() => server.open() === 0)
  })

  it('when its body is cancelled: unread, half read, or while a read waits', async () => {
    server = await endless()
    const unread = await send(server.url)
    await unread.response.body?.cancel('enough')
    const half = (await send(server.url)).response.body?.getReader()
    await half?.read()
    await half?.cancel()
    await until(() => server.open() === 0)
    await server.stop()
    server = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'))
    const waiting = (await send(server.url)).response.body?.getReader()
    const read = waiting?.read()
    await waiting?.cancel()
    expect(await read).toMatchObject({ done: true })
    await until(() => server.open() === 0)
  })

  it('when the caller drops a response without a word', async () => {
    setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    if (typeof collect !== 'function') throw new Error('there is nothing to collect with')
    server = await endless()
    await (async () => {
      for (let n = 0; n < 3; n += 1) expect((await send(server.url)).response.status).toBe(402)
    })()
    expect(server.open()).toBe(3)
    await until(() => {
      collect()
      return server.open() === 0
    })
  })

  it('when no response can have its status', async () => {
    server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 666 No\r\ncontent-length: ${MUCH}\r\n\r\n`)
      pour(socket, MUCH)
    })
    const incoming = await send(server.url)
    expect(await rejection(incoming.peek(10))).toBeInstanceOf(RangeError)
    await until(() => server.open() === 0)
  })

  it('when content comes where none may be', async () => {
    server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 205 X\r\ncontent-length: ${MUCH}\r\n\r\n`)
      pour(socket, MUCH)
    })
    expect((await send(server.url)).response.body).toBe(null)
    await until(() => server.open() === 0)
  })
})

describe('a server is slowed down', () => {
  it('when nobody reads: most of the answer stays with it, until somebody does', async () => {
    let taken = (): number => 0
    server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BLOCK.length * 3_000}\r\n\r\n`)
      taken = pour(socket, BLOCK.length * 3_000)
    })
    const { response } = await send(server.url)
    const before = process.memoryUsage().arrayBuffers
    expect(await settled(taken)).toBeLessThan(30_000_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000)
    let length = 0
    for await (const chunk of response.body ?? []) length += chunk.length
    expect(length).toBe(BLOCK.length * 3_000)
  })
})

describe('an answer that is whole when its server leaves', () => {
  // Lengths about the point where the connection is asked to wait.
  it.each([65_000, 65_536, 66_000, 100_000, 131_072, 300_000])(
    'is read whole, however late: %i bytes',
    async (length) => {
      const body = Buffer.alloc(length, 'paid')
      for (const fields of [[], ['connection: close']]) {
        server = await rawServer((socket) => socket.end(answer(200, body, ...fields)))
        const { response } = await send(server.url)
        await new Promise((resolve) => setTimeout(resolve, 40))
        expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true)
        await server.stop()
      }
    },
  )

  it.each([66_000, 300_000, 900_000])(
    'also without a length, when it is no longer than most: %i bytes',
    async (length) => {
      server = await rawServer((socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.end(Buffer.alloc(length, 'paid'))
      })
      const { response } = await send(server.url)
      await new Promise((resolve) => setTimeout(resolve, 40))
      expect((await response.arrayBuffer()).byteLength).toBe(length)
    },
  )
})
