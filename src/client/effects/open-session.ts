// Signs the open transaction of a channel and its first voucher, and stores both before anything is sent.
// Must never sign a second open while the first may still be included.

import { needsApproval, type PaymentFlowEvent, type PlannedInput } from '../../../machines/index.js'
import type { HeldLease } from '../../sessions/index.js'
import { signOpen, signVoucher } from '../../tempo/index.js'
import { resourceOf } from '../capture.js'
import { releaseLease } from '../flow-holdings.js'
import { accessOf } from '../flow-state.js'
import { viewFor } from '../runtime.js'
import {
  type Authorisation,
  authorise,
  holdChannelPolicy,
  holdDepositLimit,
  holdVoucherLimit,
  withinTotal,
} from './authorise.js'
import { type EffectScope, signing } from './effect.js'
import { authoriseDeposit, insteadOfDeposit, openTerms } from './funding.js'

export async function openSession(scope: EffectScope<PlannedInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow, input, signal } = scope
  const first = await authorise(scope, 'open')
  if ('changed' in first) return { type: 'SESSION_CHANGED', session: first.changed }
  const { placed, record, view } = first
  // The lease is kept from here on: nobody else touches the channel before the server has answered.
  if (record?.status === 'opening') return { type: 'OPEN_RESUMED', session: view }
  const { limits } = input.context
  try {
    return await withinTotal(runtime, placed, limits, signal, async (dependsOn) => {
      // Planned once more: another channel may have taken the room while this one waited.
      const authorised = await authoriseDeposit(scope, 'open')
      if (!('plan' in authorised)) return insteadOfDeposit(authorised)
      // More than was approved: it is asked for again.
      if (needsApproval(authorised.plan, limits, input.context.approvedDeposit)) {
        await releaseLease(flow)
        return { type: 'SESSION_CHANGED', session: authorised.view }
      }
      return signAndStore(scope, authorised, dependsOn)
    })
  } catch (error) {
    await releaseLease(flow)
    throw error
  }
}

async function signAndStore(
  { runtime, flow, input, signal }: EffectScope<PlannedInput>,
  { placed, lease, view, plan }: Authorisation<'open'>,
  dependsOn: readonly HeldLease[],
): Promise<PaymentFlowEvent> {
  const { place, key } = placed
  const { chainId, escrow } = place
  const { limits } = input.context
  holdVoucherLimit(limits, view, plan.cumulative)
  holdDepositLimit(limits, view, plan.deposit)
  holdChannelPolicy(runtime, place, { ...place, authorizedSigner: place.signer })
  const client = await runtime.clientFor(chainId)
  const open = await signing('open', () =>
    signOpen(client, { ...openTerms(runtime, placed), deposit: BigInt(plan.deposit) }),
  )
  const { channelId, descriptor, transaction, transactionHash, validBefore } = open
  const feeAtMost = open.feeAtMost.toString()
  const cumulative = plan.cumulative
  const first = { channelId, cumulative: BigInt(cumulative), chainId, escrow }
  const voucher = await signing('voucher', () => signVoucher(runtime.voucherSigner, first))
  // Left while the account was thinking: its leases are given back, and nobody will send this.
  signal.throwIfAborted()
  const event = {
    type: 'OPEN_SIGNED',
    channelId,
    descriptor,
    resource: resourceOf(flow.to),
    deposit: plan.deposit,
    cumulative,
    transactionHash,
    validBefore,
  } as const
  const signed = { voucher, transaction, access: accessOf(flow) }
  const stored = await runtime.ledger.apply(key, place, event, { lease, dependsOn, ...signed })
  flow.lastSeenCumulative = cumulative
  runtime.noteOpening(flow.to.url)
  const session = await viewFor(runtime, placed, stored)
  return { type: 'OPEN_SIGNED', session, deposit: plan.deposit, cumulative, feeAtMost }
}
