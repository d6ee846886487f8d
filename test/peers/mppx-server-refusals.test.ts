// What an unmodified mppx server refuses, and how our client gets over it or says by name why it cannot.
// Must never lose sight of money: after every refusal the chain, the ledger and mppx's books are compared.
import { sendRawTransactionSync } from 'viem/actions'
import { describe, expect, it } from 'vitest'
import type { Hex } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { signClose } from '../../src/tempo/index.js'
import { events, failureOf } from '../client/stage.js'
import type { MppxExchange } from './mppx-gateway.js'
import { type Meeting, prepareMeetings, settlementOf, tally, work } from './peer-stage.js'

const { stage, meet } = prepareMeetings()

/** Does something once, when the first request of a kind arrives. */
function once(kind: MppxExchange['kind'], act: () => void): (exchange: MppxExchange) => void {
  let done = false
  return (exchange) => {
    if (done || exchange.kind !== kind) return
    done = true
    act()
  }
}

describe('a server that restarts with another key after its challenge', () => {
  it.each(['open', 'voucher'] as const)('gets the same %s again for a challenge of its own', async (kind) => {
    const meeting: Meeting = await meet({
      suggestedDeposit: '1',
      before: once(kind, () => meeting.gateway.rotateSecret()),
    })
    const { gateway, payer, paySome, close, gains } = meeting
    await paySome(3)
    expect(gateway.refused).toEqual(['invalid-challenge'])
    // Nothing was signed for the second time.
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(['100000', '200000', '300000'])
    expect(await stage().opened(payer.account)).toBe(1)
    expect(settlementOf(await close())).toMatchObject({ settled: '300000', refunded: '700000' })
    expect(await gains()).toEqual({ payer: -300_000n, payee: 300_000n, reserve: 0n })
  })
})

describe('a server that wants larger steps than it says', () => {
  it('is given them, refusal by refusal', async () => {
    const { gateway, paySome, close, gains } = await meet({ suggestedDeposit: '2', hiddenMinVoucherDelta: '0.25' })
    await paySome(10)
    const { 'session/delta-too-small': tooSmall = 0, ...others } = tally(gateway.refused)
    expect(others).toEqual({})
    expect(tooSmall).toBeGreaterThan(0)
    expect(gateway.served()).toBe(10)
    expect(settlementOf(await close())).toMatchObject({ settled: '1000000', refunded: '1000000' })
    expect(await gains()).toEqual({ payer: -1_000_000n, payee: 1_000_000n, reserve: 0n })
  })
})

describe('a server that has lost its store', () => {
  it('does not get a second channel while the chain still holds the first; with its store it is paid on', async () => {
    const { gateway, payer, mpp, pay, paySome, close, gains } = await meet({ suggestedDeposit: '1' })
    await paySome(2)
    const bringBack = gateway.loseStore()
    const failure = failureOf(await pay())
    expect(failure).toMatchObject({ code: 'session/channel-not-found', references: { httpStatus: 410 } })
    expect(failure.detail).toMatch(/chain still holds/)
    expect(failure.authorised.deposit).toBe('0')
    expect(await stage().opened(payer.account)).toBe(1)
    const [session] = await mpp.sessions.list()
    expect(session).toMatchObject({ status: 'open', deposit: '1000000', spent: '200000', signed: '300000' })

    bringBack()
    await paySome(2)
    // What was signed for the refused request was used for the next.
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(['100000', '200000', '300000', '400000'])
    expect(settlementOf(await close())).toMatchObject({ settled: '400000', refunded: '600000' })
    expect(await gains()).toEqual({ payer: -400_000n, payee: 400_000n, reserve: 0n })
  })
})

