// What the caller allows: every limit and every list, held against a real gateway and a real chain.
// Must never count a limit as kept because the request failed: nothing may be signed, sent or funded beyond it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMppClient, memoryStore, OptionError, type PaymentIntent, type Policy } from '../../src/index.js'
import {
  chat,
  counted,
  events,
  failureOf,
  paySome,
  type Stage,
  setStage,
  states,
  type WatchedGateway,
} from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(60)
})
afterAll(() => stage?.stop())

const NOTHING = { channelId: null, deposit: '0', cumulative: '0', feeAtMost: '0', vouchersSigned: 0, paidSends: 0 }

/** Pays once under a policy that does not allow it, and expects that nothing at all was authorised. */
async function refusedBy(policy: Policy, gateway: WatchedGateway, url = gateway.chat) {
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account, { policy })
  const outcome = await mpp.pay(url, chat(500))
  const failure = failureOf(outcome)
  expect(failure.authorised).toEqual(NOTHING)
  expect(payer.signatures()).toBe(0)
  expect(await stage.opened(payer.account)).toBe(0)
  expect(gateway.accounting()).toMatchObject({
    channels: [],
    counts: { paidSends: 0, opens: 0, rejectedCredentials: 0 },
  })
  expect(gateway.seen.filter(({ authorization }) => authorization !== undefined)).toEqual([])
  expect(await mpp.sessions.list()).toEqual([])
  expect(failure.retryable).toBe(false)
  return { failure, outcome }
}

describe('limits, on the way to a channel', () => {
  it.each([
    ['maxDeposit', { maxDeposit: '0.999999' }, '0.999999'],
    ['maxDeposit', { maxDeposit: 999_999n }, '0.999999'],
    ['maxCumulative', { maxCumulative: '0.5' }, '0.50'],
    ['maxExposure', { maxExposure: '0.5' }, '0.50'],
    ['maxTotalDeposit', { maxTotalDeposit: '0.5' }, '0.50'],
  ] as const)('%s: nothing is signed, and the failure names it', async (limit, policy, allowed) => {
    const { failure } = await refusedBy(policy, await stage.gateway())
    expect(failure).toMatchObject({ code: 'limit_exceeded', limit })
    expect(failure.detail).toBe(`${limit}: 1.00 pathUSD wanted, ${allowed} allowed`)
    expect(failure.advice).toContain('limit')
  })

  it.each([
    ['maxDeposit', { maxDeposit: '1' }],
    ['maxCumulative', { maxCumulative: '1' }],
    ['maxExposure', { maxExposure: '1' }],
    ['maxTotalDeposit', { maxTotalDeposit: '1' }],
  ] as const)('%s: exactly at the limit is allowed', async (_limit, policy) => {
    const gateway = await stage.gateway()
    expect((await stage.client(stage.payer(), { policy }).pay(gateway.chat, chat(500))).status).toBe('succeeded')
  })

  it('maxDeposit caps what the challenge suggests', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '100' })
    await paySome(stage.client(stage.payer()), gateway.chat, 1, () => chat(500))
    await paySome(stage.client(stage.payer(), { policy: { maxDeposit: '2.5' } }), gateway.chat, 1, () => chat(500))
    expect(gateway.accounting().channels.map(({ deposit }) => deposit)).toEqual(['5000000', '2500000'])
  })
})

