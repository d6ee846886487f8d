// Arithmetic on amounts as they live in machine context: decimal strings of base units.
// Must never accept a sign, a fraction or an exponent, and never use floating point.

const AMOUNT = /^[0-9]{1,40}$/

/** An amount of base units as a decimal string. JSON-safe, unlike a bigint. */
export type Amount = string

function checked(amount: Amount): Amount {
  if (!AMOUNT.test(amount)) throw new RangeError('an amount is a decimal string of base units')
  return amount
}

function parse(amount: Amount): bigint {
  return BigInt(checked(amount))
}

/** `a + b`, in base units. */
export function add(a: Amount, b: Amount): Amount {
  return (parse(a) + parse(b)).toString()
}

/** `a - b` in base units, or `0` when `b` is larger: an amount is never negative. */
export function subtract(a: Amount, b: Amount): Amount {
  const difference = parse(a) - parse(b)
  return difference > 0n ? difference.toString() : '0'
}

/** The larger of all given amounts. */
export function max(first: Amount, ...rest: Amount[]): Amount {
  return rest.reduce((best, next) => (parse(next) > parse(best) ? next : best), checked(first))
}

/** The smaller of all given amounts. */
export function min(first: Amount, ...rest: Amount[]): Amount {
  return rest.reduce((best, next) => (parse(next) < parse(best) ? next : best), checked(first))
}

/** Whether `a` is larger than `b`. */
export function exceeds(a: Amount, b: Amount): boolean {
  return parse(a) > parse(b)
}

/** The sum of all given amounts. */
export function sum(amounts: Iterable<Amount>): Amount {
  let total = 0n
  for (const amount of amounts) total += parse(amount)
  return total.toString()
}

/**
 * Base units for a person to read, with two decimals or more, and never rounded: `5.00`, `0.25`, `0.000001`. What
 * `parseTokenAmount` reads back is the same amount.
 *
 * @param decimals of the token. TIP-20 tokens have 6.
 * @throws RangeError when the amount is no decimal string of base units, or the decimals are no whole number from 0 to 255.
 *
 * @example
 * ```ts
 * import { formatAmount } from 'mpp-flow'
 *
 * formatAmount('2600000') // → '2.60'
 * ```
 */
export function formatAmount(baseUnits: Amount, decimals = 6): string {
  if (!Number.isInteger(decimals) || decimals < 0 || decimals > 255) {
    throw new RangeError('token decimals are a whole number from 0 to 255')
  }
  const digits = parse(baseUnits)
    .toString()
    .padStart(decimals + 1, '0')
  const point = digits.length - decimals
  const fraction = digits.slice(point).replace(/0+$/, '')
  return `${digits.slice(0, point)}.${fraction.padEnd(2, '0')}`
}
