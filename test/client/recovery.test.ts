// Recovery end to end: what the gateway refuses, and what the client makes of it, from real causes wherever there is one.
// Must never accept a recovery that costs more signatures or sends than it needs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeFailure, type Policy } from '../../src/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { hurriedClock } from '../../src/testing/hurried-clock.js'
import { type PassingRequest, startProxy } from './proxy.js'
import {
  chat,
  counted,
  events,
  failureOf,
  paySome,
  type Seen,
  type Stage,
  setStage,
  states,
  type WatchedGateway,
} from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const AUTHORIZE = ['authorizing.acquiringSession', 'authorizing.planning']
const CHALLENGED = ['requesting', 'parsingChallenge']
const DONE = ['paying', 'verifyingReceipt', 'succeeded']
const REUSE = [...CHALLENGED, ...AUTHORIZE, ...DONE]

const actions = (seen: readonly Seen[]) => seen.map(({ credential }) => credential?.payload.action ?? 'unpaid')
const cumulatives = (seen: readonly Seen[]) =>
  seen.flatMap(({ credential }) => {
    const payload = credential?.payload
    return payload !== undefined && 'cumulativeAmount' in payload ? [payload.cumulativeAmount] : []
  })

/** A client whose channel is open and whose voucher of 1 has `spent` tenths used up. */
async function opened(gateway: WatchedGateway, tenths = 1, policy: Policy = {}) {
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account, { policy: { maxDeposit: '20', ...policy } })
  await paySome(mpp, gateway.chat, 1, () => chat(500 * tenths))
  const signaturesBefore = payer.signatures()
  const seenBefore = gateway.seen.length
  return {
    mpp,
    payer,
    signed: () => payer.signatures() - signaturesBefore,
    seen: () => gateway.seen.slice(seenBefore),
  }
}

describe.concurrent('a bucket that is used up', () => {
  it('is refreshed: one more voucher, the same bytes', async () => {
    const gateway = await stage.gateway()
    const { mpp, signed, seen } = await opened(gateway, 8)
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(states(outcome)).toEqual([
      ...CHALLENGED,
      ...AUTHORIZE,
      'paying',
      'parsingChallenge',
      ...AUTHORIZE,
      'authorizing.signingVoucher',
      ...DONE,
    ])
    expect(events(outcome)[5]).toBe('mpp_voucher_bucket_refresh_required')
    expect(cumulatives(seen())).toEqual(['1000000', '2000000'])
    expect(signed()).toBe(1)
    expect(outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '0', cumulative: '2000000', paidSends: 2 })
    expect(outcome.receipt).toMatchObject({ acceptedCumulative: '2000000', spent: '1200000' })
  })

  it('is tried as it is before more is signed: no signature while the voucher lasts', async () => {
    const gateway = await stage.gateway()
    const { mpp, signed } = await opened(gateway)
    for (let at = 0; at < 5; at += 1) expect(states(await mpp.pay(gateway.chat, chat(500)))).toEqual(REUSE)
    expect(signed()).toBe(0)
  })

  it('and a quote above the bucket: the refreshed voucher covers it', async () => {
    const gateway = await stage.gateway()
    const { mpp, seen } = await opened(gateway)
    const outcome = await mpp.pay(gateway.chat, chat(7000))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('mpp_request_exceeds_voucher_bucket')
    expect(cumulatives(seen())).toEqual(['1000000', '2000000'])
  })

  it('and a quote above the bucket on the first request: the channel is opened with a voucher that covers it', async () => {
    const gateway = await stage.gateway()
    const payer = stage.payer()
    const outcome = await stage.client(payer).pay(gateway.chat, chat(7000))
    expect(events(outcome)).toContain('mpp_request_exceeds_voucher_bucket')
    expect(outcome.status).toBe('succeeded')
    expect(await stage.opened(payer)).toBe(1)
  })

  it('and a quote that no refresh can cover: terminal after one refresh, and the channel goes on working', async () => {
    const gateway = await stage.gateway()
    const { mpp, signed } = await opened(gateway)
    const outcome = await mpp.pay(gateway.chat, chat(20_000))
    expect(failureOf(outcome)).toMatchObject({ code: 'mpp_request_exceeds_voucher_bucket', retryable: false })
    expect(failureOf(outcome).advice).toContain('smaller request')
    expect(signed()).toBe(1)
    expect(states(await mpp.pay(gateway.chat, chat(500)))).toEqual(REUSE)
  })
})

