// The body of an answer as the stream that its reader gets.
// Must never read ahead of its reader, nor keep a connection for a reader that is gone.

import type { BodySource } from './body-source.js'

/** Cancels what nobody can read any more: a caller may drop a response without a word, and its connection waits. */
const dropped = new FinalizationRegistry<BodySource>((source) => {
  source.cancel().catch(() => undefined)
})

/** @param first what was read of it already */
export function streamOf(first: Uint8Array<ArrayBuffer>, source: BodySource): ReadableStream<Uint8Array> {
  const stream = new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (first.byteLength > 0) controller.enqueue(first)
    },
    async pull(controller) {
      let next = await source.read()
      // Whoever waits for bytes is not told again that there may be some.
      while (next?.byteLength === 0) next = await source.read()
      if (next !== null) {
        controller.enqueue(next)
        return
      }
      controller.close()
      // A reader that brought its own buffer waits for it.
      controller.byobRequest?.respond(0)
    },
    cancel: (reason) => source.cancel(reason),
  })
  dropped.register(stream, source)
  return stream
}
