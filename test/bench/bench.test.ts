// Checks the parts that the benchmarks are made of: their numbers, their gateways, and that every subject really pays.
// Must never look at how long anything took.

import { type LocalAccount, recoverTypedDataAddress } from 'viem'
import { afterAll, describe, expect, it } from 'vitest'
import { createMppClient, memoryStore } from '../../src/index.js'
import { parseCredential } from '../../src/protocol/index.js'
import { addChannels, newPayer, openInStore } from './ground/channel.js'
import { counting } from './ground/counting.js'
import { memoryGateway } from './ground/memory-gateway.js'
import { startMemoryHttp } from './ground/memory-http.js'
import {
  managerRefusesConcurrency,
  mppFlow,
  mppFlowOverFetch,
  mppxFetch,
  mppxManager,
  mppxWithoutSigning,
  plainFetch,
  transportAlone,
} from './ground/subjects.js'
import { bodyOf, CHAIN_ID, ESCROW, ROUTE } from './ground/terms.js'
import { digits, inBytes, told } from './result.js'
import { medianOf, quantile, ratios, spreadOf, turnOrder } from './statistics.js'
import { figuresOf, summarise, summarySchema, targets } from './summary.js'
import { asMarkdown, asText } from './tables.js'

describe('statistics', () => {
  it('are medians and quartiles, whatever the order of the samples', () => {
    expect(spreadOf([5, 1, 4, 2, 3])).toEqual({ median: 3, low: 2, high: 4, samples: 5 })
    expect(spreadOf([7])).toEqual({ median: 7, low: 7, high: 7, samples: 1 })
    expect(medianOf([1, 2, 10, 20])).toBe(6)
    expect(quantile([0, 10], 0.25)).toBe(2.5)
    expect(() => spreadOf([])).toThrow(RangeError)
  })

  it('are ratios round by round', () => {
    expect(ratios([2, 9], [1, 3])).toEqual([2, 3])
    expect(() => ratios([1], [1, 2])).toThrow(RangeError)
  })

  it('let every subject begin a round', () => {
    expect([0, 1, 2, 3].map((round) => turnOrder(3, round))).toEqual([
      [0, 1, 2],
      [1, 2, 0],
      [2, 0, 1],
      [0, 1, 2],
    ])
  })

  it('are told with as many digits as they are worth', () => {
    expect([0.123, 12.34, 123.4].map(digits)).toEqual(['0.12', '12.3', '123'])
    expect(told(spreadOf([1, 2, 3]))).toBe('2.00 (1.50–2.50)')
    expect([12, 1_234, 1_234_567].map(inBytes)).toEqual(['12 B', '1.23 kB', '1.23 MB'])
  })
})

describe('the summary', () => {
  const one = (value: number) => spreadOf([value])
  const figures = {
    'latency 1 KB, mpp-flow, times two plain fetches': one(1.2),
    'latency 100 KB, mpp-flow, times two plain fetches': one(9),
    'latency 1 KB, mppx session manager, mpp-flow is this many times it': one(0.6),
    'throughput at 32, mpp-flow, times two plain fetches': one(0.9),
    'growth, after 10 requests, times the first': one(1),
    'growth, after 1,000 requests, times the first': one(0.92),
    'total limit, 10,000 channels, times the first': one(7),
    'heap per flow, 1000 wait for the paid answer (bytes)': one(9_000),
    'heap per flow, 1000 wait for the unpaid answer (bytes)': one(11_000),
    'buffers per flow, 1000 wait for the unpaid answer (bytes)': one(99_000),
  }
  const summary = summarise(figuresOf([{ section: 'all', tables: [], figures }]))

  it('takes its numbers from what the sections measured, and the worst where there are several', () => {
    expect(summary).toEqual({
      latency: { ratioToFetch: 1.2, ratioToMppx: 0.6 },
      throughput: { c32RatioToFetch: 0.9 },
      growth: { maxDrift: expect.closeTo(0.08, 10) },
      heapPerFlowBytes: 11_000,
    })
    expect(Object.keys(summarySchema.parse(summary))).toEqual(['latency', 'throughput', 'growth', 'heapPerFlowBytes'])
  })

  it('says of each target whether it was met', () => {
    expect(targets(summary).map(({ met }) => met)).toEqual([true, true, true, true, false])
    expect(targets({ ...summary, throughput: { c32RatioToFetch: 0.79 } })[2]?.met).toBe(false)
  })

  it('is not made up when a section is missing', () => {
    const { 'throughput at 32, mpp-flow, times two plain fetches': _, ...rest } = figures
    expect(() => summarise(figuresOf([{ section: 'all', tables: [], figures: rest }]))).toThrow(/throughput at 32/)
  })

  it('is shown as tables', () => {
    const table = { title: 'A title', columns: ['', 'µs'], rows: [['this', '1']], note: 'A note.' }
    expect(asMarkdown(table)).toBe('### A title\n\nA note.\n\n|  | µs |\n| --- | ---: |\n| this | 1 |')
    for (const part of ['A title', 'this', 'A note.']) expect(asText(table)).toContain(part)
  })
})

