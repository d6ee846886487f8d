// Holds the payment-flow machine against the table of codes: where each leads, how often, and with what it ends.
// Must never take its expectations from the machine: the table is written out here.

import { describe, expect, it } from 'vitest'
import {
  CODE_FACTS,
  type Demand,
  MPP_CODES,
  type MppCode,
  type PaymentFlowEvent,
  PROBLEM_TYPES,
  type ProblemType,
} from '../../machines/index.js'
import {
  begin,
  CHANNEL,
  CLOSING,
  challenge,
  type FlowSnapshot,
  facts,
  LIMITS,
  nameOf,
  ONE,
  openView,
  rejection,
  take,
  view,
  World,
} from './payment-flow.world.js'

type Code = MppCode | ProblemType
const CODES: readonly Code[] = [...MPP_CODES, ...PROBLEM_TYPES]

interface Lead {
  /** Where it leads when the answer carries a fresh challenge, and when it carries none. */
  readonly offered: string
  readonly bare: string
  readonly bound: number
  readonly demand?: Demand['kind']
}

const end: Lead = { offered: 'failed', bare: 'failed', bound: 0 }
const anew = (bound: number, demand?: Demand['kind']): Lead => ({
  offered: 'parsingChallenge',
  bare: 'requesting',
  bound,
  ...(demand !== undefined && { demand }),
})
const askChain = (demand?: Demand['kind']): Lead => ({
  offered: 'authorizing.reconcilingSession',
  bare: 'authorizing.reconcilingSession',
  bound: 1,
  ...(demand !== undefined && { demand }),
})

const PAYING: Readonly<Record<Code, Lead>> = {
  payment_required: anew(2),
  mpp_session_deposit_below_request_cost: anew(2, 'deposit'),
  mpp_malformed_credential: anew(1),
  mpp_method_unsupported: end,
  mpp_invalid_challenge: anew(2),
  mpp_body_digest_mismatch: anew(1),
  mpp_request_quote_invalid: end,
  mpp_request_exceeds_voucher_bucket: anew(1, 'voucher'),
  mpp_payment_verification_failed: askChain('signature'),
  mpp_payer_not_allowed: end,
  mpp_voucher_bucket_refresh_required: anew(3, 'voucher'),
  mpp_reservation_failed: { offered: 'backingOff', bare: 'backingOff', bound: 3 },
  mpp_commit_failed: end,
  mpp_session_close_unavailable: end,
  mpp_session_close_failed: end,
  mpp_streaming_unavailable: end,
  'payment-required': anew(2),
  'payment-expired': anew(2),
  'invalid-challenge': anew(2),
  'session/challenge-not-found': anew(2),
  'payment-insufficient': anew(3, 'voucher'),
  'session/delta-too-small': anew(3, 'voucher'),
  'session/insufficient-balance': anew(3, 'voucher'),
  'session/amount-exceeds-deposit': anew(2, 'deposit'),
  'session/invalid-signature': askChain('signature'),
  'verification-failed': askChain('signature'),
  'session/signer-mismatch': end,
  'session/channel-not-found': askChain(),
  'session/channel-finalized': askChain(),
  'malformed-credential': anew(1),
  'method-unsupported': end,
  'internal-payment-error': end,
}

const again: Lead = { offered: 'closing.backingOff', bare: 'closing.backingOff', bound: 3 }

/** A close credential cannot be helped by a new voucher or a top-up; everything else leads where it leads. */
const CLOSE: Readonly<Record<Code, Lead>> = {
  ...PAYING,
  mpp_session_close_unavailable: again,
  mpp_session_close_failed: again,
  mpp_reservation_failed: again,
  mpp_payment_verification_failed: { ...again, bound: 1 },
  'session/invalid-signature': { ...again, bound: 1 },
  'verification-failed': { ...again, bound: 1 },
  'session/channel-not-found': { ...again, bound: 1 },
  'session/channel-finalized': { ...again, bound: 1 },
  mpp_session_deposit_below_request_cost: end,
  mpp_voucher_bucket_refresh_required: end,
  mpp_request_exceeds_voucher_bucket: end,
  'payment-insufficient': end,
  'session/delta-too-small': end,
  'session/insufficient-balance': end,
  'session/amount-exceeds-deposit': end,
}

/** A flow that has reached a state, and the world it is in. */
function reach(state: string, more: Parameters<typeof begin>[0] = {}, session = openView(), offer = challenge()) {
  const world = new World(session, offer)
  if (state !== 'resending') return { world, snapshot: world.drive(begin(more), state) }
  const paying = world.drive(begin(more), 'paying')
  return {
    world,
    snapshot: world.drive(
      take(paying, { type: 'SERVER_FAILED', mayHaveRun: false, ...world.answer({ status: 503 }) }),
      state,
    ),
  }
}

/** A channel whose deposit does not cover the first voucher. */
const SHORT = openView({ deposit: '500000', signed: '0', accepted: '0' })

function expectFailure(snapshot: FlowSnapshot, code: string) {
  expect(nameOf(snapshot)).toBe('failed')
  expect(snapshot.status).toBe('done')
  const failure = snapshot.output?.failure
  expect(snapshot.output?.status).toBe('failed')
  expect(failure?.code).toBe(code)
  expect(failure?.advice).toMatch(/\w.*\.$/)
  expect(typeof failure?.retryable).toBe('boolean')
  expect(failure?.references).toEqual(snapshot.context.references)
  expect(failure?.authorised).toEqual(snapshot.context.authorised)
  return failure
}

