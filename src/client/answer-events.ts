// Names the event that an answer is: its code when it has one, its status otherwise.
// Must never weigh one code against another; every code is passed on under its own name.

import type { PaymentFlowEvent } from '../../machines/index.js'
import type { Answer } from './answer.js'
import { isKnownCode } from './known-code.js'

/** Most servers give this status before they begin any work; a proxy may give it after an upstream was reset. */
const SERVICE_UNAVAILABLE = 503

/** The event of an answer to a request that carried no credential. */
export function unpaidEvent(answer: Answer): PaymentFlowEvent {
  return codeEvent(answer) ?? challengeEvent(answer, 'CHALLENGE_RECEIVED') ?? statusEvent(answer, false)
}

/** The event of an answer to a request that carried a credential. */
export function paidEvent(answer: Answer): PaymentFlowEvent {
  if (answer.ok || answer.charged) return { type: 'PAID_ANSWER_RECEIVED', ...answer.facts }
  return codeEvent(answer) ?? challengeEvent(answer, 'payment_required') ?? statusEvent(answer, true)
}

function codeEvent({ code, facts }: Answer): PaymentFlowEvent | null {
  if (code === null) return null
  return isKnownCode(code) ? { type: code, ...facts } : { type: 'PAYMENT_REJECTED', code, ...facts }
}

function challengeEvent(answer: Answer, type: 'CHALLENGE_RECEIVED' | 'payment_required'): PaymentFlowEvent | null {
  if (answer.facts.status !== 402) return null
  const isChallenge = answer.facts.challengesOffered > 0 || answer.offerProblem !== null
  return isChallenge ? { type, ...answer.facts } : null
}

function statusEvent({ facts }: Answer, paid: boolean): PaymentFlowEvent {
  if (facts.status === 429) return { type: 'RATE_LIMITED', ...facts }
  if (facts.status >= 500) {
    return { type: 'SERVER_FAILED', mayHaveRun: paid && facts.status !== SERVICE_UNAVAILABLE, ...facts }
  }
  // Asked to pay once more, by a server that says neither why nor how.
  if (paid && facts.status === 402) return { type: 'PAYMENT_REJECTED', code: null, ...facts }
  return { type: 'ANSWER_RECEIVED', ...facts }
}
