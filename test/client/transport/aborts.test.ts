// Aborts at every point of an exchange, and connections that break: what the caller is told, and what is left behind.
// Must never leave a listener on the caller's signal, nor a connection that nobody wants.
import { getEventListeners } from 'node:events'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { transportOver } from '../../../src/client/transport/index.js'
import { outgoing, type RunningServer, rawServer, rejection, send, undiciIsUsed, until } from './server.js'

beforeAll(undiciIsUsed)

let server: RunningServer
afterEach(() => server?.stop())

const REASON = new Error('the user left')
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n'

describe('an abort by the caller’s signal', () => {
  it('before: nothing is sent', async () => {
    server = await rawServer((socket) => socket.end(HEAD))
    const signal = AbortSignal.abort(REASON)
    expect(await rejection(send(server.url, { signal }))).toBe(REASON)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(server.connections()).toBe(0)
  })

  it('before the connection is made: nothing is sent', async () => {
    server = await rawServer((socket) => socket.end(HEAD))
    const abort = new AbortController()
    const answer = rejection(send(server.url, { signal: abort.signal, method: 'POST', body: new Uint8Array(9) }))
    abort.abort(REASON)
    expect(await answer).toBe(REASON)
    expect(listeners(abort.signal)).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(server.seen).toEqual([])
  })

  it('while the head is awaited: the connection is closed', async () => {
    server = await rawServer(() => undefined)
    const abort = new AbortController()
    const answer = rejection(send(server.url, { signal: abort.signal }))
    await until(() => server.seen.length === 1)
    abort.abort(REASON)
    expect(await answer).toBe(REASON)
    expect(listeners(abort.signal)).toBe(0)
    await until(() => server.open() === 0)
  })

  it.each([
    ['plain', HEAD, Buffer.from('half')],
    ['encoded', 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n', gzipSync('half', { finishFlush: 2 })],
  ])('in the middle of a body, %s: reading rejects with its reason', async (_name, head, half) => {
    server = await rawServer((socket) => {
      socket.write(head)
      socket.write(half)
    })
    for (const reason of [REASON, 'in words', new DOMException('late', 'TimeoutError')]) {
      const abort = new AbortController()
      const { response } = await send(server.url, { signal: abort.signal })
      const reader = response.body?.getReader()
      expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('half')
      const next = rejection(reader?.read() ?? Promise.resolve())
      abort.abort(reason)
      expect(await next).toBe(reason)
      expect(listeners(abort.signal)).toBe(0)
      await until(() => server.open() === 0)
    }
  })

  it.each([
    ['plain', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole', ''],
    [
      'encoded',
      `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${gzipSync('whole').length}\r\n\r\n`,
      'gzip',
    ],
  ])(
    'after all of it came, %s: unlike with fetch, what was paid for and is here can still be read',
    async (_name, head, coding) => {
      server = await rawServer((socket) => {
        socket.write(head)
        if (coding !== '') socket.write(gzipSync('whole'))
      })
      for (const made of ['before', 'after'] as const) {
        const abort = new AbortController()
        const { signal } = abort
        const incoming = await send(server.url, { signal })
        const before = made === 'before' ? incoming.response : null
        // Nothing is left of it when the connection is done.
        await until(() => listeners(signal) === 0)
        abort.abort(REASON)
        expect(await (before ?? incoming.response).text()).toBe('whole')
      }
    },
  )

  it('in the middle of an encoded body: the reason is the caller’s, and not what the decoder makes of it', async () => {
    const bytes = gzipSync('half of it')
    server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bytes.length}\r\n\r\n`)
      socket.write(bytes.subarray(0, 15))
    })
    const abort = new AbortController()
    const { response } = await send(server.url, { signal: abort.signal })
    const read = rejection(response.text())
    await new Promise((resolve) => setTimeout(resolve, 20))
    abort.abort(REASON)
    expect(await read).toBe(REASON)
  })

  it('after it was read: nothing happens', async () => {
    server = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole'))
    const abort = new AbortController()
    const { response } = await send(server.url, { signal: abort.signal })
    expect(await response.text()).toBe('whole')
    abort.abort(REASON)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(server.open()).toBe(1)
  })

  it('shared by many calls: their listeners are gone with them, and nobody is warned', async () => {
    const warnings: string[] = []
    const warned = (warning: Error): number => warnings.push(warning.name)
    process.on('warning', warned)
    server = await rawServer((socket, { head }) => {
      const [, path] = head[0]?.split(' ') ?? []
      if (path === '/broken') socket.destroy()
      else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${path === '/half' ? 'o' : 'ok'}`)
    })
    const { signal } = new AbortController()
    const one = async (path: string): Promise<void> => {
      const incoming = await send(`${server.url}${path}`, { signal })
      if (path === '/discarded') return incoming.discard()
      if (path === '/half') return incoming.response.body?.cancel()
      await incoming.response.text()
    }
    const paths = ['/read', '/half', '/broken', '/discarded', '/read', '/read', '/read', '/broken']
    await Promise.allSettled(Array.from({ length: 40 }, (_, n) => one(paths[n % paths.length] ?? '')))
    await until(() => listeners(signal) === 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })
})

