// Reads the signed transactions that servers receive, and says who would pay for what.
// Must never trust a field that the sender's signature does not cover.
import { SignatureEnvelope, TxEnvelopeTempo } from 'ox/tempo'
import { decodeFunctionData } from 'viem'
import { Abis } from 'viem/tempo'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import type { Address, Hex } from '../protocol/hex.js'
import { type Parsed, parsed, refused } from '../protocol/parsed.js'
import { type ChannelLocation, computeChannelId, lowerCase, lowerCaseDescriptor, sameHex } from './channel.js'
import { EXPIRING_NONCE_KEY, expiringNonceHash, readEnvelope, type TempoEnvelope } from './envelope.js'

/** Far above what an open or top-up needs, far below what would cost to decode. */
const MAX_TRANSACTION_LENGTH = 16_384

export type TransactionRefusal =
  | 'too_large'
  | 'not_a_tempo_transaction'
  | 'not_canonical'
  | 'unsigned'
  | 'wrong_chain'
  | 'not_expiring'
  | 'not_one_call'
  | 'wrong_escrow'
  | 'wrong_function'
  | 'wrong_payer'

export interface DecodedOpen {
  /** Recovered from the signature. */
  readonly sender: Address
  /** Base units. */
  readonly deposit: bigint
  readonly payee: Address
  readonly operator: Address
  readonly token: Address
  readonly salt: Hex
  readonly authorizedSigner: Address
  readonly descriptor: ChannelDescriptor
  readonly channelId: Hex
  /** Chain seconds. */
  readonly validBefore?: number
  /** True when a fee payer still has to sign before this can be broadcast. */
  readonly awaitsFeePayer: boolean
}

export interface DecodedTopUp {
  /** Recovered from the signature; always the descriptor's payer. */
  readonly sender: Address
  readonly descriptor: ChannelDescriptor
  readonly channelId: Hex
  /** Base units. */
  readonly additionalDeposit: bigint
  /** Chain seconds. */
  readonly validBefore?: number
  /** True when a fee payer still has to sign before this can be broadcast. */
  readonly awaitsFeePayer: boolean
}

/**
 * Reads a signed `open` (TIP-1034): exactly one call, to this escrow, on this chain, with an expiring nonce.
 * Never rejects; the descriptor and the channel's id are computed, not read.
 */
export async function decodeOpen(
  transaction: Hex,
  where: ChannelLocation,
): Promise<Parsed<DecodedOpen, TransactionRefusal>> {
  const read = readCall(transaction, where)
  if (!read.ok) return read
  const { call, envelope, sender } = read.value
  if (call.functionName !== 'open') return refused('wrong_function', 'The transaction does not call open.')
  const [payee, operator, token, deposit, salt, authorizedSigner] = call.args
  const descriptor: ChannelDescriptor = {
    payer: sender,
    payee: lowerCase(payee),
    operator: lowerCase(operator),
    token: lowerCase(token),
    salt: lowerCase(salt),
    authorizedSigner: lowerCase(authorizedSigner),
    expiringNonceHash: expiringNonceHash(envelope, sender),
  }
  return parsed({
    sender,
    deposit,
    payee: descriptor.payee,
    operator: descriptor.operator,
    token: descriptor.token,
    salt: descriptor.salt,
    authorizedSigner: descriptor.authorizedSigner,
    descriptor,
    channelId: computeChannelId(descriptor, where),
    ...timing(envelope),
  })
}

/**
 * Reads a signed `topUp` (TIP-1034): exactly one call, to this escrow, on this chain, sent by the channel's payer.
 * Never rejects.
 */
export async function decodeTopUp(
  transaction: Hex,
  where: ChannelLocation,
): Promise<Parsed<DecodedTopUp, TransactionRefusal>> {
  const read = readCall(transaction, where)
  if (!read.ok) return read
  const { call, envelope, sender } = read.value
  if (call.functionName !== 'topUp') return refused('wrong_function', 'The transaction does not call topUp.')
  const [raw, additionalDeposit] = call.args
  const descriptor = lowerCaseDescriptor(raw)
  if (!sameHex(descriptor.payer, sender)) return refused('wrong_payer', "The sender is not the channel's payer.")
  return parsed({
    sender,
    descriptor,
    channelId: computeChannelId(descriptor, where),
    additionalDeposit,
    ...timing(envelope),
  })
}

function timing(envelope: TempoEnvelope): { validBefore?: number; awaitsFeePayer: boolean } {
  const awaitsFeePayer = envelope.feePayerSignature === null
  return envelope.validBefore === undefined ? { awaitsFeePayer } : { validBefore: envelope.validBefore, awaitsFeePayer }
}

function readCall(transaction: Hex, where: ChannelLocation) {
  if (transaction.length > MAX_TRANSACTION_LENGTH)
    return refused('too_large', `The transaction is longer than ${MAX_TRANSACTION_LENGTH} characters.`)
  const signed = readSigned(transaction)
  if (!signed.ok) return signed
  const { envelope } = signed.value
  if (envelope.chainId !== where.chainId)
    return refused('wrong_chain', `The transaction is for chain ${envelope.chainId}, not ${where.chainId}.`)
  if (envelope.nonceKey !== EXPIRING_NONCE_KEY || envelope.validBefore === undefined)
    return refused('not_expiring', 'The transaction has no expiring nonce.')
  const [only, ...more] = envelope.calls
  const extras = envelope.keyAuthorization !== undefined || (envelope.authorizationList ?? []).length > 0
  if (only === undefined || more.length > 0 || (only.value ?? 0n) !== 0n || extras)
    return refused('not_one_call', 'The transaction does more than one call to the escrow.')
  if (only.to === undefined || !sameHex(only.to, where.escrow))
    return refused('wrong_escrow', 'The transaction does not call the escrow.')
  const call = decodeCall(only.data)
  if (call === undefined) return refused('wrong_function', 'The transaction calls no known function of the escrow.')
  return parsed({ ...signed.value, call })
}

/** Decodes, checks that the bytes are the one encoding of what they say, and recovers the sender. */
function readSigned(
  transaction: Hex,
): Parsed<{ envelope: TempoEnvelope; sender: Address }, 'not_a_tempo_transaction' | 'not_canonical' | 'unsigned'> {
  const awaitsFeePayer = transaction.startsWith('0x78')
  if (!awaitsFeePayer && !transaction.startsWith('0x76'))
    return refused('not_a_tempo_transaction', 'The transaction is not of type 0x76.')
  try {
    const envelope = readEnvelope(transaction)
    const { signature } = envelope
    if (signature === undefined) return refused('unsigned', 'The transaction has no signature.')
    const payload = TxEnvelopeTempo.getSignPayload(envelope)
    const sender = lowerCase(SignatureEnvelope.extractAddress({ payload, signature, root: true }))
    const again = TxEnvelopeTempo.serialize(envelope, awaitsFeePayer ? { format: 'feePayer', sender } : {})
    if (!sameHex(again, transaction)) return refused('not_canonical', 'The transaction is not canonically encoded.')
    return parsed({ envelope, sender })
  } catch {
    // The libraries' errors quote the transaction, which is signed; the reason says all that may be said.
    return refused('not_a_tempo_transaction', 'The transaction cannot be decoded.')
  }
}

function decodeCall(data: Hex | undefined) {
  if (data === undefined) return undefined
  try {
    return decodeFunctionData({ abi: Abis.tip20ChannelReserve, data })
  } catch {
    // Unknown selector or short arguments: the caller answers with a typed refusal.
    return undefined
  }
}
