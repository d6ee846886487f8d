// Lays a picture out several times and keeps the best: ELK's heuristics start from a seed, and some starts end better.
// Must never choose by anything but the result, so that everybody gets the same picture.

import type { GroupedGraph } from './grouping.js'
import { type LaidOutGraph, type LayoutRules, layOut } from './layout.js'
import { crossingsOf, faultsOf } from './quality.js'

/** The widest a picture may be so that its smallest text is 10 px high when it is shown 900 px wide. */
export const WIDEST = 1228

const SEEDS = Array.from({ length: 16 }, (_, seed) => seed + 1)

/** What a fault, a crossing and a unit of width too much are worth in units of height. */
const PRICE = { fault: 100_000, crossing: 60, width: 20 }

function cost(laidOut: LaidOutGraph): number {
  return (
    faultsOf(laidOut).length * PRICE.fault +
    Math.max(0, laidOut.width - WIDEST) * PRICE.width +
    crossingsOf(laidOut) * PRICE.crossing +
    laidOut.height +
    laidOut.width / 2
  )
}

/**
 * The best of several layouts of the same graph. Deterministic.
 *
 * @throws if ELK cannot place the graph
 */
export async function layOutBest(grouped: GroupedGraph, rules: LayoutRules = {}): Promise<LaidOutGraph> {
  const candidates = await Promise.all(SEEDS.map((seed) => layOut(grouped, rules, seed)))
  return candidates.reduce((kept, next) => (cost(next) < cost(kept) ? next : kept))
}