describe('the happy path', () => {
  it('goes from an unpaid send over an open to a receipt', () => {
    const world = new World()
    let snapshot = begin()
    const seen = [nameOf(snapshot)]
    for (let event = world.next(snapshot); event !== null; event = world.next(snapshot)) {
      snapshot = take(snapshot, event)
      seen.push(nameOf(snapshot))
    }
    expect(seen).toEqual([
      'requesting',
      'parsingChallenge',
      'authorizing.acquiringSession',
      'authorizing.openingSession',
      'paying',
      'verifyingReceipt',
      'succeeded',
    ])
    expect(snapshot.output).toMatchObject({
      status: 'succeeded',
      failure: null,
      receipt: { channelId: CHANNEL, acceptedCumulative: ONE, spent: '1' },
      authorised: { channelId: CHANNEL, deposit: '5000000', cumulative: ONE, vouchersSigned: 1, paidSends: 1 },
      references: { requestId: 'req-1', challengeId: 'challenge-1', channelId: CHANNEL, httpStatus: 200 },
    })
  })

  it('reuses a voucher without touching the wallet', () => {
    const { snapshot, world } = reach('succeeded')
    expect(snapshot.output).toMatchObject({ status: 'succeeded', authorised: { vouchersSigned: 0, deposit: '0' } })
    expect(world.session.signed).toBe(ONE)
  })

  it('tops up, then signs, when the voucher would pass the deposit', () => {
    const { snapshot } = reach('authorizing.signingVoucher', {}, SHORT)
    expect(snapshot.context.authorised.deposit).toBe('5000000')
  })

  it('asks before funds move, and takes no for an answer', () => {
    const { snapshot } = reach('authorizing.awaitingApproval', { limits: { ...LIMITS, approval: true } }, view())
    expect(nameOf(take(snapshot, { type: 'APPROVE' }))).toBe('authorizing.openingSession')
    expect(expectFailure(take(snapshot, { type: 'DENY' }), 'policy_denied')?.detail).toMatch(/approved/)
  })

  it('gives back an answer that needs no payment, and one that carries no receipt', () => {
    const free = take(begin(), { type: 'ANSWER_RECEIVED', ...facts({ status: 200, challengesOffered: 0 }) })
    expect(free.output).toMatchObject({ status: 'succeeded', authorised: { paidSends: 0 } })
    const { snapshot } = reach('verifyingReceipt')
    for (const event of [{ type: 'RECEIPT_MISSING' }, { type: 'RECEIPT_REJECTED', reason: 'why' }] as const) {
      const judged = take(snapshot, event)
      expect(judged.output?.status).toBe('succeeded')
      expect(judged.output?.receipt).toBeNull()
      expect(judged.output?.receiptProblem).toBeTruthy()
    }
  })

  it('closes a channel', () => {
    const { snapshot } = reach('closed', CLOSING)
    expect(snapshot.output).toMatchObject({ status: 'closed', settlement: { refunded: '5000000' }, failure: null })
    expect(take(begin(CLOSING), { type: 'ALREADY_CLOSED' }).output?.status).toBe('closed')
  })
})

