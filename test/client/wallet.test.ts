// Wallets that hold less than a gateway suggests, offers in tokens of which they hold nothing, and nodes that lie about it.
// Must never take a client's word for what was moved: the chain's balances and the gateway's books say it.
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PaymentIntent, Policy } from '../../src/index.js'
import { decodeBase64url, encodeBase64url, formatChallenge, parseChallenges } from '../../src/protocol/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { readTokenBalance } from '../../src/tempo/index.js'
import { type RpcRelay, startRelay } from '../rows/rpc-relay.js'
import { type ScriptedGateway, startScripted, status } from '../rows/scripted-gateway.js'
import {
  type CountedAccount,
  chat,
  counted,
  events,
  failureOf,
  paySome,
  type Stage,
  setStage,
  states,
} from './stage.js'

/** Another token of the local chain, of which new accounts hold nothing. */
const ALPHA = `0x20c0${'0'.repeat(35)}1` as const
const PATH = `0x20c0${'0'.repeat(36)}`
const ONE = 1_000_000n
/** What is kept back for a fee, at most. */
const FEE = 20_000n

let stage: Stage
const relays: RpcRelay[] = []
const fronts: ScriptedGateway[] = []
beforeAll(async () => {
  stage = await setStage(20)
})
afterAll(async () => {
  await Promise.all([...relays, ...fronts].map((server) => server.stop()))
  await stage?.stop()
})

/** A new account that holds so much pathUSD, and nothing else. */
async function wallet(amount: bigint): Promise<CountedAccount> {
  const account = privateKeyToAccount(generatePrivateKey())
  const { chain } = stage
  const from = chain.accounts[0]
  if (from === undefined) throw new Error('the chain has no accounts')
  await Actions.token.transferSync(chain.client(), { account: from, token: chain.token, to: account.address, amount })
  return counted(account)
}

async function relay(): Promise<RpcRelay> {
  const made = await startRelay(stage.chain.rpcUrl)
  relays.push(made)
  return made
}

const request = () => chat(500)

describe('a wallet that holds less than is suggested', () => {
  it('opens with what it can pay: 3 of the suggested 5', async () => {
    const gateway = await stage.gateway()
    const payer = await wallet(3n * ONE)
    const outcome = await stage.client(payer.account).pay(gateway.chat, request())
    expect(outcome.status).toBe('succeeded')
    const deposit = BigInt(outcome.authorised.deposit)
    expect(deposit).toBeLessThanOrEqual(3n * ONE)
    expect(deposit).toBeGreaterThanOrEqual(3n * ONE - FEE)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: deposit.toString(), accepted: '1000000' }])
    expect(await stage.balance(payer.account.address)).toBeLessThanOrEqual(3n * ONE - deposit)
  })

  it('tops up with what is left of it', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const payer = await wallet(3n * ONE)
    const mpp = stage.client(payer.account)
    await paySome(mpp, gateway.chat, 1, () => chat(4000))
    gateway.configure({ suggestedDeposit: '5' })
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('TOPPED_UP')
    const added = BigInt(outcome.authorised.deposit)
    expect(added).toBeLessThanOrEqual(2n * ONE)
    expect(added).toBeGreaterThanOrEqual(2n * ONE - 2n * FEE)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: (ONE + added).toString(), accepted: '2000000' }])
  })

  it('leaves room for the fee where that is taken from the same balance', async () => {
    const charged = await setStage(20, 'charged')
    try {
      const gateway = await charged.gateway()
      const account = privateKeyToAccount(generatePrivateKey())
      const { chain } = charged
      const from = chain.accounts[0]
      if (from === undefined) throw new Error('the chain has no accounts')
      await Actions.token.transferSync(chain.client(), {
        account: from,
        token: chain.token,
        to: account.address,
        amount: 3n * ONE,
      })
      const outcome = await charged.client(account).pay(gateway.chat, request())
      expect(outcome.status).toBe('succeeded')
      const deposit = BigInt(outcome.authorised.deposit)
      const left = await readTokenBalance(chain.client(), { token: chain.token, owner: account.address })
      // A fee was paid, from what was not deposited.
      expect(left).toBeLessThan(3n * ONE - deposit)
      expect(deposit).toBeGreaterThan(2n * ONE)
    } finally {
      await charged.stop()
    }
  })

  it('asks for approval of the deposit that is then signed', async () => {
    const gateway = await stage.gateway()
    const payer = await wallet(3n * ONE)
    const asked: PaymentIntent[] = []
    const approve = (intent: PaymentIntent): boolean => {
      asked.push(intent)
      return true
    }
    const outcome = await stage.client(payer.account, { policy: { approve } }).pay(gateway.chat, request())
    expect(outcome.status).toBe('succeeded')
    expect(asked.map(({ deposit }) => deposit)).toEqual([outcome.authorised.deposit])
    expect(BigInt(outcome.authorised.deposit)).toBeLessThan(3n * ONE + 1n)
  })

  it('and less than a voucher needs: the failure names payer, token, needed and held, in tokens', async () => {
    const gateway = await stage.gateway()
    for (const approve of [undefined, () => true]) {
      const payer = await wallet(900_000n)
      const policy: Policy = approve === undefined ? {} : { approve }
      const failure = failureOf(await stage.client(payer.account, { policy }).pay(gateway.chat, request()))
      expect(failure.code).toBe('wallet_balance_insufficient')
      expect(failure.detail).toContain(`payer ${payer.account.address.toLowerCase()} holds 0.90 of token ${PATH}`)
      expect(failure.detail).toContain('needed: 1.00 for the deposit')
      expect(payer.signatures()).toBe(0)
    }
  })

  it('and less than a top-up needs: nothing is signed, the channel is kept', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const payer = await wallet(ONE + 500_000n)
    const mpp = stage.client(payer.account)
    await paySome(mpp, gateway.chat, 1, () => chat(4000))
    const before = payer.signatures()
    const failure = failureOf(await mpp.pay(gateway.chat, chat(2000)))
    expect(failure.code).toBe('wallet_balance_insufficient')
    expect(failure.detail).toMatch(/holds 0\.\d+ of token .*needed: 1\.00 for the deposit/)
    expect(payer.signatures()).toBe(before)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '1000000', pending: null }])
  })

  it('asks the chain nothing while a voucher is reused', async () => {
    const rpc = await relay()
    const gateway = await stage.gateway()
    const payer = await wallet(3n * ONE)
    const mpp = stage.client(payer.account, { rpcUrl: rpc.url })
    await paySome(mpp, gateway.chat, 1, request)
    // The chain is asked about the open after its answer was handed over.
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open' }])
    const before = rpc.methods.length
    await paySome(mpp, gateway.chat, 2, request)
    expect(rpc.methods.length).toBe(before)
  })
})

