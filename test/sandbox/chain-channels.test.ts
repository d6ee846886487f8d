// Channels on the real local chain, opened and closed by viem's own actions with signed Tempo transactions.
// Must never look at anything but the chain: balances, states, events, and what was computed before sending.
import { Channel, TxEnvelopeTempo } from 'ox/tempo'
import { concat, encodeFunctionData, type Hex, keccak256, type LocalAccount, parseEventLogs, zeroHash } from 'viem'
import { prepareTransactionRequest, readContract, sendRawTransactionSync, signTransaction } from 'viem/actions'
import { Abis, Account, Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { type LocalChain, type LocalChainClient, startChain } from '../../src/sandbox/chain/start-chain.js'

const FUNDED = 10_000_000_000n
const DEPOSIT = 5_000_000n
const NOBODY = '0x0000000000000000000000000000000000000000'

let chain: LocalChain
let client: LocalChainClient
let next = 0

beforeAll(async () => {
  chain = await startChain({ accounts: 60 })
  client = chain.client()
})
afterAll(() => chain.stop())

/** An account no other test has touched. */
function fresh(): LocalAccount {
  const account = chain.accounts[next++]
  if (account === undefined) throw new Error('The chain was started with too few accounts')
  return account
}

const balanceOf = (account: LocalAccount) =>
  readContract(client, {
    address: chain.token,
    abi: Abis.tip20,
    functionName: 'balanceOf',
    args: [account.address],
  })
const reserveBalance = () =>
  readContract(client, { address: chain.token, abi: Abis.tip20, functionName: 'balanceOf', args: [CHANNEL_RESERVE] })

async function open(payer: LocalAccount, payee: LocalAccount, options: { deposit?: bigint; operator?: Hex } = {}) {
  const { receipt, ...event } = await Actions.channel.openSync(client, {
    account: payer,
    payee: payee.address,
    token: chain.token,
    deposit: options.deposit ?? DEPOSIT,
    ...(options.operator === undefined ? {} : { operator: options.operator }),
    feeToken: chain.token,
  })
  return { receipt, id: event.channelId, channel: event as Channel.from.Value & { deposit: bigint } }
}

function voucher(signer: LocalAccount, channelId: Hex, cumulativeAmount: bigint): Promise<Hex> {
  if (!signer.signTypedData) throw new Error('The account cannot sign typed data')
  return signer.signTypedData({
    domain: {
      name: 'TIP20 Channel Reserve',
      version: '1',
      chainId: chain.chainId,
      verifyingContract: CHANNEL_RESERVE,
    },
    types: {
      Voucher: [
        { name: 'channelId', type: 'bytes32' },
        { name: 'cumulativeAmount', type: 'uint96' },
      ],
    },
    primaryType: 'Voucher',
    message: { channelId, cumulativeAmount },
  })
}

const stateOf = (id: Hex) => Actions.channel.getStates(client, { channel: id })

describe('opening', () => {
  test('moves the deposit without an approve, and the id is the one computed from the descriptor', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const held = await reserveBalance()
    const { id, channel } = await open(payer, payee)

    expect(Channel.computeId(channel, { chainId: chain.chainId })).toBe(id)
    expect(channel.expiringNonceHash).not.toBe(zeroHash)
    expect(await balanceOf(payer)).toBe(FUNDED - DEPOSIT)
    expect(await balanceOf(payee)).toBe(FUNDED)
    expect(await reserveBalance()).toBe(held + DEPOSIT)
    expect(await stateOf(id)).toEqual({ settled: 0n, deposit: DEPOSIT, closeRequestedAt: 0 })
  })

  test.each(['expiring nonce', 'protocol nonce'])('the id is known before anything is sent (%s)', async (kind) => {
    const [payer, payee] = [fresh(), fresh()]
    const signed = await signOpen(payer, payee, kind === 'expiring nonce')
    const hash = expiringNonceHash(signed, payer)
    const receipt = await sendRawTransactionSync(client, { serializedTransaction: signed })
    const [event] = parseEventLogs({ abi: Abis.tip20ChannelReserve, eventName: 'ChannelOpened', logs: receipt.logs })

    expect(receipt.status).toBe('success')
    expect(event?.args.expiringNonceHash).toBe(hash)
  })

  test('a fee payer’s signature does not change the id', async () => {
    const [payer, payee, sponsor] = [fresh(), fresh(), fresh()]
    const { receipt, ...channel } = await Actions.channel.openSync(client, {
      account: payer,
      payee: payee.address,
      token: chain.token,
      deposit: DEPOSIT,
      feePayer: sponsor,
      feeToken: chain.token,
    })
    expect(receipt.status).toBe('success')
    expect(Channel.computeId(channel, { chainId: chain.chainId })).toBe(channel.channelId)
    expect((await stateOf(channel.channelId)).deposit).toBe(DEPOSIT)
  })

  test('works with Tempo’s own accounts too', async () => {
    const payee = fresh()
    const payer = Account.fromSecp256k1(`0x${'7'.repeat(64)}`)
    const funder = fresh()
    await Actions.token.transferSync(client, {
      account: funder,
      token: chain.token,
      to: payer.address,
      amount: DEPOSIT,
      feeToken: chain.token,
    })
    const { id } = await open(payer, payee)
    expect((await stateOf(id)).deposit).toBe(DEPOSIT)
  })

  test('the same transaction sent again opens nothing', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const signed = await signOpen(payer, payee, true)
    const first = await sendRawTransactionSync(client, { serializedTransaction: signed })
    // The chain answers with the receipt it already has.
    const again = await sendRawTransactionSync(client, { serializedTransaction: signed })
    expect([again.transactionHash, again.blockNumber]).toEqual([first.transactionHash, first.blockNumber])
    expect(await balanceOf(payer)).toBe(FUNDED - DEPOSIT)
  })

  test('the same arguments in two transactions give two channels, at once or one after the other', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const salt: Hex = `0x${'5a'.repeat(32)}`
    const signed = await Promise.all([0, 1, 2, 3].map((nonce) => signOpen(payer, payee, true, { salt, nonce })))
    const receipts = await Promise.all(
      signed.map((serializedTransaction) => sendRawTransactionSync(client, { serializedTransaction })),
    )
    const hashes = receipts.map(
      ({ logs }) =>
        parseEventLogs({ abi: Abis.tip20ChannelReserve, eventName: 'ChannelOpened', logs })[0]?.args.expiringNonceHash,
    )
    expect(hashes).toEqual(signed.map((transaction) => expiringNonceHash(transaction, payer)))
    expect(await balanceOf(payer)).toBe(FUNDED - 4n * DEPOSIT)
  })

  test('many at once, from several accounts and from the same ones', async () => {
    const payee = fresh()
    const payers = [fresh(), fresh(), fresh(), fresh(), fresh()]
    const held = await reserveBalance()
    const opens = await Promise.all(
      payers.flatMap((payer) =>
        [0, 1, 2, 3].map(async (nonce) => {
          const signed = await signOpen(payer, payee, true, { nonce })
          const receipt = await sendRawTransactionSync(client, { serializedTransaction: signed })
          const [event] = parseEventLogs({
            abi: Abis.tip20ChannelReserve,
            eventName: 'ChannelOpened',
            logs: receipt.logs,
          })
          expect(event?.args.expiringNonceHash).toBe(expiringNonceHash(signed, payer))
          return event?.args.channelId
        }),
      ),
    )
    expect(new Set(opens).size).toBe(20)
    expect(await reserveBalance()).toBe(held + 20n * DEPOSIT)
    for (const payer of payers) expect(await balanceOf(payer)).toBe(FUNDED - 4n * DEPOSIT)
  })

  test('is refused without a deposit, a payee, a token or the money', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const base = { account: payer, token: chain.token, feeToken: chain.token }
    await expect(Actions.channel.openSync(client, { ...base, payee: payee.address, deposit: 0n })).rejects.toThrow(
      'Deposit cannot be zero',
    )
    await expect(Actions.channel.openSync(client, { ...base, payee: NOBODY, deposit: 1n })).rejects.toThrow()
    await expect(Actions.channel.openSync(client, { ...base, payee: chain.token, deposit: 1n })).rejects.toThrow()
    await expect(
      Actions.channel.openSync(client, { ...base, payee: payee.address, token: payee.address, deposit: 1n }),
    ).rejects.toThrow()
    await expect(
      Actions.channel.openSync(client, { ...base, payee: payee.address, deposit: FUNDED + 1n }),
    ).rejects.toThrow()
    expect(await balanceOf(payer)).toBe(FUNDED)
  })
})

