// Reads who signed a raw transaction, what it calls, and the hash the channel reserve knows it by.
// Must never decide whether a transaction is valid: that is the chain's business.
import { SignatureEnvelope, TxEnvelopeTempo } from 'ox/tempo'
import {
  type Address,
  concat,
  type Hex,
  isHex,
  keccak256,
  parseTransaction,
  recoverTransactionAddress,
  serializeTransaction,
} from 'viem'

/** A call as the EVM sees it. */
export interface EvmCall {
  readonly from: Address
  readonly to?: Address | undefined
  readonly value?: Hex | undefined
  readonly data: Hex
}

export interface RawTransaction {
  readonly calls: readonly EvmCall[]
  /**
   * keccak256(what the sender signs ++ sender), the `expiringNonceHash` of channels that the transaction opens. The
   * fee payer's signature is not part of it (TIP-1034).
   */
  readonly contextHash: Hex
}

/** @returns Undefined when the transaction cannot be read. */
export async function readRawTransaction(raw: unknown): Promise<RawTransaction | undefined> {
  if (!isHex(raw)) return undefined
  try {
    return raw.startsWith('0x76') ? readTempoTransaction(raw) : await readEthereumTransaction(raw)
  } catch {
    // The chain is asked anyway, and its words about what is wrong are better than ours.
    return undefined
  }
}

function readTempoTransaction(raw: Hex): RawTransaction | undefined {
  const envelope = TxEnvelopeTempo.deserialize(raw as TxEnvelopeTempo.Serialized) // starts with 0x76, seen above
  if (envelope.signature === undefined) return undefined
  const signed = TxEnvelopeTempo.encodeForSigning(envelope)
  // `root`: an access key signs for the account it belongs to, and that account is the sender.
  const sender = SignatureEnvelope.extractAddress({
    payload: keccak256(signed),
    signature: envelope.signature,
    root: true,
  })
  return {
    contextHash: keccak256(concat([signed, sender])),
    calls: envelope.calls.map((call) => ({
      from: sender,
      to: call.to as Address | undefined,
      data: call.data ?? '0x',
    })),
  }
}

/** The reserve knows every type of transaction by such a hash, not only Tempo's own. */
async function readEthereumTransaction(raw: Hex): Promise<RawTransaction> {
  const { r: _r, s: _s, v: _v, yParity: _y, ...unsigned } = parseTransaction(raw)
  const sender = await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })
  return {
    contextHash: keccak256(concat([serializeTransaction(unsigned), sender])),
    calls: [{ from: sender, to: unsigned.to ?? undefined, data: unsigned.data ?? '0x' }],
  }
}