describe.concurrent('a deposit that is used up', () => {
  it('is topped up, and the voucher refreshed, in one flow', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const { mpp, payer, seen } = await opened(gateway, 8)
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(states(outcome)).toEqual([
      ...CHALLENGED,
      ...AUTHORIZE,
      'paying',
      'parsingChallenge',
      ...AUTHORIZE,
      'authorizing.toppingUp',
      // Once more, when the top-up was signed.
      'authorizing.toppingUp',
      'authorizing.planning',
      'authorizing.signingVoucher',
      ...DONE,
    ])
    expect(actions(seen())).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
    expect(outcome.authorised).toMatchObject({ deposit: '1000000', cumulative: '2000000', vouchersSigned: 1 })
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000', accepted: '2000000', spent: '1200000' }])
    expect(await mpp.sessions.list()).toMatchObject([{ deposit: '2000000', signed: '2000000', pending: null }])
    expect(await stage.opened(payer.account)).toBe(1)
  })

  it('is topped up by as much as the voucher needs when more is not suggested', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1.5' })
    const { mpp } = await opened(gateway, 8)
    gateway.configure({ suggestedDeposit: '0.25' })
    expect((await mpp.pay(gateway.chat, chat(2000))).status).toBe('succeeded')
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
  })

  it('is topped up when the gateway says that it is below the voucher', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '2' })
    const { mpp, signed } = await opened(gateway)
    gateway.inject('mpp_session_deposit_below_request_cost')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(states(outcome)).toEqual([
      ...CHALLENGED,
      ...AUTHORIZE,
      'paying',
      'parsingChallenge',
      ...AUTHORIZE,
      'authorizing.toppingUp',
      // Once more, when the top-up was signed.
      'authorizing.toppingUp',
      'authorizing.planning',
      ...DONE,
    ])
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '4000000', accepted: '1000000' }])
    expect(gateway.accounting().counts.topUps).toBe(1)
    // The transaction; the voucher in hand is still good.
    expect(signed()).toBe(1)
  })

  it('and a top-up whose answer gets lost is looked for on the chain, not signed again', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const { mpp, payer, seen } = await opened(gateway, 8)
    gateway.inject('answer_lost', { on: 'topUp' })
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(outcome.status).toBe('succeeded')
    expect(actions(seen()).filter((action) => action === 'topUp')).toHaveLength(1)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
    expect(await stage.balance(payer.account.address)).toBe(10_000_000_000n - 2_000_000n)
  })

  it('and a top-up that never arrived is sent again, not signed again', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const { mpp, signed, seen } = await opened(gateway, 8)
    gateway.inject('http_503', { on: 'topUp' })
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(outcome.status).toBe('succeeded')
    const transactions = seen().flatMap(({ credential }) =>
      credential?.payload.action === 'topUp' ? [credential.payload.transaction] : [],
    )
    expect(transactions).toHaveLength(2)
    expect(new Set(transactions).size).toBe(1)
    // One top-up, one voucher.
    expect(signed()).toBe(2)
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
  })
})

