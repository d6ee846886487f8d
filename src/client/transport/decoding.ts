// Undoes the content codings of an answer, as fetch does: what a caller reads is the plain body.
// Must never undo a list of codings without end, nor hold back what was sent so far until more comes.

import type { Transform } from 'node:stream'
import type { BodySource } from './body-source.js'

/** More codings than that are an attack: each can multiply what the one before gave. */
const MOST_CODINGS = 5

/** Node's own. No import: a browser build must not ask for them. */
const zlib = globalThis.process?.getBuiltinModule?.('node:zlib')
const streams = globalThis.process?.getBuiltinModule?.('node:stream')

/** What can be undone here, as fetch asks for it. */
export function acceptedCodings(protocol: string): string {
  return protocol === 'https:' ? 'br, gzip, deflate' : 'gzip, deflate'
}

/** The codings that can be undone here. */
export const KNOWN_CODINGS: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'deflate', 'br'])

/**
 * The codings to be undone, the last applied first; none when there is one that is not known: then the body is handed on
 * as it came.
 *
 * @throws RangeError when there are too many.
 */
export function codingsOf(contentEncoding: string | null): readonly string[] {
  if (contentEncoding === null) return []
  const codings = contentEncoding.toLowerCase().split(',')
  if (codings.length > MOST_CODINGS) throw new RangeError(`more than ${MOST_CODINGS} content codings`)
  const names = codings.map((coding) => coding.trim()).reverse()
  return names.every((name) => KNOWN_CODINGS.has(name)) ? names : []
}

/** What the reader of a body is told when the rest of it will not come. The words are fetch's. */
export function terminated(cause: unknown): TypeError {
  return new TypeError('terminated', { cause })
}

/** The plain bytes of an encoded body. */
export function decoded(encoded: BodySource, codings: readonly string[]): BodySource {
  return codings.reduce(decodedBy, encoded)
}

function decodedBy(encoded: BodySource, coding: string): BodySource {
  let decoder: Transform | null = null
  let plain: AsyncIterator<Uint8Array> | null = null
  let broken: { readonly error: unknown } | null = null

  async function* after(first: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let next: Uint8Array | null = first; next !== null; next = await nextEncoded()) yield next
  }

  /** The next encoded bytes. When they do not come, that is the reason, and not what the decoder makes of it. */
  async function nextEncoded(): Promise<Uint8Array | null> {
    try {
      return await encoded.read()
    } catch (error) {
      broken = { error }
      throw error
    }
  }

  async function start(): Promise<AsyncIterator<Uint8Array> | null> {
    const first = await encoded.read()
    // Decoders take nothing at all for an error.
    if (first === null || streams === undefined) return null
    decoder = decoderOf(coding, first)
    const source = streams.Readable.from(after(first), { objectMode: false })
    // What breaks on the way breaks the decoder, and whoever reads from it hears of it.
    streams.pipeline(source, decoder, (error) => {
      // A body that cannot be decoded is read no further; nobody else would give its connection back.
      if (error !== null && error !== undefined) encoded.cancel().catch(() => undefined)
    })
    return decoder[Symbol.asyncIterator]()
  }

  return {
    async read() {
      plain ??= await start()
      try {
        const next = await plain?.next()
        return next === undefined || next.done === true ? null : new Uint8Array(next.value)
      } catch (error) {
        throw broken === null ? terminated(error) : broken.error
      }
    },
    rest: () => null,
    async cancel(reason) {
      decoder?.destroy()
      await encoded.cancel(reason)
    },
  }
}

/** Lenient at the end of the data, and some servers leave out the header of deflated data: both as in browsers. */
function decoderOf(coding: string, first: Uint8Array): Transform {
  if (zlib === undefined) throw new TypeError('there is nothing here to decode with')
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants
  if (coding === 'br') {
    return zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH, finishFlush: BROTLI_OPERATION_FLUSH })
  }
  const lenient = { flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH }
  if (coding !== 'deflate') return zlib.createGunzip(lenient)
  const hasHeader = ((first[0] ?? 0) & 0x0f) === 0x08
  return hasHeader ? zlib.createInflate(lenient) : zlib.createInflateRaw(lenient)
}
