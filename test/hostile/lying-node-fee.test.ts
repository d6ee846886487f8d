// A node that lies about what a transaction costs: in its priority fee, its base fee or its gas estimate.
// Must never take a failure for safety: nothing may be signed, and the balance on the chain is what was lost.
import fc from 'fast-check'
import { createClient, http, type LocalAccount } from 'viem'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { ForceCloseProgress, PaymentIntent, Policy } from '../../src/index.js'
import { memoryStore } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/protocol/index.js'
import { readEnvelope } from '../../src/tempo/envelope.js'
import { ChainFailure, readSpendableForOpen, signOpen, ZERO_ADDRESS } from '../../src/tempo/index.js'
import { type CountedAccount, chat, counted, failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { type Interposed, type RpcRelay, startRelay } from '../rows/rpc-relay.js'

/** Base units. */
const MAX_FEE = 250_000n
const DEPOSIT = 1_000_000n

let stage: Stage
let node: RpcRelay
beforeAll(async () => {
  stage = await setStage(60, 'charged')
})
afterAll(() => stage?.stop())
beforeEach(async () => {
  node = await startRelay(stage.chain.rpcUrl)
})
afterEach(() => node.stop())

const hex = (value: bigint): string => `0x${value.toString(16)}`

/** What the node says in place of the figures of the chain; undefined: those. */
interface Lie {
  readonly priorityFee?: unknown
  readonly estimate?: unknown
  readonly baseFee?: unknown
}

const block = z.looseObject({ result: z.record(z.string(), z.unknown()) })

function telling({ priorityFee, estimate, baseFee }: Lie): Interposed {
  return async ({ method, params }) => {
    if (method === 'eth_maxPriorityFeePerGas' && priorityFee !== undefined) return { result: priorityFee }
    if (method === 'eth_estimateGas' && estimate !== undefined) return { result: estimate }
    if (method !== 'eth_getBlockByNumber' || baseFee === undefined) return undefined
    const response = await fetch(stage.chain.rpcUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    }).catch(() => undefined)
    // The chain is gone, and with it the test that asked.
    if (response === undefined) return undefined
    const { result } = block.parse(await response.json())
    return { result: { ...result, baseFeePerGas: baseFee } }
  }
}

const LIES: readonly (readonly [string, Lie])[] = [
  ['a priority fee of 4e15', { priorityFee: hex(4n * 10n ** 15n) }],
  ['a gas estimate of 1e12', { estimate: hex(10n ** 12n) }],
  ['a base fee of 1e16', { baseFee: hex(10n ** 16n) }],
  ['prices of 256 bits', { priorityFee: hex(2n ** 256n - 1n), estimate: hex(2n ** 256n - 1n) }],
]

/** What no quantity looks like. */
const NONSENSE: readonly (readonly [string, Lie])[] = [
  ['a priority fee below zero', { priorityFee: '-5000000000000000' }],
  ['a priority fee that is a number', { priorityFee: 4e15 }],
  ['a priority fee in words', { priorityFee: 'much' }],
  ['no priority fee', { priorityFee: null }],
  ['a gas estimate below zero', { estimate: '-1000000' }],
  ['an empty gas estimate', { estimate: '' }],
  ['a base fee below zero', { baseFee: '-5000000000000000' }],
]

interface Prey {
  readonly payer: CountedAccount
  readonly mpp: ReturnType<Stage['client']>
  readonly gateway: Awaited<ReturnType<Stage['gateway']>>
  /** What the payer has less than before. */
  lost(): Promise<bigint>
}

/** A payer whose node may lie, with a channel of 1 if it is to have one. */
async function prey(options: { readonly opened: boolean; readonly policy?: Policy }): Promise<Prey> {
  const gateway = await stage.gateway({ suggestedDeposit: '1' })
  const payer = counted(stage.payer())
  const policy = { maxDeposit: '5', attempts: { chain_unavailable: 0 }, ...options.policy }
  const mpp = stage.client(payer.account, { rpcUrl: node.url, store: memoryStore(), policy })
  if (options.opened) await paySome(mpp, gateway.chat, 1, () => chat(500))
  const before = await stage.balance(payer.account.address)
  return { payer, mpp, gateway, lost: async () => before - (await stage.balance(payer.account.address)) }
}

