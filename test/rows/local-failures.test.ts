// What this side finds by itself, a test per row: nothing is asked of a gateway that is known already, and nothing unsafe signed.
// Must never show what an account, a chain or a person said: failures carry codes, ids and amounts.
import type { LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeFailure, type MppClient, type PaymentFlowActor, type Policy } from '../../src/index.js'
import { CHANNEL_RESERVE, parseHex } from '../../src/protocol/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { signVoucher } from '../../src/tempo/index.js'
import { chat, counted, events, failureOf, type Stage, setStage, states } from '../client/stage.js'
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
import { type RpcRelay, startRelay } from './rpc-relay.js'
import { hang, problem, status } from './scripted-gateway.js'

let stage: Stage
let relays: RpcRelay[] = []
beforeAll(async () => {
  stage = await setStage(70)
})
const grounds = prepareGrounds(() => stage)
afterAll(async () => {
  await grounds.stop()
  await Promise.all(relays.map((relay) => relay.stop()))
  await stage?.stop()
})
const { ground } = grounds

async function relay(): Promise<RpcRelay> {
  const made = await startRelay(stage.chain.rpcUrl)
  relays = [...relays, made]
  return made
}

const SECRET = 'SECRET-WORDS-OF-THE-WALLET'

/** Everything of an outcome that may be shown or logged. */
const shown = (outcome: Parameters<typeof failureOf>[0]) =>
  `${JSON.stringify(outcome)} ${describeFailure(failureOf(outcome))}`

