// A node that lies about the present, alone and together with the payee: what it can cost, and how it is mended.
// Must never let a lie outlive the node that told it, nor let more be cashed than the policy exposes.
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { paymentFlowMachine } from '../../machines/index.js'
import { WALL_CLOCK } from '../../src/client/clock.js'
import { clientRunning } from '../../src/client/create-client.js'
import { type MppClient, memoryStore, type Policy } from '../../src/index.js'
import type { SessionRecord } from '../../src/sessions/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { close, diedAfter, FUNDS, type Ground, journal, lastIn, opened, request } from '../recovery/ground.js'
import { codeOf } from './attack.js'
import { type HostileGateway, type Malice, startHostile } from './gateway.js'
import { type LyingNode, startLyingNode } from './lying-node.js'

let stage: Stage
const running: { stop(): Promise<void> }[] = []
beforeAll(async () => {
  stage = await setStage(80)
})
afterAll(async () => {
  await Promise.all(running.map((one) => one.stop()))
  await stage?.stop()
})

const BILLION = 1_000_000_000
const YEAR_2058 = 2_800_000_000
const EXPOSURE = 2_000_000n
const TOO_LOW = 'mpp_session_deposit_below_request_cost'

async function liar(): Promise<LyingNode> {
  const node = await startLyingNode(stage.chain.rpcUrl)
  running.push(node)
  return node
}

async function hostile(malice: Malice): Promise<HostileGateway> {
  const gateway = await startHostile(stage.chain, malice)
  running.push(gateway)
  return gateway
}

const recover = async (mpp: MppClient, options = {}) =>
  (await mpp.sessions.recover({ chainIds: [stage.chain.chainId], ...options })).channels

/** The same payer and ledger through an honest node. */
const honest = (account: LocalAccount, store: Ground['store'], policy: Policy = {}): MppClient =>
  stage.client(account, { store, policy: { maxDeposit: '20', ...policy } })

describe('a block number that is a thousand million too high', () => {
  it('during one request is not kept as the block of the channel: the channel closes through an honest node', async () => {
    const gateway = await stage.gateway()
    const [account, store, node] = [stage.payer(), journal(), await liar()]
    const mpp = stage.client(account, { store, rpcUrl: node.url })
    node.lies({ blocks: BILLION })
    // The open is on the chain; only its confirmation waits for a node that can be believed.
    expect(codeOf(await mpp.pay(gateway.chat, request()))).toBe(200)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening' }])
    expect(await recover(mpp)).toMatchObject([
      { found: 'unasked', action: 'kept', detail: expect.stringContaining('no chain can be beyond') },
    ])
    node.lies({})
    await paySome(mpp, gateway.chat, 1, request)
    const [channel] = await mpp.sessions.list()
    expect(await close(honest(account, store), channel?.channelId ?? '')).toMatchObject({ settled: '200000' })
    expect(await stage.balance(account.address)).toBe(FUNDS - 200_000n)
  })

  it.each([BILLION, 1_000_000])(
    '%i blocks ahead of what was seen before is refused for a channel that is open',
    async (blocks) => {
      const here = await opened(stage)
      const node = await liar()
      node.lies({ blocks })
      const [channel] = await recover(stage.client(here.account, { store: here.store, rpcUrl: node.url }))
      expect(channel).toMatchObject({ found: 'unasked', action: 'kept' })
      expect(await recover(honest(here.account, here.store))).toMatchObject([{ found: 'funded', action: 'none' }])
      expect(await close(here.mpp, here.channelId)).toMatchObject({ refunded: '4900000' })
    },
  )

  it('and one that a first look cannot tell from the truth is reset by a node that the caller trusts', async () => {
    const gateway = await stage.gateway()
    const [account, store, node] = [stage.payer(), journal(), await liar()]
    node.lies({ blocks: 50_000_000 })
    const misled = stage.client(account, { store, rpcUrl: node.url })
    await paySome(misled, gateway.chat, 1, request)
    // Its open is confirmed beside the answer.
    const [channel] = await misled.sessions.list()
    const mpp = honest(account, store)
    const channelId = channel?.channelId ?? ''
    const before = lastIn(store, 'open').session
    const refused = await mpp.sessions.close(channelId)
    expect(refused).toMatchObject({ status: 'failed', failure: { code: 'chain_unavailable' } })
    expect(await recover(mpp)).toMatchObject([{ found: 'unasked', detail: expect.stringContaining('trustNode: true') }])
    // A node that has not caught up with this machine's clock is not trusted with it.
    const ahead = { ...WALL_CLOCK, now: () => Date.now() + 600_000 }
    const behind = clientRunning(paymentFlowMachine, { account, store, rpcUrl: stage.chain.rpcUrl }, ahead)
    expect(await recover(behind, { trustNode: true })).toMatchObject([
      { found: 'unasked', action: 'kept', detail: expect.stringContaining('only a node that has caught up') },
    ])
    expect(await recover(mpp, { trustNode: true })).toMatchObject([
      { found: 'funded', status: 'open', detail: expect.stringContaining('that block was reset') },
    ])
    const { seenAtBlock, ...after } = lastIn(store, 'open').session
    expect(seenAtBlock).toBeLessThan(50_000_000)
    expect(after).toEqual({ ...after, signed: before.signed, spent: before.spent, deposit: before.deposit })
    expect(await close(mpp, channelId)).toMatchObject({ settled: '100000', refunded: '4900000' })
    expect(await stage.balance(account.address)).toBe(FUNDS - 100_000n)
  })
})