async function channelOf({ mpp }: Prey): Promise<string> {
  const [session] = await mpp.sessions.list()
  if (session === undefined) throw new Error('there is no channel')
  return session.channelId
}

/** Refused by the limit, by name, with amounts in tokens and what to do; nothing was signed for. */
function expectRefusal(failure: ReturnType<typeof failureOf>): void {
  expect(failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxFee', retryable: true, mayHaveBeenCharged: false })
  expect(failure.detail).toMatch(/^maxFee: a transaction that may cost .*[0-9]{2,}\.[0-9]{2,} pathUSD, 0\.25 allowed$/)
  expect(failure.advice).toContain('raise maxFee')
  expect(failure.authorised).toMatchObject({ deposit: '0', feeAtMost: '0', vouchersSigned: 0 })
}

describe.each(LIES)('a node that asks for %s', (_name, lie) => {
  it('gets no open signed, and the next one is paid as usual', async () => {
    const one = await prey({ opened: false })
    node.interpose(telling(lie))
    const outcome = await one.mpp.pay(one.gateway.chat, chat(500))
    expect(await one.lost()).toBe(0n)
    expectRefusal(failureOf(outcome))
    expect(one.payer.signatures()).toBe(0)
    expect(await one.mpp.sessions.list()).toEqual([])
    // The lease, the permit and the reservation were given back.
    node.interpose(undefined)
    expect(await one.mpp.pay(one.gateway.chat, chat(500))).toMatchObject({ status: 'succeeded' })
    expect(await one.lost()).toBeLessThanOrEqual(DEPOSIT + MAX_FEE)
  })

  it('gets no top-up signed, and the next one is paid as usual', async () => {
    const one = await prey({ opened: true })
    const signed = one.payer.signatures()
    node.interpose(telling(lie))
    // Nine more fill the bucket that the deposit covers.
    await paySome(one.mpp, one.gateway.chat, 9, () => chat(500))
    const outcome = await one.mpp.pay(one.gateway.chat, chat(500))
    expect(await one.lost()).toBe(0n)
    expectRefusal(failureOf(outcome))
    expect(one.payer.signatures()).toBe(signed)
    expect(await one.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: DEPOSIT.toString() }])
    node.interpose(undefined)
    expect(await one.mpp.pay(one.gateway.chat, chat(500))).toMatchObject({ status: 'succeeded' })
    expect(await one.lost()).toBeLessThanOrEqual(DEPOSIT + MAX_FEE)
  })

  it('gets no request of a forced close signed', async () => {
    const one = await prey({ opened: true })
    const signed = one.payer.signatures()
    node.interpose(telling(lie))
    const outcome = await one.mpp.sessions.forceClose(await channelOf(one))
    expect(await one.lost()).toBe(0n)
    if (outcome.status !== 'failed') throw new Error('it was closed')
    expectRefusal(outcome.failure)
    expect(outcome.withdrawableAt).toBeNull()
    expect(one.payer.signatures()).toBe(signed)
    // The channel is as it was, and so is its lease.
    node.interpose(undefined)
    expect(await one.mpp.pay(one.gateway.chat, chat(500))).toMatchObject({ status: 'succeeded' })
  })
})

