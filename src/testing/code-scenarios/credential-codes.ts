// The codes that a credential or a challenge gets when something changes it on its way.
// Must never change anything more than once: the row is about recovering from it.

import { decodeJson, encodeBase64url } from '../../protocol/index.js'
import { carriesCredential, type Wire, type WireRequest } from '../wire.js'
import { chat } from './requests.js'
import type { CodeScenario, Stage } from './scenario.js'

const ASKED_ANEW = ['parsingChallenge', 'authorizing.planning', 'paying', 'verifyingReceipt', 'succeeded']

/** Fewer characters than any credential has. */
const CUT_AT = 256

/** Changes the first request that carries a credential. */
function onPaidSend(wire: Wire, what: string, change: (request: WireRequest) => void): void {
  wire.changeRequest({
    what,
    change: (request) => {
      if (!carriesCredential(request)) return false
      change(request)
      return true
    },
  })
}

/** A credential with a part of its JSON replaced by another of the same length. */
function inCredential(authorization: string | null, change: (json: string) => string): string {
  const encoded = (authorization ?? '').replace(/^Payment /, '')
  const json = decodeJson(encoded)
  if (!json.ok) throw new Error('the credential on the wire cannot be read')
  return `Payment ${encodeBase64url(change(JSON.stringify(json.value)))}`
}

function flipLastByte(hex: string): string {
  const last = Number.parseInt(hex.slice(-2), 16) ^ 0xff
  return hex.slice(0, -2) + last.toString(16).padStart(2, '0')
}

/** Another opaque of the same length, as base64url JSON like the gateway's own. */
function otherOpaque(header: string): string {
  return header.replace(/opaque="([^"]*)"/, (whole, opaque: string) => {
    const json = decodeJson(opaque)
    if (!json.ok) return whole
    const text = JSON.stringify(json.value).replace(/[0-9a-f](?="\}$)/, (digit) => (digit === '0' ? '1' : '0'))
    return `opaque="${encodeBase64url(text)}"`
  })
}

const stripped = async (stage: Stage) => {
  onPaidSend(stage.wire, 'the Authorization header was taken off', ({ headers }) => headers.delete('authorization'))
  return stage.pay(chat(10))
}

/** Scenarios of the codes that say something about the credential itself. */
export const CREDENTIAL_SCENARIOS: readonly CodeScenario[] = [
  {
    code: 'payment_required',
    cause: 'real',
    how: 'a proxy strips the Authorization header from the paid send, once',
    row: { leadsTo: 're-challenge', bound: 2 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ASKED_ANEW,
      sends: ['unpaid', 'open', 'open'],
      outcome: 'succeeded',
      failureCode: null,
    },
    play: stripped,
  },
  {
    code: 'mpp_malformed_credential',
    cause: 'real',
    how: `a proxy cuts the Authorization header after ${CUT_AT} characters, once`,
    row: { leadsTo: 're-challenge', bound: 1 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ASKED_ANEW,
      sends: ['unpaid', 'open', 'open'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      onPaidSend(stage.wire, `the Authorization header was cut after ${CUT_AT} characters`, ({ headers }) =>
        headers.set('authorization', (headers.get('authorization') ?? '').slice(0, CUT_AT)),
      )
      return stage.pay(chat(10))
    },
  },
  {
    code: 'mpp_method_unsupported',
    cause: 'real',
    how: 'the method that the credential echoes is rewritten on the way; no other challenge is offered',
    row: { leadsTo: 'terminal', bound: 0 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ['failed'],
      sends: ['unpaid', 'open'],
      outcome: 'failed',
      failureCode: 'mpp_method_unsupported',
    },
    async play(stage) {
      onPaidSend(stage.wire, 'the method in the credential was rewritten to "other"', ({ headers }) => {
        const change = (json: string): string => json.replace('"method":"tempo"', '"method":"other"')
        headers.set('authorization', inCredential(headers.get('authorization'), change))
      })
      return stage.pay(chat(10))
    },
  },
  {
    code: 'mpp_invalid_challenge',
    cause: 'real',
    how: 'the challenge is changed on its way to the client, once: its HMAC no longer fits',
    row: { leadsTo: 're-challenge', bound: 2 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: ASKED_ANEW,
      sends: ['unpaid', 'open', 'open'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      stage.wire.changeAnswer({
        what: 'the opaque of the challenge was changed',
        change: ({ headers }) => {
          const header = headers.get('www-authenticate')
          if (header === null) return false
          headers.set('www-authenticate', otherOpaque(header))
          return true
        },
      })
      return stage.pay(chat(10))
    },
  },
  {
    code: 'mpp_body_digest_mismatch',
    cause: 'real',
    how: 'a proxy adds a space to the body of the paid send, once; the challenge it gets back is for those other bytes',
    row: { leadsTo: 're-challenge', bound: 1 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      // The fresh challenge is bound to the changed bytes, so it is not answered: the request is sent unpaid again.
      through: ['parsingChallenge', 'requesting', ...ASKED_ANEW],
      sends: ['unpaid', 'open', 'unpaid', 'open'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      onPaidSend(stage.wire, 'a space was added to the body', (request) => {
        request.body = Uint8Array.from([...request.body, 0x20])
      })
      return stage.pay(chat(10))
    },
  },
  {
    code: 'mpp_payment_verification_failed',
    cause: 'real',
    how: 'the last byte of the voucher signature is flipped on the way, once',
    row: { leadsTo: 'reconcile', bound: 1 },
    expected: {
      refusedIn: 'paying',
      refusals: 1,
      through: [
        'authorizing.reconcilingSession',
        'parsingChallenge',
        'authorizing.signingVoucher',
        'paying',
        'verifyingReceipt',
        'succeeded',
      ],
      sends: ['unpaid', 'voucher', 'voucher'],
      outcome: 'succeeded',
      failureCode: null,
    },
    async play(stage) {
      await stage.pay(chat(10))
      onPaidSend(stage.wire, 'the last byte of the signature was flipped', ({ headers }) => {
        const change = (json: string): string =>
          json.replace(/("signature":"0x)([0-9a-f]+)/, (_, name: string, hex: string) => name + flipLastByte(hex))
        headers.set('authorization', inCredential(headers.get('authorization'), change))
      })
      return stage.pay(chat(10))
    },
  },
]
