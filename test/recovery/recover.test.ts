// Recovery on a real chain: what a lost ledger, and a process that died in the middle, leave to be found.
// Must never count a deposit as found that the balances do not show, nor accept a second channel where one was enough.
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MppClient, memoryStore, type RecoveredChannel } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import type { SessionRecord } from '../../src/sessions/index.js'
import { chat, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { diedAfter, FUNDS, type Ground, journal, lastIn, opened, request } from './ground.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const here = () => ({ chainIds: [stage.chain.chainId] })

async function recovered(mpp: MppClient): Promise<readonly RecoveredChannel[]> {
  const { channels, searches, unreadable } = await mpp.sessions.recover(here())
  expect(unreadable).toBeNull()
  expect(searches).toMatchObject([{ chainId: stage.chain.chainId, escrow: CHANNEL_RESERVE, detail: null }])
  return channels
}

async function close(mpp: MppClient, channelId: string, url?: string) {
  const outcome = await mpp.sessions.close(channelId, url === undefined ? {} : { url })
  if (outcome.status !== 'closed' || outcome.settlement === null)
    throw new Error(
      outcome.status === 'failed' ? `${outcome.failure.code} ${outcome.failure.detail}` : 'nothing closed',
    )
  return outcome.settlement
}

const cumulatives = (gateway: WatchedGateway): string[] =>
  gateway.seen.flatMap(({ credential }) =>
    credential !== undefined && 'cumulativeAmount' in credential.payload ? [credential.payload.cumulativeAmount] : [],
  )

describe('a ledger that was lost', () => {
  it('all that may have been signed is within the limits: the channel is taken in and paid with', async () => {
    const ground = await opened(stage, { tenths: 12, policy: { maxDeposit: '2' } })
    const { gateway, account, channelId, payer } = ground
    const signed = payer.signatures()
    const mpp = stage.client(account, { store: memoryStore(), policy: { maxDeposit: '2' } })
    expect(await recovered(mpp)).toMatchObject([
      {
        channelId,
        source: 'chain',
        found: 'funded',
        action: 'adopted',
        status: 'open',
        amounts: { deposit: '2000000', signed: '0', spent: '0', settled: '0', refundable: '2000000' },
        detail: expect.stringContaining('paid with it'),
      },
    ])
    expect(payer.signatures()).toBe(signed)
    expect(await mpp.sessions.list()).toMatchObject([{ channelId, adopted: true, resource: null }])
    // The gateway has accepted 2 before: a voucher of 1 is refused, one of 2 is as good as the lost one.
    await paySome(mpp, gateway.chat, 2, request)
    expect(cumulatives(gateway).slice(-3)).toEqual(['1000000', '2000000', '2000000'])
    expect(await stage.opened(account)).toBe(1)
    expect(await mpp.sessions.list()).toMatchObject([
      { channelId, adopted: false, resource: gateway.chat, signed: '2000000', spent: '1400000' },
    ])
    expect(await close(mpp, channelId)).toMatchObject({ settled: '1400000', refunded: '600000' })
    expect(await ground.balance()).toBe(FUNDS - 1_400_000n)
    // Nothing is left to be found.
    expect(await recovered(mpp)).toEqual([])
  })

  it('more may have been signed than the limits allow: it is kept apart, another one is opened, both are closed', async () => {
    const ground = await opened(stage, { tenths: 3 })
    const { gateway, account, channelId, payer } = ground
    const mpp = stage.client(account, { store: memoryStore() })
    const [found] = await recovered(mpp)
    expect(found).toMatchObject({ channelId, found: 'funded', action: 'adopted', amounts: { deposit: '5000000' } })
    expect(found?.detail).toContain('not paid with')
    await paySome(mpp, gateway.chat, 1, request)
    expect(await stage.opened(account)).toBe(2)
    const exposed = payer.vouchers.filter((voucher) => voucher.startsWith(channelId))
    expect(exposed).toEqual([`${channelId}:1000000`])
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 2, ended: 0, atStake: '10000000' }])
    const other = (await mpp.sessions.list()).find((session) => session.channelId !== channelId)
    // Nobody remembers where it was used.
    const unnamed = await mpp.sessions.close(channelId)
    expect(unnamed).toMatchObject({ status: 'failed', failure: { code: 'session_unavailable' } })
    // Closed at what is known to be spent, the gateway refuses; at what may be exposed, it captures what was spent.
    expect(await close(mpp, channelId, gateway.chat)).toMatchObject({ settled: '300000', refunded: '4700000' })
    expect(cumulatives(gateway).slice(-2)).toEqual(['0', '2000000'])
    expect(await close(mpp, other?.channelId ?? '')).toMatchObject({ settled: '100000', refunded: '4900000' })
    expect(await ground.balance()).toBe(FUNDS - 400_000n)
    expect(await stage.balance(gateway.payee)).toBe(400_000n)
  })

  it('more was spent than may be signed: no close is signed for it, and a forced close gets the rest back', async () => {
    const { gateway, account, channelId, payer, balance } = await opened(stage, { tenths: 25 })
    const mpp = stage.client(account, { store: memoryStore() })
    await recovered(mpp)
    const outcome = await mpp.sessions.close(channelId, { url: gateway.chat })
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'mpp_payment_verification_failed' } })
    const signed = payer.vouchers.slice(-2)
    expect(signed).toEqual([`${channelId}:0`, `${channelId}:2000000`])
    expect(await mpp.sessions.list()).toMatchObject([{ channelId, status: 'open', signed: '2000000', pending: null }])
    const forced = await mpp.sessions.forceClose(channelId, {
      lookEveryMs: 300,
      onProgress: ({ step, secondsLeft }) => {
        if (step === 'waiting' && (secondsLeft ?? 0) > 100) void stage.chain.advanceTime(900)
      },
    })
    expect(forced).toMatchObject({ status: 'withdrawn', settlement: { settled: '0', refunded: '5000000' } })
    expect(await balance()).toBe(FUNDS)
  })

  it('the caller may have it paid with all the same: vouchers stay within the exposure', async () => {
    const { gateway, account, channelId, payer } = await opened(stage, { tenths: 25 })
    const mpp = stage.client(account, { store: memoryStore() })
    const before = payer.vouchers.length
    await mpp.sessions.recover({ ...here(), reuse: true })
    // 3 were accepted, 2 may be signed: refused, and said why.
    expect(failureOf(await mpp.pay(gateway.chat, request()))).toMatchObject({
      code: 'limit_exceeded',
      limit: 'maxExposure',
    })
    expect(payer.vouchers.slice(before)).toEqual([`${channelId}:1000000`, `${channelId}:2000000`])
    expect(await stage.opened(account)).toBe(1)
    const bold = stage.client(account, { store: memoryStore(), policy: { maxExposure: '5' } })
    await recovered(bold)
    await paySome(bold, gateway.chat, 1, request)
    expect(await bold.sessions.list()).toMatchObject([
      { channelId, adopted: false, signed: '3000000', spent: '2600000' },
    ])
    expect(await close(bold, channelId)).toMatchObject({ settled: '2600000', refunded: '2400000' })
  })

  it('what the chain has settled counts as signed and spent, and goes on from there', async () => {
    const [payee, payer] = [stage.payer(), stage.payer()]
    const client = stage.chain.client()
    const feeToken = stage.chain.token
    const opening = { account: payer, payee: payee.address, token: feeToken, deposit: 3_000_000n, feeToken }
    const { channelId, receipt: _receipt, ...channel } = await Actions.channel.openSync(client, opening)
    const first = stage.client(payer)
    const [before] = await recovered(first)
    expect(before).toMatchObject({ channelId, detail: expect.stringContaining('not paid with') })
    const signature = await payer.signTypedData?.({
      domain: {
        name: 'TIP20 Channel Reserve',
        version: '1',
        chainId: stage.chain.chainId,
        verifyingContract: CHANNEL_RESERVE,
      },
      types: {
        Voucher: [
          { name: 'channelId', type: 'bytes32' },
          { name: 'cumulativeAmount', type: 'uint96' },
        ],
      },
      primaryType: 'Voucher',
      message: { channelId, cumulativeAmount: 1_200_000n },
    })
    if (signature === undefined) throw new Error('no signature')
    await Actions.channel.settleSync(client, {
      account: payee,
      channel,
      cumulativeAmount: 1_200_000n,
      signature,
      feeToken,
    })
    const store = memoryStore()
    const second = stage.client(payer, { store })
    const [after] = await recovered(second)
    expect(after).toMatchObject({
      channelId,
      amounts: { deposit: '3000000', signed: '1200000', spent: '1200000', settled: '1200000', refundable: '1800000' },
      detail: expect.stringContaining('paid with it'),
    })
    // A voucher for what is paid out already exposes nothing, and is there to go on from.
    const [record] = await store.list()
    expect(record?.secrets.voucher).toMatchObject({ cumulative: '1200000' })
    expect(record?.session.seenAtBlock).toBeGreaterThan(0)
  })

  it('and another channel is in use by then: both are known, and nothing is opened again', async () => {
    const ground = await opened(stage, { policy: { maxDeposit: '2' } })
    const { gateway, account, channelId } = ground
    const mpp = stage.client(account, { store: memoryStore(), policy: { maxDeposit: '2' } })
    await paySome(mpp, gateway.chat, 1, request)
    expect(await recovered(mpp)).toMatchObject([
      { source: 'ledger', found: 'funded', action: 'none' },
      { channelId, source: 'chain', found: 'funded', action: 'adopted' },
    ])
    expect(await recovered(mpp)).toMatchObject([
      { source: 'ledger', action: 'none' },
      { source: 'ledger', action: 'none' },
    ])
    await paySome(mpp, gateway.chat, 2, request)
    expect(await stage.opened(account)).toBe(2)
    for (const session of await mpp.sessions.list()) await close(mpp, session.channelId, gateway.chat)
    expect(await ground.balance()).toBe(FUNDS - 400_000n)
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 0, ended: 2, settled: '400000', refunded: '3600000' }])
  })

  it('a forced close that nobody remembers is gone on with', async () => {
    const { mpp, account, store, channelId, balance } = await opened(stage)
    const stop = new AbortController()
    await mpp.sessions.forceClose(channelId, {
      signal: stop.signal,
      onProgress: ({ step }) => {
        if (step === 'waiting') stop.abort()
      },
    })
    const asked = lastIn(store, 'closeRequested', null).session.withdrawableAt
    const next = stage.client(account, { store: memoryStore() })
    const [found] = await recovered(next)
    expect(found).toMatchObject({ channelId, found: 'funded', action: 'adopted', status: 'closeRequested' })
    expect(found?.detail).toContain('forced close is under way')
    expect(await next.sessions.list()).toMatchObject([{ withdrawableAt: asked }])
    await stage.chain.advanceTime(900)
    const [later] = await recovered(next)
    expect(later).toMatchObject({ status: 'withdrawable', detail: expect.stringContaining('call forceClose again') })
    expect(await next.sessions.forceClose(channelId)).toMatchObject({
      status: 'withdrawn',
      settlement: { refunded: '5000000' },
    })
    expect(await balance()).toBe(FUNDS)
  })

  it('finds nothing where there is nothing, and signs nothing', async () => {
    const mpp = stage.client(stage.payer())
    const report = await mpp.sessions.recover(here())
    expect(report.channels).toEqual([])
    expect(report.searches).toMatchObject([{ opened: 0, blocks: { from: 0 } }])
    const newest = report.searches[0]?.blocks?.to ?? 0
    expect((await mpp.sessions.recover({ ...here(), fromBlock: newest })).searches[0]?.blocks?.from).toBe(newest)
  })
})