describe.concurrent('a challenge that has expired', () => {
  it('is never answered: asked for again, a bounded number of times', async () => {
    const gateway = await stage.gateway({ challengeTtlSeconds: 0 })
    const payer = counted(stage.payer())
    const outcome = await stage.client(payer.account).pay(gateway.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({ code: 'challenge_expired', retryable: true })
    expect(states(outcome)).toEqual([...CHALLENGED, ...CHALLENGED, ...CHALLENGED, 'failed'])
    expect(actions(gateway.seen)).toEqual(['unpaid', 'unpaid', 'unpaid'])
    expect(payer.signatures()).toBe(0)
  })

  it('is not answered when it ran out while somebody made up their mind; the signed open is not signed again', async () => {
    const gateway = await stage.gateway({ challengeTtlSeconds: 2 })
    const payer = counted(stage.payer())
    let asked = 0
    const approve = async () => {
      asked += 1
      await new Promise((resolve) => setTimeout(resolve, 2300))
      return true
    }
    const outcome = await stage.client(payer.account, { policy: { approve } }).pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('CHALLENGE_EXPIRED')
    expect(actions(gateway.seen)).toEqual(['unpaid', 'unpaid', 'open'])
    for (const { at, credential } of gateway.seen) {
      if (credential === undefined) continue
      expect(Date.parse(credential.challenge.expires ?? '')).toBeGreaterThan(at)
    }
    expect(asked).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
    expect(await stage.opened(payer.account)).toBe(1)
  })
})

describe.concurrent('bytes that change on their way', () => {
  const tamper = (request: PassingRequest) => {
    request.body = new TextEncoder().encode(`${new TextDecoder().decode(request.body)} `)
  }

  it('unpaid: the challenge is for other bytes, and nothing is signed', async () => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, { request: tamper })
    try {
      const payer = counted(stage.payer())
      const outcome = await stage.client(payer.account).pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
      expect(failureOf(outcome)).toMatchObject({ code: 'challenge_rejected' })
      expect(states(outcome)).toEqual([...CHALLENGED, ...CHALLENGED, 'failed'])
      expect(payer.signatures()).toBe(0)
      expect(actions(gateway.seen)).toEqual(['unpaid', 'unpaid'])
      expect(failureOf(outcome).authorised).toEqual({
        channelId: null,
        deposit: '0',
        cumulative: '0',
        feeAtMost: '0',
        vouchersSigned: 0,
        paidSends: 0,
      })
      expect(describeFailure(failureOf(outcome))).toContain('Nothing was authorised')
    } finally {
      await proxy.stop()
    }
  })

  it('unpaid, once: the second challenge is for the right bytes and is paid', async () => {
    const gateway = await stage.gateway()
    let left = 1
    const proxy = await startProxy(gateway.url, {
      request: (request) => {
        if (left > 0) tamper(request)
        left -= 1
      },
    })
    try {
      const outcome = await stage.client(stage.payer()).pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
      expect(outcome.status).toBe('succeeded')
      expect(events(outcome)).toContain('DIGEST_MISMATCH')
    } finally {
      await proxy.stop()
    }
  })

  it('paid, once: mpp_body_digest_mismatch leads to a challenge for our own bytes', async () => {
    const gateway = await stage.gateway()
    let left = 1
    const proxy = await startProxy(gateway.url, {
      request: (request) => {
        if (!request.paid || left <= 0) return
        left -= 1
        tamper(request)
      },
    })
    try {
      const payer = counted(stage.payer())
      const outcome = await stage.client(payer.account).pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
      expect(outcome.status).toBe('succeeded')
      expect(events(outcome)).toContain('mpp_body_digest_mismatch')
      expect(await stage.opened(payer.account)).toBe(1)
      expect(payer.vouchers).toHaveLength(1)
    } finally {
      await proxy.stop()
    }
  })

  it('paid, always: terminal, with the code and what to look for', async () => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, { request: (request) => request.paid && tamper(request) })
    try {
      const payer = stage.payer()
      const outcome = await stage.client(payer).pay(`${proxy.url}/v1/mpp/chat/completions`, chat(500))
      const failure = failureOf(outcome)
      expect([failure.code, failure.cause]).toContain('mpp_body_digest_mismatch')
      expect(gateway.seen.filter(({ credential }) => credential !== undefined).length).toBeLessThanOrEqual(2)
      expect(await stage.opened(payer)).toBe(0)
    } finally {
      await proxy.stop()
    }
  })
})

