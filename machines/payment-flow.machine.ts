// One HTTP request from its unpaid send to a receipt, or the close of one channel, as a statechart.
// Must never do I/O: effects are provided by whoever runs it and report every outcome as a named event.

import { to } from './leads-to.js'
import {
  backOffAndReChallenge,
  CLOSE_REJECTIONS,
  closeAgain,
  REJECTIONS,
  RESEND_REJECTIONS,
  UNPAID_REJECTIONS,
} from './payment-flow.recovery.js'
import { answered, flowOf, outputOf, paymentFlowSetup, planned } from './payment-flow.setup.js'
import { hasAuthorised, initialContext } from './payment-flow.updates.js'

const FAILED = { target: '#paymentFlow.failed', actions: ['fail'] } as const
const FAILED_BY_ANSWER = { target: '#paymentFlow.failed', actions: ['noteAnswer', 'fail'] } as const
const UNKNOWN = { target: '#paymentFlow.failed', actions: ['failUnknown'] } as const
const UNKNOWN_BY_ANSWER = {
  target: '#paymentFlow.failed',
  actions: ['noteAnswer', 'noteOpenSend', 'failUnknown'],
} as const
/** Ended while a paid send was on its way: what it carried may have been taken. */
const FAILED_WHILE_SENDING = { target: '#paymentFlow.failed', actions: ['noteSend', 'noteOpenSend', 'fail'] } as const

/** An answer that leaves open whether the work ran may be followed by the same credential, and by nothing else. */
const SEND_THE_SAME_AGAIN = [
  {
    guard: 'mayResendPaid',
    target: '#paymentFlow.backingOff',
    actions: ['count', 'noteAnswer', 'noteOpenSend', 'backOffToResending'],
    meta: to.resend,
  },
  UNKNOWN_BY_ANSWER,
] as const
const PLAN_AGAIN = [
  {
    guard: 'withinBound',
    target: '#paymentFlow.authorizing.planning',
    actions: ['count', 'noteSession'],
    meta: to.rePlan,
  },
  FAILED,
] as const
const ASK_ANEW = [
  { guard: 'withinBound', target: '#paymentFlow.requesting', actions: ['count'], meta: to.reChallenge },
  FAILED,
] as const
/** The same for a challenge that came with a wait: what is wrong with it makes the wait no shorter. */
const ASK_ANEW_WHEN_TOLD = [
  {
    guard: 'withinBoundAskedToWait',
    target: '#paymentFlow.backingOff',
    actions: ['count', 'countWait', 'backOffToRequesting'],
    meta: to.reChallenge,
  },
  ...ASK_ANEW,
] as const

/** What may keep an effect from signing. */
const SIGNING = {
  SESSION_CHANGED: PLAN_AGAIN,
} as const

/** What may keep an effect from moving funds. Where these are used up, the machine's own arrows lead to `failed`. */
const FUNDING = {
  ...SIGNING,
  FEE_TOO_HIGH: FAILED,
  WALLET_BALANCE_INSUFFICIENT: {
    guard: 'mayTakeAnotherOffer',
    target: '#paymentFlow.parsingChallenge',
    actions: ['count', 'takeAnotherOffer'],
    meta: to.nextOffer,
  },
  // The channel is looked up anew afterwards: what is signed and stored by then is sent again, never signed again.
  CHAIN_UNAVAILABLE: {
    guard: 'mayAskChainAgain',
    target: '#paymentFlow.backingOff',
    actions: ['count', 'backOffToAuthorizing'],
    meta: to.askChainAgain,
  },
} as const

/**
 * The MPP lifecycle: unpaid request, challenge, session open or top-up, voucher, paid retry, receipt, close.
 *
 * It is a graph without effects: run it with `machine.provide({ actors })`, or strip its `invoke` keys to generate tests.
 *
 * @example
 * ```ts
 * import { type PaymentFlowInput, paymentFlowMachine } from 'mpp-flow/machines'
 * import { createActor } from 'xstate'
 *
 * type Effects = NonNullable<Parameters<typeof paymentFlowMachine.provide>[0]['actors']>
 *
 * export function run(actors: Effects, input: PaymentFlowInput) {
 *   const actor = createActor(paymentFlowMachine.provide({ actors }), { input })
 *   actor.subscribe((snapshot) => console.log(snapshot.value))
 *   actor.start()
 * }
 * ```
 *
 * @see "Payment" HTTP Authentication Scheme; Tempo session intent; Ando, "Tempo MPP"
 */
