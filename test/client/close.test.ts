// Closing a channel: what the payee captured and the payer got back, to the last unit, on the chain.
// Must never take the gateway's word for a balance: the chain is asked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CloseOutcome, MppClient } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { startProxy } from './proxy.js'
import { chat, counted, events, paySome, type Stage, setStage, states, type WatchedGateway } from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const FUNDS = 10_000_000_000n

async function channelOf(mpp: MppClient): Promise<string> {
  const [session] = await mpp.sessions.list()
  if (session === undefined) throw new Error('there is no session')
  return session.channelId
}

/** What a close settled. @throws when it did not close anything. */
function settlementOf(outcome: CloseOutcome) {
  if (outcome.status !== 'closed' || outcome.settlement === null) {
    throw new Error(`not closed: ${outcome.status === 'failed' ? outcome.failure.code : 'nothing was sent'}`)
  }
  return outcome.settlement
}

function closeFailure(outcome: CloseOutcome) {
  if (outcome.status !== 'failed') throw new Error('the close did not fail')
  return outcome.failure
}

async function opened(gateway: WatchedGateway, requests = 1) {
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account, { policy: { maxDeposit: '20' } })
  await paySome(mpp, gateway.chat, requests, () => chat(500))
  return { payer, mpp, channelId: await channelOf(mpp) }
}

const closesSeen = (gateway: WatchedGateway) =>
  gateway.seen.filter(({ credential }) => credential?.payload.action === 'close')

describe('a close', () => {
  it('captures what was spent and refunds the rest; payer, payee and reserve add up', async () => {
    const gateway = await stage.gateway()
    const reserveBefore = await stage.balance(CHANNEL_RESERVE)
    const { payer, mpp, channelId } = await opened(gateway, 3)
    expect(await stage.balance(CHANNEL_RESERVE)).toBe(reserveBefore + 5_000_000n)
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 5_000_000n)

    const outcome = await mpp.sessions.close(channelId)
    const settlement = settlementOf(outcome)
    expect(settlement).toEqual({
      settled: '300000',
      refunded: '4700000',
      txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    })
    expect(states(outcome)).toEqual(['requesting', 'parsingChallenge', 'closing.sendingClose', 'closed'])
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 300_000n)
    expect(await stage.balance(gateway.payee)).toBe(300_000n)
    expect(await stage.balance(CHANNEL_RESERVE)).toBe(reserveBefore)
    expect(gateway.accounting().channels).toMatchObject([{ status: 'closed', captured: '300000', refunded: '4700000' }])
    expect(await mpp.sessions.list()).toMatchObject([
      {
        channelId,
        status: 'closed',
        deposit: '5000000',
        spent: '300000',
        settled: '300000',
        refunded: '4700000',
        refundable: '0',
        pending: null,
      },
    ])
  })

  it('sends the voucher that was signed last, and signs nothing new', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp, channelId } = await opened(gateway, 12)
    const before = payer.signatures()
    settlementOf(await mpp.sessions.close(channelId))
    expect(payer.signatures()).toBe(before)
    const [close] = closesSeen(gateway)
    expect(close?.credential?.payload).toMatchObject({ action: 'close', cumulativeAmount: '2000000', channelId })
    expect(close?.body).toHaveLength(0)
    expect(gateway.accounting().channels).toMatchObject([{ captured: '1200000', refunded: '3800000' }])
  })

  it('after a top-up refunds of the whole deposit', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const { payer, mpp, channelId } = await opened(gateway, 25)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '3000000', spent: '2500000' }])
    expect(settlementOf(await mpp.sessions.close(channelId))).toMatchObject({ settled: '2500000', refunded: '500000' })
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 2_500_000n)
  })

  it('of a channel whose every request failed captures nothing', async () => {
    const gateway = await stage.gateway()
    const payer = stage.payer()
    const mpp = stage.client(payer)
    gateway.inject('mpp_commit_failed')
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('failed')
    expect(settlementOf(await mpp.sessions.close(await channelOf(mpp)))).toMatchObject({
      settled: '0',
      refunded: '5000000',
    })
    expect(await stage.balance(payer.address)).toBe(FUNDS)
  })

  it('done twice: the second says that there is nothing to do, and sends nothing', async () => {
    const gateway = await stage.gateway()
    const { mpp, channelId } = await opened(gateway)
    settlementOf(await mpp.sessions.close(channelId))
    const before = gateway.seen.length
    const again = await mpp.sessions.close(channelId)
    expect(again).toMatchObject({ status: 'closed', settlement: null })
    expect(events(again)).toEqual(['START', 'ALREADY_CLOSED'])
    expect(gateway.seen.length).toBe(before)
  })

  it('done twice at once: settled once', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp, channelId } = await opened(gateway)
    const outcomes = await Promise.all([mpp.sessions.close(channelId), mpp.sessions.close(channelId)])
    expect(outcomes.map(({ status }) => status)).toEqual(['closed', 'closed'])
    expect(gateway.accounting().counts.closes).toBe(1)
    expect(closesSeen(gateway)).toHaveLength(1)
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 100_000n)
  })

  it('of a channel that the ledger does not know: says so, and sends nothing', async () => {
    const gateway = await stage.gateway()
    const { mpp } = await opened(gateway)
    const before = gateway.seen.length
    for (const channelId of [`0x${'12'.repeat(32)}`, '', 'constructor']) {
      const outcome = await mpp.sessions.close(channelId)
      expect(closeFailure(outcome)).toMatchObject({
        code: 'session_unavailable',
        retryable: false,
        references: { channelId },
      })
    }
    expect(gateway.seen.length).toBe(before)
  })

  it('whose answer gets lost: the chain says that it happened', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp, channelId } = await opened(gateway)
    gateway.inject('answer_lost', { on: 'close' })
    const outcome = await mpp.sessions.close(channelId)
    expect(settlementOf(outcome)).toMatchObject({ settled: '100000', refunded: '4900000' })
    expect(gateway.accounting().counts.closes).toBe(1)
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 100_000n)
  })
})

