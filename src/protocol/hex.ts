// Reads addresses and hex strings off the wire into one spelling: `0x` and lower-case digits.
// Must never judge an address checksum: the wire carries both spellings, and letter case carries no authority.
import { type Parsed, parsed, refused } from './parsed.js'

/** A hex string with its `0x`. */
export type Hex = `0x${string}`

/** A 20-byte account or contract address. */
export type Address = `0x${string}`

const HEX_DIGITS = /^[0-9a-fA-F]+$/

/**
 * Reads a `0x` hex string of whole bytes, lower-cased.
 *
 * @param byteLength exact length in bytes; without it, any length of at least one byte.
 */
export function parseHex(value: unknown, byteLength?: number): Parsed<Hex, 'malformed'> {
  const expected = byteLength === undefined ? '0x and whole bytes of hex' : `0x and ${byteLength} bytes of hex`
  if (typeof value !== 'string' || !value.startsWith('0x')) return refused('malformed', `expected ${expected}`)
  const digits = value.slice(2)
  const lengthFits = byteLength === undefined ? digits.length % 2 === 0 : digits.length === byteLength * 2
  if (!lengthFits || !HEX_DIGITS.test(digits)) return refused('malformed', `expected ${expected}`)
  return parsed<Hex>(`0x${digits.toLowerCase()}`)
}

/** Reads a 20-byte address, lower-cased. */
export function parseAddress(value: unknown): Parsed<Address, 'malformed'> {
  return parseHex(value, 20)
}
