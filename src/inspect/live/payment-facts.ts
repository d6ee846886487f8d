// Reads what a person wants to know of a payment out of a flow's context: amounts, bounds left, references, failure.
// Must never decide anything, nor know a bound by itself: bounds are the machine's.

import { z } from 'zod'
import {
  boundOf,
  ERROR_CODES,
  MPP_CODES,
  max,
  type PaymentFlowContext,
  recoveriesLeft,
  tokenName,
} from '../../../machines/index.js'
import type { Json } from '../diagram/studio.js'
import type { Amounts, BoundLeft, PaymentFacts } from './messages.js'

const amount = z.string().regex(/^\d{1,40}$/)

/** As much of the payment-flow machine's context as is shown. A context that does not fit is another machine's. */
const contextSchema = z.object({
  flow: z.string(),
  purpose: z.enum(['pay', 'close']),
  request: z.object({ method: z.string(), origin: z.string(), path: z.string() }),
  limits: z.object({ maxDeposit: amount, maxExposure: amount }),
  bounds: z.record(z.string(), z.number()),
  counts: z.record(z.string(), z.number()),
  challenge: z.object({ currency: z.string() }).nullable().catch(null),
  // Inspectors may cut what is far down; the rest is shown all the same.
  session: z
    .object({ deposit: amount, pendingAmount: amount, signed: amount, accepted: amount, spent: amount })
    .nullable()
    .catch(null),
  plan: z
    .union([
      z.object({ kind: z.literal('open'), deposit: amount }),
      z.object({ kind: z.literal('topUp'), additionalDeposit: amount }),
    ])
    .nullable()
    .catch(null),
  receipt: z.object({ acceptedCumulative: amount, spent: amount }).nullable().catch(null),
  settlement: z.object({ settled: amount, refunded: amount }).nullable().catch(null),
  failure: z
    .object({
      code: z.string(),
      advice: z.string(),
      detail: z.string().nullable(),
      limit: z.string().nullable(),
    })
    .nullable()
    .catch(null),
})

type ReadContext = z.infer<typeof contextSchema>

/** What the ledger said when it was last asked, and what the receipt has said since. */
function amountsOf({ session, receipt, limits }: ReadContext): Amounts | null {
  if (session === null) return null
  const accepted = receipt === null ? session.accepted : max(session.accepted, receipt.acceptedCumulative)
  return {
    deposit: session.deposit,
    pending: session.pendingAmount,
    // A voucher that another flow signed meanwhile is known from its being accepted.
    signed: max(session.signed, accepted),
    accepted,
    spent: receipt === null ? session.spent : max(session.spent, receipt.spent),
    maxDeposit: limits.maxDeposit,
    maxExposure: limits.maxExposure,
  }
}

function movingBy({ plan }: ReadContext): PaymentFacts['moving'] {
  if (plan === null) return null
  return { action: plan.kind, deposit: plan.kind === 'open' ? plan.deposit : plan.additionalDeposit }
}

/** The recoveries that this flow has taken, and the gateway's codes that it still could recover from. */
function boundsOf({ bounds, counts }: ReadContext): readonly BoundLeft[] {
  // Both functions read nothing but these two members, which were parsed.
  const context = { bounds, counts } as PaymentFlowContext
  const recoverable = MPP_CODES.filter((code) => ERROR_CODES[code].leadsTo !== 'terminal')
  const names = [...new Set([...Object.keys(counts), ...recoverable])]
  return names.map((name) => ({ name, left: recoveriesLeft(context, name), of: boundOf(context, name) }))
}

/** The facts of a payment flow's context; null for any other context. */
export function paymentFacts(context: Json): PaymentFacts | null {
  const read = contextSchema.safeParse(context)
  if (!read.success) return null
  const { purpose, request, settlement, failure, challenge } = read.data
  return {
    purpose,
    request,
    amounts: amountsOf(read.data),
    token: challenge === null ? null : tokenName(challenge.currency),
    moving: movingBy(read.data),
    bounds: boundsOf(read.data),
    settlement,
    failure,
  }
}