describe('a rejection of the paid send', () => {
  it.each(CODES)('%s leads where the table says', (code) => {
    const { snapshot } = reach('paying')
    const lead = PAYING[code]
    const offered = take(snapshot, rejection(code, { cumulative: ONE }))
    const bare = take(snapshot, rejection(code, { cumulative: ONE, challengesOffered: 0 }))
    expect([nameOf(offered), nameOf(bare)]).toEqual([lead.offered, lead.bare])
    expect(offered.context.demand?.kind).toBe(lead.demand)
    expect(offered.context.authorised).toMatchObject({ paidSends: 1, cumulative: ONE })
    if (lead.bound > 0) expect(offered.context.counts).toEqual({ [code]: 1 })
    else expectFailure(offered, code)
    expect(CODE_FACTS[code].bound).toBe(Math.max(lead.bound, CLOSE[code].bound))
  })

  it.each(CODES)('%s ends the flow when its bound is used up', (code) => {
    const { bound } = PAYING[code]
    const { world, snapshot } = reach('paying')
    const gone = code === 'session/channel-not-found' || code === 'session/channel-finalized'
    let now = snapshot
    for (let taken = 0; taken < bound; taken += 1) {
      now = take(now, world.rejection(code, { requestId: `req-${taken}` }))
      expect(nameOf(now)).not.toBe('failed')
      // A channel that only the chain may declare gone: it does.
      if (gone) world.session = view({ status: 'lost', channelId: CHANNEL })
      now = world.drive(now, 'paying')
    }
    now = take(now, world.rejection(code, { requestId: 'req-last', status: 403, challengeId: 'challenge-last' }))
    const failure = expectFailure(now, code)
    expect(failure?.cause).toBeNull()
    expect(failure?.references).toEqual({
      requestId: 'req-last',
      challengeId: 'challenge-last',
      channelId: CHANNEL,
      httpStatus: 403,
    })
    expect(failure?.authorised.paidSends).toBe(bound + 1)
  })

  it.each(CODES.filter((code) => PAYING[code].bound > 0))('%s obeys a bound of the policy', (code) => {
    const { snapshot } = reach('paying', { bounds: { [code]: 0 } })
    expectFailure(take(snapshot, rejection(code)), code)
  })

  it.each(['mpp_method_unsupported', 'method-unsupported'] as const)('%s tries one other challenge', (code) => {
    const { world, snapshot } = reach('paying')
    const other = take(snapshot, rejection(code, { challengesOffered: 2 }))
    expect(nameOf(other)).toBe('parsingChallenge')
    expect(other.context.skipChallenges).toBe(1)
    expectFailure(take(world.drive(other, 'paying'), rejection(code, { challengesOffered: 2 })), code)
  })

  it('asks once more for work whose commit failed only where the caller opted in', () => {
    const { world, snapshot } = reach('paying', { limits: { ...LIMITS, retryCommitFailed: true } })
    const repeated = take(snapshot, rejection('mpp_commit_failed', { retryAfterMs: 5000 }))
    expect([nameOf(repeated), repeated.context.backoffMs]).toEqual(['backingOff', 5000])
    expect(nameOf(take(repeated, { type: 'WAITED' }))).toBe('requesting')
    expectFailure(take(world.drive(repeated, 'paying'), rejection('mpp_commit_failed')), 'mpp_commit_failed')
  })

  it.each(['session/channel-not-found', 'session/channel-finalized'] as const)(
    '%s of a channel that the chain still funds keeps the funds',
    (code) => {
      const { snapshot } = reach('paying')
      const asked = take(snapshot, rejection(code), { type: 'SESSION_RECONCILED', session: openView() })
      expect(expectFailure(asked, code)?.detail).toMatch(/chain still holds/)
    },
  )

  it.each(['mpp_payment_verification_failed', 'session/invalid-signature', 'verification-failed'] as const)(
    '%s signs anew at the same amount once the chain was asked',
    (code) => {
      const { world, snapshot } = reach('paying')
      const signing = world.drive(take(snapshot, rejection(code, { cumulative: ONE })), 'authorizing.signingVoucher')
      expect(signing.context.plan).toEqual({ kind: 'sign', cumulative: ONE })
      expect(world.drive(signing, 'paying').context.demand).toBeNull()
    },
  )

  it('signs more than what was refused, by what the server asks for', () => {
    const { world, snapshot } = reach('paying')
    const refused = rejection('session/insufficient-balance', { cumulative: ONE, requiredTopUp: '250000' })
    const signing = world.drive(take(snapshot, refused), 'authorizing.signingVoucher')
    expect(signing.context.plan).toEqual({ kind: 'sign', cumulative: '1250000' })
  })

  it('tops up when the deposit was refused, and sends the same voucher again', () => {
    const { world, snapshot } = reach('paying')
    const refused = take(snapshot, rejection('mpp_session_deposit_below_request_cost', { cumulative: ONE }))
    const paying = world.drive(world.drive(refused, 'authorizing.toppingUp'), 'paying')
    expect(paying.context.plan).toEqual({ kind: 'reuse', cumulative: ONE })
    expect(paying.context.session?.deposit).toBe('10000000')
  })
})

describe('a rejection of a top-up', () => {
  it.each(CODES)('%s leads where the table says', (code) => {
    const { snapshot } = reach('authorizing.toppingUp', {}, SHORT)
    const { offered, bare } = PAYING[code]
    const answers = [rejection(code), rejection(code, { challengesOffered: 0 })].map((event) => take(snapshot, event))
    expect(answers.map(nameOf)).toEqual([offered, bare])
    for (const answer of answers) if (nameOf(answer) === 'failed') expectFailure(answer, code)
  })
})

describe('a rejection of a close credential', () => {
  it.each(CODES)('%s leads where the table says, and ends at its bound', (code) => {
    const { world, snapshot } = reach('closing.sendingClose', CLOSING)
    const { offered, bare, bound } = CLOSE[code]
    expect(nameOf(take(snapshot, rejection(code)))).toBe(offered)
    expect(nameOf(take(snapshot, rejection(code, { challengesOffered: 0 })))).toBe(bare)
    let now = snapshot
    for (let taken = 0; taken < bound; taken += 1) {
      now = world.drive(take(now, world.rejection(code)), 'closing.sendingClose')
    }
    const failure = expectFailure(take(now, world.rejection(code, { status: 502 })), code)
    expect(failure?.references).toMatchObject({ channelId: CHANNEL, httpStatus: 502 })
  })
})

