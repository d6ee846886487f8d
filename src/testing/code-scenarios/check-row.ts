// Holds what was seen of a flow against its row of the table, and against what is true of every flow.
// Must never pass what it cannot see: a flow without the code in its path is a problem, not a success.

import { CODE_FACTS, ERROR_CODES, type LeadsTo, type MppCode, max, type TraceStep } from '../../../machines/index.js'
import { checkWire, paidSends, sendKinds } from './check-wire.js'
import type { CodeRun } from './run.js'
import type { CodeScenario, Expectation, FlowRun, TableRow } from './scenario.js'

/** What each arrow must be followed by, up to the next send or the end: states in order. */
const FOLLOWS: Readonly<Record<LeadsTo, (step: readonly string[]) => boolean>> = {
  'top-up': (states) => states.includes('authorizing.toppingUp'),
  'voucher-refresh': (states) => states.includes('authorizing.signingVoucher'),
  're-challenge': (states) => /^(parsingChallenge|requesting|backingOff)$/.test(states[0] ?? ''),
  reconcile: (states) =>
    states[0] === 'authorizing.reconcilingSession' && states.includes('authorizing.signingVoucher'),
  'retry-close': (states) => states[0] === 'closing.backingOff' && states[1] === 'closing.sendingClose',
  'next-offer': (states) => states[0] === 'parsingChallenge',
  're-plan': (states) => states[0] === 'authorizing.planning',
  resend: (states) => states[0] === 'backingOff' && states[1] === 'resending',
  wait: (states) => states[0] === 'backingOff',
  'ask-chain-again': (states) => /(^|\.)backingOff$/.test(states[0] ?? ''),
  terminal: (states) => states[0] === 'failed',
}

/** Where the code arrived in `state`: indices of the steps that it caused. */
function refusalsOf(trace: readonly TraceStep[], code: MppCode, state: string): number[] {
  return trace.flatMap((step, index) => (step.event === code && trace[index - 1]?.state === state ? [index] : []))
}

/** Whether `wanted` are found in `states` in this order, the first one at once. */
function passes(states: readonly string[], wanted: readonly string[]): boolean {
  if (wanted.length > 0 && states[0] !== wanted[0]) return false
  let at = 0
  for (const state of states) if (state === wanted[at]) at += 1
  return at === wanted.length
}

/** The states after a refusal, up to and with the next state in which a refusal could arrive. */
function recovery(trace: readonly TraceStep[], from: number, refusedIn: string): string[] {
  const states = trace.slice(from).map(({ state }) => state)
  const next = states.indexOf(refusedIn)
  return next === -1 ? states : states.slice(0, next + 1)
}

function checkRecoveries(
  code: MppCode,
  { leadsTo, bound }: TableRow,
  expected: Omit<Expectation, 'sends'>,
  flow: FlowRun,
): string[] {
  const { trace } = flow.outcome
  const problems: string[] = []
  const refusals = refusalsOf(trace, code, expected.refusedIn)
  if (refusals.length !== expected.refusals)
    problems.push(`${code} came ${refusals.length} times in ${expected.refusedIn}, not ${expected.refusals} times`)
  const recoveries = refusals.filter((index) => trace[index]?.state !== 'failed')
  if (recoveries.length > bound) problems.push(`${recoveries.length} recoveries, ${bound} are allowed`)
  for (const index of recoveries) {
    const states = recovery(trace, index, expected.refusedIn)
    if (!FOLLOWS[leadsTo](states)) problems.push(`no ${leadsTo} after ${code}, but ${states.join(' → ')}`)
  }
  if (leadsTo === 'terminal' && recoveries.length > 0) problems.push(`${code} is terminal, but the flow went on`)
  const after = trace.slice(refusals[0] ?? trace.length).map(({ state }) => state)
  if (!passes(after, expected.through))
    problems.push(`after ${code} the flow went ${after.join(' → ')}, not ${expected.through.join(' → ')}`)
  return problems
}

function checkSends({ sends }: Expectation, flow: FlowRun): string[] {
  const made = sendKinds(flow)
  return made.join() === sends.join() ? [] : [`it sent ${made.join(', ')}, not ${sends.join(', ')}`]
}

