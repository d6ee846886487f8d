// Where our credential parser and mppx's part, and why: one entry for each class of header.
// Must never excuse a header by what a parser says of it where the header itself can be looked at.
import { isDeepStrictEqual } from 'node:util'
import { MAX_CREDENTIAL_BYTES } from '../../src/protocol/index.js'
import {
  depthOf,
  documentIn,
  encodingDifferences,
  hasCapitalHex,
  isCanonicalBase64url,
  isObject,
  isUint96Text,
  looksLikeDateTime,
  memberAt,
  withLowerHex,
} from './wire-anatomy.js'
import type { Difference } from './wire-differential.js'
import { base64url } from './wire-mutations.js'

/** What is compared of a credential. */
export interface Read {
  readonly challenge: Record<string, unknown>
  readonly source: unknown
  readonly payload: unknown
}

/** A payload with what both fill in or leave out: amounts as numbers, the signer of an `open`. */
export function payloadOf(payload: object): unknown {
  const { cumulativeAmount, additionalDeposit, authorizedSigner, ...rest } = { ...payload } as Record<string, unknown>
  const signer = authorizedSigner ?? memberAt(rest, 'descriptor', 'authorizedSigner')
  const descriptor = memberAt(rest, 'descriptor')
  return {
    ...rest,
    descriptor: isObject(descriptor) ? { ...descriptor } : descriptor,
    ...(cumulativeAmount !== undefined && { cumulativeAmount: uint96(cumulativeAmount) }),
    ...(additionalDeposit !== undefined && { additionalDeposit: uint96(additionalDeposit) }),
    ...(rest.action === 'open' && { authorizedSigner: signer }),
  }
}

/** The bound their server puts on every amount, where it makes numbers of them. */
function uint96(value: unknown): string {
  const amount = BigInt(String(value))
  if (amount >= 1n << 96n) throw new RangeError('outside uint96')
  return amount.toString()
}

const A = `0x${'a1'.repeat(20)}`
const H = `0x${'cd'.repeat(32)}`
const descriptor = { payer: A, payee: A, operator: A, token: A, salt: H, authorizedSigner: A, expiringNonceHash: H }
const payload = { action: 'voucher', channelId: H, descriptor, cumulativeAmount: '1000000', signature: '0xabcd' }
const challenge = { id: '1', realm: 'r', method: 'tempo', intent: 'session', request: 'e30' }
const wire = { challenge, source: `did:pkh:eip155:42431:${A}`, payload }
const header = (change: object) => `Payment ${base64url(JSON.stringify({ ...wire, ...change }))}`
const withChallenge = (change: object) => header({ challenge: { ...challenge, ...change } })

const tokenOf = (text: string) => /^Payment +([^ ].*)$/is.exec(text)?.[1]?.replace(/[ \t]+$/, '')
const documentOf = (text: string) => documentIn(tokenOf(text) ?? '')
const at = (text: string, ...path: readonly string[]) => memberAt(documentOf(text), ...path)

