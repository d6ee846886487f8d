// What moving funds into a channel needs besides a plan: what the wallet can pay, and the terms of the transaction.
// Must never plan a deposit that the wallet cannot pay, nor ask the chain where nothing is deposited.

import { movedBy, type PaymentFlowEvent, type PlannedInput } from '../../../machines/index.js'
import type { SessionRecord } from '../../sessions/index.js'
import {
  describeShortage,
  type OpenTerms,
  readChannelAtBlock,
  readSpendableForOpen,
  readSpendableForTopUp,
  type Spendable,
  type TopUpTerms,
} from '../../tempo/index.js'
import { releaseLease } from '../flow-holdings.js'
import type { PlacedFlow } from '../flow-state.js'
import { type Runtime, referenceFor } from '../runtime.js'
import { type Authorisation, authorise, type Changed, planAgain } from './authorise.js'
import { channelOf } from './credential.js'
import type { EffectScope } from './effect.js'

/** What moves funds. */
export type FundingKind = 'open' | 'topUp'

/** The wallet holds less than the least deposit; the lease was given back. */
export interface Unfunded {
  readonly lacks: string
}

/**
 * The same as `authorise`, with a deposit that the wallet can pay: as much as is planned, as little as the voucher needs.
 * A deposit that was signed before is sent again as it is.
 *
 * @throws StoreError when the lease is not free in time; ChainFailure when the balance cannot be read.
 */
export async function authoriseDeposit<Kind extends FundingKind>(
  scope: EffectScope<PlannedInput>,
  kind: Kind,
): Promise<Authorisation<Kind> | Changed | Unfunded> {
  const { runtime, flow } = scope
  const authorised = await authorise(scope, kind)
  if ('changed' in authorised || isResumed(authorised.plan)) return authorised
  const { placed, record } = authorised
  try {
    const { balance, fee } = await spendableFor(runtime, placed, kind, record)
    const spendable = balance > fee ? balance - fee : 0n
    const view = { ...authorised.view, spendable: spendable.toString() }
    const plan = planAgain(scope, view, kind)
    if (plan.made !== null) return { ...authorised, view, plan: plan.made }
    await releaseLease(flow)
    if (plan.other?.kind !== 'unfunded') return { changed: view }
    const { payer: owner, token } = placed.place
    return { lacks: describeShortage({ owner, token, needed: BigInt(plan.other.needed), fee, held: balance }) }
  } catch (error) {
    await releaseLease(flow)
    throw error
  }
}

function isResumed(plan: object): boolean {
  return 'resumes' in plan && plan.resumes === true
}

/** What is reported instead, when there is no authorisation. */
export function insteadOfDeposit(result: Changed | Unfunded): PaymentFlowEvent {
  return 'changed' in result
    ? { type: 'SESSION_CHANGED', session: result.changed }
    : { type: 'WALLET_BALANCE_INSUFFICIENT', reason: result.lacks }
}

/** Whether what will be moved is what the chart has planned, and so what is asked about. */
export function isAsPlanned({ plan }: Authorisation<FundingKind>, { plan: planned }: PlannedInput): boolean {
  return planned !== null && movedBy(plan) === movedBy(planned)
}

async function spendableFor(
  runtime: Runtime,
  placed: PlacedFlow,
  kind: FundingKind,
  record: SessionRecord | undefined,
): Promise<Spendable> {
  const client = await runtime.clientFor(placed.place.chainId)
  if (kind === 'open') return readSpendableForOpen(client, openTerms(runtime, placed))
  try {
    return await readSpendableForTopUp(client, topUpTerms(runtime, placed, record))
  } catch (error) {
    // A node from before the channel was opened refuses to top it up: that says nothing about the channel.
    const { channelId } = channelOf(record)
    const notBefore = record?.session.seenAtBlock ?? null
    await readChannelAtBlock(client, {
      channelId,
      escrow: placed.place.escrow,
      notBefore,
      ...referenceFor(runtime, record),
    })
    throw error
  }
}

/** The terms of an open, apart from its deposit. */
export function openTerms(runtime: Runtime, placed: PlacedFlow): Omit<OpenTerms, 'deposit'> {
  const { payee, operator, token, signer } = placed.place
  return { ...transactionTerms(runtime, placed), payee, operator, token, authorizedSigner: signer }
}

/** The terms of a top-up, apart from what it adds. */
export function topUpTerms(
  runtime: Runtime,
  placed: PlacedFlow,
  record: SessionRecord | undefined,
): Omit<TopUpTerms, 'additionalDeposit'> {
  return { ...transactionTerms(runtime, placed), descriptor: channelOf(record).descriptor }
}

function transactionTerms({ account, policy, clock }: Runtime, { place, terms }: PlacedFlow) {
  const { chainId, escrow } = place
  return {
    account,
    chainId,
    escrow,
    maxFee: BigInt(policy.maxFee),
    clock,
    ...(terms.feePayer !== undefined && { feePayer: terms.feePayer }),
    ...(terms.feeToken !== undefined && { feeToken: terms.feeToken }),
  }
}