describe('a node that lies about the balance', () => {
  const balanceIs = (amount: bigint) => (call: { method: string; params: readonly unknown[] }) =>
    call.method === 'eth_call' && JSON.stringify(call.params).includes('0x70a08231')
      ? { result: `0x${amount.toString(16).padStart(64, '0')}` }
      : undefined

  it('and says that there is nothing: nothing is signed', async () => {
    const rpc = await relay()
    const gateway = await stage.gateway()
    const payer = await wallet(9n * ONE)
    rpc.interpose(balanceIs(0n))
    const failure = failureOf(await stage.client(payer.account, { rpcUrl: rpc.url }).pay(gateway.chat, request()))
    expect(failure.code).toBe('wallet_balance_insufficient')
    expect(payer.signatures()).toBe(0)
  })

  it('and says that there is more than there is: limits hold, and the chain moves nothing', async () => {
    const rpc = await relay()
    const gateway = await stage.gateway({ suggestedDeposit: '50' })
    const payer = await wallet(3n * ONE)
    // The estimate of a deposit that is not there fails at an honest node; this one says yes to everything.
    const lie = balanceIs(2n ** 200n)
    rpc.interpose((call) => lie(call) ?? (call.method === 'eth_estimateGas' ? { result: '0x7a120' } : undefined))
    const mpp = stage.client(payer.account, { rpcUrl: rpc.url, policy: { maxDeposit: '5' } })
    const outcome = await mpp.pay(gateway.chat, request())
    expect(outcome.status).toBe('failed')
    expect(BigInt(outcome.authorised.deposit)).toBeLessThanOrEqual(5n * ONE)
    expect(await stage.balance(payer.account.address)).toBe(3n * ONE)
    expect(await stage.opened(payer.account)).toBe(0)
  })
})

