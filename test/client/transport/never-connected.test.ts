// Which failed sends are known to have reached nobody: each error comes from a real socket, a real look-up or a real handshake.
// Must never be made up where a system can be made to say it: what Node puts into an error decides whether money moves twice.
import { once } from 'node:events'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { createServer, type Server } from 'node:net'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { dispatcherBehind } from '../../../src/client/transport/dispatcher.js'
import { connectionCode, neverConnected } from '../../../src/protocol/index.js'
import { AUTHORITY, EXPIRED, KEY, OTHER, OWN } from './certificates.js'
import { rejection, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

const servers: Server[] = []
afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => {
      const closed = once(server, 'close')
      server.close()
      return closed
    }),
  )
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/** Node's own fetch by an agent of its own, which is to connect like this. */
async function fetchConnecting(url: string, connect: Readonly<Record<string, unknown>>): Promise<Response> {
  // Asked for something that needs no connection, fetch makes its agent.
  await fetch('data:,')
  const own = dispatcherBehind(fetch)
  if (own === null) throw new Error('this is not the fetch of Node')
  const dispatcher: unknown = Reflect.construct(own.constructor, [{ connect }])
  const init: RequestInit = Object.assign({ method: 'GET' }, { dispatcher })
  return fetch(url, init)
}

/** What a send over TLS fails with, by an agent that trusts as told; and whether the server got a request. */
async function handshake(server: ServerOptions, connect: { readonly ca?: string }) {
  const requests: unknown[] = []
  const port = await listen(createTlsServer({ key: KEY, ...server }, (request) => requests.push(request.url)))
  const error = await rejection(fetchConnecting(`https://127.0.0.1:${port}/`, connect))
  return { error, requests }
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  servers.splice(servers.indexOf(server), 1)
  server.close()
  await once(server, 'close')
  return port
}

describe('a request that never left', () => {
  it.each([
    ['ECONNREFUSED', async () => `http://127.0.0.1:${await closedPort()}/`],
    // There is no connection to a broadcast address: the system says so at once, with a network or without.
    ['ENETUNREACH', async () => 'http://255.255.255.255:8080/'],
    // No name has a label of 64 characters, so nobody is asked.
    ['ENOTFOUND', async () => `http://${'a'.repeat(64)}.invalid/`],
  ])('%s of a connection that was never made', async (code, url) => {
    const target = await url()
    for (const error of [await rejection(fetch(target)), await rejection(send(target, { method: 'POST' }))]) {
      expect(connectionCode(error)).toBe(code)
      expect(neverConnected(error)).toBe(true)
    }
  })

  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', AUTHORITY, undefined],
    ['SELF_SIGNED_CERT_IN_CHAIN', OWN + AUTHORITY, undefined],
    ['ERR_TLS_CERT_ALTNAME_INVALID', OTHER, AUTHORITY],
    ['CERT_HAS_EXPIRED', EXPIRED, AUTHORITY],
  ])('%s of a handshake', async (code, cert, ca) => {
    const { error, requests } = await handshake({ cert }, ca === undefined ? {} : { ca })
    expect(connectionCode(error)).toBe(code)
    expect(neverConnected(error)).toBe(true)
    expect(requests).toEqual([])
  })

  it('UND_ERR_CONNECT_TIMEOUT of a handshake that nobody answers', async () => {
    const port = await listen(createServer((socket) => socket.on('error', () => undefined).resume()))
    const error = await rejection(fetchConnecting(`https://127.0.0.1:${port}/`, { timeout: 1 }))
    expect(connectionCode(error)).toBe('UND_ERR_CONNECT_TIMEOUT')
    expect(neverConnected(error)).toBe(true)
  })

  it('is told from all addresses that were tried, not from one of them', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED', syscall: 'connect' })
    const used = Object.assign(new Error('read'), { code: 'ECONNRESET', syscall: 'read' })
    const all = (errors: Error[]) => Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' })
    expect(neverConnected(new TypeError('fetch failed', { cause: all([refused, refused]) }))).toBe(true)
    expect(neverConnected(all([refused, used]))).toBe(false)
    expect(neverConnected(all([]))).toBe(false)
  })
})

describe('a request that may have arrived', () => {
  it('ECONNRESET of a connection that was made', async () => {
    const port = await listen(createServer((socket) => socket.once('data', () => socket.resetAndDestroy())))
    const error = await rejection(fetch(`http://127.0.0.1:${port}/`))
    expect(neverConnected(error)).toBe(false)
  })

  it.each(['EHOSTUNREACH', 'ENETUNREACH', 'ECONNREFUSED', 'ETIMEDOUT'])(
    '%s of a connection that is read from or written to',
    (code) => {
      for (const syscall of ['read', 'write']) {
        const cause = Object.assign(new Error(`${syscall} ${code}`), { errno: -113, code, syscall })
        expect(neverConnected(new TypeError('fetch failed', { cause }))).toBe(false)
      }
    },
  )

  it('an error that says nothing', () => {
    for (const error of [new Error('gone'), new TypeError('fetch failed', { cause: new Error('gone') }), 'gone', null])
      expect(neverConnected(error)).toBe(false)
  })
})
