// Every code that can end or bend a payment flow: what it means, how often it may be recovered from, what a person should do.
// Must never say where a code leads: the arrows live in payment-flow.recovery.ts, and error-codes.ts is derived from those.

/** Codes of Ando's gateway, as its errors page lists them. */
export const MPP_CODES = [
  'payment_required',
  'mpp_session_deposit_below_request_cost',
  'mpp_malformed_credential',
  'mpp_method_unsupported',
  'mpp_invalid_challenge',
  'mpp_body_digest_mismatch',
  'mpp_request_quote_invalid',
  'mpp_request_exceeds_voucher_bucket',
  'mpp_payment_verification_failed',
  'mpp_payer_not_allowed',
  'mpp_voucher_bucket_refresh_required',
  'mpp_reservation_failed',
  'mpp_commit_failed',
  'mpp_session_close_unavailable',
  'mpp_session_close_failed',
  'mpp_streaming_unavailable',
] as const

/** What follows `https://paymentauth.org/problems/` in the problem types of standard MPP servers. */
export const PROBLEM_TYPES = [
  'payment-required',
  'payment-expired',
  'invalid-challenge',
  'session/challenge-not-found',
  'payment-insufficient',
  'session/delta-too-small',
  'session/insufficient-balance',
  'session/amount-exceeds-deposit',
  'session/invalid-signature',
  'verification-failed',
  'session/signer-mismatch',
  'session/channel-not-found',
  'session/channel-finalized',
  'malformed-credential',
  'method-unsupported',
  'internal-payment-error',
] as const

/** Failures that this side finds by itself, without a code from the gateway. */
export const LOCAL_CODES = [
  'deposit_too_low',
  'wallet_balance_insufficient',
  'policy_denied',
  'limit_exceeded',
  'challenge_unsupported',
  'challenge_rejected',
  'challenge_expired',
  'signing_failed',
  'session_unavailable',
  'store_unavailable',
  'store_damaged',
  'store_newer_format',
  'chain_unavailable',
  'rate_limited',
  'server_failed',
  'connection_failed',
  'outcome_unknown',
  'payment_rejected',
  'cancelled',
  'request_invalid',
  'internal_error',
] as const

/** A code of Ando's gateway. */
export type MppCode = (typeof MPP_CODES)[number]
/** A standard problem type. */
export type ProblemType = (typeof PROBLEM_TYPES)[number]
/** A failure found on this side. */
export type LocalCode = (typeof LOCAL_CODES)[number]
/** Whatever a failed flow can carry as its `code`. */
export type FailureCode = MppCode | ProblemType | LocalCode

/** What a person needs to know about a code. */
export interface CodeFacts {
  /** One line: what happened. */
  readonly meaning: string
  /** One line: what to do next. */
  readonly advice: string
  /** Whether the same call may succeed later without anything being changed. */
  readonly retryable: boolean
  /** How many times one flow may recover from it by itself. */
  readonly bound: number
}

const facts = (bound: number, retryable: boolean, meaning: string, advice: string): CodeFacts => ({
  meaning,
  advice,
  retryable,
  bound,
})

