// Captures a request once: method, URL, headers and the exact bytes of its body, to be sent identically each time.
// Must never read the body twice, nor keep a Bearer key for a route that is paid with a credential.

/** A request as every send of a flow uses it. */
export interface CapturedRequest {
  readonly method: string
  readonly url: URL
  /** What the caller set, without any Authorization on a paid route, unless its origin is one that gets it. */
  readonly headers: Headers
  /** The same bytes at each call; undefined for a request without a body. */
  readonly body: () => Promise<Uint8Array<ArrayBuffer> | undefined>
  /** False when the body certainly has no member `stream`. */
  readonly mayAskForStream: boolean
  /** Other fetch options of the caller, such as `credentials` or `cache`. */
  readonly options: Omit<RequestInit, 'body' | 'headers' | 'method' | 'redirect' | 'signal'>
  /** Whether the route belongs to the account-owned API, which takes a Bearer key and is never paid per request. */
  readonly accountOwned: boolean
  readonly signal: AbortSignal | null
}

/** Routes that are paid by the account behind a Virtual Key. A payment credential must never be sent there. */
const ACCOUNT_OWNED = /\/v1\/(chat\/completions|models(\/[^/]+)?)$/

/** Whether a URL is a route of the account-owned API. */
export function isAccountOwned(url: URL): boolean {
  return ACCOUNT_OWNED.test(url.pathname) && !url.pathname.includes('/mpp/')
}

function base(): string | undefined {
  return typeof location === 'undefined' ? undefined : location.href
}

/** Fetch upper-cases these methods, and leaves all others as they are written. */
function normalMethod(method: string): string {
  const upper = method.toUpperCase()
  return ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'].includes(upper) ? upper : method
}

/** A body whose bytes are known at once, without going through `Request`. */
function immediateBytes(
  body: RequestInit['body'],
): { bytes: Uint8Array<ArrayBuffer>; type: string | null } | undefined {
  if (typeof body === 'string') return { bytes: new TextEncoder().encode(body), type: 'text/plain;charset=UTF-8' }
  // Copied, because the caller may go on to use its own buffer.
  if (body instanceof Uint8Array) return { bytes: body.slice(), type: null }
  return undefined
}

const NO_ORIGINS: ReadonlySet<string> = new Set()

/**
 * Captures what `fetch(input, init)` would send. Takes every body that fetch takes: string, typed array, Blob,
 * URLSearchParams, FormData (its boundary is drawn once), a stream, and a `Request`.
 *
 * @param authenticated origins that get the caller's own `Authorization`
 * @throws TypeError for what fetch itself refuses, such as an invalid URL or a body on GET.
 */
export function captureRequest(
  input: RequestInfo | URL,
  init: RequestInit = {},
  authenticated: ReadonlySet<string> = NO_ORIGINS,
): CapturedRequest {
  const { body, headers, method, redirect: _redirect, signal, ...options } = init
  const immediate = input instanceof Request ? undefined : immediateBytes(body)
  if (immediate !== undefined && !(input instanceof Request)) {
    const url = new URL(String(input), base())
    const own = new Headers(headers)
    if (immediate.type !== null && !own.has('content-type')) own.set('content-type', immediate.type)
    const verb = normalMethod(method ?? 'GET')
    if (verb === 'GET' || verb === 'HEAD') throw new TypeError('a GET or HEAD request cannot have a body')
    const request = {
      method: verb,
      url,
      headers: own,
      body: async () => immediate.bytes,
      mayAskForStream: typeof body !== 'string' || body.includes('"stream"'),
      options,
      signal: signal ?? null,
    }
    return finish(request, authenticated)
  }
  const needsDuplex = body instanceof ReadableStream || input instanceof Request
  const request = new Request(input instanceof Request ? input : new URL(String(input), base()), {
    ...init,
    ...(needsDuplex && { duplex: 'half' }),
  })
  const bytes = request.body === null ? undefined : request.arrayBuffer().then((buffer) => new Uint8Array(buffer))
  // The first send reports a stream that breaks; until then nobody is waiting for it.
  bytes?.catch(() => undefined)
  const captured = {
    method: request.method,
    url: new URL(request.url),
    headers: new Headers(request.headers),
    body: async () => bytes,
    mayAskForStream: true,
    options,
    signal: request.signal,
  }
  return finish(captured, authenticated)
}

function finish(request: Omit<CapturedRequest, 'accountOwned'>, authenticated: ReadonlySet<string>): CapturedRequest {
  const accountOwned = isAccountOwned(request.url)
  request.url.hash = ''
  const isPayment = /^payment\b/i.test(request.headers.get('authorization') ?? '')
  const keeps = accountOwned || authenticated.has(request.url.origin)
  if (!keeps || isPayment) request.headers.delete('authorization')
  request.headers.delete('payment-authorization')
  if (!accountOwned) {
    if (!request.headers.has('idempotency-key')) request.headers.set('idempotency-key', crypto.randomUUID())
  }
  return { ...request, accountOwned }
}
