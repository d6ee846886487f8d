// Context, events, input and output of the payment-flow machine.
// Must never give a place to a secret: no signature, credential, key, header value or body text has a field here.

import type { Amount } from './amount.js'
import type { FailureCode, MppCode, ProblemType } from './codes.js'
import type { SessionStatus } from './session.types.js'

/** What the machine may know of the request. The bytes stay in the client's flow state, under the flow's id. */
export interface RequestSummary {
  readonly method: string
  readonly origin: string
  readonly path: string
}

/** Limits the caller allows, in base units of the token. Null: no limit of that kind. */
export interface FlowLimits {
  readonly maxDeposit: Amount
  readonly maxCumulative: Amount | null
  readonly maxExposure: Amount
  readonly maxTotalDeposit: Amount | null
  /** Whether a person or a rule must approve before funds move. */
  readonly approval: boolean
  /** Whether work whose commit failed may be asked for once more (it may be paid twice). */
  readonly retryCommitFailed: boolean
  /** Whether the same credential may be sent again after a 429 or 503 without a receipt. Nothing new is ever signed then. */
  readonly resendPaid: boolean
}

/** How many times a flow may take each recovery, by the event that causes it. */
export type Bounds = Readonly<Partial<Record<string, number>>>

/** What the accepted challenge asks for. */
export interface ChallengeSummary {
  /** Null: it is of no form that ids have, or repeats what was sent or signed. So with the realm. */
  readonly id: string | null
  readonly realm: string | null
  readonly channelKey: string
  /** Price of a unit, or the size of a voucher bucket. */
  readonly amount: Amount
  readonly unitType: string | null
  readonly suggestedDeposit: Amount | null
  readonly minVoucherDelta: Amount
  readonly currency: string
  readonly recipient: string
  readonly operator: string
  readonly chainId: number
  readonly escrow: string
  readonly feePayer: boolean
  readonly expiresAt: number | null
  /** From a snapshot whose channel id and parties were checked; only ever a hint. */
  readonly snapshot: { readonly channelId: string; readonly requiredCumulative: Amount } | null
}

/** What the ledger says about the channel, as far as planning needs it. */
export interface SessionView {
  readonly status: SessionStatus
  readonly channelId: string | null
  readonly deposit: Amount
  readonly signed: Amount
  readonly accepted: Amount
  /** Acknowledged use, from receipts alone. */
  readonly spent: Amount
  /** Presumed to be spent beyond `spent`: the prices of answers without a receipt, or what the chain has settled. */
  readonly unacknowledged: Amount
  /** Sum of all reservations in flight, this flow's included. */
  readonly reserved: Amount
  /** Flows of this process that wait for their turn on this channel. */
  readonly waiting: number
  /** Deposits and pending deposits of the payer's other channels in the same token. */
  readonly depositedElsewhere: Amount
  readonly pending: 'open' | 'topUp' | 'close' | 'requestClose' | 'withdraw' | null
  /** What the pending transaction would add to the deposit. */
  readonly pendingAmount: Amount
  /** What the wallet can move into the channel and still pay the fee; null: the chain was not asked. */
  readonly spendable: Amount | null
}

/** What a rejection says must be different the next time. */
export interface Demand {
  readonly kind: 'voucher' | 'deposit' | 'signature'
  /** The channel that it was made for; null: none was known yet. */
  readonly channelId: string | null
  /** The cumulative amount that was refused. */
  readonly above: Amount
  /** The deposit this side believed in when it was refused. */
  readonly depositAbove: Amount
  /** How much more the server asks for, when it says so. */
  readonly step: Amount | null
  /** How often this flow was refused while others were under way. */
  readonly contentions: number
}

/**
 * Whether the outstanding requests of the channel were waited for: not yet (`none`); there were none (`immediate`); one of
 * them came back and made room (`capacity`); all came back, and this flow is the only one under way (`drained`).
 */
