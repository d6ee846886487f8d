// The 16 codes of the gateway, row by row: by their causes, until their bounds, against limits, and several in one flow.
// Must never pass because nothing was refused: every test first finds its code in the path.
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CODE_FACTS, MPP_CODES, type MppCode } from '../../machines/index.js'
import { parseChallenges, parseCredential } from '../../src/protocol/index.js'
import { type LocalChain, startChain } from '../../src/sandbox/index.js'
import {
  CODE_SCENARIOS,
  type CodeScenario,
  checkPersistent,
  checkRow,
  checkWire,
  type FlowRun,
  type Ground,
  PERSISTENT,
  type PersistentCode,
  runPersistent,
  runScenario,
  sendKindOf,
  sendKinds,
  setStage,
} from '../../src/testing/code-scenarios/index.js'
import { chat } from '../../src/testing/code-scenarios/requests.js'
import { carriesCredential, type Wire } from '../../src/testing/wire.js'

let chain: LocalChain
let used = 0
beforeAll(async () => {
  chain = await startChain({ accounts: 80 })
})
afterAll(() => chain?.stop())

function payer(): LocalAccount {
  const account = chain.accounts[used]
  used += 1
  if (account === undefined || used >= chain.accounts.length) throw new Error('more payers than accounts')
  return account
}

const ground = (): Ground => ({ chain, payer: payer() })

function scenarioOf(code: MppCode): CodeScenario {
  const scenario = CODE_SCENARIOS.find((candidate) => candidate.code === code)
  if (scenario === undefined) throw new Error(`no scenario for ${code}`)
  return scenario
}

const states = ({ outcome }: FlowRun) => outcome.trace.map(({ state }) => state)
const events = ({ outcome }: FlowRun) => outcome.trace.map(({ event }) => event)
/** The codes that a flow met, but for the one that brings the first challenge. */
const codesMet = (flow: FlowRun) =>
  flow.outcome.trace.flatMap(({ event }, index, trace) =>
    event.startsWith('mpp_') || (event === 'payment_required' && trace[index - 1]?.state !== 'requesting')
      ? [event]
      : [],
  )

function failureOf({ outcome }: FlowRun) {
  if (outcome.status !== 'failed') throw new Error(`the flow ended as ${outcome.status}`)
  return outcome.failure
}

/** Of each credential at the gateway: its challenge, and the newest that the gateway had issued by then for the same body. */
function challengesAtGateway({ exchanges }: FlowRun): { answered: string; newest: string | undefined }[] {
  const found: { answered: string; newest: string | undefined }[] = []
  const newest = new Map<string, string | undefined>()
  for (const { sent, answered } of exchanges) {
    const body = new TextDecoder().decode(sent.body)
    const credential = parseCredential(sent.headers.get('authorization'))
    if (credential.ok) found.push({ answered: credential.value.challenge.id, newest: newest.get(body) })
    const list = parseChallenges(answered.headers.get('www-authenticate'))
    if (list.ok) newest.set(body, list.value.challenges[0]?.id)
  }
  return found
}

/** The bodies of all sends of content, as the client sent them. */
const bodies = ({ exchanges }: FlowRun) =>
  new Set(exchanges.map(({ sent }) => new TextDecoder().decode(sent.body)).filter((body) => body !== ''))

describe.concurrent('each code, by its cause', () => {
  it.each(MPP_CODES)(
    '%s',
    async (code) => {
      const scenario = scenarioOf(code)
      const run = await runScenario(scenario, ground())
      expect(checkRow(scenario, run)).toEqual([])
      // The same once more, without the checks that the command uses.
      const { flow } = run
      const { expected } = scenario
      expect(flow.outcome.status).toBe(expected.outcome)
      expect(events(flow)).toContain(code)
      expect(sendKinds(flow)).toEqual(expected.sends)
      for (const { answered, newest } of challengesAtGateway(flow)) expect(answered).toBe(newest)
      expect(bodies(flow).size).toBe(flow.kind === 'pay' && flow.exchanges.length > 0 ? 1 : 0)
      if (expected.outcome === 'failed') {
        expect(failureOf(flow)).toMatchObject({ code, advice: CODE_FACTS[code].advice, cause: null, limit: null })
      }
    },
    30_000,
  )

  it('is injected for two of them only', () => {
    const injected = CODE_SCENARIOS.filter(({ cause }) => cause === 'injected').map(({ code }) => code)
    expect(injected).toEqual(['mpp_reservation_failed', 'mpp_commit_failed'])
  })
})

