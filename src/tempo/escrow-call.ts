// Signs one call to the channel reserve as a Tempo transaction with an expiring nonce.
// Must never broadcast it, nor sign for an account that visibly cannot pay, nor what may cost more than is allowed.
import type { Client, LocalAccount } from 'viem'
import { Formatters, Transaction } from 'viem/tempo'
import { formatAmount } from '../../machines/amount.js'
import type { Address, Hex } from '../protocol/hex.js'
import { readPendingBlock, readTokenBalance } from './chain.js'
import { lowerCase, sameHex } from './channel.js'
import { EXPIRING_NONCE_KEY, transactionHash } from './envelope.js'
import { ChainFailure, mayPassByItself, toChainFailure } from './failure.js'
import { DEFAULT_MAX_FEE, holdFeeLimit, type Priced, readQuantity } from './fee.js'
import type { LocalClock } from './plausible.js'

/** Tempo takes an expiring nonce up to 30 seconds ahead of its clock; the rest is room for clocks that differ. */
const MAX_VALIDITY_SECONDS = 25

/** Nodes refuse a transaction that has no more than three seconds left when it arrives. */
const MIN_VALIDITY_SECONDS = 5

/** Gas for what an estimate leaves out: the expiring nonce (13,000), longer signatures, and storage that is new by then. */
const GAS_MARGIN = 350_000n

/** Of a TIP-20 token, in base units. */
const HUNDREDTH = 10_000n

export interface TransactionTerms {
  readonly account: LocalAccount
  readonly chainId: number
  readonly escrow: Address
  /** True: a sponsor pays the fee and signs for it later, choosing the fee token. An account: it sponsors here and now. */
  readonly feePayer?: boolean | LocalAccount
  /**
   * The most that the transaction may cost, in base units of the fee token. Default: {@link DEFAULT_MAX_FEE}. Not held against what a sponsor pays
   * (`feePayer: true`): that transaction is worth nothing before the sponsor has signed the fee for itself.
   */
  readonly maxFee?: bigint
  /** TIP-20 token the fee is paid in. Default: the channel's token. */
  readonly feeToken?: Address
  /** How long the transaction can be mined, from the chain's now. At most, and by default, 25 seconds. */
  readonly validForSeconds?: number
  /** Chain seconds that are over: a node whose clock is behind would have it signed for a time that has passed. */
  readonly notBefore?: number
  /** This machine's clock, which the chain's is held against. Default: `Date`. */
  readonly clock?: LocalClock
}

export interface EscrowCall {
  /** The token the call moves, and the default fee token. */
  readonly token: Address
  /** Base units that the call takes from the account. */
  readonly amount: bigint
  readonly data: Hex
}

export interface SignedCall {
  /** Signed and serialized, lower-case hex. */
  readonly transaction: Hex
  readonly transactionHash: Hex
  /** Chain seconds. From then on the transaction can no longer be mined. */
  readonly validBefore: number
  /** The most that it may cost the account, in base units of the fee token: zero where a sponsor pays. */
  readonly feeAtMost: bigint
}

/**
 * Prepares and signs one call to `terms.escrow`, in a single round trip to the chain.
 *
 * @throws {@link ChainFailure}: `insufficient_balance` when the account does not hold `call.amount` and the fee, `wrong_fee_token`
 * when the fee token is none or the account that pays the fee holds too little of it, `fee_too_high` when the transaction may
 * cost more than `terms.maxFee`, `behind` when the node's clock is, `implausible` when it is too far ahead.
 */
