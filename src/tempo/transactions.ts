// Builds and signs the two transactions a payer hands to a server: open a channel, and top one up.
// Must never broadcast them: the server does, and the payer keeps its word by signing nothing twice.
import { type Client, encodeFunctionData } from 'viem'
import { Abis } from 'viem/tempo'
import type { ChannelDescriptor } from '../protocol/descriptor.js'
import type { Address, Hex } from '../protocol/hex.js'
import { computeChannelId, lowerCase, lowerCaseDescriptor } from './channel.js'
import { expiringNonceHash, readEnvelope } from './envelope.js'
import { type EscrowCall, readSpendable, type Spendable, signEscrowCall, type TransactionTerms } from './escrow-call.js'

export interface OpenTerms extends TransactionTerms {
  readonly payee: Address
  /** The zero address when the challenge names none. */
  readonly operator: Address
  readonly token: Address
  /** Base units. */
  readonly deposit: bigint
  readonly authorizedSigner: Address
}

export interface TopUpTerms extends TransactionTerms {
  readonly descriptor: ChannelDescriptor
  /** Base units on top of the present deposit. */
  readonly additionalDeposit: bigint
}

export interface SignedOpen {
  /** Signed and serialized, lower-case hex. Whoever has it can fund the channel, once. */
  readonly transaction: Hex
  readonly transactionHash: Hex
  readonly descriptor: ChannelDescriptor
  readonly channelId: Hex
  /** Base units. */
  readonly deposit: bigint
  /** Chain seconds. From then on the transaction can no longer be mined. */
  readonly validBefore: number
  /** The most that the transaction may cost the account, in base units of the fee token: zero where a sponsor pays. */
  readonly feeAtMost: bigint
}

export interface SignedTopUp {
  /** Signed and serialized, lower-case hex. */
  readonly transaction: Hex
  readonly transactionHash: Hex
  readonly channelId: Hex
  /** Base units. */
  readonly additionalDeposit: bigint
  /** Chain seconds. From then on the transaction can no longer be mined. */
  readonly validBefore: number
  /** The most that the transaction may cost the account, in base units of the fee token: zero where a sponsor pays. */
  readonly feeAtMost: bigint
}

/**
 * Signs the transaction that opens a channel (TIP-1034 `open`). The channel's id is known from here on.
 *
 * @throws {@link ChainFailure}: `insufficient_balance`, `wrong_fee_token` and `fee_too_high` are seen before anything is signed.
 */
export async function signOpen(client: Client, terms: OpenTerms): Promise<SignedOpen> {
  const { account, deposit } = terms
  const salt = randomHex(32)
  const signed = await signEscrowCall(client, terms, openCall(terms, deposit, salt))
  const descriptor: ChannelDescriptor = {
    payer: lowerCase(account.address),
    payee: lowerCase(terms.payee),
    operator: lowerCase(terms.operator),
    token: lowerCase(terms.token),
    salt,
    authorizedSigner: lowerCase(terms.authorizedSigner),
    expiringNonceHash: expiringNonceHash(readEnvelope(signed.transaction), account.address),
  }
  return { ...signed, descriptor, channelId: computeChannelId(descriptor, terms), deposit }
}

/**
 * Signs the transaction that adds to a channel's deposit (TIP-1034 `topUp`).
 *
 * @throws {@link ChainFailure}: `insufficient_balance`, `wrong_fee_token` and `fee_too_high` are seen before anything is signed.
 */
export async function signTopUp(client: Client, terms: TopUpTerms): Promise<SignedTopUp> {
  const { descriptor, additionalDeposit } = terms
  const signed = await signEscrowCall(client, terms, topUpCall(descriptor, additionalDeposit))
  return { ...signed, channelId: computeChannelId(descriptor, terms), additionalDeposit }
}

/**
 * What the account can deposit with an open, in base units.
 *
 * @throws {@link ChainFailure}
 */
export function readSpendableForOpen(client: Client, terms: Omit<OpenTerms, 'deposit'>): Promise<Spendable> {
  return readSpendable(client, terms, openCall(terms, 1n, randomHex(32)))
}

/**
 * What the account can add to a channel with a top-up, in base units.
 *
 * @throws {@link ChainFailure}
 */
export function readSpendableForTopUp(
  client: Client,
  terms: Omit<TopUpTerms, 'additionalDeposit'>,
): Promise<Spendable> {
  return readSpendable(client, terms, topUpCall(terms.descriptor, 1n))
}

function openCall(terms: Omit<OpenTerms, 'deposit'>, deposit: bigint, salt: Hex): EscrowCall {
  const data = encodeFunctionData({
    abi: Abis.tip20ChannelReserve,
    functionName: 'open',
    args: [
      lowerCase(terms.payee),
      lowerCase(terms.operator),
      lowerCase(terms.token),
      deposit,
      salt,
      lowerCase(terms.authorizedSigner),
    ],
  })
  return { token: terms.token, amount: deposit, data }
}

function topUpCall(descriptor: ChannelDescriptor, additionalDeposit: bigint): EscrowCall {
  const data = encodeFunctionData({
    abi: Abis.tip20ChannelReserve,
    functionName: 'topUp',
    args: [lowerCaseDescriptor(descriptor), additionalDeposit],
  })
  return { token: descriptor.token, amount: additionalDeposit, data }
}

function randomHex(bytes: number): Hex {
  const hex = [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, '0'))
  return `0x${hex.join('')}`
}
