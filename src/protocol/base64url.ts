// The one place that encodes and decodes base64; everything around the lenient npm codec that makes it strict.
// Must never let a credential or receipt have two spellings; only what is echoed as it came is read in any of them.

// The npm package `base64url`; in a browser build base64url-native.ts, because the package needs Node's Buffer.
import base64urlPackage from '#base64url'
import type { Base64urlCodec } from './base64url-native.js'
import { parseJson } from './json.js'
import { type Parsed, parsed, refused } from './parsed.js'

const codec: Base64urlCodec = base64urlPackage.default

/** The longest text decoded when the caller names no bound, in characters. */
export const DEFAULT_MAX_BASE64_LENGTH = 65_536

const URL_ALPHABET = /^[A-Za-z0-9_-]*$/
const STANDARD_ALPHABET = /^[A-Za-z0-9+/]*$/

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Base64url without padding (RFC 4648 §5). A string is encoded as its UTF-8. */
export function encodeBase64url(bytes: Uint8Array | string): string {
  return codec.encode(bytes)
}

/**
 * Decodes base64url strictly: no padding, no other alphabet, no white space, no length that base64 cannot have, and no
 * bits set beyond the last byte.
 *
 * @param maxLength longest text accepted, in characters; checked before anything else.
 */
export function decodeBase64url(
  text: string,
  maxLength: number = DEFAULT_MAX_BASE64_LENGTH,
): Parsed<Uint8Array, 'too_large' | 'malformed'> {
  if (text.length > maxLength) return refused('too_large', `longer than ${maxLength} characters`)
  if (!URL_ALPHABET.test(text)) return refused('malformed', 'a character outside the base64url alphabet, or padding')
  const tail = text.length % 4
  if (tail === 1) return refused('malformed', 'a length that base64url cannot have')
  // A last group of 2 or 3 characters carries 4 or 2 bits that belong to no byte; a canonical encoder leaves them zero.
  const spareBits = tail === 2 ? 0b1111 : tail === 3 ? 0b11 : 0
  if (spareBits !== 0 && (sextet(text.charCodeAt(text.length - 1)) & spareBits) !== 0) {
    return refused('malformed', 'bits set beyond the last byte')
  }
  return parsed(Uint8Array.from(codec.toBuffer(text)))
}

/**
 * Decodes standard base64 (RFC 4648 §4) as strictly, its padding either complete or left out. For body digests (RFC 9530).
 */
export function decodeBase64(
  text: string,
  maxLength: number = DEFAULT_MAX_BASE64_LENGTH,
): Parsed<Uint8Array, 'too_large' | 'malformed'> {
  if (text.length > maxLength) return refused('too_large', `longer than ${maxLength} characters`)
  const body = withoutPadding(text)
  if (!body.ok) return body
  if (!STANDARD_ALPHABET.test(body.value)) return refused('malformed', 'a character outside the base64 alphabet')
  return decodeBase64url(body.value.replaceAll('+', '-').replaceAll('/', '_'), maxLength)
}

/**
 * Decodes base64 of either alphabet, padded or not, and otherwise as strictly: one text does not mix the alphabets. For what
 * is echoed as the text it came in, so that a second spelling of the same bytes changes nothing.
 */
export function decodeAnyBase64(
  text: string,
  maxLength: number = DEFAULT_MAX_BASE64_LENGTH,
): Parsed<Uint8Array, 'too_large' | 'malformed'> {
  if (!text.includes('-') && !text.includes('_')) return decodeBase64(text, maxLength)
  if (text.length > maxLength) return refused('too_large', `longer than ${maxLength} characters`)
  const body = withoutPadding(text)
  return body.ok ? decodeBase64url(body.value, maxLength) : body
}

function withoutPadding(text: string): Parsed<string, 'malformed'> {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  if (padding !== 0 && text.length % 4 !== 0) return refused('malformed', 'padding that does not complete a group')
  return parsed(text.slice(0, text.length - padding))
}

/** Decodes base64url that holds strict UTF-8 that holds JSON, of bounded size and depth. */
export function decodeJson(text: string, maxLength?: number): Parsed<unknown, 'too_large' | 'malformed'> {
  const bytes = decodeBase64url(text, maxLength)
  return bytes.ok ? decodeJsonBytes(bytes.value) : bytes
}

/** Reads bytes as strict UTF-8 JSON of bounded depth. A byte order mark is refused. */
export function decodeJsonBytes(bytes: Uint8Array): Parsed<unknown, 'malformed'> {
  let text: string
  try {
    text = strictUtf8.decode(bytes)
  } catch {
    return refused('malformed', 'not UTF-8')
  }
  return parseJson(text)
}

function sextet(code: number): number {
  if (code >= 0x61) return code - 0x61 + 26 // a-z
  if (code === 0x5f) return 63 // _
  if (code >= 0x41) return code - 0x41 // A-Z
  if (code >= 0x30) return code - 0x30 + 52 // 0-9
  return 62 // -
}