describe('a node that begins to lie', () => {
  const [, lie] = LIES[0] ?? ['', {}]

  it('before the withdrawal of a forced close: the request stands, and an honest node ends it', async () => {
    const one = await prey({ opened: true })
    const channelId = await channelOf(one)
    const passing = async ({ step }: ForceCloseProgress) => {
      if (step === 'waiting') await stage.chain.advanceTime(1_000)
    }
    const lying = async (progress: ForceCloseProgress) => {
      node.interpose(telling(lie))
      await passing(progress)
    }
    const outcome = await one.mpp.sessions.forceClose(channelId, {
      lookEveryMs: 50,
      onProgress: (progress) => {
        if (progress.step === 'waiting') void lying(progress)
      },
    })
    expect(await one.lost()).toBeLessThanOrEqual(MAX_FEE)
    if (outcome.status !== 'failed') throw new Error('it was closed')
    expect(outcome.failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxFee', retryable: true })
    expect(outcome.withdrawableAt).not.toBeNull()
    expect(BigInt(outcome.failure.authorised.feeAtMost)).toBeGreaterThanOrEqual(await one.lost())
    node.interpose(undefined)
    const again = await one.mpp.sessions.forceClose(channelId, { onProgress: (progress) => void passing(progress) })
    expect(again).toMatchObject({ status: 'withdrawn', settlement: { refunded: DEPOSIT.toString() } })
    // The deposit is back, less the fees of two transactions.
    expect(-(await one.lost())).toBeGreaterThanOrEqual(DEPOSIT - 2n * MAX_FEE)
  })

  it('once the payment is approved: what was approved is not passed, so nothing is signed', async () => {
    const asked: PaymentIntent[] = []
    const approve = (intent: PaymentIntent) => {
      asked.push(intent)
      node.interpose(telling(lie))
      return true
    }
    const one = await prey({ opened: false, policy: { approve } })
    const outcome = await one.mpp.pay(one.gateway.chat, chat(500))
    expect(await one.lost()).toBe(0n)
    expectRefusal(failureOf(outcome))
    expect(asked).toHaveLength(1)
    expect(one.payer.signatures()).toBe(0)
  })
})

describe.each(NONSENSE)('a node that answers %s', (_name, lie) => {
  it('is not believed, and nothing is signed', async () => {
    const one = await prey({ opened: false })
    node.interpose(telling(lie))
    const outcome = await one.mpp.pay(one.gateway.chat, chat(500))
    expect(await one.lost()).toBe(0n)
    expect(failureOf(outcome)).toMatchObject({ code: 'chain_unavailable', limit: null })
    expect(failureOf(outcome).detail).toMatch(/is no quantity|below zero/)
    expect(one.payer.signatures()).toBe(0)
  })
})

describe('an honest node', () => {
  it('is paid within what was approved and counted: the open, the top-up and a forced close, by the default limit', async () => {
    const asked: PaymentIntent[] = []
    const approve = (intent: PaymentIntent) => {
      asked.push(intent)
      return true
    }
    const one = await prey({ opened: false, policy: { approve } })
    const bounds: bigint[] = []
    for (let at = 0; at < 11; at += 1) {
      const before = await one.lost()
      const { authorised } = await one.mpp.pay(one.gateway.chat, chat(500))
      const fee = (await one.lost()) - before - BigInt(authorised.deposit)
      expect(fee).toBeLessThanOrEqual(BigInt(authorised.feeAtMost))
      if (authorised.deposit !== '0') bounds.push(BigInt(authorised.feeAtMost))
      else expect(authorised.feeAtMost).toBe('0')
    }
    expect(asked.map(({ action }) => action)).toEqual(['open', 'topUp'])
    for (const { fee, feeToken } of asked) {
      expect(fee).toBe(MAX_FEE.toString())
      expect(feeToken).toBe(stage.chain.token.toLowerCase())
    }
    // Room for prices five times as high.
    for (const bound of bounds) expect(bound * 5n).toBeLessThanOrEqual(MAX_FEE)
    const before = await one.lost()
    const outcome = await one.mpp.sessions.forceClose(await channelOf(one), {
      onProgress: ({ step }) => void (step === 'waiting' && stage.chain.advanceTime(1_000)),
    })
    if (outcome.status !== 'withdrawn') throw new Error(`the forced close ended as ${outcome.status}`)
    const fees = (await one.lost()) - before + BigInt(outcome.settlement?.refunded ?? '0')
    expect(fees).toBeGreaterThan(0n)
    expect(fees).toBeLessThanOrEqual(BigInt(outcome.feeAtMost))
    expect(BigInt(outcome.feeAtMost)).toBeLessThanOrEqual(2n * MAX_FEE)
  })

  it('is not paid more than a limit of the caller that is lower', async () => {
    const one = await prey({ opened: false, policy: { maxFee: '0.001' } })
    const failure = failureOf(await one.mpp.pay(one.gateway.chat, chat(500)))
    expect(failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxFee' })
    expect(failure.detail).toContain('0.001 allowed')
    expect(await one.lost()).toBe(0n)
  })

  it('asks nothing of a payer whose fee somebody else pays, and the limit is not held against that', async () => {
    const { account } = counted(stage.payer())
    const { transaction, feeAtMost } = await signOpen(stage.chain.client(), {
      ...terms(account),
      feePayer: true,
      maxFee: 0n,
    })
    expect(feeAtMost).toBe(0n)
    // Worth nothing before the sponsor has signed.
    expect(transaction).toMatch(/^0x78/)
  })
})

function terms(account: LocalAccount) {
  return {
    account,
    chainId: stage.chain.chainId,
    escrow: CHANNEL_RESERVE,
    payee: account.address,
    operator: ZERO_ADDRESS,
    token: stage.chain.token,
    deposit: DEPOSIT,
    authorizedSigner: account.address,
  } as const
}

/** A quantity up to `usual` mostly; else one of any size, or none at all. */
const figure = (usual: bigint) =>
  fc.option(
    fc.oneof(
      { weight: 16, arbitrary: fc.bigInt({ min: 0n, max: usual }).map(hex) },
      { weight: 2, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }).map(hex) },
      { weight: 1, arbitrary: fc.jsonValue() },
      { weight: 1, arbitrary: fc.bigInt().map(String) },
    ),
    { nil: undefined },
  )
