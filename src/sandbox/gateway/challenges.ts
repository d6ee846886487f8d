// Issues challenges and knows its own again: the id is an HMAC over everything the challenge says.
// Must never accept a challenge for content twice, nor one that was changed by a single character.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { encodeBase64url } from '../../protocol/base64url.js'
import { type Challenge, expiresAt } from '../../protocol/challenge.js'
import { type Parsed, parsed, refused } from '../../protocol/parsed.js'

export interface ChallengeTerms {
  readonly realm: string
  /** Encoded session request. */
  readonly request: string
  /** RFC 9530 digest of the body that the challenge is for. */
  readonly digest: string
  readonly ttlSeconds: number
  readonly description: string
}

export interface ChallengeStore {
  issue(terms: ChallengeTerms): Challenge
  /** Whether the challenge is from here, unchanged and in time. */
  check(challenge: Challenge): Parsed<undefined, 'foreign' | 'expired'>
  /** Uses the challenge up for content. False when it was used up before. */
  use(challenge: Challenge): boolean
}

/** @param now milliseconds since the epoch. */
export function createChallengeStore(now: () => number = Date.now): ChallengeStore {
  const secret = randomBytes(32)
  const used = new Map<string, number>()

  const idOf = (challenge: Omit<Challenge, 'id'>): string => {
    const { realm, method, intent, request, expires, digest, opaque } = challenge
    // A JSON list, so that no two different challenges run together into the same text.
    const bound = JSON.stringify([realm, method, intent, request, expires ?? null, digest ?? null, opaque ?? null])
    return encodeBase64url(createHmac('sha256', secret).update(bound).digest())
  }

  return {
    issue({ realm, request, digest, ttlSeconds, description }) {
      const unsigned = {
        realm,
        method: 'tempo',
        intent: 'session',
        request,
        expires: new Date(now() + ttlSeconds * 1000).toISOString(),
        digest,
        description,
        // Two challenges for one body in one millisecond are two challenges.
        opaque: encodeBase64url(JSON.stringify({ nonce: randomBytes(12).toString('hex') })),
      }
      return { id: idOf(unsigned), ...unsigned }
    },
    check(challenge) {
      const expected = Buffer.from(idOf(challenge))
      const given = Buffer.from(challenge.id)
      if (expected.length !== given.length || !timingSafeEqual(expected, given))
        return refused('foreign', 'The challenge was not issued here, or it was changed.')
      const expiry = expiresAt(challenge)
      if (!expiry.ok || expiry.value === undefined || expiry.value <= now())
        return refused('expired', 'The challenge has expired.')
      return parsed(undefined)
    },
    use(challenge) {
      const time = now()
      for (const [id, forgetAt] of used) {
        // Oldest first: the first one that is still needed ends the search.
        if (forgetAt > time) break
        used.delete(id)
      }
      if (used.has(challenge.id)) return false
      const expiry = expiresAt(challenge)
      used.set(challenge.id, expiry.ok ? (expiry.value ?? time) : time)
      return true
    },
  }
}
