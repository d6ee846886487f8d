// What may be signed for a channel that was found on the chain, when nobody remembers what was signed for it before.
// Must never let more be signed than the policy exposes beyond what receipts acknowledge: a node may lie about the rest.

import { type Amount, add, exceeds, max, min } from './amount.js'
import type { FlowLimits } from './payment-flow.types.js'
import type { SessionContext } from './session.types.js'

/** The limits that bound vouchers. */
export type VoucherLimits = Pick<FlowLimits, 'maxExposure' | 'maxCumulative'>

/**
 * Whether requests may be paid with a channel of which nobody remembers what was signed. The payee may hold a voucher for
 * as much as the deposit, and refuses lower ones. Only when the policy lets all of that be signed, no voucher can be
 * refused for good; any other channel is kept beside the one in use, and can be closed. What a node says was settled makes
 * no room: nothing here acknowledges it.
 */
export function mayPayWithAdopted(
  found: { readonly deposit: Amount },
  { maxExposure, maxCumulative }: VoucherLimits,
): boolean {
  if (maxCumulative !== null && exceeds(found.deposit, maxCumulative)) return false
  return !exceeds(found.deposit, maxExposure)
}

/**
 * The most that may be signed to close an adopted channel, in base units, when the payee has refused the amount that is
 * known: it captures what was spent, and that may be more than this side remembers.
 */
export function mostForClose(
  session: Pick<SessionContext, 'deposit' | 'signed' | 'spent'>,
  { maxExposure, maxCumulative }: VoucherLimits,
): Amount {
  const bound = add(session.spent, maxExposure)
  const most = min(session.deposit, bound, ...(maxCumulative === null ? [] : [maxCumulative]))
  return max(session.signed, most)
}