/** Facts about every code. `bound` is the default; a policy may lower or raise it per code. */
export const CODE_FACTS: Readonly<Record<FailureCode, CodeFacts>> = {
  payment_required: facts(
    2,
    true,
    'The gateway saw no usable credential.',
    'Send the request again; if it persists, check that nothing on the way strips the Authorization header.',
  ),
  mpp_session_deposit_below_request_cost: facts(
    2,
    false,
    'The channel holds less than the voucher authorises.',
    'Raise maxDeposit so that the channel can be topped up, or close it and open a larger one.',
  ),
  mpp_malformed_credential: facts(
    1,
    false,
    'The gateway could not read the payment credential.',
    'Check that proxies keep long Authorization headers whole; then report it with the request id.',
  ),
  mpp_method_unsupported: facts(
    0,
    false,
    'The gateway does not take Tempo session payments here.',
    'Use a route that offers a tempo/session challenge.',
  ),
  mpp_invalid_challenge: facts(
    2,
    true,
    'The challenge was expired, malformed or not issued by this gateway.',
    'Try again; if it persists, compare the clocks of both sides.',
  ),
  mpp_body_digest_mismatch: facts(
    1,
    false,
    'The body that arrived is not the body the challenge was bound to.',
    'Look for a proxy or middleware that rewrites the body between you and the gateway.',
  ),
  mpp_request_quote_invalid: facts(
    0,
    false,
    'The gateway could not derive a positive price for the request.',
    'Set max_tokens and at least one message.',
  ),
  mpp_request_exceeds_voucher_bucket: facts(
    1,
    false,
    'The quoted request costs more than a voucher bucket allows.',
    'Send a smaller request: fewer tokens in max_tokens or in the prompt.',
  ),
  mpp_payment_verification_failed: facts(
    1,
    false,
    'The gateway could not verify the payment credential.',
    'Check that the channel exists on the chain of the challenge and that the voucher signer is the right one.',
  ),
  mpp_payer_not_allowed: facts(
    0,
    false,
    'The operator does not serve this payer at the moment.',
    'Ask the operator of the gateway; the deposit can be recovered with a close or a forced close.',
  ),
  mpp_voucher_bucket_refresh_required: facts(
    3,
    true,
    'The authorised voucher bucket is used up.',
    'Raise maxCumulative or maxExposure if the next bucket is not allowed by your policy.',
  ),
  mpp_reservation_failed: facts(
    3,
    true,
    'The gateway could not reserve the authorised amount; nothing was run.',
    'Try again later; nothing was spent.',
  ),
  mpp_commit_failed: facts(
    0,
    false,
    'The work ran, but its usage was not committed and no receipt was given.',
    'Ask the operator with the request id before repeating: a repeat may be paid twice.',
  ),
  mpp_session_close_unavailable: facts(
    3,
    true,
    'The gateway cannot close sessions at the moment; the channel stays open.',
    'Close again later, or recover the deposit with a forced close.',
  ),
  mpp_session_close_failed: facts(
    3,
    true,
    'The gateway could not settle or record the close.',
    'Close again later; escalate with the session and channel references, or use a forced close.',
  ),
  mpp_streaming_unavailable: facts(
    0,
    false,
    'Streaming is not offered on this route.',
    'Send the request with stream: false.',
  ),
  'payment-required': facts(2, true, 'The server asks for payment.', 'Send the request again.'),
  'payment-expired': facts(2, true, 'The challenge expired before it was answered.', 'Try again.'),
  'invalid-challenge': facts(2, true, 'The server does not accept its challenge any more.', 'Try again.'),
  'session/challenge-not-found': facts(2, true, 'The server no longer knows the challenge.', 'Try again.'),
  'payment-insufficient': facts(
    3,
    true,
    'The voucher authorises too little.',
    'Raise maxCumulative or maxExposure if your policy stops the next voucher.',
  ),
  'session/delta-too-small': facts(
    3,
    true,
    'The voucher grew by less than the server asks for.',
    'Raise maxCumulative or maxExposure if your policy stops the next voucher.',
  ),
  'session/insufficient-balance': facts(
    3,
    true,
    'The voucher authorises less than this request needs.',
    'Raise maxCumulative or maxExposure if your policy stops the next voucher.',
  ),
  'session/amount-exceeds-deposit': facts(
    2,
    false,
    'The voucher authorises more than the channel holds.',
    'Raise maxDeposit so that the channel can be topped up.',
  ),
  'session/invalid-signature': facts(
    1,
    false,
    'The server could not verify the voucher signature.',
    'Check the voucher signer and the chain of the challenge.',
  ),
  'verification-failed': facts(
    1,
    false,
    'The server could not verify the payment.',
    'Check the voucher signer and the chain of the challenge.',
  ),
  'session/signer-mismatch': facts(
    0,
    false,
    'The voucher was signed by a key that the channel does not authorise.',
    'Use the signer that opened the channel, or close it and open another.',
  ),
  'session/channel-not-found': facts(
    1,
    false,
    'The server does not know the channel.',
    'If the chain still holds its deposit, recover it with a close or a forced close.',
  ),
  'session/channel-finalized': facts(
    1,
    false,
    'The server says that the channel is closed.',
    'If the chain still holds its deposit, recover it with a forced close.',
  ),
  'malformed-credential': facts(
    1,
    false,
    'The server could not read the payment credential.',
    'Check that proxies keep long Authorization headers whole.',
  ),
  'method-unsupported': facts(
    0,
    false,
    'The server does not take Tempo session payments here.',
    'Use a route that offers a tempo/session challenge.',
  ),
  'internal-payment-error': facts(
    0,
    false,
    'The server failed while it handled the payment; the outcome is unknown.',
    'Ask the operator with the request id before repeating: a repeat may be paid twice.',
  ),
  deposit_too_low: facts(
    2,
    false,
    'The deposit does not cover the voucher that the request needs.',
    'Raise maxDeposit so that the channel can be topped up.',
  ),
  wallet_balance_insufficient: facts(
    4,
    false,
    'The wallet does not hold enough of the token for the least deposit that the request needs, and for the fee.',
    'Send tokens to the payer address; a channel that is open already is used without any.',
  ),
  policy_denied: facts(
    0,
    false,
    'Your policy does not allow this payment.',
    'Check what the challenge asks for; allow it in the policy only if you trust it.',
  ),
  limit_exceeded: facts(
    0,
    false,
    'A limit of your policy would have been crossed; nothing was signed beyond it.',
    'Raise the named limit if you accept the cost, or send a smaller request.',
  ),
  challenge_unsupported: facts(
    0,
    false,
    'The gateway offers no payment that this client speaks.',
    'This client pays Tempo sessions of protocol v2; see what the gateway offers.',
  ),
  challenge_rejected: facts(
    0,
    false,
    'The challenge does not hold what it must, or is not for this request.',
    'Report it to the operator of the gateway; nothing was signed.',
  ),
  challenge_expired: facts(
    2,
    true,
    'Challenges expire before they can be answered.',
    'Compare the clocks of both sides, or ask for a longer expiry.',
  ),
  signing_failed: facts(0, false, 'The account did not sign.', 'Check the account, its key and its permissions.'),
  session_unavailable: facts(
    0,
    true,
    'The channel was busy for too long.',
    'Try again; if it persists, list the sessions and look for one that is stuck.',
  ),
  store_unavailable: facts(
    0,
    true,
    'The store that keeps the channels cannot be used.',
    'Mend the store as the detail says, then try again; nothing that it could not keep was sent.',
  ),
  store_damaged: facts(
    0,
    false,
    'What the store keeps of a channel cannot be read.',
    'Restore the record from a backup; or remove it as the detail says, and recover the sessions from the chain.',
  ),
  store_newer_format: facts(
    0,
    false,
    'The store was written by a newer version of this package.',
    'Use that newer version with this store, or another store with this version.',
  ),
  chain_unavailable: facts(
    4,
    true,
    'The chain could not be asked: its node cannot be reached, fails, or limits the rate of requests.',
    'Check the RPC URL; pending operations are kept and settled when it answers.',
  ),
  rate_limited: facts(1, true, 'The gateway limits the rate of requests.', 'Wait, then try again with fewer at once.'),
  server_failed: facts(2, true, 'The gateway failed.', 'Try again later; keep the request id for support.'),
  connection_failed: facts(
    2,
    true,
    'The gateway could not be reached.',
    'Check the URL and the network; nothing was paid by this request.',
  ),
  outcome_unknown: facts(
    0,
    false,
    'The paid request may or may not have been carried out.',
    'Ask the operator with the request id before repeating: a repeat may be paid twice.',
  ),
  payment_rejected: facts(
    0,
    false,
    'The gateway answered the payment with a refusal that this client does not know.',
    'Look up what it answered in the documentation of the gateway.',
  ),
  cancelled: facts(0, false, 'The flow was cancelled.', 'Start it again when it is wanted.'),
  request_invalid: facts(
    0,
    false,
    'The URL or an option of the call cannot be used for a request.',
    'Correct the named argument of the call; nothing was sent or signed.',
  ),
  internal_error: facts(
    0,
    false,
    'This client failed unexpectedly.',
    'Report it with the trace of the flow; what was signed is in the ledger.',
  ),
}

