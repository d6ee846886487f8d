// What a flow ends with, for the caller: the answer, the receipt, or why there is none.
// Must never carry a credential, a signature or a body other than the answer itself.

import type { TraceStep } from '../../machines/index.js'
import {
  amountOf,
  ERROR_CODES,
  type Failure,
  formatAmount,
  type PaymentFlowOutput,
  type ReceiptSummary,
} from '../../machines/index.js'

/** What all outcomes have. */
interface Ended {
  /** The gateway's newest answer, if there was one. */
  readonly response?: Response
  readonly receipt?: ReceiptSummary
  /** Why the receipt of a delivered answer was not believed. */
  readonly receiptProblem?: string
  readonly authorised: PaymentFlowOutput['authorised']
  readonly references: PaymentFlowOutput['references']
  /** Address of the token that the amounts are in; null while no challenge was accepted. */
  readonly token: PaymentFlowOutput['token']
  /** The states the flow went through, and the events that led there. */
  readonly trace: readonly TraceStep[]
  /** When each step of the trace was taken, in milliseconds since the epoch. */
  readonly timing: readonly number[]
}

/** What the client noted about a flow while it ran. */
export interface FlowNotes {
  readonly response: Response | null
  readonly trace: readonly TraceStep[]
  readonly timing: readonly number[]
}

/** How a payment ended. */
export type PaymentOutcome =
  | (Ended & { readonly status: 'succeeded'; readonly response: Response })
  | (Ended & { readonly status: 'failed'; readonly failure: Failure })

/** How a close ended. Amounts in base units. */
export type CloseOutcome =
  | (Ended & {
      readonly status: 'closed'
      /** Null when the channel had ended before and nothing was sent. */
      readonly settlement: PaymentFlowOutput['settlement']
    })
  | (Ended & { readonly status: 'failed'; readonly failure: Failure })

/** Thrown by `fetch` when the gateway gave no answer that could be returned. */
export class PaymentFlowError extends Error {
  override readonly name = 'PaymentFlowError'
  readonly failure: Failure
  readonly trace: readonly TraceStep[]

  /** @param cause what made the flow end, where that is an error of its own: the reason of an aborted signal */
  constructor(outcome: { readonly failure: Failure; readonly trace: readonly TraceStep[] }, cause?: unknown) {
    super(describeFailure(outcome.failure), cause === undefined ? undefined : { cause })
    this.failure = outcome.failure
    this.trace = outcome.trace
  }
}

/** A failure in words: what happened, which code, what was and was not authorised, what to do next. */
export function describeFailure(failure: Failure): string {
  const { code, detail, authorised, references, cause, mayHaveBeenCharged } = failure
  const fee = authorised.feeAtMost === '0' ? '' : ` and up to ${formatAmount(authorised.feeAtMost)} in fees`
  const signed =
    authorised.paidSends === 0 && authorised.deposit === '0'
      ? 'Nothing was authorised by this request.'
      : `This request sent vouchers up to ${amountOf(authorised.cumulative, failure.token)} and signed for ${amountOf(authorised.deposit, failure.token)} of deposit${fee}.`
  const where = [
    references.requestId === null ? null : `request ${references.requestId}`,
    references.challengeId === null ? null : `challenge ${references.challengeId}`,
    references.channelId === null ? null : `channel ${references.channelId}`,
    references.httpStatus === null ? null : `HTTP ${references.httpStatus}`,
  ].filter((part) => part !== null)
  return [
    `${code}: ${ERROR_CODES[code].meaning}`,
    detail === null ? null : `(${detail})`,
    cause === null ? null : `It was recovering from ${cause}.`,
    signed,
    mayHaveBeenCharged ? 'It may have been carried out and charged.' : null,
    failure.advice,
    where.length === 0 ? null : `[${where.join(', ')}]`,
  ]
    .filter((part) => part !== null)
    .join(' ')
}

function ended(output: PaymentFlowOutput, { response, trace, timing }: FlowNotes): Ended {
  const { receipt, receiptProblem, authorised, references, token } = output
  return {
    ...(response !== null && { response }),
    ...(receipt !== null && { receipt }),
    ...(receiptProblem !== null && { receiptProblem }),
    authorised,
    references,
    token,
    trace,
    timing,
  }
}

/** The outcome of a payment, from the machine's output and the answer that the runtime kept. */
export function paymentOutcome(output: PaymentFlowOutput, notes: FlowNotes): PaymentOutcome {
  const rest = ended(output, notes)
  const { response } = notes
  if (output.failure !== null) return { status: 'failed', failure: output.failure, ...rest }
  if (response === null) throw new Error('a flow cannot succeed without an answer')
  return { status: 'succeeded', ...rest, response }
}

/** The outcome of a close. */
export function closeOutcome(output: PaymentFlowOutput, notes: FlowNotes): CloseOutcome {
  const rest = ended(output, notes)
  if (output.failure !== null) return { status: 'failed', failure: output.failure, ...rest }
  return { status: 'closed', settlement: output.settlement, ...rest }
}
