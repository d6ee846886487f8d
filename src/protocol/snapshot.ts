// What a server says about a channel it knows: a hint that lets a client resume it.
// Must never be taken as authority; checking it against the channel id, the chain and the caller's limits is not done here.
import * as z from 'zod'
import { decodeAnyBase64, decodeJsonBytes, encodeBase64url } from './base64url.js'
import { type ChannelDescriptor, descriptorSchema } from './descriptor.js'
import type { Address, Hex } from './hex.js'
import { canonicalJson, type JsonValue } from './json.js'
import { type Parsed, refused } from './parsed.js'
import { address, amount, chainId, conform, hash32, units } from './schema.js'

/** A session snapshot. Amounts are base units. */
export interface SessionSnapshot {
  readonly acceptedCumulative: bigint
  readonly chainId: number
  readonly channelId: Hex
  /** Chain seconds at which the payer asked for a forced close. */
  readonly closeRequestedAt?: bigint
  readonly deposit: bigint
  readonly descriptor: ChannelDescriptor
  readonly escrow: Address
  readonly requiredCumulative: bigint
  readonly settled: bigint
  readonly spent: bigint
  readonly units?: number
}

/** The longest snapshot header that is read, in characters. */
export const MAX_SNAPSHOT_BYTES = 16_384

const snapshotSchema = z.object({
  acceptedCumulative: amount,
  chainId,
  channelId: hash32,
  closeRequestedAt: amount.exactOptional(),
  deposit: amount,
  descriptor: descriptorSchema,
  escrow: address,
  requiredCumulative: amount,
  settled: amount,
  spent: amount,
  units: units.exactOptional(),
})

/** Reads a decoded snapshot, as it stands in `methodDetails.sessionSnapshot`. Unknown members are ignored. */
export function parseSnapshot(value: unknown): Parsed<SessionSnapshot, 'malformed'> {
  return conform(snapshotSchema, value)
}

/**
 * Reads a `Payment-Session-Snapshot` header. The draft has base64url without padding; a widely used server writes
 * standard base64 with padding in this one header, so every spelling is read.
 */
export function parseSnapshotHeader(
  header: string | null,
): Parsed<SessionSnapshot, 'absent' | 'too_large' | 'malformed'> {
  if (header === null) return refused('absent', 'no Payment-Session-Snapshot header')
  const bytes = decodeAnyBase64(header, MAX_SNAPSHOT_BYTES)
  if (!bytes.ok) return bytes
  const json = decodeJsonBytes(bytes.value)
  return json.ok ? parseSnapshot(json.value) : json
}

/** Writes a snapshot for the `Payment-Session-Snapshot` header: base64url of canonical JSON. */
export function formatSnapshot(snapshot: SessionSnapshot): string {
  return encodeBase64url(canonicalJson(snapshotToWire(snapshot)))
}

/** The JSON form of a snapshot, amounts as decimal strings. */
export function snapshotToWire(snapshot: SessionSnapshot): JsonValue {
  return {
    acceptedCumulative: snapshot.acceptedCumulative.toString(),
    chainId: snapshot.chainId,
    channelId: snapshot.channelId,
    ...(snapshot.closeRequestedAt !== undefined && { closeRequestedAt: snapshot.closeRequestedAt.toString() }),
    deposit: snapshot.deposit.toString(),
    descriptor: { ...snapshot.descriptor },
    escrow: snapshot.escrow,
    requiredCumulative: snapshot.requiredCumulative.toString(),
    settled: snapshot.settled.toString(),
    spent: snapshot.spent.toString(),
    ...(snapshot.units !== undefined && { units: snapshot.units }),
  }
}
