// The seven values that name a channel (TIP-1034), as they travel in credentials and snapshots.
// Must never be trusted by itself: its channel id has to be computed again from it.
import * as z from 'zod'
import type { Address, Hex } from './hex.js'
import { address, hash32 } from './schema.js'

/** A channel's descriptor. The channel id is the hash of these, the escrow and the chain id (TIP-1034). */
export interface ChannelDescriptor {
  readonly payer: Address
  readonly payee: Address
  /** The zero address when the payee named none. */
  readonly operator: Address
  readonly token: Address
  readonly salt: Hex
  /** Signs the vouchers; the zero address stands for the payer. */
  readonly authorizedSigner: Address
  readonly expiringNonceHash: Hex
}

/** Reads a descriptor; addresses and hashes come out lower-cased, unknown members are dropped. */
export const descriptorSchema = z.object({
  payer: address,
  payee: address,
  operator: address,
  token: address,
  salt: hash32,
  authorizedSigner: address,
  expiringNonceHash: hash32,
})
