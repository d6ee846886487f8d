// Outcomes of calls that never became a flow: arguments that cannot be sent, channels that nobody knows.
// Must never quote the arguments: they may hold a prompt.

import {
  CODE_FACTS,
  type Failure,
  type FailureCode,
  NOTHING_AUTHORISED,
  type PaymentFlowOutput,
} from '../../machines/index.js'
import { OptionError } from '../options/index.js'
import { isEnded, type SessionRecord, StoreError } from '../sessions/index.js'
import { RequestInvalid } from './capture.js'
import { causeOf } from './force-close-outcome.js'
import type { PaymentOutcome } from './outcome.js'

function failureOf(code: FailureCode, advice: string, detail: string, channelId: string | null): Failure {
  const references = { requestId: null, challengeId: null, channelId, httpStatus: null }
  return {
    code,
    advice,
    retryable: false,
    detail,
    limit: null,
    cause: null,
    mayHaveBeenCharged: false,
    references,
    authorised: NOTHING_AUTHORISED,
    token: null,
  }
}

/** A request that could not even be captured, or a flow that broke. */
export function notStarted(error: unknown): PaymentOutcome {
  const failure = error instanceof RequestInvalid ? invalid(error, null) : broken(error)
  const { authorised, references, token } = failure
  return { status: 'failed', failure, authorised, references, token, trace: [], timing: [] }
}

function invalid(error: RequestInvalid, channelId: string | null): Failure {
  return failureOf('request_invalid', CODE_FACTS.request_invalid.advice, error.message, channelId)
}

function broken(error: unknown): Failure {
  // Its name alone: a message may quote the request.
  const detail = error instanceof Error ? error.name : 'unknown'
  return failureOf('internal_error', CODE_FACTS.internal_error.advice, detail, null)
}

/** The end of a close that could not even be asked for. `error`: what was wrong with the arguments or the store. */
export function unclosable(channelId: string, record: SessionRecord | undefined, error?: unknown): PaymentFlowOutput {
  const failure = record !== undefined && isEnded(record) ? null : whyUnclosable(channelId, record, error)
  return {
    status: failure === null ? 'closed' : 'failed',
    failure,
    receipt: null,
    receiptProblem: null,
    settlement: null,
    authorised: NOTHING_AUTHORISED,
    references: failure?.references ?? { requestId: null, challengeId: null, channelId, httpStatus: null },
    token: null,
  }
}

function whyUnclosable(channelId: string, record: SessionRecord | undefined, error: unknown): Failure {
  if (error instanceof StoreError) {
    const { code } = causeOf(error)
    return failureOf(code, CODE_FACTS[code].advice, error.message, channelId)
  }
  if (error instanceof RequestInvalid) return invalid(error, channelId)
  if (error instanceof OptionError) {
    return failureOf('request_invalid', 'Correct the option; nothing was sent.', error.message, channelId)
  }
  if (error !== undefined) {
    const detail = error instanceof Error ? error.name : 'unknown'
    return failureOf('internal_error', 'Check the URL of the call; nothing was sent.', detail, channelId)
  }
  if (record !== undefined) {
    const advice = 'Name a paid route of the payee: close(channelId, { url }); or get the deposit back with forceClose.'
    return failureOf('session_unavailable', advice, 'the ledger does not know where this channel is used', channelId)
  }
  const advice = 'List the sessions to see which channels the ledger knows, or recover those that only the chain knows.'
  return failureOf('session_unavailable', advice, 'the ledger does not know this channel', channelId)
}