export const table: readonly Difference<string, Read>[] = [
  {
    name: 'a list of credentials, or one after another scheme',
    side: 'only theirs accepts',
    why: 'Authorization holds one credential (RFC 9110 §11.6.2); theirs looks through a comma-separated list and takes the first of its own',
    applies: (text) => text.includes(','),
    example: `Bearer x, ${header({})}`,
  },
  {
    name: 'white space other than a space after the scheme, or around the field',
    side: 'only theirs accepts',
    why: 'one or more spaces follow a scheme (RFC 9110 §11.4); the field value arrives without white space around it',
    applies: (text) => /^\s|^Payment[^\S ]|^Payment +[^\S ]|[^\S \t]$/i.test(text),
    example: header({}).replace(' ', '\t'),
  },
  {
    name: 'longer than 16 KB',
    side: 'only theirs accepts',
    why: 'a server must not be made to decode what it will refuse; theirs leaves the bound to the HTTP server',
    applies: (text) => text.length > MAX_CREDENTIAL_BYTES,
    example: header({ x: 'x'.repeat(MAX_CREDENTIAL_BYTES) }),
  },
  ...encodingDifferences<string, Read>(tokenOf, (text) => `Payment ${text}`, wire),
  {
    name: 'no source, or one that is no text',
    side: 'only theirs accepts',
    why: 'theirs has it optional here, and asks for it with vouchers only; here a credential says who pays',
    applies: (text) => typeof at(text, 'source') !== 'string',
    example: header({ source: undefined }),
  },
  {
    name: 'hex of half a byte, or a transaction of no bytes',
    side: 'only theirs accepts',
    why: 'theirs counts digits in no place; what cannot be bytes is neither a signature nor a transaction',
    applies: (text) =>
      ['signature', 'transaction'].some((name) => {
        const hex = at(text, 'payload', name)
        return typeof hex === 'string' && (hex.length % 2 === 1 || hex === '0x')
      }),
    example: header({ payload: { ...payload, signature: '0xabc' } }),
  },
  {
    name: 'an amount with more than 29 digits, in range for its leading zeros',
    side: 'only theirs accepts',
    why: 'a uint96 has at most 29 digits; more are padding, of which there would be no end',
    applies: (text) =>
      ['cumulativeAmount', 'additionalDeposit'].some((name) => {
        const amount = at(text, 'payload', name)
        return typeof amount === 'string' && /^0[0-9]{29,}$/.test(amount) && !isUint96Text(amount)
      }),
    example: header({ payload: { ...payload, cumulativeAmount: `${'0'.repeat(30)}1` } }),
  },
  {
    name: 'an opaque that is an object',
    side: 'only theirs accepts',
    why: 'older clients of theirs expanded it; ours never did, and echoes text',
    applies: (text) => isObject(at(text, 'challenge', 'opaque')),
    example: withChallenge({ opaque: { a: 'b' } }),
  },
  {
    name: 'an echoed request that is no JSON object',
    side: 'only ours accepts',
    why: 'the echo is compared with what was issued, as text, before it is used; theirs decodes it first',
    applies: (text) => {
      const request = at(text, 'challenge', 'request')
      return typeof request === 'string' && (!isCanonicalBase64url(request) || !isObject(documentIn(request)))
    },
    example: withChallenge({ request: '!' }),
  },
  {
    name: 'an echoed expiry or digest of another form',
    side: 'only ours accepts',
    why: 'the same: a server that issued the challenge knows both, and the id is bound to them',
    applies: (text) => {
      const [expires, digest] = [at(text, 'challenge', 'expires'), at(text, 'challenge', 'digest')]
      return (
        (typeof expires === 'string' && !looksLikeDateTime(expires)) ||
        (typeof digest === 'string' && !digest.startsWith('sha-256='))
      )
    },
    example: withChallenge({ expires: 'tomorrow' }),
  },
  {
    name: 'an echoed request in another spelling or nesting',
    side: 'read differently',
    why: 'ours keeps the text for comparing; only this test decodes it, with the strict decoder',
    applies: (text) => {
      const request = at(text, 'challenge', 'request')
      if (typeof request !== 'string') return false
      const json = Buffer.from(request, 'base64url').toString('utf8')
      return (
        !isCanonicalBase64url(request) || depthOf(json) > 32 || json.includes('"__proto__"') || json.includes('\ufffd')
      )
    },
    example: withChallenge({ request: 'e30=' }),
  },
  {
    name: 'an empty source',
    side: 'read differently',
    why: 'theirs takes it for none; ours hands it on as it came, and reading it as a DID refuses it',
    applies: (text) => at(text, 'source') === '',
    example: header({ source: '' }),
  },
  {
    name: 'hex with capitals',
    side: 'read differently',
    why: 'letter case of hex means nothing; ours hands out lower case, so that ids and addresses can be compared',
    applies: (text, a, b) =>
      hasCapitalHex(at(text, 'payload')) &&
      a.accepted &&
      b.accepted &&
      isDeepStrictEqual(withLowerHex(a.value), withLowerHex(b.value)),
    example: header({ payload: { ...payload, descriptor: { ...descriptor, salt: `0x${'CD'.repeat(32)}` } } }),
  },
]
