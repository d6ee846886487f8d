// An HTTP answer as it comes in: its head, and a body that is read as far as somebody asks, then handed on whole.
// Must never read ahead of what was asked for, nor lose a byte that was.

import type { HeaderFields } from './header-fields.js'

/** What an answer is besides its body. */
export interface Head {
  readonly status: number
  readonly statusText: string
  readonly url: string
  readonly fields: HeaderFields
  /** Without a body, which is something else than an empty one. */
  readonly bare: boolean
}

/** The bytes of a body, in order. What it gives is its reader's own: nobody else looks at that memory. */
export interface BodySource {
  /** The next of them; null at the end. Rejected when the body breaks off. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>
  /** All that was not read, if it is here already; the source is at its end then. */
  rest(): Uint8Array<ArrayBuffer> | null
  /** Nobody will read on: gives the connection back. */
  cancel(reason?: unknown): Promise<void>
}

/** Statuses whose answers have no body, and that no Response can be made with otherwise (Fetch standard, 2.2.3). */
export const WITHOUT_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

const HIGHEST_STATUS = 599
const NOTHING = new Uint8Array()

/** An answer that is coming in. */
export class Incoming {
  readonly #head: Head
  /** What was not read of it. Let go of at its end: a stream is the largest part of an answer. */
  #body: BodySource | null
  #peeked: Uint8Array<ArrayBuffer> = NOTHING
  #whole: Response | null

  /** @param whole the same answer as a response, good for as long as nothing is read of its body */
  constructor(head: Head, body: BodySource | null, whole: Response | null = null) {
    this.#head = head
    this.#body = body
    this.#whole = whole
  }

  get status(): number {
    return this.#head.status
  }

  header(name: string): string | null {
    return this.#head.fields.get(name)
  }

  /**
   * Reads about `limit` bytes, or all there are. The response still has them.
   *
   * @throws RangeError when the status is one that no response can have: then there is no answer, and that must be known now.
   */
  async peek(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.status > HIGHEST_STATUS) throw new RangeError('no response has such a status')
    if (this.#body === null) return NOTHING
    // The response that there was has no body any more that could be read.
    this.#whole = null
    const chunks: Uint8Array<ArrayBuffer>[] = []
    let length = 0
    while (this.#body !== null && length < limit) {
      const rest = this.#body.rest()
      const next: Uint8Array<ArrayBuffer> | null = rest ?? (await this.#body.read())
      if (rest !== null || next === null) this.#body = null
      if (next === null) break
      chunks.push(next)
      length += next.byteLength
    }
    this.#peeked = joined(chunks, length)
    return this.#peeked
  }

  /** The answer, whole, for the caller. Made when it is first asked for: most challenges are never handed on. */
  get response(): Response {
    this.#whole ??= this.#respond()
    return this.#whole
  }

  /** Nobody will read it: its connection is given back. */
  async discard(): Promise<void> {
    if (this.#whole === null) await this.#body?.cancel()
    else await this.#whole.body?.cancel()
  }

  #respond(): Response {
    const { status, statusText: phrase, url, fields } = this.#head
    // Bytes above Latin-1 come off the wire, but a Response is not made with them; nobody may depend on the phrase.
    const statusText = /^[\t\x20-\x7e\x80-\xff]*$/.test(phrase) ? phrase : ''
    const response = new Response(this.#remaining(), { status, statusText, headers: fields.toHeaders() })
    // A Response that was made, and not fetched, has none.
    Object.defineProperty(response, 'url', { value: url })
    return response
  }

  #remaining(): BodyInit | null {
    const source = this.#body
    if (this.#head.bare) return null
    if (source === null) return this.#peeked
    const rest = source.rest()
    return rest === null ? streamOf(this.#peeked, source) : joined([this.#peeked, rest])
  }
}

/** Cancels what nobody can read any more: a caller may drop a response without a word, and its connection waits. */
const dropped = new FinalizationRegistry<BodySource>((source) => {
  source.cancel().catch(() => undefined)
})

function streamOf(first: Uint8Array<ArrayBuffer>, source: BodySource): ReadableStream<Uint8Array> {
  const stream = new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (first.byteLength > 0) controller.enqueue(first)
    },
    async pull(controller) {
      const next = await source.read()
      if (next !== null && next.byteLength > 0) controller.enqueue(next)
      if (next === null) {
        controller.close()
        // A reader that brought its own buffer waits for it.
        controller.byobRequest?.respond(0)
      }
    },
    cancel: (reason) => source.cancel(reason),
  })
  dropped.register(stream, source)
  return stream
}

/** The chunks as one. */
export function joined(
  chunks: readonly Uint8Array<ArrayBuffer>[],
  length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0),
): Uint8Array<ArrayBuffer> {
  const only = chunks.find(({ byteLength }) => byteLength === length)
  if (only !== undefined) return only
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}