describe('the gateway over HTTP', async () => {
  const seen: string[] = []
  const gateway = await startMemoryHttp((authorization) => seen.push(authorization))
  afterAll(() => gateway.stop())
  const url = gateway.url + ROUTE

  it.each([
    ['mpp-flow', mppFlow, 1],
    ['mpp-flow, given fetch', mppFlowOverFetch, 1],
    ['its transport alone', transportAlone, 1],
    ['two plain fetches', plainFetch, 1],
    ['mppx session manager', mppxManager, 1],
    ['mppx, signature remembered', mppxWithoutSigning, 1],
    ['mppx fetch', mppxFetch, 1],
  ] as const)(
    'is paid by %s: one unpaid request, one with a voucher that its payer signed',
    async (_, make, unpaid) => {
      const { send } = await make(gateway.url)
      await send(bodyOf(1_024))
      const before = gateway.traffic()
      seen.length = 0
      await send(bodyOf(1_024))
      const after = gateway.traffic()
      expect([after.unpaid - before.unpaid, after.paid - before.paid, after.refused - before.refused]).toEqual([
        unpaid,
        1,
        0,
      ])
      expect(after.connections - before.connections).toBe(0)
      const credential = parseCredential(seen[0])
      if (!credential.ok || credential.value.payload.action !== 'voucher') throw new Error('no voucher was sent')
      const { channelId, cumulativeAmount, signature, descriptor } = credential.value.payload
      const signer = await recoverTypedDataAddress({
        domain: { name: 'TIP20 Channel Reserve', version: '1', chainId: CHAIN_ID, verifyingContract: ESCROW },
        types: {
          Voucher: [
            { name: 'channelId', type: 'bytes32' },
            { name: 'cumulativeAmount', type: 'uint96' },
          ],
        },
        primaryType: 'Voucher',
        message: { channelId, cumulativeAmount: BigInt(cumulativeAmount) },
        signature,
      })
      expect(signer.toLowerCase()).toBe(descriptor.authorizedSigner)
    },
  )

  const send = async (authorization: string): Promise<number> =>
    (await fetch(url, { method: 'POST', body: '{}', headers: { authorization } })).status

  it('refuses what has not the form of a voucher for one of its challenges', async () => {
    const [good = ''] = seen
    expect(await send(good)).toBe(200)
    const altered = (change: (credential: { challenge: { id: string }; payload: Record<string, unknown> }) => void) => {
      const credential = JSON.parse(Buffer.from(good.slice(8), 'base64url').toString())
      change(credential)
      return `Payment ${Buffer.from(JSON.stringify(credential)).toString('base64url')}`
    }
    const { refused } = gateway.traffic()
    const wrong = [
      'Bearer key',
      'Payment',
      'Payment AAAA',
      good.slice(0, 200),
      altered(({ challenge }) => Object.assign(challenge, { id: 'another gateway’s' })),
      altered(({ payload }) => Object.assign(payload, { action: 'open' })),
      altered(({ payload }) => Object.assign(payload, { signature: '0x' })),
      altered(({ payload }) => Object.assign(payload, { cumulativeAmount: '0' })),
      altered(({ payload }) => Object.assign(payload, { channelId: undefined })),
    ]
    for (const authorization of wrong) expect(await send(authorization), authorization.slice(0, 40)).toBe(402)
    expect(gateway.traffic().refused - refused).toBe(wrong.length)
  })

  it('sees that mppx’s session manager refuses concurrent requests', async () => {
    expect(await managerRefusesConcurrency(gateway.url)).toBe(true)
  })
})

describe('the gateway in memory', () => {
  const INIT = { method: 'POST', body: bodyOf(1_024) }
  const client = async (account: LocalAccount, cumulative: bigint, gateway: ReturnType<typeof memoryGateway>) => {
    const store = memoryStore()
    const own = await openInStore(store, account, cumulative)
    await addChannels(store, own, 20)
    expect((await store.list()).length).toBe(20)
    return createMppClient({ account, store, fetch: gateway.fetch })
  }

  it('is paid with the voucher in hand by the bucket rule, and with a signature a request where each has a price', async () => {
    for (const [pricing, signed] of [
      [{ amount: 1_000_000n }, 0],
      [{ amount: 10n, unitType: 'request' }, 4],
    ] as const) {
      const { account, signatures } = counting(newPayer())
      const gateway = memoryGateway({ pricing, cost: 10n })
      const mpp = await client(account, pricing.amount, gateway)
      const before = signatures()
      for (let sent = 0; sent < 5; sent += 1) {
        const outcome = await mpp.pay(gateway.url, INIT)
        expect(outcome.status).toBe('succeeded')
        expect(outcome.receiptProblem).toBeUndefined()
      }
      expect(signatures() - before).toBe(signed)
      expect(gateway.paid()).toBe(5)
    }
  })

  it('makes bodies of exactly the size that was asked for', () => {
    for (const bytes of [1_024, 102_400]) {
      expect(Buffer.byteLength(bodyOf(bytes))).toBe(bytes)
      expect(JSON.parse(bodyOf(bytes))).toHaveProperty('messages')
    }
  })
})