export const paymentFlowMachine = paymentFlowSetup.createMachine({
  id: 'paymentFlow',
  description: 'Pays for one HTTP request with a Tempo session, or closes one channel.',
  context: ({ input }) => initialContext(input),
  output: outputOf,
  initial: 'requesting',
  // What any effect may come to, where a state knows no better.
  on: {
    CANCEL: FAILED,
    EFFECT_FAILED: FAILED,
    SESSION_UNAVAILABLE: FAILED,
    STORE_UNAVAILABLE: FAILED,
    STORE_DAMAGED: FAILED,
    STORE_NEWER_FORMAT: FAILED,
    CHAIN_UNAVAILABLE: FAILED,
    SIGNING_FAILED: FAILED,
    WALLET_BALANCE_INSUFFICIENT: FAILED,
  },
  states: {
    requesting: {
      description: 'The request is sent unpaid; the gateway answers, or challenges it.',
      tags: ['network'],
      invoke: {
        id: 'sendUnpaid',
        src: 'sendUnpaid',
        input: ({ context }) => ({ flow: context.flow, purpose: context.purpose, closing: context.closing }),
      },
      on: {
        CHALLENGE_RECEIVED: { target: 'parsingChallenge', actions: ['noteAnswer'] },
        ANSWER_RECEIVED: [
          { guard: 'isClosing', target: 'failed', actions: ['noteAnswer', 'fail'] },
          { target: 'succeeded', actions: ['noteAnswer'] },
        ],
        ALREADY_CLOSED: { target: 'closed' },
        POLICY_DENIED: FAILED,
        RATE_LIMITED: backOffAndReChallenge,
        SERVER_FAILED: backOffAndReChallenge,
        CONNECTION_FAILED: [
          {
            guard: 'withinBound',
            target: 'backingOff',
            actions: ['count', 'backOffToRequesting'],
            meta: to.reChallenge,
          },
          FAILED,
        ],
        // A code that nobody knows: beside a challenge, it takes nothing away from it.
        PAYMENT_REJECTED: [
          { guard: 'asksForPayment', target: 'parsingChallenge', actions: ['noteOffer'] },
          FAILED_BY_ANSWER,
        ],
        ...UNPAID_REJECTIONS,
      },
    },
    parsingChallenge: {
      description: 'The newest challenge is read and held against the policy and the bytes of the body.',
      invoke: {
        id: 'parseChallenge',
        src: 'parseChallenge',
        input: ({ context }) => ({
          flow: context.flow,
          skip: context.skipChallenges,
          committed: context.purpose === 'close' || hasAuthorised(context),
        }),
      },
      on: {
        CHALLENGE_ACCEPTED: [
          {
            guard: 'withinBoundAskedToWait',
            target: 'backingOff',
            actions: ['count', 'backOffToParsing', 'noteChallenge'],
            meta: to.wait,
          },
          { guard: 'askedToWait', target: 'failed', actions: ['fail'] },
          { guard: 'isClosing', target: 'closing', actions: ['noteChallenge'] },
          { target: 'authorizing', actions: ['noteChallenge'] },
        ],
        CHALLENGE_UNSUPPORTED: FAILED,
        CHALLENGE_REJECTED: FAILED,
        CHALLENGE_EXPIRED: ASK_ANEW_WHEN_TOLD,
        DIGEST_MISMATCH: ASK_ANEW_WHEN_TOLD,
        POLICY_DENIED: FAILED,
      },
    },
    authorizing: {
      description: 'Makes sure that a voucher authorises what the request needs, within the policy.',
      initial: 'acquiringSession',
      states: {
        acquiringSession: {
          description: 'The channel is looked up in the ledger; another flow that opens or closes it is waited for.',
          tags: ['waiting'],
          invoke: { id: 'acquireSession', src: 'acquireSession', input: flowOf },
          on: {
            SESSION_ACQUIRED: { target: 'planning', actions: ['noteSession'] },
          },
        },
        planning: {
          description: 'Decides what must be authorised: reuse a voucher, sign one, top up, open, wait, or refuse.',
          entry: ['plan'],
          always: [
            { guard: 'planReuses', target: '#paymentFlow.paying' },
            { guard: 'planSigns', target: 'signingVoucher' },
            { guard: 'planReplacesAgain', target: '#paymentFlow.failed', actions: ['failByReplacement'] },
            { guard: 'needsApproval', target: 'awaitingApproval' },
            { guard: 'planOpens', target: 'openingSession' },
            { guard: 'planTopsUp', target: 'toppingUp' },
            { guard: 'planReconciles', target: 'reconcilingSession' },
            { guard: 'planWaits', target: 'awaitingAcknowledgement' },
            { guard: 'planRefuses', target: '#paymentFlow.failed', actions: ['failByPlan'] },
            { target: '#paymentFlow.failed', actions: ['failByPlan'] },
          ],
        },
        awaitingAcknowledgement: {
          description:
            'More must not be exposed while requests are outstanding: waits until one of them is acknowledged.',
          tags: ['waiting'],
          invoke: { id: 'awaitAcknowledgement', src: 'awaitAcknowledgement', input: planned },
          on: {
            TURN_GRANTED: PLAN_AGAIN,
          },
        },
        awaitingApproval: {
          description: 'Funds are about to move: a person or a rule is asked first.',
          tags: ['waiting'],
          invoke: { id: 'requestApproval', src: 'requestApproval', input: planned },
          on: {
            APPROVE: [
              { guard: 'planOpens', target: 'openingSession', actions: ['noteApproval'] },
              { target: 'toppingUp', actions: ['noteApproval'] },
            ],
            DENY: FAILED,
            ...FUNDING,
          },
        },
        openingSession: {
          description: 'The open transaction and its first voucher are signed and stored, not sent yet.',
          tags: ['wallet'],
          invoke: { id: 'openSession', src: 'openSession', input: planned },
          on: {
            OPEN_RESUMED: { target: '#paymentFlow.paying', actions: ['noteSession'] },
            OPEN_SIGNED: { target: '#paymentFlow.paying', actions: ['noteSession', 'noteSigned'] },
            ...FUNDING,
          },
        },
        toppingUp: {
          description: 'A top-up is signed, stored, sent to the gateway and looked for on the chain.',
          tags: ['wallet', 'network', 'recovering'],
          invoke: { id: 'topUpSession', src: 'topUpSession', input: planned },
          on: {
            TOP_UP_SIGNED: { actions: ['noteSession', 'noteSigned'] },
            TOPPED_UP: [
              {
                guard: 'withinBound',
                target: 'planning',
                actions: ['count', 'noteSession', 'noteSigned'],
                meta: to.rePlan,
              },
              FAILED,
            ],
            TOP_UP_UNCONFIRMED: [
              { guard: 'withinBound', target: 'reconcilingSession', actions: ['count'], meta: to.reconcile },
              FAILED,
            ],
            RATE_LIMITED: backOffAndReChallenge,
            SERVER_FAILED: [
              {
                guard: 'withinBound',
                target: '#paymentFlow.backingOff',
                actions: ['count', 'noteAnswer', 'backOffToReconciling'],
                meta: to.reconcile,
              },
              FAILED_BY_ANSWER,
            ],
            CONNECTION_FAILED: [
              {
                guard: 'withinBound',
                target: '#paymentFlow.backingOff',
                actions: ['count', 'backOffToReconciling'],
                meta: to.reconcile,
              },
              FAILED,
            ],
            PAYMENT_REJECTED: FAILED_BY_ANSWER,
            ANSWER_RECEIVED: FAILED_BY_ANSWER,
            CHALLENGE_EXPIRED: ASK_ANEW,
            ...FUNDING,
            ...REJECTIONS,
          },
        },
        signingVoucher: {
          description: 'The next voucher is signed and stored; whoever waits for the lease will use the same one.',
          tags: ['wallet'],
          invoke: { id: 'signVoucher', src: 'signVoucher', input: planned },
          on: {
            VOUCHER_SIGNED: { target: '#paymentFlow.paying', actions: ['noteSession', 'noteSigned'] },
            ...SIGNING,
          },
        },
        reconcilingSession: {
          description: 'The chain is asked what became of the channel: funded, not there, or not decided yet.',
          tags: ['network', 'recovering'],
          invoke: { id: 'reconcileSession', src: 'reconcileSession', input: flowOf },
          on: {
            SESSION_RECONCILED: [
              {
                guard: 'deniedThoughFunded',
                target: '#paymentFlow.failed',
                actions: ['noteSession', 'failByDispute'],
              },
              {
                guard: 'disputedWithChallenge',
                target: '#paymentFlow.parsingChallenge',
                actions: ['noteSession', 'settleDispute'],
              },
              {
                guard: 'disputedAskedToWait',
                target: '#paymentFlow.backingOff',
                actions: ['count', 'noteSession', 'settleDispute', 'backOffToRequesting'],
                meta: to.wait,
              },
              { guard: 'disputed', target: '#paymentFlow.requesting', actions: ['noteSession', 'settleDispute'] },
              { target: 'planning', actions: ['noteSession'] },
            ],
            OPERATION_UNDECIDED: [
              {
                guard: 'withinBound',
                target: '#paymentFlow.backingOff',
                actions: ['count', 'backOffToReconciling'],
                meta: to.askChainAgain,
              },
              FAILED,
            ],
            // Once that is used up, the machine's own arrow leads to `failed`.
            CHAIN_UNAVAILABLE: {
              guard: 'mayAskChainAgain',
              target: '#paymentFlow.backingOff',
              actions: ['count', 'backOffToReconciling'],
              meta: to.askChainAgain,
            },
          },
        },
      },
    },
    paying: {
      description: 'The same bytes are sent again with the highest voucher of the channel, or with the signed open.',
      tags: ['network'],
      invoke: { id: 'sendPaid', src: 'sendPaid', input: flowOf },
      on: {
        PAID_ANSWER_RECEIVED: { target: 'verifyingReceipt', actions: ['noteAnswer'] },
        ANSWER_RECEIVED: { target: 'succeeded', actions: ['noteAnswer'] },
        DEPOSIT_TOO_LOW: [
          {
            guard: 'withinBound',
            target: 'authorizing.planning',
            actions: ['count', 'noteSession', 'demandDeposit'],
            meta: to.topUp,
          },
          FAILED,
        ],
        CHALLENGE_EXPIRED: ASK_ANEW,
        SESSION_CHANGED: PLAN_AGAIN,
        RATE_LIMITED: SEND_THE_SAME_AGAIN,
        SERVER_FAILED: SEND_THE_SAME_AGAIN,
        CONNECTION_FAILED: [
          { guard: 'withinBound', target: 'backingOff', actions: ['count', 'backOffToPaying'], meta: to.reChallenge },
          FAILED,
        ],
        OUTCOME_UNKNOWN: FAILED_WHILE_SENDING,
        CANCEL: FAILED_WHILE_SENDING,
        EFFECT_FAILED: FAILED_WHILE_SENDING,
        PAYMENT_REJECTED: { target: 'failed', actions: ['noteAnswer', 'noteOpenSend', 'fail'] },
        ...REJECTIONS,
      },
    },
    verifyingReceipt: {
      description: 'The receipt is checked before the ledger believes it; the answer is delivered whatever it says.',
      invoke: { id: 'verifyReceipt', src: 'verifyReceipt', input: answered },
      on: {
        CANCEL: { target: 'failed', actions: ['noteOpenSend', 'fail'] },
        RECEIPT_VERIFIED: { target: 'succeeded', actions: ['noteReceipt'] },
        RECEIPT_MISSING: { target: 'succeeded', actions: ['noteReceipt'] },
        RECEIPT_REJECTED: { target: 'succeeded', actions: ['noteReceipt'] },
      },
    },
    backingOff: {
      description: 'Waits before the next attempt, as long as the server asked for or a little longer each time.',
      tags: ['waiting', 'recovering'],
      invoke: { id: 'wait', src: 'wait', input: ({ context }) => ({ flow: context.flow, ms: context.backoffMs }) },
      on: {
        WAITED: [
          { guard: 'thenPaying', target: 'paying' },
          { guard: 'thenResending', target: 'resending' },
          { guard: 'thenAuthorizing', target: 'authorizing' },
          { guard: 'thenReconciling', target: 'authorizing.reconcilingSession' },
          // Read again: it may have expired meanwhile.
          { guard: 'thenParsing', target: 'parsingChallenge' },
          { target: 'requesting' },
        ],
      },
    },
    resending: {
      description:
        'The last paid send was left open: the very same credential is sent again, and nothing new is signed for it.',
      tags: ['network', 'recovering'],
      invoke: { id: 'resendPaid', src: 'resendPaid', input: flowOf },
      on: {
        PAID_ANSWER_RECEIVED: { target: 'verifyingReceipt', actions: ['noteAnswer'] },
        ANSWER_RECEIVED: { target: 'succeeded', actions: ['noteAnswer'] },
        RATE_LIMITED: SEND_THE_SAME_AGAIN,
        SERVER_FAILED: SEND_THE_SAME_AGAIN,
        CONNECTION_FAILED: [
          { guard: 'withinBound', target: 'backingOff', actions: ['count', 'backOffToResending'], meta: to.resend },
          UNKNOWN,
        ],
        CHALLENGE_EXPIRED: UNKNOWN,
        OUTCOME_UNKNOWN: FAILED_WHILE_SENDING,
        CANCEL: FAILED_WHILE_SENDING,
        PAYMENT_REJECTED: UNKNOWN_BY_ANSWER,
        ...RESEND_REJECTIONS,
      },
    },
    closing: {
      description: 'The channel is being closed by its payee, at what was spent.',
      initial: 'sendingClose',
      states: {
        sendingClose: {
          description: 'The close credential carries the highest voucher; the chain is asked what became of it.',
          tags: ['network', 'wallet'],
          invoke: {
            id: 'sendClose',
            src: 'sendClose',
            input: ({ context }) => ({ flow: context.flow, closing: context.closing }),
          },
          on: {
            CLOSE_CONFIRMED: { target: '#paymentFlow.closed', actions: ['noteSettlement'] },
            ALREADY_CLOSED: { target: '#paymentFlow.closed' },
            CLOSE_UNCONFIRMED: [
              {
                guard: 'withinBound',
                target: 'backingOff',
                actions: ['count', 'backOffToClosing'],
                meta: to.retryClose,
              },
              FAILED,
            ],
            CHALLENGE_EXPIRED: ASK_ANEW,
            CHAIN_UNAVAILABLE: {
              guard: 'mayAskChainAgain',
              target: 'backingOff',
              actions: ['count', 'backOffToClosing'],
              meta: to.askChainAgain,
            },
            RATE_LIMITED: closeAgain,
            SERVER_FAILED: closeAgain,
            CONNECTION_FAILED: [
              {
                guard: 'withinBound',
                target: 'backingOff',
                actions: ['count', 'backOffToClosing'],
                meta: to.retryClose,
              },
              FAILED,
            ],
            PAYMENT_REJECTED: FAILED_BY_ANSWER,
            ANSWER_RECEIVED: FAILED_BY_ANSWER,
            ...CLOSE_REJECTIONS,
          },
        },
        backingOff: {
          description: 'Waits before the close credential is sent again.',
          tags: ['waiting', 'recovering'],
          invoke: { id: 'wait', src: 'wait', input: ({ context }) => ({ flow: context.flow, ms: context.backoffMs }) },
          on: { WAITED: { target: 'sendingClose' } },
        },
      },
    },
    succeeded: { type: 'final', tags: ['final'], description: 'The gateway answered; the answer is the caller’s.' },
    closed: { type: 'final', tags: ['final'], description: 'The channel is closed, settled and refunded.' },
    failed: {
      type: 'final',
      tags: ['final'],
      description: 'The flow ended without what it was for; its output says why.',
    },
  },
})
