// The gateway's codes from their real causes, over real HTTP and a real chain.
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Credential } from '../../src/protocol/credential.js'
import { formatDigest, sha256 } from '../../src/protocol/digest.js'
import { type LocalChain, type Sandbox, startChain, startSandbox } from '../../src/sandbox/index.js'
import { signVoucher, ZERO_ADDRESS } from '../../src/tempo/index.js'
import {
  bent,
  type Channel,
  chatCosting,
  expectCode,
  type GatewayAnswer,
  Payer,
  rawCredential,
} from './gateway-payer.js'

const BODY = chatCosting(50)

let chain: LocalChain
let sandbox: Sandbox
let payer: Payer
let channel: Channel

beforeAll(async () => {
  chain = await startChain()
  sandbox = await startSandbox({ chain })
  payer = payerNumber(0)
  const opened = await payer.open(BODY, { deposit: 1_000_000n, cumulative: 1_000_000n })
  channel = opened.channel
})
afterAll(async () => {
  await sandbox?.stop()
  await chain?.stop()
})

function payerNumber(index: number): Payer {
  const account = sandbox.accounts[index]
  if (account === undefined) throw new Error('no such account')
  return new Payer(sandbox, chain, account)
}

async function paying(
  change: (credential: Credential) => Credential,
  body = BODY,
  sent = body,
): Promise<GatewayAnswer> {
  const { challenge, request } = await payer.challenge(body)
  const payload = await payer.voucherPayload(channel, 1_000_000n, request)
  const source = `did:pkh:eip155:${chain.chainId}:${payer.account.address}`
  const { challenge: c, payload: p, source: s } = change({ challenge, payload, source })
  return payer.send(sent, { authorization: payer.credential(c, p, s) })
}

describe('challenges', () => {
  it('payment_required: no credential; the challenge is bound to the body just received', async () => {
    const answer = await payer.send(BODY)
    expectCode(answer, 'payment_required')
    expect(answer.challenge?.digest).toBe(formatDigest(await sha256(new TextEncoder().encode(BODY))))
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expectCode(await payer.send(undefined), 'payment_required')
  })

  it('says what the session costs', async () => {
    const { request, challenge } = await payer.challenge(BODY)
    expect(request).toMatchObject({
      amount: 1_000_000n,
      suggestedDeposit: 5_000_000n,
      currency: chain.token,
      recipient: sandbox.payee,
      chainId: 42431,
      sessionProtocol: 'v2',
    })
    expect(request.operator).toBeUndefined()
    expect(challenge.realm).toBe(new URL(sandbox.url).host)
  })

  it.each([
    ['id', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['realm', 'elsewhere'],
    ['request', 'e30'],
    ['expires', '2999-01-01T00:00:00Z'],
    ['digest', 'sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'],
    ['opaque', 'e30'],
  ])('mpp_invalid_challenge: %s was changed', async (name, value) => {
    const answer = await paying((credential) => ({
      ...credential,
      challenge: bent(credential.challenge, { [name]: value }),
    }))
    expectCode(answer, 'mpp_invalid_challenge')
  })

  it('mpp_invalid_challenge: a bound parameter was left out', async () => {
    const answer = await paying(({ challenge: { opaque: _, ...challenge }, ...rest }) => ({ ...rest, challenge }))
    expectCode(answer, 'mpp_invalid_challenge')
  })

  it('mpp_invalid_challenge: expired', async () => {
    sandbox.configure({ challengeTtlSeconds: 0.2 })
    const { challenge, request } = await payer.challenge(BODY)
    sandbox.configure({ challengeTtlSeconds: 300 })
    const payload = await payer.voucherPayload(channel, 1_000_000n, request)
    await new Promise((resolve) => setTimeout(resolve, 250))
    const answer = await payer.send(BODY, { authorization: payer.credential(challenge, payload) })
    expectCode(answer, 'mpp_invalid_challenge')
  })

  it('mpp_invalid_challenge: used up by another request', async () => {
    const { challenge, request } = await payer.challenge(BODY)
    const authorization = payer.credential(challenge, await payer.voucherPayload(channel, 1_000_000n, request))
    const answers = await Promise.all([payer.send(BODY, { authorization }), payer.send(BODY, { authorization })])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 402])
    expectCode(answers.find(({ status }) => status === 402) ?? answers[0], 'mpp_invalid_challenge')
  })

  it('mpp_body_digest_mismatch: one byte differs', async () => {
    expectCode(await paying((credential) => credential, BODY, `${BODY} `), 'mpp_body_digest_mismatch')
  })
})

