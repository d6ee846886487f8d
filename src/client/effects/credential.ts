// Builds the credentials that carry vouchers and opens, from what the ledger has stored.
// Must never build one from anything that is not in the ledger, or for a challenge that has expired.

import {
  type Challenge,
  type ChannelDescriptor,
  descriptorSchema,
  expiresAt,
  formatCredential,
  formatSource,
  type Hex,
  parseHex,
} from '../../protocol/index.js'
import type { SessionRecord } from '../../sessions/index.js'
import type { Clock } from '../clock.js'
import type { PlacedFlow } from '../flow-state.js'

/** Whether a challenge must not be answered any more. */
export function isExpired(challenge: Challenge, clock: Clock): boolean {
  const expires = expiresAt(challenge)
  return !expires.ok || (expires.value !== undefined && expires.value <= clock.now())
}

/** The channel of a record. @throws Error when the record has none, or one that cannot be read. */
export function channelOf(record: SessionRecord | undefined): {
  readonly channelId: Hex
  readonly descriptor: ChannelDescriptor
} {
  const channelId = parseHex(record?.session.channelId, 32)
  if (!channelId.ok) throw new Error('the ledger holds no channel here')
  return { channelId: channelId.value, descriptor: descriptorSchema.parse(record?.session.descriptor) }
}

/** A credential and the cumulative amount it authorises, in base units. */
export interface BuiltCredential {
  readonly credential: string
  readonly cumulative: string
}

/** The credential of a channel that is being opened: the signed transaction and the first voucher. */
export function openCredential(placed: PlacedFlow, record: SessionRecord): BuiltCredential | null {
  const { voucher, pendingTransaction } = record.secrets
  if (voucher === null || pendingTransaction === null) return null
  const { channelId, descriptor } = channelOf(record)
  return build(placed, voucher.cumulative, {
    action: 'open',
    type: 'transaction',
    channelId,
    transaction: pendingTransaction,
    descriptor,
    cumulativeAmount: voucher.cumulative,
    signature: voucher.signature,
    authorizedSigner: descriptor.authorizedSigner,
  })
}

/** The credential with the highest voucher of the channel, or null when none was signed yet. */
export function voucherCredential(placed: PlacedFlow, record: SessionRecord): BuiltCredential | null {
  const { voucher } = record.secrets
  if (voucher === null) return null
  return build(placed, voucher.cumulative, {
    action: 'voucher',
    ...channelOf(record),
    cumulativeAmount: voucher.cumulative,
    signature: voucher.signature,
  })
}

/** The credential that closes the channel at `cumulative`. */
export function closeCredential(
  placed: PlacedFlow,
  record: SessionRecord,
  voucher: { readonly cumulative: string; readonly signature: Hex },
): BuiltCredential {
  return build(placed, voucher.cumulative, {
    action: 'close',
    ...channelOf(record),
    cumulativeAmount: voucher.cumulative,
    signature: voucher.signature,
  })
}

function build(
  { challenge, place }: PlacedFlow,
  cumulative: string,
  payload: Parameters<typeof formatCredential>[0]['payload'],
): BuiltCredential {
  const source = formatSource(place.chainId, place.payer)
  return { credential: formatCredential({ challenge, source, payload }), cumulative }
}
