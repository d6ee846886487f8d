// Where the bytes of a body come from, whoever reads them.
// Must never be read by two: what one got, the other misses.

/** The bytes of a body, in order. What it gives is its reader's own: nobody else looks at that memory. */
export interface BodySource {
  /** The next of them; null at the end. Rejected when the body breaks off. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>
  /** All that was not read, if it is here already; the source is at its end then. */
  rest(): Uint8Array<ArrayBuffer> | null
  /** Nobody will read on: gives the connection back. */
  cancel(reason?: unknown): Promise<void>
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