export async function signEscrowCall(client: Client, terms: TransactionTerms, call: EscrowCall): Promise<SignedCall> {
  const { account } = terms
  const { feePayer = false } = terms
  const feeAccount = feePayer === false ? account : feePayer === true ? undefined : feePayer
  const feeToken = lowerCase(terms.feeToken ?? call.token)
  const calls = [{ to: lowerCase(terms.escrow), data: call.data }]
  const { clock = Date } = terms
  // One round trip: none of these needs the answer of another.
  const [block, priorityFee, estimate, funds] = await Promise.all([
    readPendingBlock(client, { clock }),
    readPriorityFee(client),
    estimateGas(client, { account, calls, chainId: terms.chainId, ...(feePayer === false ? { feeToken } : {}) }),
    readFunds(client, { account, feeAccount, feeToken, token: call.token }),
  ])
  if (terms.notBefore !== undefined && Number(block.timestamp) < terms.notBefore)
    throw new ChainFailure('behind', `its clock is at ${block.timestamp}, ${terms.notBefore} is over`)
  const { gas, maxFeePerGas } = priceOf(estimate, block.baseFeePerGas, priorityFee)
  const validFor = Math.min(
    Math.max(terms.validForSeconds ?? MAX_VALIDITY_SECONDS, MIN_VALIDITY_SECONDS),
    MAX_VALIDITY_SECONDS,
  )
  const validBefore = Number(block.timestamp) + Math.floor(validFor)
  const request = {
    type: 'tempo',
    chainId: terms.chainId,
    calls,
    nonceKey: EXPIRING_NONCE_KEY,
    nonce: 0,
    validBefore,
    validAfter: distinguishingSecond(Number(block.timestamp)),
    gas,
    maxFeePerGas,
    maxPriorityFeePerGas: priorityFee,
    ...(feePayer === false ? {} : { feePayer }),
    ...(feePayer === true ? {} : { feeToken }),
  }
  // Held on the very request that is signed: whatever it was made from, the chain takes no more than gas times price.
  const fee =
    feeAccount === undefined ? 0n : holdFeeLimit(request, { maxFee: terms.maxFee ?? DEFAULT_MAX_FEE, feeToken })
  requireFunds(funds, { account, feeAccount, call, feeToken, fee })
  const sign = account.signTransaction
  // viem's type for this method knows Ethereum's transactions only; both kinds of account take Tempo's with its serializer.
  const signed = await sign(request as never, { serializer: Transaction.serialize as never })
  const transaction = lowerCase(signed)
  return { transaction, transactionHash: transactionHash(transaction), validBefore, feeAtMost: fee }
}

/** What an account can put into a channel, in base units. */
export interface Spendable {
  readonly balance: bigint
  /** Kept back for the fee: zero where another account, or another token, pays it. */
  readonly fee: bigint
}

/**
 * What an account can move with calls like `call`, which moves the least that a call can move. The fee is what signing
 * would ask for now and a quarter more, so that a fee that rises meanwhile does not take the call's own amount; but never
 * more than `terms.maxFee`, for no more is ever signed.
 *
 * @throws {@link ChainFailure}: `fee_too_high` when signing would ask for more than that: then it says nothing about the balance.
 */
export async function readSpendable(client: Client, terms: TransactionTerms, call: EscrowCall): Promise<Spendable> {
  const { account, feePayer = false, chainId, clock = Date } = terms
  const feeToken = lowerCase(terms.feeToken ?? call.token)
  const balance = readTokenBalance(client, { token: call.token, owner: account.address })
  if (feePayer !== false || !sameHex(feeToken, call.token)) return { balance: await balance, fee: 0n }
  const calls = [{ to: lowerCase(terms.escrow), data: call.data }]
  const price = Promise.all([
    readPendingBlock(client, { clock }),
    readPriorityFee(client),
    estimateGas(client, { account, calls, chainId, feeToken }),
  ]).then(
    ([block, priorityFee, estimate]) => {
      const { maxFee = DEFAULT_MAX_FEE } = terms
      const fee = holdFeeLimit(priceOf(estimate, block.baseFeePerGas, priorityFee), { maxFee, feeToken })
      const kept = roundedUp(fee + fee / 4n)
      if (kept > maxFee) return maxFee
      return kept
    },
    (error: unknown) => {
      const failure = toChainFailure(error)
      // Not even the least and its fee can be paid.
      if (failure.reason === 'insufficient_balance' || failure.reason === 'wrong_fee_token') return null
      throw failure
    },
  )
  const [held, fee] = await Promise.all([balance, price])
  return { balance: held, fee: fee ?? held }
}

/** To a hundredth of a token: what is asked about is then the same amount a block later. */
function roundedUp(fee: bigint): bigint {
  return ((fee + HUNDREDTH - 1n) / HUNDREDTH) * HUNDREDTH
}

function priceOf(estimate: bigint, baseFeePerGas: bigint, priorityFee: bigint): Priced {
  return { gas: estimate + GAS_MARGIN, maxFeePerGas: baseFeePerGas * 2n + priorityFee }
}

