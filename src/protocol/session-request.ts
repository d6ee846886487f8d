// The `request` of a challenge whose method is tempo and whose intent is session: what the server wants paid, and how.
// Must never pass an earlier session protocol off as the one spoken here; that would sign for the wrong contract.
import * as z from 'zod'
import { decodeAnyBase64, decodeJsonBytes, encodeBase64url } from './base64url.js'
import { type Challenge, MAX_CHALLENGE_HEADER_BYTES } from './challenge.js'
import type { Address, Hex } from './hex.js'
import { canonicalJson, isJsonObject } from './json.js'
import { type Parsed, parsed, refused } from './parsed.js'
import { address, amount, chainId, conform, hash32 } from './schema.js'
import { parseSnapshot, type SessionSnapshot, snapshotToWire } from './snapshot.js'

/** The channel reserve precompile (TIP-1034), the same on every Tempo chain. */
export const CHANNEL_RESERVE: Address = '0x4d50500000000000000000000000000000000000'

/** The chain of a session request that names none (Tempo session intent draft): Tempo's main network. */
export const DEFAULT_CHAIN_ID = 4217

/** A decoded session request. Amounts are base units of `currency`. */
export interface SessionRequest {
  /** The price of one unit or, where the server meters in buckets, the size of a bucket. */
  readonly amount: bigint
  readonly unitType?: string
  /** A hint for a reusable session, not a minimum. */
  readonly suggestedDeposit?: bigint
  readonly currency: Address
  readonly recipient: Address
  readonly chainId: number
  readonly escrowContract: Address
  readonly sessionProtocol: 'v2'
  readonly channelId?: Hex
  readonly minVoucherDelta?: bigint
  readonly feePayer?: boolean
  readonly feeToken?: Address
  readonly operator?: Address
  /** A hint, never authority. */
  readonly snapshot?: SessionSnapshot
  /** Why the snapshot that came with the request was left out. */
  readonly snapshotRefused?: string
}

const requestSchema = z.object({
  amount,
  unitType: z.string().exactOptional(),
  suggestedDeposit: amount.exactOptional(),
  currency: address,
  recipient: address,
  methodDetails: z.object({
    chainId: chainId.default(DEFAULT_CHAIN_ID),
    escrowContract: address.exactOptional(),
    channelId: hash32.exactOptional(),
    minVoucherDelta: amount.exactOptional(),
    feePayer: z.boolean().exactOptional(),
    feeToken: address.exactOptional(),
    operator: address.exactOptional(),
  }),
})

/**
 * Decodes a challenge's `request`. `not_a_tempo_session` is for another method or intent, `unsupported_protocol` for a
 * session protocol other than v2 (TIP-1034). A request that names no protocol counts as v2 when its escrow is the channel
 * reserve, and as the earlier protocol otherwise; one that says v2 and names no escrow means the channel reserve, and one
 * that names no chain means {@link DEFAULT_CHAIN_ID}. The draft writes the request as base64url without padding; other
 * spellings of base64, which some services send, are read as well. A malformed snapshot does not spoil the request: it is left out, and `snapshotRefused` says why.
 */
export function parseSessionRequest(challenge: Challenge): ParsedRequest {
  const { method, intent, request } = challenge
  const name = `${method} ${intent} ${request}`
  const known = readBefore.get(name)
  if (known !== undefined) return known
  const read = readRequest(challenge)
  if (!read.ok) return read
  if (readBefore.size === MOST_KEPT) readBefore.clear()
  readBefore.set(name, read)
  return read
}

type ParsedRequest = Parsed<SessionRequest, 'not_a_tempo_session' | 'unsupported_protocol' | 'malformed'>

/** A gateway asks for the same thing in every challenge: what was read is kept, by the very text of it. */
const readBefore = new Map<string, ParsedRequest>()
const MOST_KEPT = 16

function readRequest(challenge: Challenge): ParsedRequest {
  if (challenge.method !== 'tempo' || challenge.intent !== 'session') {
    return refused('not_a_tempo_session', 'the challenge is not for method tempo and intent session')
  }
  const bytes = decodeAnyBase64(challenge.request, MAX_CHALLENGE_HEADER_BYTES)
  if (!bytes.ok) return refused('malformed', `request: ${bytes.detail}`)
  const json = decodeJsonBytes(bytes.value)
  if (!json.ok) return refused('malformed', `request: ${json.detail}`)
  const details = isJsonObject(json.value) ? json.value.methodDetails : undefined
  if (!isJsonObject(details)) return refused('malformed', 'request: no methodDetails')
  const protocol = sessionProtocol(details)
  if (!protocol.ok) return protocol
  const request = conform(requestSchema, json.value)
  if (!request.ok) return refused('malformed', `request: ${request.detail}`)
  const { methodDetails, ...terms } = request.value
  return parsed({
    ...terms,
    ...methodDetails,
    escrowContract: methodDetails.escrowContract ?? CHANNEL_RESERVE,
    sessionProtocol: protocol.value,
    ...readSnapshot(details.sessionSnapshot),
  })
}

/** Encodes a session request for a challenge: base64url of canonical JSON. For servers. */
export function encodeSessionRequest(
  request: Omit<SessionRequest, 'sessionProtocol' | 'snapshotRefused'> & { readonly sessionProtocol?: 'v2' },
): string {
  const { suggestedDeposit, minVoucherDelta, snapshot } = request
  return encodeBase64url(
    canonicalJson({
      amount: request.amount.toString(),
      ...(request.unitType !== undefined && { unitType: request.unitType }),
      ...(suggestedDeposit !== undefined && { suggestedDeposit: suggestedDeposit.toString() }),
      currency: request.currency,
      recipient: request.recipient,
      methodDetails: {
        chainId: request.chainId,
        escrowContract: request.escrowContract,
        sessionProtocol: 'v2',
        ...(request.channelId !== undefined && { channelId: request.channelId }),
        ...(minVoucherDelta !== undefined && { minVoucherDelta: minVoucherDelta.toString() }),
        ...(request.feePayer !== undefined && { feePayer: request.feePayer }),
        ...(request.feeToken !== undefined && { feeToken: request.feeToken }),
        ...(request.operator !== undefined && { operator: request.operator }),
        ...(snapshot !== undefined && { sessionSnapshot: snapshotToWire(snapshot) }),
      },
    }),
  )
}

function sessionProtocol(details: {
  readonly [name: string]: unknown
}): Parsed<'v2', 'unsupported_protocol' | 'malformed'> {
  const { sessionProtocol: named, escrowContract: escrow } = details
  if (named === 'v2') return parsed('v2')
  if (named !== undefined && typeof named !== 'string')
    return refused('malformed', 'request: sessionProtocol is no text')
  const isReserve = typeof escrow === 'string' && escrow.toLowerCase() === CHANNEL_RESERVE
  if (named === undefined && isReserve) return parsed('v2')
  return refused('unsupported_protocol', 'unsupported session protocol: only v2 (TIP-1034 channel reserve) is spoken')
}

function readSnapshot(value: unknown): Pick<SessionRequest, 'snapshot' | 'snapshotRefused'> {
  if (value === undefined) return {}
  const snapshot = parseSnapshot(value)
  return snapshot.ok ? { snapshot: snapshot.value } : { snapshotRefused: snapshot.detail }
}