describe.concurrent('local failures: deposit_too_low', () => {
  it('deposit_too_low → top-up without asking the gateway, then the same bytes', async () => {
    const here = await ground({ sandbox: { suggestedDeposit: '1' } })
    // A voucher above the deposit, as it is left behind by a client that signed without looking.
    const channelId = parseHex(here.channelId, 32)
    const [record] = await here.store.list()
    if (!channelId.ok || record === undefined) throw new Error('no channel')
    const cumulative = 1_500_000n
    const terms = { channelId: channelId.value, cumulative, chainId: here.gateway.chainId, escrow: CHANNEL_RESERVE }
    const signature = await signVoucher(here.account, terms)
    await here.store.update(record.key, (kept) =>
      kept === undefined
        ? undefined
        : {
            ...kept,
            session: { ...kept.session, signed: cumulative.toString() },
            secrets: { ...kept.secrets, voucher: { cumulative: cumulative.toString(), signature } },
          },
    )
    const before = here.signed()
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(route(outcome)).toEqual([
      ...TO_PAYING,
      'authorizing.planning',
      'authorizing.toppingUp',
      'authorizing.planning',
      ...DONE,
    ])
    expect(events(outcome)).toContain('DEPOSIT_TOO_LOW')
    // Not one request tells the gateway of a voucher that it would refuse.
    expect(kinds(here.sends())).toEqual(['unpaid', 'unpaid', 'topUp', 'voucher'])
    expect(cumulatives(here.sends())).toEqual(['1500000'])
    expectIdenticalRequests(here.sends())
    expect(here.signed() - before).toBe(1)
    expect(here.gateway.accounting().channels).toMatchObject([{ deposit: '2000000', accepted: '1500000' }])
    expect(outcome.authorised).toMatchObject({ deposit: '1000000', vouchersSigned: 0, cumulative: '1500000' })
  })

  it('deposit_too_low → never beyond maxDeposit; nothing is sent', async () => {
    const here = await ground({ sandbox: { suggestedDeposit: '1' }, policy: { maxDeposit: '1' } })
    const [record] = await here.store.list()
    await here.store.update(record?.key ?? '', (kept) =>
      kept === undefined ? undefined : { ...kept, session: { ...kept.session, deposit: '900000' } },
    )
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'limit_exceeded', {
      httpStatus: 402,
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '0', paidSends: 0 },
    })
    expect(failure.limit).toBe('maxDeposit')
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('local failures: what is refused before anything is signed', () => {
  it('wallet_balance_insufficient → terminal: a poor account signs nothing', async () => {
    const gateway = await stage.gateway()
    const poor = counted(privateKeyToAccount(generatePrivateKey()))
    const mpp = stage.client(poor.account)
    const outcome = await mpp.pay(gateway.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, ...AUTHORIZE, 'authorizing.openingSession', 'failed'])
    expectFailure(outcome, 'wallet_balance_insufficient', { httpStatus: 402, channelId: null, authorised: NOTHING })
    expect(poor.signatures()).toBe(0)
    expect(gateway.seen).toHaveLength(1)
    expect(await mpp.sessions.list()).toEqual([])
  })

  it('wallet_balance_insufficient at a top-up → terminal: the channel is kept', async () => {
    const here = await ground({ policy: { maxDeposit: '1000000' } })
    const more = { requiredTopUp: '900000000000' }
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit', { more }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'wallet_balance_insufficient', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(here.signed()).toBe(0)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', pending: null }])
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })

  it.each([
    ['an origin', { allowedOrigins: ['https://api.example.com'] }, 'allowedOrigins'],
    ['a chain', { allowedChains: [4217] }, 'allowedChains'],
    ['a token', { allowedTokens: ['0x20c000000000000000000000b9537d11c60e8b50'] }, 'allowedTokens'],
    ['a payee', { allowedPayees: [] }, 'allowedPayees'],
    ['an escrow', { allowedEscrows: [`0x${'cd'.repeat(20)}`] }, 'allowedEscrows'],
    ['an intent', { approve: () => false }, 'not approved'],
  ] as const)('policy_denied → terminal: %s that the policy does not allow', async (what, policy, detail) => {
    const here = await ground({ spend: 0, policy })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const asked = what !== 'an origin'
    const failure = expectFailure(outcome, 'policy_denied', { httpStatus: asked ? 402 : null, authorised: NOTHING })
    expect(failure.detail).toContain(detail)
    expect(kinds(here.sends())).toEqual(asked ? ['unpaid'] : [])
    expect(here.signed()).toBe(0)
  })

  it.each([
    ['maxDeposit', { maxDeposit: '0.9' }, '0.90'],
    ['maxCumulative', { maxCumulative: '0.9' }, '0.90'],
    ['maxExposure', { maxExposure: '0.9' }, '0.90'],
    ['maxTotalDeposit', { maxTotalDeposit: '0.9' }, '0.90'],
  ] as const)('limit_exceeded → terminal: %s at an open', async (limit, policy, allowed) => {
    const here = await ground({ spend: 0, policy })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, ...AUTHORIZE, 'failed'])
    const failure = expectFailure(outcome, 'limit_exceeded', { httpStatus: 402, authorised: NOTHING })
    expect(failure).toMatchObject({ limit, detail: `${limit}: 1.00 pathUSD wanted, ${allowed} allowed` })
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })

  it.each([
    ['maxDeposit', { maxDeposit: '1' }],
    ['maxCumulative', { maxCumulative: '1.9' }],
    ['maxExposure', { maxExposure: '1.1' }],
    ['maxTotalDeposit', { maxTotalDeposit: '1' }],
  ] as const)('limit_exceeded → terminal: %s at a refresh', async (limit, policy) => {
    const here = await ground({ sandbox: { suggestedDeposit: '1' }, spend: 4000, policy })
    const outcome = await here.mpp.pay(here.scripted.chat, chat(2000))
    const failure = expectFailure(outcome, 'limit_exceeded', {
      httpStatus: 402,
      cause: 'mpp_voucher_bucket_refresh_required',
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(failure.limit).toBe(limit)
    expect(here.signed()).toBe(0)
  })

  it('limit_exceeded → a strategy of the caller’s own is held to the limits too', async () => {
    const here = await ground({ spend: 0, policy: { maxExposure: '2', strategy: () => '2000001' } })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(expectFailure(outcome, 'limit_exceeded', { httpStatus: 402, authorised: NOTHING }).limit).toBe('maxExposure')
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('local failures: challenges', () => {
  const challenge = (parameters: string) => ({ 'www-authenticate': `Payment id="x", realm="r", ${parameters}` })
  const V1 = Buffer.from(
    JSON.stringify({
      amount: '1000000',
      currency: '0x20c0000000000000000000000000000000000000',
      recipient: `0x${'12'.repeat(20)}`,
      methodDetails: { chainId: 42431, escrowContract: `0x${'34'.repeat(20)}`, sessionProtocol: 'v1' },
    }),
  ).toString('base64url')

  it.each([
    ['a session of protocol v1', challenge(`method="tempo", intent="session", request="${V1}"`), /v2/],
    ['another method', challenge('method="stripe", intent="session", request="e30"'), /tempo\/session/],
    ['the charge intent', challenge('method="tempo", intent="charge", request="e30"'), /tempo\/session/],
  ])('challenge_unsupported → terminal: %s', async (_, headers, detail) => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(402, headers))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, 'failed'])
    const failure = expectFailure(outcome, 'challenge_unsupported', { httpStatus: 402, authorised: NOTHING })
    expect(failure.detail).toMatch(detail)
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })

  it('challenge_unsupported → but not when a tempo/session challenge stands beside it', async () => {
    const here = await ground()
    here.scripted.next('unpaid', async (exchange) => {
      const beside = challenge('method="tempo", intent="charge", request="e30"')['www-authenticate']
      return status(402, { 'www-authenticate': `${beside}, ${await exchange.challenge()}` })(exchange)
    })
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })

  it.each([
    ['no id', { 'www-authenticate': 'Payment realm="r", method="tempo", intent="session", request="e30"' }],
    ['a request that is no JSON', challenge('method="tempo", intent="session", request="????"')],
    ['a request without what it needs', challenge('method="tempo", intent="session", request="e30"')],
  ])('challenge_rejected → terminal: %s', async (_, headers) => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', status(402, headers))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, 'failed'])
    expectFailure(outcome, 'challenge_rejected', { httpStatus: 402, authorised: NOTHING })
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })

  it.each([
    ['an amount of zero', (terms: Record<string, unknown>) => Object.assign(terms, { amount: '0' })],
    ['an amount that is none', (terms: Record<string, unknown>) => Object.assign(terms, { amount: '1e6' })],
    ['an amount beyond uint96', (terms: Record<string, unknown>) => Object.assign(terms, { amount: `${2n ** 96n}` })],
  ])('challenge_rejected → terminal: %s', async (_, change) => {
    const here = await ground({ spend: 0 })
    here.scripted.alter(change)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'challenge_rejected', { httpStatus: 402, authorised: NOTHING })
    expect(here.signed()).toBe(0)
  })

  it('challenge_rejected → terminal: a challenge for other bytes, asked for twice', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.always('unpaid', async (exchange) => {
      const foreign = await fetch(here.gateway.chat, { ...chat(700), body: chat(700).body })
      await foreign.text()
      return status(402, { 'www-authenticate': foreign.headers.get('www-authenticate') ?? '' })(exchange)
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, ...CHALLENGED, 'failed'])
    expectFailure(outcome, 'challenge_rejected', { httpStatus: 402, authorised: NOTHING })
    expect(here.signed()).toBe(0)
  })

  it('challenge_expired → asked for anew, 2 times, and never answered', async () => {
    const here = await ground({ spend: 0, sandbox: { challengeTtlSeconds: 0 } })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, ...CHALLENGED, ...CHALLENGED, 'failed'])
    expectFailure(outcome, 'challenge_expired', { httpStatus: 402, authorised: NOTHING })
    expect(kinds(here.sends())).toEqual(['unpaid', 'unpaid', 'unpaid'])
    expect(here.signed()).toBe(0)
  })

  it('challenge_expired → once: the next one is answered', async () => {
    const here = await ground()
    here.gateway.configure({ challengeTtlSeconds: 0 })
    here.scripted.next('unpaid', async (exchange) => {
      const answer = await exchange.pass()
      here.gateway.configure({ challengeTtlSeconds: 300 })
      return answer
    })
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual([...CHALLENGED, ...REUSE])
  })
})

