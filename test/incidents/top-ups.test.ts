// Incidents with deposits that run out: top-ups that never started, were signed for the wrong challenge, or failed in silence.
// Must never be satisfied with success alone: which voucher, which challenge and how much is read off the wire.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMppClient, memoryStore } from '../../src/index.js'
import { startProxy } from '../client/proxy.js'
import { chat, counted, events, failureOf, paySome, type Seen, type Stage, setStage } from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const actions = (seen: readonly Seen[]) => seen.map(({ credential }) => credential?.payload.action ?? 'unpaid')
const cumulatives = (seen: readonly Seen[]) =>
  seen.flatMap(({ credential }) => {
    const payload = credential?.payload
    return payload !== undefined && 'cumulativeAmount' in payload ? [payload.cumulativeAmount] : []
  })

describe.concurrent('2. a resumed channel with deposit 5000000 and cumulative 4999615 fails every request', () => {
  it('it is topped up, once, and goes on', async () => {
    const gateway = await stage.gateway({ bucket: 4_999_615n, suggestedDeposit: 5_000_000n })
    const payer = counted(stage.payer())
    const store = memoryStore()
    const before = stage.client(payer.account, { store, policy: { maxExposure: '5' } })
    // 24,998 tokens at 200: all but 15 base units of what is authorised.
    await paySome(before, gateway.chat, 1, () => chat(24_998))
    expect(await before.sessions.list()).toMatchObject([
      { deposit: '5000000', signed: '4999615', accepted: '4999615', spent: '4999600' },
    ])

    gateway.configure({ bucket: '1' })
    const seenBefore = gateway.seen.length
    // Another process, with the limits that it would have by default, the deposit apart.
    const resumed = stage.client(payer.account, { store, policy: { maxDeposit: '20' } })
    const outcome = await resumed.pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    const seen = gateway.seen.slice(seenBefore)
    expect(actions(seen)).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
    expect(cumulatives(seen)).toEqual(['4999615', '5999615'])
    await paySome(resumed, gateway.chat, 5, () => chat(500))
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, topUps: 1 })
    expect(await resumed.sessions.list()).toMatchObject([
      { deposit: '10000000', signed: '5999615', accepted: '5999615', spent: '5599600' },
    ])
  })

  it('and where the policy allows no more deposit, it says so, and names the limit', async () => {
    const gateway = await stage.gateway({ bucket: 4_999_615n, suggestedDeposit: 5_000_000n })
    const payer = stage.payer()
    const store = memoryStore()
    await paySome(stage.client(payer, { store, policy: { maxExposure: '5' } }), gateway.chat, 1, () => chat(24_998))
    gateway.configure({ bucket: '1' })
    const failure = failureOf(await stage.client(payer, { store }).pay(gateway.chat, chat(500)))
    expect(failure).toMatchObject({
      code: 'limit_exceeded',
      limit: 'maxDeposit',
      cause: 'mpp_voucher_bucket_refresh_required',
    })
  })
})

describe.concurrent('3. the voucher is clamped to the deposit, so the top-up never starts', () => {
  it('no voucher is ever made smaller to fit: the deposit grows first', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1.5' })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxDeposit: '20' } })
    await paySome(mpp, gateway.chat, 8, () => chat(2_000))
    // Whole buckets only; 1.5 and 3 would be clamped ones.
    expect([...new Set(cumulatives(gateway.seen))]).toEqual(['1000000', '2000000', '3000000', '4000000'])
    expect(gateway.accounting().counts.topUps).toBe(2)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '4500000', spent: '3200000' }])
  })
})

