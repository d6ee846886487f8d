// The same mishaps in the middle of a payment: the flow recovers or fails by name, and the ledger loses nothing.
// Must never fake an answer of the node or the gateway: things go wrong between the signature and the broadcast.
import type { Address, LocalAccount } from 'viem'
import { sendRawTransactionSync } from 'viem/actions'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { events, failureOf, type Stage, setStage } from '../client/stage.js'
import { prepareGrounds, request } from '../rows/row-stage.js'
import type { Exchange, Reply } from '../rows/scripted-gateway.js'
import { prepareMeetings, settlementOf } from './peer-stage.js'

let stage: Stage
const { ground, stop } = prepareGrounds(() => stage)
beforeAll(async () => {
  stage = await setStage()
})
afterAll(async () => {
  await stop()
  await stage?.stop()
})
const { meet } = prepareMeetings()

/** More than any transaction can be valid for. */
const LONG = 60

/** Something happens on the chain before the gateway gets what was signed. */
const after =
  (act: (exchange: Exchange) => Promise<unknown>): Reply =>
  async (exchange) => {
    await act(exchange)
    return exchange.pass()
  }
const tooLate = after(() => stage.chain.advanceTime(LONG))

async function transfer(from: LocalAccount, to: Address, amount: bigint): Promise<void> {
  const { chain } = stage
  const { receipt } = await Actions.token.transferSync(chain.client(), {
    account: from,
    token: chain.token,
    to,
    amount,
  })
  expect(receipt.status).toBe('success')
}

/** The payer, the gateway and the reserve, before and after: in base units. */
async function watch(payer: Address, payee: Address) {
  const read = () => Promise.all([payer, payee, CHANNEL_RESERVE].map((owner) => stage.balance(owner)))
  const before = await read()
  return async () => (await read()).map((held, at) => held - (before[at] ?? 0n))
}

describe('an expired validity', () => {
  it('of the open: it is dropped once the chain cannot take it any more, and signed anew', async () => {
    const { gateway, scripted, mpp, account } = await ground({ spend: 0 })
    const gains = await watch(account.address, gateway.payee)
    scripted.next('open', tooLate)
    const outcome = await mpp.pay(scripted.chat, request())
    expect(outcome).toMatchObject({ status: 'succeeded', authorised: { deposit: '10000000' } })
    expect(events(outcome)).toEqual(expect.arrayContaining(['mpp_payment_verification_failed', 'SESSION_RECONCILED']))
    expect(await stage.opened(account)).toBe(1)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', spent: '100000' }])
    expect(await gains()).toEqual([-5_000_000n, 0n, 5_000_000n])
  })

  it('of every open: the failure has a name, and nothing has moved', async () => {
    const { gateway, scripted, mpp, account } = await ground({ spend: 0 })
    const gains = await watch(account.address, gateway.payee)
    scripted.always('open', tooLate)
    const failure = failureOf(await mpp.pay(scripted.chat, request()))
    expect(failure).toMatchObject({ code: 'mpp_payment_verification_failed', authorised: { deposit: '10000000' } })
    expect(await stage.opened(account)).toBe(0)
    expect(await gains()).toEqual([0n, 0n, 0n])
    // The last open is kept until the chain has said that it will never come; then a new one takes its place.
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', pending: 'open' }])
    scripted.always('open', undefined)
    expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    expect(await stage.opened(account)).toBe(1)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', pending: null }])
  })

  it('of a top-up: it is dropped and signed anew, and one deposit is added', async () => {
    const { gateway, scripted, mpp, account } = await ground({ sandbox: { suggestedDeposit: '1' } })
    const gains = await watch(account.address, gateway.payee)
    scripted.next('topUp', tooLate)
    for (let paid = 0; paid < 9; paid += 1)
      expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    const outcome = await mpp.pay(scripted.chat, request())
    expect(outcome).toMatchObject({ status: 'succeeded', authorised: { deposit: '2000000' } })
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, topUps: 1 })
    const [session] = await mpp.sessions.list()
    expect(session).toMatchObject({ status: 'open', deposit: '2000000', pending: null, spent: '1100000' })
    expect(settlementOf(await mpp.sessions.close(session?.channelId ?? ''))).toMatchObject({
      settled: '1100000',
      refunded: '900000',
    })
    expect(await gains()).toEqual([-100_000n, 1_100_000n, -1_000_000n])
  })
})