export type Turn = 'none' | 'immediate' | 'capacity' | 'drained'

/** A limit that planning found in the way. */
export type PlanLimit = 'maxDeposit' | 'maxCumulative' | 'maxExposure' | 'maxTotalDeposit'

/** A limit that stopped a flow. Only when a transaction is about to be signed is it known what it may cost. */
export type LimitName = PlanLimit | 'maxFee'

/** What must be authorised next. Amounts in base units. */
export type Plan =
  | { readonly kind: 'reuse'; readonly cumulative: Amount }
  | { readonly kind: 'sign'; readonly cumulative: Amount }
  // `resumes`: signed before, and sent again; nothing new is signed, nobody has to approve it again.
  | { readonly kind: 'open'; readonly cumulative: Amount; readonly deposit: Amount; readonly resumes?: true }
  | { readonly kind: 'topUp'; readonly cumulative: Amount; readonly additionalDeposit: Amount; readonly resumes?: true }
  // The wallet holds less than the least that the voucher needs.
  | { readonly kind: 'unfunded'; readonly needed: Amount; readonly spendable: Amount }
  | { readonly kind: 'awaitAcknowledgement' }
  | { readonly kind: 'reconcile' }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'refuse'; readonly limit: PlanLimit; readonly wanted: Amount; readonly allowed: Amount }

/** What the client noticed about an answer, without its text. */
export interface AnswerFacts {
  readonly status: number
  readonly requestId: string | null
  readonly challengeId: string | null
  /** Challenges on the answer; the client keeps the newest. */
  readonly challengesOffered: number
  /** The cumulative amount the refused credential carried, if one was sent. */
  readonly cumulative: Amount | null
  readonly requiredTopUp: Amount | null
  readonly retryAfterMs: number | null
  /** Whether other paid requests of the channel were under way: then a refusal may only mean that they came first. */
  readonly contended: boolean
  /** Whether a higher voucher had been signed by the time the answer came: this one may have been overtaken on its way. */
  readonly overtaken?: boolean
}

/** A receipt that was checked, or why it was not believed. */
export interface ReceiptSummary {
  /** Null where the challenge's id is not shown. */
  readonly challengeId: string | null
  readonly channelId: string
  readonly acceptedCumulative: Amount
  readonly spent: Amount
  readonly txHash: string | null
}

/** Where to look when a flow is discussed with an operator. Ids and numbers only. */
export interface References {
  readonly requestId: string | null
  readonly challengeId: string | null
  readonly channelId: string | null
  readonly httpStatus: number | null
}

/** What this flow signed and sent. Amounts in base units. */
export interface Authorised {
  readonly channelId: string | null
  /** Deposit signed for by this flow: opens and top-ups. */
  readonly deposit: Amount
  /** Highest cumulative amount this flow sent to the gateway. */
  readonly cumulative: Amount
  /** Most that the transactions signed by this flow may cost, in base units of the fee token; zero where the payee pays. */
  readonly feeAtMost: Amount
  /** Vouchers signed by this flow; a reused voucher is not counted. */
  readonly vouchersSigned: number
  readonly paidSends: number
}

/** Why a flow failed, for the reader who must act. */
export interface Failure {
  readonly code: FailureCode
  readonly advice: string
  readonly retryable: boolean
  /** What exactly was in the way; never text from the server's body. */
  readonly detail: string | null
  /** The policy limit that stopped the flow, if one did. */
  readonly limit: LimitName | null
  /** The code that the flow was recovering from when it failed, if it was. */
  readonly cause: string | null
  /** Whether the request may have been carried out and charged: repeating it may pay for it twice. */
  readonly mayHaveBeenCharged: boolean
  readonly references: References
  readonly authorised: Authorised
  /** Address of the token that the amounts are in; null while no challenge was accepted. */
  readonly token: string | null
}

