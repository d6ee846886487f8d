// The digest that binds a challenge to the bytes of a request body (RFC 9530).
// Must never accept a digest weaker than SHA-256, nor one that is not exactly 32 bytes.
import { trimFieldSpace } from './auth-header.js'
import { decodeBase64 } from './base64url.js'
import { type Parsed, parsed, refused } from './parsed.js'

const SHA256_BYTES = 32
const MAX_DIGEST_LENGTH = 1024
const ALGORITHM = 'sha-256'

/** Up to here a hash takes less time than the way to another thread and back, which WebCrypto takes. */
const HASHED_AT_ONCE_BYTES = 65_536

/** Node's own, where there is one. No import: a browser build must not ask for it. */
const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto')

/** SHA-256 of the bytes, by the platform: WebCrypto, or Node's own for short ones. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  if (nodeCrypto !== undefined && bytes.length <= HASHED_AT_ONCE_BYTES) {
    return new Uint8Array(nodeCrypto.createHash('sha256').update(bytes).digest())
  }
  // WebCrypto takes no view of shared memory; anything else is hashed where it lies.
  const view =
    bytes.buffer instanceof ArrayBuffer
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : Uint8Array.from(bytes)
  return new Uint8Array(await crypto.subtle.digest('SHA-256', view))
}

/**
 * Writes a hash as RFC 9530 does: `sha-256=:BASE64:`.
 *
 * @throws RangeError when the hash is not 32 bytes.
 */
export function formatDigest(hash: Uint8Array): string {
  if (hash.length !== SHA256_BYTES) throw new RangeError('a SHA-256 hash has 32 bytes')
  let binary = ''
  for (const byte of hash) binary += String.fromCharCode(byte)
  return `${ALGORITHM}=:${btoa(binary)}:`
}

/**
 * Reads a body digest in any of the spellings that servers write: `sha-256=:BASE64:` (RFC 9530), `sha-256=BASE64`, and
 * the latter without padding. Of a dictionary with several algorithms it picks SHA-256; SHA-256 twice is refused, since
 * it could not be told which one the challenge is bound to. Parameters of a member (`;name=value`) are ignored.
 */
export function parseDigest(header: string): Parsed<Uint8Array, 'unsupported_algorithm' | 'malformed'> {
  if (header.length > MAX_DIGEST_LENGTH) return refused('malformed', `longer than ${MAX_DIGEST_LENGTH} characters`)
  let found: string | undefined
  for (const member of header.split(',')) {
    const equals = member.indexOf('=')
    const algorithm = trimFieldSpace(member.slice(0, Math.max(equals, 0))).toLowerCase()
    if (algorithm === '') return refused('malformed', 'expected algorithm=value')
    if (algorithm !== ALGORITHM) continue
    if (found !== undefined) return refused('malformed', 'more than one sha-256 digest')
    found = member.slice(equals + 1)
  }
  if (found === undefined) return refused('unsupported_algorithm', 'no sha-256 digest')
  const semicolon = found.indexOf(';')
  const value = trimFieldSpace(semicolon < 0 ? found : found.slice(0, semicolon))
  const wrapped = value.length >= 2 && value.startsWith(':') && value.endsWith(':')
  const hash = decodeBase64(wrapped ? value.slice(1, -1) : value)
  if (!hash.ok) return refused('malformed', `sha-256: ${hash.detail}`)
  if (hash.value.length !== SHA256_BYTES) return refused('malformed', 'sha-256: not 32 bytes')
  return parsed(hash.value)
}

/** Whether two byte strings are equal. For equal lengths the time taken does not depend on where they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return difference === 0
}