/** A client over what a process left that died after it had written `record`. */
async function afterDeath(ground: Pick<Ground, 'account'>, record: SessionRecord) {
  const store = await diedAfter(record)
  return { store, mpp: stage.client(ground.account, { store, policy: { maxDeposit: '20' } }) }
}

describe('a process that died while it opened a channel', () => {
  async function opening(fault: 'answer_lost' | 'connection_lost') {
    const gateway = await stage.gateway()
    const account = stage.payer()
    const store = journal()
    gateway.inject(fault, { on: 'open' })
    const failed = await stage.client(account, { store }).pay(gateway.chat, request())
    expect(failureOf(failed).code).toBe('outcome_unknown')
    const record = lastIn(store, 'opening')
    return { gateway, account, record, channelId: record.session.channelId, ...(await afterDeath({ account }, record)) }
  }

  it('and the chain has it: it is adopted, with its first voucher, and pays on', async () => {
    const { gateway, account, mpp, channelId } = await opening('answer_lost')
    expect(await recovered(mpp)).toMatchObject([
      {
        channelId,
        source: 'ledger',
        found: 'funded',
        action: 'adopted',
        status: 'open',
        amounts: { deposit: '5000000', signed: '1000000' },
        detail: 'the signed open was included',
      },
    ])
    await paySome(mpp, gateway.chat, 1, request)
    expect(await stage.opened(account)).toBe(1)
    expect(await close(mpp, channelId ?? '')).toMatchObject({ settled: '200000', refunded: '4800000' })
    expect(await stage.balance(account.address)).toBe(FUNDS - 200_000n)
  })

  it('and the chain may still get it: it is kept, and told until when; then it is dropped', async () => {
    const { account, mpp, store, channelId } = await opening('connection_lost')
    const [kept] = await recovered(mpp)
    expect(kept).toMatchObject({ channelId, found: 'undecided', action: 'kept', status: 'opening' })
    expect(kept?.detail).toMatch(/^the signed open may still be included, until \d{4}-/)
    expect((await store.list())[0]?.secrets.pendingTransaction).toMatch(/^0x76/)
    await stage.chain.advanceTime(60)
    expect(await recovered(mpp)).toMatchObject([
      { channelId, found: 'nothing', action: 'dropped', status: 'absent', amounts: { deposit: '0' } },
    ])
    expect(await mpp.sessions.list()).toEqual([])
    expect(await stage.balance(account.address)).toBe(FUNDS)
  })

  it('and it was opened and closed again since: what it cost is in the ledger', async () => {
    const ground = await opened(stage, { tenths: 2 })
    await close(ground.mpp, ground.channelId)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'opening'))
    expect(await recovered(mpp)).toMatchObject([
      {
        found: 'ended',
        action: 'closed',
        status: 'closed',
        amounts: { settled: '200000', refunded: '4800000', refundable: '0' },
      },
    ])
  })
})

