// Amounts as the command line shows them: tokens with two decimals or more, never base units.
// Must never round: what is shown is what was paid.

import { formatAmount, tokenName } from '../../machines/index.js'
import { TOKEN_DECIMALS } from '../client/policy.js'

/** Base units as `1.00`, `9,995.40` or `0.0002`. */
export function inTokens(amount: bigint | string): string {
  const [whole = '0', fraction = ''] = formatAmount(String(amount), TOKEN_DECIMALS).split('.')
  return `${thousands(whole)}.${fraction}`
}

/**
 * The same with the name of the token: `1.00 pathUSD`, or `1.00 tokens of 0x20c0…`.
 *
 * @param token its address; null when it is not known, and only the figure can be told.
 */
export function namedAmount(amount: bigint | string, token: string | null): string {
  if (token === null) return inTokens(amount)
  const name = tokenName(token)
  return name === token ? `${inTokens(amount)} tokens of ${token}` : `${inTokens(amount)} ${name}`
}

/** A token as `pathUSD (0x20c0…)`, or its address alone. */
export function namedToken(token: string): string {
  const name = tokenName(token)
  return name === token ? token : `${name} (${token})`
}

/** A whole number with commas: `1,000`. */
export function thousands(value: string | number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** `1 request`, `20 requests`. */
export function counted(count: number, noun: string): string {
  return `${thousands(count)} ${noun}${count === 1 ? '' : 's'}`
}