describe('what this side finds by itself', () => {
  const answered = (more: Parameters<typeof facts>[0] = {}) => facts({ challengesOffered: 0, ...more })
  const local: readonly (readonly [
    from: string,
    event: PaymentFlowEvent,
    leads: string,
    bound: number,
    /** Null: the repetition is no way back to this state. */
    code: string | null,
  ])[] = [
    ['requesting', { type: 'POLICY_DENIED', reason: 'r' }, 'failed', 0, 'policy_denied'],
    ['requesting', { type: 'RATE_LIMITED', ...answered({ status: 429 }) }, 'backingOff', 1, 'rate_limited'],
    [
      'requesting',
      { type: 'SERVER_FAILED', mayHaveRun: false, ...answered({ status: 502 }) },
      'backingOff',
      2,
      'server_failed',
    ],
    ['requesting', { type: 'CONNECTION_FAILED', reason: 'r' }, 'backingOff', 2, 'connection_failed'],
    ['requesting', { type: 'PAYMENT_REJECTED', code: 'unheard_of', ...answered() }, 'failed', 0, 'payment_rejected'],
    ['requesting', { type: 'payment_required', ...answered() }, 'failed', 0, 'payment_required'],
    ['parsingChallenge', { type: 'CHALLENGE_REJECTED', reason: 'r' }, 'failed', 0, 'challenge_rejected'],
    ['parsingChallenge', { type: 'POLICY_DENIED', reason: 'r' }, 'failed', 0, 'policy_denied'],
    ['parsingChallenge', { type: 'CHALLENGE_EXPIRED' }, 'requesting', 2, 'challenge_expired'],
    ['parsingChallenge', { type: 'DIGEST_MISMATCH' }, 'requesting', 1, 'challenge_rejected'],
    ['authorizing.acquiringSession', { type: 'SESSION_UNAVAILABLE', reason: 'r' }, 'failed', 0, 'session_unavailable'],
    ['authorizing.openingSession', { type: 'SIGNING_FAILED', reason: 'r' }, 'failed', 0, 'signing_failed'],
    [
      'authorizing.openingSession',
      { type: 'WALLET_BALANCE_INSUFFICIENT', reason: 'r' },
      'failed',
      0,
      'wallet_balance_insufficient',
    ],
    ['authorizing.openingSession', { type: 'CHAIN_UNAVAILABLE', reason: 'r' }, 'backingOff', 4, 'chain_unavailable'],
    [
      'authorizing.openingSession',
      { type: 'CHAIN_UNAVAILABLE', reason: 'r', lasting: true },
      'failed',
      0,
      'chain_unavailable',
    ],
    ['paying', { type: 'CHALLENGE_EXPIRED' }, 'requesting', 2, 'challenge_expired'],
    ['paying', { type: 'RATE_LIMITED', ...answered({ status: 429, cumulative: ONE }) }, 'backingOff', 0, null],
    [
      'resending',
      { type: 'RATE_LIMITED', ...answered({ status: 429, cumulative: ONE }) },
      'backingOff',
      1,
      'outcome_unknown',
    ],
    ['resending', { type: 'CONNECTION_FAILED', reason: 'r' }, 'backingOff', 2, 'outcome_unknown'],
    ['resending', { type: 'CHALLENGE_EXPIRED' }, 'failed', 0, 'outcome_unknown'],
    ['resending', { type: 'OUTCOME_UNKNOWN', reason: 'r' }, 'failed', 0, 'outcome_unknown'],
    [
      'resending',
      { type: 'PAYMENT_REJECTED', code: 'unheard_of', ...answered({ cumulative: ONE }) },
      'failed',
      0,
      'outcome_unknown',
    ],
    [
      'paying',
      { type: 'SERVER_FAILED', mayHaveRun: true, ...answered({ status: 500 }) },
      'failed',
      0,
      'outcome_unknown',
    ],
    [
      'paying',
      { type: 'SERVER_FAILED', mayHaveRun: false, ...answered({ status: 503, cumulative: ONE }) },
      'backingOff',
      0,
      null,
    ],
    ['paying', { type: 'CONNECTION_FAILED', reason: 'r' }, 'backingOff', 2, 'connection_failed'],
    ['paying', { type: 'OUTCOME_UNKNOWN', reason: 'r' }, 'failed', 0, 'outcome_unknown'],
    ['paying', { type: 'PAYMENT_REJECTED', code: 'unheard_of', ...answered() }, 'failed', 0, 'payment_rejected'],
    ['closing.sendingClose', { type: 'CLOSE_UNCONFIRMED', reason: 'r' }, 'closing.backingOff', 3, 'chain_unavailable'],
    ['closing.sendingClose', { type: 'CONNECTION_FAILED', reason: 'r' }, 'closing.backingOff', 2, 'connection_failed'],
    ['closing.sendingClose', { type: 'CHAIN_UNAVAILABLE', reason: 'r' }, 'closing.backingOff', 4, 'chain_unavailable'],
    ['closing.sendingClose', { type: 'SIGNING_FAILED', reason: 'r' }, 'failed', 0, 'signing_failed'],
  ]

  it.each(local)('in %s: %o leads to %s, %i times', (from, event, leads, bound, code) => {
    const more = from.startsWith('closing') ? CLOSING : {}
    const { world, snapshot } = reach(from, more, from === 'authorizing.openingSession' ? view() : openView())
    expect(nameOf(take(snapshot, event))).toBe(leads)
    let now = snapshot
    for (let taken = 0; taken < bound; taken += 1) now = world.drive(take(now, event), from)
    if (code !== null) expectFailure(take(now, event), code)
  })

  it.each([
    ['RATE_LIMITED', 'rate_limited'],
    ['SERVER_FAILED', 'server_failed'],
  ] as const)('obeys a bound that the policy names by the event %s or by the code %s', (type, code) => {
    const limited: PaymentFlowEvent =
      type === 'RATE_LIMITED' ? { type, ...answered() } : { type, mayHaveRun: false, ...answered() }
    for (const name of [type, code]) expectFailure(take(begin({ bounds: { [name]: 0 } }), limited), code)
  })

  it('asks the chain about an undecided operation, waiting as long as the effect says', () => {
    const { world, snapshot } = reach('paying')
    const reconciling = take(snapshot, rejection('verification-failed'))
    const waiting = take(reconciling, { type: 'OPERATION_UNDECIDED', waitMs: 1234 })
    expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 1234])
    expect(nameOf(take(waiting, { type: 'WAITED' }))).toBe('authorizing.reconcilingSession')
    expect(nameOf(world.drive(waiting, 'authorizing.signingVoucher'))).toBe('authorizing.signingVoucher')
  })

  it('plans again when somebody else changed the channel, and gives up after many times', () => {
    const { snapshot } = reach('authorizing.signingVoucher', {}, openView({ signed: '0' }))
    const changed: PaymentFlowEvent = { type: 'SESSION_CHANGED', session: openView({ signed: '0' }) }
    let now = snapshot
    for (let times = 0; times < 64; times += 1) now = take(now, changed)
    expect(nameOf(now)).toBe('authorizing.signingVoucher')
    expectFailure(take(now, changed), 'session_unavailable')
  })

  const left = (event: PaymentFlowEvent['type'] & ('RATE_LIMITED' | 'SERVER_FAILED')): PaymentFlowEvent =>
    event === 'RATE_LIMITED'
      ? { type: event, ...answered({ status: 429, cumulative: ONE }) }
      : { type: event, mayHaveRun: false, ...answered({ status: 503, cumulative: ONE }) }

  it.each(['RATE_LIMITED', 'SERVER_FAILED'] as const)(
    '%s on the paid send is followed by the same credential only',
    (type) => {
      const forbidden = reach('paying', { limits: { ...LIMITS, resendPaid: false } }).snapshot
      const unknown = expectFailure(take(forbidden, left(type)), 'outcome_unknown')
      expect(unknown).toMatchObject({ mayHaveBeenCharged: true, retryable: false })
      const waiting = take(reach('paying').snapshot, left(type))
      expect(nameOf(take(waiting, { type: 'WAITED' }))).toBe('resending')
      expect(expectFailure(take(waiting, { type: 'CANCEL' }), 'cancelled')).toMatchObject({ mayHaveBeenCharged: true })
    },
  )

  it.each([...MPP_CODES, ...PROBLEM_TYPES])(
    'a credential that was sent again and refused with %s may have been charged',
    (code) => {
      const waiting = take(reach('paying').snapshot, left('RATE_LIMITED'))
      const refused = take(
        take(waiting, { type: 'WAITED' }),
        rejection(code, { cumulative: ONE, challengesOffered: 2 }),
      )
      expect(expectFailure(refused, 'outcome_unknown')).toMatchObject({
        mayHaveBeenCharged: true,
        cause: 'rate_limited',
        detail: `sent again, the credential was refused with ${code}`,
      })
    },
  )

  it('says that a request may have been charged when its paid send was cut short, and not before', () => {
    const unsent = expectFailure(take(reach('authorizing.acquiringSession').snapshot, { type: 'CANCEL' }), 'cancelled')
    expect(unsent?.mayHaveBeenCharged).toBe(false)
    const sent = expectFailure(take(reach('paying').snapshot, { type: 'CANCEL' }), 'cancelled')
    expect(sent).toMatchObject({ mayHaveBeenCharged: true, retryable: false })
    expect(sent?.advice).toMatch(/before repeating/)
  })

  it('waits as long as the server asks, up to a cap, and doubles its own waits', () => {
    const { snapshot } = reach('requesting')
    const waitFor = (retryAfterMs: number | null) =>
      take(snapshot, { type: 'RATE_LIMITED', ...answered({ status: 429, retryAfterMs }) }).context.backoffMs
    expect([waitFor(2500), waitFor(3_600_000), waitFor(null)]).toEqual([2500, 30_000, 250])
    const { world, snapshot: paying } = reach('paying')
    const waits: number[] = []
    let now = paying
    for (let taken = 0; taken < 3; taken += 1) {
      const waiting = take(now, world.rejection('mpp_reservation_failed'))
      waits.push(waiting.context.backoffMs)
      now = world.drive(waiting, 'paying')
    }
    expect(waits).toEqual([250, 500, 1000])
  })

  it('tops up when the deposit is too low before anything is sent', () => {
    const { snapshot } = reach('paying')
    const low = take(snapshot, { type: 'DEPOSIT_TOO_LOW', session: openView({ deposit: '500000' }) })
    expect(nameOf(low)).toBe('authorizing.toppingUp')
  })

  it('refuses a plan that crosses a limit, and names the limit', () => {
    const { snapshot } = reach('authorizing.acquiringSession', { limits: { ...LIMITS, maxDeposit: '999999' } })
    const refused = take(snapshot, { type: 'SESSION_ACQUIRED', session: view() })
    expect(expectFailure(refused, 'limit_exceeded')).toMatchObject({ limit: 'maxDeposit', retryable: false })
    const forced = openView({ status: 'closeRequested' })
    const asked = take(snapshot, { type: 'SESSION_ACQUIRED', session: forced })
    expect(nameOf(asked)).toBe('authorizing.reconcilingSession')
    const closing = take(asked, { type: 'SESSION_RECONCILED', session: forced })
    expect(expectFailure(closing, 'session_unavailable')?.detail).toMatch(/forced close/)
  })

  it('says which rejection it was recovering from when something else ends it', () => {
    const { world, snapshot } = reach('paying')
    const signing = world.drive(
      take(snapshot, rejection('mpp_voucher_bucket_refresh_required', { cumulative: ONE })),
      'authorizing.signingVoucher',
    )
    const failure = expectFailure(take(signing, { type: 'SIGNING_FAILED', reason: 'r' }), 'signing_failed')
    expect(failure?.cause).toBe('mpp_voucher_bucket_refresh_required')
  })
})