describe.concurrent('refusals that pass', () => {
  it('mpp_invalid_challenge: the challenge on the refusal is answered, with the same voucher', async () => {
    const gateway = await stage.gateway()
    const { mpp, signed, seen } = await opened(gateway)
    gateway.inject('mpp_invalid_challenge')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(states(outcome)).toEqual([...CHALLENGED, ...AUTHORIZE, 'paying', 'parsingChallenge', ...AUTHORIZE, ...DONE])
    expect(actions(seen())).toEqual(['unpaid', 'voucher', 'voucher'])
    expect(signed()).toBe(0)
    const challenges = seen().flatMap(({ credential }) => (credential === undefined ? [] : [credential.challenge.id]))
    expect(new Set(challenges).size).toBe(2)
  })

  it('mpp_invalid_challenge on an open: the signed open is sent again, not signed again', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    gateway.inject('mpp_invalid_challenge')
    const outcome = await stage.client(payer.account).pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    const opens = gateway.seen.flatMap(({ credential }) =>
      credential?.payload.action === 'open' ? [credential.payload.transaction] : [],
    )
    expect(opens).toHaveLength(2)
    expect(new Set(opens).size).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
    expect(await stage.opened(payer.account)).toBe(1)
  })

  it('mpp_reservation_failed: waits, asks again, keeps the voucher', async () => {
    const gateway = await stage.gateway()
    const { mpp, signed } = await opened(gateway)
    gateway.inject('mpp_reservation_failed')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(states(outcome)).toEqual([...CHALLENGED, ...AUTHORIZE, 'paying', 'backingOff', ...REUSE])
    expect(signed()).toBe(0)
  })

  it('mpp_reservation_failed after the channel was opened by the same send: goes on with the open channel', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    gateway.inject('mpp_reservation_failed', { on: 'open' })
    const outcome = await stage.client(payer.account).pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(actions(gateway.seen)).toEqual(['unpaid', 'open', 'unpaid', 'voucher'])
    expect(payer.vouchers).toHaveLength(1)
    expect(await stage.opened(payer.account)).toBe(1)
  })

  it('mpp_payment_verification_failed: the chain is asked, and the voucher signed anew', async () => {
    const gateway = await stage.gateway()
    const { mpp, payer, seen } = await opened(gateway)
    gateway.inject('mpp_payment_verification_failed')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(states(outcome)).toEqual([
      ...CHALLENGED,
      ...AUTHORIZE,
      'paying',
      'authorizing.reconcilingSession',
      'parsingChallenge',
      ...AUTHORIZE,
      'authorizing.signingVoucher',
      ...DONE,
    ])
    expect(cumulatives(seen())).toEqual(['1000000', '1000000'])
    expect(payer.vouchers).toHaveLength(2)
  })

  it('two different ones in a row, in one flow', async () => {
    const gateway = await stage.gateway()
    const { mpp, seen } = await opened(gateway)
    gateway.inject('mpp_invalid_challenge')
    gateway.inject('mpp_reservation_failed')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(states(outcome)).toEqual([
      ...CHALLENGED,
      ...AUTHORIZE,
      'paying',
      'parsingChallenge',
      ...AUTHORIZE,
      'paying',
      'backingOff',
      ...REUSE,
    ])
    expect(outcome.status).toBe('succeeded')
    expect(actions(seen())).toEqual(['unpaid', 'voucher', 'voucher', 'unpaid', 'voucher'])
  })

  it('a refresh, a top-up, a failed reservation and a used-up challenge, in one flow', async () => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const { mpp, payer } = await opened(gateway, 8)
    gateway.inject('mpp_malformed_credential')
    gateway.inject('mpp_invalid_challenge', { on: 'topUp' })
    const outcome = await mpp.pay(gateway.chat, chat(2000))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome).filter((event) => event.startsWith('mpp_'))).toEqual([
      'mpp_malformed_credential',
      'mpp_voucher_bucket_refresh_required',
      'mpp_invalid_challenge',
    ])
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000', accepted: '2000000' }])
    expect(await stage.balance(payer.account.address)).toBe(10_000_000_000n - 2_000_000n)
  })
})

