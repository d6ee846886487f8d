// Draws a channel as a bar: what is spent, what is authorised beyond that, what is deposited beyond that.
// Must never show more than it is told: every cell stands for the same amount.

import type { ChannelFigures } from './reports.js'

/** One cell stands for 0.20 tokens. */
const CELL = 200_000n
const MOST_CELLS = 40n

/** The bar's three parts, to be painted differently. */
export interface Bar {
  readonly spent: string
  readonly authorised: string
  readonly deposited: string
}

export const BAR_MARKS = { spent: '█', authorised: '▒', deposited: '░' } as const

/** The parts of a bar for a channel. Their length is that of the deposit; halves are rounded down. */
export function barOf({ spent, signed, deposit }: ChannelFigures): Bar {
  const cells = (amount: string): number => {
    const count = BigInt(amount) / CELL
    return Number(count < MOST_CELLS ? count : MOST_CELLS)
  }
  const [first, second, third] = [cells(spent), cells(signed), cells(deposit)]
  return {
    spent: BAR_MARKS.spent.repeat(first),
    authorised: BAR_MARKS.authorised.repeat(Math.max(0, second - first)),
    deposited: BAR_MARKS.deposited.repeat(Math.max(0, third - Math.max(first, second))),
  }
}
