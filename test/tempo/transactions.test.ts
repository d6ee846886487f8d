// Open and top-up transactions on a real chain: what is signed, what a server reads in it, what the chain makes of it.
import { TxEnvelopeTempo } from 'ox/tempo'
import { createClient, http, type LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Account, Actions, Transaction } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Hex } from '../../src/protocol/hex.js'
import { CHANNEL_RESERVE } from '../../src/protocol/session-request.js'
import { type LocalChain, type LocalChainClient, startChain } from '../../src/sandbox/chain/start-chain.js'
import {
  ChainFailure,
  decodeOpen,
  decodeTopUp,
  readChainTime,
  readChannel,
  readClosing,
  readDecimals,
  readTokenBalance,
  signClose,
  signOpen,
  signTopUp,
  signVoucher,
  toChainFailure,
  transactionHash,
  ZERO_ADDRESS,
} from '../../src/tempo/index.js'

const payee = privateKeyToAccount(generatePrivateKey())
const FEE_TOKEN_OF_NOBODY = '0x20c0000000000000000000000000000000000fee' as const

let chain: LocalChain
let client: LocalChainClient
let payer: LocalAccount
let where: { chainId: number; escrow: Hex }

beforeAll(async () => {
  chain = await startChain()
  client = chain.client()
  payer = accountNumber(0)
  where = { chainId: chain.chainId, escrow: CHANNEL_RESERVE }
})
afterAll(() => chain?.stop())

function accountNumber(index: number): LocalAccount {
  const account = chain.accounts[index]
  if (account === undefined) throw new Error('no such account')
  return account
}

function openTerms(account: LocalAccount = payer, deposit = 1_000_000n) {
  const { token } = chain
  return {
    ...where,
    account,
    payee: payee.address,
    operator: ZERO_ADDRESS,
    token,
    deposit,
    authorizedSigner: account.address,
  }
}

async function send(transaction: Hex): Promise<'success' | 'reverted'> {
  const hash = await client.request({ method: 'eth_sendRawTransaction', params: [transaction] })
  for (let tries = 0; tries < 100; tries++) {
    const receipt = await client.request({ method: 'eth_getTransactionReceipt', params: [hash] })
    if (receipt !== null) return receipt.status === '0x1' ? 'success' : 'reverted'
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('not mined')
}

async function failure(promise: Promise<unknown>): Promise<ChainFailure> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof ChainFailure) return error
  throw error
}

