// The identity of a payment channel: its id, and who may sign for it.
// Must never reach the network: both are functions of the descriptor alone.
import { encodeAbiParameters, keccak256 } from 'viem'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import { type Address, type Hex, parseHex } from '../protocol/hex.js'

/** What a descriptor names when it names nobody: no operator, or "the payer signs". */
export const ZERO_ADDRESS: Address = '0x0000000000000000000000000000000000000000'

/** Where a channel lives. The same descriptor on another chain or escrow is another channel. */
export interface ChannelLocation {
  readonly chainId: number
  readonly escrow: Address
}

const CHANNEL_ID_PARAMETERS = [
  { type: 'address', name: 'payer' },
  { type: 'address', name: 'payee' },
  { type: 'address', name: 'operator' },
  { type: 'address', name: 'token' },
  { type: 'bytes32', name: 'salt' },
  { type: 'address', name: 'authorizedSigner' },
  { type: 'bytes32', name: 'expiringNonceHash' },
  { type: 'address', name: 'escrow' },
  { type: 'uint256', name: 'chainId' },
] as const

/**
 * The channel's id as the channel reserve computes it (TIP-1034, channel identity), for any escrow address.
 *
 * The library's own computation knows the canonical escrow only, and a caller may have allowed another one.
 *
 * @throws TypeError when a member is not hex of its exact length: the hash under this takes anything, and would give a
 * damaged record an id of its own.
 */
export function computeChannelId(descriptor: ChannelDescriptor, where: ChannelLocation): Hex {
  return keccak256(
    encodeAbiParameters(CHANNEL_ID_PARAMETERS, [
      exactly(descriptor.payer, 20),
      exactly(descriptor.payee, 20),
      exactly(descriptor.operator, 20),
      exactly(descriptor.token, 20),
      exactly(descriptor.salt, 32),
      exactly(descriptor.authorizedSigner, 20),
      exactly(descriptor.expiringNonceHash, 32),
      exactly(where.escrow, 20),
      BigInt(where.chainId),
    ]),
  )
}

function exactly(value: Hex, bytes: number): Hex {
  const hex = parseHex(value, bytes)
  if (!hex.ok) throw new TypeError(`a channel has no id: ${hex.detail}`)
  return hex.value
}

/** Who signs the channel's vouchers: the payer when `authorizedSigner` is the zero address (TIP-1034). */
export function effectiveSigner(descriptor: Pick<ChannelDescriptor, 'authorizedSigner' | 'payer'>): Address {
  return sameHex(descriptor.authorizedSigner, ZERO_ADDRESS) ? descriptor.payer : descriptor.authorizedSigner
}

/** Whether two hex values are the same bytes. Hex has two spellings for every letter; checksummed addresses use both. */
export function sameHex(a: Hex, b: Hex): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** Whether two descriptors name the same channel, whatever the letter case of their members. */
export function sameDescriptor(a: ChannelDescriptor, b: ChannelDescriptor): boolean {
  return (
    sameHex(a.payer, b.payer) &&
    sameHex(a.payee, b.payee) &&
    sameHex(a.operator, b.operator) &&
    sameHex(a.token, b.token) &&
    sameHex(a.salt, b.salt) &&
    sameHex(a.authorizedSigner, b.authorizedSigner) &&
    sameHex(a.expiringNonceHash, b.expiringNonceHash)
  )
}

/** The lower-case spelling, which is the one this project puts on the wire and into records. */
export function lowerCase(value: Hex): Hex {
  // The cast is sound: lower-casing keeps the `0x` prefix, which the compiler cannot see through `toLowerCase`.
  return value.toLowerCase() as Hex
}

/** The descriptor in lower case throughout, as the contract codec wants it: mixed case would be taken for a checksum. */
export function lowerCaseDescriptor(descriptor: ChannelDescriptor): ChannelDescriptor {
  return {
    payer: lowerCase(descriptor.payer),
    payee: lowerCase(descriptor.payee),
    operator: lowerCase(descriptor.operator),
    token: lowerCase(descriptor.token),
    salt: lowerCase(descriptor.salt),
    authorizedSigner: lowerCase(descriptor.authorizedSigner),
    expiringNonceHash: lowerCase(descriptor.expiringNonceHash),
  }
}
