// What may be sent to an operator's support about a flow: times, states, codes, statuses, ids and amounts.
// Must never hold anything else: it is built field by field, so that nothing new gets in by itself.

import { ERROR_CODES, type FailureCode } from '../../machines/index.js'
import type { CloseOutcome, PaymentOutcome } from './outcome.js'

/** A report about one flow. JSON only; amounts in base units. */
export interface SupportReport {
  readonly status: 'succeeded' | 'closed' | 'failed'
  /** RFC 3339. */
  readonly startedAt: string | null
  readonly endedAt: string | null
  /** Each state, what led to it, and milliseconds since the start. */
  readonly steps: readonly { readonly state: string; readonly event: string; readonly atMs: number | null }[]
  readonly code: FailureCode | null
  readonly cause: string | null
  readonly limit: string | null
  readonly retryable: boolean | null
  readonly mayHaveBeenCharged: boolean | null
  readonly leadsTo: string | null
  readonly httpStatus: number | null
  readonly requestId: string | null
  readonly challengeId: string | null
  readonly channelId: string | null
  readonly deposit: string
  readonly cumulative: string
  readonly feeAtMost: string
  readonly vouchersSigned: number
  readonly paidSends: number
  readonly acceptedCumulative: string | null
  readonly spent: string | null
  readonly settled: string | null
  readonly refunded: string | null
  readonly txHash: string | null
}

/**
 * A report that is safe to send: no key, credential, signature, prompt, answer, URL or header is in it.
 *
 * @see Ando, "Errors": do not store raw Virtual Keys, payment credentials, prompt content, or response bodies in support logs
 *
 * @example
 * ```ts
 * import { type MppClient, supportReport } from 'mpp-flow'
 *
 * export async function ask(mpp: MppClient, url: string) {
 *   const outcome = await mpp.pay(url)
 *   if (outcome.status === 'failed') console.error(JSON.stringify(supportReport(outcome)))
 * }
 * ```
 */
export function supportReport(outcome: PaymentOutcome | CloseOutcome): SupportReport {
  const { authorised, references, receipt, timing } = outcome
  const failure = outcome.status === 'failed' ? outcome.failure : null
  const settlement = outcome.status === 'closed' ? outcome.settlement : null
  const time = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString())
  const start = timing[0]
  return {
    status: outcome.status,
    startedAt: time(start),
    endedAt: time(timing.at(-1)),
    steps: outcome.trace.map(({ state, event }, index) => {
      const at = timing[index]
      return { state, event, atMs: at === undefined || start === undefined ? null : at - start }
    }),
    code: failure?.code ?? null,
    cause: failure?.cause ?? null,
    limit: failure?.limit ?? null,
    retryable: failure?.retryable ?? null,
    mayHaveBeenCharged: failure?.mayHaveBeenCharged ?? null,
    leadsTo: failure === null ? null : ERROR_CODES[failure.code].leadsTo,
    httpStatus: references.httpStatus,
    requestId: references.requestId,
    challengeId: references.challengeId,
    channelId: references.channelId,
    deposit: authorised.deposit,
    cumulative: authorised.cumulative,
    feeAtMost: authorised.feeAtMost,
    vouchersSigned: authorised.vouchersSigned,
    paidSends: authorised.paidSends,
    acceptedCumulative: receipt?.acceptedCumulative ?? null,
    spent: receipt?.spent ?? null,
    settled: settlement?.settled ?? null,
    refunded: settlement?.refunded ?? null,
    txHash: settlement?.txHash ?? receipt?.txHash ?? null,
  }
}
