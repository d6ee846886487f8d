// Sends by a fetch: the platform's, or one that the caller gave.
// Must never hand on another response than the one that came, unless its body was looked at.

import type { BodySource } from './body-source.js'
import { HeaderFields } from './header-fields.js'
import { type Head, Incoming } from './incoming.js'
import { aborted, type Exchange, type Outgoing } from './transport.js'

/** Sends one request by that fetch. */
export function sendOverFetch(fetch: typeof globalThis.fetch, outgoing: Outgoing): Exchange {
  return new FetchExchange(fetch, outgoing)
}

class FetchExchange implements Exchange {
  readonly answer: Promise<Incoming>
  readonly #abort = new AbortController()

  constructor(fetch: typeof globalThis.fetch, { url, method, headers, body, options, signal: callers }: Outgoing) {
    const own = this.#abort.signal
    const signal = callers === null ? own : AbortSignal.any([own, callers])
    const init: RequestInit = { method, headers: headers.toHeaders(), redirect: 'manual', signal }
    if (body !== undefined) init.body = body
    this.answer = fetch(url, Object.keys(options).length === 0 ? init : { ...options, ...init }).then(incoming)
  }

  abort(): void {
    this.#abort.abort(aborted())
  }
}

function incoming(response: Response): Incoming {
  const { status, statusText, url, type, headers, body } = response
  const head: Head = { status, statusText, url, type, fields: HeaderFields.from(headers), bare: body === null }
  return new Incoming(head, body === null ? null : sourceOf(body), response)
}

/** Reads the stream once somebody asks; until then the stream is whoever's that has the response. */
export function sourceOf(stream: ReadableStream<Uint8Array>): BodySource {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  const reading = (): ReadableStreamDefaultReader<Uint8Array> => {
    reader ??= stream.getReader()
    return reader
  }
  return {
    async read() {
      const next = await reading().read()
      // Whoever filled the stream may go on to use that memory, as Node does with that of small Buffers.
      return next.done ? null : new Uint8Array(next.value)
    },
    rest: () => null,
    cancel: (reason) => reading().cancel(reason),
  }
}
