// Properties of `plan`: whatever a server asks for, and whatever the ledger holds, the plan stays within the caller's limits.
// Must never repeat how a plan is made: it says only what must be true of one.

import fc, { type Arbitrary } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  add,
  type ChallengeSummary,
  type Demand,
  defaultStrategy,
  exceeds,
  type FlowLimits,
  max,
  min,
  type Plan,
  type PlanningInput,
  plan,
  type SessionStatus,
  type SessionView,
  type Strategy,
  subtract,
} from '../../machines/index.js'
import { cases } from '../extent.js'
import { CHANNEL, challenge as exampleChallenge, LIMITS, ONE, openView, view } from './payment-flow.world.js'

const RUNS = cases(10_000)
const UINT96 = 2n ** 96n - 1n

const small = fc.integer({ min: 0, max: 12 }).map(String)
const amount = fc.oneof(
  { weight: 5, arbitrary: small },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: UINT96 / 8n }).map(String) },
)
const positive = amount.map((value) => max(value, '1'))
const maybe = <T>(arbitrary: Arbitrary<T>) => fc.option(arbitrary, { nil: null })

const limits: Arbitrary<FlowLimits> = fc.record({
  maxDeposit: amount,
  maxCumulative: maybe(amount),
  maxExposure: amount,
  maxTotalDeposit: maybe(amount),
  approval: fc.boolean(),
  retryCommitFailed: fc.constant(false),
  resendPaid: fc.constant(true),
})

const challenge: Arbitrary<ChallengeSummary> = fc
  .record({
    amount: positive,
    unitType: maybe(fc.constantFrom('request', 'token')),
    suggestedDeposit: maybe(amount),
    minVoucherDelta: fc.oneof(fc.constant('0'), amount),
    snapshot: maybe(
      fc.record({ channelId: fc.constantFrom(CHANNEL, `0x${'c2'.repeat(32)}`), requiredCumulative: amount }),
    ),
  })
  .map(exampleChallenge)

/** The part of `whole` that a number from 0 to 4 quarters says. */
const share = (whole: string, quarters: number): string => ((BigInt(whole) * BigInt(quarters)) / 4n).toString()
const quarters = fc.integer({ min: 0, max: 4 })

const PENDING: Readonly<Partial<Record<SessionStatus, SessionView['pending']>>> = {
  opening: 'open',
  toppingUp: 'topUp',
  closing: 'close',
}

/** A view as the ledger can give it: spent ≤ accepted ≤ signed ≤ deposit, and what is pending fits the status. */
function sessionOf(status: Arbitrary<SessionStatus>): Arbitrary<SessionView> {
  return fc
    .record({
      status,
      whole: amount,
      signed: quarters,
      accepted: quarters,
      spent: quarters,
      reserved: amount,
      waiting: fc.constantFrom(0, 0, 0, 1),
      depositedElsewhere: amount,
      pendingAmount: positive,
    })
    .map(({ status, whole, signed, accepted, spent, pendingAmount, ...rest }) => {
      const pending = PENDING[status] ?? null
      const highest = status === 'absent' ? '0' : share(whole, signed)
      const acknowledged = share(highest, accepted)
      return view({
        ...rest,
        status,
        channelId: status === 'absent' ? null : CHANNEL,
        deposit: status === 'absent' || status === 'opening' ? '0' : whole,
        signed: highest,
        accepted: acknowledged,
        spent: share(acknowledged, spent),
        pending,
        pendingAmount: status === 'opening' ? max(whole, '1') : pending === 'topUp' ? pendingAmount : '0',
      })
    })
}

const ANY_STATUS = fc.constantFrom<SessionStatus>(
  'absent',
  'opening',
  'open',
  'open',
  'open',
  'toppingUp',
  'closing',
  'closed',
  'closeRequested',
  'withdrawable',
  'withdrawn',
  'lost',
)
const USABLE = fc.constantFrom<SessionStatus>('open', 'toppingUp')
const ENDED = fc.constantFrom<SessionStatus>('absent', 'closed', 'withdrawn', 'lost')
const LIVE: ReadonlySet<SessionStatus> = new Set(['opening', 'open', 'toppingUp', 'closing'])

