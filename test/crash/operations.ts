// The operations in which a process dies: how each is brought about, and under which terms.
// Must never make an operation easier than it is: requests cost what a voucher covers, so that each step is needed.

import type { Terms } from './ground.js'
import type { Step } from './task.js'

export type OperationName =
  | 'open'
  | 'voucher'
  | 'top-up'
  | 'paid send'
  | 'close'
  | 'open again'
  | 'recovery'
  | 'forced close'
  | 'withdrawal'

export interface Operation {
  readonly name: OperationName
  readonly terms: Terms
  /** Done before, in the same process. */
  readonly before: readonly Step[]
  /** Where an earlier process died before this operation began. */
  readonly after?: { readonly steps: readonly Step[]; readonly kill: string }
  /** What is interrupted. */
  readonly act: Step
  /** Goes through the grace period: before the operation, or after it. */
  readonly grace?: 'before' | 'after'
}

/** Short, so that the next process soon goes on; long enough for processes that share two cores with many others. */
const LEASE_MS = 5_000

/** A request costs 0.1, and so does a voucher's bucket unless told otherwise. */
const terms = (suggestedDeposit: string, more: { bucket?: string; maxExposure?: string } = {}): Terms => ({
  gateway: { bucket: more.bucket ?? '0.1', suggestedDeposit },
  policy: { maxDeposit: '2', maxExposure: more.maxExposure ?? '0.2', timeouts: { leaseMs: LEASE_MS } },
})

export const FIRST: Step = { do: 'pay', ids: ['first'] }
const INTERRUPTED: Step = { do: 'pay', ids: ['interrupted'], armed: true }

export const OPERATIONS: readonly Operation[] = [
  { name: 'open', terms: terms('0.5'), before: [], act: INTERRUPTED },
  { name: 'voucher', terms: terms('0.5'), before: [FIRST], act: INTERRUPTED },
  { name: 'top-up', terms: terms('0.1'), before: [FIRST], act: INTERRUPTED },
  {
    name: 'paid send',
    terms: terms('0.6', { bucket: '0.3', maxExposure: '0.4' }),
    before: [FIRST],
    act: INTERRUPTED,
  },
  { name: 'close', terms: terms('0.5'), before: [FIRST], act: { do: 'close', armed: true } },
  {
    name: 'open again',
    terms: terms('0.5'),
    before: [FIRST, { do: 'close' }],
    act: INTERRUPTED,
  },
  {
    name: 'recovery',
    terms: terms('0.5'),
    before: [],
    after: { steps: [{ do: 'pay', ids: ['earlier'], armed: true }], kill: 'after send of open' },
    act: { do: 'recover', armed: true },
  },
  {
    name: 'forced close',
    terms: terms('0.5'),
    before: [FIRST],
    act: { do: 'force', untilWaiting: true, armed: true },
    grace: 'after',
  },
  {
    name: 'withdrawal',
    terms: terms('0.5'),
    before: [FIRST, { do: 'force', untilWaiting: true }],
    act: { do: 'force', armed: true },
    grace: 'before',
  },
]

/** Terms under which a channel whose record was destroyed may be paid with again: all of its deposit may be exposed. */
export function termsOfLostRecords({ terms: { gateway, policy } }: Operation): Terms {
  return { gateway, policy: { ...policy, maxExposure: '0.7' } }
}

/** What every case ends with, whatever came before. */
export const AFTERMATH: readonly Step[] = [
  { do: 'recover' },
  { do: 'pay', ids: ['last'] },
  { do: 'close' },
  { do: 'list' },
]

/** The same after a grace period. */
export const AFTERMATH_OF_FORCED: readonly Step[] = [
  { do: 'recover' },
  { do: 'force' },
  { do: 'pay', ids: ['last'] },
  { do: 'close' },
  { do: 'list' },
]
