// What a person should do about each way a request on an account-owned route can end.
// Must never decide a transition, and never quote what a server or a person wrote.
import type { ProviderRouteContext, ProviderRouteOutput, ProviderRouteProblem } from './provider-route.types.js'

/** Recommended actions ('Ando errors page', account-owned provider routes), worded for the person who uses the app. */
const ACTIONS: Readonly<Record<ProviderRouteProblem, string>> = {
  reconnectRequired:
    'Reconnect Ando: paste a new Virtual Key. It is tested with GET /v1/models before the request is sent again.',
  spendLimitReached:
    'Review the Ando spend controls or send a smaller request. The prompt is kept: retry it once the account is ready.',
  policyBlocked:
    'Refresh GET /v1/models and choose an allowed model, or check what the Ando connection of this key permits.',
  rateLimited: 'Wait before sending this request again. It is not repeated automatically.',
  temporarilyUnavailable: 'Try again later. If it goes on, give the request id to support.',
  requestRejected: 'Change the request: the server does not accept it as it is. Its answer says why.',
  answerUnreadable:
    'The answer cannot be read. A prompt answered like this may have been charged: give the request id to support before repeating it.',
  cancelled: 'Nothing to do: the request was cancelled.',
}

const RETRYABLE: ReadonlySet<ProviderRouteProblem> = new Set(['rateLimited', 'temporarilyUnavailable'])

/** The same request would be refused, or charged, again. */
const NOT_TO_REPEAT: ReadonlySet<ProviderRouteProblem> = new Set(['requestRejected', 'answerUnreadable'])

const LOST = 'No answer came, so the request may have been carried out and charged. Try again later, knowing that.'

/** The recommended action in the situation that `context` describes; null when there is no problem. */
export function actionFor(context: Pick<ProviderRouteContext, 'problem' | 'outcomeUnknown'>): string | null {
  if (context.problem === null) return null
  if (context.problem === 'temporarilyUnavailable' && context.outcomeUnknown) return LOST
  return ACTIONS[context.problem]
}

/** What the flow ends with. */
export function outputOf(context: ProviderRouteContext): ProviderRouteOutput {
  const { problem } = context
  return {
    status: problem === null ? 'succeeded' : problem === 'cancelled' ? 'cancelled' : 'failed',
    requestRef: context.requestRef,
    state: problem,
    action: actionFor(context),
    requestId: context.requestId,
    httpStatus: context.httpStatus,
    retryable: problem !== null && RETRYABLE.has(problem),
    mayRepeat: problem !== null && !NOT_TO_REPEAT.has(problem),
    ...(context.retryAfterMs === null ? {} : { retryAfterMs: context.retryAfterMs }),
  }
}
