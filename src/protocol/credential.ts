// Reads and writes the credential that answers a challenge: `Payment <base64url JSON>`, the value of a request header.
// Must never re-encode what it echoes, and never quote a credential in a refusal.
import * as z from 'zod'
import { FIELD_NAME, trimFieldSpace } from './auth-header.js'
import { decodeJson, encodeBase64url } from './base64url.js'
import type { Challenge } from './challenge.js'
import { type ChannelDescriptor, descriptorSchema } from './descriptor.js'
import { type Address, type Hex, parseAddress } from './hex.js'
import { isJsonObject } from './json.js'
import { type Parsed, parsed, refused } from './parsed.js'
import { address, amountText, conform, hash32, hexBytes } from './schema.js'

/** Opens a channel: the server broadcasts `transaction`, and `signature` is the first voucher. */
export interface OpenPayload {
  readonly action: 'open'
  readonly type: 'transaction'
  readonly channelId: Hex
  readonly transaction: Hex
  readonly descriptor: ChannelDescriptor
  /** Base units, decimal string. */
  readonly cumulativeAmount: string
  readonly signature: Hex
  readonly authorizedSigner: Address
}

/** Adds deposit to a channel: the server broadcasts `transaction`. */
export interface TopUpPayload {
  readonly action: 'topUp'
  readonly type: 'transaction'
  readonly channelId: Hex
  readonly transaction: Hex
  readonly descriptor: ChannelDescriptor
  /** Base units, decimal string. */
  readonly additionalDeposit: string
}

/** Authorises a running total. */
export interface VoucherPayload {
  readonly action: 'voucher'
  readonly channelId: Hex
  readonly descriptor: ChannelDescriptor
  /** Base units, decimal string; a total, never a delta. */
  readonly cumulativeAmount: string
  readonly signature: Hex
}

/** Asks the payee to close the channel at a running total. */
export interface ClosePayload extends Omit<VoucherPayload, 'action'> {
  readonly action: 'close'
}

/** What a Tempo session credential carries, told apart by `action` (Tempo session intent draft). */
export type SessionPayload = OpenPayload | TopUpPayload | VoucherPayload | ClosePayload

/** A credential: the challenge it answers, who pays (a `did:pkh`, see {@link formatSource}), and the payload. */
export interface Credential {
  readonly challenge: Challenge
  readonly source: string
  readonly payload: SessionPayload
}

/** The longest header value that is read. {@link formatCredential} does not enforce it on what it writes. */
export const MAX_CREDENTIAL_BYTES = 16_384

const text = z.string()
const challengeSchema = z.object({
  id: text.min(1),
  realm: text,
  method: text,
  intent: text,
  request: text,
  expires: text.exactOptional(),
  digest: text.exactOptional(),
  description: text.exactOptional(),
  opaque: text.exactOptional(),
  header: text.regex(FIELD_NAME).exactOptional(),
})

const voucher = {
  channelId: hash32,
  descriptor: descriptorSchema,
  cumulativeAmount: amountText,
  signature: hexBytes,
}
const transaction = {
  type: z.literal('transaction'),
  channelId: hash32,
  transaction: hexBytes,
  descriptor: descriptorSchema,
}
const payloadSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('open'), ...transaction, ...voucher, authorizedSigner: address.exactOptional() }),
  z.object({ action: z.literal('topUp'), ...transaction, additionalDeposit: amountText }),
  z.object({ action: z.literal('voucher'), ...voucher }),
  z.object({ action: z.literal('close'), ...voucher }),
])
const credentialSchema = z.object({ challenge: challengeSchema, source: text, payload: payloadSchema })
const ACTIONS: ReadonlySet<unknown> = new Set(['open', 'topUp', 'voucher', 'close'])

/**
 * Writes a credential as the value of `Authorization`, or of the header that the challenge names. The challenge is echoed with exactly the parameters received, each
 * string unchanged ("Payment" HTTP Authentication Scheme draft).
 */
export function formatCredential(credential: Credential): string {
  const { challenge, source, payload } = credential
  return `Payment ${encodeBase64url(JSON.stringify({ challenge: echo(challenge), source, payload }))}`
}

/**
 * Reads the value of the header that a credential is in. `not_payment` is for another scheme; `unsupported_payload` for a well-formed credential
 * whose payload is not one of the four session actions, such as one for another payment method. Hex and addresses come
 * out lower-cased; every other string is as received. The signer may be left out of an `open`: then it is the
 * descriptor's.
 */
export function parseCredential(
  header: string | null | undefined,
): Parsed<Credential, 'absent' | 'not_payment' | 'too_large' | 'malformed' | 'unsupported_payload'> {
  if (header === null || header === undefined || header === '') return refused('absent', 'no Authorization header')
  if (header.length > MAX_CREDENTIAL_BYTES) {
    return refused('too_large', `the credential is longer than ${MAX_CREDENTIAL_BYTES} bytes`)
  }
  const scheme = /^payment(?= |$)/i.exec(header)
  if (scheme === null) return refused('not_payment', 'the Authorization scheme is not Payment')
  const json = decodeJson(trimFieldSpace(header.slice(scheme[0].length)), MAX_CREDENTIAL_BYTES)
  if (!json.ok) return refused('malformed', `credential: ${json.detail}`)
  if (hasOtherPayload(json.value)) {
    return refused('unsupported_payload', 'the credential has a payload that is no Tempo session action')
  }
  const credential = conform(credentialSchema, json.value)
  if (!credential.ok) return refused('malformed', `credential: ${credential.detail}`)
  const { challenge, source, payload } = credential.value
  if (payload.action !== 'open') return parsed({ challenge, source, payload })
  const authorizedSigner = payload.authorizedSigner ?? payload.descriptor.authorizedSigner
  return parsed({ challenge, source, payload: { ...payload, authorizedSigner } })
}

/** The payer as a credential names it: `did:pkh:eip155:<chainId>:<payer>`. */
export function formatSource(chainId: number, payer: Address): string {
  return `did:pkh:eip155:${chainId}:${payer}`
}

/** Reads a credential's `source`. The address comes out lower-cased. */
export function parseSource(source: string): Parsed<{ chainId: number; payer: Address }, 'malformed'> {
  const match = /^did:pkh:eip155:([1-9][0-9]{0,15}):(0x[0-9a-fA-F]{40})$/.exec(source)
  const payer = parseAddress(match?.[2])
  const chainId = Number(match?.[1])
  if (!payer.ok || !Number.isSafeInteger(chainId)) {
    return refused('malformed', 'expected did:pkh:eip155:<chain id>:<address>')
  }
  return parsed({ chainId, payer: payer.value })
}

/** The parameters of the draft and no others: a caller's object may carry more. */
function echo(challenge: Challenge): Challenge {
  const { id, realm, method, intent, request, expires, digest, description, opaque, header } = challenge
  return {
    id,
    realm,
    method,
    intent,
    request,
    ...(expires !== undefined && { expires }),
    ...(digest !== undefined && { digest }),
    ...(description !== undefined && { description }),
    ...(opaque !== undefined && { opaque }),
    ...(header !== undefined && { header }),
  }
}

/** Whether the value is a credential in everything but a payload of another kind. */
function hasOtherPayload(value: unknown): boolean {
  if (!isJsonObject(value) || !isJsonObject(value.payload)) return false
  return !ACTIONS.has(value.payload.action) && conform(challengeSchema, value.challenge).ok
}
