// The bridge between the wire schemas (zod) and the parsers of this folder.
// Must never let a schema's message carry the value it refused.
import * as z from 'zod'
import { parseAmount } from './amount.js'
import { parseAddress, parseHex } from './hex.js'
import { type Parsed, parsed, refused } from './parsed.js'

/** A schema that accepts what `parse` accepts and yields what it yields. */
function schemaOf<T>(parse: (value: unknown) => Parsed<T>) {
  return z.unknown().transform((value, context): T => {
    const result = parse(value)
    if (result.ok) return result.value
    context.addIssue({ code: 'custom', message: result.detail })
    return z.NEVER
  })
}

/** A 20-byte address, lower-cased. */
export const address = schemaOf(parseAddress)

/** A 32-byte hash, lower-cased. */
export const hash32 = schemaOf((value) => parseHex(value, 32))

/** Hex of any length, lower-cased. */
export const hexBytes = schemaOf((value) => parseHex(value))

/** A decimal string of base units within uint96, as a bigint. */
export const amount = schemaOf(parseAmount)

/** A decimal string of base units within uint96, left as the string it is. */
export const amountText = schemaOf((value): Parsed<string> => {
  const result = parseAmount(value)
  return result.ok ? parsed(String(value)) : result
})

/** An EIP-155 chain id. */
export const chainId = z.number().int().positive()

/** A whole number of units delivered. */
export const units = z.number().int().nonnegative()

/** Checks a decoded JSON value against a schema; the refusal names the member and what was expected of it. */
export function conform<T>(schema: z.ZodType<T>, value: unknown): Parsed<T, 'malformed'> {
  const result = schema.safeParse(value)
  if (result.success) return parsed(result.data)
  const issue = result.error.issues[0]
  // Paths hold only names that the schema itself has, so nothing of the input is quoted.
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  return refused('malformed', `${where}${issue?.message ?? 'not the expected shape'}`)
}
