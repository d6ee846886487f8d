// The unmodified mppx 0.11.0 client pays our sandbox: open, vouchers, top-ups, close, through both of its interfaces.
// Must never take the client's word for what it paid: the gateway's books and the chain are asked.
import { Mppx, sessionManager, tempo } from 'mppx/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import type { SandboxOptions } from '../../src/sandbox/index.js'
import { chat, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { tally } from './peer-stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

/** Costs a tenth of a token. */
const request = () => chat(500)
const HASH = /^0x[0-9a-f]{64}$/

const actions = ({ seen }: WatchedGateway) =>
  tally(seen.map(({ credential }) => credential?.payload.action ?? 'unpaid'))

async function setUp(options: SandboxOptions) {
  const gateway = await stage.gateway(options)
  const account = stage.payer()
  const reserve = await stage.balance(CHANNEL_RESERVE)
  const payer = await stage.balance(account.address)
  return {
    gateway,
    account,
    client: stage.chain.client(),
    gains: async () => ({
      payer: (await stage.balance(account.address)) - payer,
      payee: await stage.balance(gateway.payee),
      reserve: (await stage.balance(CHANNEL_RESERVE)) - reserve,
    }),
  }
}

describe('mppx’s session manager', () => {
  it('opens, pays, tops up by itself and on demand, and closes; every unit is accounted for', async () => {
    // mppx pays the challenge's amount for every request: a bucket that holds one request is its price.
    const { gateway, account, client, gains } = await setUp({ bucket: '0.1', suggestedDeposit: '0.5' })
    const manager = sessionManager({ account, client, maxDeposit: '3' })
    for (let paid = 1; paid <= 8; paid += 1) {
      const response = await manager.fetch(gateway.chat, request())
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ usage: { total_tokens: 500 } })
      expect(response.receipt).toMatchObject({ acceptedCumulative: `${paid}00000`, spent: `${paid}00000` })
    }
    expect(await manager.topUp('1')).toMatchObject({ txHash: expect.stringMatching(HASH) })
    expect((await manager.fetch(gateway.chat, request())).status).toBe(200)
    expect(await manager.close()).toMatchObject({ spent: '900000', txHash: expect.stringMatching(HASH) })

    // mppx answers the challenge for its request's body without that body. Each top-up and the close is refused for that,
    // and sent once more on the challenge that comes with the refusal.
    expect(actions(gateway)).toEqual({ unpaid: 9, open: 1, voucher: 8, topUp: 4, close: 2 })
    const { channels, counts, rejections } = gateway.accounting()
    expect(channels).toMatchObject([
      { deposit: '2000000', spent: '900000', captured: '900000', refunded: '1100000', status: 'closed' },
    ])
    expect(counts).toMatchObject({ opens: 1, topUps: 2, closes: 1, completions: 9, rejectedCredentials: 3 })
    expect(rejections).toEqual({ payment_required: 9, mpp_body_digest_mismatch: 3 })
    expect(await gains()).toEqual({ payer: -900_000n, payee: 900_000n, reserve: 0n })
  })

  it('is refunded what it authorised and did not use, where a bucket holds more than a request', async () => {
    const { gateway, account, client, gains } = await setUp({ bucket: '1', suggestedDeposit: '5' })
    const manager = sessionManager({ account, client, maxDeposit: '5' })
    for (let paid = 1; paid <= 4; paid += 1) {
      const { status, receipt } = await manager.fetch(gateway.chat, request())
      expect(status).toBe(200)
      expect(receipt).toMatchObject({ acceptedCumulative: `${paid}000000`, spent: `${paid}00000` })
    }
    await manager.close()
    expect(gateway.accounting().channels).toMatchObject([
      { accepted: '4000000', spent: '400000', captured: '400000', refunded: '4600000', status: 'closed' },
    ])
    expect(await gains()).toEqual({ payer: -400_000n, payee: 400_000n, reserve: 0n })
  })

  it('is told when the gateway cannot close, and nothing moves', async () => {
    const { gateway, account, client, gains } = await setUp({
      bucket: '0.1',
      suggestedDeposit: '0.5',
      closeSigner: false,
    })
    const manager = sessionManager({ account, client, maxDeposit: '3' })
    await manager.fetch(gateway.chat, request())
    await expect(manager.close()).rejects.toThrow(/503/)
    // mppx drops a channel that it has tried to close: it does not try again.
    expect(await manager.close()).toBeUndefined()
    expect(gateway.accounting()).toMatchObject({
      channels: [{ status: 'open', spent: '100000' }],
      rejections: { payment_required: 1, mpp_session_close_unavailable: 1 },
    })
    expect(await gains()).toEqual({ payer: -500_000n, payee: 0n, reserve: 500_000n })
  })
})

describe('mppx’s fetch', () => {
  it('opens, pays and tops up; a fresh challenge on a refusal is all it needs to go on', async () => {
    const { gateway, account, client, gains } = await setUp({ bucket: '0.1', suggestedDeposit: '0.5' })
    const mppx = Mppx.create({
      polyfill: false,
      methods: [tempo.session({ account, getClient: () => client, maxDeposit: '3' })],
    })
    const pay = async () => {
      const response = await mppx.fetch(gateway.chat, request())
      expect(response.status).toBe(200)
      return response.headers.get('payment-receipt')
    }
    for (let paid = 0; paid < 3; paid += 1) expect(await pay()).not.toBeNull()
    gateway.inject('mpp_invalid_challenge', { on: 'voucher' })
    for (let paid = 0; paid < 3; paid += 1) expect(await pay()).not.toBeNull()

    const { channels, counts, rejections } = gateway.accounting()
    // mppx signs a higher voucher for every credential, also for the one that was refused.
    expect(channels).toMatchObject([{ spent: '600000', accepted: '700000', deposit: '1000000', status: 'open' }])
    // The top-up, which mppx sends without the body of the challenge, is refused once and repeated on the fresh challenge.
    expect(counts).toMatchObject({ opens: 1, topUps: 1, completions: 6, rejectedCredentials: 2 })
    expect(rejections).toEqual({ payment_required: 6, mpp_invalid_challenge: 1, mpp_body_digest_mismatch: 1 })
    expect(await gains()).toEqual({ payer: -1_000_000n, payee: 0n, reserve: 1_000_000n })
  })
})