describe('a refusal on a channel that others use too', () => {
  const contended = { cumulative: ONE, contended: true }

  it('is not held against the flow', () => {
    const { world, snapshot } = reach('paying')
    let now = snapshot
    for (let times = 0; times < 8; times += 1) {
      now = take(now, world.rejection('mpp_request_exceeds_voucher_bucket', contended))
      expect(nameOf(now)).toBe('parsingChallenge')
      now = world.drive(now, 'paying')
    }
    expect(now.context.counts).not.toHaveProperty('mpp_request_exceeds_voucher_bucket')
    const alone = take(now, world.rejection('mpp_request_exceeds_voucher_bucket'))
    expectFailure(
      take(world.drive(alone, 'paying'), world.rejection('mpp_request_exceeds_voucher_bucket')),
      'mpp_request_exceeds_voucher_bucket',
    )
  })

  it('is bounded all the same', () => {
    const { world, snapshot } = reach('paying', { bounds: { CONTENTION: 2 } })
    let now = snapshot
    for (let times = 0; times < 2; times += 1) {
      now = world.drive(take(now, world.rejection('mpp_voucher_bucket_refresh_required', contended)), 'paying')
    }
    expectFailure(
      take(now, world.rejection('mpp_voucher_bucket_refresh_required', contended)),
      'mpp_voucher_bucket_refresh_required',
    )
  })
})