describe('credentials', () => {
  it.each([
    ['another scheme', 'Bearer vk-whatever'],
    ['no base64url', 'Payment ***'],
    ['no JSON', 'Payment bm90IGpzb24'],
    ['no credential', rawCredential({ challenge: {} })],
    ['too large', `Payment ${'A'.repeat(20_000)}`],
  ])('mpp_malformed_credential: %s', async (_, authorization) => {
    expectCode(await payer.send(BODY, { authorization }), 'mpp_malformed_credential')
  })

  it('mpp_method_unsupported: another method, another intent, another payload', async () => {
    expectCode(
      await paying((c) => ({ ...c, challenge: bent(c.challenge, { method: 'stripe' }) })),
      'mpp_method_unsupported',
    )
    expectCode(
      await paying((c) => ({ ...c, challenge: bent(c.challenge, { intent: 'charge' }) })),
      'mpp_method_unsupported',
    )
    const { challenge } = await payer.challenge(BODY)
    const charge = rawCredential({ challenge, source: 'did:pkh:eip155:1:0x0', payload: { type: 'hash', hash: '0x00' } })
    expectCode(await payer.send(BODY, { authorization: charge }), 'mpp_method_unsupported')
  })

  it('mpp_payer_not_allowed: blocked payer, before anything is spent', async () => {
    sandbox.configure({ blockedPayers: [payer.account.address] })
    const answer = await paying((credential) => credential)
    sandbox.configure({ blockedPayers: [] })
    expectCode(answer, 'mpp_payer_not_allowed')
  })

  const zero32 = `0x${'00'.repeat(32)}` as const
  it.each<[string, (credential: Credential) => Credential]>([
    ['the source is someone else', (c) => ({ ...c, source: `did:pkh:eip155:42431:${ZERO_ADDRESS}` })],
    ['the source is on another chain', (c) => ({ ...c, source: c.source.replace('42431', '4217') })],
    ['the source is unreadable', (c) => ({ ...c, source: 'me' })],
    ['the payee is another', (c) => describing(c, { payee: ZERO_ADDRESS })],
    ['the token is another', (c) => describing(c, { token: ZERO_ADDRESS })],
    ['an operator appears', (c) => describing(c, { operator: c.payload.descriptor.payer })],
    ['the channel id is another', (c) => ({ ...c, payload: { ...c.payload, channelId: zero32 } })],
    ['the signature is empty', (c) => signing(c, '0x00')],
    ['the signature is for another amount', (c) => ({ ...c, payload: { ...c.payload, cumulativeAmount: '999999' } })],
  ])('mpp_payment_verification_failed: %s', async (_, change) => {
    expectCode(await paying(change), 'mpp_payment_verification_failed')
  })

  it('mpp_payment_verification_failed: signed by someone else', async () => {
    const { challenge, request } = await payer.challenge(BODY)
    const payload = await payer.voucherPayload(channel, 1_000_000n, request)
    const stranger = privateKeyToAccount(`0x${'77'.repeat(32)}`)
    const { channelId } = channel
    const voucher = { channelId, cumulative: 1_000_000n, chainId: chain.chainId, escrow: request.escrowContract }
    const forged = { ...payload, signature: await signVoucher(stranger, voucher) }
    const answer = await payer.send(BODY, { authorization: payer.credential(challenge, forged) })
    expectCode(answer, 'mpp_payment_verification_failed')
  })

  it('mpp_payment_verification_failed: a channel that is not on the chain', async () => {
    const other = payerNumber(1)
    const { challenge, request } = await other.challenge(BODY)
    const { channelId, descriptor } = await other.openPayload(request, { deposit: 1_000_000n, cumulative: 0n })
    const payload = await other.voucherPayload({ channelId, descriptor }, 1_000_000n, request)
    const answer = await other.send(BODY, { authorization: other.credential(challenge, payload) })
    expectCode(answer, 'mpp_payment_verification_failed')
  })
})

