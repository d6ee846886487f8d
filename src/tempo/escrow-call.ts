// Signs one call to the channel reserve as a Tempo transaction with an expiring nonce.
// Must never broadcast it, nor sign for an account that visibly cannot pay.
import type { Client, LocalAccount } from 'viem'
import { Formatters, Transaction } from 'viem/tempo'
import type { Address, Hex } from '../protocol/hex.js'
import { readPendingBlock, readTokenBalance } from './chain.js'
import { lowerCase, sameHex } from './channel.js'
import { EXPIRING_NONCE_KEY, transactionHash } from './envelope.js'
import { ChainFailure, toChainFailure } from './failure.js'

/** Tempo takes an expiring nonce up to 30 seconds ahead of its clock; the rest is room for clocks that differ. */
const MAX_VALIDITY_SECONDS = 25

/** Gas prices are in 10^-18 dollars, fee tokens have 6 decimals. */
const GAS_PRICE_UNITS_PER_TOKEN_UNIT = 10n ** 12n

/** Nodes refuse a transaction that has no more than three seconds left when it arrives. */
const MIN_VALIDITY_SECONDS = 5

/** Gas for what an estimate leaves out: the expiring nonce (13,000), longer signatures, and storage that is new by then. */
const GAS_MARGIN = 350_000n

export interface TransactionTerms {
  readonly account: LocalAccount
  readonly chainId: number
  readonly escrow: Address
  /** True: a sponsor pays the fee and signs for it later, choosing the fee token. An account: it sponsors here and now. */
  readonly feePayer?: boolean | LocalAccount
  /** TIP-20 token the fee is paid in. Default: the channel's token. */
  readonly feeToken?: Address
  /** How long the transaction can be mined, from the chain's now. At most, and by default, 25 seconds. */
  readonly validForSeconds?: number
  /** Chain seconds that are over: a node whose clock is behind would have it signed for a time that has passed. */
  readonly notBefore?: number
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
}

/**
 * Prepares and signs one call to `terms.escrow`, in a single round trip to the chain.
 *
 * @throws {@link ChainFailure}: `insufficient_balance` when the account does not hold `call.amount` and the fee, `wrong_fee_token`
 * when the fee token is none or the account that pays the fee holds too little of it, `behind` when the node's clock is.
 */
export async function signEscrowCall(client: Client, terms: TransactionTerms, call: EscrowCall): Promise<SignedCall> {
  const { account } = terms
  const { feePayer = false } = terms
  const feeAccount = feePayer === false ? account : feePayer === true ? undefined : feePayer
  const feeToken = lowerCase(terms.feeToken ?? call.token)
  const calls = [{ to: lowerCase(terms.escrow), data: call.data }]
  // One round trip: none of these needs the answer of another.
  const [block, priorityFee, estimate, funds] = await Promise.all([
    readPendingBlock(client),
    readPriorityFee(client),
    estimateGas(client, { account, calls, chainId: terms.chainId, ...(feePayer === false ? { feeToken } : {}) }),
    readFunds(client, { account, feeAccount, feeToken, token: call.token }),
  ])
  if (terms.notBefore !== undefined && Number(block.timestamp) < terms.notBefore)
    throw new ChainFailure('behind', `its clock is at ${block.timestamp}, ${terms.notBefore} is over`)
  const gas = estimate + GAS_MARGIN
  const maxFeePerGas = block.baseFeePerGas * 2n + priorityFee
  requireFunds(funds, { call, feeToken, fee: (gas * maxFeePerGas) / GAS_PRICE_UNITS_PER_TOKEN_UNIT + 1n })
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
  const sign = account.signTransaction
  // viem's type for this method knows Ethereum's transactions only; both kinds of account take Tempo's with its serializer.
  const signed = await sign(request as never, { serializer: Transaction.serialize as never })
  const transaction = lowerCase(signed)
  return { transaction, transactionHash: transactionHash(transaction), validBefore }
}

async function readPriorityFee(client: Client): Promise<bigint> {
  try {
    return BigInt(await client.request({ method: 'eth_maxPriorityFeePerGas' }))
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
    return BigInt(await client.request({ method: 'eth_estimateGas', params: [formatted as never] }))
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
  p: { readonly call: EscrowCall; readonly feeToken: Address; readonly fee: bigint },
): void {
  const needed = p.call.amount + (funds.shared ? p.fee : 0n)
  if (funds.balance < needed)
    throw new ChainFailure(
      'insufficient_balance',
      `needs ${needed} base units of ${p.call.token}, fee included, has ${funds.balance}`,
    )
  if (funds.feeBalance !== undefined && funds.feeBalance < p.fee)
    throw new ChainFailure('wrong_fee_token', `needs ${p.fee} base units of ${p.feeToken}, has ${funds.feeBalance}`)
}

async function readFeeBalance(client: Client, token: Address, owner: Address): Promise<bigint> {
  try {
    return await readTokenBalance(client, { token, owner })
  } catch (error) {
    const failure = toChainFailure(error)
    // A contract that has no balances is no token; a dead line says nothing about the token.
    throw failure.reason === 'unreachable' ? failure : new ChainFailure('wrong_fee_token', `no token at ${token}`)
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
