// Medians and their spread, and ratios of what was measured side by side.
// Must never hide the spread: a median alone says nothing about a busy machine.

import { z } from 'zod'

/** What a set of samples comes to. */
export const spreadSchema = z.object({
  median: z.number(),
  /** A quarter of the samples is below. */
  low: z.number(),
  /** A quarter of the samples is above. */
  high: z.number(),
  samples: z.number(),
})

export type Spread = z.infer<typeof spreadSchema>

/** The sample below which `share` of all samples lie. @throws RangeError when there are none. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  if (below === undefined || above === undefined) throw new RangeError('there are no samples')
  return below + (above - below) * (at - Math.floor(at))
}

/** Median and quartiles. @throws RangeError when there are no samples. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b)
  return {
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.25),
    high: quantile(sorted, 0.75),
    samples: sorted.length,
  }
}

/** The median of some samples. @throws RangeError when there are none. */
export function medianOf(samples: readonly number[]): number {
  return spreadOf(samples).median
}

/**
 * Ratios round by round: what slowed a whole round down stands on both sides of the fraction.
 *
 * @throws RangeError when a round is missing on one side.
 */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  if (over.length !== under.length) throw new RangeError('ratios need both sides of every round')
  return over.map((value, round) => value / (under[round] ?? Number.NaN))
}

/** The order of `count` subjects in a round: each round begins with another one. */
export function turnOrder(count: number, round: number): number[] {
  return Array.from({ length: count }, (_, at) => (at + round) % count)
}
