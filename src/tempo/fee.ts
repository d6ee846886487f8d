// The most that a transaction may cost whoever pays its fee, and the limit on it.
// Must never let a figure of a node reach a signature unchecked: all that makes the price of a transaction is a node's word.

import { formatAmount } from '../../machines/amount.js'
import { amountOf } from '../../machines/token-names.js'
import type { Address } from '../protocol/hex.js'
import { ChainFailure } from './failure.js'

/**
 * The most that one transaction may cost unless it is said otherwise, in base units: a quarter of a token. An open on a new
 * channel asks for 0.05 at most at Tempo's base fee (2 × 10^10, TIP-1010) and costs 0.01; a top-up and the two transactions of
 * a forced close ask for half of that. The rest is room for prices and gas that rise.
 */
export const DEFAULT_MAX_FEE = 250_000n

/** Gas prices are in 10^-18 dollars, fee tokens have 6 decimals. */
const GAS_PRICE_UNITS_PER_TOKEN_UNIT = 10n ** 12n

/** JSON-RPC quantities are hexadecimal, of 256 bits at most. */
const QUANTITY = /^0x[0-9a-f]{1,64}$/i

/** Base units beyond this are no amount that anybody has; a message says so much and no more. */
const MOST_SHOWN = 10n ** 30n

/** What a transaction says about its own price. */
export interface Priced {
  readonly gas: bigint
  /** In 10^-18 dollars. */
  readonly maxFeePerGas: bigint
}

/**
 * A quantity as a node answered it.
 *
 * @throws {@link ChainFailure} `unknown` when it is none: below zero, no hexadecimal, or no text at all.
 */
export function readQuantity(answer: unknown, what: string): bigint {
  if (typeof answer === 'string' && QUANTITY.test(answer)) return BigInt(answer)
  throw new ChainFailure('unknown', `the node's ${what} is no quantity`)
}

/** The most that the transaction may cost, in base units of the fee token: the chain never takes more than this. */
export function feeAtMost({ gas, maxFeePerGas }: Priced): bigint {
  const price = gas * maxFeePerGas
  return (price + GAS_PRICE_UNITS_PER_TOKEN_UNIT - 1n) / GAS_PRICE_UNITS_PER_TOKEN_UNIT
}

/**
 * Holds a transaction against the limit, as it is about to be signed.
 *
 * @param limit.maxFee Base units of `limit.feeToken`.
 * @returns the most that it may cost, in base units.
 * @throws {@link ChainFailure} `fee_too_high` when that is more than the limit.
 */
export function holdFeeLimit(
  transaction: Priced,
  limit: { readonly maxFee: bigint; readonly feeToken: Address },
): bigint {
  const fee = feeAtMost(transaction)
  const { maxFee, feeToken } = limit
  if (fee <= maxFee) return fee
  const most =
    fee > MOST_SHOWN ? `more than ${amountOf(MOST_SHOWN.toString(), feeToken)}` : amountOf(fee.toString(), feeToken)
  throw new ChainFailure(
    'fee_too_high',
    `maxFee: a transaction that may cost ${most}, ${formatAmount(maxFee.toString())} allowed`,
  )
}
