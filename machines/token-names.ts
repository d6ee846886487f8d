// What people call the tokens that payments are made in, and amounts with those names.
// Must never name a token by anything but its whole address: addresses that look alike are easily made.

import { type Amount, formatAmount } from './amount.js'

/** Well-known tokens of Tempo, by their address in lower case. */
const NAMES: Readonly<Record<string, string>> = {
  '0x20c000000000000000000000b9537d11c60e8b50': 'USDC.e',
  '0x20c0000000000000000000000000000000000000': 'pathUSD',
  '0x20c0000000000000000000000000000000000001': 'AlphaUSD',
}

/** The name of a token, or its address where it has no name that everybody knows. */
export function tokenName(address: string): string {
  const known = address.toLowerCase()
  return Object.hasOwn(NAMES, known) ? (NAMES[known] ?? address) : address
}

/**
 * An amount for a person: `5.00 USDC.e`, `0.25 tokens of 0x20c0…`.
 *
 * @param token its address; null when it is not known, and only the figure can be told.
 */
export function amountOf(baseUnits: Amount, token: string | null): string {
  const figure = formatAmount(baseUnits)
  if (token === null) return `${figure} tokens`
  const name = tokenName(token)
  return name === token ? `${figure} tokens of ${token}` : `${figure} ${name}`
}