function describing(credential: Credential, change: Partial<Channel['descriptor']>): Credential {
  const { payload } = credential
  return { ...credential, payload: { ...payload, descriptor: { ...payload.descriptor, ...change } } }
}

function signing(credential: Credential, signature: `0x${string}`): Credential {
  const { payload } = credential
  return 'signature' in payload ? { ...credential, payload: { ...payload, signature } } : credential
}

describe('quotes and buckets', () => {
  it.each([
    ['max_tokens is missing', JSON.stringify({ model: 'sandbox-small', messages: [{ role: 'user', content: 'Hi' }] })],
    ['max_tokens is zero', chatCosting(4)],
    ['messages are missing', JSON.stringify({ model: 'sandbox-small', max_tokens: 5 })],
    ['the body is no JSON', 'hello'],
  ])('mpp_request_quote_invalid: %s, unpaid and paid', async (_, body) => {
    expectCode(await payer.send(body), 'mpp_request_quote_invalid')
    const { challenge, request } = await payer.challenge()
    const digested = await payer.send(body, {
      authorization: payer.credential(challenge, await payer.voucherPayload(channel, 1_000_000n, request)),
    })
    // The challenge was issued for no body, so its digest is looked at first.
    expectCode(digested, 'mpp_body_digest_mismatch')
  })

  it('mpp_request_quote_invalid on a paid send: the price fell to zero meanwhile', async () => {
    const { challenge, request } = await payer.challenge(BODY)
    sandbox.configure({ pricePerToken: 0n })
    const payload = await payer.voucherPayload(channel, 1_000_000n, request)
    const answer = await payer.send(BODY, { authorization: payer.credential(challenge, payload) })
    sandbox.configure({ pricePerToken: 200n })
    expectCode(answer, 'mpp_request_quote_invalid')
  })

  it('mpp_streaming_unavailable, unpaid and paid', async () => {
    const streaming = JSON.stringify({ ...JSON.parse(BODY), stream: true })
    expectCode(await payer.send(streaming), 'mpp_streaming_unavailable')
    const { challenge, request } = await payer.challenge(BODY)
    const payload = await payer.voucherPayload(channel, 1_000_000n, request)
    const paid = await payer.send(streaming, { authorization: payer.credential(challenge, payload) })
    expectCode(paid, 'mpp_streaming_unavailable')
  })

  it('mpp_request_exceeds_voucher_bucket: more than a whole bucket', async () => {
    expectCode(await payer.pay(channel, chatCosting(5001), 1_000_000n), 'mpp_request_exceeds_voucher_bucket')
  })

  it('mpp_voucher_bucket_refresh_required: more than is left of the bucket', async () => {
    expectCode(await payer.pay(channel, chatCosting(5000), 1_000_000n), 'mpp_voucher_bucket_refresh_required')
  })

  it('session/delta-too-small: a voucher that is hardly higher', async () => {
    const other = payerNumber(2)
    const { channel: own } = await other.open(BODY, { deposit: 1_000_000n, cumulative: 100_000n })
    sandbox.configure({ minVoucherDelta: '0.05' })
    const small = await other.pay(own, BODY, 149_999n)
    const enough = await other.pay(own, BODY, 150_000n)
    sandbox.configure({ minVoucherDelta: 0n })
    expect(small).toMatchObject({ status: 402, problem: 'session/delta-too-small' })
    expect(small.challenge).toBeDefined()
    expect(enough).toMatchObject({ status: 200 })
  })
})

