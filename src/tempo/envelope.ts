// What a signed Tempo transaction commits to: its expiring-nonce hash, which becomes part of a channel's id.
// Must never change a transaction: the bytes that were signed are the ones that count.
import { TxEnvelopeTempo } from 'ox/tempo'
import { concat, keccak256, maxUint256 } from 'viem'
import type { Address, Hex } from '../protocol/hex.js'
import { lowerCase } from './channel.js'

/** The nonce key that makes a transaction's nonce expire (TIP-1009). */
export const EXPIRING_NONCE_KEY = maxUint256

/** A decoded Tempo transaction. */
export type TempoEnvelope = ReturnType<typeof TxEnvelopeTempo.deserialize>

/** Decodes a `0x76` transaction, or a `0x78` one that still waits for its fee payer. @throws on anything malformed. */
export function readEnvelope(transaction: Hex): TempoEnvelope {
  // The decoder's type knows the `0x76` spelling only, though it reads both; the first byte is checked by our callers.
  return TxEnvelopeTempo.deserialize(transaction as TxEnvelopeTempo.Serialized)
}

/**
 * `keccak256(encodeForSigning(transaction) ++ sender)` with the fee payer's signature left out (TIP-1034): the value the
 * chain puts into the descriptor of a channel that this transaction opens.
 */
export function expiringNonceHash(envelope: TempoEnvelope, sender: Address): Hex {
  return keccak256(concat([TxEnvelopeTempo.encodeForSigning(envelope), lowerCase(sender)]))
}

/** The hash under which a broadcast transaction is found. Meaningless for one that a fee payer still has to sign. */
export function transactionHash(transaction: Hex): Hex {
  return keccak256(transaction)
}
