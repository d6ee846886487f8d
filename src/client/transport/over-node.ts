// Sends by the HTTP client that Node's fetch is made of, without what fetch itself adds to each request: a ninth of its cost.
// Must never be used where fetch was replaced, or asked for something that only fetch does.

import { ArrivingBody } from './arriving-body.js'
import { acceptedCodings, codingsOf, decoded } from './decoding.js'
import { HeaderFields } from './header-fields.js'
import { type BodySource, Incoming, WITHOUT_BODY } from './incoming.js'
import { whenAborted } from './shared-signal.js'
import { aborted, type Exchange, type Outgoing } from './transport.js'

/** What fetch does with every request goes through this, also what an application has set with `setGlobalDispatcher`. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: DispatchHandler): unknown
}

interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: readonly string[]
  readonly body: Uint8Array | null
  readonly headersTimeout: number
}

type RawField = string | { toString(encoding: 'latin1'): string }

/** Version 1 of undici's handlers, which is what `undici.globalDispatcher.1` names. */
interface DispatchHandler {
  onConnect(abort: (reason?: unknown) => void): void
  onHeaders(status: number, raw: readonly RawField[] | null, resume: () => void, statusText?: string): boolean
  onData(chunk: Uint8Array): boolean
  onComplete(): void
  onError(error: unknown): void
}

/** Undici's versioned name of it: another version of handlers has another number. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1')

function isDispatcher(value: unknown): value is Dispatcher {
  return typeof value === 'object' && value !== null && 'dispatch' in value && typeof value.dispatch === 'function'
}

/**
 * What Node's own fetch sends by; null when there is no such thing here, or when `fetch` is not Node's own: a patched fetch
 * (by a test, a tracer, a framework) is used.
 */
export function dispatcherBehind(fetch: unknown): Dispatcher | null {
  if (typeof fetch !== 'function' || !isNodesOwn(fetch)) return null
  const dispatcher: unknown = Reflect.get(globalThis, DISPATCHER)
  return isDispatcher(dispatcher) ? dispatcher : null
}

let lastSeen: { readonly fetch: object; readonly own: boolean } | null = null

/** Its source names the module that it hands over to; no wrapper's does. */
function isNodesOwn(fetch: object): boolean {
  if (lastSeen?.fetch !== fetch) {
    lastSeen = {
      fetch,
      own: Function.prototype.toString.call(fetch).includes("require('internal/deps/undici/undici')"),
    }
  }
  return lastSeen.own
}

/** Whether a request asks for nothing but what is done here; `duplex` is about bodies that are streams, and none is. */
export function isPlain({ url, options }: Outgoing): boolean {
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '')
    return false
  return Object.entries(options).every(([name, value]) => value === undefined || name === 'duplex')
}

/** Sends one request by that dispatcher. */
export function sendOverNode(dispatcher: Dispatcher, outgoing: Outgoing): Exchange {
  return new NodeExchange(dispatcher, outgoing)
}

class NodeExchange implements Exchange, DispatchHandler {
  readonly answer: Promise<Incoming>
  readonly #outgoing: Outgoing
  #resolve: (incoming: Incoming) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #close: ((reason?: unknown) => void) | null = null
  #ended: { readonly reason: unknown } | null = null
  #body: ArrivingBody | null = null
  #deaf: (() => void) | null = null

  constructor(dispatcher: Dispatcher, outgoing: Outgoing) {
    this.#outgoing = outgoing
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const { url, method, body = null, signal } = outgoing
    if (signal?.aborted === true) {
      this.#reject(signal.reason)
      return
    }
    if (signal !== null) this.#deaf = whenAborted(signal, () => this.#end(signal.reason))
    // How long an answer may take is said by the policy alone, and its timer runs around the exchange.
    const limits = { headersTimeout: 0 }
    const path = `${url.pathname}${url.search}`
    dispatcher.dispatch({ origin: url.origin, path, method, headers: fieldsOf(outgoing), body, ...limits }, this)
  }

  abort(): void {
    this.#end(aborted())
  }

  /** Ends it from this side, before or after its connection was made. */
  #end(reason: unknown): void {
    if (this.#ended !== null) return
    this.#ended = { reason }
    this.#body?.stop(reason)
    this.#close?.(reason)
    this.#over(reason)
  }

  #over(error: unknown): void {
    this.#deaf?.()
    this.#reject(error)
  }

  onConnect(abort: (reason?: unknown) => void): void {
    if (this.#ended === null) this.#close = abort
    else abort(this.#ended.reason)
  }

  onHeaders(status: number, raw: readonly RawField[] | null, resume: () => void, statusText = ''): boolean {
    // Informational answers come before the one that counts.
    if (status < 200) return true
    const { method, url } = this.#outgoing
    const fields = HeaderFields.received((raw ?? []).map(text))
    const body = new ArrivingBody({ resume, close: () => this.#end(aborted()) })
    this.#body = body
    try {
      const codings = codingsOf(fields.get('content-encoding'), method, status)
      const plain: BodySource = codings.length === 0 ? body : decoded(body, codings)
      const bare = method === 'HEAD' || WITHOUT_BODY.has(status)
      this.#resolve(new Incoming({ status, statusText, url: url.href, fields, bare }, bare ? null : plain))
    } catch (error) {
      this.#end(error)
    }
    return true
  }

  onData(chunk: Uint8Array): boolean {
    return this.#body?.push(chunk) ?? true
  }

  onComplete(): void {
    this.#deaf?.()
    this.#body?.end()
  }

  onError(error: unknown): void {
    this.#over(error)
    // As fetch words it, for whoever reads the body.
    this.#body?.fail(new TypeError('terminated', { cause: error }))
  }
}

/** Fields that fetch adds where the caller did not say otherwise. */
const ADDED: readonly (readonly [string, string])[] = [
  ['accept', '*/*'],
  ['accept-language', '*'],
  ['user-agent', 'node'],
]
/** Fields that are not the caller's to say: the one follows from the URL, the other from the body. */
const NOT_SENT = ['host', 'content-length', 'sec-fetch-mode'] as const

/** The header fields of a request, as fetch would send them: names and values take turns. */
function fieldsOf({ headers, url }: Outgoing): string[] {
  const fields = headers.without(...NOT_SENT).flat()
  for (const [name, value] of ADDED) if (!headers.has(name)) fields.push(name, value)
  fields.push('sec-fetch-mode', 'cors')
  // A part of an encoded body could not be decoded.
  if (headers.has('range')) fields.push('accept-encoding', 'identity')
  else if (!headers.has('accept-encoding')) fields.push('accept-encoding', acceptedCodings(url.protocol))
  return fields
}

/** A field is bytes: one of them is one character. */
function text(field: RawField): string {
  return typeof field === 'string' ? field : field.toString('latin1')
}
