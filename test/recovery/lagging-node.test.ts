// Nodes that answer from the past, in turns, late or not at all: what the client must not believe of them.
// Must never let a channel be given up, or a second one be opened, for what a node that lags has said.
import { createClient, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MppClient, SessionStore } from '../../src/index.js'
import { startProxy } from '../client/proxy.js'
import { failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { countEvents, diedAfter, FUNDS, type Ground, journal, lastIn, opened, request } from './ground.js'
import { type LaggingNode, startNode } from './node.js'

let stage: Stage
const nodes: LaggingNode[] = []
beforeAll(async () => {
  stage = await setStage()
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  await stage?.stop()
})

async function node(): Promise<LaggingNode> {
  const started = await startNode(stage.chain.rpcUrl)
  nodes.push(started)
  return started
}

const recover = async (mpp: MppClient) => (await mpp.sessions.recover({ chainIds: [stage.chain.chainId] })).channels

/** The same payer and ledger, through a node that stays where it was before `happened` did. */
async function behind(here: Ground, store: SessionStore, before: number) {
  const lagging = await node()
  lagging.stayAt(before)
  return { lagging, mpp: stage.client(here.account, { store, rpcUrl: lagging.url }) }
}

/** The chain's newest block before `happen`, once it is over. */
async function blockBefore<T>(happen: () => Promise<T>): Promise<{ readonly block: number; readonly done: T }> {
  const looking = await node()
  const block = await looking.newest()
  await stage.chain.advanceTime(1)
  return { block, done: await happen() }
}

/** A proxy to a gateway that denies its channel, once. */
function denying(target: string) {
  let lies = 1
  return startProxy(target, {
    answer: (answer) => {
      if (!answer.request.paid || lies <= 0) return
      lies -= 1
      answer.status = 410
      answer.headers.set('content-type', 'application/problem+json')
      answer.headers.delete('payment-receipt')
      const type = 'https://paymentauth.org/problems/session/channel-not-found'
      answer.body = new TextEncoder().encode(JSON.stringify({ type }))
    },
  })
}

describe('a node from before the channel was opened', () => {
  it('cannot say that it is gone: the flow fails, the channel is kept, and no other one is opened', async () => {
    const { block, done: here } = await blockBefore(() => opened(stage))
    const { lagging, mpp } = await behind(here, here.store, block)
    const proxy = await denying(here.gateway.url)
    try {
      const url = `${proxy.url}/v1/mpp/chat/completions`
      const failure = failureOf(await mpp.pay(url, request()))
      expect(failure).toMatchObject({ code: 'chain_unavailable', cause: 'session/channel-not-found' })
      expect(failure.detail).toContain('answers from the past')
      expect(await recover(mpp)).toMatchObject([{ found: 'unasked', action: 'kept', status: 'open' }])
      expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000' }])
      lagging.stayAt(null)
      await paySome(mpp, url, 2, request)
      expect(await stage.opened(here.account)).toBe(1)
    } finally {
      await proxy.stop()
    }
  })

  it('nor can one that is asked in turns with others', async () => {
    const { block, done: here } = await blockBefore(() => opened(stage))
    const { lagging, mpp } = await behind(here, here.store, block)
    lagging.takeTurns(true)
    for (let round = 0; round < 6; round += 1) {
      const [channel] = await recover(mpp)
      expect(channel?.status).toBe('open')
      expect(['none', 'kept']).toContain(channel?.action)
    }
    lagging.stayAt(null)
    expect(await recover(mpp)).toMatchObject([{ found: 'funded', action: 'none' }])
    await paySome(mpp, here.gateway.chat, 1, request)
    expect(await stage.opened(here.account)).toBe(1)
  })

  it('nor does a ledger without a sighting believe one that is older than itself', async () => {
    const { block, done: here } = await blockBefore(() => opened(stage))
    const record = lastIn(here.store, 'open')
    const blind = { ...record, usedAt: Date.now() + 3_600_000, session: { ...record.session, seenAtBlock: null } }
    const store = await diedAfter(blind)
    const { mpp } = await behind(here, store, block)
    expect(await recover(mpp)).toMatchObject([{ found: 'unasked', action: 'kept', status: 'open' }])
  })
})

describe('an open that has expired', () => {
  /** An open whose answer was lost, though the chain has it, and which could be included no more. */
  async function expired() {
    const gateway = await stage.gateway()
    const account = stage.payer()
    const store = journal()
    const { block } = await blockBefore(async () => {
      gateway.inject('answer_lost', { on: 'open' })
      expect(failureOf(await stage.client(account, { store }).pay(gateway.chat, request())).code).toBe(
        'outcome_unknown',
      )
    })
    await stage.chain.advanceTime(60)
    const left = await diedAfter(lastIn(store, 'opening'))
    const lagging = await node()
    lagging.stayAt(block)
    return { gateway, account, lagging, left, mpp: stage.client(account, { store: left, rpcUrl: lagging.url }) }
  }

  it.each([
    ['whose clock stands still as well', false],
    ['whose clock is right', true],
  ])('is not dropped on the word of a node from before it, %s', async (_what, rightClock) => {
    const { gateway, account, lagging, left, mpp } = await expired()
    lagging.clockIsRight(rightClock)
    expect(await recover(mpp)).toMatchObject([{ found: 'undecided', action: 'kept', status: 'opening' }])
    expect((await left.list())[0]?.secrets.pendingTransaction).toMatch(/^0x76/)
    lagging.stayAt(null)
    expect(await recover(mpp)).toMatchObject([{ found: 'funded', action: 'adopted', status: 'open' }])
    await paySome(mpp, gateway.chat, 1, request)
    expect(await stage.opened(account)).toBe(1)
  })

  it('nor on the words of two nodes, one of which lags', async () => {
    const { gateway, account, lagging, mpp } = await expired()
    lagging.takeTurns(true)
    lagging.clockIsRight(true)
    for (let round = 0; round < 6; round += 1) {
      const [channel] = await recover(mpp)
      expect(channel?.action).not.toBe('dropped')
    }
    lagging.stayAt(null)
    await recover(mpp)
    await paySome(mpp, gateway.chat, 1, request)
    expect(await stage.opened(account)).toBe(1)
  })
})

describe('a top-up', () => {
  it('is not signed on the word of a node that shows an older deposit', async () => {
    const { block, done: here } = await blockBefore(() =>
      opened(stage, { tenths: 8, policy: { maxDeposit: '20' }, sandbox: { suggestedDeposit: '1' } }),
    )
    const { mpp } = await behind(here, here.store, block)
    await paySome(here.mpp, here.gateway.chat, 2, request)
    const signatures = here.payer.signatures()
    expect(failureOf(await mpp.pay(here.gateway.chat, request())).code).toBe('chain_unavailable')
    expect(here.payer.signatures()).toBe(signatures)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '1000000', pending: null }])
  })
})

