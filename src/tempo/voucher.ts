// Vouchers: the payer's signed running total, which the payee can turn into money.
// Must never log or put into an error what it signs or checks.
import { SignatureEnvelope } from 'ox/tempo'
import {
  compactSignatureToSignature,
  hashTypedData,
  type LocalAccount,
  parseCompactSignature,
  serializeSignature,
  size,
} from 'viem'
import type { Address, Hex } from '../protocol/hex.js'
import { lowerCase, sameHex } from './channel.js'

/** Anything that can sign EIP-712 typed data: every viem local account can. */
export type VoucherSigner = { readonly address: Address; readonly signTypedData: LocalAccount['signTypedData'] }

/** What a voucher says: up to `cumulative` base units of this channel's deposit are the payee's. */
export interface VoucherTerms {
  readonly channelId: Hex
  /** Running total since the channel was opened, in base units; never a difference. */
  readonly cumulative: bigint
  readonly chainId: number
  readonly escrow: Address
}

/** The highest `s` the chain takes for secp256k1: half the curve's order. Above it, the same signature has a twin. */
const HIGHEST_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/**
 * Who signs an account's vouchers: the account, or its access key where it is one of `viem/tempo`'s access key accounts.
 * Such an account signs transactions for its parent; the reserve takes a voucher from a key only, not by delegation.
 */
export function voucherSignerOf(account: LocalAccount): LocalAccount {
  if (!isAccessKey(account)) return account
  return {
    ...account,
    address: lowerCase(account.accessKeyAddress),
    signTypedData: (typedData) => account.sign({ hash: hashTypedData(typedData), raw: true }),
  }
}

interface AccessKey {
  readonly accessKeyAddress: Address
  sign(parameters: { readonly hash: Hex; readonly raw: true }): Promise<Hex>
}

function isAccessKey(account: LocalAccount): account is LocalAccount & AccessKey {
  return 'accessKeyAddress' in account && typeof account.accessKeyAddress === 'string' && account.sign !== undefined
}

/**
 * Signs a voucher (TIP-1034, EIP-712 domain "TIP20 Channel Reserve" version 1).
 *
 * @returns the signature as lower-case hex with `0x`.
 * @throws what the signer throws; a wallet that refuses is the caller's to handle.
 */
export async function signVoucher(signer: VoucherSigner, terms: VoucherTerms): Promise<Hex> {
  return lowerCase(await signer.signTypedData(voucherTypedData(terms)))
}

const COMPACT_BYTES = 64

/**
 * The signature of a voucher as the chain takes it: an EIP-2098 compact one (64 bytes) becomes r, s and v (65 bytes), any
 * other stays as it is.
 *
 * @throws Error when 64 bytes are no compact signature.
 */
export function settleableSignature(signature: Hex): Hex {
  if (size(signature) !== COMPACT_BYTES) return signature
  return serializeSignature(compactSignatureToSignature(parseCompactSignature(signature)))
}

/**
 * Whether `signature` is `signer`'s voucher for these terms. Takes the primitive signature types of Tempo (secp256k1,
 * P-256, WebAuthn) in their canonical encoding, and secp256k1 also in its compact one (EIP-2098; make it a
 * {@link settleableSignature} for the chain). Never rejects: anything unreadable is no voucher.
 */
export async function verifyVoucher(
  voucher: VoucherTerms & { readonly signature: Hex; readonly signer: Address },
): Promise<boolean> {
  try {
    const signature = settleableSignature(voucher.signature)
    const envelope = SignatureEnvelope.from(signature)
    if (envelope.type !== 'secp256k1' && envelope.type !== 'p256' && envelope.type !== 'webAuthn') return false
    if (!sameHex(SignatureEnvelope.serialize(envelope), signature)) return false
    if (envelope.type === 'secp256k1' && envelope.signature.s > HIGHEST_S) return false
    const payload = hashTypedData(voucherTypedData(voucher))
    const signer = SignatureEnvelope.extractAddress({ payload, signature: envelope })
    // Recovering is a proof for secp256k1; the other types carry their public key, so theirs must be checked as well.
    if (envelope.type !== 'secp256k1' && !SignatureEnvelope.verify(envelope, { address: signer, payload })) return false
    return sameHex(signer, voucher.signer)
  } catch {
    // The libraries throw on malformed signatures. For the caller that is the same answer as a wrong one.
    return false
  }
}

function voucherTypedData(terms: VoucherTerms) {
  return {
    domain: {
      name: 'TIP20 Channel Reserve',
      version: '1',
      chainId: terms.chainId,
      verifyingContract: lowerCase(terms.escrow),
    },
    types: {
      Voucher: [
        { name: 'channelId', type: 'bytes32' },
        { name: 'cumulativeAmount', type: 'uint96' },
      ],
    },
    primaryType: 'Voucher',
    message: { channelId: terms.channelId, cumulativeAmount: terms.cumulative },
  } as const
}