describe('limits, with a channel that is open', () => {
  it.each([
    ['maxDeposit', { maxDeposit: '1' }, '2.00', '1.00'],
    ['maxTotalDeposit', { maxTotalDeposit: '1', maxDeposit: '10' }, '2.00', '1.00'],
    ['maxCumulative', { maxCumulative: '1.5' }, '2.00', '1.50'],
    // 0.8 of the first bucket is spent: a second one would expose 1.2.
    ['maxExposure', { maxExposure: '1.1' }, '1.20', '1.10'],
  ] as const)(
    '%s: the next voucher is not signed, and the one in hand goes on working',
    async (limit, policy, wanted, allowed) => {
      const gateway = await stage.gateway({ suggestedDeposit: '1' })
      const payer = counted(stage.payer())
      const mpp = stage.client(payer.account, { policy })
      await paySome(mpp, gateway.chat, 1, () => chat(4000))
      const before = payer.signatures()
      const outcome = await mpp.pay(gateway.chat, chat(2000))
      expect(failureOf(outcome)).toMatchObject({
        code: 'limit_exceeded',
        limit,
        detail: `${limit}: ${wanted} pathUSD wanted, ${allowed} allowed`,
        cause: 'mpp_voucher_bucket_refresh_required',
      })
      expect(payer.signatures()).toBe(before)
      expect(gateway.accounting().channels).toMatchObject([{ accepted: '1000000', deposit: '1000000' }])
      expect(gateway.accounting().counts.topUps).toBe(0)
      await paySome(mpp, gateway.chat, 1, () => chat(500))
    },
  )

  it('maxExposure lets more be signed as spending is acknowledged', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxExposure: '1.2' } })
    await paySome(mpp, gateway.chat, 9, () => chat(2000))
    expect(payer.vouchers.map((voucher) => voucher.split(':')[1])).toEqual(['1000000', '2000000', '3000000', '4000000'])
  })

  it('maxExposure holds against many requests at once', async () => {
    const gateway = await stage.gateway({ latencyMs: 20 })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxExposure: '1.5', maxDeposit: '10' } })
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => mpp.pay(gateway.chat, chat(1000))))
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 'succeeded'))
    const { channels } = gateway.accounting()
    expect(BigInt(channels[0]?.accepted ?? 0) - BigInt(channels[0]?.spent ?? 0)).toBeLessThanOrEqual(1_500_000n)
  })

  it('maxCumulative holds though the server asks for more and more', async () => {
    const gateway = await stage.gateway({ bucket: '0.5' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxCumulative: '2' } })
    const outcomes = []
    for (let at = 0; at < 8; at += 1) outcomes.push(await mpp.pay(gateway.chat, chat(2000)))
    expect(outcomes.map(({ status }) => status)).toEqual([...Array(5).fill('succeeded'), ...Array(3).fill('failed')])
    expect(payer.vouchers.at(-1)).toMatch(/:2000000$/)
  })
})

