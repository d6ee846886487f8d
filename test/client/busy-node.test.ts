// Nodes that limit the rate of requests or fail for a while: asked again after a pause, in every state that asks the chain.
// Must never pass because a transport asked again: the clients of these tests ask once.
import { createClient, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MppClient, Policy } from '../../src/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { type RpcAnswer, type RpcRelay, startRelay } from '../rows/rpc-relay.js'
import { problem, type ScriptedGateway, startScripted } from '../rows/scripted-gateway.js'
import {
  type CountedAccount,
  chat,
  counted,
  events,
  failureOf,
  paySome,
  type Stage,
  setStage,
  states,
} from './stage.js'

let stage: Stage
const stopping: { stop(): Promise<void> }[] = []
beforeAll(async () => {
  stage = await setStage(50)
})
afterAll(async () => {
  await Promise.all(stopping.map((server) => server.stop()))
  await stage?.stop()
})

const BUSY: readonly (readonly [string, RpcAnswer])[] = [
  ['-32005', { error: { code: -32005, message: 'rate limit exceeded, try again in 800ms' } }],
  ['-32090', { error: { code: -32090, message: 'Too many requests, retry in 1s' } }],
  ['HTTP 429', { status: 429 }],
  ['HTTP 503', { status: 503 }],
  ['-32603 with HTTP 502', { error: { code: -32603, message: 'upstream' }, status: 502 }],
]
const RATE_LIMIT: RpcAnswer = { error: { code: -32005, message: 'rate limit exceeded, try again in 800ms' } }

interface Ground {
  readonly rpc: RpcRelay
  readonly front: ScriptedGateway
  readonly payer: CountedAccount
  readonly mpp: MppClient
}

async function ground(policy: Policy = {}): Promise<Ground> {
  const rpc = await startRelay(stage.chain.rpcUrl)
  const front = await startScripted(await stage.gateway())
  stopping.push(rpc, front)
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account, {
    policy: { maxDeposit: '20', ...policy },
    store: memoryStore(),
    // Made anew each time: the client checks which chain it is for before it keeps it.
    getClient: () => createClient({ chain: tempoModerato, transport: http(rpc.url, { retryCount: 0 }) }),
  })
  return { rpc, front, payer, mpp }
}

/** Pays; the node is busy until the flow waits for it for the second time. */
async function payWhileBusy(
  { mpp, front, rpc }: Ground,
  busyFrom: 'begin' | 'toppingUp' | 'reconcilingSession',
  answer: RpcAnswer = RATE_LIMIT,
) {
  let waits = 0
  const actor = mpp.createFlow(front.chat, chat(500))
  actor.subscribe((snapshot) => {
    if (busyFrom !== 'begin' && waits === 0 && snapshot.matches({ authorizing: busyFrom })) rpc.interpose(() => answer)
    if (!snapshot.matches('backingOff')) return
    waits += 1
    if (waits === 2) rpc.interpose(undefined)
  })
  if (busyFrom === 'begin') rpc.interpose(() => answer)
  actor.start()
  return mpp.outcomeOf(actor)
}

