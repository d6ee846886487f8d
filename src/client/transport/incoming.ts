// An HTTP answer as it comes in: its head, and a body that is read as far as somebody asks, then handed on whole.
// Must never read ahead of what was asked for, nor lose a byte that was.

import { type BodySource, joined } from './body-source.js'
import { streamOf } from './body-stream.js'
import type { BodyInput, ResponseKind } from './fetch-types.js'
import type { HeaderFields } from './header-fields.js'
import { receivedResponse } from './received-response.js'

/** What an answer is besides its body. */
export interface Head {
  readonly status: number
  readonly statusText: string
  readonly url: string
  readonly type: ResponseKind
  readonly fields: HeaderFields
  /** Without a body, which is something else than an empty one. */
  readonly bare: boolean
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
   * Reads until it has about `limit` bytes from the start, or all there are. The response still has them. Not to be called
   * once that was asked for: then its body is somebody else's.
   *
   * @throws RangeError when the status is one that no response can have: then there is no answer, and that must be known now.
   */
  async peek(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.status > HIGHEST_STATUS) {
      // Nobody will hear of this answer again.
      await this.discard()
      throw new RangeError('no response has such a status')
    }
    if (this.#body === null) return this.#peeked
    // The response that there was has no body any more that could be read.
    this.#whole = null
    const chunks = [this.#peeked]
    let length = this.#peeked.byteLength
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
    this.#whole ??= receivedResponse({ ...this.#head, headers: this.#head.fields.toHeaders() }, this.#remaining())
    return this.#whole
  }

  /** Nobody will read it: its connection is given back. That its body broke off is nobody's concern then. */
  async discard(): Promise<void> {
    const giving = this.#whole === null ? this.#body?.cancel() : this.#whole.body?.cancel()
    await giving?.catch(() => undefined)
  }

  #remaining(): BodyInput {
    const source = this.#body
    if (this.#head.bare) return null
    if (source === null) return this.#peeked
    const rest = source.rest()
    return rest === null ? streamOf(this.#peeked, source) : joined([this.#peeked, rest])
  }
}
