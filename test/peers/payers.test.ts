// The kinds of payer: a plain private key, a separate voucher signer, an access key of a Tempo account.
// Must never trust a refusal of our own code where the chain or the gateway is meant to refuse: both are tried.
import type { LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Account, Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MppClient } from '../../src/index.js'
import { descriptorSchema, type Hex, parseHex } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { memoryStore } from '../../src/sessions/index.js'
import { readChannel, signVoucher, toChainFailure } from '../../src/tempo/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { type MppxGateway, startMppxGateway } from './mppx-gateway.js'
import { settlementOf, work } from './peer-stage.js'

let stage: Stage
const running: MppxGateway[] = []
beforeAll(async () => {
  stage = await setStage()
})
afterAll(async () => {
  await Promise.all(running.map((gateway) => gateway.stop()))
  await stage?.stop()
})

const FUNDS = 10_000_000n

/** Gives a new account something to pay with. */
async function fund<Payer extends { readonly address: `0x${string}` }>(account: Payer): Promise<Payer> {
  const { chain } = stage
  await Actions.token.transferSync(chain.client(), {
    account: stage.payer(),
    token: chain.token,
    to: account.address,
    amount: FUNDS,
  })
  return account
}

async function mppxServer(): Promise<MppxGateway> {
  const gateway = await startMppxGateway({ chain: stage.chain, suggestedDeposit: '0.5' })
  running.push(gateway)
  return gateway
}

async function channelId(mpp: MppClient): Promise<Hex> {
  const [session] = await mpp.sessions.list()
  const id = parseHex(session?.channelId, 32)
  if (!id.ok) throw new Error('there is no channel')
  return id.value
}

/** Pays both kinds of server, with a top-up at the second, and closes. */
async function payBoth(account: LocalAccount, options: { readonly voucherSigner?: LocalAccount } = {}) {
  const sandbox = await stage.gateway()
  const mppx = await mppxServer()
  const store = memoryStore()
  const mpp = stage.client(account, { store, ...options })
  await paySome(mpp, sandbox.chat, 2, () => chat(500))
  await paySome(mpp, mppx.url, 7, () => work())
  const descriptors = (await store.list()).map(({ session }) => session.descriptor)
  const closed = []
  for (const session of await mpp.sessions.list())
    closed.push(settlementOf(await mpp.sessions.close(session.channelId)))
  expect(closed).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ settled: '200000', refunded: '4800000' }),
      expect.objectContaining({ settled: '700000', refunded: '300000' }),
    ]),
  )
  expect(await stage.balance(account.address)).toBe(FUNDS - 900_000n)
  expect(await stage.balance(sandbox.payee)).toBe(200_000n)
  expect(await stage.balance(mppx.account.address)).toBe(700_000n)
  expect(mppx.refused).toEqual([])
  expect(sandbox.accounting().counts.rejectedCredentials).toBe(0)
  return { descriptors }
}

describe('a plain private key', () => {
  it('pays the sandbox and an mppx server, and gets back what it did not use', async () => {
    const account = await fund(privateKeyToAccount(generatePrivateKey()))
    const { descriptors } = await payBoth(account)
    for (const descriptor of descriptors) {
      expect(descriptor).toMatchObject({
        payer: account.address.toLowerCase(),
        authorizedSigner: account.address.toLowerCase(),
      })
    }
  })
})