const demand: Arbitrary<Demand> = fc.record({
  kind: fc.constantFrom('voucher', 'deposit', 'signature'),
  channelId: fc.constantFrom(null, CHANNEL, CHANNEL),
  above: amount,
  depositAbove: amount,
  step: maybe(amount),
  contentions: fc.constantFrom(0, 0, 0, 1, 2, 3),
})

function inputs(status = ANY_STATUS): Arbitrary<PlanningInput> {
  return fc.record({
    challenge,
    session: sessionOf(status),
    limits,
    demand: maybe(demand),
    reconciled: fc.boolean(),
    turn: fc.constantFrom('none', 'immediate', 'capacity', 'drained'),
  })
}

const ANY = inputs()
const WITH_USABLE = inputs(USABLE)
const WITH_OPEN = inputs(fc.constant('open'))
const WITH_ENDED = inputs(ENDED)

/** Limits that are never in the way. */
const generous = (input: PlanningInput): PlanningInput => ({
  ...input,
  limits: {
    ...input.limits,
    maxDeposit: UINT96.toString(),
    maxExposure: UINT96.toString(),
    maxCumulative: null,
    maxTotalDeposit: null,
  },
})

const seed = Date.now() % 2 ** 31
const samples = new Map<Arbitrary<unknown>, readonly unknown[]>()

/** The same draws for every property of an arbitrary: drawing them is what takes the time. */
function draws<T>(arbitrary: Arbitrary<T>): readonly T[] {
  const known = samples.get(arbitrary)
  // A cast: what is kept under an arbitrary was drawn from it.
  if (known !== undefined) return known as readonly T[]
  const fresh = fc.sample(arbitrary, { numRuns: RUNS, seed })
  samples.set(arbitrary, fresh)
  return fresh
}

/** Holds a property against every draw; one that fails is looked for again, to be shrunk. */
function check<T>(arbitrary: Arbitrary<T>, property: (value: T) => void) {
  try {
    for (const value of draws(arbitrary)) unlessExcluded(() => property(value))
  } catch {
    const holds = fc.property(arbitrary, (value) => {
      property(value)
    })
    fc.assert(holds, { numRuns: RUNS, seed, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true })
    throw new Error(`fails with seed ${seed}, but not when it is looked for again`)
  }
}

function unlessExcluded(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!fc.PreconditionFailure.isFailure(error)) throw error
  }
}

const within = (value: string, limit: string | null) =>
  expect(limit !== null && exceeds(value, limit), `${value} ≤ ${limit}`).toBe(false)

function expectVoucherWithinLimits({ session, limits }: PlanningInput, cumulative: string) {
  within(cumulative, limits.maxCumulative)
  within(subtract(cumulative, LIVE.has(session.status) ? session.spent : '0'), limits.maxExposure)
}

function expectDepositWithinLimits({ session, limits }: PlanningInput, deposit: string) {
  within(deposit, limits.maxDeposit)
  if (limits.maxTotalDeposit !== null) within(add(deposit, session.depositedElsewhere), limits.maxTotalDeposit)
}

/** What must be true of any plan, whatever it was made from. */
function expectWithinLimits(input: PlanningInput, made: Plan) {
  const { session } = input
  if (made.kind === 'reuse') expect(made.cumulative).toBe(session.signed)
  if (made.kind === 'sign') {
    within(made.cumulative, session.status === 'opening' ? session.pendingAmount : session.deposit)
    expect(exceeds(session.signed, made.cumulative)).toBe(false)
    // Signing the same amount again exposes nothing more.
    if (made.cumulative !== session.signed) expectVoucherWithinLimits(input, made.cumulative)
  }
  // What was signed before is sent again: nothing new is signed, and no more is moved than this policy allows.
  if (made.kind === 'topUp' && made.resumes) {
    expect(session.status).toBe('toppingUp')
    expect(made.additionalDeposit).toBe(session.pendingAmount)
    expectDepositWithinLimits(input, add(session.deposit, made.additionalDeposit))
  } else if (made.kind === 'topUp') {
    const deposit = add(session.deposit, made.additionalDeposit)
    expect(exceeds(made.additionalDeposit, '0')).toBe(true)
    within(made.cumulative, deposit)
    expectDepositWithinLimits(input, deposit)
    if (made.cumulative !== session.signed) expectVoucherWithinLimits(input, made.cumulative)
  }
  if (made.kind === 'open') expectDepositWithinLimits(input, made.deposit)
  if (made.kind === 'open' && session.status !== 'opening') {
    within(made.cumulative, made.deposit)
    expectVoucherWithinLimits(input, made.cumulative)
  }
  if (made.kind === 'refuse') expect(exceeds(made.wanted, made.allowed)).toBe(true)
}

