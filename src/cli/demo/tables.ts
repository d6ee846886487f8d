// The tables at the end: what each act cost, and where the money is now.
// Must never colour its borders, nor anything else when colours are off.

import Table from 'cli-table3'
import { inTokens } from '../money.js'
import type { Colors } from '../transition-words.js'
import type { AccountsReport, StepTally, SummaryReport } from './reports.js'

const PLAIN = { head: [], border: [], compact: true }
const INDENT = '   '

function draw(table: { toString(): string }): string {
  return table.toString().replace(/^/gm, INDENT)
}

const orDash = (figure: number | string): string => (figure === 0 || figure === '0.00' ? '–' : String(figure))

/** One row per act, and their sum. */
export function stepsTable(steps: readonly StepTally[], summary: SummaryReport, { bold }: Colors): string {
  const table = new Table({
    head: ['act', 'requests', 'paid sends', 'signatures', 'reuses', 'deposited', 'spent'].map(bold),
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: PLAIN,
  })
  for (const act of steps) {
    const { title, requests, paidSends, signatures, reuses } = act
    const figures = [requests, paidSends, signatures, reuses, inTokens(act.deposited), inTokens(act.spent)]
    table.push([title, ...figures.map(orDash)])
  }
  const { requests, paidSends, vouchersSigned, voucherReuses, deposited, captured } = summary
  const totals = [requests, paidSends, vouchersSigned, voucherReuses, inTokens(deposited), inTokens(captured)]
  table.push(['total', ...totals.map(String)].map(bold))
  return draw(table)
}

/** Where the money was before and is now, as the chain says. */
export function accountsTable(accounts: AccountsReport, summary: SummaryReport, { bold }: Colors): string {
  const table = new Table({
    head: ['on the chain', 'before', 'after', ''].map(bold),
    colAligns: ['left', 'right', 'right', 'left'],
    style: PLAIN,
  })
  const { payerBefore, payerAfter, payeeBefore, payeeAfter, reserveBefore, reserveAfter } = accounts
  const { deposited, captured, refunded } = summary
  table.push(
    [
      'payer',
      inTokens(payerBefore),
      inTokens(payerAfter),
      `${inTokens(deposited)} deposited, ${inTokens(refunded)} refunded`,
    ],
    ['payee', inTokens(payeeBefore), inTokens(payeeAfter), `${inTokens(captured)} captured`],
    ['channel reserve', inTokens(reserveBefore), inTokens(reserveAfter), 'holds deposits while a channel is open'],
  )
  return draw(table)
}
