// Our client pays an unmodified mppx 0.11.0 server: open, vouchers, top-up, close, and what such servers may ask for.
// Must never count an answer as paid for without mppx's own books and the balances on the chain saying the same.
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import { parseSessionRequest, parseSnapshotHeader } from '../../src/protocol/index.js'
import { FEE_MANAGER } from '../../src/sandbox/chain/addresses.js'
import { startChain } from '../../src/sandbox/index.js'
import { readTokenBalance } from '../../src/tempo/index.js'
import { events } from '../client/stage.js'
import { startMppxGateway } from './mppx-gateway.js'
import { prepareMeetings, settlementOf, tally, work } from './peer-stage.js'

const { stage, meet } = prepareMeetings()

describe('an mppx server that is paid per request', () => {
  it('is paid from open to close, with a top-up between; every unit is accounted for', async () => {
    const { gateway, payer, mpp, pay, paySome, close, gains } = await meet({ suggestedDeposit: '0.5' })
    const first = await pay()
    expect(first).toMatchObject({ status: 'succeeded', receipt: { acceptedCumulative: '100000', spent: '100000' } })
    expect(events(first)).toEqual([
      ...['START', 'payment-required', 'CHALLENGE_ACCEPTED', 'SESSION_ACQUIRED', 'planOpens', 'OPEN_SIGNED'],
      ...['PAID_ANSWER_RECEIVED', 'RECEIPT_VERIFIED'],
    ])
    expect(await first.response?.json()).toEqual({ served: 1 })
    expect(await gains()).toEqual({ payer: -500_000n, payee: 0n, reserve: 500_000n })

    await paySome(4)
    const sixth = await pay()
    expect(events(sixth)).toEqual(expect.arrayContaining(['TOP_UP_SIGNED', 'TOPPED_UP', 'VOUCHER_SIGNED']))
    await paySome(2)

    // One signature a request, one open, one top-up; mppx refused nothing.
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((requests) => String(requests * 100_000)),
    )
    expect(gateway.refused).toEqual([])
    expect(tally(gateway.seen.map(({ kind, status }) => `${kind} ${status}`))).toEqual({
      'unpaid 402': 8,
      'open 200': 1,
      'voucher 200': 7,
      'topUp 204': 1,
    })
    const [channel, ...others] = await gateway.channels()
    expect(others).toEqual([])
    expect(channel).toMatchObject({ spent: 800_000n, units: 8, highestVoucherAmount: 800_000n, deposit: 1_000_000n })
    const [session] = await mpp.sessions.list()
    expect(session).toMatchObject({ status: 'open', deposit: '1000000', signed: '800000', spent: '800000' })

    expect(settlementOf(await close())).toEqual({
      settled: '800000',
      refunded: '200000',
      txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    })
    expect(await gains()).toEqual({ payer: -800_000n, payee: 800_000n, reserve: 0n })
    expect((await gateway.channels())[0]).toMatchObject({ finalized: true })
    expect(gateway.served()).toBe(8)
  })

  it('gets no more than what is asked for after flows that were cancelled while they reserved', async () => {
    const { gateway, payer, mpp, pay, close, gains } = await meet({ suggestedDeposit: '1' })
    await pay()
    for (let time = 0; time < 3; time += 1) {
      const actor = mpp.createFlow(gateway.url, work())
      actor.subscribe(({ value }) => {
        if (JSON.stringify(value).includes('acquiringSession')) actor.send({ type: 'CANCEL' })
      })
      actor.start()
      expect(await mpp.outcomeOf(actor)).toMatchObject({ status: 'failed', failure: { code: 'cancelled' } })
    }
    expect(await pay()).toMatchObject({ status: 'succeeded' })
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(['100000', '200000'])
    expect(settlementOf(await close())).toMatchObject({ settled: '200000', refunded: '800000' })
    expect(await gains()).toEqual({ payer: -200_000n, payee: 200_000n, reserve: 0n })
  })

  it('is paid for GET requests, and a new channel follows a closed one', async () => {
    const { gateway, payer, pay, close, gains } = await meet({ suggestedDeposit: '1' })
    for (let round = 0; round < 2; round += 1) {
      expect(await pay({ method: 'GET' })).toMatchObject({ status: 'succeeded' })
      expect(settlementOf(await close())).toMatchObject({ settled: '100000', refunded: '900000' })
    }
    expect(await stage().opened(payer.account)).toBe(2)
    expect(await gains()).toEqual({ payer: -200_000n, payee: 200_000n, reserve: 0n })
    expect(gateway.refused).toEqual([])
  })

  it('gets vouchers that grow by no less than the minVoucherDelta of its challenge, and uses each up', async () => {
    const { gateway, payer, paySome, close, gains } = await meet({ suggestedDeposit: '2', minVoucherDelta: '0.35' })
    await paySome(10)
    expect(gateway.refused).toEqual([])
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(['350000', '700000', '1050000'])
    expect(settlementOf(await close())).toMatchObject({ settled: '1000000', refunded: '1000000' })
    expect(await gains()).toEqual({ payer: -1_000_000n, payee: 1_000_000n, reserve: 0n })
  })
})