describe('limits', () => {
  it('are never crossed, whatever the challenge, the ledger and the server’s answers say', () => {
    check(ANY, (input) => expectWithinLimits(input, plan(input)))
  })

  it('hold for a strategy of the caller’s own, whatever it asks for', () => {
    check(fc.tuple(ANY, positive), ([input, asked]) => {
      const strategy: Strategy = () => asked
      expectWithinLimits(input, plan(input, strategy))
    })
  })

  it('are named truly when they stop a plan', () => {
    check(ANY, (input) => {
      const made = plan(input)
      if (made.kind !== 'refuse') return
      const { maxTotalDeposit } = input.limits
      const room = maxTotalDeposit === null ? null : subtract(maxTotalDeposit, input.session.depositedElsewhere)
      expect(made.allowed).toBe(made.limit === 'maxTotalDeposit' ? room : input.limits[made.limit])
    })
  })

  it('never stop a plan when they are never in the way', () => {
    check(ANY, (input) => expect(plan(generous(input)).kind).not.toBe('refuse'))
  })
})

describe('opening', () => {
  it('is planned for a live channel only to send the same open again', () => {
    check(ANY, (input) => {
      const made = plan(input)
      if (made.kind !== 'open' || !LIVE.has(input.session.status)) return
      expect(input.session.status).toBe('opening')
      expect(input.reconciled).toBe(true)
      expect(made).toEqual({
        kind: 'open',
        cumulative: input.session.signed,
        deposit: input.session.pendingAmount,
        resumes: true,
      })
    })
  })

  it('asks for what is required, or what is suggested as far as the limits go', () => {
    check(WITH_ENDED, (input) => {
      const { challenge, limits, session } = input
      const made = plan(input)
      if (made.kind !== 'open') return
      expect(exceeds(made.cumulative, '0')).toBe(true)
      expect(exceeds(defaultStrategy(input), made.cumulative)).toBe(false)
      expect(exceeds(challenge.minVoucherDelta, made.cumulative)).toBe(false)
      const room =
        limits.maxTotalDeposit === null
          ? limits.maxDeposit
          : subtract(limits.maxTotalDeposit, session.depositedElsewhere)
      const cap = min(limits.maxDeposit, room)
      expect(made.deposit).toBe(max(made.cumulative, min(challenge.suggestedDeposit ?? made.cumulative, cap)))
    })
  })

  it('is always possible where there is no channel and no limit', () => {
    check(WITH_ENDED, (input) => expect(plan(generous(input)).kind).toBe('open'))
  })

  it('of the next channel owes nothing to a refusal on the last', () => {
    check(WITH_ENDED, (input) => {
      fc.pre(input.session.status !== 'absent')
      expect(plan(input)).toEqual(plan({ ...input, demand: null }))
    })
  })
})

