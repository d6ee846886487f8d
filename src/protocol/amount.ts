// Strict reading and writing of token amounts: base units on the wire, decimal strings for people.
// Must never use floating point, nor accept a sign, an exponent, or more digits than the chain can hold.
import { type Parsed, parsed, refused } from './parsed.js'

/** The largest amount a channel can hold or a voucher can authorise, in base units (TIP-1034: uint96). */
export const MAX_UINT96: bigint = (1n << 96n) - 1n

/** A TIP-20 token reports its decimals as a uint8. */
const MAX_DECIMALS = 255

const BASE_UNITS = /^[0-9]{1,29}$/
const TOKEN_AMOUNT = /^([0-9]{1,29})(?:\.([0-9]{1,255}))?$/

/** Reads an amount in base units as the wire has it: a string of 1 to 29 decimal digits, at most uint96 (TIP-1034). */
export function parseAmount(value: unknown): Parsed<bigint, 'malformed' | 'out_of_range'> {
  if (typeof value !== 'string' || !BASE_UNITS.test(value)) {
    return refused('malformed', 'expected an amount of base units: 1 to 29 decimal digits')
  }
  return inRange(BigInt(value))
}

/**
 * Reads an amount as a person writes it (`'5'`, `'0.25'`) into base units.
 *
 * @param decimals of the token, 0 to 255.
 */
export function parseTokenAmount(
  text: string,
  decimals: number,
): Parsed<bigint, 'malformed' | 'out_of_range' | 'too_precise'> {
  assertDecimals(decimals)
  const match = TOKEN_AMOUNT.exec(text)
  const whole = match?.[1]
  if (whole === undefined) return refused('malformed', 'expected a token amount such as 5 or 0.25')
  const fraction = match?.[2] ?? ''
  if (fraction.length > decimals) {
    return refused('too_precise', `the token has ${decimals} decimals, the amount has ${fraction.length}`)
  }
  return inRange(BigInt(whole + fraction.padEnd(decimals, '0')))
}

/**
 * Writes base units as a token amount without trailing zeros: `250000n` with 6 decimals is `'0.25'`. Differences
 * between two amounts may be negative and get a minus sign, which {@link parseTokenAmount} will not read back.
 */
export function formatTokenAmount(amount: bigint, decimals: number): string {
  assertDecimals(decimals)
  const sign = amount < 0n ? '-' : ''
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`
}

function inRange(amount: bigint): Parsed<bigint, 'out_of_range'> {
  if (amount > MAX_UINT96) return refused('out_of_range', 'the amount is larger than a channel can hold (uint96)')
  return parsed(amount)
}

function assertDecimals(decimals: number): void {
  if (!Number.isInteger(decimals) || decimals < 0 || decimals > MAX_DECIMALS) {
    throw new RangeError('token decimals are a whole number from 0 to 255')
  }
}
