// Whatever does not answer: a fetch or a chain client that minds no abort, a node that hangs, a store, an account, a body.
// Must never wait for a default timeout, and never for real time: what is to end by itself is told to end soon, and what is
// not to be waited for is silent until the test is over.
import { createServer } from 'node:http'
import { createClient, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMppClient, type MppClientOptions, memoryStore, type Policy, type SessionStore } from '../../src/index.js'
import { formatReceipt } from '../../src/protocol/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { type RpcRelay, startRelay } from '../rows/rpc-relay.js'
import { type HostileGateway, type Malice, startHostile } from './gateway.js'

let stage: Stage
const stopping: { stop(): Promise<void> }[] = []
beforeAll(async () => {
  stage = await setStage(40)
})
afterAll(async () => {
  await Promise.all(stopping.map((server) => server.stop()))
  await stage?.stop()
})

const SOON: Policy = { timeouts: { unpaidMs: 200, paidMs: 200, topUpMs: 200, closeMs: 200, chainMs: 200 } }

/** Never settles, whatever is aborted. */
function silence<T>(): Promise<T> {
  return new Promise(() => undefined)
}

async function relay(): Promise<RpcRelay> {
  const rpc = await startRelay(stage.chain.rpcUrl)
  stopping.push(rpc)
  return rpc
}

/** A client of a chain that waits for each answer for as long as it takes. */
function patient(rpc: RpcRelay): Pick<MppClientOptions, 'getClient'> {
  return { getClient: () => createClient({ chain: tempoModerato, transport: http(rpc.url, { timeout: 0 }) }) }
}

async function hostile(malice: Malice): Promise<HostileGateway> {
  const gateway = await startHostile(stage.chain, malice)
  stopping.push(gateway)
  return gateway
}

/** Opens what it is asked to, delivers, and challenges what is not paid. */
const honest: Malice = async (call, response, gateway) => {
  if (call.action === 'unpaid') return gateway.refuse(response, null)
  if (call.action === 'open' || call.action === 'topUp') await gateway.broadcast(call)
  gateway.deliver(call, response)
}

describe.concurrent('a fetch that minds no abort', () => {
  it.each<[string, typeof fetch]>([
    ['never answers', () => silence()],
    ['answers with an error body that never ends', async () => new Response(new ReadableStream(), { status: 500 })],
  ])('and %s, unpaid: no answer, by the policy’s own timer', async (_, given) => {
    const mpp = stage.client(stage.payer(), { fetch: given, policy: SOON })
    const outcome = await mpp.pay('http://127.0.0.1:9/v1/mpp/chat/completions', chat(500))
    expect(failureOf(outcome)).toMatchObject({ code: 'connection_failed', detail: 'no answer within 200 ms' })
  })

  it('paid: the outcome is unknown, and what was signed is kept', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const given: typeof fetch = (input, init) =>
      new Headers(init?.headers).has('authorization') ? silence() : fetch(input, init)
    const mpp = stage.client(payer.account, { fetch: given, policy: { timeouts: { paidMs: 200 } } })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({ code: 'outcome_unknown', mayHaveBeenCharged: true })
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', pending: 'open' }])
  })

  it('aborted by its caller: over at once', async () => {
    const giveUp = new AbortController()
    const given: typeof fetch = () => {
      queueMicrotask(() => giveUp.abort())
      return silence()
    }
    const mpp = stage.client(stage.payer(), { fetch: given })
    const asked = mpp.fetch('http://127.0.0.1:9/v1/mpp/chat/completions', { ...chat(500), signal: giveUp.signal })
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe.concurrent('a chain that does not answer', () => {
  const ONCE: Policy = { ...SOON, attempts: { CHAIN_UNAVAILABLE: 1 } }

  it.each<[string, (rpc: RpcRelay) => Partial<MppClientOptions>, (rpc: RpcRelay) => void]>([
    ['a getClient that never gives a client', () => ({ getClient: () => silence() }), () => undefined],
    ['a node that accepts and is silent', (rpc) => ({ rpcUrl: rpc.url }), (rpc) => rpc.set('hang')],
    ['a client whose transport waits for ever', patient, (rpc) => rpc.set('hang')],
  ])('%s: nothing is signed, by the policy’s own timer', async (_, options, begin) => {
    const rpc = await relay()
    begin(rpc)
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = createMppClient({ account: payer.account, ...options(rpc), policy: ONCE })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500)))).toMatchObject({ code: 'chain_unavailable' })
    expect(payer.signatures()).toBe(0)
  })

  it('a node that asks to come back in an hour: its wait is not the caller’s', async () => {
    const server = createServer((_request, response) => response.writeHead(429, { 'retry-after': '3600' }).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the node has no port')
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { rpcUrl: `http://127.0.0.1:${address.port}`, policy: ONCE })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500)))).toMatchObject({ code: 'chain_unavailable' })
    server.closeAllConnections()
    server.close()
  })

  it('after an open: the answer is handed over, and the channel is used on once the chain answers', async () => {
    const rpc = await relay()
    const payer = counted(stage.payer())
    const gateway = await hostile(async (call, response, self) => {
      // From the answer to the open on, nothing is heard of the chain.
      if (call.action === 'open') rpc.set('hang')
      await honest(call, response, self)
    })
    const mpp = stage.client(payer.account, {
      ...patient(rpc),
      policy: { timeouts: { chainMs: 2 ** 31 - 1, paidMs: 2 ** 31 - 1 } },
    })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(await outcome.response?.text()).toContain('choices')
    // Others wait for the chain’s word about it: nobody opens another channel meanwhile.
    const second = mpp.pay(gateway.chat, chat(500))
    while (rpc.missed() === 0) await new Promise((resolve) => setImmediate(resolve))
    rpc.set('up')
    rpc.cut()
    expect((await second).status).toBe('succeeded')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000' }])
    expect(await stage.opened(payer.account)).toBe(1)
    expect(gateway.actions()).toEqual(['unpaid', 'open', 'unpaid', 'voucher'])
  })

  it('after an open that it never confirms: the lease is given back in time, and the next one asks again', async () => {
    const rpc = await relay()
    const payer = counted(stage.payer())
    const gateway = await hostile(async (call, response, self) => {
      if (call.action === 'open') rpc.set('hang')
      await honest(call, response, self)
    })
    const mpp = stage.client(payer.account, { ...patient(rpc), policy: { timeouts: { chainMs: 3_000 } } })
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', pending: 'open' }])
    rpc.set('up')
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000' }])
    expect(await stage.opened(payer.account)).toBe(1)
  })
})

