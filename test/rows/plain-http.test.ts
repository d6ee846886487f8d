// HTTP answers without a code, a test per row: rates, failures and broken connections, unpaid and paid.
// Must never let a paid request go out twice where the first one may have been carried out.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PaymentFlowError } from '../../src/index.js'
import { chat, events, failureOf, type Stage, setStage, states } from '../client/stage.js'
import {
  AUTHORIZE,
  CHALLENGED,
  DONE,
  expectFailure,
  expectIdenticalRequests,
  kinds,
  NOTHING,
  prepareGrounds,
  RESENT,
  REUSE,
  request,
  TO_PAYING,
} from './row-stage.js'
import { answerLost, hang, pass, passAndHangUp, reset, status } from './scripted-gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(80)
})
const grounds = prepareGrounds(() => stage)
afterAll(async () => {
  await grounds.stop()
  await stage?.stop()
})
const { ground } = grounds

/** A pause that is not shorter than asked, and at most a fifth longer. */
const pauseOf = (least: number, most = least) => expect.toSatisfy((ms: number) => ms >= least && ms <= most * 1.2)

/** What a flow that waits says about how long, before it is cancelled. */
async function backoffOf(here: Awaited<ReturnType<typeof ground>>): Promise<number> {
  const actor = here.mpp.createFlow(here.scripted.chat, request())
  const waited = new Promise<number>((resolve) => {
    actor.subscribe((snapshot) => {
      if (snapshot.matches('backingOff')) resolve(snapshot.context.backoffMs)
    })
  })
  actor.start()
  const backoffMs = await waited
  actor.send({ type: 'CANCEL' })
  expect(failureOf(await here.mpp.outcomeOf(actor)).code).toBe('cancelled')
  return backoffMs
}

