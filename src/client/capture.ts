// Captures a request once: method, URL, headers and the exact bytes of its body, to be sent identically each time.
// Must never read the body twice, nor keep a Bearer key for a route that is paid with a credential.

import { type FetchInput, HeaderFields, isSendable, type OtherOptions } from './transport/index.js'

/** Where requests go, in the words of the machine and the policy. */
export interface Destination {
  /** Without its fragment, which is never sent. Shared with other requests: never changed. */
  readonly url: Readonly<URL>
  readonly origin: string
  readonly path: string
}

/** A request as every send of a flow uses it. */
export interface CapturedRequest {
  readonly method: string
  readonly to: Destination
  /** What the caller set, without any Authorization on a paid route, unless its origin is one that gets it. */
  readonly headers: HeaderFields
  /** The same bytes at each call; undefined for a request without a body. */
  readonly body: CapturedBody
  /** False when the body certainly has no member `stream`. */
  readonly mayAskForStream: boolean
  readonly options: OtherOptions
  /** Whether the route belongs to the account-owned API, which takes a Bearer key and is never paid per request. */
  readonly accountOwned: boolean
  readonly signal: AbortSignal | null
}

/** The bytes, now or as soon as they are read. */
export type CapturedBody = Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> | undefined

/** What of a call cannot be used, in words that quote nothing of it: it may hold a prompt, a key or a password. */
const UNUSABLE = {
  url: 'the URL cannot be read; give an absolute http: or https: URL',
  scheme: 'only http: and https: URLs can be requested',
  userinfo: 'the URL holds a user name or a password; send them in a header',
  method: 'fetch does not send this method',
  headers: 'a header has a name or a value that no header can have',
  bodyOfGet: 'a GET or HEAD request cannot have a body',
  bodyUsed: 'the body was read before, or is being read; give one that nobody has read',
  bodyBroke: 'the body of the request broke off before all of it was read',
  body: 'the body is of a kind that fetch cannot send',
  signal: 'the signal is no AbortSignal',
  options: 'an option has a value that fetch refuses',
} as const

/** A call that fetch would refuse, and that is refused as fetch does: by a TypeError. Its message is safe to show. */
export class RequestInvalid extends TypeError {
  readonly code = 'request_invalid'
  constructor(part: keyof typeof UNUSABLE) {
    super(UNUSABLE[part])
  }
}

/** What reading an argument gives. What it throws is dropped: it quotes the argument. */
function reading<T>(part: keyof typeof UNUSABLE, read: () => T): T {
  try {
    return read()
  } catch {
    throw new RequestInvalid(part)
  }
}

/** Routes that are paid by the account behind a Virtual Key. A payment credential must never be sent there. */
const ACCOUNT_OWNED = /\/v1\/(chat\/completions|models(\/[^/]+)?)$/

/** Whether a path is a route of the account-owned API. */
export function isAccountOwned(path: string): boolean {
  return ACCOUNT_OWNED.test(path) && !path.includes('/mpp/')
}

function base(): string | undefined {
  return typeof location === 'undefined' ? undefined : location.href
}

/** Agents ask for the same few URLs again and again. */
const readBefore = new Map<string, Destination>()
const MOST_KEPT = 16

/** Where a URL leads. @throws RequestInvalid for what is none. */
export function destinationOf(input: string | Readonly<URL>): Destination {
  const text = reading('url', () => String(input))
  const known = readBefore.get(text)
  if (known !== undefined) return known
  const from = base()
  const url = reading('url', () => new URL(text, from))
  url.hash = ''
  const destination = { url, origin: url.origin, path: url.pathname }
  // A page may move, and what is relative to it with it.
  if (from === undefined) {
    if (readBefore.size === MOST_KEPT) readBefore.clear()
    readBefore.set(text, destination)
  }
  return destination
}

/** The same, for a request of a caller's. @throws RequestInvalid for URLs that no request goes to. */
function requested(input: string | Readonly<URL>): Destination {
  const destination = destinationOf(input)
  const { protocol, username, password } = destination.url
  if (protocol !== 'http:' && protocol !== 'https:') throw new RequestInvalid('scheme')
  if (username !== '' || password !== '') throw new RequestInvalid('userinfo')
  return destination
}

/** The destination as it may be shown: without its query, which can hold secrets. */
export function resourceOf({ origin, path }: Pick<Destination, 'origin' | 'path'>): string {
  return `${origin}${path}`
}

/** The query with its `?`, also when nothing follows that; empty without one. */
export function queryOf({ url: { href } }: Pick<Destination, 'url'>): string {
  const at = href.indexOf('?')
  return at < 0 ? '' : href.slice(at)
}

/** Fetch upper-cases these methods, and leaves all others as they are written. */
function normalMethod(method: string): string {
  if (!isSendable(method)) throw new RequestInvalid('method')
  const upper = method.toUpperCase()
  return ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'].includes(upper) ? upper : method
}

const UTF8 = new TextEncoder()

/** A body whose bytes are known at once, without going through `Request`. */
function immediateBytes(body: RequestInit['body']): Uint8Array<ArrayBuffer> | undefined {
  if (typeof body === 'string') return UTF8.encode(body)
  // Copied, because the caller may go on to use its own buffer.
  return body instanceof Uint8Array ? body.slice() : undefined
}

const NO_ORIGINS: ReadonlySet<string> = new Set()
const NO_OPTIONS: OtherOptions = Object.freeze({})
const CAPTURED: ReadonlySet<string> = new Set(['body', 'headers', 'method', 'redirect', 'signal'])

function otherOptions(init: RequestInit): OtherOptions {
  if (Object.keys(init).every((name) => CAPTURED.has(name))) return NO_OPTIONS
  const { body: _body, headers: _headers, method: _method, redirect: _redirect, signal: _signal, ...options } = init
  return options
}