describe('signOpen and signTopUp', () => {
  it.each(['viem', 'viem/tempo'])('fund the channel they name, for a %s account', async (kind) => {
    const key = generatePrivateKey()
    const account = kind === 'viem' ? privateKeyToAccount(key) : Account.fromSecp256k1(key)
    await Actions.token.transferSync(client, {
      account: payer,
      token: chain.token,
      to: account.address,
      amount: 5_000_000n,
    })
    const open = await signOpen(client, openTerms(account))
    expect(open.transaction).toMatch(/^0x76[0-9a-f]+$/)
    expect(open.transactionHash).toBe(transactionHash(open.transaction))
    expect(await send(open.transaction)).toBe('success')
    const { channelId, descriptor } = open
    expect(await readChannel(client, { channelId, escrow: CHANNEL_RESERVE })).toEqual({
      deposit: 1_000_000n,
      settled: 0n,
      closeRequestedAt: 0,
    })
    const topUp = await signTopUp(client, { ...where, account, descriptor, additionalDeposit: 250_000n })
    expect(topUp.channelId).toBe(channelId)
    expect(await send(topUp.transaction)).toBe('success')
    expect(await readChannel(client, { channelId, escrow: CHANNEL_RESERVE })).toMatchObject({ deposit: 1_250_000n })
    expect(await readTokenBalance(client, { token: chain.token, owner: account.address })).toBe(3_750_000n)
  })

  it('sign two equal top-ups as two transactions, and both count', async () => {
    const { transaction, descriptor, channelId } = await signOpen(client, openTerms())
    await send(transaction)
    const terms = { ...where, account: payer, descriptor, additionalDeposit: 10n }
    const [one, two] = await Promise.all([signTopUp(client, terms), signTopUp(client, terms)])
    expect(one.transaction).not.toBe(two.transaction)
    expect([await send(one.transaction), await send(two.transaction)]).toEqual(['success', 'success'])
    expect(await readChannel(client, { channelId, escrow: CHANNEL_RESERVE })).toMatchObject({ deposit: 1_000_020n })
  })

  it('reckon validity by the chain’s clock, at most 25 seconds', async () => {
    await chain.advanceTime(5_000)
    const now = await readChainTime(client)
    expect(now).toBeGreaterThan(Date.now() / 1000 + 4_990)
    const open = await signOpen(client, { ...openTerms(), validForSeconds: 3_600 })
    expect(open.validBefore - now).toBeGreaterThanOrEqual(24)
    expect(open.validBefore - now).toBeLessThanOrEqual(27)
    const brief = await signOpen(client, { ...openTerms(), validForSeconds: 8 })
    expect(brief.validBefore - now).toBeLessThanOrEqual(10)
    expect(await send(open.transaction)).toBe('success')
  })

  it('need few round trips', async () => {
    let requests = 0
    const counting = createClient({
      chain: client.chain,
      transport: http(chain.rpcUrl, {
        fetchFn: (...parameters) => {
          requests += 1
          return fetch(...parameters)
        },
      }),
    })
    await signOpen(counting, openTerms())
    expect(requests).toBeLessThanOrEqual(4)
  })
})

