// Asks a chain again whose node limits the rate of requests or fails, where no flow does it by its chart.
// Must never ask again for what was signed: it is for reads.

import { ChainFailure } from '../tempo/index.js'
import type { Runtime } from './runtime.js'

/** The first pause, doubled each time. */
const PAUSE_MS = 250
const LONGEST_PAUSE_MS = 2_000
/** A node that takes this long to fail is not asked again. */
const PATIENCE_MS = 10_000

/**
 * What `ask` gives, at the fifth time at most.
 *
 * @throws what `ask` threw last; the signal's reason when it is aborted during a pause.
 */
export async function askAgain<T>(
  { clock }: Pick<Runtime, 'clock'>,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  const began = clock.now()
  for (let pauseMs = PAUSE_MS; ; pauseMs *= 2) {
    try {
      return await ask()
    } catch (error) {
      const passing =
        error instanceof ChainFailure && (error.reason === 'rate_limited' || error.reason === 'unreachable')
      if (!passing || pauseMs > LONGEST_PAUSE_MS || clock.now() - began > PATIENCE_MS) throw error
      await clock.pause(pauseMs, signal)
    }
  }
}