describe('a deposit that is larger than it is', () => {
  it('stops top-ups until a node that the caller trusts has reset it; then the channel is paid with again', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const [account, store, node] = [stage.payer(), journal(), await liar()]
    const policy = { maxDeposit: '5' }
    const misled = stage.client(account, { store, rpcUrl: node.url, policy })
    node.lies({ channel: (truth) => (truth.deposit === 0n ? truth : { ...truth, deposit: 5_000_000n }) })
    await paySome(misled, gateway.chat, 1, () => chat(4_000))
    const mpp = honest(account, store, policy)
    // The voucher passes the true deposit; its gateway says so, and no room is believed to be left for a top-up.
    const refused = await mpp.pay(gateway.chat, chat(4_000))
    expect(refused).toMatchObject({ status: 'failed', failure: { code: 'limit_exceeded', limit: 'maxDeposit' } })
    expect(await recover(mpp)).toMatchObject([{ found: 'funded', action: 'none', detail: null }])
    const [told] = await recover(mpp, { trustNode: true })
    expect(told).toMatchObject({ found: 'funded', status: 'open' })
    expect(told?.detail).toMatch(/believed to be 5\.00 pathUSD, the node shows 1\.00 pathUSD: that was reset/)
    expect(lastIn(store, 'open').session).toMatchObject({ deposit: '2000000', signed: '2000000' })
    await paySome(mpp, gateway.chat, 1, () => chat(4_000))
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
    const [channel] = await mpp.sessions.list()
    expect(channel).toMatchObject({ status: 'open', deposit: '2000000' })
    expect(await close(mpp, channel?.channelId ?? '')).toMatchObject({ settled: '1600000', refunded: '400000' })
    expect(await stage.balance(account.address)).toBe(FUNDS - 1_600_000n)
  })
})

describe('a block time that is a thousand million seconds ahead', () => {
  it('is signed for by nobody, and both times are named', async () => {
    const gateway = await stage.gateway()
    const [payer, store, node] = [counted(stage.payer()), journal(), await liar()]
    const mpp = stage.client(payer.account, { store, rpcUrl: node.url })
    node.lies({ seconds: BILLION })
    const failure = failureOf(await mpp.pay(gateway.chat, request()))
    expect(failure).toMatchObject({ code: 'chain_unavailable', authorised: { deposit: '0', cumulative: '0' } })
    expect(failure.detail).toMatch(/the time of its newest block is 205\d-.*, that of this machine is 20\d\d-/)
    expect(payer.signatures()).toBe(0)
    expect(store.written).toEqual([])
    node.lies({})
    await paySome(mpp, gateway.chat, 1, request)
  })

  it('and a clock of this machine that is years behind is named by the same failure', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const clock = { ...WALL_CLOCK, now: () => Date.UTC(2020, 0, 1) }
    const mpp = clientRunning(paymentFlowMachine, { account: payer.account, rpcUrl: stage.chain.rpcUrl }, clock)
    const failure = failureOf(await mpp.pay(gateway.chat, request()))
    expect(failure).toMatchObject({ code: 'chain_unavailable' })
    expect(failure.detail).toContain('that of this machine is 2020-01-01T00:00:00.000Z')
    expect(failure.detail).toContain('set the clock of this machine right')
    expect(payer.signatures()).toBe(0)
  })

  it('nor is a close that is requested in the future, or takes years, waited for', async () => {
    const here = await opened(stage)
    const node = await liar()
    node.lies({ channel: (truth) => ({ ...truth, closeRequestedAt: YEAR_2058 }) })
    const mpp = stage.client(here.account, { store: here.store, rpcUrl: node.url })
    expect(await recover(mpp)).toMatchObject([{ found: 'unasked', action: 'kept', status: 'open' }])
    expect(await here.mpp.sessions.list()).toMatchObject([{ withdrawableAt: null }])
  })
})

