// What a gateway charges and how it behaves: options as a person writes them, and the settings they become.
// Must never let an amount through that is not exact: a rounded price is a wrong price.

import { z } from 'zod'
import {
  address,
  flag,
  LONGEST_WAIT_MS,
  listOf,
  OptionError,
  optionsOf,
  readOptions,
  tokenAmount,
  wholeNumber,
} from '../../options/index.js'
import { MAX_UINT96, parseAmount, parseTokenAmount } from '../../protocol/amount.js'
import type { Address } from '../../protocol/hex.js'

/** A string is a token amount (`'1'`, `'0.25'`); a bigint is base units. */
export type Amount = string | bigint

/** What can be changed while the gateway runs. Everything is optional; the defaults are those of the public gateway. */
export interface GatewayOptions {
  /** How much a voucher bucket holds: the challenge's `amount`. Default `'1'`. */
  readonly bucket?: Amount
  /** The deposit that challenges suggest. Default `'5'`. */
  readonly suggestedDeposit?: Amount
  /** Default `'0.0002'`: a small chat of some 50 tokens costs about 0.01, and a bucket of 1 lasts 5000 tokens. */
  readonly pricePerToken?: Amount
  /** How long a challenge can be answered, by the wall clock. Default 300. */
  readonly challengeTtlSeconds?: number
  /** Whether the gateway can send close transactions. Default true. */
  readonly closeSigner?: boolean
  /** Payers that get `mpp_payer_not_allowed`. Default none. */
  readonly blockedPayers?: readonly Address[]
  /** The least by which a higher voucher must be higher. Default: challenges name none. */
  readonly minVoucherDelta?: Amount
  /** Longer bodies get 413. Default 1,000,000. */
  readonly maxBodyBytes?: number
  /** How long an inference takes, in milliseconds. Default 0. */
  readonly latencyMs?: number
  /**
   * The price of a request whose body is no chat request; it is answered with the number of bytes received. Default:
   * there is none, and such a body gets `mpp_request_quote_invalid`.
   */
  readonly otherBodyPrice?: Amount
}

/** TIP-20 tokens have six decimals. */
const TOKEN_DECIMALS = 6
const amount = tokenAmount(TOKEN_DECIMALS).optional()
/** A year. Challenges that live for ever are none. */
const LONGEST_TTL_SECONDS = 31_536_000

export const gatewayShape = {
  bucket: amount,
  suggestedDeposit: amount,
  pricePerToken: amount,
  challengeTtlSeconds: z
    .custom<number>((value) => typeof value === 'number' && value >= 0 && value <= LONGEST_TTL_SECONDS, {
      error: `a number of seconds from 0 to ${LONGEST_TTL_SECONDS}`,
    })
    .optional(),
  closeSigner: flag.optional(),
  blockedPayers: listOf(address, 'addresses').optional(),
  minVoucherDelta: amount,
  maxBodyBytes: wholeNumber(0).optional(),
  latencyMs: wholeNumber(0, LONGEST_WAIT_MS).optional(),
  otherBodyPrice: amount,
} satisfies Record<keyof GatewayOptions, unknown>

const gatewayOptions = optionsOf(gatewayShape)

/** @throws OptionError naming the option that is unknown or cannot be read. */
export function checkChange(change: GatewayOptions): GatewayOptions {
  readOptions(gatewayOptions, change)
  return change
}

/** The same, read. Amounts are base units. */
export interface GatewaySettings {
  readonly bucket: bigint
  readonly suggestedDeposit: bigint
  readonly pricePerToken: bigint
  readonly challengeTtlSeconds: number
  readonly closeSigner: boolean
  readonly blockedPayers: ReadonlySet<string>
  readonly minVoucherDelta: bigint | undefined
  readonly maxBodyBytes: number
  readonly latencyMs: number
  readonly otherBodyPrice: bigint | undefined
}

/**
 * Reads options over the settings so far.
 *
 * @param decimals of the token.
 * @throws OptionError naming the amount that cannot be read.
 */
export function readSettings(options: GatewayOptions, decimals: number, before?: GatewaySettings): GatewaySettings {
  const amount = (name: keyof GatewayOptions, value: Amount | undefined, otherwise: bigint): bigint =>
    value === undefined ? otherwise : readAmount(name, value, decimals)
  const optional = (name: keyof GatewayOptions, value: Amount | undefined, otherwise: bigint | undefined) =>
    value === undefined ? otherwise : readAmount(name, value, decimals)
  const unit = 10n ** BigInt(decimals)
  return {
    bucket: amount('bucket', options.bucket, before?.bucket ?? unit),
    suggestedDeposit: amount('suggestedDeposit', options.suggestedDeposit, before?.suggestedDeposit ?? 5n * unit),
    pricePerToken: amount('pricePerToken', options.pricePerToken, before?.pricePerToken ?? unit / 5000n),
    challengeTtlSeconds: options.challengeTtlSeconds ?? before?.challengeTtlSeconds ?? 300,
    closeSigner: options.closeSigner ?? before?.closeSigner ?? true,
    blockedPayers: readPayers(options.blockedPayers) ?? before?.blockedPayers ?? new Set(),
    minVoucherDelta: optional('minVoucherDelta', options.minVoucherDelta, before?.minVoucherDelta),
    maxBodyBytes: options.maxBodyBytes ?? before?.maxBodyBytes ?? 1_000_000,
    latencyMs: options.latencyMs ?? before?.latencyMs ?? 0,
    otherBodyPrice: optional('otherBodyPrice', options.otherBodyPrice, before?.otherBodyPrice),
  }
}

function readAmount(name: string, value: Amount, decimals: number): bigint {
  const read = typeof value === 'bigint' ? parseAmount(value.toString()) : parseTokenAmount(value, decimals)
  if (!read.ok) throw new OptionError(name, `${name}: ${read.detail} (at most ${MAX_UINT96} base units)`)
  return read.value
}

function readPayers(payers: readonly Address[] | undefined): ReadonlySet<string> | undefined {
  return payers === undefined ? undefined : new Set(payers.map((payer) => payer.toLowerCase()))
}
