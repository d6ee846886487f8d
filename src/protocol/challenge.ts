// Reads and writes the challenges of a 402 answer: `WWW-Authenticate: Payment …`.
// Must never change a received parameter: a server binds the challenge id to every one of them.

import type { AuthChallenge, AuthValue } from './auth-header.js'
import { FIELD_NAME, hasControlCharacter, splitAuthChallenges } from './auth-header.js'
import { type Parsed, parsed, refused } from './parsed.js'
import { parseTimestamp } from './timestamp.js'

/** One payment challenge ("Payment" HTTP Authentication Scheme draft). All values are as received, after unquoting. */
export interface Challenge {
  readonly id: string
  readonly realm: string
  readonly method: string
  readonly intent: string
  /** Base64 of canonical JSON, byte for byte as received, whatever its spelling. */
  readonly request: string
  /** RFC 3339; read it with {@link expiresAt}. */
  readonly expires?: string
  /** RFC 9530, in one of three spellings; read it with `parseDigest`. */
  readonly digest?: string
  /** For display only. */
  readonly description?: string
  /** The server's own data, byte for byte as received. */
  readonly opaque?: string
  /** The request header that the credential goes into; read it with {@link credentialHeaderOf}. */
  readonly header?: string
}

/** Where a credential may go: beside `Authorization`, the field of servers whose `Authorization` is taken by the application. */
export type CredentialHeader = 'authorization' | 'payment-authorization'

/** What one header value held. `refused` has an entry for every payment challenge that cannot be used. */
export interface ChallengeList {
  readonly challenges: readonly Challenge[]
  readonly refused: readonly { readonly reason: string; readonly detail: string }[]
}

/** The longest header value that is read. Header values are byte strings: one character is one byte. */
export const MAX_CHALLENGE_HEADER_BYTES = 16_384

const SCHEME = 'Payment'
const NONE: ChallengeList['refused'] = []
const FIRST_BEYOND_LATIN1 = 0x100

/**
 * Reads every payment challenge of a `WWW-Authenticate` value (`Headers.get` joins several fields with a comma).
 * Challenges of other schemes are skipped, and so are unknown parameters. Refusals: `absent` when there is no header or
 * no payment challenge in it, `too_large`, `malformed` when the value is no list of challenges at all or has control
 * characters, `none_usable` when every payment challenge in it is malformed or incomplete.
 *
 * Quoted values follow RFC 9110 (a backslash stands for the character after it), with one exception: in `description`,
 * `\uXXXX` is the UTF-16 code unit when that is above Latin-1, because widely used servers write it so to get such
 * characters into a header. Smaller code units are not decoded, so no control character comes in that way.
 */
export function parseChallenges(
  header: string | null | undefined,
): Parsed<ChallengeList, 'absent' | 'too_large' | 'malformed' | 'none_usable'> {
  if (header === null || header === undefined) return refused('absent', 'no WWW-Authenticate header')
  if (header.length > MAX_CHALLENGE_HEADER_BYTES) {
    return refused('too_large', `WWW-Authenticate is longer than ${MAX_CHALLENGE_HEADER_BYTES} bytes`)
  }
  if (hasControlCharacter(header)) return refused('malformed', 'WWW-Authenticate has a control character')
  const list = splitAuthChallenges(header)
  const challenges: Challenge[] = []
  const unusable: { reason: string; detail: string }[] = []
  for (const entry of list.challenges) {
    if (entry.scheme !== 'payment') continue
    const challenge = toChallenge(entry)
    if (challenge.ok) challenges.push(challenge.value)
    else unusable.push({ reason: challenge.reason, detail: challenge.detail })
  }
  // Copies are no larger than what they hold; lists that grew are, and a flow keeps its challenges.
  if (challenges.length > 0)
    return parsed({ challenges: challenges.slice(), refused: unusable.length === 0 ? NONE : unusable.slice() })
  const first = unusable[0]
  if (first !== undefined) return refused('none_usable', `no payment challenge can be used: ${first.detail}`)
  if (list.stray && list.challenges.length === 0)
    return refused('malformed', 'WWW-Authenticate is not a challenge list')
  return refused('absent', 'WWW-Authenticate has no payment challenge')
}

/**
 * Writes a challenge as a `WWW-Authenticate` value, for servers. Characters above Latin-1 in `description` become
 * `\uXXXX`.
 *
 * @throws RangeError when a value has a control character, or a character above Latin-1 elsewhere than in `description`.
 */