describe('maxTotalDeposit, over two payees', () => {
  it('leaves the second channel what the first one did not take', async () => {
    const [one, two] = [await stage.gateway(), await stage.gateway()]
    const payer = stage.payer()
    const mpp = stage.client(payer, { policy: { maxTotalDeposit: '6' } })
    await paySome(mpp, one.chat, 1, () => chat(500))
    await paySome(mpp, two.chat, 1, () => chat(500))
    expect(one.accounting().channels).toMatchObject([{ deposit: '5000000' }])
    expect(two.accounting().channels).toMatchObject([{ deposit: '1000000' }])
    expect(await stage.balance(payer.address)).toBe(10_000_000_000n - 6_000_000n)
  })

  it('refuses the second channel when too little is left for its voucher', async () => {
    const [one, two] = [await stage.gateway(), await stage.gateway()]
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxTotalDeposit: '5.5' } })
    await paySome(mpp, one.chat, 1, () => chat(500))
    const before = payer.signatures()
    expect(failureOf(await mpp.pay(two.chat, chat(500)))).toMatchObject({
      code: 'limit_exceeded',
      limit: 'maxTotalDeposit',
    })
    expect(payer.signatures()).toBe(before)
    expect(two.accounting().counts.paidSends).toBe(0)
    // What a close gives back can be used again.
    const [session] = await mpp.sessions.list()
    expect((await mpp.sessions.close(session?.channelId ?? '')).status).toBe('closed')
    await paySome(mpp, two.chat, 1, () => chat(500))
  })

  /** Opens three channels in the same moment, with room for one whole deposit and a part of another. */
  async function openThreeAtOnce() {
    const gateways = await Promise.all([stage.gateway(), stage.gateway(), stage.gateway()])
    const payer = stage.payer()
    const mpp = stage.client(payer, { policy: { maxTotalDeposit: '6.5' } })
    const outcomes = await Promise.all(gateways.map(({ chat: url }) => mpp.pay(url, chat(500))))
    const moved = 10_000_000_000n - (await stage.balance(payer.address))
    return { outcomes, moved }
  }

  it('holds when channels are opened in the same moment', async () => {
    const { outcomes, moved } = await openThreeAtOnce()
    expect(moved).toBeGreaterThanOrEqual(5_000_000n)
    expect(moved).toBeLessThanOrEqual(6_500_000n)
    for (const outcome of outcomes.filter(({ status }) => status === 'failed'))
      expect(failureOf(outcome)).toMatchObject({ code: 'limit_exceeded', limit: 'maxTotalDeposit' })
  })

  it('holds when two processes open channels in the same moment: what the other has just signed for is seen', async () => {
    const [one, two] = [await stage.gateway({ suggestedDeposit: '1' }), await stage.gateway({ suggestedDeposit: '1' })]
    for (let round = 0; round < 4; round += 1) {
      const payer = stage.payer()
      const store = memoryStore()
      const clients = [one, two].map(() => stage.client(payer, { store, policy: { maxTotalDeposit: '1.5' } }))
      const outcomes = await Promise.all(
        [one, two].map(
          ({ chat: url }, at) => clients[at]?.pay(url, chat(500)) ?? Promise.reject(new Error('no client')),
        ),
      )
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['failed', 'succeeded'])
      for (const outcome of outcomes.filter(({ status }) => status === 'failed'))
        expect(failureOf(outcome)).toMatchObject({ code: 'limit_exceeded', limit: 'maxTotalDeposit' })
      expect(10_000_000_000n - (await stage.balance(payer.address))).toBe(1_000_000n)
    }
  })

  it('leaves the rest to the second one also when channels are opened in the same moment', async () => {
    const { outcomes, moved } = await openThreeAtOnce()
    expect(moved).toBe(6_500_000n)
    expect(outcomes.filter(({ status }) => status === 'succeeded')).toHaveLength(2)
  })

  it('holds when channels are topped up in the same moment', async () => {
    const gateways = await Promise.all([1, 2, 3].map(() => stage.gateway({ suggestedDeposit: '1' })))
    const payer = stage.payer()
    const mpp = stage.client(payer, { policy: { maxTotalDeposit: '4' } })
    for (const { chat: url } of gateways) await paySome(mpp, url, 1, () => chat(4000))
    const outcomes = await Promise.all(gateways.map(({ chat: url }) => mpp.pay(url, chat(2000))))
    expect(10_000_000_000n - (await stage.balance(payer.address))).toBe(4_000_000n)
    expect(outcomes.filter(({ status }) => status === 'succeeded')).toHaveLength(1)
    for (const outcome of outcomes.filter(({ status }) => status === 'failed'))
      expect(failureOf(outcome)).toMatchObject({ code: 'limit_exceeded', limit: 'maxTotalDeposit' })
  })

  it('holds for a top-up', async () => {
    const [one, two] = [await stage.gateway({ suggestedDeposit: '1' }), await stage.gateway({ suggestedDeposit: '1' })]
    const mpp = stage.client(stage.payer(), { policy: { maxTotalDeposit: '2.5' } })
    await paySome(mpp, one.chat, 1, () => chat(4000))
    await paySome(mpp, two.chat, 1, () => chat(4000))
    expect(failureOf(await mpp.pay(one.chat, chat(2000)))).toMatchObject({ limit: 'maxTotalDeposit' })
    expect(one.accounting().counts.topUps).toBe(0)
  })
})

