// The steps of the demo: what is asked for in each, and why it is worth watching.
// Must never inject a fault: every refusal in it has its real cause.

import type { StepName } from './reports.js'

/** What the sandbox's gateway charges in the scenario, and what its payer allows. Token amounts. */
export const TERMS = {
  pricePerToken: '0.0002',
  bucket: '1',
  suggestedDeposit: '2',
  maxDeposit: '6',
} as const

export interface Step {
  readonly act: StepName
  readonly title: string
  readonly why: string
  /** Tokens that each request uses; 1,000 of them cost 0.20. */
  readonly requests: readonly number[]
  /** Whether the requests are sent at once; otherwise each waits for the one before. */
  readonly together: boolean
}

/** The steps in which requests are paid for. Each begins where the one before has left the channel. */
export const STEPS: readonly Step[] = [
  {
    act: 'open',
    title: 'Open',
    why: 'Nothing is paid yet, so the gateway answers 402. A channel is opened and pays at once.',
    requests: [1_000],
    together: false,
  },
  {
    act: 'reuse',
    title: 'Reuse',
    why: 'A voucher is a running total, not a price. While it covers the cost, nothing new is signed.',
    requests: [1_000, 1_000, 1_000, 1_000],
    together: false,
  },
  {
    act: 'refresh',
    title: 'Refresh',
    why: 'The bucket of 1.00 is used up: the gateway refuses. One new voucher, and the same bytes again.',
    requests: [2_000, 3_000],
    together: false,
  },
  {
    act: 'topUp',
    title: 'Top-up',
    why: 'Now the deposit of 2.00 is used up as well. More goes into the same channel, then a new voucher.',
    requests: [2_500, 2_500, 5_000],
    together: false,
  },
  {
    act: 'concurrent',
    title: 'Twenty at once',
    why: 'Voucher and deposit are used up again, and 20 requests find out together. They share the remedy.',
    requests: Array.from({ length: 20 }, () => 150),
    together: true,
  },
]

/** The last act: nothing is asked for, the channel is closed. */
export const CLOSE: Step = {
  act: 'close',
  title: 'Close',
  why: 'The payee takes what was spent. The rest of the deposit goes back to the payer, on the chain.',
  requests: [],
  together: false,
}
