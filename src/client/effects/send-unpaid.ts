// The unpaid send: asks the gateway for the resource, and so for a challenge.
// Must never carry a credential.

import type { EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import { isEnded } from '../../sessions/index.js'
import type { Answer } from '../answer.js'
import { unpaidEvent } from '../answer-events.js'
import { destinationOf, isAccountOwned } from '../capture.js'
import { type FlowState, keepAnswer } from '../flow-state.js'
import { refuseOrigin } from '../policy.js'
import type { Runtime } from '../runtime.js'
import { SendFailure, send } from '../send.js'
import { findSession } from '../sessions.js'
import type { EffectScope } from './effect.js'
import { sendBodyless } from './manage-channel.js'

const MOST_REDIRECTS = 5
const STREAM_REQUESTED = /"stream"\s*:\s*true/

/** Input of the `sendUnpaid` effect. */
export interface SendUnpaidInput extends EffectInput {
  readonly purpose: 'pay' | 'close'
  readonly closing: string | null
}

export async function sendUnpaid(scope: EffectScope<SendUnpaidInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow, input } = scope
  const refusal = refuseOrigin(runtime.policy, flow.to.url)
  if (refusal !== null) return { type: 'POLICY_DENIED', reason: refusal }
  if (input.closing !== null && (await hasEnded(runtime, input.closing))) return { type: 'ALREADY_CLOSED' }
  if (flow.request.mayAskForStream && (await asksForStream(flow)))
    return { type: 'mpp_streaming_unavailable', ...NOT_SENT }
  try {
    const answer = await sendFollowing(scope)
    keepAnswer(flow, answer)
    // The account behind the key pays for these routes: whatever they answer is the caller's.
    return flow.request.accountOwned ? { type: 'ANSWER_RECEIVED', ...answer.facts } : unpaidEvent(answer)
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error
    keepAnswer(flow, null)
    return { type: 'CONNECTION_FAILED', reason: error.message }
  }
}

/** Facts of an answer that was never asked for. */
const NOT_SENT = {
  status: 0,
  requestId: null,
  challengeId: null,
  challengesOffered: 0,
  cumulative: null,
  requiredTopUp: null,
  retryAfterMs: null,
  contended: false,
} as const

async function hasEnded(runtime: Runtime, channelId: string): Promise<boolean> {
  const record = await findSession(runtime.ledger, channelId)
  return record !== undefined && isEnded(record)
}

/** The route answers buffered only: a request for a stream is not worth paying for. */
async function asksForStream(flow: FlowState): Promise<boolean> {
  if (!flow.to.path.endsWith('/v1/mpp/chat/completions')) return false
  const body = await flow.request.body
  if (body === undefined) return false
  const text = new TextDecoder().decode(body)
  if (!STREAM_REQUESTED.test(text)) return false
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null && 'stream' in json && json.stream === true
  } catch {
    // Not JSON: the gateway will say what it thinks of it.
    return false
  }
}

/** Follows redirects that keep method, body, origin and kind of route; any other redirect is the caller's answer. */
async function sendFollowing(scope: EffectScope<SendUnpaidInput>): Promise<Answer> {
  const { flow } = scope
  const timeoutMs = scope.runtime.policy.timeouts.unpaidMs
  const isClose = scope.input.purpose === 'close'
  for (let hops = 0; ; hops += 1) {
    const answer = isClose ? await sendBodyless(scope, { timeoutMs }) : await send(scope, { withBody: true, timeoutMs })
    const { status } = answer.facts
    const location = answer.header('location')
    if ((status !== 307 && status !== 308) || location === null || hops === MOST_REDIRECTS) return answer
    const { url, origin } = flow.to
    if (flow.request.accountOwned || !URL.canParse(location, url)) return answer
    const next = destinationOf(new URL(location, url))
    if (next.origin !== origin || isAccountOwned(next.path)) return answer
    await answer.discard()
    flow.to = next
  }
}