/** The event of the machine that each local code stands for. */
export const LOCAL_EVENTS = {
  deposit_too_low: 'DEPOSIT_TOO_LOW',
  wallet_balance_insufficient: 'WALLET_BALANCE_INSUFFICIENT',
  policy_denied: 'POLICY_DENIED',
  // Planning finds it without an event: this is the guard of its arrow.
  limit_exceeded: 'planRefuses',
  challenge_unsupported: 'CHALLENGE_UNSUPPORTED',
  challenge_rejected: 'CHALLENGE_REJECTED',
  challenge_expired: 'CHALLENGE_EXPIRED',
  signing_failed: 'SIGNING_FAILED',
  session_unavailable: 'SESSION_UNAVAILABLE',
  store_unavailable: 'STORE_UNAVAILABLE',
  store_damaged: 'STORE_DAMAGED',
  store_newer_format: 'STORE_NEWER_FORMAT',
  chain_unavailable: 'CHAIN_UNAVAILABLE',
  rate_limited: 'RATE_LIMITED',
  server_failed: 'SERVER_FAILED',
  connection_failed: 'CONNECTION_FAILED',
  outcome_unknown: 'OUTCOME_UNKNOWN',
  payment_rejected: 'PAYMENT_REJECTED',
  cancelled: 'CANCEL',
  // Found before there is a flow: no event of the machine.
  request_invalid: 'REQUEST_INVALID',
  internal_error: 'EFFECT_FAILED',
} as const satisfies Readonly<Record<LocalCode, string>>

const CODES_OF_EVENTS: ReadonlyMap<string, LocalCode> = new Map(LOCAL_CODES.map((code) => [LOCAL_EVENTS[code], code]))

/** The code that an event of the machine stands for: its own name, or a local code. */
export function codeOfEvent(type: string): FailureCode | undefined {
  return isFailureCode(type) ? type : CODES_OF_EVENTS.get(type)
}

/** Whether a text is a code that a failed flow can carry. */
export function isFailureCode(text: string): text is FailureCode {
  return Object.hasOwn(CODE_FACTS, text)
}
