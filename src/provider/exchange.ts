// One HTTP exchange with the account-owned routes: what was answered, or how the answer failed to come.
// Must never follow a redirect (the key would travel along), wait without end or read without limit.
import { neverConnected } from '../protocol/connection-failure.js'
import { lettersOf, shownName } from '../protocol/shown-name.js'
import type { RouteUrl } from './base-url.js'

export interface ExchangeOptions {
  readonly routes: RouteUrl
  readonly fetch: typeof globalThis.fetch
  /** For one exchange, the answer's body included. */
  readonly timeoutMs: number
  readonly maxResponseBytes: number
}

export type ExchangeRequest =
  | { readonly route: 'models'; readonly key: string }
  | { readonly route: 'chat/completions'; readonly key: string; readonly body: Uint8Array }

export type ExchangeResult =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly requestId: string | null
      readonly retryAfterMs: number | null
      /** The answer's JSON. */
      readonly body: { readonly readable: true; readonly json: unknown } | { readonly readable: false }
    }
  /** No connection was made, so nothing left. */
  | { readonly kind: 'not_sent' }
  /** The request left, or may have, and no whole answer came. */
  | { readonly kind: 'lost' }

/** Sends one request and reads its answer. Total: every failure is a result. */
export async function exchange(
  options: ExchangeOptions,
  request: ExchangeRequest,
  cancelled: AbortSignal,
): Promise<ExchangeResult> {
  const signal = AbortSignal.any([cancelled, AbortSignal.timeout(options.timeoutMs)])
  const headers = new Headers({ accept: 'application/json', authorization: `Bearer ${request.key}` })
  if (request.route !== 'models') headers.set('content-type', 'application/json')
  let response: Response
  try {
    response = await options.fetch(options.routes(request.route), {
      method: request.route === 'models' ? 'GET' : 'POST',
      headers,
      // A cast: the DOM types want a buffer that is not shared, and TextEncoder's never is.
      ...(request.route === 'models' ? {} : { body: request.body as Uint8Array<ArrayBuffer> }),
      redirect: 'manual',
      credentials: 'omit',
      signal,
    })
  } catch (error) {
    return { kind: neverConnected(error) ? 'not_sent' : 'lost' }
  }
  const text = await readText(response, options.maxResponseBytes)
  if (text === 'broken' && response.ok) return { kind: 'lost' }
  return {
    kind: 'answered',
    status: response.status,
    requestId: readRequestId(response.headers, request),
    retryAfterMs: readRetryAfter(response.headers.get('retry-after'), Date.now()),
    body: typeof text === 'string' ? { readable: false } : readJson(text.bytes),
  }
}

async function readText(response: Response, maxBytes: number): Promise<{ bytes: Uint8Array } | 'too_large' | 'broken'> {
  const reader = response.body?.getReader()
  if (reader === undefined) return { bytes: new Uint8Array() }
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      length += value.length
      if (length > maxBytes) {
        await reader.cancel()
        return 'too_large'
      }
      chunks.push(value)
    }
  } catch {
    // Why the stream broke changes nothing for the caller: no whole answer came.
    return 'broken'
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return { bytes }
}

function readJson(bytes: Uint8Array): { readable: true; json: unknown } | { readable: false } {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return { readable: true, json }
  } catch {
    // The error's text would quote the answer.
    return { readable: false }
  }
}

/** Request ids go into logs, so only what looks like one counts, and none that repeats the key or the prompt. */
function readRequestId(headers: Headers, request: ExchangeRequest): string | null {
  const id = headers.get('x-request-id') ?? headers.get('request-id')
  if (id === null) return null
  const sent = request.route === 'models' ? [request.key] : [request.key, request.body]
  return shownName(id, { sent: sent.map(lettersOf).join(' ') })
}

const ONE_WEEK_MS = 7 * 24 * 3600 * 1000

/** `Retry-After` (RFC 9110) in milliseconds from `now`: seconds or a date; null when absent or unreadable. At most a week. */
export function readRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null
  const text = value.trim()
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : /[a-z]{3}/i.test(text) ? Date.parse(text) - now : Number.NaN
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), ONE_WEEK_MS)
}