describe.concurrent('a node that is busy', () => {
  it.each(BUSY)('while a channel is opened (%s): asked again, and one open is signed', async (_, answer) => {
    const here = await ground()
    const outcome = await payWhileBusy(here, 'begin', answer)
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome).filter((event) => event === 'CHAIN_UNAVAILABLE')).toHaveLength(2)
    // The open and its voucher.
    expect(here.payer.signatures()).toBe(2)
    expect(await stage.opened(here.payer.account)).toBe(1)
  })

  it('while it is asked what may be approved: asked again, and approved once', async () => {
    let asked = 0
    const approve = (): boolean => {
      asked += 1
      return true
    }
    const here = await ground({ approve })
    const outcome = await payWhileBusy(here, 'begin')
    expect(outcome.status).toBe('succeeded')
    expect(asked).toBe(1)
    expect(here.payer.signatures()).toBe(2)
  })

  it('before a top-up is signed: asked again, and one is signed', async () => {
    const here = await ground()
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    const before = here.payer.signatures()
    here.front.next('voucher', problem('session/amount-exceeds-deposit'))
    const outcome = await payWhileBusy(here, 'toppingUp')
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('CHAIN_UNAVAILABLE')
    expect(here.payer.signatures()).toBe(before + 1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '10000000', pending: null }])
  })

  it('after a top-up was sent: looked for again, and never signed twice', async () => {
    const here = await ground()
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    const before = here.payer.signatures()
    here.front.next('voucher', problem('session/amount-exceeds-deposit'))
    here.front.next('topUp', async (exchange) => {
      const answer = await exchange.pass()
      here.rpc.interpose(() => RATE_LIMIT)
      return answer
    })
    let waits = 0
    const actor = here.mpp.createFlow(here.front.chat, chat(500))
    actor.subscribe((snapshot) => {
      if (!snapshot.matches('backingOff')) return
      waits += 1
      if (waits === 2) here.rpc.interpose(undefined)
    })
    actor.start()
    const outcome = await here.mpp.outcomeOf(actor)
    expect(outcome.status).toBe('succeeded')
    expect(waits).toBe(2)
    expect(here.payer.signatures()).toBe(before + 1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '10000000', pending: null }])
  })

  it('while a refused signature is looked into: asked again', async () => {
    const here = await ground()
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    here.front.next('voucher', problem('verification-failed'))
    const outcome = await payWhileBusy(here, 'reconcilingSession')
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome).filter((event) => event === 'CHAIN_UNAVAILABLE')).toHaveLength(2)
  })

  it('and stays so: five times in all, then the flow says so; nothing is signed', async () => {
    const here = await ground()
    here.rpc.interpose(() => RATE_LIMIT)
    const outcome = await here.mpp.pay(here.front.chat, chat(500))
    const failure = failureOf(outcome)
    expect(failure).toMatchObject({ code: 'chain_unavailable', retryable: true })
    expect(failure.detail).toContain('limits the rate of requests')
    expect(states(outcome).filter((state) => state === 'authorizing.openingSession')).toHaveLength(5)
    expect(here.payer.signatures()).toBe(0)
    expect(here.front.sends).toHaveLength(1)
  })

  it('while a channel is closed: asked again', async () => {
    const here = await ground()
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    const [session] = await here.mpp.sessions.list()
    let calls = 0
    here.rpc.interpose(() => {
      calls += 1
      return calls <= 2 ? RATE_LIMIT : undefined
    })
    const outcome = await here.mpp.sessions.close(session?.channelId ?? '')
    expect(outcome.status).toBe('closed')
    expect(calls).toBeGreaterThan(2)
  })

  it('while a close is forced: asked again, and the request stands', async () => {
    const here = await ground()
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    const [session] = await here.mpp.sessions.list()
    let calls = 0
    here.rpc.interpose(() => {
      calls += 1
      return calls <= 2 ? RATE_LIMIT : undefined
    })
    const stop = new AbortController()
    const outcome = await here.mpp.sessions.forceClose(session?.channelId ?? '', {
      signal: stop.signal,
      lookEveryMs: 100,
      onProgress: ({ step }) => {
        if (step === 'waiting') stop.abort()
      },
    })
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'cancelled' } })
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'closeRequested' }])
  })

  it('while a ledger is recovered: asked again, and nothing is left unasked', async () => {
    const here = await ground({ allowedChains: [42431] })
    await paySome(here.mpp, here.front.chat, 1, () => chat(500))
    let calls = 0
    here.rpc.interpose(() => {
      calls += 1
      return calls <= 2 ? RATE_LIMIT : undefined
    })
    const report = await here.mpp.sessions.recover()
    expect(report.channels).toMatchObject([{ found: 'funded' }])
    expect(report.searches).toMatchObject([{ detail: null }])
  })
})

describe('a node that is not busy but wrong', () => {
  it('for another chain is not asked again', async () => {
    const here = await ground()
    here.rpc.interpose(({ method }) => (method === 'eth_chainId' ? { result: '0x1' } : undefined))
    const outcome = await here.mpp.pay(here.front.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({ code: 'chain_unavailable' })
    expect(states(outcome)).not.toContain('backingOff')
    expect(here.payer.signatures()).toBe(0)
  })
})