describe('a spent nonce', () => {
  it('of an open that somebody else got mined: the channel is used, and paid for once', async () => {
    const { gateway, scripted, mpp, account } = await ground({ spend: 0 })
    const gains = await watch(account.address, gateway.payee)
    scripted.next('open', after(broadcast))
    expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    expect(await stage.opened(account)).toBe(1)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', spent: '100000' }])
    expect(await gains()).toEqual([-5_000_000n, 0n, 5_000_000n])
  })

  it('of an open whose answer was lost: the next request uses the channel', async () => {
    const { gateway, scripted, mpp, account, payer } = await ground({ spend: 0 })
    const gains = await watch(account.address, gateway.payee)
    scripted.next('open', async (exchange): Promise<'reset'> => {
      await broadcast(exchange)
      return 'reset'
    })
    expect(failureOf(await mpp.pay(scripted.chat, request())).code).toBe('outcome_unknown')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', signed: '1000000' }])
    expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    expect(await stage.opened(account)).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
    expect(await gains()).toEqual([-5_000_000n, 0n, 5_000_000n])
  })

  async function broadcast({ send }: Exchange): Promise<void> {
    const payload = send.credential?.payload
    if (payload?.action !== 'open') throw new Error('this is no open')
    const { status } = await sendRawTransactionSync(stage.chain.client(), {
      serializedTransaction: payload.transaction,
    })
    expect(status).toBe('success')
  }
})

describe('an insufficient balance', () => {
  it('at the first payment: nothing is signed', async () => {
    const { gateway, scripted, mpp, account, signed } = await ground({ spend: 0 })
    await transfer(account, gateway.payee, await stage.balance(account.address))
    const failure = failureOf(await mpp.pay(scripted.chat, request()))
    expect(failure).toMatchObject({ code: 'wallet_balance_insufficient', authorised: { deposit: '0', paidSends: 0 } })
    expect(await mpp.sessions.list()).toEqual([])
    // The transfer was signed by the same account; the client asked it for nothing.
    expect(signed()).toBeGreaterThan(0)
    expect(scripted.sends.map(({ kind }) => kind)).toEqual(['unpaid'])
  })

  it('that comes up after the open was signed: it is refused by name, kept, and succeeds once there are funds', async () => {
    const { gateway, scripted, mpp, account } = await ground({ spend: 0 })
    const friend = stage.payer()
    const all = await stage.balance(account.address)
    scripted.next(
      'open',
      after(() => transfer(account, friend.address, all)),
    )
    const failure = failureOf(await mpp.pay(scripted.chat, request()))
    expect(failure.code).toBe('mpp_payment_verification_failed')
    expect(await stage.opened(account)).toBe(0)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', pending: 'open' }])

    await stage.chain.advanceTime(LONG)
    expect(failureOf(await mpp.pay(scripted.chat, request())).code).toBe('wallet_balance_insufficient')
    await transfer(friend, account.address, all)
    expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    expect(await stage.opened(account)).toBe(1)
    expect(await stage.balance(account.address)).toBe(all - 5_000_000n)
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, completions: 1 })
  })

  it('at a top-up: the channel keeps what it has, and can be closed', async () => {
    const { gateway, scripted, mpp, account, channelId } = await ground({ sandbox: { suggestedDeposit: '1' } })
    const friend = stage.payer()
    await transfer(account, friend.address, await stage.balance(account.address))
    for (let paid = 0; paid < 9; paid += 1)
      expect(await mpp.pay(scripted.chat, request())).toMatchObject({ status: 'succeeded' })
    const failure = failureOf(await mpp.pay(scripted.chat, request()))
    expect(failure).toMatchObject({ code: 'wallet_balance_insufficient', cause: 'mpp_voucher_bucket_refresh_required' })
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '1000000', signed: '1000000' }])
    expect(settlementOf(await mpp.sessions.close(channelId))).toMatchObject({ settled: '1000000', refunded: '0' })
    expect(await stage.balance(gateway.payee)).toBe(1_000_000n)
  })
})

describe('a wrong fee token', () => {
  const NO_TOKEN = '0x20c0000000000000000000000000000000000fee'

  it('that the policy does not allow is refused before anything is signed', async () => {
    const { payer, pay } = await meet({ suggestedDeposit: '1', feeToken: NO_TOKEN })
    const failure = failureOf(await pay())
    expect(failure.code).toBe('policy_denied')
    expect(payer.signatures()).toBe(0)
  })

  it('that cannot pay is named before anything is signed, though the policy allows it', async () => {
    const { gateway, payer, mpp, pay, gains } = await meet({
      suggestedDeposit: '1',
      feeToken: NO_TOKEN,
      policy: { allowedTokens: [NO_TOKEN, '0x20c0000000000000000000000000000000000000'] },
    })
    const failure = failureOf(await pay())
    expect(failure).toMatchObject({ code: 'wallet_balance_insufficient', authorised: { deposit: '0', paidSends: 0 } })
    expect(payer.signatures()).toBe(0)
    expect(await mpp.sessions.list()).toEqual([])
    expect(gateway.seen.map(({ kind }) => kind)).toEqual(['unpaid'])
    expect(await gains()).toEqual({ payer: 0n, payee: 0n, reserve: 0n })
  })
})