describe('what was signed under a clock of 2058, before such a clock was refused', () => {
  const until2058 = (record: SessionRecord): SessionRecord => {
    const { pending } = record.session
    if (pending === null) throw new Error('nothing is pending')
    return { ...record, session: { ...record.session, pending: { ...pending, validBefore: YEAR_2058 } } }
  }

  it('an open is kept apart and counts, and requests open another channel', async () => {
    const withheld = await hostile((call, response, gateway) =>
      call.action === 'unpaid' ? gateway.refuse(response, null) : gateway.deliver(call, response),
    )
    const [account, first] = [stage.payer(), journal()]
    await paySome(stage.client(account, { store: first }), withheld.chat, 1, request)
    const store = await diedAfter(until2058(lastIn(first, 'opening')))
    const mpp = stage.client(account, { store })
    expect(await recover(mpp)).toMatchObject([
      { found: 'undecided', action: 'kept', status: 'opening', detail: expect.stringContaining('trustNode: true') },
    ])
    expect(await recover(mpp, { trustNode: true })).toMatchObject([
      { found: 'undecided', action: 'kept', status: 'opening', detail: expect.stringContaining('it is kept apart') },
    ])
    // It may still come: it counts in the total, and is never kept apart twice.
    expect(await recover(mpp, { trustNode: true })).toMatchObject([{ found: 'undecided', status: 'opening' }])
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 1, atStake: '5000000' }])
    const tight = stage.client(account, { store, policy: { maxTotalDeposit: '5' } })
    expect(failureOf(await tight.pay(withheld.chat, request()))).toMatchObject({ limit: 'maxTotalDeposit' })
    await paySome(mpp, withheld.chat, 1, request)
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 2, atStake: '10000000' }])
  })

  it('a top-up is no longer waited for, and the channel closes', async () => {
    const gateway = await hostile(async (call, response, here) => {
      if (call.action === 'unpaid') return here.refuse(response, null, { terms: { suggestedDeposit: 1_000_000n } })
      if (call.action === 'open') await here.broadcast(call)
      if (call.action === 'close') await here.capture(call.credential?.payload.channelId ?? '0x')
      if (call.action === 'voucher') return here.refuse(response, TOO_LOW, { terms: { suggestedDeposit: 1_000_000n } })
      return here.deliver(call, response)
    })
    const [account, first] = [stage.payer(), journal()]
    const policy = { attempts: { TOP_UP_UNCONFIRMED: 0 } }
    const mpp = stage.client(account, { store: first, policy })
    await paySome(mpp, gateway.chat, 1, request)
    failureOf(await mpp.pay(gateway.chat, request()))
    const record = until2058(lastIn(first, 'toppingUp'))
    const later = stage.client(account, { store: await diedAfter(record), policy })
    const channelId = record.session.channelId ?? ''
    expect(await later.sessions.close(channelId)).toMatchObject({ status: 'failed' })
    const [told] = await recover(later, { trustNode: true })
    expect(told).toMatchObject({ found: 'funded', status: 'open' })
    expect(told?.detail).toContain('it may still add 1.00')
    expect(await close(later, channelId)).toMatchObject({ settled: '1000000', refunded: '0' })
  })
})