describe('opening and topping up', () => {
  it('mpp_session_deposit_below_request_cost: the deposit is lower than the first voucher; nothing is broadcast', async () => {
    const other = payerNumber(3)
    const { answer, channel: own } = await other.open(BODY, { deposit: 999_999n, cumulative: 1_000_000n })
    expectCode(answer, 'mpp_session_deposit_below_request_cost')
    expect(sandbox.accounting().channels.some(({ channelId }) => channelId === own.channelId)).toBe(false)
  })

  it('mpp_voucher_bucket_refresh_required: the first voucher is lower than the quote; nothing is broadcast', async () => {
    const other = payerNumber(3)
    const { answer, channel: own } = await other.open(BODY, { deposit: 1_000_000n, cumulative: 9_999n })
    expectCode(answer, 'mpp_voucher_bucket_refresh_required')
    expect(sandbox.accounting().channels.some(({ channelId }) => channelId === own.channelId)).toBe(false)
  })

  it('mpp_payment_verification_failed: the transaction is too late, unsponsored, or for another channel', async () => {
    const other = payerNumber(3)
    const terms = { deposit: 1_000_000n, cumulative: 1_000_000n }
    const attempts = [
      await other.openPayload((await other.challenge(BODY)).request, { ...terms, bend: { feePayer: true } }),
      await other.openPayload((await other.challenge(BODY)).request, { ...terms, bend: { chainId: 4217 } }),
    ]
    const [one, two] = [
      await other.openPayload((await other.challenge(BODY)).request, terms),
      await other.openPayload((await other.challenge(BODY)).request, terms),
    ]
    attempts.push({ ...one, transaction: two.transaction })
    for (const payload of attempts) {
      const { challenge } = await other.challenge(BODY)
      const answer = await other.send(BODY, { authorization: other.credential(challenge, payload) })
      expectCode(answer, 'mpp_payment_verification_failed')
    }
    await sandbox.advanceTime(40)
    const { challenge } = await other.challenge(BODY)
    const late = await other.send(BODY, { authorization: other.credential(challenge, one) })
    expectCode(late, 'mpp_payment_verification_failed')
  })

  it('mpp_payment_verification_failed: a top-up for another amount or another channel', async () => {
    const other = payerNumber(4)
    const { channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
    const { challenge, request } = await other.challenge()
    const topUp = await other.topUpPayload(own, 5n, request)
    const more = { ...topUp, additionalDeposit: '6' }
    expectCode(
      await other.send(undefined, { authorization: other.credential(challenge, more) }),
      'mpp_payment_verification_failed',
    )
    const elsewhere = { ...topUp, ...channel }
    expectCode(
      await payer.send(undefined, { authorization: payer.credential(challenge, elsewhere) }),
      'mpp_payment_verification_failed',
    )
    expectCode(
      await other.send(undefined, { authorization: other.credential(bent(challenge, { realm: 'x' }), topUp) }),
      'mpp_invalid_challenge',
    )
    expect(await other.send(undefined, { authorization: other.credential(challenge, topUp) })).toMatchObject({
      status: 204,
    })
  })
})

describe('closing', () => {
  it('mpp_session_close_unavailable: no close signer; closing works once there is one', async () => {
    const other = payerNumber(5)
    const { channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
    sandbox.setCloseSigner(false)
    expectCode(await other.close(own, 500_000n), 'mpp_session_close_unavailable')
    sandbox.setCloseSigner(true)
    expect(await other.close(own, 500_000n)).toMatchObject({ status: 204 })
  })

  it('captures what was spent and no more, also when the voucher says more than the deposit', async () => {
    const other = payerNumber(5)
    const { channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
    expect(await other.close(own, 900_000n)).toMatchObject({ status: 204, receipt: { spent: 10_000n } })
    expect(sandbox.accounting().channels.find(({ channelId }) => channelId === own.channelId)).toMatchObject({
      captured: '10000',
      refunded: '490000',
    })
  })

  it('mpp_payment_verification_failed: the voucher does not cover what was spent, or is signed by nobody', async () => {
    const other = payerNumber(6)
    const { channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
    expectCode(await other.close(own, 9_999n), 'mpp_payment_verification_failed')
    const { challenge, request } = await other.challenge()
    const payload = await other.voucherPayload(own, 20_000n, request, 'close')
    const unsigned = { ...payload, cumulativeAmount: '20001' }
    const answer = await other.send(undefined, { authorization: other.credential(challenge, unsigned) })
    expectCode(answer, 'mpp_payment_verification_failed')
    expect(await other.close(own, 10_000n)).toMatchObject({ status: 204, receipt: { spent: 10_000n } })
  })
})
