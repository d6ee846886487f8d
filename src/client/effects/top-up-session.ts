// Signs a top-up, stores it, sends it to the gateway, and believes it only when the chain shows it.
// Must never sign a second top-up while the first may still be included.

import { max, needsApproval, type PaymentFlowEvent, type PlannedInput } from '../../../machines/index.js'
import { type Challenge, formatCredential, formatSource } from '../../protocol/index.js'
import type { HeldLease, SessionRecord } from '../../sessions/index.js'
import { ChainFailure, readChannel, readChannelAtBlock, signTopUp } from '../../tempo/index.js'
import { paidEvent } from '../answer-events.js'
import { releaseLease } from '../flow-holdings.js'
import { keepAnswer, type PlacedFlow } from '../flow-state.js'
import { type Runtime, referenceFor, viewFor } from '../runtime.js'
import { SendFailure } from '../send.js'
import { type Authorisation, authorise, holdChannelPolicy, holdDepositLimit, withinTotal } from './authorise.js'
import { contradictionIn } from './contradiction.js'
import { channelOf, isExpired } from './credential.js'
import { type EffectScope, signing } from './effect.js'
import { authoriseDeposit, insteadOfDeposit, topUpTerms } from './funding.js'
import { manageChannel } from './manage-channel.js'

/** How often, and how many times, the chain is asked for a top-up that the gateway reported as done. */
const LOOK_EVERY_MS = 250
const LOOKS = 12

export async function topUpSession(scope: EffectScope<PlannedInput>): Promise<PaymentFlowEvent> {
  const { flow } = scope
  const first = await authorise(scope, 'topUp')
  if ('changed' in first) return { type: 'SESSION_CHANGED', session: first.changed }
  try {
    if (isExpired(first.placed.challenge, scope.runtime.clock)) return { type: 'CHALLENGE_EXPIRED' }
    const { limits } = scope.input.context
    const signed = await withinTotal(
      scope.runtime,
      first.placed,
      limits,
      scope.signal,
      async (dependsOn): Promise<Signed> => {
        // Planned once more: another channel may have taken the room while this one waited.
        const authorised = await authoriseDeposit(scope, 'topUp')
        if (!('plan' in authorised)) return { event: insteadOfDeposit(authorised) }
        const { view, plan } = authorised
        // More than was approved: it is asked for again.
        if (needsApproval(plan, limits, scope.input.context.approvedDeposit)) {
          return { event: { type: 'SESSION_CHANGED', session: view } }
        }
        return signAndStore(scope, authorised, dependsOn)
      },
    )
    if ('event' in signed) return signed.event
    return await sendAndConfirm(scope, first, signed.record)
  } finally {
    await releaseLease(flow)
  }
}

type Signed = { readonly record: SessionRecord } | { readonly event: PaymentFlowEvent }

async function signAndStore(
  scope: EffectScope<PlannedInput>,
  { placed, lease, record, view, plan }: Authorisation<'topUp'>,
  dependsOn: readonly HeldLease[],
): Promise<Signed> {
  const { runtime, input } = scope
  // Signed before and still valid: the same transaction is sent again.
  if (record?.status === 'toppingUp' && record.secrets.pendingTransaction !== null) return { record }
  const wanted = BigInt(view.deposit) + BigInt(plan.additionalDeposit)
  holdDepositLimit(input.context.limits, view, wanted.toString())
  const { channelId, descriptor } = channelOf(record)
  const { place, key } = placed
  holdChannelPolicy(runtime, place, descriptor)
  const client = await runtime.clientFor(place.chainId)
  // An older deposit than the one that is known would make a top-up seem to have arrived before it was sent.
  const notBefore = record?.session.seenAtBlock ?? null
  const { deposit, settled, block } = await readChannelAtBlock(client, {
    channelId,
    escrow: place.escrow,
    notBefore,
    ...referenceFor(runtime, record),
  })
  const contradiction = contradictionIn(record, settled)
  if (contradiction !== null) throw new ChainFailure('contradiction', contradiction)
  if (deposit > BigInt(view.deposit)) {
    // The ledger is older than the chain (restored from a copy, say): limits hold for what the channel really has.
    const seen = { type: 'DEPOSIT_SEEN', deposit: deposit.toString(), settled: settled.toString(), block } as const
    const known = await runtime.ledger.apply(key, place, seen, { lease })
    return { event: { type: 'SESSION_CHANGED', session: await viewFor(runtime, placed, known) } }
  }
  const topUp = await signing('top-up', () =>
    signTopUp(client, { ...topUpTerms(runtime, placed, record), additionalDeposit: BigInt(plan.additionalDeposit) }),
  )
  const { transaction, transactionHash, validBefore } = topUp
  const feeAtMost = topUp.feeAtMost.toString()
  const { additionalDeposit } = plan
  const reaching = (deposit + BigInt(additionalDeposit)).toString()
  // Left while the account was thinking: its leases are given back, and nobody will send this.
  scope.signal.throwIfAborted()
  const event = { type: 'TOP_UP_SIGNED', additionalDeposit, reaching, transactionHash, validBefore } as const
  const stored = await runtime.ledger.apply(key, place, event, { lease, dependsOn, transaction })
  const session = await viewFor(runtime, placed, stored)
  scope.emit({ type: 'TOP_UP_SIGNED', session, additionalDeposit, feeAtMost })
  return { record: stored }
}

