// Transactions that our client signed, executed by anvil's Tempo mode with real fees: what goes wrong has a name.
// Must never fake an answer of the node: whatever is wrong with a transaction is made so on the chain.
import type { Address, LocalAccount } from 'viem'
import { prepareTransactionRequest, sendRawTransaction, signTransaction } from 'viem/actions'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createMppClient } from '../../src/index.js'
import type { Hex } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { type LocalChain, type LocalChainClient, startChain } from '../../src/sandbox/chain/start-chain.js'
import {
  type ChannelState,
  readChannel,
  readTokenBalance,
  signOpen,
  toChainFailure,
  ZERO_ADDRESS,
} from '../../src/tempo/index.js'
import { failureOf } from '../client/stage.js'
import { startMppxGateway } from './mppx-gateway.js'
import { work } from './peer-stage.js'
import { sponsorOpen } from './sponsor.js'

/** Another TIP-20 token. Anvil's own accounts hold it beside pathUSD, the others hold pathUSD only. */
const ALPHA_USD: Address = '0x20c0000000000000000000000000000000000001'
const ANVILS_OWN = 10
const NO_TOKEN: Address = '0x20c0000000000000000000000000000000000fee'
const NOTHING: ChannelState = { deposit: 0n, settled: 0n, closeRequestedAt: 0 }
const DEPOSIT = 1_000_000n

let chain: LocalChain
let client: LocalChainClient
const taken = { both: 0, usd: ANVILS_OWN }
beforeAll(async () => {
  chain = await startChain({ accounts: 28, fees: 'charged' })
  client = chain.client()
})
afterAll(() => chain?.stop())

/** An account that no other test uses. `both`: it holds both tokens. */
function anybody(holding: keyof typeof taken = 'usd'): LocalAccount {
  const account = chain.accounts[taken[holding]]
  taken[holding] += 1
  if (account === undefined || taken.both > ANVILS_OWN) throw new Error('too few accounts')
  return account
}

const open = (account: LocalAccount, more: { feeToken?: Address; feePayer?: true } = {}) =>
  signOpen(client, {
    account,
    payee: '0x1111111111111111111111111111111111111111',
    operator: ZERO_ADDRESS,
    token: chain.token,
    deposit: DEPOSIT,
    authorizedSigner: account.address,
    chainId: chain.chainId,
    escrow: CHANNEL_RESERVE,
    ...more,
  })

const channel = (channelId: Hex) => readChannel(client, { channelId, escrow: CHANNEL_RESERVE })
const balance = (owner: Address, token = chain.token) => readTokenBalance(client, { token, owner })

/** Gives everything of a token away, paying for it in another. */
async function giveAway(account: LocalAccount, token: Address, feeToken: Address): Promise<void> {
  const amount = await balance(account.address, token)
  const { receipt } = await Actions.token.transferSync(client, {
    account,
    token,
    to: '0x2222222222222222222222222222222222222222',
    amount,
    feeToken,
  })
  expect(receipt.status).toBe('success')
  expect(await balance(account.address, token)).toBe(0n)
}

