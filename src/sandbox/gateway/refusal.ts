// The ways in which the gateway says no: its codes with their status, and the standard problem types it also uses.
// Must never hold anything of the request: a refusal is answered, counted and shown.

/** The codes of the 'Ando errors page' for the MPP route. */
export type GatewayCode =
  | 'payment_required'
  | 'mpp_session_deposit_below_request_cost'
  | 'mpp_malformed_credential'
  | 'mpp_method_unsupported'
  | 'mpp_invalid_challenge'
  | 'mpp_body_digest_mismatch'
  | 'mpp_request_quote_invalid'
  | 'mpp_request_exceeds_voucher_bucket'
  | 'mpp_payment_verification_failed'
  | 'mpp_payer_not_allowed'
  | 'mpp_voucher_bucket_refresh_required'
  | 'mpp_reservation_failed'
  | 'mpp_commit_failed'
  | 'mpp_session_close_unavailable'
  | 'mpp_session_close_failed'
  | 'mpp_streaming_unavailable'

interface CodeAnswer {
  readonly status: number
  /** Whether the answer brings a fresh challenge. */
  readonly challenge: boolean
  readonly message: string
  readonly retryAfterSeconds?: number
}

export const CODE_ANSWERS: Readonly<Record<GatewayCode, CodeAnswer>> = {
  payment_required: answer(402, 'Payment is required. Retry the identical request with a payment credential.'),
  mpp_session_deposit_below_request_cost: answer(402, 'The deposit is lower than the active voucher. Top up.'),
  mpp_malformed_credential: answer(402, 'The payment credential is missing, too large or not readable.'),
  mpp_method_unsupported: answer(400, 'The credential is not a Tempo session payment.'),
  mpp_invalid_challenge: answer(402, 'The challenge is expired, used up, changed or not from here.'),
  mpp_body_digest_mismatch: answer(402, 'The body is not the one that the challenge is bound to.'),
  mpp_request_quote_invalid: answer(400, 'No positive price can be derived. Send messages and max_tokens.'),
  mpp_request_exceeds_voucher_bucket: answer(402, 'The request may cost more than the voucher bucket holds.'),
  mpp_payment_verification_failed: answer(402, 'The payment credential could not be verified.'),
  mpp_payer_not_allowed: answer(403, 'This payer is not allowed.'),
  mpp_voucher_bucket_refresh_required: answer(402, 'The voucher bucket is used up. Sign a higher voucher.'),
  mpp_reservation_failed: {
    ...answer(503, 'The payment could not be reserved. Nothing was run.'),
    challenge: true,
    retryAfterSeconds: 0,
  },
  mpp_commit_failed: answer(500, 'The request was run, but its usage could not be committed.'),
  mpp_session_close_unavailable: answer(503, 'Sessions cannot be closed at present. The session stays open.'),
  mpp_session_close_failed: answer(502, 'The session could not be closed.'),
  mpp_streaming_unavailable: answer(400, 'Streaming is not available here. Send "stream": false.'),
}

function answer(status: number, message: string): CodeAnswer {
  return { status, message, challenge: status === 402 }
}

/** Problem types of the '"Payment" HTTP Authentication Scheme' drafts, for what the codes have no word for. */
export const PROBLEM_ANSWERS = {
  'session/channel-finalized': { status: 410, title: 'The channel is closed.' },
  'session/delta-too-small': { status: 402, title: 'The voucher is not enough higher than the last one.' },
} as const

export type ProblemType = keyof typeof PROBLEM_ANSWERS

/** Thrown to leave a request's handling with a code. `detail` is added to the code's message. */
export class CodeRefusal extends Error {
  override readonly name = 'CodeRefusal'
  constructor(
    readonly code: GatewayCode,
    readonly detail?: string,
  ) {
    super(code)
  }
}

/** Thrown to leave a request's handling with a problem document. */
export class ProblemRefusal extends Error {
  override readonly name = 'ProblemRefusal'
  constructor(readonly problem: ProblemType) {
    super(problem)
  }
}

/** Whether a text is one of the gateway's codes. */
export function isGatewayCode(text: string): text is GatewayCode {
  return Object.hasOwn(CODE_ANSWERS, text)
}
