// The named parts of the payment-flow machine: its effects' inputs, its guards and its actions.
// Must never hold a transition, nor an effect that does something: those are provided by whoever runs the machine.

import { assign, fromCallback, setup } from 'xstate'
import type { Amount } from './amount.js'
import type { RecoveryMeta } from './leads-to.js'
import * as failure from './payment-flow.failures.js'
import type {
  ChallengeSummary,
  Demand,
  PaymentFlowContext,
  PaymentFlowEvent,
  PaymentFlowInput,
  PaymentFlowOutput,
  Plan,
  Turn,
} from './payment-flow.types.js'
import * as update from './payment-flow.updates.js'
import { plan as makePlan, needsApproval } from './planning.js'

/** What every effect is told: the id under which the client keeps the flow's bytes and secrets, and nothing secret. */
export interface EffectInput {
  readonly flow: string
}

/** Input of the effect that judges a receipt. */
export interface AnsweredInput extends EffectInput {
  /** The cumulative amount that the gateway has refused as used up before it took the next one; null when it has not. */
  readonly usedUp: Amount | null
}

/** Input of effects that act on a plan. */
export interface PlannedInput extends EffectInput {
  readonly plan: Plan | null
  readonly context: {
    readonly challenge: ChallengeSummary | null
    readonly demand: Demand | null
    readonly limits: PaymentFlowContext['limits']
    readonly reconciled: boolean
    readonly turn: Turn
    /** What may be moved, where moving needs an approval; null while nothing was approved. */
    readonly approvedDeposit: Amount | null
  }
}

type Effect<Input extends EffectInput> = ReturnType<typeof fromCallback<PaymentFlowEvent, Input>>

function effect<Input extends EffectInput>(name: string): Effect<Input> {
  return fromCallback<PaymentFlowEvent, Input>(() => {
    throw new Error(`payment-flow runs without its "${name}" effect: give it with machine.provide({ actors })`)
  })
}

/** Input of an effect that acts on the plan. */
export function planned({ context }: { context: PaymentFlowContext }): PlannedInput {
  const { flow, plan, challenge, demand, limits, reconciled, turn, approvedDeposit } = context
  return { flow, plan, context: { challenge, demand, limits, reconciled, turn, approvedDeposit } }
}

/** Input of the effect that judges the receipt of an answer. */
export function answered({ context }: { context: PaymentFlowContext }): AnsweredInput {
  return { flow: context.flow, usedUp: update.usedUp(context) }
}

/** Input of an effect that needs no more than its flow. */
export function flowOf({ context }: { context: PaymentFlowContext }): EffectInput {
  return { flow: context.flow }
}

/** What the flow ends with. */
export function outputOf({ context }: { context: PaymentFlowContext }): PaymentFlowOutput {
  const { failure, receipt, receiptProblem, settlement, authorised, references } = context
  const status = failure !== null ? 'failed' : context.purpose === 'close' ? 'closed' : 'succeeded'
  const token = context.challenge?.currency ?? null
  return { status, failure, receipt, receiptProblem, settlement, authorised, references, token }
}

const withinBound = (context: PaymentFlowContext, event: PaymentFlowEvent): boolean =>
  update.recoveriesLeft(context, update.recoveryName(event)) > 0

