// Searches a chain's logs from the newest block back, in steps as large as the node allows.
// Must never pass over a part that the node did not answer for: the search fails instead.
import { type ChainFailure, toChainFailure } from './failure.js'

/** A range that no node should find too large. */
const SMALLEST_STEP = 256n

/** Failures that a smaller range will not cure. */
const HOPELESS: ReadonlySet<ChainFailure['reason']> = new Set(['unreachable', 'behind'])

export interface LogRange {
  readonly fromBlock: bigint
  readonly toBlock: bigint
}

/**
 * Asks `read` for the logs of `range`: for all of it at once, and for smaller parts when the node refuses. Newest parts
 * first; `enough` ends the search early.
 *
 * @throws {@link ChainFailure} when the node does not answer for a part; the signal's reason when it is aborted.
 */
export async function searchLogs<Log>(
  range: LogRange,
  read: (part: LogRange) => Promise<readonly Log[]>,
  options: {
    readonly enough?: (found: readonly Log[]) => boolean
    readonly signal?: AbortSignal
    /** Told after each part how many blocks are still to be read. Must not throw. */
    readonly onPart?: (blocksLeft: number) => void
  } = {},
): Promise<readonly Log[]> {
  const found: Log[] = []
  let { toBlock } = range
  let step = toBlock - range.fromBlock + 1n
  while (toBlock >= range.fromBlock) {
    options.signal?.throwIfAborted()
    const reach = toBlock - step + 1n
    const fromBlock = reach > range.fromBlock ? reach : range.fromBlock
    try {
      found.push(...(await read({ fromBlock, toBlock })))
    } catch (error) {
      const failure = toChainFailure(error)
      if (HOPELESS.has(failure.reason) || step <= SMALLEST_STEP) throw failure
      step = step / 2n > SMALLEST_STEP ? step / 2n : SMALLEST_STEP
      continue
    }
    if (options.enough?.(found) === true) break
    toBlock = fromBlock - 1n
    options.onPart?.(Number(toBlock - range.fromBlock + 1n))
    // What was too large may have been so for the number of logs in it.
    step *= 2n
  }
  return found
}
