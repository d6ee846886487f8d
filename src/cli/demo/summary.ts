// Adds up what the demo did, and holds the client's figures, the gateway's books and the chain against each other.
// Must never call money conserved on anybody's word but the chain's.

import type { Sandbox } from '../../sandbox/index.js'
import type { AccountsReport, StepTally, SummaryReport } from './reports.js'

/** Everything the summary is made from. */
export interface Findings {
  readonly steps: readonly StepTally[]
  readonly accounting: ReturnType<Sandbox['accounting']>
  readonly accounts: AccountsReport
  /** What the close came to, as the client has read it from the chain. Null when nothing was closed. */
  readonly settlement: { readonly settled: string; readonly refunded: string } | null
}

function total<T>(items: readonly T[], amount: (item: T) => string): bigint {
  return items.reduce((sum, item) => sum + BigInt(amount(item)), 0n)
}

function count(steps: readonly StepTally[], figure: (tally: StepTally) => number): number {
  return steps.reduce((sum, tally) => sum + figure(tally), 0)
}

/** Where figures that must agree do not; empty when every unit is accounted for. */
function discrepancies({ steps, accounting, accounts, settlement }: Findings): string[] {
  const { channels } = accounting
  const deposited = total(channels, (channel) => channel.deposit)
  const captured = total(channels, (channel) => channel.captured)
  const refunded = total(channels, (channel) => channel.refunded)
  const unused = channels.length === 0
  const checks: readonly (readonly [what: string, holds: boolean])[] = [
    [
      'the payer lost exactly what was captured',
      BigInt(accounts.payerBefore) - BigInt(accounts.payerAfter) === captured,
    ],
    [
      'the payee gained exactly what was captured',
      BigInt(accounts.payeeAfter) - BigInt(accounts.payeeBefore) === captured,
    ],
    ['the channel reserve holds nothing', accounts.reserveAfter === '0' && accounts.reserveBefore === '0'],
    ['what was deposited was captured or refunded', deposited === captured + refunded],
    ['the gateway captured what was spent', total(channels, (channel) => channel.spent) === captured],
    ['the gateway has closed every channel', channels.every((channel) => channel.status === 'closed')],
    ['the chain settled what the gateway booked', unused || settlement?.settled === captured.toString()],
    ['the chain refunded what the gateway booked', unused || settlement?.refunded === refunded.toString()],
    ['the client signed for the deposit that was booked', total(steps, (tally) => tally.deposited) === deposited],
    ['the receipts add up to what was captured', total(steps, (tally) => tally.spent) === captured],
  ]
  return checks.filter(([, holds]) => !holds).map(([what]) => `not so: ${what}`)
}

/** The summary, and everything that is not as it should be, one line each. */
export function summarise(findings: Findings): {
  readonly summary: SummaryReport
  readonly problems: readonly string[]
} {
  const { steps, accounting, accounts } = findings
  const { counts, channels } = accounting
  const wrong = discrepancies(findings)
  const summary: SummaryReport = {
    type: 'summary',
    requests: count(steps, (tally) => tally.requests),
    succeeded: count(steps, (tally) => tally.succeeded),
    unpaidSends: counts.unpaidSends,
    paidSends: counts.paidSends,
    channelsOpened: counts.opens,
    topUps: counts.topUps,
    vouchersSigned: count(steps, (tally) => tally.signatures),
    voucherReuses: count(steps, (tally) => tally.reuses),
    deposited: total(channels, (channel) => channel.deposit).toString(),
    captured: total(channels, (channel) => channel.captured).toString(),
    refunded: total(channels, (channel) => channel.refunded).toString(),
    payerBefore: accounts.payerBefore,
    payerAfter: accounts.payerAfter,
    conserved: wrong.length === 0,
  }
  const sent = count(steps, (tally) => tally.paidSends)
  const expectations: readonly (readonly [problem: string, holds: boolean])[] = [
    [
      `${summary.requests - summary.succeeded} of ${summary.requests} requests failed`,
      summary.succeeded === summary.requests,
    ],
    [`${summary.channelsOpened} channels were opened instead of one`, summary.channelsOpened === 1],
    ['the deposit was never topped up', summary.topUps >= 1],
    ['no voucher was ever refreshed', summary.vouchersSigned > summary.channelsOpened],
    ['there were not more reuses than signatures', summary.voucherReuses > summary.vouchersSigned],
    [`the gateway counted ${summary.paidSends} paid sends, the client ${sent}`, summary.paidSends === sent],
  ]
  const unmet = expectations.filter(([, holds]) => !holds).map(([problem]) => problem)
  return { summary, problems: [...unmet, ...wrong] }
}
