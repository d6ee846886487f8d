// Sends by undici's dispatcher, which Node's fetch sends by, without what fetch itself adds to each request.
// Must never be used where fetch was replaced, or asked for something that only fetch does.

import { ArrivingBody } from './arriving-body.js'
import type { BodySource } from './body-source.js'
import { codingsOf, decoded, terminated } from './decoding.js'
import type { Dispatcher, DispatchHandler, RawField } from './dispatcher.js'
import { expectedOf } from './expected-body.js'
import { HeaderFields } from './header-fields.js'
import { Incoming, WITHOUT_BODY } from './incoming.js'
import { listOf } from './raw-fields.js'
import { fieldsOf, targetOf } from './request-fields.js'
import { whenAborted } from './shared-signal.js'
import { aborted, type Exchange, type Outgoing } from './transport.js'

/** Fetch takes that for the word of a proxy, and hands it to nobody. */
const PROXY_REFUSES = 407

/** Sends one request by that dispatcher. */
export function sendOverNode(dispatcher: Dispatcher, outgoing: Outgoing): Exchange {
  return new NodeExchange(dispatcher, outgoing)
}

class NodeExchange implements Exchange {
  readonly answer: Promise<Incoming>
  #request: NodeRequest | null = null

  constructor(dispatcher: Dispatcher, outgoing: Outgoing) {
    this.answer = new Promise((resolve, reject) => {
      this.#request = new NodeRequest(outgoing, { resolve, reject })
    })
    this.#request?.start(dispatcher)
  }

  abort(): void {
    this.#request?.abort()
  }
}

/** The body as the caller reads it. @throws RangeError when nobody could. */
function readable(fields: HeaderFields, body: ArrivingBody): BodySource {
  const codings = codingsOf(fields.get('content-encoding'))
  return codings.length === 0 ? body : decoded(body, codings)
}

/** A caller may give any reason; a dispatcher takes errors. */
function errorOf(reason: unknown): Error | undefined {
  return reason instanceof Error ? reason : undefined
}

/** Whoever waits for an answer. */
interface Waiting {
  readonly resolve: (incoming: Incoming) => void
  readonly reject: (error: unknown) => void
}

/**
 * What a dispatcher tells of one request. The connection holds on to this as long as it waits: from here no way may lead to
 * the response, or one that its caller has dropped would never be missed.
 */
class NodeRequest implements DispatchHandler {
  readonly #outgoing: Outgoing
  /** Null when it has been told. */
  #waiting: Waiting | null
  #close: ((reason?: Error) => void) | null = null
  #deaf: (() => void) | null = null
  #ended: { readonly reason: unknown } | null = null
  #body: ArrivingBody | null = null
  /** Whether there is somebody who can read the body. */
  #bodyIsRead = false

  constructor(outgoing: Outgoing, waiting: Waiting) {
    this.#outgoing = outgoing
    this.#waiting = waiting
  }

  start(dispatcher: Dispatcher): void {
    const { signal } = this.#outgoing
    if (signal?.aborted === true) {
      this.#end(signal.reason)
      return
    }
    if (signal !== null) this.#deaf = whenAborted(signal, () => this.#end(signal.reason))
    try {
      this.#dispatchBy(dispatcher)
    } catch (error) {
      // Undici's own tells the handler; an application's may throw.
      this.#end(error)
    }
  }

  #dispatchBy(dispatcher: Dispatcher): void {
    const { url, method, body = null } = this.#outgoing
    // How long an answer may take is said by the policy alone, and its timer runs around the exchange.
    const limits = { headersTimeout: 0 }
    const headers = fieldsOf(this.#outgoing)
    dispatcher.dispatch({ origin: url.origin, path: targetOf(url), method, headers, body, ...limits }, this)
  }

  abort(): void {
    this.#end(aborted())
  }

  /** Ends it from this side, before or after its connection was made. */
  #end(reason: unknown): void {
    if (this.#ended !== null) return
    this.#ended = { reason }
    this.#body?.stop(reason)
    this.#close?.(errorOf(reason))
    this.#over(reason)
  }

  /** @param error null when it ended as it should; whoever still waits for an answer gets none */
  #over(error: unknown): void {
    this.#deaf?.()
    this.#deaf = null
    this.#close = null
    if (this.#waiting !== null) this.#waiting.reject(error ?? new TypeError('the connection ended without an answer'))
    this.#waiting = null
  }

  onConnect(abort: (reason?: Error) => void): void {
    if (this.#ended === null) this.#close = abort
    else abort(errorOf(this.#ended.reason))
  }

  onHeaders(status: number, raw: readonly RawField[] | null, resume: () => void, statusText = ''): boolean {
    // Informational answers come before the one that counts.
    if (status < 200) return true
    const { method, url } = this.#outgoing
    const fields = HeaderFields.received(listOf(raw ?? []))
    const bare = method === 'HEAD' || WITHOUT_BODY.has(status)
    this.#body = new ArrivingBody({ resume, close: () => this.#end(aborted()) }, expectedOf(fields))
    this.#bodyIsRead = !bare
    try {
      const body = bare ? null : readable(fields, this.#body)
      if (status === PROXY_REFUSES) throw new TypeError('a proxy asks for authentication')
      this.#waiting?.resolve(new Incoming({ status, statusText, url: url.href, type: 'basic', fields, bare }, body))
      this.#waiting = null
    } catch (error) {
      this.#end(error)
    }
    return true
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#body === null) return true
    if (this.#bodyIsRead) return this.#body.push(chunk)
    // Content where none may be: nobody waits for its end.
    this.#end(aborted())
    return false
  }

  onComplete(): void {
    this.#body?.end()
    this.#over(null)
  }

  onError(error: unknown): void {
    // As fetch words it, for whoever reads the body.
    this.#body?.fail(terminated(error))
    this.#over(error)
  }
}