describe('decodeOpen and decodeTopUp', () => {
  it('read what was signed, and compute the same channel', async () => {
    const open = await signOpen(client, openTerms())
    const read = await decodeOpen(open.transaction, where)
    expect(read).toMatchObject({
      ok: true,
      value: {
        sender: payer.address.toLowerCase(),
        deposit: 1_000_000n,
        payee: payee.address.toLowerCase(),
        operator: ZERO_ADDRESS,
        token: chain.token,
        descriptor: open.descriptor,
        channelId: open.channelId,
        validBefore: open.validBefore,
        awaitsFeePayer: false,
      },
    })
    await send(open.transaction)
    const { descriptor } = open
    const topUp = await signTopUp(client, { ...where, account: payer, descriptor, additionalDeposit: 7n })
    expect(await decodeTopUp(topUp.transaction, where)).toMatchObject({
      ok: true,
      value: { descriptor, channelId: open.channelId, additionalDeposit: 7n, sender: payer.address.toLowerCase() },
    })
  })

  it('read a sponsored open before its sponsor has signed, with the channel it will have', async () => {
    const open = await signOpen(client, { ...openTerms(), feePayer: true })
    expect(open.transaction).toMatch(/^0x78/)
    const read = await decodeOpen(open.transaction, where)
    expect(read).toMatchObject({ ok: true, value: { channelId: open.channelId, awaitsFeePayer: true } })
    // The sponsor adds its signature; neither the sender's nor the channel changes.
    const envelope = TxEnvelopeTempo.deserialize(open.transaction as TxEnvelopeTempo.Serialized)
    const sponsored = await signOpen(client, { ...openTerms(), feePayer: accountNumber(1) })
    expect(sponsored.transaction).toMatch(/^0x76/)
    expect(await decodeOpen(sponsored.transaction, where)).toMatchObject({
      ok: true,
      value: { channelId: sponsored.channelId, awaitsFeePayer: false },
    })
    expect(envelope.feePayerSignature).toBeNull()
    expect(await send(sponsored.transaction)).toBe('success')
    expect(await readChannel(client, { channelId: sponsored.channelId, escrow: CHANNEL_RESERVE })).toMatchObject({
      deposit: 1_000_000n,
    })
  })

  it('refuse everything else, each with its reason', async () => {
    const open = await signOpen(client, openTerms())
    await send(open.transaction)
    const { descriptor } = open
    const topUp = await signTopUp(client, { ...where, account: payer, descriptor, additionalDeposit: 7n })
    const envelope = TxEnvelopeTempo.deserialize(open.transaction as TxEnvelopeTempo.Serialized)
    const { signature: _, from: __, feePayerSignature: ___, ...unsigned } = envelope
    const again = async (change: object, account = payer): Promise<Hex> =>
      account.signTransaction({ ...unsigned, ...change } as never, { serializer: Transaction.serialize as never })
    const [call] = unsigned.calls
    const { calls } = TxEnvelopeTempo.deserialize(topUp.transaction as TxEnvelopeTempo.Serialized)
    const refusals: [Promise<{ ok: boolean }>, string][] = [
      [decodeOpen('0x', where), 'not_a_tempo_transaction'],
      [decodeOpen('0x76', where), 'not_a_tempo_transaction'],
      [decodeOpen('0x02c0', where), 'not_a_tempo_transaction'],
      [decodeOpen(`0x76${'00'.repeat(9_000)}`, where), 'too_large'],
      [decodeOpen(TxEnvelopeTempo.serialize(unsigned), where), 'unsigned'],
      [decodeOpen(open.transaction, { ...where, chainId: 4217 }), 'wrong_chain'],
      [decodeOpen(open.transaction, { ...where, escrow: payee.address }), 'wrong_escrow'],
      [decodeOpen(topUp.transaction, where), 'wrong_function'],
      [decodeTopUp(open.transaction, where), 'wrong_function'],
      [decodeTopUp(await again({ calls }, accountNumber(1)), where), 'wrong_payer'],
      [decodeOpen(await again({ nonceKey: 5n }), where), 'not_expiring'],
      [decodeOpen(await again({ validBefore: undefined }), where), 'not_expiring'],
      [decodeOpen(await again({ calls: [call, call] }), where), 'not_one_call'],
      [decodeOpen(await again({ calls: [{ ...call, value: 1n }] }), where), 'not_one_call'],
      [decodeOpen(await again({ calls: [{ ...call, data: '0x12345678' }] }), where), 'wrong_function'],
      [decodeOpen(await again({ calls: [{ ...call, data: call?.data?.slice(0, -64) }] }), where), 'wrong_function'],
    ]
    for (const [decoding, reason] of refusals) expect(await decoding).toMatchObject({ ok: false, reason })
  })

  it('see another sender or refuse when a single byte was changed', async () => {
    const { transaction } = await signOpen(client, openTerms())
    for (let at = 4; at < transaction.length - 1; at += 37) {
      const digit = transaction[at] === '0' ? '1' : '0'
      const changed: Hex = `0x${transaction.slice(2, at)}${digit}${transaction.slice(at + 1)}`
      const read = await decodeOpen(changed, where)
      if (read.ok) expect(read.value.sender).not.toBe(payer.address.toLowerCase())
    }
  })
})

describe('signClose and readClosing', () => {
  it('capture what was spent and refund the rest, with a sponsor paying the fee', async () => {
    const { transaction, descriptor, channelId } = await signOpen(client, openTerms())
    await send(transaction)
    const signature = await signVoucher(payer, { channelId, cumulative: 900_000n, ...where })
    const close = await signClose(client, {
      ...where,
      account: payee,
      feePayer: accountNumber(1),
      descriptor,
      cumulative: 900_000n,
      capture: 300_000n,
      signature,
    })
    const closing = { channelId, escrow: CHANNEL_RESERVE, txHash: close.transactionHash }
    expect(await readClosing(client, closing)).toBeUndefined()
    expect(await send(close.transaction)).toBe('success')
    expect(await readClosing(client, closing)).toEqual({ settledToPayee: 300_000n, refundedToPayer: 700_000n })
    expect(await readClosing(client, { ...closing, channelId: `0x${'00'.repeat(32)}` })).toBeUndefined()
    expect(await readChannel(client, closing)).toMatchObject({ deposit: 0n })
    await expect(
      signClose(client, {
        ...where,
        account: payee,
        descriptor,
        cumulative: 1n,
        capture: 2n,
        signature,
      }),
    ).rejects.toThrow(RangeError)
  })
})