describe.concurrent('HTTP without a code: 429', () => {
  it('429 unpaid → waits Retry-After in seconds, then asks again', async () => {
    const here = await ground()
    here.scripted.next('unpaid', status(429, { 'retry-after': '1' }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', 'backingOff', ...REUSE])
    expect(here.pauses()).toEqual([pauseOf(1000)])
    expectIdenticalRequests(here.sends())
  })

  it('429 unpaid → waits until the date of Retry-After', async () => {
    const here = await ground()
    const date = new Date(Math.ceil(Date.now() / 1000) * 1000 + 20_000)
    here.scripted.next('unpaid', status(429, { 'retry-after': date.toUTCString() }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome.status).toBe('succeeded')
    const [first, second] = here.sends().map(({ at }) => date.getTime() - at)
    expect(here.pauses()).toEqual([pauseOf(second ?? 0, first)])
  })

  it.each([
    ['an hour', '3600', 30_000],
    ['thirty years', '999999999', 30_000],
    ['tomorrow as a date', new Date(Date.now() + 86_400_000).toUTCString(), 30_000],
    ['yesterday as a date', new Date(Date.now() - 86_400_000).toUTCString(), 0],
    ['seven seconds', '7', 7000],
    ['a word', 'soon', 250],
  ])('429 with a Retry-After of %s → waits as asked, capped, or as it would without', async (_, asked, expected) => {
    const here = await ground({ spend: 0 })
    here.scripted.next('unpaid', status(429, { 'retry-after': asked }))
    expect(await backoffOf(here)).toBe(expected)
  })

  it('429 unpaid, again and again → never a loop: asked twice, nothing authorised', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(429, { 'retry-after': '0' }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', 'backingOff', 'requesting', 'failed'])
    expectFailure(outcome, 'rate_limited', {
      httpStatus: 429,
      requestId: here.scripted.requestIds.at(-1),
      authorised: NOTHING,
    })
    expect(kinds(here.sends())).toEqual(['unpaid', 'unpaid'])
    expect(outcome.response?.status).toBe(429)
  })

  it('429 paid → waits, then the same credential again: whatever was run, nothing more is signed', async () => {
    const here = await ground({ policy: { resendPaid: true } })
    here.scripted.next('voucher', status(429, { 'retry-after': '1' }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'backingOff', ...RESENT])
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'voucher'])
    const [, refused, paid] = here.sends()
    expect(here.pauses()).toEqual([pauseOf(1000)])
    expect(paid?.authorization).toBe(refused?.authorization)
    expectIdenticalRequests(here.sends())
    expect(here.signed()).toBe(0)
  })

  it('429 paid, again and again → never a loop', async () => {
    const here = await ground({ policy: { resendPaid: true } })
    here.scripted.always('voucher', status(429, { 'retry-after': '0' }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'outcome_unknown', {
      httpStatus: 429,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 2 },
    })
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('HTTP without a code: the unpaid request', () => {
  it.each([500, 502, 503, 504])(
    '%i unpaid → backs off longer each time, bounded, and succeeds when it passes',
    async (code) => {
      const here = await ground()
      here.scripted.next('unpaid', status(code), status(code))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual(['requesting', 'backingOff', 'requesting', 'backingOff', ...REUSE])
      expect(here.pauses()).toEqual([pauseOf(250), pauseOf(500)])
      expectIdenticalRequests(here.sends())
    },
  )

  it.each([500, 503])('%i unpaid, again and again → 3 sends, then it fails; nothing authorised', async (code) => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(code))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(kinds(here.sends())).toEqual(['unpaid', 'unpaid', 'unpaid'])
    expectFailure(outcome, 'server_failed', {
      httpStatus: code,
      requestId: here.scripted.requestIds.at(-1),
      authorised: NOTHING,
    })
  })

  it('a broken connection unpaid → backs off and asks again', async () => {
    const here = await ground()
    here.scripted.next('unpaid', reset, reset)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', 'backingOff', 'requesting', 'backingOff', ...REUSE])
    expect(events(outcome).filter((event) => event === 'CONNECTION_FAILED')).toHaveLength(2)
    expectIdenticalRequests(here.sends())
  })

  it('a broken connection unpaid, again and again → 3 sends, then it fails; fetch throws and says so', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', reset)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(kinds(here.sends())).toEqual(['unpaid', 'unpaid', 'unpaid'])
    expectFailure(outcome, 'connection_failed', { httpStatus: null, authorised: NOTHING })
    expect(outcome.response).toBeUndefined()
    const thrown = await here.mpp.fetch(here.scripted.chat, request()).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(PaymentFlowError)
    expect(String(thrown)).toContain('Nothing was authorised')
  })

  it('nobody listens → tried a bounded number of times', async () => {
    const here = await ground({ spend: 0 })
    await here.scripted.goDown()
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'connection_failed', { httpStatus: null, authorised: NOTHING })
    expect(failure.detail).toContain('ECONNREFUSED')
    expect(events(outcome).filter((event) => event === 'CONNECTION_FAILED')).toHaveLength(3)
    await here.scripted.comeBack()
  })
})

describe.concurrent('HTTP without a code: the paid request', () => {
  it.each([500, 502, 504, 507])('%i paid → outcome_unknown, not sent again', async (code) => {
    const here = await ground()
    here.scripted.always('voucher', status(code))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'failed'])
    expectFailure(outcome, 'outcome_unknown', {
      httpStatus: code,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { channelId: null, deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
    expect(outcome.response?.status).toBe(code)
    here.scripted.always('voucher', undefined)
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })

  it('502 paid on an open → outcome_unknown; the next request finds out by the chain, and opens no second one', async () => {
    for (const carriedOut of [true, false]) {
      const here = await ground({ spend: 0 })
      here.scripted.next('open', async (exchange) => {
        if (carriedOut) await exchange.pass()
        return status(502)(exchange)
      })
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expectFailure(outcome, 'outcome_unknown', {
        httpStatus: 502,
        authorised: { deposit: '5000000', cumulative: '1000000', vouchersSigned: 1, paidSends: 1 },
      })
      expect((await here.mpp.sessions.list())[0]?.status).toBe(carriedOut ? 'open' : 'opening')
      expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
      expect(await stage.opened(here.account)).toBe(1)
      expect(here.payer.vouchers).toHaveLength(1)
    }
  })

  it('503 paid → sent again with the same credential and the same Idempotency-Key', async () => {
    const here = await ground({ policy: { resendPaid: true } })
    here.scripted.next('voucher', status(503))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'backingOff', ...RESENT])
    const [, first, second] = here.sends()
    expect(second?.authorization).toBe(first?.authorization)
    expect(second?.idempotencyKey).toBe(first?.idempotencyKey)
    expect(second?.idempotencyKey).toMatch(/^[\w-]{16,}$/)
    expectIdenticalRequests(here.sends())
    expect(here.signed()).toBe(0)
    expect(here.gateway.accounting().counts.completions).toBe(2)
    expect(outcome.authorised).toMatchObject({ paidSends: 2, cumulative: '1000000' })
  })

  it('503 paid on an open → the same open is sent again', async () => {
    const here = await ground({ spend: 0, policy: { resendPaid: true } })
    here.scripted.next('open', status(503))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome.status).toBe('succeeded')
    const [, first, second] = here.sends()
    expect(kinds(here.sends())).toEqual(['unpaid', 'open', 'open'])
    expect(second?.authorization).toBe(first?.authorization)
    expect(await stage.opened(here.account)).toBe(1)
    expect(here.payer.vouchers).toHaveLength(1)
  })

  it('503 paid, again and again → bounded', async () => {
    const here = await ground({ policy: { resendPaid: true } })
    here.scripted.always('voucher', status(503))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'outcome_unknown', {
      httpStatus: 503,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 3 },
    })
    expect(new Set(here.sends().flatMap(({ authorization }) => authorization ?? [])).size).toBe(1)
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'voucher', 'voucher'])
  })

  it('503 paid → not sent again, unless the policy says so', async () => {
    const here = await ground()
    here.scripted.always('voucher', status(503))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'failed'])
    expectFailure(outcome, 'outcome_unknown', { httpStatus: 503, authorised: { paidSends: 1, cumulative: '1000000' } })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
  })

  it('connection refused on the paid send → it never left: sent again, the same credential', async () => {
    for (const spend of [0, 500]) {
      const here = await ground({ spend })
      here.scripted.next('unpaid', passAndHangUp)
      const actor = here.mpp.createFlow(here.scripted.chat, request())
      let gone: Promise<void> | undefined
      const waits = new Promise<void>((resolve) => {
        actor.subscribe((snapshot) => {
          // Challenged, nothing sent yet: from here on nobody listens.
          if (snapshot.matches('parsingChallenge')) gone ??= here.scripted.goDown()
          if (snapshot.matches('backingOff') || snapshot.status === 'done') resolve()
        })
      })
      actor.start()
      await waits
      await gone
      expect(actor.getSnapshot().context.authorised.paidSends).toBe(0)
      await here.scripted.comeBack()
      const outcome = await here.mpp.outcomeOf(actor)
      expect(outcome.status).toBe('succeeded')
      expect(states(outcome)).toEqual([
        ...CHALLENGED,
        ...AUTHORIZE,
        ...(spend === 0 ? ['authorizing.openingSession'] : []),
        'paying',
        'backingOff',
        ...DONE,
      ])
      expect(events(outcome)).toContain('CONNECTION_FAILED')
      expect(kinds(here.sends())).toEqual(['unpaid', spend === 0 ? 'open' : 'voucher'])
      expect(outcome.authorised.paidSends).toBe(1)
      expect(await stage.opened(here.account)).toBe(1)
    }
  })

  it('connection refused on the paid send, again and again → bounded; what was signed is said, and nothing was sent', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.next('unpaid', passAndHangUp)
    const actor = here.mpp.createFlow(here.scripted.chat, request())
    let gone: Promise<void> | undefined
    actor.subscribe((snapshot) => {
      if (snapshot.matches('parsingChallenge')) gone ??= here.scripted.goDown()
    })
    actor.start()
    const outcome = await here.mpp.outcomeOf(actor)
    await gone
    const failure = expectFailure(outcome, 'connection_failed', {
      httpStatus: 402,
      authorised: { deposit: '5000000', cumulative: '0', vouchersSigned: 1, paidSends: 0 },
    })
    expect(failure.references.channelId).toMatch(/^0x[0-9a-f]{64}$/)
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(await stage.opened(here.account)).toBe(0)
    // The signed open is kept, and used by the next request.
    expect((await here.mpp.sessions.list())[0]).toMatchObject({ status: 'opening', pending: 'open' })
    await here.scripted.comeBack()
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
    expect(here.payer.vouchers).toHaveLength(1)
    expect(await stage.opened(here.account)).toBe(1)
  })

  it('connection reset after the request left → outcome_unknown, with the truth in authorised', async () => {
    const here = await ground()
    here.scripted.next('voucher', reset)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'failed'])
    expectFailure(outcome, 'outcome_unknown', {
      // Of the answer that came last: the challenge.
      httpStatus: 402,
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })

  it('EHOSTUNREACH of a connection that was in use → outcome_unknown: it had arrived, and runs once', async () => {
    const here = await ground()
    // The request reaches the gateway and is run; then the route to it is gone, and Node says so of the read.
    const broken: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      if (!new Headers(init?.headers).has('authorization')) return response
      await response.arrayBuffer()
      const cause = Object.assign(new Error('read EHOSTUNREACH'), {
        errno: -113,
        code: 'EHOSTUNREACH',
        syscall: 'read',
      })
      throw new TypeError('fetch failed', { cause })
    }
    const mpp = stage.client(here.account, { store: here.store, fetch: broken, policy: { maxDeposit: '20' } })
    const outcome = await mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'outcome_unknown', { httpStatus: 402, authorised: { cumulative: '1000000', paidSends: 1 } })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
    expect(here.gateway.accounting().channels).toMatchObject([{ spent: '200000' }])
  })

  it('no answer in time → outcome_unknown, not sent again', async () => {
    const here = await ground({ policy: { timeouts: { paidMs: 3000 } } })
    here.scripted.always('voucher', hang)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'outcome_unknown', {
      httpStatus: 402,
      authorised: { cumulative: '1000000', paidSends: 1 },
    })
    expect(failure.detail).toBe('no answer within 3000 ms')
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
  })

  it('the answer is lost after the commit → the caller is told not to repeat blindly; the books show that it was paid', async () => {
    for (const where of ['gateway', 'way'] as const) {
      const here = await ground()
      if (where === 'gateway') here.gateway.inject('answer_lost')
      else here.scripted.next('voucher', answerLost)
      const thrown = await here.mpp.fetch(here.scripted.chat, request()).catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(PaymentFlowError)
      if (!(thrown instanceof PaymentFlowError)) throw thrown
      expect(thrown.failure).toMatchObject({
        code: 'outcome_unknown',
        retryable: false,
        authorised: { deposit: '0', cumulative: '1000000', paidSends: 1 },
        references: { channelId: here.channelId },
      })
      expect(thrown.failure.advice).toContain('may be paid twice')
      expect(thrown.message).toContain('sent vouchers up to 1.00 pathUSD')
      expect(thrown.message).toContain(here.channelId)
      // Spent at the gateway, not yet acknowledged here: the next receipt brings it.
      expect(here.gateway.accounting().channels).toMatchObject([{ spent: '200000' }])
      expect(await here.mpp.sessions.list()).toMatchObject([{ spent: '100000', signed: '1000000' }])
      expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
      expect(await here.mpp.sessions.list()).toMatchObject([{ spent: '300000' }])
    }
  })
})

