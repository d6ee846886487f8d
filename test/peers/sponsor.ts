// Pays the fee of an open that awaits its sponsor, as any stranger who has seen it can.
// Must never change what the payer signed: the same open under another sponsor is the point.
import { Signature } from 'ox'
import { TxEnvelopeTempo } from 'ox/tempo'
import type { Address, LocalAccount } from 'viem'
import type { Hex } from '../../src/protocol/index.js'

/** The same signed transaction, its fee paid by `feePayer`. @throws when the account signs no hashes. */
export async function sponsorOpen(
  transaction: Hex,
  sender: Address,
  feePayer: LocalAccount,
  feeToken: Address,
): Promise<Hex> {
  if (feePayer.sign === undefined) throw new Error('this account signs no hashes')
  // The cast is sound: an open that awaits its sponsor is a serialized Tempo transaction.
  const { signature, ...envelope } = TxEnvelopeTempo.deserialize(transaction as TxEnvelopeTempo.Serialized)
  const sponsored = { ...envelope, feeToken }
  const hash = TxEnvelopeTempo.getFeePayerSignPayload(sponsored, { sender })
  const feePayerSignature = Signature.from(await feePayer.sign({ hash }))
  return TxEnvelopeTempo.serialize(sponsored, { feePayerSignature, ...(signature !== undefined && { signature }) })
}
