// Changes challenges on their way to the client as a script wants them, and puts the gateway's own back into credentials.
// Must never change what a credential authorises.

import {
  type Challenge,
  decodeBase64url,
  encodeBase64url,
  formatChallenge,
  formatCredential,
  formatDigest,
  parseChallenges,
  parseCredential,
} from '../../protocol/index.js'
import type { ChallengeKind, GatewayAnswer } from '../model/causes.js'

/** How long a short-lived challenge can be answered: longer than any machine needs to come to the point. */
const SHORT_LIFE_MS = 120_000
/** Another token of every Tempo chain. */
export const OTHER_TOKEN = `0x20c0${'0'.repeat(35)}1` as const
const PAST = '2020-01-01T00:00:00Z'

export interface ChallengeForge {
  /** The header value of a challenge as the answer wants it. */
  change(header: string, answer: Pick<GatewayAnswer, 'challenge' | 'shortLived'>): string
  /** The header value of a credential with the gateway's own challenge in it. */
  restore(authorization: string): string
  /** When the newest short-lived challenge runs out, in milliseconds since the epoch. */
  expiry(): number | null
}

/** The decoded request of a challenge, changed. @throws Error when it cannot be read. */
function withRequest(challenge: Challenge, change: Readonly<Record<string, unknown>>): Challenge {
  const decoded = decodeBase64url(challenge.request)
  if (!decoded.ok) throw new Error('the request of a challenge cannot be read')
  const request: unknown = JSON.parse(new TextDecoder().decode(decoded.value))
  return { ...challenge, request: encodeBase64url(JSON.stringify(Object.assign({}, request, change))) }
}

const CHANGES: Readonly<Record<ChallengeKind, (challenge: Challenge) => Challenge>> = {
  usable: (challenge) => challenge,
  'priced-per-request': (challenge) => withRequest(challenge, { unitType: 'request' }),
  expired: (challenge) => ({ ...challenge, expires: PAST }),
  'for-another-body': (challenge) => ({ ...challenge, digest: formatDigest(new Uint8Array(32)) }),
  malformed: (challenge) => withRequest(challenge, { amount: 'much' }),
  unsupported: (challenge) => ({ ...challenge, method: 'barter' }),
  'beyond-the-wallet': (challenge) => withRequest(challenge, { currency: OTHER_TOKEN }),
  'before-another': (challenge) => challenge,
  'in-a-foreign-token': (challenge) => withRequest(challenge, { currency: `0x20c0${'f'.repeat(36)}` }),
}

export function createChallengeForge(): ChallengeForge {
  const originals = new Map<string, Challenge>()
  let runsOut: number | null = null
  return {
    change(header, { challenge: kind, shortLived }) {
      const list = parseChallenges(header)
      const original = list.ok ? list.value.challenges[0] : undefined
      if (original === undefined) throw new Error('the challenge of the gateway cannot be read')
      originals.set(original.id, original)
      const changed = CHANGES[kind](original)
      if (!shortLived) return formatChallenge(changed)
      runsOut = Date.now() + SHORT_LIFE_MS
      return formatChallenge({ ...changed, expires: new Date(runsOut).toISOString() })
    },
    restore(authorization) {
      const read = parseCredential(authorization)
      const original = read.ok ? originals.get(read.value.challenge.id) : undefined
      return read.ok && original !== undefined
        ? formatCredential({ ...read.value, challenge: original })
        : authorization
    },
    expiry: () => runsOut,
  }
}