describe.concurrent('HTTP without a code: any other status', () => {
  const STATUSES = [400, 401, 403, 404, 409, 418, 422, 451]

  it.each(STATUSES)('%i unpaid → the caller’s answer, as it is', async (code) => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(code, { 'content-type': 'text/plain', 'x-own': 'kept' }, `plain ${code}`))
    const response = await here.mpp.fetch(here.scripted.chat, request())
    expect([response.status, response.headers.get('x-own'), await response.text()]).toEqual([
      code,
      'kept',
      `plain ${code}`,
    ])
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })

  it('402 unpaid, without a challenge or a code → the caller’s answer', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(402, {}, 'pay somewhere else'))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', 'succeeded'])
    expect(await outcome.response?.text()).toBe('pay somewhere else')
  })

  it('402 paid, without a code or a challenge → refused by name, with the answer', async () => {
    const here = await ground()
    here.scripted.always('voucher', status(402))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'payment_rejected', {
      httpStatus: 402,
      mayHaveBeenCharged: true,
      authorised: { paidSends: 1, cumulative: '1000000' },
    })
    expect(outcome.response?.status).toBe(402)
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
  })

  it.each([...STATUSES, 302, 303, 307])(
    '%i paid → the caller’s answer, as it is; no receipt is made up',
    async (code) => {
      const here = await ground()
      const location = { location: 'http://127.0.0.1:9/elsewhere' }
      here.scripted.always('voucher', status(code, { 'x-own': 'kept', ...(code < 400 && location) }, `plain ${code}`))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([...TO_PAYING, 'succeeded'])
      expect(outcome.response?.status).toBe(code)
      expect(outcome.response?.headers.get('x-own')).toBe('kept')
      expect(await outcome.response?.text()).toBe(`plain ${code}`)
      expect(outcome.receipt).toBeUndefined()
      expect(outcome.authorised).toMatchObject({ cumulative: '1000000', paidSends: 1 })
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
      here.scripted.always('voucher', pass)
      expect(states(await here.mpp.pay(here.scripted.chat, chat(500)))).toEqual(REUSE)
    },
  )

  it('2xx unpaid → there is nothing to pay', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(200, {}, 'for free'))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', 'succeeded'])
    expect(await outcome.response?.text()).toBe('for free')
    expect(outcome.authorised).toEqual(NOTHING)
  })
})
