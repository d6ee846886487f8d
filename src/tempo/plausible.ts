// Holds what a node says of height and time against this machine's clock, and against how fast a chain can grow.
// Must never let a height or a time that cannot be into a record or under a signature: both outlive the lie.
import { ChainFailure } from './failure.js'

/** Milliseconds since the epoch; `Date` is one. */
export interface LocalClock {
  now(): number
}

/** A block in which something was seen, and a time at which or before which that was. */
export interface Base {
  readonly block: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What a node's answers are held against. */
export interface Reference {
  /** Default: `Date`. */
  readonly clock?: LocalClock
  /** Default: none, and only what no chain can have reached is refused. */
  readonly base?: Base | null
}

/**
 * How far a chain's clock may be ahead of this machine's, in seconds. A day lets pass machines whose clock shows the wrong
 * time zone, and local chains whose clock was moved. It is also the longest for which a transaction that was signed under
 * such a lie keeps its channel waiting.
 */
export const CLOCK_TOLERANCE_SECONDS = 86_400

/** A Tempo block takes about half a second; this leaves room for chains that are five times as fast. */
const BLOCKS_PER_SECOND = 10

/** For chains that mine several blocks at once, as local ones do. */
const BLOCKS_AT_ONCE = 10_000

/** No Tempo chain is older: the base of a channel that was never seen before. */
const BEFORE_THE_FIRST_BLOCK: Base = { block: 0, at: Date.UTC(2025, 0, 1) }

/** The longest grace period that is believed, in seconds: 30 days. That of the channel reserve is 15 minutes. */
export const LONGEST_GRACE_SECONDS = 30 * 86_400

/** Chain seconds as RFC 3339. */
export function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString()
}

/**
 * Refuses a block time that is ahead of this machine's clock by more than {@link CLOCK_TOLERANCE_SECONDS}.
 *
 * @throws ChainFailure `implausible`, with both times: it may be the local clock that is wrong.
 */
export function holdTime(blockTime: number, { clock = Date }: Reference = {}): void {
  const now = Math.floor(clock.now() / 1000)
  if (blockTime <= now + CLOCK_TOLERANCE_SECONDS) return
  const both = `the time of its newest block is ${timeOf(blockTime)}, that of this machine is ${timeOf(now)}`
  throw new ChainFailure('implausible', `${both}: one of the two is wrong`)
}

/**
 * Refuses a height that a chain cannot have reached since `base`.
 *
 * @throws ChainFailure `implausible`
 */
export function holdHeight(block: number, { clock = Date, base }: Reference = {}): void {
  const known = base ?? BEFORE_THE_FIRST_BLOCK
  const seconds = Math.max(0, (clock.now() - known.at) / 1000)
  const highest = Math.floor(known.block + seconds * BLOCKS_PER_SECOND + BLOCKS_AT_ONCE)
  if (block <= highest) return
  throw new ChainFailure(
    'implausible',
    `it says that it is at block ${block}; no chain can be beyond ${highest} by now`,
  )
}