describe('a rejection of the unpaid send', () => {
  it.each(CODES)('%s never asks the chain about a channel that no challenge has named', (code) => {
    for (const challengesOffered of [0, 1]) {
      const answered = take(begin(), rejection(code, { challengesOffered }))
      expect(nameOf(answered)).not.toMatch(/^authorizing/)
      if (nameOf(answered) === 'failed') expectFailure(answered, code)
    }
  })

  const ABOUT_THE_REQUEST: readonly Code[] = [
    'mpp_request_quote_invalid',
    'mpp_payer_not_allowed',
    'mpp_reservation_failed',
    'mpp_commit_failed',
    'mpp_session_close_unavailable',
    'mpp_session_close_failed',
    'mpp_streaming_unavailable',
    'internal-payment-error',
  ]

  it.each(ABOUT_THE_REQUEST)('%s is no challenge, also with one beside it', (code) => {
    expect(nameOf(take(begin(), rejection(code)))).toBe(PAYING[code].offered)
  })

  it.each(CODES.filter((code) => !ABOUT_THE_REQUEST.includes(code)))(
    '%s is the challenge, and no cause of anything',
    (code) => {
      const { world, snapshot } = reach('authorizing.acquiringSession')
      expect(snapshot.context.rejectedBy).toBeNull()
      const asked = take(begin(), rejection(code))
      expect(nameOf(asked)).toBe('parsingChallenge')
      const opening = world.drive(asked, 'authorizing.acquiringSession')
      const failure = expectFailure(take(opening, { type: 'SIGNING_FAILED', reason: 'r' }), 'signing_failed')
      expect(failure?.cause).toBeNull()
    },
  )
})

describe('a code that nobody knows', () => {
  const unknown = (more: Parameters<typeof facts>[0]): PaymentFlowEvent => ({
    type: 'PAYMENT_REJECTED',
    code: 'unheard_of',
    ...facts(more),
  })

  it('beside a challenge, on an unpaid 402, is the challenge and no cause of anything', () => {
    const asked = take(begin(), unknown({ status: 402 }))
    expect(nameOf(asked)).toBe('parsingChallenge')
    expect(asked.context.rejectedBy).toBeNull()
  })

  it.each([
    ['another status', { status: 400 }],
    ['no challenge', { status: 402, challengesOffered: 0 }],
  ])('with %s ends an unpaid flow', (_, more) => {
    expectFailure(take(begin(), unknown(more)), 'payment_rejected')
  })

  it('beside a challenge, ends a flow that has paid', () => {
    expectFailure(take(reach('paying').snapshot, unknown({ status: 402 })), 'payment_rejected')
  })
})

