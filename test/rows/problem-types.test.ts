// The standard problem types of MPP servers, a test per row of the table: each leads where it must, and no further than it may.
// Must never take a recovery for right by its outcome alone: target, challenge, bytes, signatures and bound are looked at.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FailureCode } from '../../machines/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { chat, events, type Stage, setStage, states } from '../client/stage.js'
import {
  AUTHORIZE,
  CHALLENGED,
  cumulatives,
  DONE,
  expectFailure,
  expectIdenticalRequests,
  type Ground,
  kinds,
  NOTHING,
  prepareGrounds,
  REUSE,
  request,
  route,
  TO_PAYING,
} from './row-stage.js'
import { problem, type Reply, status } from './scripted-gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(100)
})
const grounds = prepareGrounds(() => stage)
afterAll(async () => {
  await grounds.stop()
  await stage?.stop()
})
const { ground } = grounds

const ENVELOPES = ['root', 'error'] as const
const timesOf = (outcome: Parameters<typeof events>[0], type: string) =>
  events(outcome).filter((event) => event === type).length

/** The paid send that came after the refusal answers the newest challenge, and no other. */
function expectNewestChallenge({ scripted }: Ground): void {
  const last = scripted.sends.findLast(({ kind }) => kind === 'voucher' || kind === 'open')
  expect(last?.credential?.challenge.id).toBe(scripted.challenges.at(-1))
}

describe.concurrent('standard problem types', () => {
  it('payment-required → challenge: unpaid, it simply is the challenge', async () => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.next('unpaid', problem('payment-required', { envelope }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual(REUSE)
      expect(events(outcome)[1]).toBe('payment-required')
      expectNewestChallenge(here)
    }
  })

  const RE_CHALLENGE = [
    ['payment-required', 2],
    ['payment-expired', 2],
    ['invalid-challenge', 2],
    ['session/challenge-not-found', 2],
    ['malformed-credential', 1],
  ] as const

  it.each(RE_CHALLENGE)('%s → re-challenge: the one it brings is answered, with the same voucher', async (type) => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.next('voucher', problem(type, { envelope }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([...TO_PAYING, 'parsingChallenge', ...AUTHORIZE, ...DONE])
      expect(events(outcome)[TO_PAYING.length]).toBe(type)
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'voucher'])
      expectNewestChallenge(here)
      expectIdenticalRequests(here.sends())
      expect(here.signed()).toBe(0)
    }
  })

  it.each(RE_CHALLENGE)('%s → re-challenge: without a challenge, it is asked for unpaid', async (type) => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.next('voucher', problem(type, { envelope, challenge: false }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([...TO_PAYING, ...REUSE])
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'unpaid', 'voucher'])
      expectNewestChallenge(here)
      expectIdenticalRequests(here.sends())
      expect(here.signed()).toBe(0)
    }
  })

  it.each(RE_CHALLENGE)('%s → re-challenge: %i times, then it fails', async (type, bound) => {
    const here = await ground()
    here.scripted.always('voucher', problem(type))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(timesOf(outcome, type)).toBe(bound + 1)
    expect(outcome.trace.at(-1)).toEqual({ state: 'failed', event: type })
    expectFailure(outcome, type, {
      httpStatus: 402,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: bound + 1 },
    })
    expectIdenticalRequests(here.sends())
    expect(here.signed()).toBe(0)
  })

  const REFRESH = ['payment-insufficient', 'session/delta-too-small', 'session/insufficient-balance'] as const

  it.each(REFRESH)('%s → voucher refresh: one more bucket, on the newest challenge', async (type) => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.next('voucher', problem(type, { envelope }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([
        ...TO_PAYING,
        'parsingChallenge',
        ...AUTHORIZE,
        'authorizing.signingVoucher',
        ...DONE,
      ])
      expect(cumulatives(here.sends())).toEqual(['1000000', '2000000'])
      expectNewestChallenge(here)
      expectIdenticalRequests(here.sends())
      expect(here.signed()).toBe(1)
      expect(outcome.authorised).toMatchObject({ vouchersSigned: 1, cumulative: '2000000', deposit: '0' })
    }
  })

  it.each(REFRESH)('%s → voucher refresh: without a challenge, it is asked for unpaid', async (type) => {
    const here = await ground()
    here.scripted.next('voucher', problem(type, { challenge: false }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, ...CHALLENGED, ...AUTHORIZE, 'authorizing.signingVoucher', ...DONE])
    expectNewestChallenge(here)
    expectIdenticalRequests(here.sends())
    expect(here.signed()).toBe(1)
  })

  it.each(REFRESH)('%s → voucher refresh: by the minVoucherDelta of the newest challenge at least', async (type) => {
    const here = await ground()
    here.scripted.next('voucher', (exchange) => {
      here.gateway.configure({ minVoucherDelta: '1.5' })
      return problem(type)(exchange)
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome.status).toBe('succeeded')
    expect(cumulatives(here.sends())).toEqual(['1000000', '2500000'])
  })

  it.each(REFRESH)('%s → voucher refresh: 3 times, then it fails and says what was signed', async (type) => {
    const here = await ground()
    here.scripted.always('voucher', problem(type))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(timesOf(outcome, type)).toBe(4)
    expect(cumulatives(here.sends())).toEqual(['1000000', '2000000', '3000000', '4000000'])
    expectFailure(outcome, type, {
      httpStatus: 402,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '0', cumulative: '4000000', vouchersSigned: 3, paidSends: 4 },
    })
    expect(here.signed()).toBe(3)
  })

  it.each(REFRESH)('%s → voucher refresh: never beyond the exposure that the policy allows', async (type) => {
    const here = await ground({ policy: { maxExposure: '2' } })
    here.scripted.always('voucher', problem(type))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'limit_exceeded', {
      httpStatus: 402,
      cause: type,
      channelId: here.channelId,
      authorised: { cumulative: '2000000', vouchersSigned: 1, paidSends: 2 },
    })
    expect(failure).toMatchObject({ limit: 'maxExposure', detail: expect.stringContaining('2.90 pathUSD') })
    expect(here.signed()).toBe(1)
  })

  it('session/delta-too-small → voucher refresh, from its real cause: the server asks for more since the challenge', async () => {
    const here = await ground({ spend: 4000 })
    here.scripted.next('voucher', ({ pass }) => pass())
    here.scripted.next('voucher', ({ pass }) => {
      here.gateway.configure({ minVoucherDelta: '1.5' })
      return pass()
    })
    const outcome = await here.mpp.pay(here.scripted.chat, chat(2000))
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome).filter((event) => event.includes('-') || event.startsWith('mpp_'))).toEqual([
      'mpp_voucher_bucket_refresh_required',
      'session/delta-too-small',
    ])
    expect(cumulatives(here.sends())).toEqual(['1000000', '2000000', '3500000'])
    expectIdenticalRequests(here.sends())
  })
})

