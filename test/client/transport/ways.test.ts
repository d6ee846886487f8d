// Which way a request goes: by the client behind Node's fetch, by a fetch that took its place, or by the caller's own.
// Must never ask the transport itself which way it took: whoever stands on the way counts.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mock } from 'node:test'
import { getGlobalDispatcher, MockAgent, setGlobalDispatcher } from 'undici'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Outgoing, transportOver } from '../../../src/client/transport/index.js'
import { createMppClient } from '../../../src/index.js'
import { outgoing, type RunningServer, rawServer, rejection, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

const SYMBOL = Symbol.for('undici.globalDispatcher.1')
const nodes = globalThis.fetch

interface Behind {
  dispatch(options: object, handler: object): unknown
}

function dispatcherNow(): Behind {
  const found: unknown = Reflect.get(globalThis, SYMBOL)
  if (typeof found !== 'object' || found === null || !('dispatch' in found)) throw new Error('there is no dispatcher')
  const { dispatch } = found
  if (typeof dispatch !== 'function') throw new Error('it does not dispatch')
  return { dispatch: (options, handler) => dispatch.call(found, options, handler) }
}

let server: RunningServer
let requests = 0
const count = (): void => {
  requests += 1
}
let original: unknown
/** What went through the global dispatcher, whoever sent it. Node 26's own fetch has another one. */
let dispatched = 0
beforeAll(async () => {
  // Undici is there once something of it is asked for.
  new Headers()
  original = Reflect.get(globalThis, SYMBOL)
  server = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  subscribe('undici:request:create', count)
})
beforeEach(() => {
  const behind = dispatcherNow()
  Reflect.set(globalThis, SYMBOL, {
    dispatch(options: object, handler: object) {
      dispatched += 1
      return behind.dispatch(options, handler)
    },
  })
  requests = 0
  dispatched = 0
})
afterEach(() => {
  Reflect.set(globalThis, SYMBOL, original)
  globalThis.fetch = nodes
  server.seen.splice(0)
})
afterAll(async () => {
  unsubscribe('undici:request:create', count)
  await server?.stop()
})

const patched = () => vi.fn((input: RequestInfo | URL, init?: RequestInit) => nodes(input, init))

describe('the way of a request', () => {
  it('by default: the global dispatcher, and an application’s own is used', async () => {
    expect(await (await send(server.url)).response.text()).toBe('ok')
    expect([dispatched, requests, server.seen.length]).toEqual([1, 1, 1])
  })

  it('of a client: the same', async () => {
    const account = privateKeyToAccount(generatePrivateKey())
    const mpp = createMppClient({ account, rpcUrl: 'http://127.0.0.1:9' })
    const before = patched()
    expect(await (await mpp.fetch(server.url)).text()).toBe('ok')
    expect(dispatched).toBe(1)
    globalThis.fetch = before
    await (await mpp.fetch(server.url)).text()
    expect(before).toHaveBeenCalledTimes(1)
  })

  it('a fetch that was patched before or after, and patched back', async () => {
    const transport = transportOver(undefined)
    const by = patched()
    globalThis.fetch = by
    const later = transportOver(undefined)
    for (const way of [transport, later]) await (await way(outgoing(server.url)).answer).response.text()
    expect(by).toHaveBeenCalledTimes(2)
    globalThis.fetch = nodes
    for (const way of [transport, later]) await (await way(outgoing(server.url)).answer).response.text()
    expect(by).toHaveBeenCalledTimes(2)
    expect(server.seen.length).toBe(4)
  })

  const calling = (input: RequestInfo | URL, init?: RequestInit) => nodes(input, init)
  it.each<[string, () => typeof fetch]>([
    ['in a function of the same name', () => ({ fetch: calling }).fetch],
    ['in an async function', () => async (input, init) => nodes(input, init)],
    ['in one that takes its time', () => async (input, init) => Promise.resolve().then(() => nodes(input, init))],
    [
      'behind a proxy that calls it',
      () => new Proxy(nodes, { apply: (target, _self, [to, init]) => target(to, init) }),
    ],
    ['with a copy of the options', () => (input, init) => nodes(input, { ...init })],
    ['in a spy of Node’s test runner', () => mock.fn(nodes)],
    ['in a spy of Vitest', () => vi.fn(nodes)],
  ])('Node’s own fetch, but %s: that one is called every time', async (_name, make) => {
    const handlers: string[] = []
    globalThis.fetch = make()
    const { dispatch } = dispatcherNow()
    Reflect.set(globalThis, SYMBOL, {
      dispatch(options: object, handler: { constructor: { name: string } }) {
        handlers.push(handler.constructor.name)
        return dispatch(options, handler)
      },
    })
    for (let n = 0; n < 3; n += 1) await (await send(server.url)).response.text()
    expect(handlers).toHaveLength(3)
    expect(handlers).not.toContain('NodeRequest')
    expect(server.seen.length).toBe(3)
  })

  it.each<[string, () => typeof fetch]>([
    ['bound', () => nodes.bind(globalThis)],
    ['behind a proxy that does nothing', () => new Proxy(nodes, {})],
  ])('Node’s own fetch %s: it is called once, and nobody can tell it from Node’s own', async (_name, make) => {
    globalThis.fetch = make()
    for (let n = 0; n < 3; n += 1) await (await send(server.url)).response.text()
    expect([dispatched, server.seen.length]).toEqual([3, 3])
  })

  it('where no stack can be had: fetch, every time', async () => {
    const { prepareStackTrace } = Error
    const calls: unknown[] = []
    const { dispatch } = dispatcherNow()
    Reflect.set(globalThis, SYMBOL, {
      dispatch(options: object, handler: { constructor: { name: string } }) {
        calls.push(handler.constructor.name)
        return dispatch(options, handler)
      },
    })
    globalThis.fetch = nodes.bind(globalThis)
    Error.prepareStackTrace = (_error, sites) => sites
    try {
      for (let n = 0; n < 3; n += 1) await (await send(server.url)).response.text()
    } finally {
      if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace')
      else Error.prepareStackTrace = prepareStackTrace
    }
    expect(calls).toHaveLength(3)
    expect(calls).not.toContain('NodeRequest')
  })

  it('a dispatcher that another copy of undici has set', async () => {
    const agent = new MockAgent()
    agent.disableNetConnect()
    agent.get('https://mocked.example').intercept({ path: '/paid', method: 'GET' }).reply(200, 'mocked')
    const before = getGlobalDispatcher()
    setGlobalDispatcher(agent)
    try {
      expect(await (await send('https://mocked.example/paid')).response.text()).toBe('mocked')
    } finally {
      setGlobalDispatcher(before)
      await agent.close()
    }
  })

  it('the fetch that the caller gave, also while Node’s own is in place', async () => {
    const own = patched()
    const { answer } = transportOver(own)(outgoing(server.url, { method: 'POST' }))
    const { response } = await answer
    expect(await response.text()).toBe('ok')
    expect(own).toHaveBeenCalledTimes(1)
    expect(own.mock.calls[0]?.[1]).toMatchObject({ method: 'POST', redirect: 'manual' })
    // And the very response that it gave.
    expect(response).toBe(await own.mock.results[0]?.value)
  })

  it('no dispatcher under the name that is known: fetch', async () => {
    Reflect.set(globalThis, SYMBOL, undefined)
    const by = vi.fn(async () => new Response('mine'))
    const spied = vi.spyOn(globalThis, 'fetch').mockImplementation(by)
    expect(await (await send(server.url)).response.text()).toBe('mine')
    expect(by).toHaveBeenCalledTimes(1)
    spied.mockRestore()
  })
})

describe('what only fetch does, fetch does', () => {
  const refused = async (url: string, init: Parameters<typeof outgoing>[1] = {}): Promise<unknown> => {
    const error = await rejection(send(url, init))
    expect(error).toBeInstanceOf(TypeError)
    expect(server.seen).toEqual([])
    return error
  }

  it.each<Outgoing['options']>([{ cache: 'no-cache' }, { mode: 'same-origin' }, { referrer: 'about:client' }])(
    'with %o',
    async (options) => {
      await send(server.url, { options }).then(({ response }) => response.text())
      const seen = server.seen[0]?.head.map((line) => line.toLowerCase())
      const expected = {
        cache: 'cache-control: max-age=0',
        mode: 'sec-fetch-mode: same-origin',
        referrer: 'accept: */*',
      }
      const [name] = Object.keys(options)
      expect(seen).toContain(name === 'cache' || name === 'mode' ? expected[name] : expected.referrer)
    },
  )

  it('checks the integrity of a body', async () => {
    await expect(send(server.url, { options: { integrity: `sha256-${'A'.repeat(43)}=` } })).rejects.toThrow(TypeError)
  })

  it('takes a dispatcher of the caller’s', async () => {
    const dispatch = vi.fn(() => {
      throw new Error('asked')
    })
    const options: Outgoing['options'] = {}
    Reflect.set(options, 'dispatcher', { dispatch })
    expect(await rejection(send(server.url, { options }))).toMatchObject({ cause: { message: 'asked' } })
    expect(dispatch).toHaveBeenCalledTimes(1)
    expect(dispatched).toBe(0)
  })

  it('refuses a URL with credentials', async () => {
    expect(await refused(server.url.replace('//', '//user:secret@'))).toMatchObject({
      message: expect.stringContaining('includes credentials'),
    })
  })

  it('refuses ports of other protocols', async () => {
    for (const port of [1, 22, 25, 6000, 6667, 10080]) {
      expect(await refused(`http://127.0.0.1:${port}/`)).toMatchObject({ cause: { message: 'bad port' } })
    }
  })

  it('refuses other protocols', async () => {
    for (const url of ['ftp://127.0.0.1/', 'file:///etc/hostname']) await refused(url)
  })

  it('refuses methods, and bodies of those that have none', async () => {
    const body = new TextEncoder().encode('body')
    for (const method of ['CONNECT', 'TRACE', 'trace', 'NOT A METHOD']) await refused(server.url, { method })
    for (const method of ['GET', 'HEAD']) await refused(server.url, { method, body })
  })
})