/** Context of the payment-flow machine: JSON only. */
export interface PaymentFlowContext {
  readonly flow: string
  readonly purpose: 'pay' | 'close'
  readonly request: RequestSummary
  readonly limits: FlowLimits
  readonly bounds: Bounds
  /** How often each recovery was taken, by the event that caused it. */
  readonly counts: Readonly<Record<string, number>>
  /** The channel to close, when that is the purpose. */
  readonly closing: string | null
  readonly challenge: ChallengeSummary | null
  /** Challenges of the newest answer that were not read yet. */
  readonly unreadChallenges: number
  /** How many of the offered challenges to pass over, because the server refused their method. */
  readonly skipChallenges: number
  /** Whether the answer offers an acceptable challenge for another channel after the accepted one. */
  readonly anotherOffer: boolean
  readonly session: SessionView | null
  readonly plan: Plan | null
  readonly demand: Demand | null
  /** Whether the chain was asked since the session was last acquired. */
  readonly reconciled: boolean
  /** Deposit that was approved; null while nothing was. */
  readonly approvedDeposit: Amount | null
  readonly turn: Turn
  readonly afterBackoff: 'requesting' | 'parsing' | 'authorizing' | 'paying' | 'resending' | 'reconciling' | 'closing'
  readonly backoffMs: number
  /** What refusing answers asked to wait for (`Retry-After`) and was not waited for yet, in milliseconds. */
  readonly retryAfterMs: number | null
  /** The event that made the session be reconciled, when it was a rejection. */
  readonly disputed: string | null
  /** Whether a paid send of this flow was left open: it may have been carried out and charged, and nobody has said so. */
  readonly mayHaveBeenCharged: boolean
  readonly authorised: Authorised
  readonly references: References
  /** The newest rejection, by its code. */
  readonly rejectedBy: string | null
  readonly receipt: ReceiptSummary | null
  readonly receiptProblem: string | null
  readonly settlement: { readonly settled: Amount; readonly refunded: Amount; readonly txHash: string | null } | null
  readonly failure: Failure | null
}

/** What starts a flow. */
export interface PaymentFlowInput {
  readonly flow: string
  readonly purpose: 'pay' | 'close'
  readonly request: RequestSummary
  readonly limits: FlowLimits
  readonly bounds?: Bounds
  readonly closing?: string
}

/** What a flow ends with. The client keeps the response itself, not the machine. */
export interface PaymentFlowOutput {
  readonly status: 'succeeded' | 'closed' | 'failed'
  readonly failure: Failure | null
  readonly receipt: ReceiptSummary | null
  readonly receiptProblem: string | null
  readonly settlement: PaymentFlowContext['settlement']
  readonly authorised: Authorised
  readonly references: References
  /** Address of the token that the amounts are in; null while no challenge was accepted. */
  readonly token: string | null
}

/** How a rule that was asked for an approval broke. */
export type ApprovalFault = 'approve_threw' | 'approve_gave_no_boolean'

/** A code or problem type that the gateway answered with. */
export type RejectionEvent = { readonly type: MppCode | ProblemType } & AnswerFacts

