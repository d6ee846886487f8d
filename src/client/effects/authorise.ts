// What every signing effect does first: take the lease, plan again from the record, and hold the plan against the limits.
// Must never let a plan that is no longer right, or that crosses a limit, reach the account.

import {
  exceeds,
  type FlowLimits,
  type LimitName,
  type Plan,
  type PlannedInput,
  plan,
  type SessionView,
  subtract,
  sum,
} from '../../../machines/index.js'
import type { HeldLease, SessionRecord } from '../../sessions/index.js'
import { dropLease, holdLease, type PlacedFlow, placedFlow, type Ring, viewFor } from '../ring.js'
import type { EffectScope } from './effect.js'

/** The lease is held and the plan still stands. */
export interface Authorisation<Kind extends Plan['kind']> {
  readonly placed: PlacedFlow
  readonly lease: HeldLease
  readonly record: SessionRecord | undefined
  readonly view: SessionView
  readonly plan: Extract<Plan, { readonly kind: Kind }>
}

/** The record has changed so that something else must be done; the lease was given back. */
export interface Changed {
  readonly changed: SessionView
}

/**
 * Takes the lease and makes the plan again from the record as it is then: of all flows that wanted the same, the first
 * one signs, and the others find that it was done.
 *
 * @throws StoreError when the lease is not free in time.
 */
export async function authorise<Kind extends Plan['kind']>(
  { ring, flow, input, signal }: EffectScope<PlannedInput>,
  kind: Kind,
): Promise<Authorisation<Kind> | Changed> {
  const placed = placedFlow(ring, flow.id)
  const lease = await holdLease(ring, flow, placed.key, signal)
  const record = await ring.ledger.read(placed.key)
  const view = await viewFor(ring, placed, record)
  const { challenge, ...context } = input.context
  const again = challenge === null ? null : plan({ ...context, challenge, session: view }, ring.policy.strategy)
  if (again !== null && isPlan(again, kind)) return { placed, lease, record, view, plan: again }
  await dropLease(flow)
  return { changed: view }
}

function isPlan<Kind extends Plan['kind']>(made: Plan, kind: Kind): made is Extract<Plan, { readonly kind: Kind }> {
  return made.kind === kind
}

/** The limit that a voucher would cross, found once more right before it is signed. */
export function voucherLimit(limits: FlowLimits, view: SessionView, cumulative: string): LimitName | null {
  if (limits.maxCumulative !== null && exceeds(cumulative, limits.maxCumulative)) return 'maxCumulative'
  // Signing again what was signed before exposes nothing more.
  if (!exceeds(cumulative, view.signed)) return null
  return exceeds(subtract(cumulative, view.spent), limits.maxExposure) ? 'maxExposure' : null
}

/** The limit that a deposit would cross, found once more right before it is signed for. */
export function depositLimit(limits: FlowLimits, view: SessionView, deposit: string): LimitName | null {
  if (exceeds(deposit, limits.maxDeposit)) return 'maxDeposit'
  if (limits.maxTotalDeposit === null) return null
  return exceeds(sum([deposit, view.depositedElsewhere]), limits.maxTotalDeposit) ? 'maxTotalDeposit' : null
}

/**
 * Deposits into different channels are lined up while a total is watched, so that two of them cannot both find the same
 * room. What is signed within must look at the total once more.
 */
export async function withinTotal<T>(
  ring: Ring,
  { place }: PlacedFlow,
  limits: FlowLimits,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  if (limits.maxTotalDeposit === null) return work()
  const all = `deposits:${place.chainId}:${place.payer}:${place.token}`
  const lease = await ring.ledger.lease(all, { signal, timeoutMs: ring.policy.timeouts.sessionMs })
  try {
    return await work()
  } finally {
    await lease.release()
  }
}
