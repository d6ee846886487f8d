// What a signed open transaction makes of a channel's id: our reading of it against mppx's and viem's.
// Must never sign for a real chain: keys and calls are generated and go nowhere.
import fc from 'fast-check'
import { Session } from 'mppx/tempo'
import { SignatureEnvelope, TxEnvelopeTempo } from 'ox/tempo'
import { Transaction } from 'viem/tempo'
import { afterAll, describe, expect, it } from 'vitest'
import { CHANNEL_RESERVE, type Hex } from '../../src/protocol/index.js'
import { EXPIRING_NONCE_KEY, expiringNonceHash, readEnvelope } from '../../src/tempo/envelope.js'
import { cases } from '../extent.js'
import { address, hexOf } from '../protocol/arbitraries.js'
import { Differential, PATIENCE, SEED } from './wire-differential.js'

const { Channel } = Session.Precompile
const books = new Differential<Hex, Hex>('nonce hashes of open transactions', [])
afterAll(() => console.log(books.report()))

const small = fc.bigInt({ min: 1n, max: 1n << 64n })
const envelopes = fc.record({
  chainId: fc.constantFrom(4217, 42431),
  data: fc.nat({ max: 300 }).chain((length) => hexOf(length)),
  validBefore: fc.integer({ min: 1_700_000_001, max: 4_000_000_000 }),
  validAfter: fc.integer({ min: 1, max: 1_700_000_000 }),
  feeToken: address,
  gas: small,
  maxFeePerGas: small,
  r: small,
  s: small,
})

/** The transaction as it lies in a credential: signed by its payer, the fee payer's place empty or open. */
function serialized(fields: typeof envelopes extends fc.Arbitrary<infer T> ? T : never, sponsored: boolean): Hex {
  const { data, r, s, feeToken, ...rest } = fields
  const envelope = TxEnvelopeTempo.from({
    ...rest,
    type: 'tempo',
    calls: [{ to: CHANNEL_RESERVE, data }],
    nonce: 0n,
    nonceKey: EXPIRING_NONCE_KEY,
    maxPriorityFeePerGas: 0n,
    ...(sponsored ? { feePayerSignature: null } : { feeToken }),
  })
  const signature = SignatureEnvelope.from({ signature: { r, s, yParity: 0 }, type: 'secp256k1' })
  return TxEnvelopeTempo.serialize(envelope, { signature })
}

describe('nonce hashes of open transactions, ours and theirs', () => {
  it(
    'agree on every transaction, with a fee payer and without',
    () => {
      fc.assert(
        fc.property(envelopes, address, fc.boolean(), (fields, sender, sponsored) => {
          const transaction = serialized(fields, sponsored)
          const ours = expiringNonceHash(readEnvelope(transaction), sender)
          const read = Channel.transactionForExpiringNonceHash({
            // The decoder's type knows the payer's own spelling only, and reads both.
            transaction: Transaction.deserialize(transaction as Transaction.TransactionSerializedTempo),
            ...(sponsored && { feePayer: true }),
          })
          const theirs = Channel.computeExpiringNonceHash(read, { sender })
          books.agree(transaction, { accepted: true, value: ours }, { accepted: true, value: theirs })
          expect(expiringNonceHash(readEnvelope(transaction), `0x${'00'.repeat(20)}`)).not.toBe(ours)
        }),
        { numRuns: cases(1_000), seed: SEED },
      )
    },
    PATIENCE,
  )
})