describe('a refusal that says when to come back', () => {
  const later = (retryAfterMs: number | null) => ({ retryAfterMs, challengesOffered: 1 })
  const accepted: PaymentFlowEvent = { type: 'CHALLENGE_ACCEPTED', challenge: challenge() }

  it('is waited for once its challenge is accepted, capped; then the challenge is read again', () => {
    for (const [asked, waited] of [
      [5000, 5000],
      [3_600_000, 30_000],
    ] as const) {
      const parsing = take(begin(), { type: 'CHALLENGE_RECEIVED', ...facts(later(asked)) })
      const waiting = take(parsing, accepted)
      expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', waited])
      const again = take(waiting, { type: 'WAITED' })
      expect(nameOf(again)).toBe('parsingChallenge')
      expect(nameOf(take(again, accepted))).toBe('authorizing.acquiringSession')
      expect(nameOf(take(again, { type: 'CHALLENGE_EXPIRED' }))).toBe('requesting')
      expect(nameOf(take(again, { type: 'CHALLENGE_REJECTED', reason: 'r' }))).toBe('failed')
      expectFailure(take(waiting, { type: 'CANCEL' }), 'cancelled')
    }
  })

  it('is not waited for when it says at once, or nothing, or its challenge is refused', () => {
    for (const asked of [0, null]) {
      const parsing = take(begin(), { type: 'CHALLENGE_RECEIVED', ...facts(later(asked)) })
      expect(nameOf(take(parsing, accepted))).toBe('authorizing.acquiringSession')
    }
    const parsing = take(begin(), { type: 'CHALLENGE_RECEIVED', ...facts(later(5000)) })
    expect(nameOf(take(parsing, { type: 'POLICY_DENIED', reason: 'r' }))).toBe('failed')
  })

  it('after a paid send is waited for before the next one, also after the chain was asked', () => {
    for (const code of ['mpp_invalid_challenge', 'verification-failed'] as const) {
      const { world, snapshot } = reach('paying')
      const refused = take(snapshot, rejection(code, later(5000)))
      const parsing = world.drive(refused, 'parsingChallenge')
      const waiting = take(parsing, accepted)
      expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 5000])
    }
  })

  it('without a challenge, is waited for before the request is sent anew, and once', () => {
    const bare = { retryAfterMs: 5000, challengesOffered: 0 }
    for (const code of ['mpp_invalid_challenge', 'payment-insufficient', 'session/amount-exceeds-deposit'] as const) {
      const { world, snapshot } = reach('paying')
      const waiting = take(snapshot, rejection(code, bare))
      expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 5000])
      const asking = take(waiting, { type: 'WAITED' })
      expect(nameOf(asking)).toBe('requesting')
      expect(nameOf(take(world.drive(asking, 'parsingChallenge'), accepted))).toBe('authorizing.acquiringSession')
    }
  })

  it('without a challenge, is waited for after the chain was asked, before the request is sent anew', () => {
    const bare = { retryAfterMs: 5000, challengesOffered: 0 }
    const { world, snapshot } = reach('paying')
    const disputing = take(snapshot, rejection('verification-failed', bare))
    const { session } = disputing.context
    if (session === null) throw new Error('there is no session')
    const waiting = take(disputing, { type: 'SESSION_RECONCILED', session })
    expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 5000])
    expect(nameOf(world.drive(waiting, 'requesting'))).toBe('requesting')
  })

  it('with a challenge that has run out, or is for other bytes, is waited for before another one is asked for', () => {
    for (const type of ['CHALLENGE_EXPIRED', 'DIGEST_MISMATCH'] as const) {
      const { snapshot } = reach('paying')
      const parsing = take(snapshot, rejection('mpp_invalid_challenge', later(5000)))
      const waiting = take(parsing, { type })
      expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 5000])
      expect(nameOf(take(waiting, { type: 'WAITED' }))).toBe('requesting')
    }
  })

  it('is waited for a few times; then the flow fails by name rather than come back too early', () => {
    const { world, snapshot } = reach('paying', { bounds: { payment_required: 9 } })
    let now = snapshot
    for (let waits = 0; waits < 4; waits += 1) {
      now = world.drive(take(now, rejection('payment_required', later(1000))), 'paying')
    }
    const parsing = take(now, rejection('payment_required', later(1000)))
    expectFailure(take(parsing, accepted), 'rate_limited')
  })

  it('is waited for once, where the code itself backs off', () => {
    const { world, snapshot } = reach('paying')
    const waiting = take(snapshot, rejection('mpp_reservation_failed', later(5000)))
    expect([nameOf(waiting), waiting.context.backoffMs]).toEqual(['backingOff', 5000])
    const parsing = world.drive(waiting, 'parsingChallenge')
    expect(nameOf(take(parsing, accepted))).toBe('authorizing.acquiringSession')
  })
})

