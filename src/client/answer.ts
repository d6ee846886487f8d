// Reads what an HTTP answer says about payment, and keeps the answer whole for the caller.
// Must never decide what a code means, and never read more of a body than a problem needs.

import type { AnswerFacts } from '../../machines/index.js'
import { type ChallengeList, MAX_PROBLEM_BYTES, parseChallenges, readProblem } from '../protocol/index.js'

/** An answer, read as far as payment goes. */
export interface Answer {
  /** The answer for the caller, whole. Made when it is first asked for: most challenges are never handed on. */
  readonly response: Response
  readonly ok: boolean
  readonly headers: Headers
  /** Nobody will read it: its connection is given back. */
  discard(): Promise<void>
  /** An `mpp_*` code, `payment_required`, or what follows the base of the standard problem types. */
  readonly code: string | null
  readonly offered: ChallengeList
  /** Why challenges on the answer cannot be used, when none can. */
  readonly offerProblem: string | null
  readonly facts: AnswerFacts
}

const NO_CHALLENGES: ChallengeList = { challenges: [], refused: [] }
const HIGHEST_STATUS = 599
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

interface Peeked {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** What was not read; null when that was all. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | null
}

/** Reads about `limit` bytes of a body; the rest stays in the stream. */
async function peek(response: Response, limit: number): Promise<Peeked> {
  if (response.body === null) return { bytes: new Uint8Array(), rest: null }
  const reader = response.body.getReader()
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  while (length < limit) {
    const next = await reader.read()
    if (next.done) return { bytes: joined(chunks, length), rest: null }
    chunks.push(next.value)
    length += next.value.byteLength
  }
  return { bytes: joined(chunks, length), rest: reader }
}

function joined(chunks: readonly Uint8Array<ArrayBuffer>[], length: number): Uint8Array<ArrayBuffer> {
  const [only] = chunks
  if (only !== undefined && chunks.length === 1) return only
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

/** What was read, and behind it what was not. */
function bodyOf({ bytes, rest }: Peeked): BodyInit {
  if (rest === null) return bytes
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    async pull(controller) {
      const next = await rest.read()
      if (next.done) controller.close()
      else controller.enqueue(next.value)
    },
    cancel: (reason) => rest.cancel(reason),
  })
}

/** What an answer is besides its body. Held without the response itself, whose streams are a flow's largest part. */
interface Head extends Pick<Response, 'status' | 'statusText' | 'headers' | 'url'> {
  readonly hasBody: boolean
}

/** A response of that head, with another body stream. `url` is kept: `new Response` would lose it. */
function withBody({ status, statusText: phrase, headers, url, hasBody }: Head, peeked: Peeked): Response {
  // Bytes above Latin-1 come off the wire, but a Response is not made with them; nobody may depend on the phrase.
  const statusText = /^[\t\x20-\x7e\x80-\xff]*$/.test(phrase) ? phrase : ''
  const again = new Response(hasBody ? bodyOf(peeked) : null, { status, statusText, headers })
  Object.defineProperty(again, 'url', { value: url })
  return again
}

/** An answer whose body was looked at. The response for the caller is made when it is first asked for. */
function lookedAt(
  head: Head,
  peeked: Peeked,
  about: Pick<Answer, 'code' | 'offered' | 'offerProblem' | 'facts'>,
): Answer {
  // No Response can be made with such a status: then there is no answer, and that must be known now.
  let whole = head.status > HIGHEST_STATUS ? withBody(head, peeked) : undefined
  return {
    get response() {
      whole ??= withBody(head, peeked)
      return whole
    },
    ok: false,
    headers: head.headers,
    discard: async () => (whole === undefined ? peeked.rest?.cancel() : whole.body?.cancel()),
    ...about,
  }
}

/** An answer that is handed on as it is. */
function untouched(response: Response, offered: ChallengeList, facts: AnswerFacts): Answer {
  const { ok, headers } = response
  const discard = async (): Promise<void> => response.body?.cancel()
  return { response, ok, headers, discard, code: null, offered, offerProblem: null, facts }
}

/**
 * Reads an answer. Only error answers have their body looked at; an answer that was paid for is not touched.
 *
 * @param cumulative what the credential that was answered authorised, in base units; null when none was sent
 */
export async function readAnswer(response: Response, cumulative: string | null): Promise<Answer> {
  const { status, statusText, headers, url } = response
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
  if (status < 400) return untouched(response, offered, facts)
  const head = { status, statusText, headers, url, hasBody: response.body !== null }
  const peeked = await peek(response, MAX_PROBLEM_BYTES)
  const text = new TextDecoder().decode(peeked.bytes.subarray(0, MAX_PROBLEM_BYTES))
  const problem = readProblem({ contentType: headers.get('content-type'), body: text })
  return lookedAt(head, peeked, {
    code: problem.code ?? problem.problem ?? null,
    offered,
    offerProblem,
    facts: {
      ...facts,
      requestId: facts.requestId ?? problem.requestId ?? null,
      requiredTopUp: problem.requiredTopUp?.toString() ?? null,
    },
  })
}