describe('a payee that closes the channel by itself', () => {
  it('is paid out of a new channel; both are accounted for', async () => {
    const { gateway, payer, mpp, pay, paySome, close, gains } = await meet({
      suggestedDeposit: '1',
      channelStateTtl: -1,
    })
    await paySome(3)
    await closeAsPayee(gateway.seen, gateway.account)
    expect(await gains()).toEqual({ payer: -300_000n, payee: 300_000n, reserve: 0n })

    const outcome = await pay()
    expect(outcome).toMatchObject({ status: 'succeeded', receipt: { acceptedCumulative: '100000', spent: '100000' } })
    expect(events(outcome)).toEqual(
      expect.arrayContaining(['session/channel-not-found', 'SESSION_RECONCILED', 'planOpens', 'OPEN_SIGNED']),
    )
    expect(await stage().opened(payer.account)).toBe(2)
    const sessions = await mpp.sessions.list()
    expect(sessions.filter(({ status }) => status === 'open')).toHaveLength(1)
    expect(settlementOf(await close())).toMatchObject({ settled: '100000', refunded: '900000' })
    expect(await gains()).toEqual({ payer: -400_000n, payee: 400_000n, reserve: 0n })
  })

  /** Sends the close transaction that the payee could always send, with the newest voucher it was given. */
  async function closeAsPayee(seen: readonly MppxExchange[], account: Meeting['gateway']['account']): Promise<void> {
    const payload = seen.findLast(({ kind }) => kind === 'voucher')?.credential?.payload
    if (payload?.action !== 'voucher') throw new Error('there is no voucher')
    const { chain } = stage()
    const cumulative = BigInt(payload.cumulativeAmount)
    const { descriptor, signature } = payload
    const { transaction } = await signClose(chain.client(), {
      account,
      feePayer: stage().payer(),
      descriptor,
      cumulative,
      capture: cumulative,
      signature,
      chainId: chain.chainId,
      escrow: CHANNEL_RESERVE,
    })
    await broadcast(transaction)
  }

  async function broadcast(transaction: Hex): Promise<void> {
    const receipt = await sendRawTransactionSync(stage().chain.client(), { serializedTransaction: transaction })
    expect(receipt.status).toBe('success')
  }
})

describe('a voucher that is not from the channel’s signer', () => {
  it('is refused before anything moves, and the failure says so', async () => {
    const other = stage().payer()
    const signer = stage().payer()
    const { gateway, payer, mpp, pay, gains } = await meet({
      suggestedDeposit: '1',
      client: { voucherSigner: { ...signer, signTypedData: other.signTypedData } },
    })
    const failure = failureOf(await pay())
    expect(failure).toMatchObject({ code: 'session/invalid-signature', authorised: { deposit: '1000000' } })
    expect(new Set(gateway.refused)).toEqual(new Set(['session/invalid-signature']))
    expect(await stage().opened(payer.account)).toBe(0)
    expect(await gains()).toEqual({ payer: 0n, payee: 0n, reserve: 0n })
    // What was signed is not forgotten: the open may still be mined until it expires.
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', pending: 'open' }])
  })
})

describe('a server whose Authorization belongs to its application', () => {
  const applicationToken = 'a-token-of-the-application'
  const authorization = `Bearer ${applicationToken}`
  const authenticated = () => ({ ...work(), headers: { 'content-type': 'application/json', authorization } })

  it('is paid in the header that it names, with the token beside it, and closes', async () => {
    const { gateway, payer, mpp, pay, channelId, gains } = await meet({
      suggestedDeposit: '0.2',
      applicationToken,
      policy: ({ url }) => ({ authenticatedOrigins: [new URL(url).origin] }),
    })
    for (let at = 0; at < 3; at += 1) {
      expect((await pay(authenticated())).response?.status).toBe(200)
    }
    expect(gateway.served()).toBe(3)
    // Two buckets of deposit, and a top-up: a management request that the application authenticates as well.
    expect(gateway.seen.map(({ kind }) => kind).filter((kind) => kind !== 'unpaid')).toEqual([
      'open',
      'voucher',
      'topUp',
      'voucher',
    ])
    expect(await stage().opened(payer.account)).toBe(1)
    const closed = await mpp.sessions.close(await channelId(), { headers: { authorization } })
    expect(settlementOf(closed)).toMatchObject({ settled: '300000' })
    expect(await gains()).toEqual({ payer: -300_000n, payee: 300_000n, reserve: 0n })
  })

  it('gets no token of an origin that the policy does not name: its 401 is the answer, and nothing is signed', async () => {
    const { gateway, payer, pay } = await meet({ applicationToken })
    const outcome = await pay(authenticated())
    expect(outcome).toMatchObject({ status: 'succeeded', authorised: { vouchersSigned: 0 } })
    expect(outcome.response?.status).toBe(401)
    expect(gateway.served()).toBe(0)
    expect(await stage().opened(payer.account)).toBe(0)
  })
})