describe('paying out', () => {
  test('settle pays the difference each time, and close captures and refunds the rest', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { id, channel } = await open(payer, payee)
    const settle = async (cumulativeAmount: bigint) =>
      Actions.channel.settleSync(client, {
        account: payee,
        channel,
        cumulativeAmount,
        signature: await voucher(payer, id, cumulativeAmount),
        feeToken: chain.token,
      })
    expect((await settle(1_000_000n)).deltaPaid).toBe(1_000_000n)
    expect((await settle(1_500_000n)).deltaPaid).toBe(500_000n)
    await expect(settle(1_500_000n)).rejects.toThrow()
    await expect(settle(DEPOSIT + 1n)).rejects.toThrow()
    expect(await balanceOf(payee)).toBe(FUNDED + 1_500_000n)

    const closed = await Actions.channel.closeSync(client, {
      account: payee,
      channel,
      cumulativeAmount: 3_000_000n,
      captureAmount: 2_750_001n,
      signature: await voucher(payer, id, 3_000_000n),
      feeToken: chain.token,
    })
    expect([closed.settledToPayee, closed.refundedToPayer]).toEqual([2_750_001n, DEPOSIT - 2_750_001n])
    expect(await balanceOf(payee)).toBe(FUNDED + 2_750_001n)
    expect(await balanceOf(payer)).toBe(FUNDED - 2_750_001n)
    expect((await stateOf(id)).deposit).toBe(0n)
  })

  test('an unused channel closes with 0 and no signature, and closes only once', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { channel } = await open(payer, payee)
    const close = () =>
      Actions.channel.closeSync(client, {
        account: payee,
        channel,
        cumulativeAmount: 0n,
        captureAmount: 0n,
        signature: '0x',
        feeToken: chain.token,
      })
    expect((await close()).refundedToPayer).toBe(DEPOSIT)
    await expect(close()).rejects.toThrow()
    expect(await balanceOf(payer)).toBe(FUNDED)
  })

  test('the operator may close, strangers and the payer may not', async () => {
    const [payer, payee, operator, stranger] = [fresh(), fresh(), fresh(), fresh()]
    const { id, channel } = await open(payer, payee, { operator: operator.address })
    const signature = await voucher(payer, id, 1n)
    const close = (account: LocalAccount) =>
      Actions.channel.closeSync(client, {
        account,
        channel,
        cumulativeAmount: 1n,
        captureAmount: 1n,
        signature,
        feeToken: chain.token,
      })
    await expect(close(stranger)).rejects.toThrow()
    await expect(close(payer)).rejects.toThrow()
    await close(operator)
    expect(await balanceOf(payee)).toBe(FUNDED + 1n)
    expect(await balanceOf(operator)).toBe(FUNDED)
  })

  test('vouchers of another signer, channel or amount, malleable and cut ones are refused', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { id, channel } = await open(payer, payee)
    const other = await open(payer, payee)
    const good = await voucher(payer, id, 1_000n)
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const flipped = (order - BigInt(`0x${good.slice(66, 130)}`)).toString(16).padStart(64, '0')
    const malleable: Hex = `0x${good.slice(2, 66)}${flipped}${good.endsWith('1b') ? '1c' : '1b'}`
    const settle = (signature: Hex) =>
      Actions.channel.settleSync(client, {
        account: payee,
        channel,
        cumulativeAmount: 1_000n,
        signature,
        feeToken: chain.token,
      })
    for (const bad of [
      await voucher(payee, id, 1_000n),
      await voucher(payer, other.id, 1_000n),
      await voucher(payer, id, 1_001n),
      malleable,
      good.slice(0, -2) as Hex,
      '0x' as Hex,
    ]) {
      await expect(settle(bad)).rejects.toThrow()
    }
    await settle(good)
    expect((await stateOf(id)).settled).toBe(1_000n)
  })

  test('what is captured is bounded by the voucher, the deposit and what was settled', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { id, channel } = await open(payer, payee)
    await Actions.channel.settleSync(client, {
      account: payee,
      channel,
      cumulativeAmount: 100n,
      signature: await voucher(payer, id, 100n),
      feeToken: chain.token,
    })
    const beyond = DEPOSIT + 10n
    const signature = await voucher(payer, id, beyond)
    const close = (captureAmount: bigint, cumulativeAmount = beyond) =>
      Actions.channel.closeSync(client, {
        account: payee,
        channel,
        cumulativeAmount,
        captureAmount,
        signature,
        feeToken: chain.token,
      })
    await expect(close(99n)).rejects.toThrow()
    await expect(close(beyond)).rejects.toThrow()
    await expect(close(beyond + 1n)).rejects.toThrow()
    await close(DEPOSIT)
    expect(await balanceOf(payee)).toBe(FUNDED + DEPOSIT)
    expect(await balanceOf(payer)).toBe(FUNDED - DEPOSIT)
  })
})

