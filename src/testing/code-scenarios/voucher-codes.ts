// The codes about what a voucher authorises and what a channel holds, by using both up.
// Must never write to the ledger but in the one scenario whose cause is a ledger that is wrong.

import { BUCKET_TOKENS, chat } from './requests.js'
import type { CodeScenario } from './scenario.js'

const PAID = ['paying', 'verifyingReceipt', 'succeeded']
const REFRESHED = ['parsingChallenge', 'authorizing.planning', 'authorizing.signingVoucher', ...PAID]
const BUCKET = 1_000_000n

/** Scenarios of the codes that ask for a higher voucher or a larger deposit. */
export const VOUCHER_SCENARIOS: readonly CodeScenario[] = [
  {
    code: 'mpp_voucher_bucket_refresh_required',
    cause: 'real',
    how: 'the bucket is used up by 80 %, and the next request costs 40 % of it',
    row: { leadsTo: 'voucher-refresh', bound: 3 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: REFRESHED,
      sends: ['unpaid', 'voucher', 'voucher'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      await stage.pay(chat(BUCKET_TOKENS * 0.8))
      return stage.pay(chat(BUCKET_TOKENS * 0.4))
    },
  },
  {
    code: 'mpp_request_exceeds_voucher_bucket',
    cause: 'real',
    how: 'a request that is quoted at one and a half buckets',
    row: { leadsTo: 'voucher-refresh', bound: 1 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: REFRESHED,
      sends: ['unpaid', 'voucher', 'voucher'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      await stage.pay(chat(BUCKET_TOKENS * 0.1))
      return stage.pay(chat(BUCKET_TOKENS * 1.5))
    },
  },
  {
    code: 'mpp_session_deposit_below_request_cost',
    cause: 'real',
    how: 'a ledger that overstates its deposit by a bucket, as a restored copy can: its next voucher is above what the chain holds',
    row: { leadsTo: 'top-up', bound: 2 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ['parsingChallenge', 'authorizing.planning', 'authorizing.toppingUp', ...PAID],
      sends: ['unpaid', 'voucher', 'voucher', 'unpaid', 'topUp', 'voucher'],
      outcome: 'succeeded',
      failureCode: null,
    },
    // A deposit of one bucket, so that the second one is the one that is not there.
    gateway: () => ({ suggestedDeposit: '1' }),
    async play(stage) {
      await stage.pay(chat(BUCKET_TOKENS * 0.8))
      await stage.overstateDeposit(BUCKET)
      return stage.pay(chat(BUCKET_TOKENS * 0.4))
    },
  },
]