describe.concurrent('standard problem types: how much session/insufficient-balance asks for', () => {
  const INSUFFICIENT = 'session/insufficient-balance'
  /** What a server knows of the channel, with what it wants signed for this request. */
  const snapshotOf = async ({ store, gateway }: Ground, requiredCumulative: string) => {
    const [record] = await store.list()
    return {
      acceptedCumulative: '1000000',
      chainId: gateway.chainId,
      channelId: record?.session.channelId,
      deposit: record?.session.deposit,
      descriptor: record?.session.descriptor,
      escrow: record?.place.escrow,
      requiredCumulative,
      settled: '0',
      spent: '100000',
    }
  }

  it('session/insufficient-balance → voucher refresh by requiredTopUp', async () => {
    for (const [envelope, requiredTopUp] of [
      ['root', '300000'],
      ['error', '250000'],
    ] as const) {
      const here = await ground()
      here.scripted.next('voucher', problem(INSUFFICIENT, { envelope, more: { requiredTopUp } }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(outcome.status).toBe('succeeded')
      expect(cumulatives(here.sends())).toEqual(['1000000', (1_000_000 + Number(requiredTopUp)).toString()])
    }
  })

  it('session/insufficient-balance → voucher refresh by requiredTopUp, though a snapshot asks for more', async () => {
    const here = await ground()
    const sessionSnapshot = await snapshotOf(here, '1900000')
    here.scripted.next('voucher', (exchange) => {
      here.scripted.alter((_, details) => Object.assign(details, { sessionSnapshot }))
      return problem(INSUFFICIENT, { more: { requiredTopUp: '300000' } })(exchange)
    })
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
    expect(cumulatives(here.sends())).toEqual(['1000000', '1300000'])
  })

  it('session/insufficient-balance → voucher refresh to the requiredCumulative of the snapshot in the challenge', async () => {
    const here = await ground()
    const sessionSnapshot = await snapshotOf(here, '1400000')
    here.scripted.next('voucher', (exchange) => {
      here.scripted.alter((_, details) => Object.assign(details, { sessionSnapshot }))
      return problem(INSUFFICIENT)(exchange)
    })
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
    expect(cumulatives(here.sends())).toEqual(['1000000', '1400000'])
  })

  it('session/insufficient-balance → voucher refresh to the requiredCumulative of a Payment-Session-Snapshot header', async () => {
    const here = await ground()
    const snapshot = JSON.stringify(await snapshotOf(here, '1600000'))
    for (const encoding of ['base64', 'base64url'] as const) {
      const headers = { 'payment-session-snapshot': Buffer.from(snapshot).toString(encoding) }
      const again = encoding === 'base64' ? here : await ground()
      if (again !== here)
        headers['payment-session-snapshot'] = Buffer.from(JSON.stringify(await snapshotOf(again, '1600000'))).toString(
          encoding,
        )
      again.scripted.next('voucher', problem(INSUFFICIENT, { headers }))
      expect((await again.mpp.pay(again.scripted.chat, request())).status).toBe('succeeded')
      expect(cumulatives(again.sends())).toEqual(['1000000', '1600000'])
    }
  })

  it('session/insufficient-balance → a snapshot of another channel, or one changed on the way, is not believed', async () => {
    const other = await ground()
    for (const change of ['channel', 'payer'] as const) {
      const here = await ground()
      const own = await snapshotOf(change === 'channel' ? other : here, '1400000')
      const sessionSnapshot =
        change === 'payer' ? { ...own, descriptor: { ...own.descriptor, payer: `0x${'ab'.repeat(20)}` } } : own
      here.scripted.next('voucher', (exchange) => {
        here.scripted.alter((_, details) => Object.assign(details, { sessionSnapshot }))
        return problem(INSUFFICIENT)(exchange)
      })
      expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
      expect(cumulatives(here.sends())).toEqual(['1000000', '2000000'])
    }
  })

  it('session/insufficient-balance → top-up first when it passes the deposit', async () => {
    const here = await ground({ sandbox: { suggestedDeposit: '1' } })
    here.scripted.next('voucher', problem(INSUFFICIENT, { more: { requiredTopUp: '300000' } }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(route(outcome)).toEqual([
      ...TO_PAYING,
      'parsingChallenge',
      ...AUTHORIZE,
      'authorizing.toppingUp',
      'authorizing.planning',
      'authorizing.signingVoucher',
      ...DONE,
    ])
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
    expect(cumulatives(here.sends())).toEqual(['1000000', '1300000'])
    expectIdenticalRequests(here.sends())
    expect(outcome.authorised).toMatchObject({ deposit: '1000000', cumulative: '1300000', vouchersSigned: 1 })
  })

  it('session/insufficient-balance → never beyond maxDeposit: it is authorisation that is missing, not deposit', async () => {
    const here = await ground({ sandbox: { suggestedDeposit: '1' }, policy: { maxDeposit: '1.2' } })
    here.scripted.always('voucher', problem(INSUFFICIENT, { more: { requiredTopUp: '300000' } }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'limit_exceeded', {
      httpStatus: 402,
      cause: INSUFFICIENT,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(failure.limit).toBe('maxDeposit')
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('standard problem types: deposit, signature, channel, server', () => {
  it('session/amount-exceeds-deposit → top-up on the newest challenge, then the same bytes', async () => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.next('voucher', problem('session/amount-exceeds-deposit', { envelope }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(route(outcome)).toEqual([
        ...TO_PAYING,
        'parsingChallenge',
        ...AUTHORIZE,
        'authorizing.toppingUp',
        'authorizing.planning',
        ...DONE,
      ])
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
      // The newest but one is for the bytes of the request, the newest for none.
      const [forBytes, forNone] = here.scripted.challenges.slice(-2)
      const answered = here.sends().map(({ credential }) => credential?.challenge.id)
      expect(answered.slice(2)).toEqual([undefined, forNone, forBytes])
      expectIdenticalRequests(here.sends())
      expect(here.signed()).toBe(1)
      expect(outcome.authorised).toMatchObject({ deposit: '5000000', vouchersSigned: 0, cumulative: '1000000' })
      expect(here.gateway.accounting().channels).toMatchObject([{ deposit: '10000000' }])
    }
  })

  it('session/amount-exceeds-deposit → top-up: 2 times, then it fails and says what was deposited', async () => {
    const here = await ground()
    here.scripted.always('voucher', problem('session/amount-exceeds-deposit'))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'session/amount-exceeds-deposit', {
      httpStatus: 402,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '10000000', cumulative: '1000000', vouchersSigned: 0, paidSends: 3 },
    })
    expect(kinds(here.sends()).filter((kind) => kind === 'topUp')).toHaveLength(2)
    expect(here.gateway.accounting().channels).toMatchObject([{ deposit: '15000000' }])
    expect(await here.mpp.sessions.list()).toMatchObject([{ deposit: '15000000', status: 'open', pending: null }])
  })

  it.each([404, 409, 402])(
    '%i to a top-up → terminal: there is no answer to deliver, and the top-up is kept',
    async (code) => {
      const here = await ground()
      here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
      let requestId: string | undefined
      here.scripted.next('topUp', (exchange) => {
        requestId = exchange.requestId
        return status(code)(exchange)
      })
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      // After a 404 the method HEAD is tried, which this gateway does not take either.
      expect(kinds(here.sends()).filter((kind) => kind === 'topUp')).toHaveLength(code === 404 ? 2 : 1)
      expectFailure(outcome, 'payment_rejected', {
        httpStatus: code,
        // A 402 to a payment is a refusal of its own; any other status only ends the recovery that was under way.
        cause: code === 402 ? null : 'session/amount-exceeds-deposit',
        channelId: here.channelId,
        requestId,
        authorised: { deposit: '5000000', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
      })
      expect(await here.mpp.sessions.list()).toMatchObject([
        { status: 'toppingUp', deposit: '5000000', pending: 'topUp' },
      ])
      expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
    },
  )

  it('session/amount-exceeds-deposit → never beyond maxDeposit', async () => {
    const here = await ground({ policy: { maxDeposit: '5' } })
    here.scripted.always('voucher', problem('session/amount-exceeds-deposit'))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'limit_exceeded', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      authorised: { deposit: '0', paidSends: 1 },
    })
    expect(failure.limit).toBe('maxDeposit')
    expect(here.signed()).toBe(0)
  })

  const VERIFY = ['session/invalid-signature', 'verification-failed'] as const

  it.each(VERIFY)('%s → reconcile with the chain, then sign anew', async (type) => {
    for (const challenge of [true, false]) {
      const here = await ground()
      here.scripted.next('voucher', problem(type, { challenge, envelope: challenge ? 'root' : 'error' }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([
        ...TO_PAYING,
        'authorizing.reconcilingSession',
        ...(challenge ? ['parsingChallenge'] : CHALLENGED),
        ...AUTHORIZE,
        'authorizing.signingVoucher',
        ...DONE,
      ])
      expect(cumulatives(here.sends())).toEqual(['1000000', '1000000'])
      expectNewestChallenge(here)
      expectIdenticalRequests(here.sends())
      expect(here.signed()).toBe(1)
    }
  })

  it.each(VERIFY)(
    '%s on an open that the chain does not have → the same open again, not a second one',
    async (type) => {
      const here = await ground({ spend: 0 })
      here.scripted.next('open', problem(type))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(outcome.status).toBe('succeeded')
      expect(states(outcome)).toContain('authorizing.reconcilingSession')
      const transactions = here.scripted.sends.flatMap(({ credential }) =>
        credential?.payload.action === 'open' ? [credential.payload.transaction] : [],
      )
      expect(transactions).toHaveLength(2)
      expect(new Set(transactions).size).toBe(1)
      expect(await stage.opened(here.account)).toBe(1)
      expect(outcome.authorised.deposit).toBe('5000000')
    },
  )

  it.each(VERIFY)('%s → once, then it fails', async (type) => {
    const here = await ground()
    here.scripted.always('voucher', problem(type))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(timesOf(outcome, type)).toBe(2)
    expectFailure(outcome, type, {
      httpStatus: 402,
      channelId: here.channelId,
      requestId: here.scripted.requestIds.at(-1),
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 1, paidSends: 2 },
    })
  })

  const TERMINAL: readonly (readonly [FailureCode, number])[] = [
    ['session/signer-mismatch', 402],
    ['method-unsupported', 400],
    ['internal-payment-error', 500],
  ]

  it.each(TERMINAL)('%s → terminal, at once, whether or not a challenge comes with it', async (type, status) => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.always('voucher', problem(type, { status, envelope, challenge: envelope === 'root' }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([...TO_PAYING, 'failed'])
      expectFailure(outcome, type, {
        httpStatus: status,
        mayHaveBeenCharged: type === 'internal-payment-error',
        channelId: here.channelId,
        requestId: here.scripted.requestIds.at(-1),
        authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
      })
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
      expect(here.signed()).toBe(0)
      here.scripted.always('voucher', undefined)
      expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
    }
  })

  it('method-unsupported → another offered tempo/session challenge is tried once', async () => {
    const here = await ground()
    const twice: Reply = async (exchange) => {
      const both = `${await exchange.challenge()}, ${await exchange.challenge()}`
      return problem('method-unsupported', { status: 400, challenge: false, headers: { 'www-authenticate': both } })(
        exchange,
      )
    }
    here.scripted.always('voucher', twice)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, 'parsingChallenge', ...AUTHORIZE, 'paying', 'failed'])
    expectFailure(outcome, 'method-unsupported', { httpStatus: 400, authorised: { paidSends: 2 } })
  })
})

describe.concurrent('standard problem types: a channel that the server denies', () => {
  const DENIALS = ['session/channel-not-found', 'session/channel-finalized'] as const

  /** Closes the channel behind the client's back, as another process of the same payer would. */
  async function closeElsewhere({ gateway, account, store }: Ground): Promise<void> {
    const record = (await store.list()).find(({ status }) => status === 'open' || status === 'opening')
    if (record === undefined) throw new Error('no channel to close')
    const elsewhere = memoryStore()
    await elsewhere.update(record.key, () => ({
      ...record,
      session: { ...record.session, resource: gateway.chat },
    }))
    const closed = await stage.client(account, { store: elsewhere }).sessions.close(record.session.channelId ?? '')
    if (closed.status !== 'closed') throw new Error(`not closed: ${closed.failure.code}`)
  }

  it.each(DENIALS)('%s, still funded on the chain → terminal: funds kept, nothing funded', async (type) => {
    for (const envelope of ENVELOPES) {
      const here = await ground()
      here.scripted.always('voucher', problem(type, { status: 410, envelope, challenge: envelope === 'root' }))
      for (let again = 0; again < 2; again += 1) {
        const outcome = await here.mpp.pay(here.scripted.chat, request())
        expect(states(outcome)).toEqual([...TO_PAYING, 'authorizing.reconcilingSession', 'failed'])
        const failure = expectFailure(outcome, type, {
          httpStatus: 410,
          channelId: here.channelId,
          requestId: here.scripted.requestIds.at(-1),
          authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
        })
        expect(failure.detail).toContain('still holds the deposit')
      }
      expect(here.signed()).toBe(0)
      expect(await stage.opened(here.account)).toBe(1)
      expect(await here.mpp.sessions.list()).toMatchObject([
        { channelId: here.channelId, status: 'open', deposit: '5000000', signed: '1000000' },
      ])
      here.scripted.always('voucher', undefined)
      expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
    }
  })

  it.each(DENIALS)('%s, gone from the chain too → forgotten, and a new one opened', async (type) => {
    for (const challenge of [true, false]) {
      const here = await ground()
      await closeElsewhere(here)
      here.scripted.next('voucher', problem(type, { status: 410, challenge }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual([
        ...TO_PAYING,
        'authorizing.reconcilingSession',
        ...(challenge ? ['parsingChallenge'] : CHALLENGED),
        ...AUTHORIZE,
        'authorizing.openingSession',
        ...DONE,
      ])
      expectIdenticalRequests(here.sends())
      expect(await stage.opened(here.account)).toBe(2)
      expect(outcome.authorised).toMatchObject({ deposit: '5000000', cumulative: '1000000', vouchersSigned: 1 })
      const list = await here.mpp.sessions.list()
      expect(list.map(({ status }) => status).sort()).toEqual(['closed', 'open'])
      expect(list.find(({ status }) => status === 'closed')).toMatchObject({ settled: '100000', refunded: '4900000' })
    }
  })

  it.each([
    ['session/channel-not-found', 'session/channel-not-found'],
    ['session/channel-finalized', 'session/channel-finalized'],
    ['session/channel-not-found', 'session/channel-finalized'],
    ['session/channel-finalized', 'session/channel-not-found'],
  ] as const)(
    '%s, then %s of the new one, all gone from the chain → a new one once per flow',
    async (first, second) => {
      const here = await ground()
      await closeElsewhere(here)
      // The new one is opened, and its first voucher is denied again.
      here.scripted.next('open', async (exchange) => {
        await exchange.pass()
        return problem('payment-required')(exchange)
      })
      here.scripted.next('voucher', problem(first, { status: 410 }), async (exchange) => {
        await closeElsewhere(here)
        return problem(second, { status: 410 })(exchange)
      })
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expectFailure(outcome, second, {
        httpStatus: 410,
        authorised: { deposit: '5000000', cumulative: '1000000', vouchersSigned: 1, paidSends: 3 },
      })
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'open', 'voucher'])
      expect(await stage.opened(here.account)).toBe(2)
    },
  )

  it('nothing is authorised by a refusal that never led to a paid send', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', problem('session/signer-mismatch', { challenge: false }))
    expectFailure(await here.mpp.pay(here.scripted.chat, request()), 'session/signer-mismatch', {
      httpStatus: 402,
      channelId: null,
      authorised: NOTHING,
    })
  })
})