/** The challenge in another token. */
function inToken(header: string, currency: string): string {
  const list = parseChallenges(header)
  const original = list.ok ? list.value.challenges[0] : undefined
  const decoded = original === undefined ? undefined : decodeBase64url(original.request)
  if (original === undefined || !decoded?.ok) throw new Error('no challenge')
  const terms: unknown = JSON.parse(new TextDecoder().decode(decoded.value))
  const changed = encodeBase64url(JSON.stringify(Object.assign({}, terms, { currency })))
  return formatChallenge({ ...original, id: `in-another-token-${original.id}`, request: changed })
}

describe('two offers, the first in a token of which the wallet has nothing', () => {
  async function twoOffers(options: Parameters<Stage['gateway']>[0] = {}, change: (terms: object) => void = () => {}) {
    const gateway = await stage.gateway(options)
    const front = await startScripted(gateway)
    fronts.push(front)
    front.alter(change)
    front.always('unpaid', async (exchange) => {
      const own = await exchange.challenge()
      const both = `${inToken(await exchange.challenge(), ALPHA)}, ${own}`
      return status(402, { 'www-authenticate': both })(exchange)
    })
    return { gateway, front }
  }
  const allowedTokens = [ALPHA, PATH]
  const NEXT_OFFER = ['authorizing.openingSession', 'parsingChallenge', 'authorizing.acquiringSession']

  it('the next offer is taken, and nothing is left of the first', async () => {
    const { gateway, front } = await twoOffers()
    const payer = await wallet(9n * ONE)
    const mpp = stage.client(payer.account, { policy: { allowedTokens } })
    const outcome = await mpp.pay(front.chat, request())
    expect(outcome.status).toBe('succeeded')
    expect(states(outcome).join(' ')).toContain(NEXT_OFFER.join(' '))
    expect(front.sends.map(({ kind }) => kind)).toEqual(['unpaid', 'open'])
    expect(gateway.accounting().channels).toHaveLength(1)
    expect((await mpp.sessions.list()).filter(({ status }) => status !== 'absent')).toHaveLength(1)
    // The open and its voucher.
    expect(payer.signatures()).toBe(2)
    // What is open already needs no balance, and is found behind the first offer each time.
    const again = await mpp.pay(front.chat, request())
    expect(again.status).toBe('succeeded')
    expect(payer.signatures()).toBe(2)
  })

  it('a channel that is open in the first token is used, whatever the wallet holds', async () => {
    const gateway = await stage.gateway()
    const front = await startScripted(gateway)
    fronts.push(front)
    const payer = await wallet(2n * ONE)
    const mpp = stage.client(payer.account, { policy: { allowedTokens } })
    await paySome(mpp, front.chat, 1, request)
    front.always('unpaid', async (exchange) => {
      const own = await exchange.challenge()
      return status(402, { 'www-authenticate': `${own}, ${inToken(await exchange.challenge(), ALPHA)}` })(exchange)
    })
    const outcome = await mpp.pay(front.chat, request())
    expect(outcome.status).toBe('succeeded')
    expect(states(outcome)).not.toContain('authorizing.openingSession')
  })

  it('what was reserved for the first, priced per request, is given back', async () => {
    const store = memoryStore()
    const { front } = await twoOffers({}, (terms) => Object.assign(terms, { unitType: 'request' }))
    const payer = await wallet(9n * ONE)
    const mpp = stage.client(payer.account, { policy: { allowedTokens }, store })
    const outcome = await mpp.pay(front.chat, request())
    expect(outcome.status).toBe('succeeded')
    const records = await store.list()
    expect(records.map(({ place }) => place.token).sort()).toEqual([PATH, ALPHA])
    expect(records.flatMap(({ session }) => session.reservations)).toEqual([])
  })

  it('neither can be paid: one failure, nothing signed', async () => {
    const { front } = await twoOffers()
    const payer = await wallet(10n)
    const failure = failureOf(
      await stage.client(payer.account, { policy: { allowedTokens } }).pay(front.chat, request()),
    )
    expect(failure.code).toBe('wallet_balance_insufficient')
    expect(failure.detail).toContain(PATH)
    expect(payer.signatures()).toBe(0)
    expect(front.sends).toHaveLength(1)
  })

  it('is not looked past when the policy says so', async () => {
    const { front } = await twoOffers()
    const payer = await wallet(9n * ONE)
    const policy: Policy = { allowedTokens, attempts: { wallet_balance_insufficient: 0 } }
    const failure = failureOf(await stage.client(payer.account, { policy }).pay(front.chat, request()))
    expect(failure.code).toBe('wallet_balance_insufficient')
    expect(failure.detail).toContain(ALPHA)
    expect(payer.signatures()).toBe(0)
  })
})