describe.concurrent('a close while requests are outstanding', () => {
  it('waits for them: all are answered and paid, then it settles', async () => {
    const gateway = await stage.gateway({ latencyMs: 300 })
    const { mpp, channelId } = await opened(gateway)
    const requests = Array.from({ length: 5 }, () => mpp.pay(gateway.chat, chat(500)))
    await until(() => gateway.accounting().counts.paidSends === 6)
    const closing = mpp.sessions.close(channelId)
    const outcomes = await Promise.all(requests)
    expect(outcomes.map(({ status }) => status)).toEqual(Array(5).fill('succeeded'))
    expect(settlementOf(await closing)).toMatchObject({ settled: '600000', refunded: '4400000' })
    const order = gateway.seen.map(({ credential }) => credential?.payload.action)
    expect(order.indexOf('close')).toBe(order.length - 1)
  })

  it('and requests that come while it closes are served by a new channel, or before it', async () => {
    const gateway = await stage.gateway({ latencyMs: 100 })
    const { payer, mpp, channelId } = await opened(gateway)
    const closing = mpp.sessions.close(channelId)
    const requests = Array.from({ length: 8 }, () => mpp.pay(gateway.chat, chat(500)))
    expect((await closing).status).toBe('closed')
    const outcomes = await Promise.all(requests)
    expect(outcomes.map((outcome) => (outcome.status === 'failed' ? outcome.failure.code : outcome.status))).toEqual(
      Array(8).fill('succeeded'),
    )
    const channels = gateway.accounting().channels
    expect(channels.reduce((sum, { spent }) => sum + BigInt(spent), 0n)).toBe(900_000n)
    expect(channels.find((channel) => channel.channelId === channelId)).toMatchObject({ status: 'closed' })
    expect(await stage.opened(payer.account)).toBe(channels.length)
    expect(channels.length).toBeLessThanOrEqual(2)
  })
})