async function sendAndConfirm(
  scope: EffectScope<PlannedInput>,
  { placed, lease }: Authorisation<'topUp'>,
  record: SessionRecord,
): Promise<PaymentFlowEvent> {
  const { runtime, flow, signal } = scope
  const { key, place } = placed
  try {
    const answer = await manageChannel(scope, placed, {
      credentialFor: (challenge) => credentialOf(placed, challenge, record),
      timeoutMs: runtime.policy.timeouts.topUpMs,
    })
    if (!answer.ok) {
      keepAnswer(flow, answer)
      return paidEvent(answer)
    }
    // A resource that is asked by GET may answer with content, and without end.
    await answer.discard()
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error
    if (!error.left) return { type: 'CONNECTION_FAILED', reason: error.message }
    // It may have arrived: only the chain can tell.
  }
  const reached = await depositReaching(runtime, placed, record, signal)
  if (reached === null) return { type: 'TOP_UP_UNCONFIRMED' }
  const { block } = reached
  const event = { type: 'TOP_UP_CONFIRMED', deposit: max(reached.deposit, record.session.deposit), block } as const
  const confirmed = await runtime.ledger.apply(key, place, event, { lease })
  return { type: 'TOPPED_UP', session: await viewFor(runtime, placed, confirmed) }
}

function credentialOf({ place }: PlacedFlow, challenge: Challenge, record: SessionRecord): string {
  const { channelId, descriptor } = channelOf(record)
  const { pendingTransaction } = record.secrets
  if (pendingTransaction === null) throw new Error('the ledger holds no signed top-up')
  return formatCredential({
    challenge,
    source: formatSource(place.chainId, place.payer),
    payload: {
      action: 'topUp',
      type: 'transaction',
      channelId,
      transaction: pendingTransaction,
      descriptor,
      additionalDeposit: record.session.pending?.amount ?? '0',
    },
  })
}

/** The deposit on the chain once it includes the top-up, and in which block; null when it does not in time. */
async function depositReaching(
  runtime: Runtime,
  { place }: PlacedFlow,
  record: SessionRecord,
  signal: AbortSignal,
): Promise<{ readonly deposit: string; readonly block: number } | null> {
  const { channelId } = channelOf(record)
  const wanted = BigInt(record.session.pending?.reaching ?? '0')
  const client = await runtime.clientFor(place.chainId)
  const until = runtime.clock.now() + runtime.policy.timeouts.topUpMs
  for (let look = 0; look < LOOKS && runtime.clock.now() <= until; look += 1) {
    const where = { channelId, escrow: place.escrow, ...referenceFor(runtime, record) }
    // Which block it is in is asked once it has arrived.
    if ((await readChannel(client, where)).deposit >= wanted) {
      const { deposit, block } = await readChannelAtBlock(client, where)
      if (deposit >= wanted) return { deposit: deposit.toString(), block }
    }
    await runtime.clock.pause(LOOK_EVERY_MS, signal)
  }
  return null
}
