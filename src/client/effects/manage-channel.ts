// Sends what is about a channel and not about content: a top-up, a close, and the question for a challenge of their own.
// Must never answer a challenge that is bound to a body with other bytes than that body.

import type { EffectInput } from '../../../machines/index.js'
import { type Challenge, parseSessionRequest } from '../../protocol/index.js'
import { isSecondary } from '../../sessions/index.js'
import type { Answer } from '../answer.js'
import type { PlacedFlow } from '../flow-state.js'
import { isKnownCode } from '../known-code.js'
import { channelFor } from '../own-channel.js'
import { SendFailure, type SendOptions, send } from '../send.js'
import type { EffectScope } from './effect.js'
import { refuseChallenge, refuseTerms } from './parse-challenge.js'

/** By these a server says that the resource takes no such method; HEAD, which every resource with GET has, may be taken. */
const METHOD_REFUSED: ReadonlySet<number> = new Set([404, 405, 501])

/** By these a server says that the resource takes no request without a body, or of no length or type. */
const BODY_MISSED: ReadonlySet<number> = new Set([400, 411, 415, 422])

/** Some gateways have HEAD switched off: it is never the first method, and its refusal is not the answer. */
const LAST_METHOD = 'HEAD'

type Scope = EffectScope<EffectInput>

/** A credential about the channel. */
export interface ManagementRequest extends Pick<SendOptions, 'cumulative' | 'timeoutMs'> {
  /** The value of the credential's header, as the answer to a challenge. */
  readonly credentialFor: (challenge: Challenge) => string
}

/**
 * Sends a credential about the channel to the URI of the flow's request. A challenge for that request's body is not answered
 * without it: another one is asked for, and where none is to be had, the credential goes out with the bytes. So it does,
 * once more and as it was signed, where the resource takes no request without them.
 *
 * @throws SendFailure when there is no answer.
 */
export async function manageChannel(
  scope: Scope,
  placed: PlacedFlow,
  { credentialFor, ...options }: ManagementRequest,
): Promise<Answer> {
  const { challenge } = placed
  const withBytes = (): Promise<Answer> =>
    send(scope, { ...options, credential: credentialFor(challenge), withBody: true, aboutChannel: true })
  const hasBody = await hasBytes(placed)
  const isBound = hasBody && challenge.digest !== undefined
  const own = isBound ? await bodylessChallenge(scope, placed) : challenge
  if (own === null) return withBytes()
  const answer = await sendBodyless(scope, { ...options, credential: credentialFor(own), challenge: own })
  if (!hasBody || !refuses(answer, BODY_MISSED)) return answer
  await answer.discard()
  return withBytes()
}

async function hasBytes({ flow }: PlacedFlow): Promise<boolean> {
  const body = await flow.request.body
  return body !== undefined && body.byteLength > 0
}

/** A challenge for the same URI without a body, under the same policy and for the same channel; null when none is given. */
async function bodylessChallenge(scope: Scope, placed: PlacedFlow): Promise<Challenge | null> {
  const answer = await askForChallenge(scope)
  try {
    for (const challenge of answer.offered.challenges) {
      const terms = parseSessionRequest(challenge)
      if (!terms.ok || refuseTerms(scope.runtime, terms.value) !== null) continue
      const { key } = channelFor(scope.runtime, terms.value)
      if (placed.key !== key && !isSecondary(placed.key, key)) continue
      if ((await refuseChallenge(scope.runtime, undefined, challenge)) === null) return challenge
    }
    return null
  } finally {
    await answer.discard()
  }
}

/** @throws SendFailure of a request that left nothing behind: no credential is in it. */
async function askForChallenge(scope: Scope): Promise<Answer> {
  try {
    return await sendBodyless(scope, { timeoutMs: scope.runtime.policy.timeouts.unpaidMs })
  } catch (error) {
    throw error instanceof SendFailure ? new SendFailure(false, error.message) : error
  }
}

/**
 * Sends a request without a body, and once more by HEAD when the resource does not take the flow's method. What takes HEAD
 * gets it from then on.
 *
 * @throws SendFailure when there is no answer.
 */
export async function sendBodyless(scope: Scope, options: Omit<SendOptions, 'withBody' | 'method'>): Promise<Answer> {
  const { flow } = scope
  const answer = await send(scope, { ...options, withBody: false })
  if (flow.bodyless === LAST_METHOD || !refuses(answer, METHOD_REFUSED)) return answer
  try {
    const other = await send(scope, { ...options, withBody: false, method: LAST_METHOD })
    if (!refuses(other, METHOD_REFUSED)) {
      await answer.discard()
      flow.bodyless = LAST_METHOD
      return other
    }
    await other.discard()
    return answer
  } catch (error) {
    await answer.discard()
    throw error
  }
}

/** Whether an answer refuses the form of a request. A code of its own says more than the status: then it was not the form. */
function refuses({ facts, code }: Answer, statuses: ReadonlySet<number>): boolean {
  return statuses.has(facts.status) && (code === null || !isKnownCode(code))
}