describe.concurrent('details of the rows', () => {
  it('mpp_invalid_challenge keeps the voucher and the signed open: both are sent again, not signed again', async () => {
    const { flow, counts } = await runScenario(scenarioOf('mpp_invalid_challenge'), ground())
    expect(flow.outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '5000000', paidSends: 2 })
    expect(counts).toMatchObject({ opens: 1, topUps: 0 })
    const [first, second] = flow.exchanges.flatMap(({ sent }) => {
      const credential = parseCredential(sent.headers.get('authorization'))
      return credential.ok && credential.value.payload.action === 'open' ? [credential.value.payload] : []
    })
    expect(second).toEqual(first)
  })

  it('mpp_voucher_bucket_refresh_required signs the next bucket once, and nothing is deposited', async () => {
    const { flow, counts } = await runScenario(scenarioOf('mpp_voucher_bucket_refresh_required'), ground())
    expect(flow.outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '0', cumulative: '2000000' })
    expect(counts).toMatchObject({ opens: 1, topUps: 0 })
  })

  it('mpp_session_deposit_below_request_cost tops up once and sends the voucher that was refused', async () => {
    const { flow, counts } = await runScenario(scenarioOf('mpp_session_deposit_below_request_cost'), ground())
    expect(flow.outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '1000000', cumulative: '2000000' })
    expect(counts).toMatchObject({ opens: 1, topUps: 1 })
    const last = flow.exchanges.at(-1)
    const credential = parseCredential(last?.sent.headers.get('authorization'))
    expect(credential.ok && credential.value.payload).toMatchObject({ action: 'voucher', cumulativeAmount: '2000000' })
  })

  it('mpp_payment_verification_failed signs the same amount anew: nothing more is authorised', async () => {
    const { flow } = await runScenario(scenarioOf('mpp_payment_verification_failed'), ground())
    expect(flow.outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '0', cumulative: '1000000' })
  })

  it.each(['mpp_request_quote_invalid', 'mpp_streaming_unavailable'] as const)(
    '%s costs nothing: nothing is signed, nothing is on the chain',
    async (code) => {
      const { flow, counts } = await runScenario(scenarioOf(code), ground())
      expect(failureOf(flow).authorised).toEqual({
        channelId: null,
        deposit: '0',
        cumulative: '0',
        feeAtMost: '0',
        vouchersSigned: 0,
        paidSends: 0,
      })
      expect(counts).toMatchObject({ paidSends: 0, opens: 0 })
    },
  )

  it('mpp_payer_not_allowed: what was signed is reported, and no channel was opened', async () => {
    const { flow, counts } = await runScenario(scenarioOf('mpp_payer_not_allowed'), ground())
    expect(failureOf(flow).authorised).toMatchObject({ deposit: '5000000', cumulative: '1000000', paidSends: 1 })
    expect(failureOf(flow).references).toMatchObject({ httpStatus: 403, channelId: expect.stringMatching(/^0x/) })
    expect(counts).toMatchObject({ opens: 0, completions: 0 })
  })

  it('mpp_commit_failed: the work ran once, and is not asked for again', async () => {
    const { counts } = await runScenario(scenarioOf('mpp_commit_failed'), ground())
    expect(counts).toMatchObject({ paidSends: 1, completions: 0, uncommittedRuns: 1 })
  })

  it.each(['mpp_session_close_unavailable', 'mpp_session_close_failed'] as const)(
    '%s: the same close credential each time; the channel stays open in the ledger',
    async (code) => {
      const scenario = scenarioOf(code)
      const account = payer()
      const stage = await setStage({ chain, payer: account }, scenario.gateway?.(account.address) ?? {})
      try {
        const flow = await scenario.play(stage)
        const [session] = await stage.client.sessions.list()
        expect(session).toMatchObject({ status: 'open', signed: '1000000', pending: null, refunded: null })
        expect(failureOf(flow)).toMatchObject({
          code,
          retryable: true,
          references: { channelId: session?.channelId, requestId: expect.stringMatching(/^req_/) },
        })
        expect(failureOf(flow).advice).toMatch(/forced close/)
        const closes = flow.exchanges
          .map(({ sent }) => sent.headers.get('authorization'))
          .filter((value) => value !== null)
        expect(closes).toHaveLength(4)
        expect(new Set(closes).size).toBe(1)
        expect(stage.gateway.accounting().counts.closes).toBe(0)
      } finally {
        await stage.stop()
      }
    },
    30_000,
  )
})

const PERSISTENT_CODES = Object.keys(PERSISTENT) as PersistentCode[]

