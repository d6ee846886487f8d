// Unmodified mppx servers that charge and fail, where a voucher has room, many share one, a body breaks off, or a caller gives up late.
// Must never take the client's word for a charge: the server's own accounting is asked.
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { memoryStore, type SessionStore } from '../../src/sessions/index.js'
import { startProxy } from '../client/proxy.js'
import { failureOf } from '../client/stage.js'
import { type Meeting, prepareMeetings, work } from './peer-stage.js'

const meetings = prepareMeetings()
const PRICE = 100_000n
const UNAVAILABLE = { status: 503, headers: { 'retry-after': '0' } }

async function charged({ gateway }: Meeting): Promise<bigint> {
  return (await gateway.channels()).reduce((sum, { spent }) => sum + spent, 0n)
}

function losingReceiptsOfErrors({ gateway }: Meeting) {
  return startProxy(new URL(gateway.url).origin, {
    answer: ({ status, headers }) => {
      if (status >= 400) headers.delete('payment-receipt')
    },
  })
}

/** A way to the server on which the body of each answer with a receipt breaks off. Stopped by what it gives. */
async function cuttingBodies({ gateway }: Meeting): Promise<{ readonly url: string; stop(): void }> {
  const { origin } = new URL(gateway.url)
  const server = createServer(async (incoming, outgoing) => {
    const { authorization = null } = incoming.headers
    const response = await fetch(origin + incoming.url, {
      method: incoming.method ?? 'POST',
      headers: { 'content-type': 'application/json', ...(authorization !== null && { authorization }) },
      body: await buffer(incoming),
    })
    const names = ['www-authenticate', 'payment-receipt', 'content-type']
    const headers = Object.fromEntries(
      names.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name) ?? '']] : [])),
    )
    const body = Buffer.from(await response.arrayBuffer())
    if (!response.headers.has('payment-receipt')) outgoing.writeHead(response.status, headers).end(body)
    else {
      outgoing.writeHead(response.status, { ...headers, 'content-length': '1000' })
      outgoing.write('{"err', () => outgoing.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}/work`,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe('a request is charged once by default', () => {
  it('where its voucher has room for another charge', async () => {
    const meeting = await meetings.meet({ minVoucherDelta: '0.5', suggestedDeposit: '5', content: () => UNAVAILABLE })
    const proxy = await losingReceiptsOfErrors(meeting)
    try {
      const outcome = await meeting.mpp.pay(`${proxy.url}/work`, work())
      expect(failureOf(outcome)).toMatchObject({ code: 'outcome_unknown', mayHaveBeenCharged: true })
      expect([meeting.gateway.served(), await charged(meeting)]).toEqual([1, PRICE])
    } finally {
      await proxy.stop()
    }
  })

  it('where sixteen share vouchers and every other one fails', async () => {
    let served = 0
    const meeting = await meetings.meet({
      suggestedDeposit: '10',
      policy: { maxExposure: '10' },
      content: () => {
        served += 1
        return served % 2 === 0 ? UNAVAILABLE : { status: 200 }
      },
    })
    const proxy = await losingReceiptsOfErrors(meeting)
    try {
      const outcomes = await Promise.all(Array.from({ length: 16 }, () => meeting.mpp.pay(`${proxy.url}/work`, work())))
      expect(meeting.gateway.served()).toBeLessThanOrEqual(16)
      expect(await charged(meeting)).toBe(BigInt(meeting.gateway.served()) * PRICE)
      for (const outcome of outcomes) {
        if (outcome.status === 'failed') expect(outcome.failure.mayHaveBeenCharged).toBe(true)
      }
    } finally {
      await proxy.stop()
    }
  })
})

it.each([500, 503, 429, 404])(
  'HTTP %i with a receipt, whose body breaks off, is booked and handed on',
  async (status) => {
    const meeting = await meetings.meet({ content: () => ({ status }) })
    const way = await cuttingBodies(meeting)
    try {
      const outcome = await meeting.mpp.pay(way.url, work())
      expect(outcome).toMatchObject({ status: 'succeeded', receipt: { spent: '100000' } })
      expect(outcome.response?.status).toBe(status)
      expect(await meeting.mpp.sessions.list()).toMatchObject([{ signed: '100000', spent: '100000' }])
    } finally {
      way.stop()
    }
  },
)

describe('a request that is given up while its receipt is booked', () => {
  /** A store whose changes wait from some moment on, and what says that one of them does. */
  function holding(): { readonly store: SessionStore; hold(): Promise<void>; letGo(): void } {
    const inner = memoryStore()
    let reached: (() => void) | undefined
    let free = Promise.resolve()
    let letGo = (): void => undefined
    return {
      store: {
        ...inner,
        async update(key, change, leases) {
          reached?.()
          await free
          return inner.update(key, change, leases)
        },
      },
      hold() {
        free = new Promise((resolve) => {
          letGo = resolve
        })
        return new Promise((resolve) => {
          reached = resolve
        })
      },
      letGo: () => letGo(),
    }
  }

  it.each(['pay', 'fetch'] as const)('says by %s that it may have been charged', async (way) => {
    const { store, hold, letGo } = holding()
    let held: Promise<void> | undefined
    const meeting = await meetings.meet({
      client: { store },
      content: (served) => {
        if (served === 2) held = hold()
        return { status: 200 }
      },
    })
    await meeting.paySome(1)
    const abort = new AbortController()
    const ending = meeting.mpp[way](meeting.gateway.url, { ...work(), signal: abort.signal }).catch(
      (error: unknown) => error,
    )
    while (held === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    await held
    abort.abort()
    letGo()
    const failure = { code: 'cancelled', mayHaveBeenCharged: true }
    expect(await ending).toMatchObject(way === 'pay' ? { failure } : { name: 'AbortError', cause: { failure } })
    expect(await charged(meeting)).toBe(2n * PRICE)
  })
})

it('a plain fetch is not handed a challenge for what may have been charged', async () => {
  const meeting = await meetings.meet({ content: () => UNAVAILABLE, policy: { resendPaid: true } })
  const proxy = await losingReceiptsOfErrors(meeting)
  try {
    const response = await meeting.mpp.fetch(`${proxy.url}/work`, work())
    expect(response.headers.get('x-mpp-failure')).toBe('outcome_unknown')
    expect(response.headers.get('www-authenticate')).toBeNull()
  } finally {
    await proxy.stop()
  }
})