/** What a Request says besides method, URL, headers, body and signal, and what it says when nobody said anything. */
const DEFAULTS = {
  cache: 'default',
  credentials: 'same-origin',
  integrity: '',
  keepalive: false,
  mode: 'cors',
  referrer: 'about:client',
  referrerPolicy: '',
} as const

/** With nothing in it, a Request keeps its referrer; with anything, it does not (Fetch standard, 5.4). */
function isEmpty(init: RequestInit): boolean {
  return Object.keys(init).length === 0
}

/** The options that a Request was made with, where they are not those that every Request has. */
function optionsOf(request: Request): OtherOptions {
  const { cache, credentials, integrity, keepalive, mode, referrer, referrerPolicy } = request
  return {
    ...(cache !== DEFAULTS.cache && { cache }),
    ...(credentials !== DEFAULTS.credentials && { credentials }),
    ...(integrity !== DEFAULTS.integrity && { integrity }),
    ...(keepalive !== DEFAULTS.keepalive && { keepalive }),
    ...(mode !== DEFAULTS.mode && { mode }),
    ...(referrer !== DEFAULTS.referrer && { referrer }),
    ...(referrerPolicy !== DEFAULTS.referrerPolicy && { referrerPolicy }),
  }
}

/**
 * Captures what `fetch(input, init)` would send. Takes every body that fetch takes: string, typed array, Blob,
 * URLSearchParams, FormData (its boundary is drawn once), a stream, and a `Request`.
 *
 * @param authenticated origins that get the caller's own `Authorization`
 * @throws RequestInvalid, a TypeError, for what fetch itself refuses, such as an invalid URL or a body on GET.
 */
export function captureRequest(
  input: FetchInput,
  init: RequestInit = {},
  authenticated: ReadonlySet<string> = NO_ORIGINS,
): CapturedRequest {
  const { body, headers, method, signal } = init
  const options = otherOptions(init)
  if (signal !== undefined && signal !== null && !isSignal(signal)) throw new RequestInvalid('signal')
  const verb = normalMethod(String(method ?? (input instanceof Request ? input.method : 'GET')))
  const content = body ?? (input instanceof Request ? input.body : null)
  if (content !== null && (verb === 'GET' || verb === 'HEAD')) throw new RequestInvalid('bodyOfGet')
  const immediate = input instanceof Request ? undefined : immediateBytes(body)
  if (immediate !== undefined && !(input instanceof Request)) {
    const to = requested(input)
    const own = reading('headers', () => HeaderFields.from(headers))
    const typed = typeof body !== 'string' || own.has('content-type')
    return finish(
      {
        method: verb,
        to,
        headers: typed ? own : own.with('content-type', 'text/plain;charset=UTF-8'),
        body: immediate,
        mayAskForStream: typeof body !== 'string' || body.includes('"stream"'),
        options,
        signal: signal ?? null,
      },
      authenticated,
    )
  }
  const request = requestOf(input, init)
  const bytes = request.body === null ? undefined : bytesOf(request)
  // The first send reports a stream that breaks; until then nobody is waiting for it.
  bytes?.catch(() => undefined)
  return finish(
    {
      method: request.method,
      to: requested(request.url),
      headers: HeaderFields.from(request.headers),
      body: bytes,
      mayAskForStream: true,
      options: input instanceof Request ? { ...optionsOf(isEmpty(init) ? input : request), ...options } : options,
      signal: request.signal,
    },
    authenticated,
  )
}

async function bytesOf(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await request.arrayBuffer())
  } catch (error) {
    // The caller's own abort stays what it is.
    throw request.signal.aborted ? error : new RequestInvalid('bodyBroke')
  }
}

function isUsed(body: unknown): boolean {
  return body instanceof Request ? body.bodyUsed || isUsed(body.body) : body instanceof ReadableStream && body.locked
}

/** The Request that fetch would make of it. @throws RequestInvalid naming what it cannot be made of. */
function requestOf(input: RequestInfo | URL, init: RequestInit): Request {
  const { body, headers, ...rest } = init
  const resource = input instanceof Request ? input : requested(input).url
  if (isUsed(body ?? input)) throw new RequestInvalid('bodyUsed')
  if (headers !== undefined) reading('headers', () => new Headers(headers))
  const duplex = body instanceof ReadableStream || input instanceof Request ? { duplex: 'half' as const } : {}
  try {
    return new Request(resource, { ...init, ...duplex })
  } catch {
    // What is left is the body, or else an option: without the body it shows.
    reading('options', () => new Request(input instanceof Request ? input.url : resource, rest))
    throw new RequestInvalid(body instanceof ReadableStream ? 'bodyUsed' : 'body')
  }
}

/** Any that can be listened to: signals of other realms, too. */
function isSignal(signal: object): boolean {
  return 'aborted' in signal && 'addEventListener' in signal && typeof signal.addEventListener === 'function'
}

function finish(
  { method, to, headers: given, body, mayAskForStream, options, signal }: Omit<CapturedRequest, 'accountOwned'>,
  authenticated: ReadonlySet<string>,
): CapturedRequest {
  const accountOwned = isAccountOwned(to.path)
  const isPayment = /^payment\b/i.test(given.get('authorization') ?? '')
  const keeps = (accountOwned || authenticated.has(to.origin)) && !isPayment
  let headers = keeps ? given.without('payment-authorization') : given.without('authorization', 'payment-authorization')
  if (!accountOwned && !headers.has('idempotency-key')) headers = headers.with('idempotency-key', crypto.randomUUID())
  return { method, to, headers, body, mayAskForStream, options, accountOwned, signal }
}
