// Amounts as the command line shows them: tokens with two decimals or more, never base units.
// Must never round: what is shown is what was paid.

import { TOKEN_DECIMALS } from '../client/policy.js'
import { formatTokenAmount } from '../protocol/index.js'

/** Base units as `1.00`, `9,995.40` or `0.0002`. */
export function inTokens(amount: bigint | string): string {
  const [whole = '0', fraction = ''] = formatTokenAmount(BigInt(amount), TOKEN_DECIMALS).split('.')
  return `${thousands(whole)}.${fraction.padEnd(2, '0')}`
}

/** A whole number with commas: `1,000`. */
export function thousands(value: string | number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** `1 request`, `20 requests`. */
export function counted(count: number, noun: string): string {
  return `${thousands(count)} ${noun}${count === 1 ? '' : 's'}`
}