describe('accounts of what was signed', () => {
  const LIMITED = { limits: { ...LIMITS, approval: true } }

  it('asks again for every deposit, also for one that is no larger than the last', () => {
    const { world, snapshot } = reach('paying', LIMITED, view())
    expect(snapshot.context.authorised.deposit).toBe('5000000')
    const open = world.drive(take(snapshot, world.rejection('mpp_invalid_challenge')), 'paying')
    expect(open.context.session).toMatchObject({ status: 'open', deposit: '5000000' })
    const refused = take(open, world.rejection('mpp_session_deposit_below_request_cost'))
    // Another five are wanted now, which nobody was asked about.
    const planned = take(world.drive(refused, 'authorizing.acquiringSession'), {
      type: 'SESSION_ACQUIRED',
      session: world.session,
    })
    expect(planned.context.plan).toEqual({
      kind: 'topUp',
      cumulative: ONE,
      additionalDeposit: '5000000',
    })
    expect(nameOf(planned)).toBe('authorizing.awaitingApproval')
  })

  it.each([
    ['another channel', { channelKey: 'another' }, 'authorizing.awaitingApproval'],
    ['a fee that the payer pays', { feePayer: false }, 'authorizing.awaitingApproval'],
    ['the same', { feePayer: true }, 'authorizing.toppingUp'],
  ])('what was approved is not taken for an approval of what a later challenge asks for: %s', (_name, later, leads) => {
    const sponsored = challenge({ feePayer: true })
    const asked = take(
      begin(LIMITED),
      { type: 'CHALLENGE_RECEIVED', ...facts() },
      { type: 'CHALLENGE_ACCEPTED', challenge: sponsored },
      { type: 'SESSION_ACQUIRED', session: SHORT },
    )
    expect(nameOf(asked)).toBe('authorizing.awaitingApproval')
    // The challenge runs out while the person thinks about it.
    const anew = take(
      asked,
      { type: 'APPROVE' },
      { type: 'CHALLENGE_EXPIRED' },
      { type: 'CHALLENGE_RECEIVED', ...facts() },
      { type: 'CHALLENGE_ACCEPTED', challenge: { ...sponsored, ...later } },
      { type: 'SESSION_ACQUIRED', session: SHORT },
    )
    expect(nameOf(anew)).toBe(leads)
  })

  it('a transaction that may cost too much ends the flow by the name of its limit, and may be tried again', () => {
    const reason = 'maxFee: a transaction that may cost 2245.00 pathUSD, 0.25 allowed'
    for (const [limits, state] of [
      [LIMITED, 'authorizing.awaitingApproval'],
      [{}, 'authorizing.openingSession'],
    ] as const) {
      const { snapshot } = reach(state, limits, view())
      const { output } = take(snapshot, { type: 'FEE_TOO_HIGH', reason })
      expect(output?.failure).toMatchObject({
        code: 'limit_exceeded',
        limit: 'maxFee',
        retryable: true,
        detail: reason,
        authorised: { deposit: '0', feeAtMost: '0' },
      })
      expect(output?.failure?.advice).toContain('raise maxFee')
    }
  })

  it('counts what transactions may cost, one by one', () => {
    const { snapshot } = reach('paying', {}, view())
    expect(snapshot.context.authorised.feeAtMost).toBe('20000')
    const { snapshot: added } = reach('authorizing.toppingUp', {}, SHORT)
    const signed = { type: 'TOP_UP_SIGNED', session: openView(), additionalDeposit: '1', feeAtMost: '7' } as const
    expect(take(added, signed, signed).context.authorised.feeAtMost).toBe('14')
  })

  it('counts a top-up once that is sent twice', () => {
    const { snapshot } = reach('authorizing.toppingUp', {}, SHORT)
    const pending = { status: 'toppingUp', pending: 'topUp', pendingAmount: '5000000' } as const
    const resent = take(
      snapshot,
      { type: 'TOP_UP_SIGNED', session: openView(), additionalDeposit: '5000000', feeAtMost: '20000' },
      { type: 'TOP_UP_UNCONFIRMED' },
      { type: 'SESSION_RECONCILED', session: { ...SHORT, ...pending } },
    )
    expect(nameOf(resent)).toBe('authorizing.toppingUp')
    const done = take(resent, { type: 'TOPPED_UP', session: { ...SHORT, deposit: '5500000' } })
    expect(done.context.authorised.deposit).toBe('5000000')
  })

  it('counts a top-up that was signed and sent, whatever the gateway made of it', () => {
    const { snapshot } = reach('authorizing.toppingUp', {}, SHORT)
    const signed = take(snapshot, {
      type: 'TOP_UP_SIGNED',
      session: openView(),
      additionalDeposit: '5000000',
      feeAtMost: '20000',
    })
    expect(nameOf(signed)).toBe('authorizing.toppingUp')
    const rejected = take(signed, { type: 'PAYMENT_REJECTED', code: 'unheard_of', ...facts({ status: 400 }) })
    expect(expectFailure(rejected, 'payment_rejected')?.authorised.deposit).toBe('5000000')
  })

  it('asks nobody to approve again what was signed before', () => {
    const { snapshot } = reach(
      'authorizing.reconcilingSession',
      LIMITED,
      openView({
        status: 'opening',
        deposit: '0',
        pending: 'open',
        pendingAmount: '5000000',
      }),
    )
    const session = openView({ status: 'opening', deposit: '0', pending: 'open', pendingAmount: '5000000' })
    const resumed = take(snapshot, { type: 'SESSION_RECONCILED', session })
    expect(nameOf(resumed)).toBe('authorizing.openingSession')
  })

  it.each([
    ['open', openView({ status: 'opening', deposit: '0', pending: 'open', pendingAmount: '6000000' }), '6.00'],
    [
      'top-up',
      openView({ status: 'toppingUp', deposit: '500000', pending: 'topUp', pendingAmount: '5000000' }),
      '5.50',
    ],
  ] as const)('does not send a signed %s again that moves more than this policy allows', (_, found, wanted) => {
    const narrow = { limits: { ...LIMITS, maxDeposit: '5000000' } }
    const session = { ...found, signed: '0' }
    const { snapshot } = reach('authorizing.reconcilingSession', narrow, session)
    const failure = expectFailure(take(snapshot, { type: 'SESSION_RECONCILED', session }), 'limit_exceeded')
    expect(failure).toMatchObject({
      limit: 'maxDeposit',
      detail: `maxDeposit: ${wanted} pathUSD wanted, 5.00 allowed`,
    })
  })

  it('counts a paid send whose answer never came', () => {
    const { snapshot } = reach('paying')
    for (const [event, code] of [
      [{ type: 'OUTCOME_UNKNOWN', reason: 'r' }, 'outcome_unknown'],
      [{ type: 'CANCEL' }, 'cancelled'],
    ] as const) {
      expect(expectFailure(take(snapshot, event), code)?.authorised).toMatchObject({ paidSends: 1, cumulative: ONE })
    }
  })
})