describe.concurrent('a code that does not stop', () => {
  it('is tried for every code that has a bound', () => {
    const bounded = MPP_CODES.filter((code) => CODE_FACTS[code].bound > 0)
    expect([...PERSISTENT_CODES].sort()).toEqual([...bounded].sort())
  })

  it.each(PERSISTENT_CODES)(
    '%s: ends as failed when its bound is reached',
    async (code) => {
      const scenario = scenarioOf(code)
      const run = await runPersistent(code, ground())
      expect(checkPersistent(scenario, run)).toEqual([])
      const { flow } = run
      const { bound, advice, retryable } = CODE_FACTS[code]
      expect(codesMet(flow).filter((met) => met === code)).toHaveLength(bound + 1)
      const last = flow.exchanges.at(-1)
      const failure = failureOf(flow)
      expect(failure).toMatchObject({ code, advice, retryable, cause: null, limit: null })
      expect(failure.references).toEqual({
        requestId: last?.delivered.headers.get('x-request-id'),
        challengeId: expect.stringMatching(/^[\w-]{43}$/),
        channelId: expect.stringMatching(/^0x[0-9a-f]{64}$/),
        httpStatus: last?.delivered.status,
      })
      expect(failure.authorised).toEqual(flow.outcome.authorised)
      expect(flow.outcome.trace.at(-1)).toEqual({ state: 'failed', event: code })
    },
    30_000,
  )

  it.each([
    // [code, recovered from before the limit stops it, the limit, policy]
    ['mpp_voucher_bucket_refresh_required', 'maxExposure', { maxExposure: '2' }],
    ['mpp_voucher_bucket_refresh_required', 'maxCumulative', { maxCumulative: '2', maxExposure: '9' }],
    ['mpp_session_deposit_below_request_cost', 'maxDeposit', { maxDeposit: '2' }],
    ['mpp_session_deposit_below_request_cost', 'maxTotalDeposit', { maxDeposit: '9', maxTotalDeposit: '2' }],
  ] as const)('%s: a policy limit (%s) ends it first, and is named', async (code, limit, policy) => {
    const { flow } = await runPersistent(code, ground(), policy)
    expect(failureOf(flow)).toMatchObject({ code: 'limit_exceeded', limit, cause: code, retryable: false })
    expect(failureOf(flow).detail).toContain(limit)
    expect(codesMet(flow)).toEqual([code, code])
    // Signed and deposited up to the limit, and not beyond.
    const { cumulative, deposit } = failureOf(flow).authorised
    expect(BigInt(cumulative)).toBeLessThanOrEqual(2_000_000n)
    expect(BigInt(deposit)).toBeLessThanOrEqual(1_000_000n)
    expect(checkWire(flow)).toEqual([])
  })

  it.each([
    ['mpp_invalid_challenge', 0],
    ['mpp_invalid_challenge', 4],
  ] as const)('%s: the caller may set another bound (%i)', async (code, bound) => {
    const { flow } = await runPersistent(code, ground(), { attempts: { [code]: bound } })
    expect(failureOf(flow).code).toBe(code)
    expect(codesMet(flow)).toHaveLength(bound + 1)
  })
})

