// Outcomes of calls that never became a flow: arguments that cannot be sent, channels that nobody knows.
// Must never quote the arguments: they may hold a prompt.

import type { Failure, FailureCode, PaymentFlowOutput } from '../../machines/index.js'
import type { PaymentOutcome } from './outcome.js'

const NOTHING = { channelId: null, deposit: '0', cumulative: '0', vouchersSigned: 0, paidSends: 0 } as const

function failureOf(code: FailureCode, advice: string, detail: string, channelId: string | null): Failure {
  const references = { requestId: null, challengeId: null, channelId, httpStatus: null }
  return { code, advice, retryable: false, detail, limit: null, cause: null, references, authorised: NOTHING }
}

/** A request that could not even be captured, or a flow that broke. */
export function notStarted(error: unknown): PaymentOutcome {
  // Its name alone: a message may quote the request.
  const detail = error instanceof Error ? error.name : 'unknown'
  const advice = 'Check the arguments of the call; what was signed, if anything, is in the ledger.'
  const failure = failureOf('internal_error', advice, detail, null)
  return { status: 'failed', failure, authorised: NOTHING, references: failure.references, trace: [], timing: [] }
}

/** The end of a close whose channel is in no ledger. */
export function unknownChannel(channelId: string): PaymentFlowOutput {
  const advice = 'List the sessions to see which channels the ledger knows.'
  const failure = failureOf('session_unavailable', advice, 'the ledger does not know this channel', channelId)
  return {
    status: 'failed',
    failure,
    receipt: null,
    receiptProblem: null,
    settlement: null,
    authorised: NOTHING,
    references: failure.references,
  }
}
