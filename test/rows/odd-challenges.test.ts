// Challenges that are legal, or common, and not what Ando sends: other spellings, other bodies, a wait, no chain.
// Must never take an answer for right by its outcome alone: what was sent, and when, is looked at.
import { createClient, custom, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ProblemType, paymentFlowMachine } from '../../machines/index.js'
import { type Clock, WALL_CLOCK } from '../../src/client/clock.js'
import { clientRunning } from '../../src/client/create-client.js'
import { formatChallenge, parseChallenges } from '../../src/protocol/index.js'
import { memoryStore } from '../../src/sessions/index.js'
import { events, failureOf, type Stage, setStage, states } from '../client/stage.js'
import {
  AUTHORIZE,
  DONE,
  expectFailure,
  expectIdenticalRequests,
  kinds,
  prepareGrounds,
  REUSE,
  request,
  TO_PAYING,
} from './row-stage.js'
import { type ProblemOptions, problem, type Reply, status } from './scripted-gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(60)
})
const grounds = prepareGrounds(() => stage)
afterAll(async () => {
  await grounds.stop()
  await stage?.stop()
})
const { ground } = grounds

describe.concurrent('a request in another spelling of base64 is read, and echoed byte for byte', () => {
  const bytesOf = (text: string) => Buffer.from(text, 'base64url')
  /** Bytes that need padding, and characters that differ between the alphabets. */
  const noted = (request: Record<string, unknown>) => {
    for (request.note = '???>>>~~~'; JSON.stringify(request).length % 3 !== 1; ) request.note += ' '
  }
  const SPELLINGS = [
    [
      'base64url with padding',
      (text: string) => bytesOf(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
    ],
    ['standard base64', (text: string) => bytesOf(text).toString('base64')],
    ['standard base64 without padding', (text: string) => bytesOf(text).toString('base64').replaceAll('=', '')],
  ] as const

  it.each(SPELLINGS)('%s', async (_, spelling) => {
    const here = await ground()
    const handedOut: string[] = []
    here.scripted.alter(noted)
    here.scripted.respell((text) => {
      handedOut.push(spelling(text))
      return spelling(text)
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome).toMatchObject({ status: 'succeeded', response: { status: 200 } })
    expect(states(outcome)).toEqual(REUSE)
    expect(handedOut[0]).toMatch(/[+/=]/)
    expect(here.sends().map(({ credential }) => credential?.challenge.request)).toEqual([undefined, handedOut[0]])
    expectIdenticalRequests(here.sends())
  })

  it('one that mixes the alphabets is refused, and nothing is signed', async () => {
    const here = await ground()
    here.scripted.alter(noted)
    here.scripted.respell((text) => `${text}+_AA`)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(failureOf(outcome).code).toBe('challenge_rejected')
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('a challenge without a chain id is for the main network', () => {
  it('is held against allowedChains like any other', async () => {
    const here = await ground({ policy: { allowedChains: [42431] } })
    here.scripted.alter((_, details) => void delete details.chainId)
    const failure = failureOf(await here.mpp.pay(here.scripted.chat, request()))
    expect(failure).toMatchObject({ code: 'policy_denied', detail: 'chain 4217 is not in allowedChains' })
    expect(here.signed()).toBe(0)
  })

  it('is paid for on chain 4217', async () => {
    const here = await ground({ spend: 0 })
    const asked: number[] = []
    // The sandbox's chain, under the main network's id.
    const local = createClient({ chain: tempoModerato, transport: http(stage.chain.rpcUrl) })
    const mainNetwork = createClient({
      chain: { ...tempoModerato, id: 4217 },
      transport: custom({
        request: ({ method, params }) =>
          method === 'eth_chainId' ? Promise.resolve('0x1079') : local.request({ method, params }),
      }),
    })
    const mpp = stage.client(here.account, {
      store: memoryStore(),
      getClient: ({ chainId }) => {
        asked.push(chainId)
        return mainNetwork
      },
    })
    here.scripted.alter((_, details) => void delete details.chainId)
    here.scripted.next('open', status(400))
    await mpp.pay(here.scripted.chat, request())
    expect(kinds(here.sends())).toEqual(['unpaid', 'open'])
    const source = `did:pkh:eip155:4217:${here.account.address}`
    expect(here.sends()[1]?.credential?.source.toLowerCase()).toBe(source.toLowerCase())
    expect(asked).toEqual([4217])
  })
})

/** A 402 with a fresh challenge, and with this body. */
const bodied =
  (body: string, contentType = 'application/problem+json'): Reply =>
  async (exchange) => ({
    status: 402,
    headers: new Headers({ 'content-type': contentType, 'www-authenticate': await exchange.challenge() }),
    body,
  })

describe.concurrent('an unpaid 402 with a challenge is the challenge, whatever its body says', () => {
  const UNKNOWN = ['payment-action-required', 'invalid-payload', 'lightning/malformed-credential', 'never-heard-of']

  it.each(UNKNOWN)('an unknown problem type: %s', async (type) => {
    for (const envelope of ['root', 'error'] as const) {
      const here = await ground()
      here.scripted.next('unpaid', problem(type, { envelope }))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual(REUSE)
      expect(events(outcome)[1]).toBe('PAYMENT_REJECTED')
      expect(here.sends()[1]?.credential?.challenge.id).toBe(here.scripted.challenges.at(-1))
    }
  })

  const BODIES = [
    ['an unknown code', bodied('{"error":{"code":"mpp_never_heard_of"}}', 'application/json')],
    ['a problem without a type', bodied('{"title":"Pay first.","status":402}')],
    ['a problem of no type', bodied('{"type":"about:blank","title":"Pay first."}')],
    ['a problem of another authority', bodied('{"type":"https://example.com/problems/pay-first"}')],
    ['what is no JSON', bodied('{')],
    ['nothing', bodied('')],
  ] as const

  it.each(BODIES)('%s', async (_, reply) => {
    const here = await ground()
    here.scripted.next('unpaid', reply)
    expect(states(await here.mpp.pay(here.scripted.chat, request()))).toEqual(REUSE)
    expect(here.signed()).toBe(0)
  })

  const JUDGES_A_CREDENTIAL = [
    'verification-failed',
    'session/invalid-signature',
    'session/signer-mismatch',
    'session/insufficient-balance',
    'session/amount-exceeds-deposit',
    'session/channel-not-found',
    'method-unsupported',
    'malformed-credential',
  ]

  it.each(JUDGES_A_CREDENTIAL)(
    '%s, though there was no credential: nothing is signed or deposited for it',
    async (type) => {
      const here = await ground()
      here.scripted.next('unpaid', problem(type))
      const outcome = await here.mpp.pay(here.scripted.chat, request())
      expect(states(outcome)).toEqual(REUSE)
      expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
      expect(here.signed()).toBe(0)
    },
  )

  it('an unknown problem type beside a challenge still ends a flow that has paid', async () => {
    const here = await ground()
    here.scripted.next('voucher', problem('payment-action-required'))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expectFailure(outcome, 'payment_rejected', {
      httpStatus: 402,
      authorised: { deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 },
    })
    expect(kinds(here.sends())).toEqual(['unpaid', 'voucher'])
  })
})

describe.concurrent('a 402 with Retry-After is waited for', () => {
  /** A clock that tells what was waited for, and does not wait; each wait takes `late` milliseconds more than asked. */
  function hurried(late = 0) {
    const waits: { readonly ms: number; readonly sends: number }[] = []
    let ahead = 0
    const clock = (sends: () => number): Clock => ({
      now: () => WALL_CLOCK.now() + ahead,
      pause: async (ms) => {
        waits.push({ ms, sends: sends() })
        ahead += ms + late
      },
    })
    return { waits, clock }
  }

  const later: ProblemOptions = { headers: { 'retry-after': '7' } }
  const WAITS = ['parsingChallenge', 'backingOff', 'parsingChallenge']

  async function waitingGround(late = 0) {
    const here = await ground()
    const { waits, clock } = hurried(late)
    const { account, store } = here
    const given = { account, store, rpcUrl: stage.chain.rpcUrl, policy: { maxDeposit: '20', maxExposure: '10' } }
    const mpp = clientRunning(
      paymentFlowMachine,
      given,
      clock(() => here.sends().length),
    )
    return { ...here, mpp, waits }
  }

  it('before its challenge is answered', async () => {
    const here = await waitingGround()
    here.scripted.next('unpaid', problem('payment-required', later))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual(['requesting', ...WAITS, ...AUTHORIZE, ...DONE])
    expect(here.waits).toEqual([{ ms: expect.any(Number), sends: 1 }])
    expect(here.waits[0]?.ms).toBeGreaterThanOrEqual(7000)
    expect(here.sends()[1]?.credential?.challenge.id).toBe(here.scripted.challenges.at(-1))
  })

  it('before the next paid send, when it refuses one', async () => {
    const here = await waitingGround()
    here.scripted.next('voucher', problem('payment-insufficient', later))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome)).toEqual([...TO_PAYING, ...WAITS, ...AUTHORIZE, 'authorizing.signingVoucher', ...DONE])
    expect(here.waits).toEqual([{ ms: expect.any(Number), sends: 2 }])
    expect(here.waits[0]?.ms).toBeGreaterThanOrEqual(7000)
    expectIdenticalRequests(here.sends())
  })

  const BARE: readonly (readonly [type: ProblemType, between: readonly string[], signed: number])[] = [
    ['invalid-challenge', [], 0],
    ['payment-insufficient', [], 1],
    ['session/amount-exceeds-deposit', [], 1],
    ['verification-failed', ['authorizing.reconcilingSession'], 1],
  ]

  it.each(BARE)('before it is asked anew, when it refuses by %s and offers nothing', async (type, between, signed) => {
    const here = await waitingGround()
    here.scripted.next('voucher', problem(type, { ...later, challenge: false }))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const waited = [...TO_PAYING, ...between, 'backingOff', 'requesting']
    expect(states(outcome).slice(0, waited.length)).toEqual(waited)
    expect(outcome.status).toBe('succeeded')
    expect(here.waits[0]?.sends).toBe(2)
    expect(here.waits[0]?.ms).toBeGreaterThanOrEqual(7000)
    expect(here.waits).toHaveLength(1)
    expect(kinds(here.sends()).slice(0, 3)).toEqual(['unpaid', 'voucher', 'unpaid'])
    expect(here.signed()).toBe(signed)
  })

  it('before it is asked anew, when its challenge has run out already', async () => {
    const here = await waitingGround()
    here.scripted.next('voucher', async (exchange) => {
      const refusal = await problem('invalid-challenge', later)(exchange)
      if (typeof refusal === 'string') return refusal
      const offered = parseChallenges(refusal.headers.get('www-authenticate'))
      const challenge = offered.ok ? offered.value.challenges[0] : undefined
      if (challenge === undefined) throw new Error('the sandbox gave no challenge')
      refusal.headers.set('www-authenticate', formatChallenge({ ...challenge, expires: '2020-01-01T00:00:00Z' }))
      return refusal
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    const waited = [...TO_PAYING, 'parsingChallenge', 'backingOff', 'requesting', 'parsingChallenge']
    expect(states(outcome)).toEqual([...waited, ...AUTHORIZE, ...DONE])
    expect(here.waits).toEqual([{ ms: expect.any(Number), sends: 2 }])
    expect(here.waits[0]?.ms).toBeGreaterThanOrEqual(7000)
  })

  it('no longer than 30 seconds (and the share that is drawn by lot)', async () => {
    const here = await waitingGround()
    here.scripted.next('unpaid', problem('payment-required', { headers: { 'retry-after': '999999999' } }))
    expect((await here.mpp.pay(here.scripted.chat, request())).status).toBe('succeeded')
    expect(here.waits).toHaveLength(1)
    expect(here.waits[0]?.ms).toBeGreaterThanOrEqual(30_000)
    expect(here.waits[0]?.ms).toBeLessThanOrEqual(36_000)
  })

  it('and asks anew when the challenge runs out meanwhile', async () => {
    const here = await waitingGround(3_600_000)
    here.scripted.next('unpaid', problem('payment-required', later))
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(states(outcome).slice(0, 6)).toEqual(['requesting', ...WAITS, 'requesting', 'parsingChallenge'])
    expect(events(outcome)).toContain('CHALLENGE_EXPIRED')
  })

  it('never in a loop: a server that always asks for it is waited for a few times', async () => {
    const here = await waitingGround()
    here.scripted.always('voucher', problem('invalid-challenge', later))
    expectFailure(await here.mpp.pay(here.scripted.chat, request()), 'invalid-challenge', {
      httpStatus: 402,
      authorised: { vouchersSigned: 0, paidSends: 3 },
    })
    expect(here.waits).toHaveLength(2)
  })

  it('never for longer than a few times, whichever codes it is asked with and though no challenge is there', async () => {
    const here = await waitingGround()
    const codes = [
      'invalid-challenge',
      'payment-expired',
      'session/challenge-not-found',
      'malformed-credential',
    ] as const
    const refusals = [...codes, ...codes].map((type) => problem(type, { ...later, challenge: false }))
    here.scripted.next('voucher', ...refusals)
    expectFailure(await here.mpp.pay(here.scripted.chat, request()), 'rate_limited', {
      httpStatus: 402,
      cause: 'invalid-challenge',
      authorised: { vouchersSigned: 0, paidSends: 5 },
    })
    expect(here.waits).toHaveLength(4)
  })

  it('until it is cancelled; nothing is signed', async () => {
    const here = await ground()
    here.scripted.next('unpaid', problem('payment-required', { headers: { 'retry-after': '3600' } }))
    const actor = here.mpp.createFlow(here.scripted.chat, request())
    actor.subscribe((snapshot) => {
      if (snapshot.matches('backingOff')) actor.send({ type: 'CANCEL' })
    })
    actor.start()
    const outcome = await here.mpp.outcomeOf(actor)
    expect(failureOf(outcome).code).toBe('cancelled')
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })
})
