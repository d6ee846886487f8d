// The demo's parts: what it does when a payment is refused, when books do not agree, and how it writes.
// Must never let a run that went wrong count as a good one.

import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import { createAggregate } from '../../src/cli/demo/aggregate.js'
import { barOf } from '../../src/cli/demo/bar.js'
import { createFlowLines } from '../../src/cli/demo/flow-lines.js'
import type { Report, StepTally, TransitionReport } from '../../src/cli/demo/reports.js'
import { runInSandbox } from '../../src/cli/demo/run.js'
import { type Findings, summarise } from '../../src/cli/demo/summary.js'
import { createTerminalPrinter } from '../../src/cli/demo/terminal-printer.js'
import { counted, inTokens } from '../../src/cli/money.js'
import { startSandbox } from '../../src/sandbox/index.js'

describe('a gateway that refuses the payer', () => {
  it('ends the scenario with the code, the advice and a summary that is not good', async () => {
    const sandbox = await startSandbox()
    const reports: Report[] = []
    let printed = ''
    const print = createTerminalPrinter(
      { write: (text) => (printed += text), columns: undefined, rewritable: false },
      pc.createColors(false),
    )
    try {
      sandbox.configure({ blockedPayers: sandbox.accounts.map(({ address }) => address) })
      const problems = await runInSandbox(sandbox, (report) => {
        reports.push(report)
        print(report)
      })
      expect(problems[0]).toMatch(/^request 1: mpp_payer_not_allowed: /)
      expect(problems).toContain('1 of 1 requests failed')
      expect(reports.at(-1)).toMatchObject({ type: 'summary', requests: 1, succeeded: 0, channelsOpened: 0 })
      expect(reports.filter(({ type }) => type === 'act')).not.toHaveLength(6)
      expect(printed).toContain('✗ 403 mpp_payer_not_allowed')
      expect(printed).toContain('✗ failed  mpp_payer_not_allowed')
    } finally {
      await sandbox.stop()
    }
  })
})

describe('summarise', () => {
  const act: StepTally = {
    act: 'open',
    title: 'Open',
    requests: 5,
    succeeded: 5,
    paidSends: 6,
    signatures: 2,
    reuses: 3,
    deposited: '3000',
    spent: '1000',
  }
  const channel = {
    channelId: '0x01',
    payer: '0x02',
    deposit: '3000',
    accepted: '2000',
    spent: '1000',
    captured: '1000',
    refunded: '2000',
    status: 'closed',
  } as const
  const counts = {
    unpaidSends: 6,
    paidSends: 6,
    opens: 1,
    topUps: 1,
    closes: 1,
    rejectedCredentials: 1,
    completions: 5,
    uncommittedRuns: 0,
    replays: 0,
  }
  const accounts = {
    type: 'accounts',
    payerBefore: '9000',
    payerAfter: '8000',
    payeeBefore: '0',
    payeeAfter: '1000',
    reserveBefore: '0',
    reserveAfter: '0',
  } as const
  const settlement = { settled: '1000', refunded: '2000' }
  const good: Findings = {
    steps: [act],
    accounting: { channels: [channel], counts, rejections: {} },
    accounts,
    settlement,
  }

  it('finds nothing wrong when everything agrees', () => {
    const { summary, problems } = summarise(good)
    expect(problems).toEqual([])
    expect(summary).toMatchObject({ conserved: true, voucherReuses: 3, vouchersSigned: 2, captured: '1000' })
  })

  const unbalanced: readonly (readonly [string, Findings])[] = [
    ['the payer lost one unit more', { ...good, accounts: { ...accounts, payerAfter: '7999' } }],
    ['the payee got one unit less', { ...good, accounts: { ...accounts, payeeAfter: '999' } }],
    ['the reserve still holds one unit', { ...good, accounts: { ...accounts, reserveAfter: '1' } }],
    [
      'the books refund less',
      { ...good, accounting: { ...good.accounting, channels: [{ ...channel, refunded: '1999' }] } },
    ],
    [
      'the books captured more than was spent',
      { ...good, accounting: { ...good.accounting, channels: [{ ...channel, spent: '999' }] } },
    ],
    [
      'a channel is still open',
      { ...good, accounting: { ...good.accounting, channels: [{ ...channel, status: 'open' }] } },
    ],
    ['the chain settled otherwise', { ...good, settlement: { settled: '1', refunded: '2999' } }],
    ['nothing was closed', { ...good, settlement: null }],
    ['receipts claim less', { ...good, steps: [{ ...act, spent: '900' }] }],
    ['the client signed for more', { ...good, steps: [{ ...act, deposited: '4000' }] }],
  ]
  it.each(unbalanced)('does not call money conserved when %s', (_what, findings) => {
    const { summary, problems } = summarise(findings)
    expect(summary.conserved).toBe(false)
    expect(problems.join()).toContain('not so: ')
  })

  const unmet: readonly (readonly [string, Findings])[] = [
    [
      '2 channels were opened instead of one',
      {
        ...good,
        steps: [{ ...act, signatures: 3, reuses: 4 }],
        accounting: { ...good.accounting, counts: { ...counts, opens: 2 } },
      },
    ],
    [
      'the deposit was never topped up',
      { ...good, accounting: { ...good.accounting, counts: { ...counts, topUps: 0 } } },
    ],
    ['no voucher was ever refreshed', { ...good, steps: [{ ...act, signatures: 1 }] }],
    ['there were not more reuses than signatures', { ...good, steps: [{ ...act, reuses: 2 }] }],
    ['1 of 5 requests failed', { ...good, steps: [{ ...act, succeeded: 4 }] }],
    [
      'the gateway counted 7 paid sends, the client 6',
      { ...good, accounting: { ...good.accounting, counts: { ...counts, paidSends: 7 } } },
    ],
  ]
  it.each(unmet)('is not content when %s', (problem, findings) => {
    expect(summarise(findings)).toMatchObject({ summary: { conserved: true }, problems: [problem] })
  })
})

