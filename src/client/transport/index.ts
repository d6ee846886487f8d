// How requests are sent: by Node's own HTTP client where that is what fetch would do, by fetch everywhere else.
// Must never decide it once and for all: a fetch that is patched later is used from then on.

import { dispatcherBehind } from './dispatcher.js'
import { sendOverFetch } from './over-fetch.js'
import { sendOverNode } from './over-node.js'
import { isPlain } from './plain-request.js'
import type { Transport } from './transport.js'

export type { BodyInput, FetchInput, HeadersInput } from './fetch-types.js'
export { HeaderFields } from './header-fields.js'
export { Incoming } from './incoming.js'
export { isSendable } from './plain-request.js'
export { receivedResponse } from './received-response.js'
export { whenAborted } from './shared-signal.js'
export { aborted, type Exchange, type OtherOptions, type Outgoing, type Transport } from './transport.js'

/** @param fetch the caller's; without one, the global fetch, or what is behind it */
export function transportOver(fetch: typeof globalThis.fetch | undefined): Transport {
  if (fetch !== undefined) return (outgoing) => sendOverFetch(fetch, outgoing)
  return (outgoing) => {
    const dispatcher = dispatcherBehind(globalThis.fetch)
    return dispatcher !== null && isPlain(outgoing)
      ? sendOverNode(dispatcher, outgoing)
      : sendOverFetch((input, init) => globalThis.fetch(input, init), outgoing)
  }
}
