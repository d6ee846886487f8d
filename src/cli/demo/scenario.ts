// Runs the scenario: sends real requests, one by one or together, and reports what each came to.
// Must never change what a flow does: it asks, watches and adds up.

import { type CloseOutcome, describeFailure, type MppClient, type PaymentOutcome } from '../../client/index.js'
import type { TransitionWatch } from '../transitions.js'
import type { ApprovalRule } from './approvals.js'
import type { ChannelFigures, OutcomeReport, Reporter, StepName, StepTally } from './reports.js'
import { chatRequest, tokensUsed } from './requests.js'
import { CLOSE, STEPS, type Step } from './steps.js'

/** What the scenario runs with. */
export interface Environment {
  readonly mpp: MppClient
  readonly url: string
  /** Base units. */
  readonly pricePerToken: bigint
  readonly report: Reporter
  readonly watch: TransitionWatch
  readonly rule: ApprovalRule
  /** Told when an act begins. */
  readonly enter: (act: StepName) => void
}

/** How the scenario went. */
export interface Played {
  readonly steps: readonly StepTally[]
  /** What the close settled and refunded; null when nothing was closed. */
  readonly settlement: { readonly settled: string; readonly refunded: string } | null
  /** What went wrong, in words that are safe to print. */
  readonly failures: readonly string[]
}

interface Paid {
  readonly outcome: PaymentOutcome
  readonly report: Omit<OutcomeReport, 'channel'>
}

const NO_CHANNEL: ChannelFigures = { deposit: '0', signed: '0', spent: '0' }

/** Plays every act. After a request that failed it goes on to the close, so that the deposit comes back all the same. */
export async function play(stage: Environment): Promise<Played> {
  const steps: StepTally[] = []
  const failures: string[] = []
  for (const act of STEPS) {
    const played = await playAct(stage, act)
    steps.push(played.tally)
    failures.push(...played.failures)
    if (failures.length > 0) break
  }
  const close = await playClose(stage)
  if (close?.status === 'failed') failures.push(`close: ${describeFailure(close.failure)}`)
  return { steps, settlement: close?.status === 'closed' ? close.settlement : null, failures }
}

async function playAct(
  stage: Environment,
  act: Step,
): Promise<{ readonly tally: StepTally; readonly failures: string[] }> {
  const { report, rule } = stage
  begin(stage, act)
  const before = await channelFigures(stage.mpp)
  const paid: Paid[] = []
  if (act.together) {
    rule.expect(act.requests.length)
    paid.push(...(await Promise.all(act.requests.map((tokens) => pay(stage, act, tokens)))))
    const channel = await channelFigures(stage.mpp)
    for (const one of paid) report({ ...one.report, channel })
  } else {
    for (const tokens of act.requests) {
      rule.expect(1)
      const one = await pay(stage, act, tokens)
      paid.push(one)
      report({ ...one.report, channel: await channelFigures(stage.mpp) })
      if (one.report.status === 'failed') break
    }
  }
  const channel = await channelFigures(stage.mpp)
  const tally = tallyOf(act, paid, before, channel)
  report({ type: 'actEnd', ...tally, channel })
  return { tally, failures: paid.flatMap(failureOf) }
}

function begin({ report, enter }: Environment, { act, title, why, requests, together }: Step): void {
  enter(act)
  report({ type: 'act', act, title, why, requests: requests.length, together })
}

async function pay({ mpp, url, watch, pricePerToken }: Environment, { act }: Step, tokens: number): Promise<Paid> {
  const flow = watch.newestFlow() + 1
  const outcome = await mpp.pay(url, chatRequest(flow, tokens))
  const used = outcome.status === 'succeeded' ? await tokensUsed(outcome.response) : null
  const problem = problemOf(outcome, used)
  const { vouchersSigned, paidSends } = outcome.authorised
  return {
    outcome,
    report: {
      type: 'outcome',
      act,
      flow,
      status: problem === null ? 'succeeded' : 'failed',
      problem,
      tokens: used ?? 0,
      cost: (BigInt(used ?? 0) * pricePerToken).toString(),
      vouchersSigned,
      paidSends,
    },
  }
}

/** A request has succeeded when it brought a completion and a receipt that could be believed. */
function problemOf(outcome: PaymentOutcome, tokens: number | null): string | null {
  if (outcome.status === 'failed') return outcome.failure.code
  if (!outcome.response.ok) return `the gateway answered ${outcome.response.status}`
  if (outcome.receipt === undefined) return outcome.receiptProblem ?? 'there is no receipt'
  return tokens === null ? 'the answer is no chat completion' : null
}

function failureOf({ outcome, report }: Paid): string[] {
  if (report.problem === null) return []
  const why = outcome.status === 'failed' ? describeFailure(outcome.failure) : report.problem
  return [`request ${report.flow}: ${why}`]
}

function tallyOf(
  { act, title }: Step,
  paid: readonly Paid[],
  before: ChannelFigures,
  after: ChannelFigures,
): StepTally {
  const reports = paid.map(({ report }) => report)
  const sum = (figure: (report: Paid['report']) => number): number =>
    reports.reduce((total, report) => total + figure(report), 0)
  const grown = (name: keyof ChannelFigures): string => (BigInt(after[name]) - BigInt(before[name])).toString()
  const succeeded = reports.filter(({ status }) => status === 'succeeded')
  return {
    act,
    title,
    requests: reports.length,
    succeeded: succeeded.length,
    paidSends: sum(({ paidSends }) => paidSends),
    signatures: sum(({ vouchersSigned }) => vouchersSigned),
    reuses: succeeded.filter(({ vouchersSigned }) => vouchersSigned === 0).length,
    deposited: grown('deposit'),
    spent: grown('spent'),
  }
}

async function playClose(stage: Environment): Promise<CloseOutcome | null> {
  const [session] = await stage.mpp.sessions.list()
  if (session === undefined) return null
  begin(stage, CLOSE)
  return stage.mpp.sessions.close(session.channelId)
}

async function channelFigures(mpp: MppClient): Promise<ChannelFigures> {
  const [session] = await mpp.sessions.list()
  if (session === undefined) return NO_CHANNEL
  const { deposit, signed, spent } = session
  return { deposit, signed, spent }
}