describe('what the wallet can pay', () => {
  const funded = (input: PlanningInput, spendable: string | null): PlanningInput => ({
    ...input,
    session: { ...input.session, spendable },
  })
  const moved = (made: Plan): string =>
    made.kind === 'open' ? made.deposit : made.kind === 'topUp' ? made.additionalDeposit : '0'

  it('is never passed by a deposit that is not signed yet, and lowers nothing but deposits', () => {
    fc.assert(
      fc.property(ANY, amount, (input, spendable) => {
        const rich = plan(funded(input, null))
        const made = plan(funded(input, spendable))
        const resumed = 'resumes' in made && made.resumes === true
        if (!resumed) expect(exceeds(moved(made), spendable)).toBe(false)
        expect(exceeds(moved(made), moved(rich))).toBe(false)
        if (moved(rich) === '0' || !exceeds(moved(rich), spendable)) expect(made).toEqual(rich)
        // Less is moved, or nothing; what is authorised by the voucher stays.
        if (made.kind !== 'unfunded') expect({ ...made, ...AMOUNTS }).toEqual({ ...rich, ...AMOUNTS })
        else expect(exceeds(made.needed, made.spendable)).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })
})

/** What may differ. */
const AMOUNTS = { deposit: null, additionalDeposit: null }

describe('a pending operation', () => {
  it('is asked about before anything new is signed, and once only', () => {
    check(inputs(fc.constantFrom<SessionStatus>('opening', 'closing')), (input) => {
      expect(plan({ ...input, reconciled: false })).toEqual({ kind: 'reconcile' })
      expect(plan({ ...input, reconciled: true }).kind).not.toBe('reconcile')
    })
  })

  it('never makes a plan ask the chain again that was just asked', () => {
    check(ANY, (input) => expect(plan({ ...input, reconciled: true }).kind).not.toBe('reconcile'))
  })

  it('of a top-up never lets another be signed before the chain was asked', () => {
    check(inputs(fc.constant('toppingUp')), (input) => {
      expect(plan({ ...input, reconciled: false }).kind).not.toBe('topUp')
    })
  })

  it('of a forced close stops everything that the chain does not say is over', () => {
    check(inputs(fc.constantFrom<SessionStatus>('closeRequested', 'withdrawable')), (input) => {
      expect(plan(input).kind).toBe(input.reconciled ? 'unavailable' : 'reconcile')
    })
  })
})

describe('an open channel', () => {
  it('reuses its voucher while that is enough', () => {
    check(WITH_USABLE, (drawn) => {
      const input: PlanningInput = { ...drawn, demand: null, turn: drawn.turn === 'none' ? 'immediate' : drawn.turn }
      fc.pre(exceeds(input.session.signed, '0') && !exceeds(defaultStrategy(input), input.session.signed))
      expect(plan(input)).toEqual({ kind: 'reuse', cumulative: input.session.signed })
    })
  })

  it('never sends a voucher that was never signed', () => {
    check(WITH_USABLE, (input) => {
      const made = plan(input)
      if (made.kind === 'reuse') expect(exceeds(made.cumulative, '0')).toBe(true)
    })
  })

  it('goes beyond a refused voucher, unless somebody has signed more since', () => {
    check(WITH_USABLE, (drawn) => {
      fc.pre(drawn.demand !== null)
      const input: PlanningInput = { ...drawn, demand: drawn.demand && { ...drawn.demand, kind: 'voucher' } }
      const { session, turn } = input
      const above = input.demand?.above ?? '0'
      const made = plan(input)
      const cumulative = 'cumulative' in made ? made.cumulative : null
      if (cumulative === null) return
      // Requests that were outstanding have come back: the voucher in hand may have room again.
      if (made.kind === 'reuse' && turn === 'drained' && exceeds(session.signed, session.spent)) return
      expect(exceeds(cumulative, above)).toBe(true)
    })
  })

  it('grows its voucher by what the server asks for at least', () => {
    check(ANY, (input) => {
      const made = plan(input)
      if (made.kind !== 'sign' && made.kind !== 'topUp') return
      const { signed, status } = input.session
      // The first voucher of a channel that is being opened was not accepted yet: there is nothing to grow from.
      if (made.cumulative === signed || status === 'opening') return
      expect(exceeds(add(signed, input.challenge.minVoucherDelta), made.cumulative)).toBe(false)
    })
  })

  it('signs the same amount again when the signature was refused', () => {
    check(WITH_OPEN, (drawn) => {
      const demand = { ...signatureDemand, above: drawn.session.signed }
      const input = generous({ ...drawn, demand, turn: 'immediate' })
      fc.pre(exceeds(input.session.signed, '0'))
      fc.pre(!exceeds(defaultStrategy(input), input.session.signed))
      expect(plan(input)).toEqual({ kind: 'sign', cumulative: input.session.signed })
    })
  })

  it('signs nothing above the deposit, not even anew', () => {
    check(WITH_OPEN, (drawn) => {
      const overdrawn = { ...drawn.session, deposit: subtract(drawn.session.signed, '1') }
      const demand = { ...signatureDemand, above: overdrawn.signed }
      const input = generous({ ...drawn, session: overdrawn, demand, turn: 'immediate' })
      fc.pre(exceeds(overdrawn.signed, '1'))
      expect(plan(input).kind).not.toBe('sign')
    })
  })

  it('asks nothing of a channel that was asked of the one before it', () => {
    check(WITH_OPEN, (input) => {
      const { demand } = input
      fc.pre(demand !== null)
      expect(plan({ ...input, demand: { ...demand, channelId: '0xbefore' } })).toEqual(plan({ ...input, demand: null }))
    })
  })

  it('tops up when its deposit was refused, unless somebody has topped up since', () => {
    check(WITH_OPEN, (drawn) => {
      const { deposit } = drawn.session
      const refused = { ...signatureDemand, kind: 'deposit' as const, depositAbove: deposit }
      const input = generous({ ...drawn, demand: refused, turn: 'immediate' })
      expect(plan(input).kind).toBe('topUp')
      const grown = { ...input, session: { ...input.session, deposit: add(deposit, '1') } }
      expect(plan(grown)).toEqual(plan({ ...grown, demand: null }))
    })
  })

  it('does not let everybody wait when its highest voucher is used up: who knows it goes on', () => {
    check(WITH_OPEN, (drawn) => {
      const { signed, deposit } = drawn.session
      const demand = { ...signatureDemand, kind: 'voucher' as const, above: signed, depositAbove: deposit }
      const input = generous({ ...drawn, demand, turn: 'none' })
      expect(plan(input).kind).not.toBe('awaitAcknowledgement')
    })
  })

  it('queues behind those who wait, and goes when it is its turn', () => {
    check(WITH_OPEN, (drawn) => {
      const input = { ...drawn, session: { ...drawn.session, waiting: 1 } }
      expect(plan({ ...input, demand: null, turn: 'none' })).toEqual({ kind: 'awaitAcknowledgement' })
      for (const turn of ['immediate', 'drained'] as const) {
        expect(plan({ ...input, turn }).kind).not.toBe('awaitAcknowledgement')
      }
    })
  })
})

const signatureDemand: Demand = {
  kind: 'signature',
  channelId: CHANNEL,
  above: '0',
  depositAbove: '0',
  step: null,
  contentions: 0,
}

/** The channel after a plan was carried out. */
function carriedOut(session: SessionView, made: Plan): SessionView {
  if (made.kind === 'sign') return { ...session, signed: made.cumulative }
  if (made.kind === 'topUp') {
    const deposit = add(session.deposit, made.additionalDeposit)
    return { ...session, status: 'open', deposit, pending: null, pendingAmount: '0' }
  }
  if (made.kind !== 'open') return session
  const { deposit, cumulative: signed } = made
  return {
    ...openView({ channelId: '0xnew', deposit, signed, accepted: '0' }),
    depositedElsewhere: session.depositedElsewhere,
  }
}

describe('planning again', () => {
  it('gives the same plan', () => {
    check(ANY, (input) => {
      const before = structuredClone(input)
      expect(plan(input)).toEqual(plan(structuredClone(input)))
      expect(input).toEqual(before)
    })
  })

  it('after the plan was carried out has nothing left to do but to send', () => {
    check(ANY, (drawn) => {
      const { demand, session } = drawn
      // A demand for a signature is settled by the machine; other demands are about what this channel had.
      fc.pre(demand?.kind !== 'signature')
      // What is under way was planned for something else: it may be too little, and more may be refused.
      fc.pre(session.status !== 'opening' && session.status !== 'toppingUp')
      fc.pre(
        demand === null || !(exceeds(demand.above, session.signed) || exceeds(demand.depositAbove, session.deposit)),
      )
      let input: PlanningInput = { ...drawn, turn: 'immediate', reconciled: true }
      let made = plan(input)
      for (let steps = 0; made.kind === 'open' || made.kind === 'topUp' || made.kind === 'sign'; steps += 1) {
        expect(steps).toBeLessThan(5)
        const opened = made.kind === 'open'
        input = { ...input, session: carriedOut(input.session, made), ...(opened && { demand: null }) }
        made = plan(input)
      }
      if (input.session !== session) expect(made.kind).toBe('reuse')
    })
  })
})

describe('buckets of 1 with a suggested deposit of 5', () => {
  const base: PlanningInput = {
    challenge: exampleChallenge(),
    session: view(),
    limits: { ...LIMITS, maxDeposit: '5000000', maxExposure: '2000000' },
    demand: null,
    reconciled: false,
    turn: 'none',
  }
  const refreshed: Demand = {
    kind: 'voucher',
    channelId: CHANNEL,
    above: ONE,
    depositAbove: '5000000',
    step: null,
    contentions: 0,
  }

  it('opens with the suggestion and signs one bucket', () => {
    expect(plan(base)).toEqual({ kind: 'open', cumulative: ONE, deposit: '5000000' })
  })

  it('opens with less where the caller allows less: the suggestion is a hint, not a minimum', () => {
    const limits = { ...base.limits, maxDeposit: '1500000' }
    expect(plan({ ...base, limits })).toEqual({ kind: 'open', cumulative: ONE, deposit: '1500000' })
    const tight = { ...base.limits, maxDeposit: '999999' }
    expect(plan({ ...base, limits: tight })).toEqual({
      kind: 'refuse',
      limit: 'maxDeposit',
      wanted: ONE,
      allowed: '999999',
    })
  })

  it('reuses the voucher turn after turn: the amount is a bucket, not a price', () => {
    for (const spent of ['0', '300', '999999', ONE]) {
      expect(plan({ ...base, session: openView({ spent }) })).toEqual({ kind: 'reuse', cumulative: ONE })
    }
  })

  it('signs the next bucket when the last one is used up', () => {
    const input = { ...base, session: openView({ spent: ONE }), demand: refreshed }
    expect(plan(input)).toEqual({ kind: 'sign', cumulative: '2000000' })
    const signed = openView({ spent: ONE, signed: '2000000' })
    expect(plan({ ...input, session: signed })).toEqual({ kind: 'reuse', cumulative: '2000000' })
  })

  it('tops up first when the next bucket passes the deposit', () => {
    const session = openView({ signed: '5000000', spent: '5000000' })
    const input = { ...base, session, demand: { ...refreshed, above: '5000000' } }
    expect(plan({ ...input, limits: { ...base.limits, maxDeposit: '20000000' } })).toEqual({
      kind: 'topUp',
      cumulative: '6000000',
      additionalDeposit: '5000000',
    })
    expect(plan(input)).toEqual({ kind: 'refuse', limit: 'maxDeposit', wanted: '6000000', allowed: '5000000' })
  })

  it('waits rather than expose more than the caller allows, then says which limit is in the way', () => {
    const session = openView({ signed: '2000000', spent: '500000' })
    const input = { ...base, session, demand: { ...refreshed, above: '2000000' } }
    expect(plan(input)).toEqual({ kind: 'awaitAcknowledgement' })
    expect(plan({ ...input, turn: 'immediate' })).toMatchObject({
      kind: 'refuse',
      limit: 'maxExposure',
      wanted: '2500000',
    })
    expect(plan({ ...input, turn: 'drained' })).toEqual({ kind: 'reuse', cumulative: '2000000' })
    const acknowledged = openView({ signed: '2000000', spent: ONE })
    expect(plan({ ...input, session: acknowledged })).toEqual({ kind: 'sign', cumulative: '3000000' })
  })

  it('grows although the server asks for nothing more', () => {
    const input = { ...base, session: openView({ spent: ONE }), demand: { ...refreshed, step: '0' } }
    expect(plan(input)).toEqual({ kind: 'sign', cumulative: '2000000' })
  })

  it('reserves what a request costs where each is priced', () => {
    const challenge = exampleChallenge({ unitType: 'request', amount: '100' })
    const session = openView({ signed: '300', spent: '200', reserved: '100' })
    expect(plan({ ...base, challenge, session })).toEqual({ kind: 'reuse', cumulative: '300' })
    const busy = openView({ signed: '300', spent: '200', reserved: '400' })
    expect(plan({ ...base, challenge, session: busy })).toEqual({ kind: 'sign', cumulative: '600' })
  })

  it('believes a snapshot of this channel only', () => {
    const of = (channelId: string) => exampleChallenge({ snapshot: { channelId, requiredCumulative: '1500000' } })
    const session = openView({ spent: ONE })
    expect(plan({ ...base, session, challenge: of(CHANNEL) })).toEqual({ kind: 'sign', cumulative: '1500000' })
    expect(plan({ ...base, session, challenge: of('0xother') })).toEqual({ kind: 'reuse', cumulative: ONE })
  })
})
