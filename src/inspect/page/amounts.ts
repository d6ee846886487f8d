// Base units as a person reads them, and as shares of a bar.
// Must never round what is shown as a number.

/** A token amount with at least two decimals: `5.00`, `0.125`. */
export function tokens(baseUnits: string, decimals: number): string {
  const digits = baseUnits.padStart(decimals + 1, '0')
  const whole = digits.slice(0, -decimals)
  const fraction = digits.slice(-decimals).replace(/0+$/, '').padEnd(2, '0')
  return `${whole}.${fraction}`
}

/** How much of a whole a part is, in percent from 0 to 100, for a picture. */
export function percent(part: string, whole: string): number {
  const of = BigInt(whole)
  if (of === 0n) return 0
  const share = Number((BigInt(part) * 10_000n) / of) / 100
  return Math.min(100, share)
}

export function plus(a: string, b: string): string {
  return (BigInt(a) + BigInt(b)).toString()
}

/** The difference, and never less than nothing. */
export function minus(a: string, b: string): string {
  const difference = BigInt(a) - BigInt(b)
  return difference > 0n ? difference.toString() : '0'
}