describe.concurrent('local failures: signing_failed', () => {
  const refuse = async (): Promise<never> => {
    throw Object.assign(new Error(`${SECRET}: refused by its owner`), { cause: SECRET, shortMessage: SECRET })
  }
  const AT_OPEN: readonly (readonly [string, Partial<LocalAccount>])[] = [
    ['the open transaction', { sign: refuse, signTransaction: refuse }],
    ['the first voucher', { signTypedData: refuse }],
  ]

  it.each(AT_OPEN)('signing_failed → terminal: the account refuses %s', async (_, refusing) => {
    const gateway = await stage.gateway()
    const payer = stage.payer()
    const store = memoryStore()
    const mpp = stage.client({ ...payer, ...refusing }, { store })
    const outcome = await mpp.pay(gateway.chat, request())
    expect(states(outcome)).toEqual([...CHALLENGED, ...AUTHORIZE, 'authorizing.openingSession', 'failed'])
    const failure = expectFailure(outcome, 'signing_failed', { httpStatus: 402, channelId: null, authorised: NOTHING })
    expect(failure.detail).toContain('did not sign')
    expect(shown(outcome)).not.toContain(SECRET)
    expect(gateway.seen).toHaveLength(1)
    expect(await mpp.sessions.list()).toEqual([])
    // The way is free for whoever does sign.
    expect((await stage.client(payer, { store }).pay(gateway.chat, request())).status).toBe('succeeded')
    expect(await stage.opened(payer)).toBe(1)
  })

  it.each([
    ['a voucher', { signTypedData: refuse }, 'payment-insufficient'],
    ['a voucher anew', { signTypedData: refuse }, 'verification-failed'],
    ['a top-up', { sign: refuse, signTransaction: refuse }, 'session/amount-exceeds-deposit'],
  ] as const)('signing_failed → terminal: the account refuses %s; the channel is kept', async (_, refusing, cause) => {
    const here = await ground()
    const mpp = stage.client({ ...here.account, ...refusing }, { store: here.store, policy: { maxDeposit: '20' } })
    here.scripted.next('voucher', problem(cause))
    const outcome = await mpp.pay(here.scripted.chat, request())
    const failure = expectFailure(outcome, 'signing_failed', {
      httpStatus: 402,
      cause,
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(failure.detail).toContain('did not sign')
    expect(shown(outcome)).not.toContain(SECRET)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', pending: null }])
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })
})

describe.concurrent('local failures: outcome_unknown', () => {
  it('outcome_unknown → terminal, whether the request was carried out or not; it says what it authorised', async () => {
    for (const fault of ['connection_lost', 'answer_lost'] as const) {
      const here = await ground()
      here.gateway.inject(fault)
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      const failure = expectFailure(outcome, 'outcome_unknown', {
        httpStatus: 402,
        channelId: here.channelId,
        authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
      })
      expect(failure.retryable).toBe(false)
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
      expect(here.gateway.accounting().channels).toMatchObject([
        { spent: fault === 'answer_lost' ? '200000' : '100000' },
      ])
    }
  })
})

describe.concurrent('local failures: cancelled', () => {
  /** Starts a flow, waits until it is in a state and something is under way there, cancels it, and gives its end. */
  async function cancelIn(
    mpp: MppClient,
    url: string,
    at: Parameters<ReturnType<PaymentFlowActor['getSnapshot']>['matches']>[0],
    underWay: () => boolean = () => true,
  ) {
    const actor = mpp.createFlow(url, request())
    const there = new Promise<void>((resolve, reject) => {
      actor.subscribe((snapshot) => {
        if (snapshot.matches(at)) resolve()
        else if (snapshot.status === 'done') reject(new Error(`ended as ${snapshot.output.failure?.code}`))
      })
      if (actor.getSnapshot().matches(at)) setTimeout(resolve, 0)
    })
    actor.start()
    await there
    while (!underWay()) await new Promise((resolve) => setTimeout(resolve, 10))
    // And a moment more, so that whoever waits does.
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(actor.getSnapshot().matches(at)).toBe(true)
    const started = Date.now()
    actor.send({ type: 'CANCEL' })
    const outcome = await mpp.outcomeOf(actor)
    // Not after whatever hangs, which takes a minute and more.
    expect(Date.now() - started).toBeLessThan(20_000)
    expect(outcome.trace.at(-1)).toEqual({ state: 'failed', event: 'CANCEL' })
    return outcome
  }

  /** The channel goes on working afterwards: no lease, no slot and no reservation is left behind. */
  async function expectUsable(here: Ground, opened = 1) {
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome.status === 'failed' ? outcome.failure : outcome.status).toBe('succeeded')
    expect(await stage.opened(here.account)).toBe(opened)
  }

  it('cancelled in requesting → nothing is authorised', async () => {
    const here = await ground({ spend: 0 })
    here.scripted.next('unpaid', hang)
    const outcome = await cancelIn(here.mpp, here.scripted.chat, 'requesting', () => here.sends().length > 0)
    expectFailure(outcome, 'cancelled', { httpStatus: null, authorised: NOTHING })
    await expectUsable(here)
  })

  it('cancelled in backingOff → nothing more is sent', async () => {
    const here = await ground()
    here.scripted.next('unpaid', status(503, { 'retry-after': '20' }))
    const outcome = await cancelIn(here.mpp, here.scripted.chat, 'backingOff')
    expectFailure(outcome, 'cancelled', { httpStatus: 503, cause: 'server_failed', authorised: NOTHING })
    expect(kinds(here.sends())).toEqual(['unpaid'])
    await expectUsable(here)
  })

  it('cancelled in backingOff between two paid sends → says what was sent', async () => {
    const here = await ground({ policy: { resendPaid: true } })
    here.scripted.next('voucher', status(503, { 'retry-after': '20' }))
    const outcome = await cancelIn(here.mpp, here.scripted.chat, 'backingOff')
    expectFailure(outcome, 'cancelled', {
      httpStatus: 503,
      cause: 'server_failed',
      mayHaveBeenCharged: true,
      authorised: { cumulative: '1000000', paidSends: 1 },
    })
    await expectUsable(here)
  })

  it('cancelled in acquiringSession → the flow that opens the channel is not disturbed', async () => {
    const here = await ground({ spend: 0 })
    let answer: (() => void) | undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    here.scripted.next('open', async (exchange) => {
      await answered
      return exchange.pass()
    })
    const first = here.mpp.pay(here.scripted.chat, request())
    while (!kinds(here.sends()).includes('open')) await new Promise((resolve) => setTimeout(resolve, 10))
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'acquiringSession' })
    expectFailure(outcome, 'cancelled', { httpStatus: 402, authorised: NOTHING })
    answer?.()
    expect((await first).status).toBe('succeeded')
    await expectUsable(here)
  })

  it('cancelled in awaitingApproval → nothing is signed, and the next flow is asked anew', async () => {
    let asked = 0
    const approve: NonNullable<Policy['approve']> = () => {
      asked += 1
      return asked === 1 ? undefined : true
    }
    const here = await ground({ spend: 0, policy: { approve } })
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'awaitingApproval' })
    expectFailure(outcome, 'cancelled', { httpStatus: 402, channelId: null, authorised: NOTHING })
    expect(here.signed()).toBe(0)
    await expectUsable(here)
    expect(asked).toBe(2)
  })

  it('cancelled in awaitingApproval for a top-up → nothing is signed, the channel is kept', async () => {
    let asked = 0
    const approve: NonNullable<Policy['approve']> = () => {
      asked += 1
      return asked === 2 ? undefined : true
    }
    const here = await ground({ policy: { approve } })
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'awaitingApproval' })
    expectFailure(outcome, 'cancelled', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      channelId: here.channelId,
      authorised: { deposit: '0', paidSends: 1 },
    })
    expect(here.signed()).toBe(0)
    await expectUsable(here)
  })

  it('cancelled in awaitingAcknowledgement → the requests that are waited for are not disturbed', async () => {
    const here = await ground({ policy: { maxExposure: '1.5' } })
    let answer: (() => void) | undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    here.scripted.next(
      'voucher',
      async (exchange) => {
        await answered
        return exchange.pass()
      },
      problem('payment-insufficient'),
    )
    const first = here.mpp.pay(here.scripted.chat, request())
    while (!kinds(here.sends()).includes('voucher')) await new Promise((resolve) => setTimeout(resolve, 10))
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'awaitingAcknowledgement' })
    expectFailure(outcome, 'cancelled', {
      httpStatus: 402,
      cause: 'payment-insufficient',
      authorised: { cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    answer?.()
    expect((await first).status).toBe('succeeded')
    await expectUsable(here)
  })

  it.each([
    ['openingSession', 'signTransaction', undefined],
    ['openingSession', 'signTypedData', undefined],
    ['signingVoucher', 'signTypedData', 'payment-insufficient'],
    ['toppingUp', 'signTransaction', 'session/amount-exceeds-deposit'],
  ] as const)(
    'cancelled in %s while the account is asked (%s) → a signature that comes too late goes nowhere',
    async (state, method, cause) => {
      const here = await ground({ spend: cause === undefined ? 0 : 500 })
      const late: (() => void)[] = []
      const { signTransaction, signTypedData } = here.account
      const asked = () => new Promise<void>((resolve) => late.push(resolve))
      const slow: LocalAccount = {
        ...here.account,
        ...(method === 'signTransaction' && {
          signTransaction: async (...terms) => {
            await asked()
            return signTransaction(...terms)
          },
        }),
        ...(method === 'signTypedData' && {
          signTypedData: async (typedData) => {
            await asked()
            return signTypedData(typedData)
          },
        }),
      }
      const mpp = stage.client(slow, { store: here.store, policy: { maxDeposit: '20', maxExposure: '10' } })
      if (cause !== undefined) here.scripted.next('voucher', problem(cause))
      const outcome = await cancelIn(mpp, here.scripted.chat, { authorizing: state }, () => late.length > 0)
      expect(late).toHaveLength(1)
      expectFailure(outcome, 'cancelled', {
        httpStatus: 402,
        cause: cause ?? null,
        authorised: { deposit: '0', vouchersSigned: 0, paidSends: cause === undefined ? 0 : 1 },
      })
      for (const sign of late) sign()
      await new Promise((resolve) => setTimeout(resolve, 150))
      expect(kinds(here.sends())).toEqual(cause === undefined ? ['unpaid'] : ['unpaid', 'voucher'])
      const [session] = await mpp.sessions.list()
      expect(session?.signed).toBe(cause === undefined ? undefined : '1000000')
      expect(session?.pending ?? null).toBeNull()
      await expectUsable(here)
    },
  )

  it('cancelled in toppingUp after the top-up was sent → says what was signed for, and the chain settles it', async () => {
    const here = await ground()
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    let carriedOut = false
    here.scripted.next('topUp', async (exchange): Promise<'hang'> => {
      await exchange.pass()
      carriedOut = true
      return 'hang'
    })
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'toppingUp' }, () => carriedOut)
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp'])
    expectFailure(outcome, 'cancelled', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      channelId: here.channelId,
      authorised: { deposit: '5000000', cumulative: '1000000', paidSends: 1 },
    })
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'toppingUp', pending: 'topUp' }])
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    await expectUsable(here)
    expect(here.signed()).toBe(1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '10000000', pending: null }])
  })

  it('cancelled in reconcilingSession → the channel stays as it was', async () => {
    const rpc = await relay()
    const here = await ground({ rpcUrl: rpc.url })
    here.scripted.next('voucher', problem('verification-failed'))
    rpc.set('hang')
    const outcome = await cancelIn(here.mpp, here.scripted.chat, { authorizing: 'reconcilingSession' })
    expectFailure(outcome, 'cancelled', {
      httpStatus: 402,
      cause: 'verification-failed',
      authorised: { cumulative: '1000000', paidSends: 1 },
    })
    rpc.set('up')
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000' }])
    await expectUsable(here)
  })

  it('cancelled in paying → the voucher that is out counts as sent', async () => {
    const here = await ground()
    here.scripted.next('voucher', hang)
    const outcome = await cancelIn(here.mpp, here.scripted.chat, 'paying', () => here.sends().length > 1)
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
    expectFailure(outcome, 'cancelled', {
      httpStatus: 402,
      channelId: here.channelId,
      mayHaveBeenCharged: true,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    await expectUsable(here)
  })

  it('cancelled in paying with an open → the next flow finds the channel, or sends the same open', async () => {
    for (const carriedOut of [true, false]) {
      const here = await ground({ spend: 0 })
      let hangs = false
      here.scripted.next('open', async (exchange): Promise<'hang'> => {
        if (carriedOut) await exchange.pass()
        hangs = true
        return 'hang'
      })
      const outcome = await cancelIn(here.mpp, here.scripted.chat, 'paying', () => hangs)
      expectFailure(outcome, 'cancelled', {
        httpStatus: 402,
        mayHaveBeenCharged: true,
        authorised: { deposit: '5000000', cumulative: '1000000', vouchersSigned: 1, paidSends: 1 },
      })
      await expectUsable(here)
      expect(here.payer.vouchers).toHaveLength(1)
    }
  })

  it('cancelled by a signal → fetch says by its cause that it may have been charged, pay says cancelled', async () => {
    const here = await ground()
    for (const way of ['fetch', 'pay'] as const) {
      here.scripted.next('voucher', hang)
      const abort = new AbortController()
      const before = here.sends().length
      const reason = new Error('changed my mind')
      const ending = here.mpp[way](here.scripted.chat, { ...request(), signal: abort.signal }).catch(
        (error: unknown) => error,
      )
      while (here.sends().length < before + 2) await new Promise((resolve) => setTimeout(resolve, 10))
      abort.abort(reason)
      if (way === 'fetch') {
        expect(await ending).toMatchObject({ cause: { failure: { mayHaveBeenCharged: true }, cause: reason } })
      } else expect(await ending).toMatchObject({ failure: { code: 'cancelled', authorised: { paidSends: 1 } } })
    }
    await expectUsable(here)
  })
})