describe.concurrent('a store that does not answer', () => {
  /** A store of which some calls are never answered, once that is asked for. */
  function mute(...calls: readonly (keyof SessionStore)[]): SessionStore & { silent: boolean } {
    const inner = memoryStore()
    const own = { silent: false }
    return new Proxy(Object.assign(own, inner), {
      get(target, name) {
        const known = calls.some((call) => call === name)
        return known && target.silent ? () => silence() : Reflect.get(target, name)
      },
    })
  }

  it.each<[string, keyof SessionStore]>([
    ['a read', 'get'],
    ['a write', 'update'],
    ['the question for a lease', 'acquireLease'],
  ])('to %s: nothing is sent, by the policy’s own timer', async (_, call) => {
    const store = mute(call)
    store.silent = true
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { store, policy: { timeouts: { sessionMs: 300 } } })
    const failure = failureOf(await mpp.pay(gateway.chat, chat(500)))
    expect(failure).toMatchObject({ code: 'store_unavailable', authorised: { paidSends: 0 } })
    expect(failure.detail).toContain('did not answer within 300 ms')
  })

  it('after the paid send: the answer is handed over', async () => {
    const store = mute('update')
    const gateway = await hostile(async (call, response, self) => {
      if (call.action === 'voucher') store.silent = true
      await honest(call, response, self)
    })
    const mpp = stage.client(stage.payer(), { store, policy: { timeouts: { sessionMs: 2_000 } } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    await mpp.sessions.list()
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome).toMatchObject({ status: 'succeeded', receiptProblem: 'the ledger could not be updated' })
  })

  it('aborted by its caller: over all the same', async () => {
    const store = mute('get', 'update', 'releaseLease')
    const giveUp = new AbortController()
    const gateway = await hostile((call, response, self) => {
      if (call.action === 'unpaid') self.refuse(response, null, { terms: { unitType: 'request' } })
      else {
        store.silent = true
        giveUp.abort()
      }
    })
    const mpp = stage.client(stage.payer(), { store, policy: { timeouts: { sessionMs: 2 ** 31 - 1 } } })
    const asked = mpp.fetch(gateway.chat, { ...chat(500), signal: giveUp.signal })
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe.concurrent('an account that does not answer', () => {
  it('aborted by its caller: over at once; what it signs later is neither stored nor sent, and others go on', async () => {
    const payer = stage.payer()
    const giveUp = new AbortController()
    let sign: (() => void) | undefined
    let asked = 0
    const account = {
      ...payer,
      // The first transaction is signed when somebody has found the wallet.
      signTransaction: (async (...args: Parameters<typeof payer.signTransaction>) => {
        asked += 1
        if (asked === 1) {
          const found = new Promise<void>((resolve) => {
            sign = resolve
          })
          giveUp.abort()
          await found
        }
        return payer.signTransaction(...args)
      }) as typeof payer.signTransaction,
    }
    const gateway = await hostile((call, response, self) =>
      call.action === 'unpaid' && call.earlier === 1
        ? self.refuse(response, null, { terms: { recipient: lower(self.payees[1]?.address ?? '0x') } })
        : honest(call, response, self),
    )
    const mpp = stage.client(account, { policy: { maxTotalDeposit: '6' } })
    const first = mpp.fetch(gateway.chat, { ...chat(500), signal: giveUp.signal })
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    expect(await mpp.sessions.list()).toEqual([])
    // To another payee: the room for deposits is free, and so is the account.
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    sign?.()
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open' }])
    expect(await stage.opened(payer)).toBe(1)
  })
})

describe.concurrent('a body that does not end', () => {
  it.each([500, 429, 402, 404])('of a paid %i with a receipt: handed over without waiting for it', async (status) => {
    const gateway = await hostile(async (call, response, self) => {
      if (call.action !== 'voucher') return honest(call, response, self)
      const receipt = formatReceipt({
        method: 'tempo',
        intent: 'session',
        status: 'success',
        timestamp: new Date().toISOString(),
        reference: 'reference',
        challengeId: call.credential?.challenge.id ?? '',
        channelId: call.credential?.payload.channelId ?? '0x',
        acceptedCumulative: 1_000_000n,
        spent: 100_000n,
      })
      response.writeHead(status, { 'content-type': 'application/json', 'payment-receipt': receipt }).write('{"error":')
    })
    const mpp = stage.client(stage.payer(), { policy: { timeouts: { paidMs: 2 ** 31 - 1 } } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome).toMatchObject({ status: 'succeeded', receipt: { spent: '100000' } })
    expect(outcome.response?.status).toBe(status)
    await outcome.response?.body?.cancel()
  })
})

function lower(address: string): `0x${string}` {
  return `0x${address.slice(2).toLowerCase()}`
}