describe('an mppx server that is not priced per request', () => {
  it('is paid bucket by bucket: a used up voucher is refused, and grows', async () => {
    const { gateway, pay, paySome, close, gains } = await meet({ suggestedDeposit: '2', unitType: 'token' })
    await paySome(1)
    const second = await pay()
    expect(events(second)).toEqual(expect.arrayContaining(['planReuses', 'session/insufficient-balance', 'planSigns']))
    await paySome(8)
    expect(tally(gateway.refused)).toEqual({ 'session/insufficient-balance': 9 })
    expect(settlementOf(await close())).toMatchObject({ settled: '1000000', refunded: '1000000' })
    expect(await gains()).toEqual({ payer: -1_000_000n, payee: 1_000_000n, reserve: 0n })
  })

  it.each(['challenge', 'header'] as const)(
    'is paid without a refusal when a snapshot stands in its %s',
    async (where) => {
      const { gateway, mpp, paySome, close, gains } = await meet({
        suggestedDeposit: '2',
        unitType: 'token',
        snapshot: where,
      })
      await paySome(10)
      expect(gateway.refused).toEqual([])
      const asked = await fetch(gateway.url, work())
      const header = parseSnapshotHeader(asked.headers.get('payment-session-snapshot'))
      const [session] = await mpp.sessions.list()
      const inChallenge = gateway.seen
        .flatMap(({ credential }) => credential ?? [])
        .flatMap(({ challenge }) => {
          const terms = parseSessionRequest(challenge)
          return terms.ok && terms.value.snapshot !== undefined ? [terms.value.snapshot] : []
        })
      expect(header.ok).toBe(where === 'header')
      // The first challenge is older than the channel.
      expect(inChallenge).toHaveLength(where === 'challenge' ? 9 : 0)
      const snapshot = header.ok ? header.value : inChallenge.at(-1)
      expect(snapshot?.channelId).toBe(session?.channelId)
      expect(snapshot?.requiredCumulative).toBe(where === 'header' ? 1_100_000n : 1_000_000n)
      expect(settlementOf(await close())).toMatchObject({ settled: '1000000', refunded: '1000000' })
      expect(await gains()).toEqual({ payer: -1_000_000n, payee: 1_000_000n, reserve: 0n })
    },
  )
})

describe('on a chain that charges fees', () => {
  it.each([
    { who: 'the payer', sponsored: false },
    { who: 'the server’s fee payer', sponsored: true },
  ])('$who pays those of opens and top-ups; deposits and refunds stay exact', async ({ sponsored }) => {
    const chain = await startChain({ accounts: 3, fees: 'charged' })
    try {
      const [payer, account, sponsor] = chain.accounts
      if (payer === undefined || account === undefined || sponsor === undefined) throw new Error('too few accounts')
      const gateway = await startMppxGateway({
        chain,
        account,
        suggestedDeposit: '0.3',
        ...(sponsored && { feePayer: sponsor }),
      })
      const balances = () =>
        Promise.all(
          [payer.address, account.address, sponsor.address, FEE_MANAGER].map((owner) =>
            readTokenBalance(chain.client(), { token: chain.token, owner }),
          ),
        )
      try {
        const mpp = stage().client(payer, { rpcUrl: chain.rpcUrl })
        const before = await balances()
        for (let at = 0; at < 5; at += 1)
          expect(await mpp.pay(gateway.url, work())).toMatchObject({ status: 'succeeded' })
        expect(tally(gateway.seen.map(({ kind }) => kind))).toMatchObject({ open: 1, topUp: 1, voucher: 4 })
        const [session] = await mpp.sessions.list()
        expect(settlementOf(await mpp.sessions.close(session?.channelId ?? ''))).toMatchObject({
          settled: '500000',
          refunded: '100000',
        })
        const after = await balances()
        const [byPayer = 0n, byPayee = 0n, bySponsor = 0n, fees = 0n] = after.map(
          (held, at) => held - (before[at] ?? 0n),
        )
        // Nothing is lost: what nobody else gained, are fees.
        expect(byPayer + byPayee + bySponsor + fees).toBe(0n)
        expect(fees > 0n).toBe(true)
        if (sponsored) {
          expect([byPayer, byPayee]).toEqual([-500_000n, 500_000n])
          expect(bySponsor).toBe(-fees)
        } else {
          // mppx names no fee token for its close transaction; the chain then takes that fee in a token of its own choice.
          expect([byPayer, byPayee]).toEqual([-500_000n - fees, 500_000n])
          expect(bySponsor).toBe(0n)
        }
      } finally {
        await gateway.stop()
      }
    } finally {
      await chain.stop()
    }
  })
})

describe('a payer without funds', () => {
  it('is told so by name, before mppx hears of it', async () => {
    const { gateway } = await meet({ suggestedDeposit: '1' })
    const mpp = stage().client(privateKeyToAccount(generatePrivateKey()))
    const outcome = await mpp.pay(gateway.url, work())
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'wallet_balance_insufficient' } })
    expect(gateway.seen.map(({ kind }) => kind)).toEqual(['unpaid'])
    expect(await mpp.sessions.list()).toEqual([])
  })
})
