// A ledger that was lost: its channels are found on the chain, and what was signed for them is not known.
// Must never accept a voucher beyond the exposure, nor a deposit that comes back short by a unit.
import { getBlockNumber } from 'viem/actions'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { counted, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { close, FUNDS, lastIn, opened, recovered, request } from './ground.js'
import { startNode } from './node.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const here = () => ({ chainIds: [stage.chain.chainId] })

/** Mines empty blocks. */
async function mine(blocks: number): Promise<void> {
  await stage.chain.admin.request({ method: 'anvil_mine', params: [`0x${blocks.toString(16)}`] })
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
    expect(await recovered(stage, mpp)).toMatchObject([
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
    expect(await recovered(stage, mpp)).toEqual([])
  })

  it('more may have been signed than the limits allow: it is kept apart, another one is opened, both are closed', async () => {
    const ground = await opened(stage, { tenths: 3 })
    const { gateway, account, channelId, payer } = ground
    const mpp = stage.client(account, { store: memoryStore() })
    const [found] = await recovered(stage, mpp)
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
    await recovered(stage, mpp)
    const outcome = await mpp.sessions.close(channelId, { url: gateway.chat })
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'mpp_payment_verification_failed' } })
    const signed = payer.vouchers.slice(-2)
    expect(signed).toEqual([`${channelId}:0`, `${channelId}:2000000`])
    expect(await mpp.sessions.list()).toMatchObject([{ channelId, status: 'open', signed: '2000000', pending: null }])
    const forced = await mpp.sessions.forceClose(channelId, {
      lookEveryMs: 300,
      onProgress: ({ step, secondsLeft }) => {
        if (step === 'waiting' && (secondsLeft ?? 0) > 100) void stage.chain.advanceTime(960)
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
    await recovered(stage, bold)
    await paySome(bold, gateway.chat, 1, request)
    expect(await bold.sessions.list()).toMatchObject([
      { channelId, adopted: false, signed: '3000000', spent: '2600000' },
    ])
    expect(await close(bold, channelId)).toMatchObject({ settled: '2600000', refunded: '2400000' })
  })

  it('what the chain has settled counts as taken: it makes no room, and nothing is signed for it', async () => {
    const [payee, payer] = [stage.payer(), stage.payer()]
    const client = stage.chain.client()
    const feeToken = stage.chain.token
    const opening = { account: payer, payee: payee.address, token: feeToken, deposit: 3_000_000n, feeToken }
    const { channelId, receipt: _receipt, ...channel } = await Actions.channel.openSync(client, opening)
    const first = stage.client(payer)
    const [before] = await recovered(stage, first)
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
    const signer = counted(payer)
    const second = stage.client(signer.account, { store })
    const [after] = await recovered(stage, second)
    expect(after).toMatchObject({
      channelId,
      amounts: { deposit: '3000000', signed: '0', spent: '0', settled: '1200000', refundable: '1800000' },
      detail: expect.stringContaining('not paid with'),
    })
    // A policy that lets all of the deposit be signed has nothing to fear from what was.
    const third = stage.client(signer.account, { store: memoryStore(), policy: { maxExposure: '3' } })
    const [wider] = await recovered(stage, third)
    expect(wider).toMatchObject({
      channelId,
      detail: expect.stringContaining('requests to its payee are paid with it'),
    })
    expect(signer.signatures()).toBe(0)
    const [record] = await store.list()
    expect(record?.secrets.voucher).toBeNull()
    expect(record?.session.seenAtBlock).toBeGreaterThan(0)
  })

  it('and another channel is in use by then: both are known, and nothing is opened again', async () => {
    const ground = await opened(stage, { policy: { maxDeposit: '2' } })
    const { gateway, account, channelId } = ground
    const mpp = stage.client(account, { store: memoryStore(), policy: { maxDeposit: '2' } })
    await paySome(mpp, gateway.chat, 1, request)
    expect(await recovered(stage, mpp)).toMatchObject([
      { source: 'ledger', found: 'funded', action: 'none' },
      { channelId, source: 'chain', found: 'funded', action: 'adopted' },
    ])
    expect(await recovered(stage, mpp)).toMatchObject([
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
    const [found] = await recovered(stage, next)
    expect(found).toMatchObject({ channelId, found: 'funded', action: 'adopted', status: 'closeRequested' })
    expect(found?.detail).toContain('forced close is under way')
    expect(await next.sessions.list()).toMatchObject([{ withdrawableAt: asked }])
    await stage.chain.advanceTime(960)
    const [later] = await recovered(stage, next)
    expect(later).toMatchObject({ status: 'withdrawable', detail: expect.stringContaining('call forceClose again') })
    expect(await next.sessions.forceClose(channelId)).toMatchObject({
      status: 'withdrawn',
      settlement: { refunded: '5000000' },
    })
    expect(await balance()).toBe(FUNDS)
  })

  it('is found through a node that gives the logs of few blocks at a time', async () => {
    const { account, channelId } = await opened(stage)
    // Enough blocks for several parts.
    while ((await getBlockNumber(stage.chain.client(), { cacheTime: 0 })) < 600n) await mine(200)
    const node = await startNode(stage.chain.rpcUrl)
    try {
      node.givesLogsOf(256)
      const mpp = stage.client(account, { store: memoryStore(), rpcUrl: node.url })
      expect(await recovered(stage, mpp)).toMatchObject([{ channelId, found: 'funded', action: 'adopted' }])
      node.givesLogsOf(100)
      const report = await stage.client(account, { store: memoryStore(), rpcUrl: node.url }).sessions.recover(here())
      expect(report).toMatchObject({ channels: [], searches: [{ blocks: null, opened: 0 }] })
      expect(report.searches[0]?.detail).toContain('chain_unavailable')
    } finally {
      await node.stop()
    }
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
