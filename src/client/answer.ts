// Reads what an HTTP answer says about payment, and keeps the answer whole for the caller.
// Must never decide what a code means, and never read more of a body than a problem needs.

import type { AnswerFacts } from '../../machines/index.js'
import { type ChallengeList, MAX_PROBLEM_BYTES, parseChallenges, readProblem } from '../protocol/index.js'

/** An answer, read as far as payment goes. */
export interface Answer {
  readonly response: Response
  /** An `mpp_*` code, `payment_required`, or what follows the base of the standard problem types. */
  readonly code: string | null
  readonly offered: ChallengeList
  /** Why challenges on the answer cannot be used, when none can. */
  readonly offerProblem: string | null
  readonly facts: AnswerFacts
}

const NO_CHALLENGES: ChallengeList = { challenges: [], refused: [] }
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/

function requestIdOf(headers: Headers): string | null {
  const id = headers.get('x-request-id') ?? headers.get('request-id')
  return id !== null && REQUEST_ID.test(id) ? id : null
}

/** `Retry-After` in milliseconds: seconds, or an HTTP date. */
function retryAfterMs(headers: Headers, now: number): number | null {
  const value = headers.get('retry-after')
  if (value === null) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** Reads at most `limit` bytes of a body; the rest stays in the stream and is handed on behind what was read. */
async function peek(
  response: Response,
  limit: number,
): Promise<{ readonly bytes: Uint8Array; readonly body: BodyInit | null }> {
  if (response.body === null) return { bytes: new Uint8Array(), body: null }
  const reader = response.body.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  let ended = false
  while (length < limit && !ended) {
    const next = await reader.read()
    if (next.done) ended = true
    else {
      chunks.push(next.value)
      length += next.value.byteLength
    }
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  if (ended) return { bytes, body: bytes }
  const rest = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    async pull(controller) {
      const next = await reader.read()
      if (next.done) controller.close()
      else controller.enqueue(next.value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return { bytes: bytes.subarray(0, limit), body: rest }
}

/** A response like `response`, with another body stream. `url` is kept: `new Response` would lose it. */
function withBody(response: Response, body: BodyInit | null): Response {
  const { status, headers, url } = response
  // Bytes above Latin-1 come off the wire, but a Response is not made with them; nobody may depend on the phrase.
  const statusText = /^[\t\x20-\x7e\x80-\xff]*$/.test(response.statusText) ? response.statusText : ''
  const again = new Response(body, { status, statusText, headers })
  Object.defineProperty(again, 'url', { value: url })
  return again
}

/**
 * Reads an answer. Only error answers have their body looked at; an answer that was paid for is not touched.
 *
 * @param cumulative what the credential that was answered authorised, in base units; null when none was sent
 */
export async function readAnswer(response: Response, cumulative: string | null): Promise<Answer> {
  const { status, headers } = response
  const list = status >= 400 ? parseChallenges(headers.get('www-authenticate')) : null
  const offered = list?.ok === true ? list.value : NO_CHALLENGES
  const offerProblem = list?.ok === false && list.reason !== 'absent' ? list.detail : null
  const facts: AnswerFacts = {
    status,
    requestId: requestIdOf(headers),
    challengeId: offered.challenges[0]?.id ?? null,
    challengesOffered: offered.challenges.length,
    cumulative,
    requiredTopUp: null,
    retryAfterMs: retryAfterMs(headers, Date.now()),
    contended: false,
  }
  if (status < 400) return { response, code: null, offered, offerProblem, facts }
  const { bytes, body } = await peek(response, MAX_PROBLEM_BYTES)
  const problem = readProblem({ contentType: headers.get('content-type'), body: new TextDecoder().decode(bytes) })
  return {
    response: withBody(response, body),
    code: problem.code ?? problem.problem ?? null,
    offered,
    offerProblem,
    facts: {
      ...facts,
      requestId: facts.requestId ?? problem.requestId ?? null,
      requiredTopUp: problem.requiredTopUp?.toString() ?? null,
    },
  }
}
