// Signs the next voucher of a channel, once for everybody who waits for it.
// Must never sign without the lease, beyond the deposit or a limit, nor let a voucher out that is not stored.

import type { PaymentFlowEvent, PlannedInput } from '../../../machines/index.js'
import { signVoucher as sign } from '../../tempo/index.js'
import { releaseLease } from '../flow-holdings.js'
import { viewFor } from '../runtime.js'
import { authorise, holdChannelPolicy, holdVoucherLimit } from './authorise.js'
import { channelOf } from './credential.js'
import { type EffectScope, signing } from './effect.js'

export async function signVoucher(scope: EffectScope<PlannedInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow, input } = scope
  const authorised = await authorise(scope, 'sign')
  if ('changed' in authorised) return { type: 'SESSION_CHANGED', session: authorised.changed }
  const { placed, lease, record, view, plan } = authorised
  try {
    holdVoucherLimit(input.context.limits, view, plan.cumulative)
    const { channelId, descriptor } = channelOf(record)
    const { chainId, escrow } = placed.place
    holdChannelPolicy(runtime, placed.place, descriptor)
    const next = { channelId, cumulative: BigInt(plan.cumulative), chainId, escrow }
    const voucher = await signing('voucher', () => sign(runtime.voucherSigner, next))
    const event = { type: 'VOUCHER_SIGNED', cumulative: plan.cumulative } as const
    const stored = await runtime.ledger.apply(placed.key, placed.place, event, { lease, voucher })
    flow.lastSeenCumulative = plan.cumulative
    return { ...event, session: await viewFor(runtime, placed, stored) }
  } finally {
    // A channel that is being opened keeps its lease until the server has answered the open.
    if (view.status !== 'opening') await releaseLease(flow)
  }
}