describe('topping up and leaving', () => {
  test('only the payer tops up', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { id, channel } = await open(payer, payee)
    const topUp = (account: LocalAccount) =>
      Actions.channel.topUpSync(client, { account, channel, additionalDeposit: 7n, feeToken: chain.token })
    expect((await topUp(payer)).newDeposit).toBe(DEPOSIT + 7n)
    await expect(topUp(payee)).rejects.toThrow()
    expect((await stateOf(id)).deposit).toBe(DEPOSIT + 7n)
    expect(await balanceOf(payer)).toBe(FUNDED - DEPOSIT - 7n)
  })

  test('withdraw waits for the grace period, a top-up cancels the request', async () => {
    const [payer, payee] = [fresh(), fresh()]
    const { id, channel } = await open(payer, payee)
    const write = { account: payer, channel, feeToken: chain.token }
    const withdraw = () => Actions.channel.withdrawSync(client, write)

    await expect(withdraw()).rejects.toThrow()
    await Actions.channel.requestCloseSync(client, write)
    const { closeRequestedAt } = await stateOf(id)
    expect(closeRequestedAt).toBeGreaterThan(0)
    await chain.advanceTime(880)
    await expect(withdraw()).rejects.toThrow()

    const topped = await Actions.channel.topUpSync(client, { ...write, additionalDeposit: 1n })
    const cancelled = parseEventLogs({
      abi: Abis.tip20ChannelReserve,
      eventName: 'CloseRequestCancelled',
      logs: topped.receipt.logs,
    })
    expect(cancelled).toHaveLength(1)
    await chain.advanceTime(900)
    await expect(withdraw()).rejects.toThrow()

    await Actions.channel.requestCloseSync(client, write)
    await chain.advanceTime(901)
    const left = await withdraw()
    expect([left.settledToPayee, left.refundedToPayer]).toEqual([0n, DEPOSIT + 1n])
    await expect(withdraw()).rejects.toThrow()
    expect(await balanceOf(payer)).toBe(FUNDED)
  })
})

