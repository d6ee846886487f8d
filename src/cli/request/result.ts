// What a request came to: a sentence for people, a document for programs.
// Must never hold a credential, a signature or a key; the body of the answer goes where the caller asked for it.

import type { Failure } from '../../../machines/index.js'
import { describeFailure, type PaymentOutcome } from '../../client/index.js'
import { inTokens, namedAmount } from '../money.js'

/** The answer of the gateway, for programs. */
export interface AnswerDocument {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Null when its bytes are no UTF-8 text: then they are in `bodyBase64`. */
  readonly body: string | null
  readonly bodyBase64?: string
}

/** An answer with its whole body. A cookie is a secret of its own: it is left out. */
export async function answerDocument(response: Response): Promise<AnswerDocument> {
  const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'set-cookie'))
  const bytes = Buffer.from(await response.arrayBuffer())
  const { status } = response
  try {
    return { status, headers, body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { status, headers, body: null, bodyBase64: bytes.toString('base64') }
  }
}

/** What all documents about a flow have. */
function flowPart({ authorised, references, receipt, receiptProblem, trace }: PaymentOutcome) {
  return { authorised, references, receipt: receipt ?? null, receiptProblem: receiptProblem ?? null, trace }
}

/** A request that was answered. */
export function answeredDocument(outcome: PaymentOutcome, exitCode: number, http: AnswerDocument): object {
  return { status: 'succeeded', exitCode, http, ...flowPart(outcome) }
}

/** A request that failed, or that was cancelled. @param failure in the words of the command line. */
export function failedDocument(
  outcome: PaymentOutcome & { readonly status: 'failed' },
  exitCode: number,
  failure: Failure,
): object {
  const { code, advice, retryable, detail, limit, cause, mayHaveBeenCharged } = failure
  const message = describeFailure(failure)
  const error = { code, message, advice, retryable, mayHaveBeenCharged, detail, limit, cause }
  const http = outcome.response === undefined ? null : { status: outcome.response.status }
  return { status: 'failed', exitCode, error, http, ...flowPart(outcome) }
}

/** Whether anything was signed or sent that the ledger has to remember. */
export function leftSomething({ authorised }: PaymentOutcome): boolean {
  return authorised.paidSends > 0 || authorised.vouchersSigned > 0 || authorised.deposit !== '0'
}

/** One line about a request that was answered. */
export function summary(outcome: PaymentOutcome & { readonly status: 'succeeded' }): string {
  const { response, authorised, references, receipt, receiptProblem, token } = outcome
  if (authorised.paidSends === 0) return `${response.status}, nothing was paid`
  const signed = authorised.vouchersSigned > 0 ? 'signed now' : 'the one in hand'
  const parts = [
    `${response.status}, paid with a voucher up to ${namedAmount(authorised.cumulative, token)} (${signed})`,
    authorised.deposit === '0' ? null : `${inTokens(authorised.deposit)} deposited`,
    authorised.feeAtMost === '0' ? null : `at most ${inTokens(authorised.feeAtMost)} of fees`,
    receipt === undefined ? null : `${inTokens(receipt.spent)} spent on this channel so far`,
    references.channelId === null ? null : `channel ${references.channelId}`,
    receiptProblem === undefined ? null : `but the receipt is not believed: ${receiptProblem}`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}