describe('a separate voucher signer', () => {
  /** A cold account that pays, a hot key that signs vouchers, and a channel at an mppx server with one paid request. */
  async function hotAndCold() {
    const gateway = await mppxServer()
    const cold = await fund(privateKeyToAccount(generatePrivateKey()))
    const hot = await fund(privateKeyToAccount(generatePrivateKey()))
    const store = memoryStore()
    const mpp = stage.client(cold, { voucherSigner: hot, store })
    await paySome(mpp, gateway.url, 1, () => work())
    const [record] = await store.list()
    const voucher = {
      channelId: await channelId(mpp),
      cumulative: 300_000n,
      chainId: stage.chain.chainId,
      escrow: CHANNEL_RESERVE,
    }
    return { gateway, cold, hot, mpp, voucher, channel: descriptorSchema.parse(record?.session.descriptor) }
  }

  it('signs every voucher; the paying account signs opens and top-ups only', async () => {
    const account = await fund(privateKeyToAccount(generatePrivateKey()))
    const signer = privateKeyToAccount(generatePrivateKey())
    const [cold, hot] = [counted(account), counted(signer)]
    const { descriptors } = await payBoth(cold.account, { voucherSigner: hot.account })
    for (const descriptor of descriptors) {
      expect(descriptor).toMatchObject({
        payer: account.address.toLowerCase(),
        authorizedSigner: signer.address.toLowerCase(),
      })
    }
    // Two opens and a top-up; one bucket at the sandbox, seven requests at mppx.
    expect(cold.vouchers).toEqual([])
    expect(cold.signatures()).toBe(3)
    expect(hot.signatures()).toBe(8)
    expect(hot.vouchers).toHaveLength(8)
  })

  it('cannot move the deposit: the chain refuses it everything', async () => {
    const { gateway, cold, hot: account, voucher, channel } = await hotAndCold()
    const { chain } = stage
    const client = chain.client()
    const before = await readChannel(client, voucher)
    const held = await stage.balance(cold.address)
    const cumulativeAmount = voucher.cumulative
    const take = { account, channel, cumulativeAmount, signature: await signVoucher(account, voucher) }
    const attempts: Record<string, () => Promise<unknown>> = {
      'requestClose NotPayer': () => Actions.channel.requestCloseSync(client, { account, channel }),
      'withdraw NotPayer': () => Actions.channel.withdrawSync(client, { account, channel }),
      'topUp NotPayer': () => Actions.channel.topUpSync(client, { account, channel, additionalDeposit: 1n }),
      'settle NotPayeeOrOperator': () => Actions.channel.settleSync(client, take),
      'close NotPayeeOrOperator': () => Actions.channel.closeSync(client, { ...take, captureAmount: cumulativeAmount }),
      'transferFrom InsufficientAllowance': () =>
        Actions.token.transferSync(client, {
          account,
          token: chain.token,
          from: cold.address,
          to: account.address,
          amount: 1n,
        }),
    }
    for (const [expected, attempt] of Object.entries(attempts)) {
      const failure = await attempt().then(() => undefined, toChainFailure)
      expect(`${expected.split(' ')[0]} ${failure?.detail}`).toBe(expected)
    }
    expect(await readChannel(client, voucher)).toEqual(before)
    expect(await stage.balance(cold.address)).toBe(held)
    expect(await stage.balance(account.address)).toBe(FUNDS)
    expect(await stage.balance(gateway.account.address)).toBe(0n)
  })

  it('is the only one whose vouchers the chain takes from the payee', async () => {
    const { gateway, cold, hot, voucher, channel } = await hotAndCold()
    const client = stage.chain.client()
    const account = await fund(gateway.account)
    const settle = async (signer: LocalAccount) =>
      Actions.channel.settleSync(client, {
        account,
        channel,
        cumulativeAmount: voucher.cumulative,
        signature: await signVoucher(signer, voucher),
      })
    for (const other of [cold, privateKeyToAccount(generatePrivateKey())]) {
      expect(await settle(other).catch(toChainFailure)).toMatchObject({
        reason: 'reverted',
        detail: 'InvalidSignature',
      })
    }
    expect(await readChannel(client, voucher)).toMatchObject({ settled: 0n })
    await settle(hot)
    expect(await readChannel(client, voucher)).toMatchObject({ settled: voucher.cumulative })
    expect(await stage.balance(account.address)).toBe(FUNDS + voucher.cumulative)
  })

  it.each([
    { who: 'a stranger', sign: () => privateKeyToAccount(generatePrivateKey()).signTypedData },
    { who: 'the paying account itself', sign: (cold: LocalAccount) => cold.signTypedData },
  ])('is the only one: a voucher by $who is refused by the gateway, and takes nothing', async ({ sign }) => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const cold = await fund(privateKeyToAccount(generatePrivateKey()))
    const hot = privateKeyToAccount(generatePrivateKey())
    const forged: LocalAccount = { ...hot, signTypedData: sign(cold) }
    const mpp = stage.client(cold, { voucherSigner: forged })
    const failure = failureOf(await mpp.pay(gateway.chat, chat(500)))
    expect(failure.code).toBe('mpp_payment_verification_failed')
    expect(gateway.accounting()).toMatchObject({ channels: [], counts: { opens: 0, completions: 0 } })
    expect(await stage.balance(cold.address)).toBe(FUNDS)
  })

  it('is bound by the deposit: without the paying account there is no more than that', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const cold = await fund(privateKeyToAccount(generatePrivateKey()))
    let locked = false
    const vault: LocalAccount = {
      ...cold,
      signTransaction: (...parameters) => {
        if (locked) throw new Error('the vault is locked')
        return cold.signTransaction(...parameters)
      },
      signTypedData: () => Promise.reject(new Error('the vault signs no vouchers')),
    }
    const mpp = stage.client(vault, { voucherSigner: privateKeyToAccount(generatePrivateKey()) })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    locked = true
    await paySome(mpp, gateway.chat, 9, () => chat(500))
    const failure = failureOf(await mpp.pay(gateway.chat, chat(500)))
    expect(failure).toMatchObject({ code: 'signing_failed', cause: 'mpp_voucher_bucket_refresh_required' })
    expect(JSON.stringify(failure)).not.toContain('vault')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '1000000', signed: '1000000' }])
    locked = false
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    expect(settlementOf(await mpp.sessions.close(await channelId(mpp)))).toMatchObject({
      settled: '1100000',
      refunded: '900000',
    })
    expect(await stage.balance(cold.address)).toBe(FUNDS - 1_100_000n)
  })
})

