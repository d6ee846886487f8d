// The codes with which a gateway ends a request, whatever the client could do, and the two that only it can bring about.
// Must never inject a code that has a cause outside of the gateway.

import type { MppCode } from '../../../machines/index.js'
import { chat, request } from './requests.js'
import type { CodeScenario, Expectation } from './scenario.js'

const terminal = (code: MppCode, refusedIn: Expectation['refusedIn'], sends: Expectation['sends']): Expectation => ({
  refusedIn,
  sends,
  refusals: 1,
  through: ['failed'],
  outcome: 'failed',
  failureCode: code,
})

/** Scenarios of the codes that a gateway gives on its own account. */
export const GATEWAY_SCENARIOS: readonly CodeScenario[] = [
  {
    code: 'mpp_request_quote_invalid',
    cause: 'real',
    how: 'a request without max_tokens',
    row: { leadsTo: 'terminal', bound: 0 },
    expected: terminal('mpp_request_quote_invalid', 'requesting', ['unpaid']),
    play: (stage) => stage.pay(request({})),
  },
  {
    code: 'mpp_payer_not_allowed',
    cause: 'real',
    how: 'the payer is on the operator’s blocklist',
    row: { leadsTo: 'terminal', bound: 0 },
    expected: terminal('mpp_payer_not_allowed', 'paying', ['unpaid', 'open']),
    gateway: (payer) => ({ blockedPayers: [payer] }),
    play: (stage) => stage.pay(chat(10)),
  },
  {
    code: 'mpp_streaming_unavailable',
    cause: 'real',
    how: 'a request with "stream": true; seen before anything is sent',
    row: { leadsTo: 'terminal', bound: 0 },
    expected: terminal('mpp_streaming_unavailable', 'requesting', []),
    play: (stage) => stage.pay(request({ max_tokens: 5, stream: true })),
  },
  {
    code: 'mpp_reservation_failed',
    cause: 'injected',
    how: 'the gateway fails to reserve, once',
    row: { leadsTo: 're-challenge', bound: 3 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ['backingOff', 'requesting', 'parsingChallenge', 'authorizing.planning', 'paying', 'succeeded'],
      sends: ['unpaid', 'open', 'unpaid', 'voucher'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      stage.gateway.inject('mpp_reservation_failed')
      return stage.pay(chat(10))
    },
  },
  {
    code: 'mpp_commit_failed',
    cause: 'injected',
    how: 'the gateway fails to commit the usage of work that ran, once',
    row: { leadsTo: 'terminal', bound: 0 },
    expected: terminal('mpp_commit_failed', 'paying', ['unpaid', 'open']),
    async play(stage) {
      stage.gateway.inject('mpp_commit_failed')
      return stage.pay(chat(10))
    },
  },
]