describe.concurrent('several codes in one flow', () => {
  const LEDGER_BEHIND = { suggestedDeposit: '1' }

  /** Changes the opaque of the challenge in the `nth` credential, so that its HMAC no longer fits. */
  function tamperWithCredential(wire: Wire, nth: number): void {
    let seen = 0
    wire.changeRequest({
      what: 'the opaque that the credential echoes was changed',
      change: (request) => {
        if (!carriesCredential(request)) return false
        seen += 1
        if (seen !== nth) return false
        const encoded = (request.headers.get('authorization') ?? '').replace('Payment ', '')
        const json = Buffer.from(encoded, 'base64url').toString('utf8')
        const changed = json.replace(
          /("opaque":")(.)/,
          (_, before: string, first: string) => `${before}${first === 'e' ? 'f' : 'e'}`,
        )
        request.headers.set('authorization', `Payment ${Buffer.from(changed).toString('base64url')}`)
        return true
      },
    })
  }

  it('refresh → top-up → invalid challenge → success', async () => {
    const stage = await setStage(ground(), LEDGER_BEHIND)
    try {
      await stage.pay(chat(80))
      await stage.overstateDeposit(1_000_000n)
      // Voucher, voucher, top-up, and then the voucher that is changed on its way.
      tamperWithCredential(stage.wire, 4)
      const flow = await stage.pay(chat(40))
      expect(codesMet(flow)).toEqual([
        'mpp_voucher_bucket_refresh_required',
        'mpp_session_deposit_below_request_cost',
        'mpp_invalid_challenge',
      ])
      expect(flow.outcome.status).toBe('succeeded')
      // The top-up has no body: it answers a challenge of its own, the vouchers around it those for the request's body.
      expect(sendKinds(flow)).toEqual(['unpaid', 'voucher', 'voucher', 'unpaid', 'topUp', 'voucher', 'voucher'])
      for (const { answered, newest } of challengesAtGateway(flow)) expect(answered).toBe(newest)
      expect(bodies(flow).size).toBe(1)
      expect(checkWire(flow)).toEqual([])
      // One voucher and one top-up for all three.
      expect(flow.outcome.authorised).toMatchObject({ vouchersSigned: 1, deposit: '1000000', cumulative: '2000000' })
      expect(stage.gateway.accounting().channels).toMatchObject([
        { deposit: '2000000', accepted: '2000000', spent: '1200000' },
      ])
    } finally {
      await stage.stop()
    }
  })

  it('refresh → top-up that meets an invalid challenge itself → the same top-up again → success', async () => {
    const stage = await setStage(ground(), LEDGER_BEHIND)
    try {
      await stage.pay(chat(80))
      // The second credential of the next flow is the top-up.
      tamperWithCredential(stage.wire, 2)
      const flow = await stage.pay(chat(40))
      expect(codesMet(flow)).toEqual(['mpp_voucher_bucket_refresh_required', 'mpp_invalid_challenge'])
      // The challenge that comes with the refusal is for the empty body of the top-up: it is not answered.
      expect(events(flow)).toContain('DIGEST_MISMATCH')
      // Both top-ups ask for a challenge of their own; between them one is asked for with the request's body.
      expect(sendKinds(flow)).toEqual([
        'unpaid',
        'voucher',
        ...['unpaid', 'topUp', 'unpaid'],
        ...['unpaid', 'topUp', 'voucher'],
      ])
      const unpaid = flow.exchanges.filter((exchange) => sendKindOf(exchange) === 'unpaid')
      expect(unpaid.map(({ sent }) => sent.body.length > 0)).toEqual([true, false, true, false])
      expect(flow.outcome.status).toBe('succeeded')
      expect(states(flow).filter((state) => state === 'authorizing.reconcilingSession')).toHaveLength(1)
      const transactions = flow.exchanges.flatMap(({ sent }) => {
        const credential = parseCredential(sent.headers.get('authorization'))
        return credential.ok && credential.value.payload.action === 'topUp'
          ? [credential.value.payload.transaction]
          : []
      })
      expect(new Set(transactions).size).toBe(1)
      expect(stage.gateway.accounting().counts.topUps).toBe(1)
      expect(stage.gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
      expect(checkWire(flow)).toEqual([])
    } finally {
      await stage.stop()
    }
  })

  it('a header taken off, a header cut, a changed signature, a failed reservation, a used-up bucket → success', async () => {
    const stage = await setStage(ground())
    try {
      await stage.pay(chat(80))
      const { wire } = stage
      const faults: ((headers: Headers) => void)[] = [
        (headers) => headers.delete('authorization'),
        (headers) => headers.set('authorization', (headers.get('authorization') ?? '').slice(0, 100)),
        (headers) => {
          const json = Buffer.from((headers.get('authorization') ?? '').replace('Payment ', ''), 'base64url')
          const changed = json.toString('utf8').replace(/("signature":"0x)(..)/, '$1ff')
          headers.set('authorization', `Payment ${Buffer.from(changed).toString('base64url')}`)
        },
      ]
      wire.changeRequest({
        what: 'one fault after another',
        times: faults.length,
        change: (request) => {
          if (!carriesCredential(request)) return false
          faults.shift()?.(request.headers)
          return true
        },
      })
      stage.gateway.inject('mpp_reservation_failed')
      const flow = await stage.pay(chat(40))
      expect(codesMet(flow)).toEqual([
        'payment_required',
        'mpp_malformed_credential',
        'mpp_payment_verification_failed',
        'mpp_reservation_failed',
        'mpp_voucher_bucket_refresh_required',
      ])
      expect(flow.outcome.status).toBe('succeeded')
      expect(checkWire(flow)).toEqual([])
      for (const { answered, newest } of challengesAtGateway(flow)) expect(answered).toBe(newest)
      expect(stage.gateway.accounting().channels).toMatchObject([
        { deposit: '5000000', accepted: '2000000', spent: '1200000' },
      ])
    } finally {
      await stage.stop()
    }
  })

  it('each has a bound of its own: two of one kind and three of another in one flow', async () => {
    const stage = await setStage(ground())
    try {
      await stage.pay(chat(10))
      for (let at = 0; at < 2; at += 1) stage.gateway.inject('mpp_invalid_challenge')
      stage.gateway.inject('mpp_reservation_failed', { times: 3 })
      const flow = await stage.pay(chat(10))
      expect(codesMet(flow)).toEqual([
        'mpp_invalid_challenge',
        'mpp_invalid_challenge',
        'mpp_reservation_failed',
        'mpp_reservation_failed',
        'mpp_reservation_failed',
      ])
      expect(flow.outcome.status).toBe('succeeded')
      stage.gateway.inject('mpp_invalid_challenge', { times: 2 })
      stage.gateway.inject('mpp_reservation_failed', { times: 4 })
      expect(failureOf(await stage.pay(chat(10))).code).toBe('mpp_reservation_failed')
    } finally {
      await stage.stop()
    }
  }, 30_000)
})