export type PaymentFlowEvent =
  | RejectionEvent
  // sendUnpaid
  | ({ readonly type: 'ANSWER_RECEIVED' } & AnswerFacts)
  | ({ readonly type: 'CHALLENGE_RECEIVED' } & AnswerFacts)
  // parseChallenge
  // `another`: an acceptable challenge for another channel comes after it on the same answer.
  | { readonly type: 'CHALLENGE_ACCEPTED'; readonly challenge: ChallengeSummary; readonly another?: boolean }
  | { readonly type: 'CHALLENGE_UNSUPPORTED'; readonly reason: string }
  | { readonly type: 'CHALLENGE_REJECTED'; readonly reason: string }
  | { readonly type: 'CHALLENGE_EXPIRED' }
  | { readonly type: 'DIGEST_MISMATCH' }
  | { readonly type: 'POLICY_DENIED'; readonly reason: string }
  // acquireSession and whoever plans again
  | { readonly type: 'SESSION_ACQUIRED'; readonly session: SessionView }
  | { readonly type: 'SESSION_CHANGED'; readonly session: SessionView }
  | { readonly type: 'SESSION_UNAVAILABLE'; readonly reason: string }
  | { readonly type: 'STORE_UNAVAILABLE'; readonly reason: string }
  | { readonly type: 'STORE_DAMAGED'; readonly reason: string }
  | { readonly type: 'STORE_NEWER_FORMAT'; readonly reason: string }
  | { readonly type: 'TURN_GRANTED'; readonly session: SessionView; readonly grant: Exclude<Turn, 'none'> }
  // approval
  | { readonly type: 'APPROVE' }
  // `fault`: nobody said no, but the rule that was asked did not say yes either.
  | { readonly type: 'DENY'; readonly fault?: ApprovalFault }
  // wallet
  | {
      readonly type: 'OPEN_SIGNED'
      readonly session: SessionView
      readonly deposit: Amount
      readonly cumulative: Amount
      /** Most that the transaction may cost. */
      readonly feeAtMost: Amount
    }
  | { readonly type: 'OPEN_RESUMED'; readonly session: SessionView }
  | { readonly type: 'VOUCHER_SIGNED'; readonly session: SessionView; readonly cumulative: Amount }
  | {
      readonly type: 'TOP_UP_SIGNED'
      readonly session: SessionView
      readonly additionalDeposit: Amount
      readonly feeAtMost: Amount
    }
  | { readonly type: 'TOPPED_UP'; readonly session: SessionView }
  | { readonly type: 'TOP_UP_UNCONFIRMED' }
  | { readonly type: 'DEPOSIT_TOO_LOW'; readonly session: SessionView }
  | { readonly type: 'WALLET_BALANCE_INSUFFICIENT'; readonly reason: string }
  // The transaction may cost more than `maxFee`: nothing was signed.
  | { readonly type: 'FEE_TOO_HIGH'; readonly reason: string }
  | { readonly type: 'SIGNING_FAILED'; readonly reason: string }
  // `lasting`: asking again would bring the same answer.
  | { readonly type: 'CHAIN_UNAVAILABLE'; readonly reason: string; readonly lasting?: true }
  // sendPaid, resendPaid and other sends. PAID_ANSWER_RECEIVED: a 2xx, or any status with a receipt that holds
  | ({ readonly type: 'PAID_ANSWER_RECEIVED' } & AnswerFacts)
  | ({ readonly type: 'PAYMENT_REJECTED'; readonly code: string | null } & AnswerFacts)
  | ({ readonly type: 'RATE_LIMITED' } & AnswerFacts)
  | ({ readonly type: 'SERVER_FAILED'; readonly mayHaveRun: boolean } & AnswerFacts)
  | { readonly type: 'CONNECTION_FAILED'; readonly reason: string }
  | { readonly type: 'OUTCOME_UNKNOWN'; readonly reason: string }
  // verifyReceipt
  | { readonly type: 'RECEIPT_VERIFIED'; readonly receipt: ReceiptSummary }
  | { readonly type: 'RECEIPT_MISSING' }
  | { readonly type: 'RECEIPT_REJECTED'; readonly reason: string }
  // reconcileSession
  | { readonly type: 'SESSION_RECONCILED'; readonly session: SessionView }
  | { readonly type: 'OPERATION_UNDECIDED'; readonly waitMs: number }
  // wait
  | { readonly type: 'WAITED' }
  // sendClose
  | {
      readonly type: 'CLOSE_CONFIRMED'
      readonly settled: Amount
      readonly refunded: Amount
      readonly txHash: string | null
    }
  | { readonly type: 'CLOSE_UNCONFIRMED'; readonly reason: string }
  | { readonly type: 'ALREADY_CLOSED' }
  // anyone
  | { readonly type: 'CANCEL' }
  | { readonly type: 'EFFECT_FAILED'; readonly reason: string }
