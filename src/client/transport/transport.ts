// What the client needs of HTTP: one request out, and an answer that is read no further than somebody asks.
// Must never follow a redirect, nor send anything twice.

import type { HeaderFields } from './header-fields.js'
import type { Incoming } from './incoming.js'

/** Fetch options of the caller that are sent along as they are, such as `credentials` or `cache`. */
export type OtherOptions = Omit<RequestInit, 'body' | 'headers' | 'method' | 'redirect' | 'signal'>

/** One HTTP request. */
export interface Outgoing {
  readonly url: Readonly<URL>
  readonly method: string
  readonly headers: HeaderFields
  readonly body: Uint8Array<ArrayBuffer> | undefined
  readonly options: OtherOptions
  /** The caller's own. It also reaches the body of the answer, which is handed on unread. */
  readonly signal: AbortSignal | null
}

/** A request under way. */
export interface Exchange {
  /** Rejected when there is no answer; an error of the connection has its `code`, or is the cause of one that has. */
  readonly answer: Promise<Incoming>
  /** Ends it: a connection that it has is closed. What was read of the answer stays; reading on fails. */
  abort(): void
}

/** Sends one request. */
export type Transport = (outgoing: Outgoing) => Exchange

/** Why an exchange was ended by this client. */
export function aborted(): DOMException {
  return new DOMException('the exchange was ended', 'AbortError')
}
