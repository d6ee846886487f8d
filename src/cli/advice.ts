// Failures in the words of the command line: its options and commands in place of the library's keys and calls.
// Must never change what a failure says happened, nor leave a name in it that nothing on the command line has.

import { CODE_FACTS, type Failure, type FailureCode, type LimitName } from '../../machines/index.js'
import type { Policy } from '../client/index.js'

/** The option of each key of a policy that has one. */
const OPTIONS = {
  maxDeposit: '--max-deposit',
  maxCumulative: '--max-cumulative',
  maxTotalDeposit: '--max-total-deposit',
  maxExposure: '--max-exposure',
  maxFee: '--max-fee',
  allowedOrigins: '--allow-origin',
  allowedChains: '--allow-chain',
  allowedTokens: '--allow-token',
  allowedPayees: '--allow-payee',
  allowedOperators: '--allow-operator',
  allowedEscrows: '--allow-escrow',
  authenticatedOrigins: '--authenticated-origin',
} as const satisfies Readonly<Partial<Record<keyof Policy, string>>> & Readonly<Record<LimitName, string>>

const CLOSE = 'mpp-flow sessions close'
const FORCE_CLOSE = 'mpp-flow sessions force-close'
const LIST = 'mpp-flow sessions list'
const RECOVER = 'mpp-flow sessions recover'

/** Calls of the library, and the command for each. The longer ones come first. */
const CALLS: readonly (readonly [RegExp, string])[] = [
  [/\brecover\(\{ trustNode: true \}\)/g, `"${RECOVER} --trust-node --rpc-url"`],
  [/\bclose\(channelId, \{ url \}\)/g, `"${CLOSE} --url"`],
  [/\bcall forceClose again/g, `run "${FORCE_CLOSE}" again`],
  [/\bforceClose\b/g, `"${FORCE_CLOSE}"`],
  [/\bcall again to go on/g, `run "${FORCE_CLOSE}" again to go on`],
]

const KEYS = new RegExp(`\\b(?:${Object.keys(OPTIONS).join('|')})\\b`, 'g')

function isKey(text: string): text is keyof typeof OPTIONS {
  return Object.hasOwn(OPTIONS, text)
}

/** A text of the library with the options and commands that stand for its keys and calls. */
export function withOptions(text: string): string {
  const named = text.replace(KEYS, (key) => (isKey(key) ? OPTIONS[key] : key))
  return CALLS.reduce((said, [call, command]) => said.replace(call, command), named)
}

/** Advice that is about more than the names in it. All other codes have the library's. */
const ADVICE: Readonly<Partial<Record<FailureCode, string>>> = {
  mpp_session_deposit_below_request_cost: `Raise --max-deposit so that the channel can be topped up, or close it ("${CLOSE}") and pay again to open a larger one.`,
  mpp_payer_not_allowed: `Ask the operator of the gateway; the deposit can be recovered with "${CLOSE}" or "${FORCE_CLOSE}".`,
  mpp_session_close_unavailable: `Run "${CLOSE}" again later, or recover the deposit with "${FORCE_CLOSE}".`,
  mpp_session_close_failed: `Run "${CLOSE}" again later; escalate with the session and channel references, or run "${FORCE_CLOSE}".`,
  'session/channel-not-found': `If the chain still holds its deposit, recover it with "${CLOSE}" or "${FORCE_CLOSE}".`,
  'session/channel-finalized': `If the chain still holds its deposit, recover it with "${FORCE_CLOSE}".`,
  'session/signer-mismatch': `Use the --voucher-key-file that opened the channel, or close it ("${CLOSE}") and pay again to open another.`,
  wallet_balance_insufficient: 'Send tokens to the payer address, or lower --max-deposit.',
  policy_denied:
    'Check what the challenge asks for with --dry-run; allow it with --allow-origin, --allow-chain, --allow-token, --allow-payee, --allow-operator or --allow-escrow only if you trust it.',
  limit_exceeded:
    'Raise the limit (--max-deposit, --max-cumulative, --max-total-deposit, --max-exposure or --max-fee) if you accept the cost, or send a smaller request.',
  signing_failed: 'Check the key of --key-file, and of --voucher-key-file if there is one.',
  session_unavailable: `Try again; if it persists, look for a channel that is stuck with "${LIST}".`,
  store_unavailable:
    'Mend the folder of --store as the detail says, then try again; nothing that it could not keep was sent.',
  store_damaged: `Restore the record from a backup; or remove it as the detail says, and run "${RECOVER}".`,
  store_newer_format: 'Use that newer version with this folder, or another --store with this version.',
  chain_unavailable: 'Check --rpc-url; pending operations are kept and settled when it answers.',
}

/** What to do about a code, on the command line. */
export function adviceOn(code: FailureCode): string {
  return ADVICE[code] ?? withOptions(CODE_FACTS[code].advice)
}

/** The same failure in the words of the command line. */
export function inOptions(failure: Failure): Failure {
  const { code, advice, detail } = failure
  // Advice that is not the code's own is about this failure, such as the limit that it names.
  const own = advice === CODE_FACTS[code].advice
  return {
    ...failure,
    advice: own ? adviceOn(code) : withOptions(advice),
    detail: detail === null ? null : withOptions(detail),
  }
}
