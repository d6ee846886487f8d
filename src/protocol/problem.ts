// Finds the error code in the body of an answer that is not a success, whichever envelope it comes in.
// Must never keep free text of the body but its title: a body may quote the prompt or the completion.
import { parseAmount } from './amount.js'
import { isJsonObject, parseJson } from './json.js'

/** What an error body says. Everything else in it is dropped. */
export interface ProblemReading {
  /** `payment_required` or an `mpp_*` code (Ando errors page). */
  readonly code?: string
  /** The standard problem type: what follows `https://paymentauth.org/problems/`, such as `session/insufficient-balance`. */
  readonly problem?: string
  /** What a standard server says is missing, in base units. */
  readonly requiredTopUp?: bigint
  /** The server's name for the request, to quote to its support. */
  readonly requestId?: string
  /** At most 120 characters, without control characters. */
  readonly title?: string
}

/** The longest body that is looked at. */
export const MAX_PROBLEM_BYTES = 65_536

const PROBLEM_BASE = 'https://paymentauth.org/problems/'
const PROBLEM = /^[a-z][a-z0-9-]*(?:\/[a-z0-9-]+)?$/
const MAX_PROBLEM_LENGTH = 128
const CODE = /^(?:payment_required|mpp_[a-z0-9_]{1,64})$/
// The class of all these errors, which some envelopes give as their type; it is no code.
const ERROR_CLASS = 'mpp_error'
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/
const MAX_TITLE_LENGTH = 120
const READABLE_TYPE = /json|^text\/plain\b|^application\/octet-stream\b/i

type JsonObject = { readonly [name: string]: unknown }

/**
 * Reads an error body. Envelopes: `{"error":{"code"}}`, `{"error":{"type"}}`, `{"code"}`, `{"error":"mpp_…"}`,
 * `{"detail":{"code"}}`, `{"detail":"mpp_…"}`, and RFC 9457 problem details whose `type` or `code` is or ends in the code.
 * Where several stand together, a member called code goes before one called type, and an inner one before an outer one.
 * Total: what cannot be read, or is declared to be something other than JSON or plain text, is `{}`.
 */
export function readProblem(input: { readonly contentType: string | null; readonly body: string }): ProblemReading {
  if (input.body.length > MAX_PROBLEM_BYTES) return {}
  if (input.contentType !== null && input.contentType !== '' && !READABLE_TYPE.test(input.contentType.slice(0, 128))) {
    return {}
  }
  const json = parseJson(input.body)
  if (!json.ok || !isJsonObject(json.value)) return {}
  const root = json.value
  const envelopes = [root.error, root.detail, root.details, root].filter(isJsonObject)
  const types = envelopes.map((envelope) => envelope.type)
  const code = firstOf([...envelopes.map((envelope) => envelope.code), root.error, root.detail, ...types], readCode)
  const problem = firstOf(types, readProblemType)
  const requiredTopUp = firstOf(member(envelopes, 'requiredTopUp'), readTopUp)
  const requestId = firstOf([...member(envelopes, 'request_id'), ...member(envelopes, 'requestId')], readRequestId)
  const title = firstOf(member(envelopes, 'title'), readTitle)
  return {
    ...(code !== undefined && { code }),
    ...(problem !== undefined && { problem }),
    ...(requiredTopUp !== undefined && { requiredTopUp }),
    ...(requestId !== undefined && { requestId }),
    ...(title !== undefined && { title }),
  }
}

function member(envelopes: readonly JsonObject[], name: string): unknown[] {
  return envelopes.map((envelope) => envelope[name])
}

function firstOf<T>(candidates: readonly unknown[], read: (candidate: unknown) => T | undefined): T | undefined {
  for (const candidate of candidates) {
    const value = read(candidate)
    if (value !== undefined) return value
  }
  return undefined
}

/** The code itself, or a URI whose last part it is. */
function readCode(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const start = Math.max(value.lastIndexOf('/'), value.lastIndexOf(':'), value.lastIndexOf('#')) + 1
  const last = value.slice(start)
  return last !== ERROR_CLASS && CODE.test(last) ? last : undefined
}

function readProblemType(value: unknown): string | undefined {
  if (typeof value !== 'string' || !value.startsWith(PROBLEM_BASE)) return undefined
  const problem = value.slice(PROBLEM_BASE.length)
  return problem.length <= MAX_PROBLEM_LENGTH && PROBLEM.test(problem) ? problem : undefined
}

function readTopUp(value: unknown): bigint | undefined {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? value.toString() : value
  const amount = parseAmount(text)
  return amount.ok ? amount.value : undefined
}

function readRequestId(value: unknown): string | undefined {
  return typeof value === 'string' && REQUEST_ID.test(value) ? value : undefined
}

function readTitle(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const title = value
    .slice(0, MAX_TITLE_LENGTH)
    .replace(/\p{Cc}/gu, ' ')
    .trim()
  return title === '' ? undefined : title
}
