// A Response as fetch would have given it, where it was made here.
// Must never fail because of what a server wrote into its head: what was paid for would be lost with it.

import type { BodyInput, HeadersInput, ResponseKind } from './fetch-types.js'

/** What is known of a response besides its body. */
export interface ReceivedHead {
  readonly status: number
  readonly statusText: string
  readonly url: string
  readonly type: ResponseKind
  readonly headers: HeadersInput
}

/** What a Response can be made with as its `statusText`; other bytes do come off the wire. */
const PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/

/** The response of that head and body. Unlike those of fetch, its headers can be changed. */
export function receivedResponse({ status, statusText, url, type, headers }: ReceivedHead, body: BodyInput): Response {
  const isPhrase = PHRASE.test(statusText)
  const response = new Response(body, { status, statusText: isPhrase ? statusText : '', headers })
  return asFetched(response, { url, type, ...(!isPhrase && { statusText }) })
}

/** A Response that was made, and not fetched, has no URL and another type; so has what is cloned from it. */
function asFetched(response: Response, own: Partial<ReceivedHead>): Response {
  for (const [name, value] of Object.entries(own)) Object.defineProperty(response, name, { value })
  const clone = (): Response => asFetched(Response.prototype.clone.call(response), own)
  return Object.defineProperty(response, 'clone', { value: clone })
}