/** Everything the machine refers to by name. */
export const paymentFlowSetup = setup({
  types: {} as {
    context: PaymentFlowContext
    events: PaymentFlowEvent
    input: PaymentFlowInput
    output: PaymentFlowOutput
    meta: RecoveryMeta
    tags: 'network' | 'wallet' | 'waiting' | 'recovering' | 'final'
  },
  actors: {
    sendUnpaid: effect<EffectInput & { readonly purpose: 'pay' | 'close'; readonly closing: string | null }>(
      'sendUnpaid',
    ),
    parseChallenge: effect<EffectInput & { readonly skip: number; readonly committed: boolean }>('parseChallenge'),
    acquireSession: effect<EffectInput>('acquireSession'),
    awaitAcknowledgement: effect<PlannedInput>('awaitAcknowledgement'),
    requestApproval: effect<PlannedInput>('requestApproval'),
    openSession: effect<PlannedInput>('openSession'),
    topUpSession: effect<PlannedInput>('topUpSession'),
    signVoucher: effect<PlannedInput>('signVoucher'),
    reconcileSession: effect<EffectInput>('reconcileSession'),
    sendPaid: effect<EffectInput>('sendPaid'),
    resendPaid: effect<EffectInput>('resendPaid'),
    verifyReceipt: effect<AnsweredInput>('verifyReceipt'),
    wait: effect<EffectInput & { readonly ms: number }>('wait'),
    sendClose: effect<EffectInput & { readonly closing: string | null }>('sendClose'),
  },
  guards: {
    withinBound: ({ context, event }) => withinBound(context, event),
    withinBoundAndChallenged: ({ context, event }) =>
      withinBound(context, event) && 'challengesOffered' in event && event.challengesOffered > 0,
    /** The answer says when to come back, and has nothing to go on with: it is asked anew then, not before. */
    withinBoundToldToWait: ({ context, event }) =>
      withinBound(context, event) &&
      'retryAfterMs' in event &&
      (event.retryAfterMs ?? 0) > 0 &&
      update.recoveriesLeft(context, 'RETRY_AFTER') > 0,
    challenged: ({ event }) => 'challengesOffered' in event && event.challengesOffered > 0,
    /** The answer asks for a payment, whatever else it says (402, and a challenge). */
    asksForPayment: ({ event }) => 'challengesOffered' in event && event.status === 402 && event.challengesOffered > 0,
    /** The answer that brought the challenge says when to come back (`Retry-After`), and that was not waited for yet. */
    askedToWait: ({ context }) => update.isAskedToWait(context),
    withinBoundAskedToWait: ({ context, event }) =>
      update.isAskedToWait(context) && withinBound(context, event) && update.recoveriesLeft(context, 'RETRY_AFTER') > 0,
    withinBoundOnChannel: ({ context, event }) => withinBound(context, event) && context.challenge !== null,
    anotherChallengeOffered: ({ context, event }) =>
      'challengesOffered' in event && event.challengesOffered > 1 && (context.counts[event.type] ?? 0) === 0,
    /** What the wallet lacks for one offer it may have for another, as long as nothing was signed or sent. */
    mayTakeAnotherOffer: ({ context, event }) =>
      context.anotherOffer && !update.hasAuthorised(context) && withinBound(context, event),
    mayAskChainAgain: ({ context, event }) =>
      event.type === 'CHAIN_UNAVAILABLE' && event.lasting !== true && withinBound(context, event),
    mayRepeatWork: ({ context, event }) => context.limits.retryCommitFailed && (context.counts[event.type] ?? 0) === 0,
    /** After a 429 or 503 most likely nothing was run; after any other server error it may have been. */
    mayResendPaid: ({ context, event }) =>
      context.limits.resendPaid && !('mayHaveRun' in event && event.mayHaveRun) && withinBound(context, event),
    isClosing: ({ context }) => context.purpose === 'close',
    planReuses: ({ context }) => context.plan?.kind === 'reuse',
    planSigns: ({ context }) => context.plan?.kind === 'sign',
    planOpens: ({ context }) => context.plan?.kind === 'open',
    /** The channel that this flow opened in place of another is gone as well. */
    planReplacesAgain: ({ context }) =>
      context.plan?.kind === 'open' &&
      context.session?.status !== 'opening' &&
      context.authorised.paidSends > 0 &&
      update.recoveriesLeft(context, 'OPEN_SIGNED') === 0,
    planTopsUp: ({ context }) => context.plan?.kind === 'topUp',
    planWaits: ({ context }) => context.plan?.kind === 'awaitAcknowledgement',
    /** A limit of the caller is in the way. */
    planRefuses: ({ context }) => context.plan?.kind === 'refuse',
    planReconciles: ({ context }) => context.plan?.kind === 'reconcile',
    needsApproval: ({ context }) =>
      context.plan !== null && needsApproval(context.plan, context.limits, context.approvedDeposit),
    deniedThoughFunded: ({ context, event }) =>
      event.type === 'SESSION_RECONCILED' &&
      (context.disputed === 'session/channel-not-found' || context.disputed === 'session/channel-finalized') &&
      // Another flow may have opened the next channel by now: that one was not denied.
      event.session.channelId === context.session?.channelId &&
      (event.session.status === 'open' || event.session.status === 'toppingUp'),
    disputedWithChallenge: ({ context }) => context.disputed !== null && context.unreadChallenges > 0,
    /** Where that is used up, the challenge that is asked for instead is not answered. */
    disputedAskedToWait: ({ context, event }) =>
      context.disputed !== null && update.isAskedToWait(context) && withinBound(context, event),
    disputed: ({ context }) => context.disputed !== null,
    thenAuthorizing: ({ context }) => context.afterBackoff === 'authorizing',
    thenPaying: ({ context }) => context.afterBackoff === 'paying',
    thenResending: ({ context }) => context.afterBackoff === 'resending',
    thenParsing: ({ context }) => context.afterBackoff === 'parsing',
    thenReconciling: ({ context }) => context.afterBackoff === 'reconciling',
  },
  actions: {
    count: assign(({ context, event }) => update.count(context, event)),
    countWait: assign(({ context }) => update.countAs(context, 'RETRY_AFTER')),
    noteAnswer: assign(({ context, event }) => update.noteAnswer(context, event)),
    noteOffer: assign(({ context, event }) => update.noteOffer(context, event)),
    noteChallenge: assign(({ context, event }) => update.noteChallenge(context, event)),
    noteSession: assign(({ context, event }) => update.noteSession(context, event)),
    noteSigned: assign(({ context, event }) => update.noteSigned(context, event)),
    noteApproval: assign(({ context }) => update.noteApproval(context)),
    noteReceipt: assign(({ context, event }) => update.noteReceipt(context, event)),
    noteSend: assign(({ context }) => update.noteSend(context)),
    noteOpenSend: assign(({ context, event }) => update.noteOpenSend(context, event)),
    noteSettlement: assign(({ context, event }) => update.noteSettlement(context, event)),
    demandVoucher: assign(({ context, event }) => update.demandVoucher(context, event)),
    demandDeposit: assign(({ context, event }) => update.demandDeposit(context, event)),
    demandSignature: assign(({ context, event }) => update.demandSignature(context, event)),
    skipChallenge: assign(({ context }) => ({ skipChallenges: context.skipChallenges + 1 })),
    takeAnotherOffer: assign(({ context }) => update.takeAnotherOffer(context)),
    dispute: assign(({ event }) => ({ disputed: event.type })),
    settleDispute: assign({ disputed: null }),
    backOffToRequesting: assign(({ context, event }) => update.backOff(context, event, 'requesting')),
    backOffToParsing: assign(({ context, event }) => update.backOff(context, event, 'parsing')),
    backOffToAuthorizing: assign(({ context, event }) => update.backOff(context, event, 'authorizing')),
    backOffToPaying: assign(({ context, event }) => update.backOff(context, event, 'paying')),
    backOffToResending: assign(({ context, event }) => update.backOff(context, event, 'resending')),
    backOffToReconciling: assign(({ context, event }) => update.backOff(context, event, 'reconciling')),
    backOffToClosing: assign(({ context, event }) => update.backOff(context, event, 'closing')),
    plan: assign(({ context }) => {
      const { challenge, session, limits, demand, reconciled, turn } = context
      if (challenge === null || session === null) return { plan: null }
      return { plan: makePlan({ challenge, session, limits, demand, reconciled, turn }) }
    }),
    fail: assign(({ context, event }) => failure.fail(context, event)),
    failUnknown: assign(({ context, event }) => failure.failUnknown(context, event)),
    failByPlan: assign(({ context }) => failure.failByPlan(context)),
    failByReplacement: assign(({ context }) => failure.failByReplacement(context)),
    failByDispute: assign(({ context }) => failure.failByDispute(context)),
  },
})