describe.concurrent('3. and top-up errors other than "insufficient balance" are ignored', () => {
  /** A client whose next large request needs a top-up. */
  async function nearTheEnd(policy = {}) {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const payer = stage.payer()
    const store = memoryStore()
    const mpp = stage.client(payer, { store, policy: { maxDeposit: '20', ...policy } })
    await paySome(mpp, gateway.chat, 1, () => chat(4_000))
    return { gateway, payer, store, mpp }
  }

  it.each([
    ['mpp_payer_not_allowed', 'mpp_payer_not_allowed'],
    ['mpp_malformed_credential', 'mpp_malformed_credential'],
    ['mpp_payment_verification_failed', 'mpp_payment_verification_failed'],
    // A 500 leaves open what was done; the chain is asked each time before it is sent again.
    ['http_500', 'outcome_unknown'],
    ['http_503', 'server_failed'],
    ['http_429', 'rate_limited'],
  ])('%s on the top-up is what the request fails with', async (fault, code) => {
    const { gateway, mpp } = await nearTheEnd()
    gateway.inject(fault, { on: 'topUp', times: 9 })
    const outcome = await mpp.pay(gateway.chat, chat(2_000))
    expect(failureOf(outcome).code).toBe(code)
    // No voucher goes out for a deposit that is not there.
    expect(cumulatives(gateway.seen)).not.toContain('2000000')
  })

  it('a wallet that is empty, and a chain that does not answer: each under its own name', async () => {
    const { gateway, mpp, payer, store } = await nearTheEnd({ maxDeposit: '100000', maxExposure: '50000' })
    gateway.configure({ bucket: '20000', suggestedDeposit: '20000' })
    expect(failureOf(await mpp.pay(gateway.chat, chat(2_000))).code).toBe('wallet_balance_insufficient')
    gateway.configure({ bucket: '1', suggestedDeposit: '1' })
    const deaf = createMppClient({
      account: payer,
      store,
      rpcUrl: 'http://127.0.0.1:9',
      policy: { maxDeposit: '20', attempts: { CHAIN_UNAVAILABLE: 0 } },
    })
    expect(failureOf(await deaf.pay(gateway.chat, chat(2_000))).code).toBe('chain_unavailable')
    // And when the chain answers again, the same request goes through.
    expect((await mpp.pay(gateway.chat, chat(2_000))).status).toBe('succeeded')
  })
})

describe.concurrent('4. a top-up is signed on a stale challenge', () => {
  it('the challenge of the refusal is answered by the voucher, and the top-up, which has no body, answers one of its own', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const offered: string[] = []
    const proxy = await startProxy(gateway.url, {
      answer: ({ headers }) => {
        const id = /\bid="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1]
        if (id !== undefined) offered.push(id)
      },
    })
    try {
      const url = `${proxy.url}/v1/mpp/chat/completions`
      const mpp = stage.client(stage.payer(), { policy: { maxDeposit: '20' } })
      await paySome(mpp, url, 1, () => chat(4_000))
      const [seenBefore, offeredBefore] = [gateway.seen.length, offered.length]
      expect((await mpp.pay(url, chat(2_000))).status).toBe('succeeded')
      const seen = gateway.seen.slice(seenBefore)
      const [first, fresh, own] = offered.slice(offeredBefore)
      expect(actions(seen)).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
      expect(seen.map(({ credential }) => credential?.challenge.id)).toEqual([undefined, first, undefined, own, fresh])
    } finally {
      await proxy.stop()
    }
  })

  it('it ran out while somebody made up their mind: a new one is asked for, nothing is sent with the old one', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    let patience = 0
    const approve = async (): Promise<boolean> => {
      await new Promise((resolve) => setTimeout(resolve, patience))
      return true
    }
    const mpp = stage.client(stage.payer(), { policy: { maxDeposit: '20', approve } })
    await paySome(mpp, gateway.chat, 1, () => chat(4_000))
    gateway.configure({ challengeTtlSeconds: 2 })
    patience = 2_200
    const outcome = await mpp.pay(gateway.chat, chat(2_000))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('CHALLENGE_EXPIRED')
    for (const { at, credential } of gateway.seen) {
      if (credential !== undefined) expect(Date.parse(credential.challenge.expires ?? '')).toBeGreaterThan(at)
    }
    expect(gateway.accounting().counts).toMatchObject({ topUps: 1 })
  })
})

describe.concurrent('4. and the server’s hint of the needed amount is missing, and the client crashes', () => {
  it.each<[string, Record<string, unknown>]>([
    ['is missing', {}],
    ['is null', { requiredTopUp: null }],
    ['is no number', { requiredTopUp: 'a lot' }],
    ['is an object', { requiredTopUp: { amount: '1' } }],
  ])('it %s: the bucket size is what is added', async (_name, hint) => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (!new TextDecoder().decode(answer.body).includes('mpp_voucher_bucket_refresh_required')) return
        const type = 'https://paymentauth.org/problems/session/insufficient-balance'
        answer.headers.set('content-type', 'application/problem+json')
        answer.body = new TextEncoder().encode(JSON.stringify({ type, ...hint }))
      },
    })
    try {
      const url = `${proxy.url}/v1/mpp/chat/completions`
      const mpp = stage.client(stage.payer(), { policy: { maxDeposit: '20' } })
      await paySome(mpp, url, 1, () => chat(4_000))
      const outcome = await mpp.pay(url, chat(2_000))
      expect(events(outcome)).toContain('session/insufficient-balance')
      expect(outcome.status).toBe('succeeded')
      expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000', accepted: '2000000' }])
    } finally {
      await proxy.stop()
    }
  })
})
