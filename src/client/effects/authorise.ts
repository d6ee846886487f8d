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
import type { ChannelDescriptor } from '../../protocol/index.js'
import type { ChannelScope, HeldLease, SessionRecord } from '../../sessions/index.js'
import { effectiveSigner, sameHex } from '../../tempo/index.js'
import { acquireLease, releaseLease } from '../flow-holdings.js'
import type { PlacedFlow } from '../flow-state.js'
import { refuseChannel } from '../policy.js'
import { placedFlow, type Runtime, viewFor } from '../runtime.js'
import { unlessAborted } from '../within.js'
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
  scope: EffectScope<PlannedInput>,
  kind: Kind,
): Promise<Authorisation<Kind> | Changed> {
  const { runtime, flow, signal } = scope
  const placed = placedFlow(runtime, flow.id)
  const lease = await acquireLease(runtime, flow, placed.key, signal)
  const record = await runtime.ledger.read(placed.key)
  // Others may have deposited since anybody looked.
  const view = await viewFor(runtime, placed, record, 'now')
  const { made } = planAgain(scope, view, kind)
  if (made !== null) return { placed, lease, record, view, plan: made }
  await releaseLease(flow)
  return { changed: view }
}

/** The plan as it is made of the channel now: the one that is wanted, or another. */
export function planAgain<Kind extends Plan['kind']>(
  { runtime, input }: Pick<EffectScope<PlannedInput>, 'runtime' | 'input'>,
  session: SessionView,
  kind: Kind,
):
  | { readonly made: Extract<Plan, { readonly kind: Kind }>; readonly other: null }
  | { readonly made: null; readonly other: Plan | null } {
  const { challenge, ...context } = input.context
  if (challenge === null) return { made: null, other: null }
  const again = plan({ ...context, challenge, session }, runtime.policy.strategy)
  return isPlan(again, kind) ? { made: again, other: null } : { made: null, other: again }
}

function isPlan<Kind extends Plan['kind']>(made: Plan, kind: Kind): made is Extract<Plan, { readonly kind: Kind }> {
  return made.kind === kind
}

/**
 * A plan would have crossed a limit: planning never lets that happen, so this is a fault of this client, and nothing is
 * signed.
 */
export class LimitBreached extends Error {
  override readonly name = 'LimitBreached'
  constructor(readonly limit: LimitName) {
    super(`a plan would have crossed ${limit}`)
  }
}

/** What is about to be signed is for a channel that the policy does not allow, or of somebody else: nothing is signed. */
export class ChannelRefused extends Error {
  override readonly name = 'ChannelRefused'
}

/**
 * Holds a channel against the policy once more, right before anything is signed for it: by the descriptor that is signed
 * for, whatever the challenge has said and the store has kept.
 *
 * @throws ChannelRefused
 */
export function holdChannelPolicy(
  { policy, account, voucherSigner }: Runtime,
  { chainId, escrow }: Pick<ChannelScope, 'chainId' | 'escrow'>,
  descriptor: Omit<ChannelDescriptor, 'salt' | 'expiringNonceHash'>,
): void {
  const { token, payee, payer, operator } = descriptor
  const refused = refuseChannel(policy, { chainId, escrow, token, payee, operator })
  if (refused !== null) throw new ChannelRefused(refused)
  if (!sameHex(payer, account.address)) throw new ChannelRefused('another account pays for this channel')
  if (!sameHex(effectiveSigner(descriptor), voucherSigner.address)) {
    throw new ChannelRefused('another key signs the vouchers of this channel')
  }
}

/** Holds a voucher against the limits once more, right before it is signed. @throws LimitBreached */
export function holdVoucherLimit(limits: FlowLimits, view: SessionView, cumulative: string): void {
  if (limits.maxCumulative !== null && exceeds(cumulative, limits.maxCumulative)) {
    throw new LimitBreached('maxCumulative')
  }
  // Signing again what was signed before exposes nothing more.
  if (!exceeds(cumulative, view.signed)) return
  if (exceeds(subtract(cumulative, view.spent), limits.maxExposure)) throw new LimitBreached('maxExposure')
}

/** Holds a deposit against the limits once more, right before it is signed for. @throws LimitBreached */
export function holdDepositLimit(limits: FlowLimits, view: SessionView, deposit: string): void {
  if (exceeds(deposit, limits.maxDeposit)) throw new LimitBreached('maxDeposit')
  if (limits.maxTotalDeposit !== null && exceeds(sum([deposit, view.depositedElsewhere]), limits.maxTotalDeposit)) {
    throw new LimitBreached('maxTotalDeposit')
  }
}

/**
 * Deposits into different channels are lined up while a total is watched, so that two of them cannot both find the same
 * room. What is signed within must look at the total once more, and is written under the lease that `work` gets: a process
 * that lost it cannot write, and what it signed never leaves it.
 */
export async function withinTotal<T>(
  runtime: Runtime,
  { place }: PlacedFlow,
  limits: FlowLimits,
  signal: AbortSignal,
  work: (dependsOn: readonly HeldLease[]) => Promise<T>,
): Promise<T> {
  if (limits.maxTotalDeposit === null) return work([])
  const all = `deposits:${place.chainId}:${place.payer}:${place.token}`
  const lease = await runtime.ledger.lease(all, { signal, timeoutMs: runtime.policy.timeouts.sessionMs })
  try {
    // Whoever was left while an account thinks keeps nobody waiting: what it signs after that is neither stored nor sent.
    return await unlessAborted(signal, work([lease]))
  } finally {
    await lease.release()
  }
}