describe('settled, by a node that is in league with the payee', () => {
  /** Opens for real, and then wants another voucher each time, after the chain was asked. It acknowledges nothing. */
  const greedy: Malice = async (call, response, gateway) => {
    if (call.action === 'unpaid') return gateway.refuse(response, null)
    if (call.action === 'open') {
      await gateway.broadcast(call)
      return gateway.deliver(call, response)
    }
    const code = call.earlier % 2 === 0 ? 'mpp_payment_verification_failed' : 'mpp_voucher_bucket_refresh_required'
    return gateway.refuse(response, code)
  }

  /** Pays many times while the node says that so much was settled; what the payee then cashes. */
  async function cashed(settled: (truth: bigint, signed: bigint) => bigint) {
    const [gateway, node, payer, store] = [await hostile(greedy), await liar(), counted(stage.payer()), memoryStore()]
    const mpp = stage.client(payer.account, { store, rpcUrl: node.url })
    await paySome(mpp, gateway.chat, 1, request)
    const failures = []
    for (let at = 0; at < 8; at += 1) {
      const [session] = await mpp.sessions.list()
      const signed = BigInt(session?.signed ?? '0')
      node.lies({ channel: (truth) => ({ ...truth, settled: settled(truth.settled, signed) }) })
      failures.push(failureOf(await mpp.pay(gateway.chat, request())))
    }
    node.lies({})
    const sessions = await mpp.sessions.list()
    return { failures, sessions, gained: await gateway.cashIn(), mpp }
  }

  it('more than was signed is a contradiction: it is named with both amounts, and nothing of it is stored', async () => {
    const { failures, sessions, gained } = await cashed(() => 5_000_000n)
    expect(failures[0]).toMatchObject({ code: 'chain_unavailable' })
    expect(failures[0]?.detail).toContain('the payee has settled 5.00')
    expect(failures[0]?.detail).toContain('1.00')
    expect(sessions).toMatchObject([{ settled: '0' }])
    expect(gained).toBeLessThanOrEqual(EXPOSURE)
  })

  it('all that was signed makes no room for more: what is taken is not what is acknowledged', async () => {
    const { failures, gained } = await cashed((_truth, signed) => signed)
    expect(failures.at(-1)).toMatchObject({ code: 'limit_exceeded', limit: 'maxExposure' })
    expect(gained).toBe(EXPOSURE)
  })

  it.each(['a ledger that was lost', 'a ledger that was lost, and its channels paid with on demand'])(
    '%s: recover signs nothing, and the payee cashes no more than the exposure',
    async (name) => {
      const [gateway, node, payer] = [await hostile(greedy), await liar(), counted(stage.payer())]
      await paySome(stage.client(payer.account), gateway.chat, 1, request)
      const before = payer.vouchers.length
      node.lies({ channel: (truth) => ({ ...truth, settled: truth.deposit - 1n }) })
      const mpp = stage.client(payer.account, { store: memoryStore(), rpcUrl: node.url })
      const signatures = payer.signatures()
      const [found] = await recover(mpp, { reuse: name.includes('on demand') })
      expect(found).toMatchObject({ found: 'funded', action: 'adopted', amounts: { signed: '0', spent: '0' } })
      expect(payer.signatures()).toBe(signatures)
      for (let at = 0; at < 4; at += 1) await mpp.pay(gateway.chat, chat(500))
      // Of this channel, and of the one that may have been opened beside it.
      const byChannel = new Map<string, bigint>()
      for (const voucher of payer.vouchers.slice(before)) {
        const [channelId = '', amount = '0'] = voucher.split(':')
        byChannel.set(channelId, BigInt(amount))
      }
      for (const amount of byChannel.values()) expect(amount).toBeLessThanOrEqual(EXPOSURE)
      expect(byChannel.get(found?.channelId ?? '') ?? 0n).toBeLessThanOrEqual(EXPOSURE)
    },
  )

  it('a contradiction does not hold up the way home: the channel closes at what was signed', async () => {
    const here = await opened(stage)
    const node = await liar()
    node.lies({ channel: (truth) => ({ ...truth, settled: 3_000_000n }) })
    const mpp = stage.client(here.account, { store: here.store, rpcUrl: node.url })
    const [told] = await recover(mpp)
    expect(told).toMatchObject({ found: 'funded', action: 'kept', amounts: { settled: '0' } })
    expect(told?.detail).toContain('the payee has settled 3.00')
    expect(await close(mpp, here.channelId)).toMatchObject({ settled: '100000', refunded: '4900000' })
    expect(await here.balance()).toBe(FUNDS - 100_000n)
  })
})

describe('the end of a channel that lives, as a node pretends it', () => {
  it('costs another deposit each time, and the exposure of each: an honest node finds all of them again', async () => {
    const gateway = await hostile(async (call, response, here) => {
      if (call.action === 'unpaid') return here.refuse(response, null)
      if (call.action !== 'open') return here.refuse(response, 'session/channel-not-found', { status: 410 })
      await here.broadcast(call)
      return here.deliver(call, response)
    })
    const [node, payer, store] = [await liar(), counted(stage.payer()), journal()]
    const mpp = stage.client(payer.account, { store, rpcUrl: node.url })
    await paySome(mpp, gateway.chat, 1, request)
    // Every channel that was opened until now is said to be gone.
    for (let at = 0; at < 2; at += 1) {
      const open = new Set((await mpp.sessions.list()).map(({ channelId }) => channelId))
      node.lies({
        channel: (truth, channelId) =>
          open.has(channelId ?? '') ? { settled: 0n, deposit: 0n, closeRequestedAt: 0 } : truth,
      })
      await mpp.pay(gateway.chat, request())
    }
    expect(await stage.opened(payer.account)).toBe(3)
    // Nothing that was signed is forgotten: it is in the ledger, and an honest node shows that it lives.
    await recover(honest(payer.account, store))
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 3, atStake: '15000000', signed: '3000000' }])
    expect(await gateway.cashIn()).toBeLessThanOrEqual(3n * EXPOSURE)
    expect(FUNDS - (await stage.balance(payer.account.address))).toBeLessThanOrEqual(3n * EXPOSURE)
  })
})