describe('an access key of a Tempo account', () => {
  // The sandbox's chain carries access keys: it knows them, and executes what they sign. Three things are missing.
  // Its gas estimate leaves out what an authorisation costs, so the test names the gas. A transaction by a revoked key is
  // taken in and dropped without a word, as anvil does it. And a key's spending limit holds for transfers, but not for
  // deposits: the sandbox's reserve is a contract that is given its allowance, not the precompile that counts.
  const GAS = 3_000_000n

  async function accessKey(kind: 'secp256k1' | 'p256') {
    const root = await fund(Account.fromSecp256k1(generatePrivateKey()))
    const access =
      kind === 'p256'
        ? Account.fromP256(generatePrivateKey(), { access: root })
        : Account.fromSecp256k1(generatePrivateKey(), { access: root })
    const { receipt } = await Actions.accessKey.authorizeSync(stage.chain.client(), {
      account: root,
      accessKey: access,
      expiry: Math.floor(Date.now() / 1000) + 3_600,
      feeToken: stage.chain.token,
      gas: GAS,
    })
    expect(receipt.status).toBe('success')
    return { root, access }
  }

  it.each(['secp256k1', 'p256'] as const)('(%s) opens, tops up and signs vouchers for its account', async (kind) => {
    const { root, access } = await accessKey(kind)
    const { descriptors } = await payBoth(access)
    for (const descriptor of descriptors) {
      expect(descriptor).toMatchObject({
        payer: root.address.toLowerCase(),
        authorizedSigner: access.accessKeyAddress.toLowerCase(),
      })
    }
  })

  it('pays with another voucher signer too', async () => {
    const { root, access } = await accessKey('secp256k1')
    const signer = privateKeyToAccount(generatePrivateKey())
    const { descriptors } = await payBoth(access, { voucherSigner: signer })
    for (const descriptor of descriptors) {
      expect(descriptor).toMatchObject({
        payer: root.address.toLowerCase(),
        authorizedSigner: signer.address.toLowerCase(),
      })
    }
  })
})
