// What an event case costs when it is run: waiting for a clock, for a node that does not answer, for a chain of its own.
// Must never decide whether a case is run, only which of several ways is taken.

import type { Cause } from './causes.js'
import type { EventCase } from './event-case.js'

const OF_CAUSE: Readonly<Partial<Record<Cause['by'], number>>> = { connection: 2, chain: 5 }
const OF_CHAIN: Readonly<Partial<Record<string, number>>> = {
  'as-before': 1,
  included: 1,
  ended: 5,
  expired: 20,
  'about-to-expire': 20,
}
/** An answer that is lost is looked for on the chain for seconds. */
const OF_CASE: Readonly<Partial<Record<string, number>>> = { TOP_UP_UNCONFIRMED: 3 }

/** Compared with an ordinary send, which costs one. */
export function costOf({ name, cause }: Pick<EventCase, 'name' | 'cause'>): number {
  if (cause.by === 'chain' && 'shows' in cause) return OF_CHAIN[cause.shows] ?? 1
  return OF_CASE[name] ?? OF_CAUSE[cause.by] ?? 1
}