/** What becomes of a transaction: how it ran, or the name under which the node refused it. */
async function send(transaction: Hex): Promise<string> {
  let hash: Hex
  try {
    hash = await sendRawTransaction(client, { serializedTransaction: transaction })
  } catch (error) {
    return toChainFailure(error).reason
  }
  for (let looks = 0; looks < 60; looks += 1) {
    const receipt = await client.request({ method: 'eth_getTransactionReceipt', params: [hash] })
    if (receipt !== null) return receipt.status === '0x1' ? 'success' : 'mined, and reverted'
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return 'accepted, and never mined'
}

describe('an open that anvil’s Tempo mode executes', () => {
  it('takes the deposit, and the fee in the token that it names', async () => {
    const payer = anybody('both')
    const [usd, alpha] = [await balance(payer.address), await balance(payer.address, ALPHA_USD)]
    const { transaction, channelId } = await open(payer, { feeToken: ALPHA_USD })
    expect(await send(transaction)).toBe('success')
    expect(await channel(channelId)).toEqual({ ...NOTHING, deposit: DEPOSIT })
    expect(await balance(payer.address)).toBe(usd - DEPOSIT)
    expect(await balance(payer.address, ALPHA_USD)).toBeLessThan(alpha)
  })
})

describe('a wrong fee token', () => {
  it.each([
    { what: 'that is none', feeToken: NO_TOKEN },
    { what: 'that is another contract', feeToken: CHANNEL_RESERVE },
  ])('$what is named before anything is signed', async ({ feeToken }) => {
    const failure = await open(anybody(), { feeToken }).then(() => undefined, toChainFailure)
    expect(failure).toMatchObject({ reason: 'wrong_fee_token' })
  })

  it('that the payer no longer holds is named by the node, and takes nothing', async () => {
    const payer = anybody('both')
    const { transaction, channelId } = await open(payer, { feeToken: ALPHA_USD })
    await giveAway(payer, ALPHA_USD, chain.token)
    const before = await balance(payer.address)
    expect(await send(transaction)).toBe('wrong_fee_token')
    expect(await channel(channelId)).toEqual(NOTHING)
    expect(await balance(payer.address)).toBe(before)
    // And the next one is not even signed.
    expect(await open(payer, { feeToken: ALPHA_USD }).catch(toChainFailure)).toMatchObject({
      reason: 'wrong_fee_token',
    })
  })
})

describe('a spent nonce', () => {
  it('of the same bytes sent again: they count once', async () => {
    const payer = anybody('both')
    const { transaction, channelId } = await open(payer, { feeToken: ALPHA_USD })
    const before = await balance(payer.address)
    expect([await send(transaction), await send(transaction)]).toEqual(['success', 'success'])
    expect(await channel(channelId)).toMatchObject({ deposit: DEPOSIT })
    expect(await balance(payer.address)).toBe(before - DEPOSIT)
  })

  it('of the same open under two sponsors: one is executed, the other never', async () => {
    const [payer, one, two] = [anybody(), anybody(), anybody()]
    const before = await balance(payer.address)
    const { transaction, channelId } = await open(payer, { feePayer: true })
    const sponsor = (account: LocalAccount) => sponsorOpen(transaction, payer.address, account, chain.token)
    const [first, second] = [await sponsor(one), await sponsor(two)]
    expect(first).not.toBe(second)
    expect(await send(first)).toBe('success')
    const untouched = await balance(two.address)
    // Anvil takes the replay in, and drops it when it makes a block: it has no word for it.
    expect(await send(second)).toBe('accepted, and never mined')
    expect(await channel(channelId)).toMatchObject({ deposit: DEPOSIT })
    expect(await balance(payer.address)).toBe(before - DEPOSIT)
    expect(await balance(two.address)).toBe(untouched)
  })

  it('of an ordinary nonce is named by the node', async () => {
    const payer = anybody('both')
    const plain = async (to: Address) => {
      const request = await prepareTransactionRequest(client, { account: payer, to, data: '0x', nonce: 0 })
      return signTransaction(client, request)
    }
    const [first, second] = [await plain(anybody().address), await plain(anybody().address)]
    await send(first)
    expect(await send(second)).toBe('nonce_spent')
  })
})

describe('an insufficient balance', () => {
  it('is named before anything is signed', async () => {
    const payer = anybody('both')
    await giveAway(payer, chain.token, ALPHA_USD)
    expect(await open(payer, { feeToken: ALPHA_USD }).catch(toChainFailure)).toMatchObject({
      reason: 'insufficient_balance',
    })
  })

  it('that comes up after the signature makes the open revert; the deposit is not taken', async () => {
    const payer = anybody('both')
    const { transaction, channelId } = await open(payer, { feeToken: ALPHA_USD })
    await giveAway(payer, chain.token, ALPHA_USD)
    expect(await send(transaction)).toBe('mined, and reverted')
    expect(await channel(channelId)).toEqual(NOTHING)
    expect(await balance(payer.address)).toBe(0n)
  })
})

describe('an expired validity', () => {
  it('is named by the node, and takes nothing', async () => {
    const payer = anybody()
    const before = await balance(payer.address)
    const { transaction, channelId } = await open(payer)
    await chain.advanceTime(60)
    expect(await send(transaction)).toBe('validity_expired')
    expect(await channel(channelId)).toEqual(NOTHING)
    expect(await balance(payer.address)).toBe(before)
  })
})

// Last, because the sandbox's chain sends one open at a time, and this one keeps the others waiting.
describe('a spent nonce that mppx runs into', () => {
  it('of an open that another sponsor got mined: mppx breaks over it, and the funds are in the ledger', async () => {
    // mppx waits for a transaction that is never mined until viem gives up, and says so on the console.
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const [payer, feePayer, stranger] = [anybody(), anybody(), anybody()]
    const opened: Hex[] = []
    const gateway = await startMppxGateway({
      chain,
      feePayer,
      suggestedDeposit: '1',
      before: async ({ credential }) => {
        const payload = credential?.payload
        if (payload?.action !== 'open') return
        opened.push(payload.channelId)
        expect(await send(await sponsorOpen(payload.transaction, payer.address, stranger, chain.token))).toBe('success')
      },
    })
    try {
      const mpp = createMppClient({ account: payer, rpcUrl: chain.rpcUrl })
      const before = await balance(payer.address)
      const failure = failureOf(await mpp.pay(gateway.url, work()))
      expect(failure).toMatchObject({ code: 'internal-payment-error', authorised: { deposit: '1000000' } })
      expect(said.mock.calls.flat().join(' ')).toContain('timed out')
      expect(await balance(payer.address)).toBe(before - DEPOSIT)
      expect(await mpp.sessions.list()).toMatchObject([
        { channelId: opened[0], status: 'open', deposit: '1000000', refundable: '1000000' },
      ])
      // mppx does not know the channel; no second one is funded on its word.
      expect(failureOf(await mpp.pay(gateway.url, work())).code).toBe('session/channel-not-found')
      expect(opened).toHaveLength(1)
      expect(await balance(payer.address)).toBe(before - DEPOSIT)
    } finally {
      said.mockRestore()
      await gateway.stop()
    }
  })
})
