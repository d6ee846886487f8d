// A body while it comes in: keeps what nobody has read yet, and asks the connection to wait when that is enough.
// Must never keep more than a little ahead of its reader.

import { type BodySource, joined } from './body-source.js'

interface Reader {
  readonly resolve: (bytes: Uint8Array<ArrayBuffer> | null) => void
  readonly reject: (error: unknown) => void
}

/** What a body can ask of its connection. */
export interface Connection {
  /** Go on: there is room again. */
  resume(): void
  /** Nobody reads on. */
  close(): void
}

/** What is known of a body before it comes. */
export interface Expected {
  /** How long it is; infinite when that was not announced. */
  readonly length: number
  /** Beyond that much unread, the connection waits. */
  readonly room: number
}

export class ArrivingBody implements BodySource {
  /** Null once the body is over: whoever keeps a response keeps no connection with it. */
  #connection: Connection | null
  readonly #room: number
  /** How many bytes are still to come. */
  #missing: number
  #unread: Uint8Array<ArrayBuffer>[] = []
  #unreadBytes = 0
  #connectionWaits = false
  #ended = false
  #broken: { readonly error: unknown } | null = null
  #reader: Reader | null = null

  constructor(connection: Connection, { length, room }: Expected) {
    this.#connection = connection
    this.#missing = length
    this.#room = room
  }

  /** Takes bytes that came in; false when the connection is to wait. */
  push(chunk: Uint8Array): boolean {
    if (this.#broken !== null) return false
    // An empty chunk is no news to a reader.
    if (chunk.byteLength === 0) return !this.#connectionWaits
    // The chunk is a view of what was read from the socket, and that memory is not the reader's.
    const bytes = new Uint8Array(chunk)
    this.#missing -= bytes.byteLength
    const reader = this.#reader
    if (reader !== null) {
      this.#reader = null
      reader.resolve(bytes)
      return true
    }
    this.#unread.push(bytes)
    this.#unreadBytes += bytes.byteLength
    // With its last byte a body is whole. A connection that had to wait there would take the server's goodbye for an error.
    this.#connectionWaits = this.#unreadBytes >= this.#room && this.#missing > 0
    return !this.#connectionWaits
  }

  /** That was all. */
  end(): void {
    if (this.#broken !== null) return
    this.#ended = true
    this.#connection = null
    this.#reader?.resolve(null)
    this.#reader = null
  }

  /** The rest will not come. What did come can still be read. */
  fail(error: unknown): void {
    if (this.#ended || this.#broken !== null) return
    this.#broken = { error }
    this.#connection = null
    this.#reader?.reject(error)
    this.#reader = null
  }

  /** Ended from this side: nobody wants what came. */
  stop(reason: unknown): void {
    if (this.#ended) return
    this.#take()
    this.fail(reason)
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#unread.length > 0) {
      const bytes = this.#take()
      if (this.#connectionWaits) {
        this.#connectionWaits = false
        this.#connection?.resume()
      }
      return bytes
    }
    if (this.#ended) return null
    if (this.#broken !== null) throw this.#broken.error
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  rest(): Uint8Array<ArrayBuffer> | null {
    return this.#ended ? this.#take() : null
  }

  #take(): Uint8Array<ArrayBuffer> {
    const all = joined(this.#unread, this.#unreadBytes)
    this.#unread = []
    this.#unreadBytes = 0
    return all
  }

  async cancel(): Promise<void> {
    this.#take()
    this.#connection?.close()
  }
}
