// The checks behind `npm run codes`, held against runs in which something is wrong.
// Must never let a check go that no wrong run has been found by.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LocalChain, startChain } from '../../src/sandbox/index.js'
import {
  CODE_SCENARIOS,
  type CodeRun,
  type CodeScenario,
  checkPersistent,
  checkRow,
  type FlowRun,
  runPersistent,
  runScenario,
} from '../../src/testing/code-scenarios/index.js'
import type { WireExchange } from '../../src/testing/wire.js'

const CODE = 'mpp_voucher_bucket_refresh_required'

let chain: LocalChain
let scenario: CodeScenario
let run: CodeRun
let endless: CodeRun
beforeAll(async () => {
  chain = await startChain({ accounts: 3 })
  const [payer, another] = chain.accounts
  const found = CODE_SCENARIOS.find(({ code }) => code === CODE)
  if (payer === undefined || another === undefined || found === undefined) throw new Error('nothing to run')
  scenario = found
  run = await runScenario(scenario, { chain, payer })
  endless = await runPersistent(CODE, { chain, payer: another })
})
afterAll(() => chain?.stop())

/** The run with its last flow changed. */
function doctored(change: (flow: FlowRun) => FlowRun): CodeRun {
  return { ...run, flow: change(run.flow) }
}

function withTrace(change: (trace: FlowRun['outcome']['trace']) => FlowRun['outcome']['trace']): CodeRun {
  // The flow under test pays: its outcome stays a payment's whatever its path says.
  return doctored((flow) => ({ ...flow, outcome: { ...flow.outcome, trace: change(flow.outcome.trace) } }) as FlowRun)
}

function withExchanges(change: (exchanges: WireExchange[]) => void): CodeRun {
  return doctored((flow) => {
    const exchanges = flow.exchanges.map((exchange) => ({ ...exchange, sent: { ...exchange.sent } }))
    change(exchanges)
    return { ...flow, exchanges }
  })
}

describe('a row', () => {
  it('holds for the run as it was', () => {
    expect(checkRow(scenario, run)).toEqual([])
    expect(checkPersistent(scenario, endless)).toEqual([])
  })

  it.each<[string, () => CodeRun, RegExp]>([
    ['the code never came', () => withTrace((trace) => trace.filter(({ event }) => event !== CODE)), /came 0 times/],
    [
      'it led elsewhere',
      () => withTrace((trace) => trace.filter(({ state }) => state !== 'authorizing.signingVoucher')),
      /no voucher-refresh after/,
    ],
    ['it went on after the end', () => withTrace((trace) => trace.slice(0, -1)), /does not end where the flow did/],
    [
      'a body changed between the sends',
      () => withExchanges(([, , last]) => last && Object.assign(last.sent, { body: new Uint8Array([1]) })),
      /other bytes/,
    ],
    [
      'the idempotency key changed',
      () => withExchanges(([, , last]) => last && Object.assign(last.sent, { headers: withoutKey(last.sent.headers) })),
      /idempotency-key differs/,
    ],
    [
      'an old challenge was answered',
      () =>
        withExchanges(([, refused, last]) => {
          if (refused === undefined || last === undefined) throw new Error('too few exchanges')
          Object.assign(last.sent, { headers: refused.sent.headers })
        }),
      /does not answer the newest challenge/,
    ],
    ['a send is missing', () => withExchanges((exchanges) => exchanges.pop()), /it sent unpaid, voucher, not/],
  ])('does not hold when %s', (_, wrong, problem) => {
    expect(checkRow(scenario, wrong()).join('\n')).toMatch(problem)
  })

  it('does not hold when it ended otherwise', () => {
    const { flow } = run
    const other = { ...scenario, expected: { ...scenario.expected, outcome: 'failed', failureCode: CODE } as const }
    expect(checkRow(other, run).join('\n')).toMatch(/it ended as succeeded, not failed/)
    if (flow.kind !== 'pay' || flow.outcome.status !== 'succeeded') throw new Error('the run did not succeed')
    const { receipt: _receipt, ...unpaid } = flow.outcome
    expect(checkRow(scenario, { ...run, flow: { ...flow, outcome: unpaid } }).join('\n')).toMatch(/its receipt/)
  })

  it('does not hold when the machine says something else than the table', () => {
    const leads = { ...scenario, row: { ...scenario.row, leadsTo: 'top-up' } as const }
    expect(checkRow(leads, run).join('\n')).toMatch(/leads to voucher-refresh, the table top-up/)
    const bound = { ...scenario, row: { ...scenario.row, bound: 0 } }
    expect(checkRow(bound, run).join('\n')).toMatch(/a bound of 3, the table one of 0/)
    expect(checkRow(bound, run).join('\n')).toMatch(/1 recoveries, 0 are allowed/)
  })
})

describe('a bound', () => {
  it.each<[string, object, RegExp]>([
    ['the advice is another', { advice: 'Try harder, again and again.' }, /the advice/],
    ['it may be tried again, or not', { retryable: false }, /retryable/],
    ['it ended with another code', { code: 'limit_exceeded' }, /it failed with limit_exceeded/],
    ['it names another request', { references: { requestId: 'other' } }, /another request/],
    ['it reports less than was sent', { authorised: { paidSends: 1, cumulative: '1' } }, /1 paid sends are reported/],
  ])('is not kept when %s', (_, change, problem) => {
    const { flow } = endless
    if (flow.kind !== 'pay' || flow.outcome.status !== 'failed') throw new Error('the run did not fail')
    const failure = { ...flow.outcome.failure, ...change }
    const wrong = { ...endless, flow: { ...flow, outcome: { ...flow.outcome, failure } } }
    expect(checkPersistent(scenario, wrong).join('\n')).toMatch(problem)
  })

  it('is not kept when the code came less often', () => {
    expect(checkPersistent(scenario, run).join('\n')).toMatch(/came 1 times in paying, not 4 times/)
  })
})

function withoutKey(headers: Headers): Headers {
  const changed = new Headers(headers)
  changed.set('idempotency-key', 'another')
  return changed
}