describe('a forced close', () => {
  const hurry = (told: string[] = []) => ({
    lookEveryMs: 300,
    onProgress: ({ step, secondsLeft }: { readonly step: string; readonly secondsLeft: number | null }) => {
      told.push(step)
      if (step === 'waiting' && (secondsLeft ?? 0) > 100) void stage.chain.advanceTime(960)
    },
  })

  it('is not called off by a node from before the request', async () => {
    const here = await opened(stage)
    const stop = new AbortController()
    const { block } = await blockBefore(() =>
      here.mpp.sessions.forceClose(here.channelId, {
        signal: stop.signal,
        onProgress: ({ step }) => {
          if (step === 'waiting') stop.abort()
        },
      }),
    )
    const { lagging, mpp } = await behind(here, here.store, block)
    expect(await recover(mpp)).toMatchObject([{ found: 'unasked', action: 'kept', status: 'closeRequested' }])
    setTimeout(() => lagging.stayAt(null), 1_500)
    expect(await mpp.sessions.forceClose(here.channelId, hurry())).toMatchObject({
      status: 'withdrawn',
      settlement: { refunded: '5000000' },
    })
    expect(await countEvents(stage, 'CloseRequested', here.channelId)).toBe(1)
  })

  it('is finished through a node that answers late, and in turns with one that lags', async () => {
    const { block, done: here } = await blockBefore(() => opened(stage))
    const { lagging, mpp } = await behind(here, here.store, block)
    lagging.takeTurns(true)
    lagging.late(40)
    expect(await mpp.sessions.forceClose(here.channelId, hurry())).toMatchObject({
      status: 'withdrawn',
      settlement: { refunded: '5000000' },
    })
    expect(await here.balance()).toBe(FUNDS)
    expect(await countEvents(stage, 'ChannelClosed', here.channelId)).toBe(1)
  })
})

describe('a node that does not answer', () => {
  it('changes nothing: every channel is named, with what is known of it', async () => {
    const here = await opened(stage)
    const silent = await node()
    silent.hang(true)
    const transport = http(silent.url, { timeout: 300, retryCount: 0 })
    const mpp = stage.client(here.account, {
      store: here.store,
      getClient: () => createClient({ chain: tempoModerato, transport }),
    })
    const report = await mpp.sessions.recover({ chainIds: [stage.chain.chainId] })
    expect(report.channels).toMatchObject([
      {
        channelId: here.channelId,
        found: 'unasked',
        action: 'kept',
        status: 'open',
        amounts: { deposit: '5000000', spent: '100000' },
        detail: expect.stringContaining('chain_unavailable'),
      },
    ])
    expect(report.searches).toMatchObject([{ blocks: null, detail: expect.stringContaining('chain_unavailable') }])
    silent.hang(false)
    expect(await recover(mpp)).toMatchObject([{ found: 'funded', action: 'none' }])
  })

  it('and one that belongs to another chain is not searched, and said so', async () => {
    const mpp = stage.client(stage.payer())
    const { searches } = await mpp.sessions.recover()
    expect(searches.map(({ chainId, detail }) => [chainId, detail === null])).toEqual([
      [4217, false],
      [42431, true],
    ])
  })
})