export function formatChallenge(challenge: Challenge): string {
  let header = `${SCHEME} id=${quote(challenge.id)}, realm=${quote(challenge.realm)}`
  header += `, method=${quote(challenge.method)}, intent=${quote(challenge.intent)}`
  header += `, request=${quote(challenge.request)}`
  if (challenge.expires !== undefined) header += `, expires=${quote(challenge.expires)}`
  if (challenge.digest !== undefined) header += `, digest=${quote(challenge.digest)}`
  if (challenge.description !== undefined) header += `, description=${quote(challenge.description, true)}`
  if (challenge.opaque !== undefined) header += `, opaque=${quote(challenge.opaque)}`
  if (challenge.header !== undefined) header += `, header=${quote(challenge.header)}`
  return header
}

/** When the challenge expires, in milliseconds since the epoch; undefined when it does not say. RFC 3339, strictly. */
export function expiresAt(challenge: Challenge): Parsed<number | undefined, 'malformed'> {
  return challenge.expires === undefined ? parsed(undefined) : parseTimestamp(challenge.expires)
}

/**
 * The request header that the credential goes into: `Authorization` unless the challenge names `Payment-Authorization`, as
 * widely used servers do whose `Authorization` belongs to the application. Any other is refused: a server must not choose
 * which header of a request it writes.
 */
export function credentialHeaderOf({ header }: Challenge): Parsed<CredentialHeader, 'unsupported_header'> {
  const name = header?.toLowerCase() ?? 'authorization'
  return name === 'authorization' || name === 'payment-authorization'
    ? parsed(name)
    : refused('unsupported_header', 'the challenge wants its credential in a header that is not for credentials')
}

function toChallenge(
  entry: AuthChallenge,
): Parsed<Challenge, 'malformed' | 'duplicate_parameter' | 'missing_parameter'> {
  if (entry.fault !== undefined) return refused(entry.fault.reason, entry.fault.detail)
  const read = (name: string): string | undefined => unquote(entry.params.get(name))
  const [id, realm, method, intent, request] = ['id', 'realm', 'method', 'intent', 'request'].map(read)
  if (id === undefined || id === '') return refused('missing_parameter', 'a challenge without an id')
  if (realm === undefined) return refused('missing_parameter', 'a challenge without a realm')
  if (method === undefined) return refused('missing_parameter', 'a challenge without a method')
  if (intent === undefined) return refused('missing_parameter', 'a challenge without an intent')
  if (request === undefined) return refused('missing_parameter', 'a challenge without a request')
  const expires = read('expires')
  const digest = read('digest')
  const description = unquote(entry.params.get('description'), true)
  const opaque = read('opaque')
  const header = read('header')
  if (header !== undefined && !FIELD_NAME.test(header)) return refused('malformed', 'header is no field name')
  return parsed({
    id,
    realm,
    method,
    intent,
    request,
    ...(expires !== undefined && { expires }),
    ...(digest !== undefined && { digest }),
    ...(description !== undefined && { description }),
    ...(opaque !== undefined && { opaque }),
    ...(header !== undefined && { header }),
  })
}

function unquote(value: AuthValue | undefined, unicodeEscapes = false): string | undefined {
  if (value === undefined || !value.quoted || !value.text.includes('\\')) return value?.text
  const { text } = value
  let result = ''
  let copied = 0
  for (let slash = text.indexOf('\\'); slash >= 0; slash = text.indexOf('\\', copied)) {
    result += text.slice(copied, slash)
    const unit = unicodeEscapes ? unicodeEscape(text.slice(slash + 1, slash + 6)) : undefined
    if (unit === undefined) {
      // The character after the backslash stands for itself, also when it is another backslash.
      result += text.slice(slash + 1, slash + 2)
      copied = slash + 2
    } else {
      result += String.fromCharCode(unit)
      copied = slash + 6
    }
  }
  return result + text.slice(copied)
}

function unicodeEscape(text: string): number | undefined {
  if (!/^u[0-9a-fA-F]{4}$/.test(text)) return undefined
  const unit = Number.parseInt(text.slice(1), 16)
  return unit >= FIRST_BEYOND_LATIN1 ? unit : undefined
}

function quote(value: string, unicodeEscapes = false): string {
  if (hasControlCharacter(value)) throw new RangeError('a challenge parameter has a control character')
  let result = '"'
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at)
    if (unit >= FIRST_BEYOND_LATIN1) {
      if (!unicodeEscapes) throw new RangeError('a challenge parameter has a character above Latin-1')
      result += `\\u${unit.toString(16).padStart(4, '0')}`
    } else {
      if (unit === 0x22 || unit === 0x5c) result += '\\'
      result += value.charAt(at)
    }
  }
  return `${result}"`
}
