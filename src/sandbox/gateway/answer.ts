// What the gateway sends back, as plain data, and the bodies of its refusals.
// Must never carry a stack, a chain error or anything the caller sent.
import { CODE_ANSWERS, type CodeRefusal, PROBLEM_ANSWERS, type ProblemRefusal } from './refusal.js'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** The connection is cut instead. */
  readonly lost?: boolean
}

/** `{"error":{"code","message","type":"mpp_error"},"request_id"}` ('Ando errors page'). */
export function codeAnswer(refusal: CodeRefusal, requestId: string, headers: Readonly<Record<string, string>>): Answer {
  const { status, message, retryAfterSeconds } = CODE_ANSWERS[refusal.code]
  const text = refusal.detail === undefined ? message : `${message} ${refusal.detail}`
  return jsonAnswer(
    status,
    { error: { code: refusal.code, message: text, type: 'mpp_error' }, request_id: requestId },
    { ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }), ...headers },
  )
}

/** Problem details (RFC 9457). */
export function problemAnswer(
  refusal: ProblemRefusal,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): Answer {
  const { status, title } = PROBLEM_ANSWERS[refusal.problem]
  const type = `https://paymentauth.org/problems/${refusal.problem}`
  const answer = jsonAnswer(status, { type, title, status, request_id: requestId }, headers)
  return { ...answer, headers: { ...answer.headers, 'content-type': 'application/problem+json' } }
}

/** A JSON answer. */
export function jsonAnswer(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: new TextEncoder().encode(JSON.stringify(body)),
  }
}
