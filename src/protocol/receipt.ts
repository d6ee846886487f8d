// Reads and writes the receipt of a paid answer: `Payment-Receipt: <base64url JSON>`.
// Must never decide whether a receipt may be believed: that takes the ledger, and is done where the ledger is.
import * as z from 'zod'
import { decodeJson, encodeBase64url } from './base64url.js'
import type { Hex } from './hex.js'
import { type Parsed, refused } from './parsed.js'
import { amount, conform, hash32, units } from './schema.js'
import { parseTimestamp } from './timestamp.js'

/** A session receipt (Tempo session intent draft). Amounts are base units. */
export interface Receipt {
  readonly method: 'tempo'
  readonly intent: 'session'
  readonly status: 'success'
  /** RFC 3339. */
  readonly timestamp: string
  readonly reference: string
  readonly challengeId: string
  readonly channelId: Hex
  /** The highest running total the server has accepted. */
  readonly acceptedCumulative: bigint
  readonly spent: bigint
  readonly units?: number
  readonly txHash?: Hex
}

/** The longest receipt header that is read, in characters. */
export const MAX_RECEIPT_BYTES = 16_384

const receiptSchema = z.object({
  method: z.literal('tempo'),
  intent: z.literal('session'),
  status: z.literal('success'),
  timestamp: z.string().refine((text) => parseTimestamp(text).ok, 'expected an RFC 3339 date-time'),
  reference: z.string(),
  challengeId: z.string(),
  channelId: hash32,
  acceptedCumulative: amount,
  spent: amount,
  units: units.exactOptional(),
  txHash: hash32.exactOptional(),
})

/** Reads a `Payment-Receipt` header. Unknown members are ignored. */
export function parseReceipt(header: string | null | undefined): Parsed<Receipt, 'absent' | 'too_large' | 'malformed'> {
  if (header === null || header === undefined || header === '') return refused('absent', 'no Payment-Receipt header')
  const json = decodeJson(header, MAX_RECEIPT_BYTES)
  return json.ok ? conform(receiptSchema, json.value) : json
}

/** Writes a receipt for the `Payment-Receipt` header. For servers. */
export function formatReceipt(receipt: Receipt): string {
  const { acceptedCumulative, spent, units: delivered, txHash } = receipt
  return encodeBase64url(
    JSON.stringify({
      method: receipt.method,
      intent: receipt.intent,
      status: receipt.status,
      timestamp: receipt.timestamp,
      reference: receipt.reference,
      challengeId: receipt.challengeId,
      channelId: receipt.channelId,
      acceptedCumulative: acceptedCumulative.toString(),
      spent: spent.toString(),
      ...(delivered !== undefined && { units: delivered }),
      ...(txHash !== undefined && { txHash }),
    }),
  )
}