describe('ChainFailure', () => {
  const penniless = privateKeyToAccount(generatePrivateKey())

  it('insufficient_balance: seen before anything is signed', async () => {
    const poor = await failure(signOpen(client, openTerms(penniless)))
    expect(poor).toMatchObject({ reason: 'insufficient_balance' })
    expect(poor.message).toMatch(/Fund it/)
    const rich = await failure(signOpen(client, openTerms(payer, 10n ** 20n)))
    expect(rich).toMatchObject({ reason: 'insufficient_balance' })
  })

  it('insufficient_balance: as the token itself reports it', async () => {
    const error = await Actions.token
      .transferSync(client, { account: penniless, token: chain.token, to: payee.address, amount: 1n })
      .then(() => undefined, toChainFailure)
    expect(error).toMatchObject({ reason: 'insufficient_balance' })
  })

  it('wrong_fee_token: no token, and a token that the account does not hold', async () => {
    expect(await failure(signOpen(client, { ...openTerms(), feeToken: FEE_TOKEN_OF_NOBODY }))).toMatchObject({
      reason: 'wrong_fee_token',
    })
    expect(await failure(signOpen(client, { ...openTerms(), feeToken: CHANNEL_RESERVE }))).toMatchObject({
      reason: 'wrong_fee_token',
    })
  })

  it('validity_expired: the chain’s clock has passed the transaction', async () => {
    const { transaction } = await signOpen(client, openTerms())
    await chain.advanceTime(60)
    expect(await failure(send(transaction).catch((error) => Promise.reject(toChainFailure(error))))).toMatchObject({
      reason: 'validity_expired',
    })
  })

  it('nonce_spent: a node that reports a replay', () => {
    expect(toChainFailure(new Error('transaction already imported'))).toMatchObject({ reason: 'nonce_spent' })
    expect(toChainFailure({ code: 3, message: 'execution reverted', data: '0xf2ad1a4e' }).reason).toBe('reverted')
  })

  it('reverted: the reserve refuses', async () => {
    const { descriptor } = await signOpen(client, openTerms())
    const error = await Actions.channel
      .requestCloseSync(client, { account: payer, channel: descriptor })
      .then(() => undefined, toChainFailure)
    expect(error).toMatchObject({ reason: 'reverted', detail: 'ChannelNotFound' })
  })

  it('unreachable: nobody listens, and the message says so without an address', async () => {
    const nowhere = createClient({ transport: http('http://127.0.0.1:9', { retryCount: 0 }) })
    const error = await failure(readDecimals(nowhere, chain.token))
    expect(error).toMatchObject({ reason: 'unreachable' })
  })

  it('holds no signed transaction and no signature, whatever the node quotes', async () => {
    const { transaction } = await signOpen(client, openTerms())
    await chain.advanceTime(60)
    const rejected = await client
      .request({ method: 'eth_sendRawTransaction', params: [transaction] })
      .then(() => undefined, toChainFailure)
    const quoted = toChainFailure(new Error(`bad transaction ${transaction} with more`))
    for (const error of [rejected, quoted]) {
      expect(error).toBeInstanceOf(ChainFailure)
      const shown = `${error?.message} ${error?.stack} ${JSON.stringify(error)} ${String(error?.cause)}`
      expect(shown).not.toContain(transaction.slice(2, 80))
      expect(shown).not.toContain(transaction.slice(-100))
    }
  })
})
