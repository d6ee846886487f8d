// A whole session over real HTTP and a real chain: open, reuse, refresh, top-up, close, every unit accounted for.
import { parseSignature, serializeCompactSignature, signatureToCompactSignature } from 'viem'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Hex } from '../../src/protocol/hex.js'
import { CHANNEL_RESERVE } from '../../src/protocol/session-request.js'
import { type LocalChain, type Sandbox, startChain, startSandbox } from '../../src/sandbox/index.js'
import { readChannel, readTokenBalance } from '../../src/tempo/index.js'
import { chatCosting, Payer } from './gateway-payer.js'

const PRICE = 200n

let chain: LocalChain
let sandbox: Sandbox

beforeAll(async () => {
  chain = await startChain()
  sandbox = await startSandbox({ chain })
})
afterAll(async () => {
  await sandbox?.stop()
  await chain?.stop()
})

function payerNumber(index: number, of: Sandbox = sandbox): Payer {
  const account = of.accounts[index]
  if (account === undefined) throw new Error('no such account')
  return new Payer(of, chain, account)
}

const balance = (owner: `0x${string}`) => readTokenBalance(chain.client(), { token: chain.token, owner })

describe('a session', () => {
  it('opens, reuses, refreshes, tops up and closes, with exact money on chain', async () => {
    const payer = payerNumber(0)
    const before = await balance(payer.account.address)
    const first = await payer.open(chatCosting(3000), { deposit: 1_500_000n, cumulative: 1_000_000n })
    expect(first.answer).toMatchObject({ status: 200 })
    const { channel } = first
    expect(first.answer.receipt).toMatchObject({
      channelId: channel.channelId,
      acceptedCumulative: 1_000_000n,
      spent: 3000n * PRICE,
    })
    expect(JSON.parse(first.answer.text)).toMatchObject({ object: 'chat.completion', usage: { total_tokens: 3000 } })
    expect(await readChannel(chain.client(), { channelId: channel.channelId, escrow: CHANNEL_RESERVE })).toMatchObject({
      deposit: 1_500_000n,
      settled: 0n,
    })

    const reuse = await payer.pay(channel, chatCosting(1500), 1_000_000n)
    expect(reuse).toMatchObject({ status: 200, receipt: { spent: 900_000n, acceptedCumulative: 1_000_000n } })

    const exhausted = await payer.pay(channel, chatCosting(1000), 1_000_000n)
    expect(exhausted).toMatchObject({ status: 402, code: 'mpp_voucher_bucket_refresh_required' })
    expect(exhausted.challenge).toBeDefined()

    const beyond = await payer.pay(channel, chatCosting(1000), 2_000_000n)
    expect(beyond).toMatchObject({ status: 402, code: 'mpp_session_deposit_below_request_cost' })

    const topUp = await payer.topUp(channel, 500_000n)
    expect(topUp).toMatchObject({ status: 204, text: '', receipt: { channelId: channel.channelId, spent: 900_000n } })

    const refreshed = await payer.pay(channel, chatCosting(1000), 2_000_000n)
    expect(refreshed).toMatchObject({ status: 200, receipt: { spent: 1_100_000n, acceptedCumulative: 2_000_000n } })

    const lower = await payer.pay(channel, chatCosting(10), 1_000_000n)
    expect(lower).toMatchObject({ status: 402, code: 'mpp_voucher_bucket_refresh_required' })

    const closed = await payer.close(channel, 2_000_000n)
    expect(closed).toMatchObject({ status: 204, receipt: { spent: 1_100_000n } })
    expect(closed.receipt?.txHash).toMatch(/^0x[0-9a-f]{64}$/)

    expect(before - (await balance(payer.account.address))).toBe(1_100_000n)
    expect(await balance(sandbox.payee)).toBe(1_100_000n)
    expect(await readChannel(chain.client(), { channelId: channel.channelId, escrow: CHANNEL_RESERVE })).toMatchObject({
      deposit: 0n,
    })
    const { channels, counts, rejections } = sandbox.accounting()
    expect(channels).toEqual([
      {
        channelId: channel.channelId,
        payer: payer.account.address.toLowerCase(),
        deposit: '2000000',
        accepted: '2000000',
        spent: '1100000',
        captured: '1100000',
        refunded: '900000',
        status: 'closed',
      },
    ])
    expect(counts).toMatchObject({
      unpaidSends: 8,
      paidSends: 6,
      opens: 1,
      topUps: 1,
      closes: 1,
      rejectedCredentials: 3,
      completions: 3,
    })
    expect(rejections).toEqual({
      payment_required: 8,
      mpp_voucher_bucket_refresh_required: 2,
      mpp_session_deposit_below_request_cost: 1,
    })

    const after = await payer.pay(channel, chatCosting(10), 2_000_000n)
    expect(after).toMatchObject({ status: 410, problem: 'session/channel-finalized' })
    expect(await payer.close(channel, 2_000_000n)).toMatchObject({ status: 410, problem: 'session/channel-finalized' })
  })

  it('takes vouchers in the 64 bytes of EIP-2098, and settles them', async () => {
    const payer = payerNumber(3)
    const before = await balance(payer.account.address)
    const takings = await balance(sandbox.payee)
    const { challenge, request } = await payer.challenge(chatCosting(1000))
    const compact = (signature: Hex) =>
      serializeCompactSignature(signatureToCompactSignature(parseSignature(signature)))
    const full = await payer.openPayload(request, { deposit: 3_000_000n, cumulative: 1_000_000n })
    const opening = { ...full, signature: compact(full.signature) }
    expect(opening.signature).toHaveLength(130)
    const open = await payer.send(chatCosting(1000), { authorization: payer.credential(challenge, opening) })
    expect(open).toMatchObject({ status: 200, receipt: { acceptedCumulative: 1_000_000n } })
    for (const action of ['voucher', 'voucher', 'close'] as const) {
      const fresh = await payer.challenge(action === 'voucher' ? chatCosting(1000) : undefined)
      const cumulative = action === 'voucher' ? 1_000_000n : 2_000_000n
      const payload = await payer.voucherPayload(opening, cumulative, fresh.request, action)
      if (!('signature' in payload)) throw new Error('no voucher')
      const signed = { ...payload, signature: compact(payload.signature) }
      const body = action === 'voucher' ? chatCosting(1000) : undefined
      const answer = await payer.send(body, { authorization: payer.credential(fresh.challenge, signed) })
      expect(answer.status).toBe(action === 'voucher' ? 200 : 204)
    }
    expect(await balance(sandbox.payee)).toBe(takings + 3000n * PRICE)
    expect(await balance(payer.account.address)).toBe(before - 3000n * PRICE)
  })

  it('closes an unused channel at zero and refunds everything', async () => {
    const payer = payerNumber(1)
    const before = await balance(payer.account.address)
    sandbox.inject('mpp_commit_failed', { on: 'open' })
    const { answer, channel } = await payer.open(chatCosting(100), { deposit: 700_000n, cumulative: 700_000n })
    expect(answer).toMatchObject({ status: 500, code: 'mpp_commit_failed', receipt: undefined })
    expect(await payer.close(channel, 0n)).toMatchObject({ status: 204, receipt: { spent: 0n } })
    expect(await balance(payer.account.address)).toBe(before)
    expect(sandbox.accounting().channels.find(({ channelId }) => channelId === channel.channelId)).toMatchObject({
      captured: '0',
      refunded: '700000',
    })
  })

  it('meters parallel requests exactly and never beyond the voucher', async () => {
    const busy = await startSandbox({ chain, latencyMs: 20 })
    try {
      const payer = payerNumber(2, busy)
      const { channel } = await payer.open(chatCosting(100), { deposit: 1_000_000n, cumulative: 1_000_000n })
      // 20,000 are spent; 980,000 are left, enough for 98 of the 120 requests at 10,000 each.
      const answers = await Promise.all(
        Array.from({ length: 120 }, () => payer.pay(channel, chatCosting(50), 1_000_000n)),
      )
      const paid = answers.filter(({ status }) => status === 200)
      expect(paid).toHaveLength(98)
      expect(new Set(answers.filter(({ status }) => status !== 200).map(({ code }) => code))).toEqual(
        new Set(['mpp_voucher_bucket_refresh_required']),
      )
      expect(new Set(paid.map(({ receipt }) => receipt?.spent)).size).toBe(98)
      expect(busy.accounting().channels[0]).toMatchObject({ spent: '1000000', accepted: '1000000' })
    } finally {
      await busy.stop()
    }
  })

  it('waits for running requests before it closes, and captures them', async () => {
    const slow = await startSandbox({ chain, latencyMs: 400 })
    try {
      const payer = payerNumber(3, slow)
      const { channel } = await payer.open(chatCosting(100), { deposit: 1_000_000n, cumulative: 1_000_000n })
      const running = payer.pay(channel, chatCosting(200), 1_000_000n)
      await new Promise((resolve) => setTimeout(resolve, 150))
      const closed = await payer.close(channel, 1_000_000n)
      expect(await running).toMatchObject({ status: 200 })
      expect(closed).toMatchObject({ status: 204, receipt: { spent: 60_000n } })
      expect(await balance(slow.payee)).toBe(60_000n)
    } finally {
      await slow.stop()
    }
  })

  it('broadcasts an open once, however often the same credential comes', async () => {
    const payer = payerNumber(4)
    const before = await balance(payer.account.address)
    const opens = sandbox.accounting().counts.opens
    const body = chatCosting(50)
    const challenges = await Promise.all(Array.from({ length: 5 }, () => payer.challenge(body)))
    const [first] = challenges
    if (first === undefined) throw new Error('no challenge')
    const payload = await payer.openPayload(first.request, { deposit: 400_000n, cumulative: 400_000n })
    const answers = await Promise.all(
      challenges.map(({ challenge }) => payer.send(body, { authorization: payer.credential(challenge, payload) })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(sandbox.accounting().counts.opens - opens).toBe(1)
    expect(before - (await balance(payer.account.address))).toBe(400_000n)
  })

  it('counts a top-up once when its answer was lost and it is sent again', async () => {
    const payer = payerNumber(5)
    const { channel } = await payer.open(chatCosting(50), { deposit: 300_000n, cumulative: 300_000n })
    const topUps = sandbox.accounting().counts.topUps
    const { challenge, request } = await payer.challenge()
    const authorization = payer.credential(challenge, await payer.topUpPayload(channel, 100_000n, request))
    sandbox.inject('answer_lost', { on: 'topUp' })
    await expect(payer.send(undefined, { authorization })).rejects.toThrow()
    expect(await payer.send(undefined, { authorization })).toMatchObject({ status: 204 })
    expect(sandbox.accounting().counts.topUps - topUps).toBe(1)
    expect(await readChannel(chain.client(), { channelId: channel.channelId, escrow: CHANNEL_RESERVE })).toMatchObject({
      deposit: 400_000n,
    })
  })

  it('gives the same answer again for the same credential and idempotency key, and charges once', async () => {
    const payer = payerNumber(6)
    const body = chatCosting(50)
    const { channel } = await payer.open(body, { deposit: 500_000n, cumulative: 500_000n })
    const { challenge, request } = await payer.challenge(body)
    const authorization = payer.credential(challenge, await payer.voucherPayload(channel, 500_000n, request))
    const headers = { authorization, 'idempotency-key': 'turn-7' }
    const twins = await Promise.all([payer.send(body, headers), payer.send(body, headers)])
    const third = await payer.send(body, headers)
    for (const answer of [...twins, third]) {
      expect(answer).toMatchObject({ status: 200, receipt: { spent: 20_000n }, text: twins[0].text })
    }
    expect(await payer.send(body, { ...headers, 'idempotency-key': 'turn-8' })).toMatchObject({
      status: 402,
      code: 'mpp_invalid_challenge',
    })
    expect(await payer.send(body, { authorization })).toMatchObject({ status: 402, code: 'mpp_invalid_challenge' })
    expect(sandbox.accounting().channels.find(({ channelId }) => channelId === channel.channelId)).toMatchObject({
      spent: '20000',
    })
  })

  it('serves a channel that was opened without it, as the chain shows it', async () => {
    const payer = payerNumber(7)
    const body = chatCosting(50)
    const { challenge, request } = await payer.challenge(body)
    const { transaction, channelId, descriptor } = await payer.openPayload(request, {
      deposit: 300_000n,
      cumulative: 0n,
    })
    await chain.client().request({ method: 'eth_sendRawTransaction', params: [transaction] })
    const channel = { channelId, descriptor }
    const voucher = await payer.voucherPayload(channel, 300_000n, request)
    expect(await payer.send(body, { authorization: payer.credential(challenge, voucher) })).toMatchObject({
      status: 200,
      receipt: { spent: 10_000n, acceptedCumulative: 300_000n },
    })
    expect(await payer.close(channel, 300_000n)).toMatchObject({ status: 204 })
  })

  it('stops serving a channel whose payer closes it by force', async () => {
    const payer = payerNumber(8)
    const client = chain.client()
    const { channel } = await payer.open(chatCosting(50), { deposit: 300_000n, cumulative: 300_000n })
    await Actions.channel.requestCloseSync(client, { account: payer.account, channel: channel.descriptor })
    await sandbox.advanceTime(1)
    expect(await payer.pay(channel, chatCosting(50), 300_000n)).toMatchObject({
      status: 402,
      code: 'mpp_payment_verification_failed',
    })
    await sandbox.advanceTime(901)
    await Actions.channel.withdrawSync(client, { account: payer.account, channel: channel.descriptor })
    await sandbox.advanceTime(1)
    expect(await payer.pay(channel, chatCosting(50), 300_000n)).toMatchObject({
      status: 410,
      problem: 'session/channel-finalized',
    })
    expect(sandbox.accounting().channels.find(({ channelId }) => channelId === channel.channelId)).toMatchObject({
      status: 'closed',
      captured: '0',
      refunded: '300000',
    })
    // The chain's clock is now a quarter of an hour ahead of the wall's, and channels still open and close.
    const next = await payer.open(chatCosting(50), { deposit: 300_000n, cumulative: 300_000n })
    expect(next.answer).toMatchObject({ status: 200 })
    expect(await payer.topUp(next.channel, 1n)).toMatchObject({ status: 204 })
    expect(await payer.close(next.channel, 300_000n)).toMatchObject({ status: 204 })
  })
})