describe('a process that died while it topped up', () => {
  const policy = { maxDeposit: '20' }

  it('and the chain has it: the new deposit is in the ledger', async () => {
    const ground = await opened(stage, { tenths: 8, policy, sandbox: { suggestedDeposit: '1' } })
    expect((await ground.mpp.pay(ground.gateway.chat, chat(2000))).status).toBe('succeeded')
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'toppingUp', 'topUp'))
    expect(await recovered(mpp)).toMatchObject([
      { found: 'funded', action: 'adopted', amounts: { deposit: '2000000' }, detail: 'the signed top-up was included' },
    ])
    await paySome(mpp, ground.gateway.chat, 1, request)
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '1300000', refunded: '700000' })
    expect(await ground.balance()).toBe(FUNDS - 1_300_000n)
  })

  it('and the chain may still get it: it is kept; then it is dropped, and the channel is as it was', async () => {
    const ground = await opened(stage, { tenths: 8, policy, sandbox: { suggestedDeposit: '1' } })
    ground.gateway.inject('connection_lost', { on: 'topUp', times: 10 })
    expect((await ground.mpp.pay(ground.gateway.chat, chat(2000))).status).toBe('failed')
    const record = lastIn(ground.store, 'toppingUp', 'topUp')
    const { mpp } = await afterDeath(ground, record)
    expect(await recovered(mpp)).toMatchObject([
      { found: 'undecided', action: 'kept', status: 'toppingUp', amounts: { deposit: '1000000' } },
    ])
    await stage.chain.advanceTime(60)
    expect(await recovered(mpp)).toMatchObject([
      { found: 'funded', action: 'dropped', status: 'open', amounts: { deposit: '1000000' } },
    ])
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '800000', refunded: '200000' })
    expect(await ground.balance()).toBe(FUNDS - 800_000n)
  })
})

