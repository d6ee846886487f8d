// A body whose caller may abort it at any time, also when all of it is here but not read yet: so does fetch.
// Must never wait for the signal: nothing listens once the connection is done.

import type { BodySource } from './body-source.js'

/** The same body, as long as the signal is not aborted. */
export function underSignal(source: BodySource, signal: AbortSignal): BodySource {
  return {
    async read() {
      signal.throwIfAborted()
      try {
        return await source.read()
      } catch (error) {
        // Decoders put the reason into words of their own.
        signal.throwIfAborted()
        throw error
      }
    },
    // Handed on at once, it would be out of the signal's reach.
    rest: () => null,
    cancel: (reason) => source.cancel(reason),
  }
}