async function readPriorityFee(client: Client): Promise<bigint> {
  try {
    return readQuantity(await client.request({ method: 'eth_maxPriorityFeePerGas' }), 'priority fee')
  } catch (error) {
    throw toChainFailure(error)
  }
}

async function estimateGas(
  client: Client,
  request: {
    readonly account: LocalAccount
    readonly calls: readonly { to: Address; data: Hex }[]
    readonly chainId: number
    readonly feeToken?: Address
  },
): Promise<bigint> {
  try {
    // viem's estimateGas would prepare the request first, in several more round trips; its formatter is all that is needed.
    const formatted = Formatters.formatTransactionRequest({ ...request, type: 'tempo' } as never)
    return readQuantity(
      await client.request({ method: 'eth_estimateGas', params: [formatted as never] }),
      'gas estimate',
    )
  } catch (error) {
    throw toChainFailure(error)
  }
}

interface Funds {
  readonly balance: bigint
  /** Of the fee token, where another account or another token than the call's pays the fee. */
  readonly feeBalance?: bigint
  /** The call and the fee are paid out of one balance. */
  readonly shared: boolean
}

async function readFunds(
  client: Client,
  p: {
    readonly account: LocalAccount
    readonly feeAccount: LocalAccount | undefined
    readonly feeToken: Address
    readonly token: Address
  },
): Promise<Funds> {
  const { account, feeAccount } = p
  const shared = feeAccount === account && sameHex(p.feeToken, p.token)
  const [balance, feeBalance] = await Promise.all([
    readTokenBalance(client, { token: p.token, owner: account.address }),
    feeAccount === undefined || shared ? undefined : readFeeBalance(client, p.feeToken, feeAccount.address),
  ])
  return feeBalance === undefined ? { balance, shared } : { balance, feeBalance, shared }
}

/** The two mistakes a person can mend are looked for by name; nodes report them in many ways, or only when mining. */
function requireFunds(
  funds: Funds,
  p: {
    readonly account: LocalAccount
    readonly feeAccount: LocalAccount | undefined
    readonly call: EscrowCall
    readonly feeToken: Address
    readonly fee: bigint
  },
): void {
  const { account, feeAccount = account, call, feeToken, fee } = p
  const needed = call.amount + (funds.shared ? fee : 0n)
  if (funds.balance < needed) {
    const held = { owner: account.address, token: call.token, held: funds.balance }
    throw new ChainFailure(
      'insufficient_balance',
      describeShortage({ ...held, needed: call.amount, fee: needed - call.amount }),
    )
  }
  if (funds.feeBalance !== undefined && funds.feeBalance < fee) {
    const held = { owner: feeAccount.address, token: feeToken, held: funds.feeBalance }
    throw new ChainFailure('wrong_fee_token', describeShortage({ ...held, needed: 0n, fee }))
  }
}

/** What an account lacks, in tokens. Amounts are given in base units. */
export function describeShortage(p: {
  readonly owner: Address
  readonly token: Address
  readonly needed: bigint
  readonly fee: bigint
  readonly held: bigint
}): string {
  const inTokens = (amount: bigint): string => formatAmount(amount.toString())
  const parts = [
    ...(p.needed > 0n ? [`${inTokens(p.needed)} for the deposit`] : []),
    ...(p.fee > 0n ? [`up to ${inTokens(p.fee)} for the fee`] : []),
  ]
  return `payer ${p.owner} holds ${inTokens(p.held)} of token ${p.token}, needed: ${parts.join(' and ')}`
}

async function readFeeBalance(client: Client, token: Address, owner: Address): Promise<bigint> {
  try {
    return await readTokenBalance(client, { token, owner })
  } catch (error) {
    const failure = toChainFailure(error)
    // A contract that has no balances is no token; a dead line says nothing about the token.
    throw mayPassByItself(failure) ? failure : new ChainFailure('wrong_fee_token', `no token at ${token}`)
  }
}

/**
 * A random second long past, used as `validAfter`: it tells apart transactions that would else be equal byte for byte, and
 * with them their expiring nonces. Two equal top-ups in the same second must both count.
 */
function distinguishingSecond(now: number): number {
  const latest = Math.max(now - 60, 2)
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1))
  return 1 + (random % (latest - 1))
}
