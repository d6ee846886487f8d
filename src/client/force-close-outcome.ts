// What a forced close ends with, and what it tells on the way.
// Must never carry a figure that the chain has not shown, nor anything that was signed.

import { CODE_FACTS, codeOfEvent, type Failure, type FailureCode, FEE_LIMIT } from '../../machines/index.js'
import { eventOf } from './effects/effect.js'

/** What a forced close is doing. */
export type ForceCloseStep = 'deciding' | 'requesting' | 'waiting' | 'withdrawing'

/** Told at every step, and at every look at the chain while the grace period runs. */
export interface ForceCloseProgress {
  readonly channelId: string
  /** `deciding`: something that was signed before may still be included; it is waited for. */
  readonly step: ForceCloseStep
  /** Chain seconds at which the deposit is withdrawn: a minute after the grace period. Null before the chain has the request. */
  readonly withdrawableAt: number | null
  /** Until then, by the chain's clock. */
  readonly secondsLeft: number | null
  /** The transaction that was sent for this step, if one was. */
  readonly txHash: string | null
}

/** What came of it, in base units. */
export interface ForcedSettlement {
  readonly settled: string
  readonly refunded: string
  /** Null when the node does not show the transaction any more. */
  readonly txHash: string | null
}

/** How a forced close ended. */
export type ForceCloseOutcome =
  | {
      /** `withdrawn`: by this forced close; `closed`: the payee closed the channel before it came to that. */
      readonly status: 'withdrawn' | 'closed'
      readonly channelId: string
      /** Null when the node does not show how the channel ended. */
      readonly settlement: ForcedSettlement | null
      /** Most that the transactions which this call signed may have cost, in base units of the fee token. */
      readonly feeAtMost: string
    }
  | {
      readonly status: 'failed'
      readonly channelId: string
      readonly failure: Failure
      /** Chain seconds: the request stands on the chain, and calling again goes on from it. Null: there is none. */
      readonly withdrawableAt: number | null
    }

/** A failure of a forced close, with the code whose advice applies. */
export function forceCloseFailure(
  channelId: string,
  code: FailureCode,
  detail: string | null,
  withdrawableAt: number | null,
  more: Partial<Pick<Failure, 'advice' | 'retryable' | 'limit'>> & { readonly feeAtMost?: string } = {},
): ForceCloseOutcome {
  const { feeAtMost = '0', ...named } = more
  const failure: Failure = {
    code,
    advice: CODE_FACTS[code].advice,
    retryable: CODE_FACTS[code].retryable,
    detail,
    limit: null,
    cause: null,
    mayHaveBeenCharged: false,
    references: { requestId: null, challengeId: null, channelId, httpStatus: null },
    // A forced close authorises nothing: its transactions only move the deposit back.
    authorised: { channelId, deposit: '0', cumulative: '0', feeAtMost, vouchersSigned: 0, paidSends: 0 },
    token: null,
    ...named,
  }
  return { status: 'failed', channelId, failure, withdrawableAt }
}

/** What an exception means to a forced close: the code, words that are safe to show, and the limit that was in the way. */
export function causeOf(error: unknown): {
  readonly code: FailureCode
  readonly detail: string | null
  readonly named?: typeof FEE_LIMIT
} {
  const event = eventOf(error)
  if (event.type === 'FEE_TOO_HIGH') return { code: 'limit_exceeded', detail: event.reason, named: FEE_LIMIT }
  return { code: codeOfEvent(event.type) ?? 'internal_error', detail: 'reason' in event ? event.reason : null }
}
