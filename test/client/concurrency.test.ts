// Hundreds of requests at once on one channel: one open, no stampede, and books that agree.
// Must never be satisfied with success alone: every signature and every channel on the chain is counted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MppClient, PaymentOutcome } from '../../src/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { type CountedAccount, chat, counted, events, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const POLICY = { maxDeposit: '50' } as const

function many(mpp: MppClient, url: string, times: number, tokens: number): Promise<PaymentOutcome[]> {
  return Promise.all(Array.from({ length: times }, () => mpp.pay(url, chat(tokens))))
}

/** How flows ended, so that a failure says by itself what happened. */
function tally(outcomes: readonly PaymentOutcome[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) {
    const { status } = outcome
    const name = status === 'failed' ? `failed ${outcome.failure.code} ${outcome.failure.detail ?? ''}` : status
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** What holds after any number of requests, however they met. */
async function expectOrder(gateway: WatchedGateway, mpp: MppClient, { account, vouchers }: CountedAccount) {
  expect(await stage.opened(account)).toBe(1)
  const { channels, counts } = gateway.accounting()
  const sessions = await mpp.sessions.list()
  expect(channels).toHaveLength(1)
  expect(sessions).toHaveLength(1)
  expect(counts.opens).toBe(1)
  const [channel] = channels
  const [session] = sessions
  expect(session).toMatchObject({
    status: 'open',
    channelId: channel?.channelId,
    deposit: channel?.deposit,
    signed: channel?.accepted,
    accepted: channel?.accepted,
    spent: channel?.spent,
    pending: null,
  })
  // No amount was signed twice: whoever came second used what the first had signed.
  expect(new Set(vouchers).size).toBe(vouchers.length)
  const sent = new Set(
    gateway.seen.flatMap(({ credential }) => {
      const payload = credential?.payload
      return payload !== undefined && 'cumulativeAmount' in payload ? [payload.cumulativeAmount] : []
    }),
  )
  const signed = new Set(vouchers.map((voucher) => voucher.split(':')[1]))
  for (const amount of sent) expect(signed).toContain(amount)
  // The payer lost exactly the deposit: nothing was funded twice.
  expect(await stage.balance(account.address)).toBe(10_000_000_000n - BigInt(channel?.deposit ?? 0))
  return { channel, counts, session }
}

describe.each([20, 200])('%i requests at once, with no channel yet', (times) => {
  it('open one channel, sign one voucher, and all succeed', async () => {
    const gateway = await stage.gateway({ bucket: '5' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { ...POLICY, maxExposure: '5' } })
    const outcomes = await many(mpp, gateway.chat, times, 50)
    expect(tally(outcomes)).toEqual({ succeeded: times })
    expect(outcomes.every(({ response }) => response?.status === 200)).toBe(true)
    const { channel, counts } = await expectOrder(gateway, mpp, payer)
    expect(payer.vouchers).toHaveLength(1)
    expect(counts).toMatchObject({ completions: times, unpaidSends: times, paidSends: times, rejectedCredentials: 0 })
    expect(channel?.spent).toBe(String(10_000 * times))
    expect(outcomes.filter((outcome) => events(outcome).includes('OPEN_SIGNED')).length).toBe(1)
  })

  it('with the bucket running out several times', async () => {
    const gateway = await stage.gateway({ bucket: '1', suggestedDeposit: '20' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    // Four buckets and a half, whatever the number of requests.
    const outcomes = await many(mpp, gateway.chat, times, 22_400 / times)
    expect(tally(outcomes)).toEqual({ succeeded: times })
    const { channel } = await expectOrder(gateway, mpp, payer)
    expect(channel).toMatchObject({ spent: '4480000', accepted: '5000000' })
    expect(payer.vouchers).toHaveLength(5)
  })

  it('with the deposit running out several times', async () => {
    const gateway = await stage.gateway({ bucket: '1', suggestedDeposit: '1' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    const outcomes = await many(mpp, gateway.chat, times, 22_400 / times)
    expect(tally(outcomes)).toEqual({ succeeded: times })
    const { channel, counts } = await expectOrder(gateway, mpp, payer)
    expect(channel).toMatchObject({ spent: '4480000', accepted: '5000000', deposit: '5000000' })
    expect(counts.topUps).toBe(4)
    expect(payer.vouchers).toHaveLength(5)
    // Five vouchers, one open and four top-ups.
    expect(payer.signatures()).toBe(10)
  })
})

describe('a gateway that takes its time', () => {
  it('20 requests outstanding at once are authorised by few signatures, never beyond the exposure', async () => {
    const gateway = await stage.gateway({ latencyMs: 60, suggestedDeposit: '10' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    const outcomes = await many(mpp, gateway.chat, 20, 1000)
    expect(tally(outcomes)).toEqual({ succeeded: 20 })
    const { channel } = await expectOrder(gateway, mpp, payer)
    expect(channel?.spent).toBe('4000000')
    expect(BigInt(channel?.accepted ?? 0)).toBeLessThanOrEqual(6_000_000n)
    expect(payer.vouchers.length).toBeLessThanOrEqual(6)
  })

  it('100 requests that reserve far more than they use take turns, and nothing more is exposed', async () => {
    const gateway = await stage.gateway({ latencyMs: 10, suggestedDeposit: '20' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    const { body } = chat(2500)
    const modest = { ...chat(2500), body: body.replace('sandbox-verbose', 'sandbox-small') }
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => mpp.pay(gateway.chat, modest)))
    expect(tally(outcomes)).toEqual({ succeeded: 100 })
    const { channel } = await expectOrder(gateway, mpp, payer)
    // Half a unit reserved each, a small part of it used: at most two may be signed beyond what is spent.
    expect(BigInt(channel?.spent ?? 0)).toBeLessThan(1_000_000n)
    expect(channel?.accepted).toBe('2000000')
    expect(payer.vouchers).toHaveLength(2)
  })

  it('requests that come in waves reuse what is there', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    for (let wave = 0; wave < 4; wave += 1)
      expect(tally(await many(mpp, gateway.chat, 10, 100))).toEqual({ succeeded: 10 })
    await expectOrder(gateway, mpp, payer)
    expect(payer.vouchers).toHaveLength(1)
  })

  it('faults that strike some of many leave the others alone', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: POLICY })
    for (const code of ['mpp_invalid_challenge', 'mpp_reservation_failed', 'mpp_malformed_credential'])
      gateway.inject(code, { times: 3, on: 'voucher' })
    gateway.inject('http_503', { on: 'unpaid', times: 3 })
    const outcomes = await many(mpp, gateway.chat, 40, 250)
    expect(Object.keys(tally(outcomes)).filter((name) => !/succeeded|mpp_malformed_credential/.test(name))).toEqual([])
    expect(tally(outcomes).succeeded).toBeGreaterThanOrEqual(38)
    await expectOrder(gateway, mpp, payer)
  })
})

describe('two clients that share one store', () => {
  it('share the channel: one open, and no amount signed twice', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '2' })
    const payer = counted(stage.payer())
    const store = memoryStore()
    const one = stage.client(payer.account, { policy: POLICY, store })
    const two = stage.client(payer.account, { policy: POLICY, store })
    const outcomes = await Promise.all([many(one, gateway.chat, 15, 500), many(two, gateway.chat, 15, 500)])
    expect(tally(outcomes.flat())).toEqual({ succeeded: 30 })
    const { channel } = await expectOrder(gateway, one, payer)
    expect(channel?.spent).toBe('3000000')
    expect(await two.sessions.list()).toEqual(await one.sessions.list())
  })

  it('do not use up each other’s bound of refreshes, each with one request at a time', async () => {
    // Each voucher is good for two requests: mostly it is used up by others before its turn comes.
    const gateway = await stage.gateway({ bucket: '0.2', latencyMs: 5 })
    const payer = counted(stage.payer())
    const store = memoryStore()
    const clients = Array.from({ length: 10 }, () => stage.client(payer.account, { store, policy: POLICY }))
    const outcomes = await Promise.all(
      clients.map(async (mpp) => {
        const own: PaymentOutcome[] = []
        for (let paid = 0; paid < 8; paid += 1) own.push(await mpp.pay(gateway.chat, chat(500)))
        return own
      }),
    )
    expect(tally(outcomes.flat())).toEqual({ succeeded: 80 })
    const [first] = clients
    if (first === undefined) throw new Error('there is no client')
    await expectOrder(gateway, first, payer)
  })

  it('and two payers on one gateway do not get in each other’s way', async () => {
    const gateway = await stage.gateway()
    const payers = [counted(stage.payer()), counted(stage.payer())]
    const store = memoryStore()
    const outcomes = await Promise.all(
      payers.map(({ account }) => many(stage.client(account, { policy: POLICY, store }), gateway.chat, 10, 100)),
    )
    expect(tally(outcomes.flat())).toEqual({ succeeded: 20 })
    for (const { account } of payers) expect(await stage.opened(account)).toBe(1)
    expect(gateway.accounting().channels.map(({ spent }) => spent)).toEqual(['200000', '200000'])
  })
})