describe('writing', () => {
  it('appends states as they come, and wraps them before the margin', () => {
    let written = ''
    const lines = createFlowLines({
      write: (text) => (written += text),
      label: '#1 ',
      width: 20,
      faint: (text) => text,
    })
    for (const word of ['one', 'two', 'three', 'four']) lines.step(word)
    expect(written).toBe('#1 one → two → three\n   → four')
    lines.note('signed')
    lines.step('five')
    lines.end()
    expect(written).toBe('#1 one → two → three\n   → four\n   signed\n   five\n')
  })

  it('says once what all flows that run together have done', () => {
    const step = (flow: number, state: string): TransitionReport => ({
      type: 'transition',
      act: 'concurrent',
      flow,
      state,
      event: 'E',
      at: '',
    })
    const aggregate = createAggregate(2, ({ state }) => (state === 'a.skipped' ? null : state))
    expect(aggregate.note(step(1, 'a.paying'))).toBeNull()
    expect(aggregate.note(step(1, 'a.skipped'))).toBeNull()
    expect(aggregate.note(step(1, 'a.paying'))).toBeNull()
    expect(aggregate.whereabouts()).toBe('paying 1')
    expect(aggregate.note(step(2, 'a.paying'))).toMatchObject({ flows: 2 })
    expect(aggregate.rest()).toMatchObject([{ flows: 1, transition: { flow: 1, state: 'a.paying' } }])
  })

  it('writes amounts in tokens, whole and exact', () => {
    expect(['0', '200', '1000000', '9995400000', 1n].map(inTokens)).toEqual([
      '0.00',
      '0.0002',
      '1.00',
      '9,995.40',
      '0.000001',
    ])
    expect([counted(1, 'request'), counted(1000, 'token')]).toEqual(['1 request', '1,000 tokens'])
  })

  it('draws a channel as long as its deposit', () => {
    const { spent, authorised, deposited } = barOf({ spent: '400000', signed: '1000000', deposit: '2000000' })
    expect([spent, authorised, deposited]).toEqual(['██', '▒▒▒', '░░░░░'])
    expect(barOf({ spent: '0', signed: '0', deposit: '0' })).toEqual({ spent: '', authorised: '', deposited: '' })
  })
})