describe.concurrent('refusals that stay', () => {
  it.each([
    ['mpp_invalid_challenge', 2],
    ['mpp_malformed_credential', 1],
    ['mpp_payment_verification_failed', 1],
    ['mpp_reservation_failed', 3],
  ] as const)(
    '%s: after %i recoveries it fails with code, advice and references',
    async (code, bound) => {
      const gateway = await stage.gateway()
      const { mpp, seen } = await opened(gateway)
      const [session] = await mpp.sessions.list()
      gateway.inject(code, { times: 9 })
      const outcome = await mpp.pay(gateway.chat, chat(500))
      const failure = failureOf(outcome)
      expect(failure.code).toBe(code)
      expect(failure.advice.length).toBeGreaterThan(10)
      expect(events(outcome).filter((event) => event === code)).toHaveLength(bound + 1)
      expect(actions(seen()).filter((action) => action === 'voucher')).toHaveLength(bound + 1)
      const { response } = outcome
      expect(failure.references).toEqual({
        requestId: response?.headers.get('x-request-id'),
        challengeId: expect.stringMatching(/^[\w-]{43}$/),
        channelId: session?.channelId,
        httpStatus: response?.status,
      })
      expect(await response?.json()).toMatchObject({ error: { code } })
      expect(outcome.trace.at(-1)).toEqual({ state: 'failed', event: code })
      const words = describeFailure(failure)
      for (const part of [
        code,
        failure.advice,
        session?.channelId ?? '?',
        response?.headers.get('x-request-id') ?? '?',
      ])
        expect(words).toContain(part)
    },
    15_000,
  )

  it('can be given other bounds by the caller', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { policy: { attempts: { mpp_invalid_challenge: 0 } } })
    gateway.inject('mpp_invalid_challenge')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(outcome).code).toBe('mpp_invalid_challenge')
    expect(actions(gateway.seen)).toEqual(['unpaid', 'open'])
  })

  it('mpp_payer_not_allowed: at once, and nothing is on the chain', async () => {
    const payer = counted(stage.payer())
    const gateway = await stage.gateway({ blockedPayers: [payer.account.address] })
    const outcome = await stage.client(payer.account).pay(gateway.chat, chat(500))
    expect(failureOf(outcome).code).toBe('mpp_payer_not_allowed')
    expect(actions(gateway.seen)).toEqual(['unpaid', 'open'])
    expect(await stage.opened(payer.account)).toBe(0)
  })

  it('mpp_request_quote_invalid: at once, before anything is signed', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const body = JSON.stringify({ model: 'sandbox-small', messages: [{ role: 'user', content: 'hello' }] })
    const outcome = await stage.client(payer.account).pay(gateway.chat, { method: 'POST', body })
    expect(failureOf(outcome)).toMatchObject({ code: 'mpp_request_quote_invalid', retryable: false })
    expect(failureOf(outcome).advice).toContain('max_tokens')
    expect(payer.signatures()).toBe(0)
  })

  it('mpp_streaming_unavailable: seen here, before anything is sent', async () => {
    const gateway = await stage.gateway()
    const { body } = chat(500)
    const streaming = JSON.stringify({ ...JSON.parse(body), stream: true })
    const outcome = await stage.client(stage.payer()).pay(gateway.chat, { method: 'POST', body: streaming })
    expect(failureOf(outcome).code).toBe('mpp_streaming_unavailable')
    expect(failureOf(outcome).advice).toContain('stream: false')
    expect(gateway.seen).toEqual([])
  })

  it('mpp_commit_failed: at once, because the work ran; with the caller’s leave, once more', async () => {
    const gateway = await stage.gateway()
    const { mpp, seen } = await opened(gateway)
    gateway.inject('mpp_commit_failed')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({ code: 'mpp_commit_failed', retryable: false })
    expect(actions(seen())).toEqual(['unpaid', 'voucher'])

    const brave = stage.client(stage.payer(), { policy: { retryCommitFailed: true } })
    gateway.inject('mpp_commit_failed', { times: 1 })
    expect((await brave.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    gateway.inject('mpp_commit_failed', { times: 2 })
    expect(failureOf(await brave.pay(gateway.chat, chat(500))).code).toBe('mpp_commit_failed')
  })
})