describe.concurrent('local failures: chain_unavailable', () => {
  it('chain_unavailable at an open → asks again, 4 times, then it fails; nothing is signed', async () => {
    const rpc = await relay()
    const here = await ground({ spend: 0, rpcUrl: rpc.url })
    rpc.set('down')
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const ATTEMPT = [...AUTHORIZE, 'authorizing.openingSession']
    const again = Array.from({ length: 4 }, () => ['backingOff', ...ATTEMPT]).flat()
    expect(states(outcome)).toEqual([...CHALLENGED, ...ATTEMPT, ...again, 'failed'])
    const failure = expectFailure(outcome, 'chain_unavailable', {
      httpStatus: 402,
      channelId: null,
      authorised: NOTHING,
    })
    expect(failure.detail).toContain('RPC endpoint')
    expect(rpc.missed()).toBeGreaterThan(0)
    expect(here.signed()).toBe(0)
    rpc.set('up')
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
  })

  it('chain_unavailable before a top-up → asks again, then it fails: nothing is signed, the channel is kept', async () => {
    const rpc = await relay()
    const here = await ground({ rpcUrl: rpc.url })
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    rpc.set('down')
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'chain_unavailable', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
    expect(here.signed()).toBe(0)
    rpc.set('up')
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
  })

  it('chain_unavailable after a top-up was sent → says what was signed for, keeps it, and settles it later', async () => {
    const rpc = await relay()
    const here = await ground({ rpcUrl: rpc.url })
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    here.scripted.next('topUp', async (exchange) => {
      rpc.set('down')
      return exchange.pass()
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'chain_unavailable', {
      httpStatus: 402,
      cause: 'session/amount-exceeds-deposit',
      channelId: here.channelId,
      authorised: { deposit: '5000000', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(here.signed()).toBe(1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'toppingUp', pending: 'topUp', signed: '1000000' }])
    rpc.set('up')
    here.scripted.next('voucher', problem('session/amount-exceeds-deposit'))
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
    expect(here.signed()).toBe(1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '10000000', pending: null }])
  })

  it('chain_unavailable at a reconciliation → backs off, 4 times, then it fails; nothing is forgotten', async () => {
    const rpc = await relay()
    const here = await ground({ rpcUrl: rpc.url })
    here.scripted.next('voucher', problem('session/channel-not-found', { status: 410 }))
    rpc.set('down')
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const RECONCILE = 'authorizing.reconcilingSession'
    const again = Array.from({ length: 4 }, () => ['backingOff', RECONCILE]).flat()
    expect(states(outcome)).toEqual([...TO_PAYING, RECONCILE, ...again, 'failed'])
    expectFailure(outcome, 'chain_unavailable', {
      httpStatus: 410,
      cause: 'session/channel-not-found',
      channelId: here.channelId,
      authorised: { deposit: '0', cumulative: '1000000', paidSends: 1 },
    })
    expect(await here.mpp.sessions.list()).toMatchObject([{ channelId: here.channelId, status: 'open' }])
    expect(here.signed()).toBe(0)
  })

  it('chain_unavailable at a reconciliation → goes on when the chain answers again', async () => {
    const rpc = await relay()
    const here = await ground({ rpcUrl: rpc.url })
    here.scripted.next('voucher', problem('verification-failed'))
    rpc.set('down')
    const actor = here.mpp.createFlow(here.scripted.chat, request())
    actor.subscribe((snapshot) => {
      if (snapshot.matches('backingOff')) rpc.set('up')
    })
    actor.start()
    const outcome = await here.mpp.outcomeOf(actor)
    expect(outcome.status).toBe('succeeded')
    expect(events(outcome)).toContain('CHAIN_UNAVAILABLE')
    expect(cumulatives(here.sends())).toEqual(['1000000', '1000000'])
  })
})