describe('an abort by the client', () => {
  it('while the head is awaited, and after: the connection is closed, what is read fails', async () => {
    server = await rawServer((socket, { head }) => {
      if (!head[0]?.includes('/silent')) socket.write(`${HEAD}half`)
    })
    const silent = transportOver(undefined)(outgoing(`${server.url}/silent`))
    const rejected = rejection(silent.answer)
    await until(() => server.seen.length === 1)
    silent.abort()
    silent.abort()
    expect(await rejected).toMatchObject({ name: 'AbortError' })
    const half = transportOver(undefined)(outgoing(server.url))
    const { response } = await half.answer
    half.abort()
    expect(await rejection(response.text())).toMatchObject({ name: 'AbortError' })
    await until(() => server.open() === 0)
  })

  it('while it is peeked into: peeking fails', async () => {
    server = await rawServer((socket) => socket.write(HEAD.replace('200', '402')))
    const exchange = transportOver(undefined)(outgoing(server.url))
    const peeking = rejection((await exchange.answer).peek(10))
    exchange.abort()
    expect(await peeking).toMatchObject({ name: 'AbortError' })
  })
})

describe('a connection that breaks', () => {
  it('after the request was read: it was sent once, and there is no answer', async () => {
    server = await rawServer((socket) => socket.resetAndDestroy())
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const error = await rejection(send(server.url, { method, body: Buffer.from('pay once') }))
      expect(error).toMatchObject({ code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(server.seen.map(({ body }) => body.toString())).toEqual(['pay once', 'pay once', 'pay once'])
  })

  it('on a connection that was used before: it was sent once', async () => {
    server = await rawServer((socket) => {
      if (server.seen.length % 2 === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      else socket.destroy()
    })
    await (await send(server.url, { method: 'POST' })).response.text()
    // Undici looks at a connection once more before it is used again.
    await new Promise((resolve) => setTimeout(resolve, 20))
    await rejection(send(server.url, { method: 'POST', body: Buffer.from('second') }))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(server.seen.map(({ connection }) => connection)).toEqual([1, 1])
  })

  it('that nobody made: the error has its code', async () => {
    server = await rawServer(() => undefined)
    const { url } = server
    await server.stop()
    expect(await rejection(send(url))).toMatchObject({ code: 'ECONNREFUSED' })
    server = await rawServer(() => undefined)
  })

  it('in the middle of a body: what came can be read, and then it is terminated', async () => {
    server = await rawServer((socket) => socket.end(`${HEAD}half`))
    const { response } = await send(server.url)
    await new Promise((resolve) => setTimeout(resolve, 30))
    const reader = response.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('half')
    const error = await rejection(reader?.read() ?? Promise.resolve())
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'terminated', cause: { code: expect.stringMatching(/^UND_ERR/) } })
  })
})