describe.concurrent('a gateway that cannot close', () => {
  it('is tried a bounded number of times; the channel stays open, and goes on working', async () => {
    const gateway = await stage.gateway({ closeSigner: false })
    const { payer, mpp, channelId } = await opened(gateway)
    const outcome = await mpp.sessions.close(channelId)
    const failure = closeFailure(outcome)
    expect(failure).toMatchObject({
      code: 'mpp_session_close_unavailable',
      retryable: true,
      references: { channelId, httpStatus: 503 },
    })
    expect(failure.advice).toContain('forced close')
    expect(events(outcome).filter((event) => event === 'mpp_session_close_unavailable')).toHaveLength(4)
    expect(states(outcome)).toContain('closing.backingOff')
    expect(closesSeen(gateway)).toHaveLength(4)
    expect(await mpp.sessions.list()).toMatchObject([{ channelId, status: 'open', refunded: null, pending: null }])
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 5_000_000n)

    await paySome(mpp, gateway.chat, 2, () => chat(500))
    expect(await stage.opened(payer.account)).toBe(1)

    gateway.setCloseSigner(true)
    expect(settlementOf(await mpp.sessions.close(channelId))).toMatchObject({ settled: '300000', refunded: '4700000' })
  }, 15_000)

  it('now but can later: mpp_session_close_failed is tried again', async () => {
    const gateway = await stage.gateway()
    const { mpp, channelId } = await opened(gateway)
    gateway.inject('mpp_session_close_failed', { times: 2 })
    const outcome = await mpp.sessions.close(channelId)
    expect(settlementOf(outcome)).toMatchObject({ settled: '100000' })
    expect(events(outcome).filter((event) => event === 'mpp_session_close_failed')).toHaveLength(2)
  })

  it('but says that it did is not believed', async () => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (answer.request.paid && answer.request.body.length === 0) Object.assign(answer, { status: 204 })
      },
    })
    try {
      const mpp = stage.client(stage.payer(), { policy: { attempts: { CLOSE_UNCONFIRMED: 0 } } })
      await paySome(mpp, `${proxy.url}/v1/mpp/chat/completions`, 1, () => chat(500))
      gateway.setCloseSigner(false)
      const outcome = await mpp.sessions.close(await channelOf(mpp))
      expect(outcome.status).toBe('failed')
      expect(events(outcome)).toContain('CLOSE_UNCONFIRMED')
      expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', refunded: null }])
    } finally {
      await proxy.stop()
    }
  }, 15_000)

  it('because it is down: the failure says so, and the channel stays open in the ledger', async () => {
    const gateway = await stage.gateway()
    const { mpp, channelId } = await opened(gateway)
    await gateway.stop()
    const outcome = await mpp.sessions.close(channelId)
    expect(closeFailure(outcome)).toMatchObject({ code: 'connection_failed', references: { channelId } })
    expect(await mpp.sessions.list()).toMatchObject([{ channelId, status: 'open' }])
  }, 15_000)
})

describe('after a close', () => {
  it('the next request opens a new channel, and the old one stays in the list', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp, channelId } = await opened(gateway)
    settlementOf(await mpp.sessions.close(channelId))
    await paySome(mpp, gateway.chat, 2, () => chat(500))
    const sessions = await mpp.sessions.list()
    expect(sessions.map(({ status }) => status)).toEqual(['open', 'closed'])
    expect(sessions[1]).toMatchObject({ channelId, refunded: '4900000', spent: '100000' })
    expect(sessions[0]).toMatchObject({ deposit: '5000000', signed: '1000000', spent: '200000' })
    expect(await stage.opened(payer.account)).toBe(2)

    // The old one is closed, whatever is open in its place now.
    const before = gateway.seen.length
    expect(await mpp.sessions.close(channelId)).toMatchObject({ status: 'closed', settlement: null })
    expect(gateway.seen.length).toBe(before)
    settlementOf(await mpp.sessions.close(sessions[0]?.channelId ?? ''))
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const last = await mpp.sessions.list()
    expect(last.map(({ status }) => status)).toEqual(['open', 'closed', 'closed'])
    expect(new Set(last.map((session) => session.channelId)).size).toBe(3)
    expect(await stage.balance(payer.account.address)).toBe(FUNDS - 5_000_000n - 300_000n)
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
