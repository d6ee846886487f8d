// How requests are sent: by undici's dispatcher where that is what fetch would do, by fetch everywhere else.
// Must never decide it once and for all: a fetch that is patched later is used from then on.

import { type Dispatcher, dispatcherBehind, fetchNoting } from './dispatcher.js'
import type { Incoming } from './incoming.js'
import { sendOverFetch } from './over-fetch.js'
import { sendOverNode } from './over-node.js'
import { isPlain } from './plain-request.js'
import type { Exchange, Outgoing, Transport } from './transport.js'

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
    if (!isPlain(outgoing)) return overGlobalFetch(outgoing)
    const send = (dispatcher: Dispatcher | null): Exchange =>
      dispatcher === null ? overGlobalFetch(outgoing) : sendOverNode(dispatcher, outgoing)
    const dispatcher = dispatcherBehind(globalThis.fetch)
    return dispatcher instanceof Promise ? new LaterExchange(dispatcher.then(send)) : send(dispatcher)
  }
}

function overGlobalFetch(outgoing: Outgoing): Exchange {
  return sendOverFetch((input, init) => fetchNoting(globalThis.fetch, input, init), outgoing)
}

/** An exchange that begins when it is known by what. */
class LaterExchange implements Exchange {
  readonly answer: Promise<Incoming>
  #begun: Exchange | null = null
  #isAborted = false

  constructor(begun: Promise<Exchange>) {
    this.answer = begun.then((exchange) => {
      this.#begun = exchange
      if (this.#isAborted) exchange.abort()
      return exchange.answer
    })
  }

  abort(): void {
    this.#isAborted = true
    this.#begun?.abort()
  }
}