describe.concurrent('HTTP without a code', () => {
  it('5xx on the unpaid send: tried again, a bounded number of times', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    gateway.inject('http_502', { on: 'unpaid', times: 2 })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(states(outcome).slice(0, 5)).toEqual(['requesting', 'backingOff', 'requesting', 'backingOff', 'requesting'])
    gateway.inject('http_502', { on: 'unpaid', times: 3 })
    const failed = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(failed)).toMatchObject({ code: 'server_failed', references: { httpStatus: 502 } })
  })

  it('a connection that breaks on the unpaid send is tried again', async () => {
    const gateway = await stage.gateway()
    gateway.inject('connection_lost', { on: 'unpaid' })
    const outcome = await stage.client(stage.payer()).pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)[1]).toBe('CONNECTION_FAILED')
  })

  it('429: waits as long as it is asked to, once', async () => {
    const gateway = await stage.gateway()
    const clock = hurriedClock()
    const mpp = stage.client(stage.payer(), {}, clock)
    gateway.inject('http_429', { on: 'unpaid' })
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    expect(clock.pauses).toEqual([expect.toSatisfy((ms: number) => ms >= 1000 && ms <= 1200)])
    gateway.inject('http_429', { on: 'unpaid', times: 5 })
    const failed = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(failed).code).toBe('rate_limited')
    expect(events(failed).filter((event) => event === 'RATE_LIMITED')).toHaveLength(2)
  })

  it('503 on the paid send: the same credential is sent again where the policy says so', async () => {
    const gateway = await stage.gateway()
    const { mpp, seen, signed } = await opened(gateway, 1, { resendPaid: true })
    gateway.inject('http_503')
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(signed()).toBe(0)
    const [first, second] = seen().filter(({ credential }) => credential !== undefined)
    expect(second?.authorization).toBe(first?.authorization)
    expect(gateway.accounting().counts.completions).toBe(2)
  })

  it.each(['http_500', 'connection_lost', 'answer_lost'])(
    '%s on the paid send: the outcome is unknown, it is not sent again, and the channel goes on working',
    async (fault) => {
      const gateway = await stage.gateway()
      const { mpp, seen } = await opened(gateway)
      gateway.inject(fault)
      const outcome = await mpp.pay(gateway.chat, chat(500))
      expect(failureOf(outcome)).toMatchObject({ code: 'outcome_unknown', retryable: false })
      expect(failureOf(outcome).authorised).toMatchObject({ cumulative: '1000000', paidSends: 1 })
      expect(actions(seen())).toEqual(['unpaid', 'voucher'])
      expect(states(await mpp.pay(gateway.chat, chat(500)))).toEqual(REUSE)
    },
  )

  it('an open whose answer is lost: the next request finds the channel on the chain', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    gateway.inject('answer_lost', { on: 'open' })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
    expect(await stage.opened(payer.account)).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
  })

  it('an open that is lost before it is carried out: the next request sends the same transaction', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    gateway.inject('connection_lost', { on: 'open' })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    expect(await stage.opened(payer.account)).toBe(0)
    const second = await mpp.pay(gateway.chat, chat(500))
    expect(second.status).toBe('succeeded')
    const opens = gateway.seen.flatMap(({ credential }) =>
      credential?.payload.action === 'open' ? [credential.payload.transaction] : [],
    )
    expect(opens).toHaveLength(2)
    expect(new Set(opens).size).toBe(1)
    expect(await stage.opened(payer.account)).toBe(1)
  })

  it('any other status is the caller’s answer', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    gateway.inject('http_418', { on: 'unpaid' })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(outcome.status).toBe('succeeded')
    expect(outcome.response?.status).toBe(418)
  })
})

describe.concurrent('a channel that is gone', () => {
  /** A client whose channel was closed behind its back, by another process of the same payer. */
  async function closedElsewhere(gateway: WatchedGateway) {
    const payer = counted(stage.payer())
    const store = memoryStore()
    const mpp = stage.client(payer.account, { store })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const [record] = await store.list()
    if (record === undefined) throw new Error('no record')
    const elsewhere = memoryStore()
    await elsewhere.update(record.key, () => record)
    const other = stage.client(payer.account, { store: elsewhere })
    expect((await other.sessions.close(record.session.channelId ?? '')).status).toBe('closed')
    return { payer, mpp }
  }

  it('in the gateway’s books and on the chain: one new channel is opened', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp } = await closedElsewhere(gateway)
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(events(outcome)).toContain('session/channel-finalized')
    expect(outcome.status).toBe('succeeded')
    expect(await stage.opened(payer.account)).toBe(2)
    expect((await mpp.sessions.list()).map(({ status }) => status).sort()).toEqual(['closed', 'open'])
  })

  it('and 10 requests find out at once: one new channel is opened for all', async () => {
    const gateway = await stage.gateway()
    const { payer, mpp } = await closedElsewhere(gateway)
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => mpp.pay(gateway.chat, chat(50))))
    expect(outcomes.map((outcome) => (outcome.status === 'failed' ? outcome.failure.code : outcome.status))).toEqual(
      Array(10).fill('succeeded'),
    )
    expect(await stage.opened(payer.account)).toBe(2)
  })

  it('and what the close settled and refunded is in the ledger afterwards', async () => {
    const gateway = await stage.gateway()
    const { mpp } = await closedElsewhere(gateway)
    await mpp.pay(gateway.chat, chat(500))
    const closed = (await mpp.sessions.list()).find(({ status }) => status === 'closed')
    expect(closed).toMatchObject({ settled: '100000', refunded: '4900000' })
  })
})