async function signOpen(
  payer: LocalAccount,
  payee: LocalAccount,
  expiring: boolean,
  { salt, nonce = 0 }: { salt?: Hex; nonce?: number } = {},
): Promise<Hex> {
  const call = Actions.channel.open.call({
    payee: payee.address,
    token: chain.token,
    deposit: DEPOSIT,
    ...(salt === undefined ? {} : { salt }),
  })
  const { timestamp } = await readBlock()
  const prepared = await prepareTransactionRequest(client, {
    account: payer,
    calls: [{ to: call.address, data: encodeFunctionData(call) }],
    feeToken: chain.token,
    // An expiring transaction is told from its twin by its validity window alone.
    ...(expiring ? { nonceKey: 'expiring', validBefore: Number(timestamp) + 20, validAfter: 1 + nonce } : {}),
  } as never)
  return (await signTransaction(client, prepared as never)) as Hex
}

async function readBlock(): Promise<{ timestamp: bigint }> {
  const block = await client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] })
  if (block === null) throw new Error('The chain has no block')
  return { timestamp: BigInt(block.timestamp) }
}

/** As TIP-1034 has it: keccak256(what the sender signs ++ sender). */
function expiringNonceHash(signed: Hex, sender: LocalAccount): Hex {
  const envelope = TxEnvelopeTempo.deserialize(signed as TxEnvelopeTempo.Serialized)
  return keccak256(concat([TxEnvelopeTempo.encodeForSigning(envelope), sender.address]))
}
