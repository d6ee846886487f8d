// Who may do what at the chain: public methods for this machine, administration for the process that started it.
// Must never ask by anything but real requests; the service that must not be called is a real one too.
import { once } from 'node:events'
import { createServer, request as httpRequest, type Server } from 'node:http'
import { createTestClient, custom, type Hex } from 'viem'
import { getBlockNumber } from 'viem/actions'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAnvil } from '../../src/sandbox/chain/anvil-process.js'
import { startSandbox } from '../../src/sandbox/index.js'

let sandbox: Awaited<ReturnType<typeof startSandbox>>
let elsewhere: { readonly server: Server; readonly url: string; readonly calls: string[] }

beforeAll(async () => {
  const calls: string[] = []
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`)
    response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the other service has no port')
  elsewhere = { server, calls, url: `http://127.0.0.1:${address.port}` }
  sandbox = await startSandbox()
})
afterAll(async () => {
  await sandbox?.stop()
  elsewhere?.server.close()
})

/** Posts with headers that `fetch` would not let a caller choose. */
async function post(body: unknown, headers: Record<string, string> = {}) {
  const url = new URL(sandbox.rpcUrl)
  const sent = httpRequest(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } })
  sent.end(typeof body === 'string' ? body : JSON.stringify(body))
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, headers: response.headers, text }
}

const call = (method: string, params: unknown = []) => ({ jsonrpc: '2.0', id: 1, method, params })
const height = () => getBlockNumber(sandboxClient(), { cacheTime: 0 })
const sandboxClient = () =>
  createTestClient({ mode: 'anvil', chain: tempoModerato, transport: custom(sandbox.admin), pollingInterval: 50 })

describe('the public endpoint', () => {
  test('makes the chain call no other service, however the call is written', async () => {
    const fork = { forking: { jsonRpcUrl: elsewhere.url } }
    for (const body of [
      call('anvil_reset', [fork]),
      call('hardhat_reset', [fork]),
      call('anvil_setRpcUrl', [elsewhere.url]),
      // Written so that a reader which expects a list of parameters passes it over.
      call('anvil_reset', fork),
      { ...call('anvil_reset', [fork]), id: { not: 'an id' } },
      { id: 1, method: 'anvil_reset', params: [fork] },
      [call('eth_chainId'), call('anvil_reset', [fork])],
      [call('anvil_reset', fork), 7],
      JSON.stringify(call('anvil_reset', [fork])).replace('anvil_reset', '\\u0061nvil_reset'),
    ]) {
      expect((await post(body)).text).toContain('"error":')
    }
    expect(elsewhere.calls).toEqual([])
  })

  test.each([
    'anvil_mine',
    'anvil_setBalance',
    'anvil_setCode',
    'anvil_impersonateAccount',
    'anvil_dumpState',
    'evm_mine',
    'evm_increaseTime',
    'evm_snapshot',
    'hardhat_setStorageAt',
    'eth_sendUnsignedTransaction',
    'txpool_content',
    'debug_traceCall',
    'toString',
  ])('does not offer %s, and says who may call it', async (method) => {
    const { status, text } = await post(call(method))
    expect(status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({
      id: 1,
      error: { code: -32601, message: expect.stringContaining('admin') },
    })
    expect(text).not.toContain(method)
  })

  test.each([
    ['origin', 'https://evil.example'],
    ['origin', 'http://127.0.0.1.evil.example'],
    ['origin', 'null'],
    ['host', 'rebound.example'],
    ['host', 'localhost.evil.example:80'],
  ])('refuses whoever comes with %s: %s', async (name, value) => {
    const { status, text } = await post(call('eth_chainId'), { [name]: value })
    expect(status).toBe(403)
    expect(text).not.toContain('0xa5bf')
  })

  test.each(['http://localhost:5173', 'http://127.0.0.1:3000', 'http://app.localhost', 'http://[::1]:8080'])(
    'answers pages of this machine: %s',
    async (origin) => {
      const { status, headers, text } = await post(call('eth_chainId'), { origin })
      expect([status, headers['access-control-allow-origin']]).toEqual([200, '*'])
      expect(JSON.parse(text)).toMatchObject({ result: '0xa5bf' })
    },
  )
})

describe('the process that started the chain', () => {
  test('administers it, also with a test client of viem', async () => {
    const before = await height()
    await sandbox.admin.request({ method: 'anvil_mine', params: ['0x3'] })
    expect(await height()).toBeGreaterThanOrEqual(before + 3n)
    await sandboxClient().setBalance({ address: '0x00000000000000000000000000000000000000aa', value: 5n })
    const slot = `0x${'0'.repeat(64)}` as const
    const where = { address: '0x00000000000000000000000000000000000000aa', index: slot, value: slot } as const
    await expect(sandboxClient().setStorageAt(where)).resolves.toBeUndefined()
  })

  test('is told in the chain’s words what it refuses', async () => {
    await expect(sandbox.admin.request({ method: 'anvil_setBalance', params: ['nobody'] })).rejects.toThrow(
      /^anvil_setBalance: .+/,
    )
  })
})

describe('the chain’s program itself', () => {
  test.skipIf(process.platform === 'darwin')(
    'listens where a page cannot find it, and allows no page to call',
    async () => {
      const [first, second] = await Promise.all([startAnvil([]), startAnvil([])])
      try {
        const hosts = [first, second].map(({ url }) => new URL(url).hostname)
        expect(new Set([...hosts, '127.0.0.1']).size).toBe(3)
        for (const host of hosts) expect(host).toMatch(/^127\./)
        const preflight = await fetch(first.url, {
          method: 'OPTIONS',
          headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
        })
        expect(preflight.headers.get('access-control-allow-origin')).toBe(null)
        const answered = await fetch(first.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(call('eth_chainId')),
        })
        expect(answered.headers.get('access-control-allow-origin')).toBe(null)
        expect(((await answered.json()) as { result: Hex }).result).toMatch(/^0x/)
      } finally {
        await Promise.all([first.stop(), second.stop()])
      }
    },
  )
})
