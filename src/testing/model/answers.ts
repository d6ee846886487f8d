// The answers that a gateway can give to a send, as event cases: every code, every problem type, every status.
// Must never leave out a variant that a guard of the machine looks at.

import {
  type AnswerFacts,
  MPP_CODES,
  type MppCode,
  type PaymentFlowEvent,
  PROBLEM_TYPES,
  type ProblemType,
  paymentFlowMachine,
} from '../../../machines/index.js'
import type { GatewayAnswer } from './causes.js'
import type { EventCase } from './event-case.js'
import { facts } from './payloads.js'

const PLAIN: GatewayAnswer = {
  carriedOut: false,
  status: 402,
  code: null,
  problem: null,
  challenges: 0,
  challenge: 'usable',
  shortLived: false,
  receipt: 'none',
  retryAfter: null,
}

export function answer(more: Partial<GatewayAnswer>): GatewayAnswer {
  return { ...PLAIN, ...more }
}

function factsOf(given: GatewayAnswer, cumulative: string | null): AnswerFacts {
  return facts({
    status: given.status,
    cumulative,
    challengesOffered: given.challenges,
    challengeId: given.challenges > 0 ? 'challenge' : null,
    retryAfterMs: given.retryAfter === null ? null : given.retryAfter * 1000,
  })
}

/** An event that an answer is, with the answer as its cause. */
export function answered(
  name: string,
  given: GatewayAnswer,
  cumulative: string | null,
  event: (facts: AnswerFacts) => PaymentFlowEvent,
): EventCase {
  return { name, event: event(factsOf(given, cumulative)), cause: { by: 'gateway', answer: given } }
}

/** What guards ask of the number of challenges on an answer: the numbers that make a difference, by guard. */
const OFFERS_THAT_MATTER: Readonly<Record<string, readonly GatewayAnswer['challenges'][]>> = {
  challenged: [1, 0],
  withinBoundAndChallenged: [1, 0],
  anotherChallengeOffered: [2, 1],
  // Where the flow goes on after the chain was asked depends on it.
  withinBoundOnChannel: [1, 0],
}

/** The numbers of challenges with which a code must be tried in a state, read from the guards of its arrows. */
function offersOf(stateId: string, type: string): readonly GatewayAnswer['challenges'][] {
  const arrows = paymentFlowMachine.getStateNodeById(stateId).transitions.get(type) ?? []
  const named = arrows.flatMap(({ guard }) => (typeof guard === 'string' ? [guard] : []))
  const offers = named.flatMap((guard) => OFFERS_THAT_MATTER[guard] ?? [])
  return offers.length === 0 ? [1] : [...new Set(offers)]
}

/** Whether an arrow of a code asks for when to come back: then it must be tried with that, and without a challenge. */
function mindsWait(stateId: string, type: string): boolean {
  const arrows = paymentFlowMachine.getStateNodeById(stateId).transitions.get(type) ?? []
  return arrows.some(({ guard }) => typeof guard === 'string' && WAITS_THAT_MATTER.has(guard))
}

/** Guards that ask it of the answer, or whose flow asks it later. */
const WAITS_THAT_MATTER: ReadonlySet<string> = new Set(['withinBoundToldToWait', 'withinBoundOnChannel'])

/** A status that says by itself what the code means, where the code is not tied to a 402. */
const STATUS_OF: Readonly<Partial<Record<MppCode | ProblemType, number>>> = {
  mpp_payer_not_allowed: 403,
  mpp_reservation_failed: 503,
  mpp_commit_failed: 500,
  mpp_session_close_unavailable: 503,
  mpp_session_close_failed: 502,
  mpp_streaming_unavailable: 400,
  mpp_request_quote_invalid: 400,
  'session/channel-not-found': 410,
  'session/channel-finalized': 410,
  'internal-payment-error': 500,
}

const OFFERED = ['no-challenge', 'challenged', 'two-challenges'] as const

function rejectionCases(stateId: string, type: MppCode | ProblemType, cumulative: string | null): readonly EventCase[] {
  const rejection = (challenges: GatewayAnswer['challenges'], wait: 0 | 1): EventCase => {
    const problem = PROBLEM_TYPES.find((known) => known === type) ?? null
    const code = MPP_CODES.find((known) => known === type) ?? null
    const given = answer({
      status: STATUS_OF[type] ?? 402,
      code,
      problem,
      challenges,
      retryAfter: wait,
    })
    const name = `${type}/${OFFERED[challenges]}${wait > 0 ? '-later' : ''}`
    return answered(name, given, cumulative, (said) => ({ type, ...said }))
  }
  return [
    // A wait that is asked for is obeyed: none, so that nothing is waited for.
    ...offersOf(stateId, type).map((challenges) => rejection(challenges, 0)),
    ...(mindsWait(stateId, type) ? [rejection(0, 1)] : []),
  ]
}

/** Every code and problem type as the answer to a send made in a state. `cumulative`: what the credential authorised. */
export function rejectionsIn(stateId: string, cumulative: string | null): readonly EventCase[] {
  return [...MPP_CODES, ...PROBLEM_TYPES].flatMap((type) => rejectionCases(stateId, type, cumulative))
}

/** The answers without a code that every send can get. */
export function plainAnswers(cumulative: string | null): readonly EventCase[] {
  return [
    answered('RATE_LIMITED', answer({ status: 429, retryAfter: 0 }), cumulative, (said) => ({
      type: 'RATE_LIMITED',
      ...said,
    })),
    answered('PAYMENT_REJECTED', answer({ status: 402, code: 'mpp_unheard_of' }), cumulative, (said) => ({
      type: 'PAYMENT_REJECTED',
      code: 'mpp_unheard_of',
      ...said,
    })),
  ]
}

/** A server error; `mayHaveRun`: the status does not rule out that the request was carried out. */
export function serverFailed(cumulative: string | null, status: 500 | 503, mayHaveRun: boolean): EventCase {
  return answered(`SERVER_FAILED/${status}`, answer({ status, retryAfter: 0 }), cumulative, (said) => ({
    type: 'SERVER_FAILED',
    mayHaveRun,
    ...said,
  }))
}