function checkEnd(expected: Omit<Expectation, 'sends'>, flow: FlowRun): string[] {
  const { outcome } = flow
  const problems: string[] = []
  if (outcome.status !== expected.outcome) problems.push(`it ended as ${outcome.status}, not ${expected.outcome}`)
  const failureCode = outcome.status === 'failed' ? outcome.failure.code : null
  if (failureCode !== expected.failureCode)
    problems.push(`it failed with ${failureCode}, not with ${expected.failureCode}`)
  if (outcome.trace.at(-1)?.state !== outcome.status) problems.push('the path does not end where the flow did')
  if (outcome.status === 'failed') problems.push(...checkFailure(flow))
  if (outcome.status === 'succeeded' && (!outcome.response.ok || outcome.receipt === undefined))
    problems.push('it succeeded without a paid answer and its receipt')
  return problems
}

/** A failure says what to do, whether it may pass, where to look, and what was authorised. */
function checkFailure(flow: FlowRun): string[] {
  const { outcome, exchanges } = flow
  if (outcome.status !== 'failed') return []
  const problems: string[] = []
  const { code, advice, retryable, references, authorised } = outcome.failure
  const facts = CODE_FACTS[code]
  if (advice !== facts.advice || advice.length < 10) problems.push('the advice is not that of the code')
  if (retryable !== facts.retryable) problems.push('retryable is not that of the code')
  const last = exchanges.at(-1)?.delivered
  if (references.httpStatus !== (last?.status ?? null)) problems.push('the failure names another HTTP status')
  if (references.requestId !== (last?.headers.get('x-request-id') ?? null))
    problems.push('the failure names another request')
  const sends = paidSends(flow)
  const channelId = sends.at(-1)?.channelId ?? null
  if (channelId !== null && references.channelId !== channelId) problems.push('the failure names another channel')
  const content = sends.filter(({ action }) => action === 'open' || action === 'voucher')
  const highest = max('0', ...content.map(({ cumulative }) => cumulative.toString()))
  if (flow.kind === 'pay' && authorised.paidSends !== content.length)
    problems.push(`${authorised.paidSends} paid sends are reported, ${content.length} were made`)
  if (flow.kind === 'pay' && authorised.cumulative !== highest)
    problems.push(`${authorised.cumulative} is reported as authorised, ${highest} was sent`)
  return problems
}

function checkCatalogue(code: MppCode, row: TableRow): string[] {
  const { leadsTo, bound } = ERROR_CODES[code]
  const problems: string[] = []
  if (leadsTo !== row.leadsTo) problems.push(`ERROR_CODES says that it leads to ${leadsTo}, the table ${row.leadsTo}`)
  if (bound !== row.bound) problems.push(`ERROR_CODES has a bound of ${bound}, the table one of ${row.bound}`)
  return problems
}

/**
 * What of a scenario's row does not hold; empty when all of it does: where the code leads, how often, with which
 * challenge, with which bytes, and how the flow ends.
 */
export function checkRow(scenario: CodeScenario, { flow }: CodeRun): readonly string[] {
  const { code, row, expected } = scenario
  return [
    ...checkCatalogue(code, row),
    ...checkRecoveries(code, row, expected, flow),
    ...checkEnd(expected, flow),
    ...checkSends(expected, flow),
    ...checkWire(flow),
  ]
}

/** What does not hold of a flow that met nothing but this code: as many recoveries as are allowed, then `failed` with it. */
export function checkPersistent({ code, row, expected }: CodeScenario, { flow }: CodeRun): readonly string[] {
  const untilTheEnd: Omit<Expectation, 'sends'> = {
    refusedIn: expected.refusedIn,
    refusals: row.bound + 1,
    through: [],
    outcome: 'failed',
    failureCode: code,
  }
  const last = flow.outcome.trace.at(-1)
  return [
    ...checkRecoveries(code, row, untilTheEnd, flow),
    ...checkEnd(untilTheEnd, flow),
    ...(last?.event === code ? [] : [`the last step came from ${last?.event ?? 'nothing'}`]),
    ...checkWire(flow),
  ]
}