const price = figure(2n * 10n ** 11n)

it('whatever a node says about prices, either nothing is signed or gas times price is within the limit', async () => {
  const client = createClient({ transport: http(node.url, { retryCount: 0 }) })
  let signed = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      fc.record({ priorityFee: price, estimate: figure(3_000_000n), baseFee: price }),
      fc.bigInt({ min: 0n, max: 1_000_000n }),
      async (lie, maxFee) => {
        node.interpose(telling(lie))
        const payer = counted(payerOfProperty)
        const { deposit: _, ...spending } = { ...terms(payer.account), maxFee }
        const spendable = await readSpendableForOpen(client, spending).catch(onlyNamed)
        if (spendable !== undefined) expect(spendable.fee).toBeLessThanOrEqual(maxFee)
        const open = await signOpen(client, { ...terms(payer.account), maxFee }).catch(onlyNamed)
        expect(payer.signatures()).toBe(open === undefined ? 0 : 1)
        if (open === undefined) {
          refused += 1
          return
        }
        signed += 1
        const { gas = 0n, maxFeePerGas = 0n } = readEnvelope(open.transaction)
        expect(gas).toBeGreaterThan(0n)
        expect(gas * maxFeePerGas).toBeLessThanOrEqual(maxFee * 10n ** 12n)
        expect(gas * maxFeePerGas).toBeLessThanOrEqual(open.feeAtMost * 10n ** 12n)
      },
    ),
    { numRuns: 200 },
  )
  expect(signed).toBeGreaterThan(10)
  expect(refused).toBeGreaterThan(10)
}, 60_000)

/** Whatever stops it has a name. */
function onlyNamed(error: unknown): undefined {
  if (error instanceof ChainFailure) return undefined
  throw error
}

let payerOfProperty: LocalAccount
beforeAll(() => {
  payerOfProperty = stage.payer()
})
