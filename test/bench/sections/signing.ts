// How many signatures requests need, and what a signature, an opening and a top-up cost, on the sandbox's own chain.
// Must never count what was not signed: the account that signs is asked.

import { measure } from 'mitata'
import type { LocalAccount } from 'viem'
import { createMppClient, type MppClient, memoryStore } from '../../../src/index.js'
import { type Sandbox, startChain, startSandbox } from '../../../src/sandbox/index.js'
import { signVoucher } from '../../../src/tempo/index.js'
import { newPayer, openInStore } from '../ground/channel.js'
import { counting } from '../ground/counting.js'
import { memoryGateway } from '../ground/memory-gateway.js'
import { mppxManager } from '../ground/subjects.js'
import { CHAIN_ID, ESCROW } from '../ground/terms.js'
import { section, type Task } from '../processes.js'
import { digits, type SectionResult, told } from '../result.js'
import { type Spread, spreadOf } from '../statistics.js'

const AT_ONCE = 32
/** Base units: 0.002 of a token, as ten tokens of the sandbox's most talkative model cost. */
const PRICE = 2_000n

/** A chat request of exactly `tokens` tokens of that model; the prompt is five of them. */
function chat(tokens: number): RequestInit {
  const messages = [{ role: 'user', content: 'hello' }]
  const body = JSON.stringify({ model: 'sandbox-verbose', max_tokens: tokens - 5, messages })
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body }
}

async function payMany(mpp: MppClient, url: string, requests: number, atOnce: number): Promise<void> {
  let left = requests
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const outcome = await mpp.pay(url, chat(10))
      if (outcome.status === 'failed') throw new Error(outcome.failure.code)
      await outcome.response.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}

/** Vouchers by the bucket rule: a bucket of one token, spent at 0.002 a request, on the sandbox. */
async function byBucket(sandbox: Sandbox, payer: LocalAccount, requests: number, atOnce: number): Promise<number> {
  const { account, signatures } = counting(payer)
  const mpp = createMppClient({ account, rpcUrl: sandbox.rpcUrl })
  await payMany(mpp, `${sandbox.url}/v1/mpp/chat/completions`, requests, atOnce)
  return signatures()
}

/** Vouchers where each request has its price: a gateway in memory names it, the client signs for it. */
async function byRequest(requests: number, atOnce: number): Promise<number> {
  const { account, signatures } = counting(newPayer())
  const store = memoryStore()
  await openInStore(store, account, PRICE)
  const before = signatures()
  const gateway = memoryGateway({ pricing: { amount: PRICE, unitType: 'request' }, cost: PRICE })
  await payMany(createMppClient({ account, store, fetch: gateway.fetch }), gateway.url, requests, atOnce)
  return signatures() - before
}

interface Costs {
  readonly opening: number[]
  readonly toppingUp: number[]
  readonly reusing: number[]
}

/** Milliseconds of requests that open a channel, reuse its voucher, and top it up. */
async function onChain(sandbox: Sandbox, payers: readonly LocalAccount[]): Promise<Costs> {
  const costs: Costs = { opening: [], toppingUp: [], reusing: [] }
  const url = `${sandbox.url}/v1/mpp/chat/completions`
  // A bucket of one token is the whole deposit: when it is used up, the next one needs a top-up.
  sandbox.configure({ suggestedDeposit: '1' })
  for (const account of payers) {
    const mpp = createMppClient({ account, rpcUrl: sandbox.rpcUrl })
    const timed = async (tokens: number, vouchers: number, moves: boolean): Promise<number> => {
      const started = performance.now()
      const outcome = await mpp.pay(url, chat(tokens))
      const took = performance.now() - started
      if (outcome.status === 'failed') throw new Error(outcome.failure.code)
      await outcome.response.arrayBuffer()
      const { authorised } = outcome
      if (authorised.vouchersSigned !== vouchers || (authorised.deposit !== '0') !== moves) {
        throw new Error('the request did not do what was to be measured')
      }
      return took
    }
    costs.opening.push(await timed(2_000, 1, true))
    costs.reusing.push(await timed(2_000, 0, false))
    costs.toppingUp.push(await timed(2_000, 1, true))
  }
  return costs
}

async function mppxSignatures(origin: string, requests: number): Promise<number> {
  let signatures = (): number => 0
  const { send } = await mppxManager(origin, (payer) => {
    const counted = counting(payer)
    signatures = counted.signatures
    return counted.account
  })
  for (let sent = 0; sent < requests; sent += 1) await send('{}')
  return signatures()
}

async function signing({ quick, origin }: Task): Promise<SectionResult> {
  const requests = quick ? 60 : 1_000
  const payers = quick ? 2 : 12
  const figures: Record<string, Spread> = {}
  const counts: string[][] = []
  const count = (name: string, signatures: number, of: number): void => {
    figures[`signatures per 1,000 requests, ${name}`] = spreadOf([(signatures / of) * 1000])
    counts.push([name, String(of), String(signatures), digits((signatures / of) * 1000)])
  }
  const chain = await startChain({ accounts: payers + 4 })
  try {
    const sandbox = await startSandbox({ chain })
    try {
      const [first, second, ...others] = sandbox.accounts
      if (first === undefined || second === undefined) throw new Error('the sandbox has no accounts')
      count('bucket rule, one after another', await byBucket(sandbox, first, requests, 1), requests)
      count(`bucket rule, ${AT_ONCE} at once`, await byBucket(sandbox, second, requests, AT_ONCE), requests)
      count('priced per request, one after another', await byRequest(requests, 1), requests)
      count(`priced per request, ${AT_ONCE} at once`, await byRequest(requests, AT_ONCE), requests)
      count('mppx session manager, any pricing', await mppxSignatures(origin, requests), requests)
      const { opening, toppingUp, reusing } = await onChain(sandbox, others.slice(0, payers))

      const account = newPayer()
      const channelId = `0x${'c1'.repeat(32)}` as const
      let cumulative = 0n
      const stats = await measure(
        async () => {
          cumulative += 1n
          await signVoucher(account, { channelId, cumulative, chainId: CHAIN_ID, escrow: ESCROW })
        },
        { batch_threshold: 0, min_cpu_time: (quick ? 0.2 : 2) * 1e9 },
      )
      const signature = spreadOf(stats.samples.map((nanoseconds) => nanoseconds / 1e6))
      const costs: readonly (readonly [string, Spread])[] = [
        ['a voucher’s signature', signature],
        ['a request that reuses the voucher', spreadOf(reusing)],
        ['a request that opens the channel', spreadOf(opening)],
        ['a request that is refused for its bucket, tops up and signs', spreadOf(toppingUp)],
      ]
      for (const [name, spread] of costs) figures[`${name} (ms)`] = spread
      return {
        section: 'signing',
        tables: [
          {
            title: 'Signatures',
            note: 'By the bucket rule requests cost 0.002 and a bucket holds 1; the open transaction counts as one.',
            columns: ['', 'requests', 'signatures', 'per 1,000'],
            rows: counts,
          },
          {
            title: 'What signing and the sandbox’s chain cost',
            columns: ['', 'ms'],
            rows: costs.map(([name, spread]) => [name, told(spread)]),
          },
        ],
        figures,
      }
    } finally {
      await sandbox.stop()
    }
  } finally {
    await chain.stop()
  }
}

section(signing)