describe('a process that died while it closed', () => {
  it('and the gateway has closed: settlement and refund are in the ledger', async () => {
    const ground = await opened(stage, { tenths: 3 })
    await close(ground.mpp, ground.channelId)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'closing'))
    expect(await recovered(mpp)).toMatchObject([
      { found: 'ended', action: 'closed', amounts: { settled: '300000', refunded: '4700000' } },
    ])
    expect(await ground.balance()).toBe(FUNDS - 300_000n)
  })

  it('and the gateway has not: the channel is open, and is closed after all', async () => {
    const ground = await opened(stage, { tenths: 3 })
    ground.gateway.setCloseSigner(false)
    expect((await ground.mpp.sessions.close(ground.channelId)).status).toBe('failed')
    ground.gateway.setCloseSigner(true)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'closing'))
    expect(await recovered(mpp)).toMatchObject([{ found: 'funded', action: 'dropped', status: 'open' }])
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '300000', refunded: '4700000' })
  })
})

describe('a ledger that is wrong', () => {
  it('about a channel that it believes lost: the chain has it, and it is used again', async () => {
    const ground = await opened(stage)
    const record = lastIn(ground.store, 'open')
    const { mpp } = await afterDeath(ground, { ...record, status: 'lost', version: record.version + 1 })
    expect(await recovered(mpp)).toMatchObject([
      { channelId: ground.channelId, source: 'chain', found: 'funded', action: 'adopted', status: 'open' },
    ])
    await paySome(mpp, ground.gateway.chat, 1, request)
    expect(await stage.opened(ground.account)).toBe(1)
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '200000', refunded: '4800000' })
  })

  it('about nothing: each channel is looked at, and nothing is changed or signed', async () => {
    const ground = await opened(stage)
    const signatures = ground.payer.signatures()
    const [before] = await ground.mpp.sessions.list()
    expect(await recovered(ground.mpp)).toMatchObject([{ found: 'funded', action: 'none', detail: null }])
    expect(ground.payer.signatures()).toBe(signatures)
    expect(await ground.mpp.sessions.list()).toEqual([before])
  })

  it('leaves the channels of other payers alone', async () => {
    const ground = await opened(stage)
    const stranger = stage.client(stage.payer(), { store: ground.store })
    const written = ground.store.written.length
    expect(await recovered(stranger)).toEqual([])
    expect(ground.store.written.length).toBe(written)
  })
})
