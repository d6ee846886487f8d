// The gateway as an HTTP server: bytes, methods, CORS, limits, the account-owned routes, starting and stopping.
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GatewayExchange,
  type LocalChain,
  type Sandbox,
  startChain,
  startSandbox,
} from '../../src/sandbox/index.js'
import { chatCosting, PATH, Payer } from './gateway-payer.js'

let chain: LocalChain
let sandbox: Sandbox
const seen: GatewayExchange[] = []

beforeAll(async () => {
  chain = await startChain()
  sandbox = await startSandbox({ chain, maxBodyBytes: 10_000, observe: (exchange) => seen.push(exchange) })
})
afterAll(async () => {
  await sandbox?.stop()
  await chain?.stop()
})

describe('methods and headers', () => {
  it.each(['HEAD', 'GET', 'PUT', 'DELETE'])('%s on the paid route is 405', async (method) => {
    const response = await fetch(sandbox.url + PATH, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST, OPTIONS')
    expect(response.headers.get('www-authenticate')).toBeNull()
  })

  it('answers preflights, and lets browsers read what a payer needs', async () => {
    const preflight = await fetch(sandbox.url + PATH, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-headers': 'authorization,idempotency-key' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization,idempotency-key')
    const answer = await fetch(sandbox.url + PATH, { method: 'POST', body: chatCosting(10) })
    expect(answer.headers.get('access-control-expose-headers')).toMatch(
      /WWW-Authenticate, Payment-Receipt, X-Request-Id/,
    )
  })

  it('gives every answer a request id of its own', async () => {
    const ids = await Promise.all(
      [PATH, PATH, '/v1/models', '/nowhere'].map(async (path) =>
        (await fetch(sandbox.url + path)).headers.get('x-request-id'),
      ),
    )
    for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/)
    expect(new Set(ids).size).toBe(4)
  })

  it('404 elsewhere, 413 for a body that is too long', async () => {
    expect((await fetch(`${sandbox.url}/v1/elsewhere`, { method: 'POST' })).status).toBe(404)
    expect((await fetch(sandbox.url + PATH, { method: 'POST', body: 'x'.repeat(10_000) })).status).toBe(400)
    expect((await fetch(sandbox.url + PATH, { method: 'POST', body: 'x'.repeat(10_001) })).status).toBe(413)
  })
})

describe('observe', () => {
  it('sees the bytes as they arrived, also when no text is in them', async () => {
    const bytes = Uint8Array.from([0, 255, 13, 10, 128, 7])
    await fetch(`${sandbox.url}${PATH}?a=1`, { method: 'POST', body: bytes, headers: { 'X-Mixed-Case': 'Yes' } })
    const exchange = seen.at(-1)
    expect(exchange?.body).toEqual(bytes)
    expect(exchange).toMatchObject({ method: 'POST', url: `${PATH}?a=1` })
    expect(exchange?.headers.find(([name]) => name.toLowerCase() === 'x-mixed-case')?.[1]).toBe('Yes')
  })
})

describe('bodies that are no chat', () => {
  it('can have a price, and are answered with their length', async () => {
    const flat = await startSandbox({ chain, otherBodyPrice: '0.25' })
    try {
      const [account] = flat.accounts
      if (account === undefined) throw new Error('no account')
      const { answer } = await new Payer(flat, chain, account).open('a=1&b=2', {
        deposit: 1_000_000n,
        cumulative: 1_000_000n,
      })
      expect(answer).toMatchObject({ status: 200, receipt: { spent: 250_000n } })
      expect(JSON.parse(answer.text)).toEqual({ object: 'bytes.received', bytes: 7 })
    } finally {
      await flat.stop()
    }
  })
})

describe('the account-owned routes', () => {
  it('are on the same server, and know nothing of payment credentials', async () => {
    const models = await fetch(`${sandbox.url}/v1/models`, {
      headers: { authorization: `Bearer ${sandbox.virtualKeys.valid}` },
    })
    expect(models.status).toBe(200)
    const chat = (authorization: string) =>
      fetch(`${sandbox.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization },
        body: chatCosting(20),
      })
    expect((await chat(`Bearer ${sandbox.virtualKeys.valid}`)).status).toBe(200)
    expect((await chat('Payment e30')).status).toBe(401)
    expect((await chat(`Bearer ${sandbox.virtualKeys.exhausted}`)).status).toBe(402)
  })
})

describe('options', () => {
  it('names the option that cannot be read, and starts nothing', async () => {
    await expect(startSandbox({ chain, bucket: '1.0000001' })).rejects.toThrow(/bucket/)
    await expect(startSandbox({ chain, suggestedDeposit: '-5' })).rejects.toThrow(/suggestedDeposit/)
    expect(() => sandbox.configure({ pricePerToken: 'much' })).toThrow(/pricePerToken/)
  })

  it('puts bucket, deposit, operator and delta into the challenge', async () => {
    const operator = `0x${'0b'.repeat(20)}` as const
    const other = await startSandbox({
      chain,
      bucket: '0.5',
      suggestedDeposit: 3_000_000n,
      minVoucherDelta: '0.1',
      operator,
    })
    try {
      const [account] = other.accounts
      if (account === undefined) throw new Error('no account')
      const payer = new Payer(other, chain, account)
      expect((await payer.challenge()).request).toMatchObject({
        amount: 500_000n,
        suggestedDeposit: 3_000_000n,
        minVoucherDelta: 100_000n,
        operator,
      })
      const { answer, channel } = await payer.open(chatCosting(50), { deposit: 500_000n, cumulative: 500_000n })
      expect(answer.status).toBe(200)
      expect(await payer.close(channel, 500_000n)).toMatchObject({ status: 204 })
    } finally {
      await other.stop()
    }
  })
})

describe('stopping', () => {
  it('ends open connections, and its own chain, but not a shared one', async () => {
    const own = await startSandbox()
    expect(own.accounts.length).toBeGreaterThanOrEqual(8)
    expect(own.accounts.some(({ address }) => address.toLowerCase() === own.payee)).toBe(false)
    const hanging = httpRequest(own.url + PATH, { method: 'POST', headers: { 'content-length': '10' } })
    const ended = new Promise((resolve) => hanging.once('error', resolve))
    hanging.write('{')
    await new Promise((resolve) => setTimeout(resolve, 50))
    await own.stop()
    await expect(ended).resolves.toBeInstanceOf(Error)
    await expect(fetch(own.url)).rejects.toThrow()
    await expect(fetch(own.rpcUrl)).rejects.toThrow()
    expect((await fetch(`${sandbox.url}/v1/models`)).status).toBe(401)
  })
})
