// Which button of the inspector brings about which code, and how.
// Must never know where a code leads: that is the machine's to say, and the page's to show.

import { ERROR_CODES, MPP_CODES, type MppCode } from '../../../machines/index.js'

/** How a code is brought about: by what really causes it, or by a fault planned in the gateway. */
export type Cause = 'stream' | 'unpriced' | 'used-up bucket' | 'fault'

export interface CodeButton {
  readonly code: MppCode
  readonly cause: Cause
  /** In a line. */
  readonly how: string
  /** Whether it says something about a channel, so that there has to be one. */
  readonly needsChannel: boolean
  /** Whether it is the answer to a close. */
  readonly closes: boolean
  /** How many times in a row use the bound up. */
  readonly timesToUseUp: number
}

const REAL: Readonly<Partial<Record<MppCode, readonly [Cause, string]>>> = {
  mpp_streaming_unavailable: ['stream', 'sends a request with "stream": true; nothing leaves this machine'],
  mpp_request_quote_invalid: ['unpriced', 'sends a request without max_tokens, which has no price'],
  mpp_voucher_bucket_refresh_required: [
    'used-up bucket',
    'uses most of the bucket up, then asks for more than is left',
  ],
}

/** One button for each of the gateway's codes. */
export const CODE_BUTTONS: readonly CodeButton[] = MPP_CODES.map((code) => {
  const { leadsTo, bound } = ERROR_CODES[code]
  const [cause, how] = REAL[code] ?? ['fault', 'the gateway is told to answer with it']
  return {
    code,
    cause,
    how,
    needsChannel: leadsTo !== 're-challenge' && leadsTo !== 'terminal',
    closes: code.startsWith('mpp_session_close_'),
    timesToUseUp: bound + 1,
  }
})