describe('what may be paid at all', () => {
  it('allowedOrigins: another origin is not even asked', async () => {
    const gateway = await stage.gateway()
    const { failure, outcome } = await refusedBy({ allowedOrigins: ['https://api.example.com'] }, gateway)
    expect(failure).toMatchObject({ code: 'policy_denied' })
    expect(failure.detail).toContain('allowedOrigins')
    expect(gateway.seen).toEqual([])
    expect(states(outcome)).toEqual(['requesting', 'failed'])
    const mpp = stage.client(stage.payer(), { policy: { allowedOrigins: [`${gateway.url}/anything`] } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it('https only: plain http to anywhere but this machine is not even tried', async () => {
    const asked: string[] = []
    const account = counted(stage.payer())
    const mpp = createMppClient({
      account: account.account,
      rpcUrl: stage.chain.rpcUrl,
      fetch: async (input) => {
        asked.push(String(input))
        throw new TypeError('this test has no network')
      },
    })
    for (const host of ['gateway.example', '192.168.0.9', '127.0.0.1.example', 'localhost.example', '0.0.0.0']) {
      const outcome = await mpp.pay(`http://${host}/v1/mpp/chat/completions`, chat(500))
      expect(failureOf(outcome)).toMatchObject({ code: 'policy_denied', detail: expect.stringContaining('https') })
    }
    expect(asked).toEqual([])
    expect(account.signatures()).toBe(0)
  })

  it.each(['127.0.0.1', 'localhost'])('https only: %s is this machine', async (host) => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    await paySome(mpp, gateway.chat.replace('127.0.0.1', host), 1, () => chat(500))
  })

  it.each([
    ['allowedChains', { allowedChains: [4217] }, /chain 42431/],
    ['allowedTokens', { allowedTokens: ['0x20c000000000000000000000b9537d11c60e8b50'] }, /token 0x20c0/],
    ['allowedPayees', { allowedPayees: [`0x${'ab'.repeat(20)}`] }, /payee 0x/],
    ['allowedEscrows', { allowedEscrows: [`0x${'cd'.repeat(20)}`] }, /escrow 0x4d50/],
    ['allowedPayees', { allowedPayees: [] }, /payee 0x/],
    ['allowedChains', { allowedChains: [] }, /chain 42431/],
  ] as const)('%s: nothing is signed, and the failure names the list', async (list, policy, detail) => {
    const gateway = await stage.gateway()
    const { failure, outcome } = await refusedBy(policy, gateway)
    expect(failure).toMatchObject({ code: 'policy_denied', limit: null })
    expect(failure.detail).toContain(list)
    expect(failure.detail).toMatch(detail)
    expect(states(outcome)).toEqual(['requesting', 'parsingChallenge', 'failed'])
    expect(events(outcome).at(-1)).toBe('POLICY_DENIED')
    expect(failure.references.challengeId).toMatch(/^[\w-]{43}$/)
  })

  it('the lists allow what is on them, in any spelling of the address', async () => {
    const gateway = await stage.gateway()
    const upper = (address: string) => `0x${address.slice(2).toUpperCase()}`
    const policy: Policy = {
      allowedOrigins: [gateway.url],
      allowedChains: [42431],
      allowedTokens: [upper(gateway.token)],
      allowedPayees: [upper(gateway.payee)],
      allowedEscrows: [upper('0x4d50500000000000000000000000000000000000')],
    }
    await paySome(stage.client(stage.payer(), { policy }), gateway.chat, 1, () => chat(500))
  })

  it('the longest waits that are allowed are waits: nothing ends at once', async () => {
    const gateway = await stage.gateway()
    const longest = 2 ** 31 - 1
    const timeouts = { unpaidMs: longest, paidMs: longest, topUpMs: longest, closeMs: longest, sessionMs: longest }
    const warnings: string[] = []
    const warned = (warning: Error): void => {
      warnings.push(warning.name)
    }
    process.on('warning', warned)
    try {
      const mpp = stage.client(stage.payer(), { policy: { timeouts: { ...timeouts, leaseMs: 3_600_000 } } })
      await paySome(mpp, gateway.chat, 2, () => chat(500))
      const [session] = await mpp.sessions.list()
      expect((await mpp.sessions.close(session?.channelId ?? '')).status).toBe('closed')
    } finally {
      process.off('warning', warned)
    }
    expect(warnings).toEqual([])
  })

  it('a policy that cannot be read is refused when the client is made', () => {
    const account = stage.payer()
    for (const policy of [
      { maxDeposit: '-1' },
      { maxDeposit: '1e3' },
      { maxExposure: '0.0000001' },
      { maxCumulative: -1n },
      { allowedTokens: ['0x123'] },
      { timeouts: { leaseMs: 999 } },
      { timeouts: { leaseMs: Number.NaN } },
    ])
      expect(() => createMppClient({ account, policy })).toThrow(OptionError)
    expect(() => createMppClient({ account, policy: { maxExposure: 'much' } })).toThrow(/maxExposure/)
    expect(() => createMppClient({ account, policy: { allowedOrigins: ['not a url'] } })).toThrow(OptionError)
  })
})

describe('approve', () => {
  it('false: nothing is signed', async () => {
    const gateway = await stage.gateway()
    const asked: PaymentIntent[] = []
    const approve = (intent: PaymentIntent) => {
      asked.push(intent)
      return false
    }
    const { failure, outcome } = await refusedBy({ approve }, gateway)
    expect(failure).toMatchObject({ code: 'policy_denied', detail: 'the payment was not approved' })
    expect(states(outcome).at(-2)).toBe('authorizing.awaitingApproval')
    expect(outcome.trace.at(-1)).toEqual({ state: 'failed', event: 'DENY' })
    expect(asked).toEqual([
      {
        action: 'open',
        deposit: '5000000',
        cumulative: '1000000',
        chainId: 42431,
        token: gateway.token,
        payee: gateway.payee,
        escrow: '0x4d50500000000000000000000000000000000000',
        origin: gateway.url,
        channelId: null,
        fee: '250000',
        feeToken: gateway.token,
      },
    ])
  })

  it('an error in the rule is no approval', async () => {
    const gateway = await stage.gateway()
    const approve = () => {
      throw new Error('the rule itself broke: prompt-like text')
    }
    const { failure } = await refusedBy({ approve }, gateway)
    expect(JSON.stringify(failure)).not.toContain('prompt-like')
  })

  it('undefined: the flow waits for an event, and goes on with APPROVE', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { approve: () => undefined } })
    const actor = mpp.createFlow(gateway.chat, chat(500))
    actor.start()
    await until(() => actor.getSnapshot().matches({ authorizing: 'awaitingApproval' }))
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(actor.getSnapshot().matches({ authorizing: 'awaitingApproval' })).toBe(true)
    expect(actor.getSnapshot().context.plan).toMatchObject({ kind: 'open', deposit: '5000000' })
    expect(payer.signatures()).toBe(0)
    actor.send({ type: 'APPROVE' })
    const outcome = await mpp.outcomeOf(actor)
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('APPROVE')
  })

  it('undefined: and ends with DENY, or with CANCEL, so that the next flow is asked anew', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { approve: () => undefined } })
    for (const [type, code] of [
      ['DENY', 'policy_denied'],
      ['CANCEL', 'cancelled'],
    ] as const) {
      const actor = mpp.createFlow(gateway.chat, chat(500))
      actor.start()
      await until(() => actor.getSnapshot().matches({ authorizing: 'awaitingApproval' }))
      actor.send({ type })
      expect(failureOf(await mpp.outcomeOf(actor)).code).toBe(code)
    }
    expect(payer.signatures()).toBe(0)
    expect(await stage.opened(payer.account)).toBe(0)
  })

  it('is asked for a top-up too, but not for a voucher within the deposit', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '2' })
    const asked: PaymentIntent[] = []
    const approve = async (intent: PaymentIntent) => {
      asked.push(intent)
      return true
    }
    const mpp = stage.client(stage.payer(), { policy: { approve, maxDeposit: '20' } })
    await paySome(mpp, gateway.chat, 5, () => chat(2200))
    expect(asked.map(({ action, deposit, cumulative }) => [action, deposit, cumulative])).toEqual([
      ['open', '2000000', '1000000'],
      ['topUp', '2000000', '3000000'],
    ])
    expect(asked[1]?.channelId).toMatch(/^0x[0-9a-f]{64}$/)
  })

  it('is asked once by 20 requests at once', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    let asked = 0
    const approve = async () => {
      asked += 1
      await new Promise((resolve) => setTimeout(resolve, 150))
      return true
    }
    const mpp = stage.client(payer.account, { policy: { approve } })
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => mpp.pay(gateway.chat, chat(50))))
    expect(outcomes.filter(({ status }) => status === 'succeeded')).toHaveLength(20)
    expect(asked).toBe(1)
    expect(await stage.opened(payer.account)).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
  })

  it('is asked once by 20 requests that need a top-up at once', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const payer = counted(stage.payer())
    const asked: string[] = []
    const approve = async ({ action }: PaymentIntent) => {
      asked.push(action)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return true
    }
    const mpp = stage.client(payer.account, { policy: { approve } })
    await paySome(mpp, gateway.chat, 1, () => chat(4900))
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => mpp.pay(gateway.chat, chat(200))))
    expect(outcomes.filter(({ status }) => status === 'succeeded')).toHaveLength(20)
    expect(asked).toEqual(['open', 'topUp'])
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
