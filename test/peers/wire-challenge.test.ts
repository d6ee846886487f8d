// Challenges: ours against mppx's, on valid headers and on damaged ones.
// Must never count a difference that the table does not explain.
import fc from 'fast-check'
import { Challenge as MppxChallenge } from 'mppx'
import { afterAll, describe, expect, it } from 'vitest'
import {
  type Challenge,
  decodeJson,
  encodeSessionRequest,
  expiresAt,
  formatChallenge,
  parseChallenges,
  parseDigest,
} from '../../src/protocol/index.js'
import { cases } from '../extent.js'
import { descriptionText, fieldText, sessionRequest, shape } from '../protocol/arbitraries.js'
import { isObject } from './wire-anatomy.js'
import { type Read, table } from './wire-challenge-table.js'
import {
  attempt,
  CASES,
  DAMAGED_RUNS,
  Differential,
  PATIENCE,
  type Reading,
  SEED,
  VALID_RUNS,
} from './wire-differential.js'
import { base64url, type Edit, editDocument, edits, editText, layers } from './wire-mutations.js'

const NAMES = [
  'id',
  'realm',
  'method',
  'intent',
  'request',
  'expires',
  'digest',
  'description',
  'opaque',
  'header',
] as const

/** What a client of ours can go on with: the list, each request decoded, each expiry and digest understood. */
function readOurs(header: string): Reading<readonly Read[]> {
  const list = parseChallenges(header)
  if (!list.ok) return { accepted: false, reason: list.detail }
  const usable = list.value.challenges.flatMap((challenge) => {
    const request = decodeJson(challenge.request)
    const understood = request.ok && isObject(request.value) && expiresAt(challenge).ok
    if (!understood || (challenge.digest !== undefined && !parseDigest(challenge.digest).ok)) return []
    return [pick({ ...challenge, request: request.value })]
  })
  return usable.length > 0 ? { accepted: true, value: usable } : { accepted: false, reason: 'none can be used' }
}

function readTheirs(header: string): readonly Read[] {
  return MppxChallenge.deserializeList(header).map((challenge) => pick(challenge))
}

function pick(challenge: Partial<Read>): Read {
  const { id, realm, method, intent, request, expires, digest, description, opaque, header } = challenge
  return { id, realm, method, intent, request, expires, digest, description, opaque, header }
}

const nonEmpty = (text: string) => text !== ''
const digest = fc.tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat({ max: 2 })).map(([hash, spelling]) => {
  const text = Buffer.from(hash).toString('base64')
  return `sha-256=${[text, `:${text}:`, text.replace(/=+$/, '')][spelling]}`
})

/** Every value that both have to take. */
const challenges: fc.Arbitrary<Challenge> = shape<Challenge>(
  {
    id: fieldText.filter(nonEmpty),
    realm: fieldText,
    method: fc.constantFrom('tempo', 'stripe', 'a', 'x-1:y_z'),
    intent: fc.oneof(fc.constant('session'), fieldText),
    request: fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom('e30', base64url('{"amount":"1"}')) },
      { weight: 1, arbitrary: sessionRequest.map(encodeSessionRequest) },
    ),
  },
  {
    expires: fc.oneof(
      fc.constant('2026-11-22T10:00:00Z'),
      fc.constant('2026-11-22T10:00:00.123456789-05:30'),
      fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => date.toISOString()),
    ),
    digest,
    description: descriptionText.filter(nonEmpty),
    opaque: fc.oneof(fc.constant('e30'), fieldText.filter(nonEmpty)),
    header: fc.constantFrom('Payment-Authorization', 'X-Pay'),
  },
)

/** The parameters of a header, sorted: the two write them in different orders, which means nothing. */
const sorted = (header: string) => header.match(/[a-z]+="(?:[^"\\]|\\.)*"/gs)?.sort()

/** A header out of values that no careful writer would take. */
function written(values: Partial<Record<string, string>>): string {
  const escaped = (text: string) => text.replace(/[\\"]/g, '\\$&')
  return `Payment ${Object.entries(values)
    .map(([name, value]) => `${name}="${escaped(value ?? '')}"`)
    .join(', ')}`
}

const NEIGHBOURS = [
  'Bearer realm="x"',
  'Basic dXNlcg==',
  'Negotiate',
  'Digest qop="auth,auth-int", nonce="Payment id="',
]
const HOSTS = [
  'Payment',
  'Bearer Payment',
  'Bearer payment="x"',
  'Bearer realm="a", Payment = "x"',
  '',
  '@',
  'Payment e30=',
]
const OTHERS = [...NEIGHBOURS, ...HOSTS, 'Payment id="2", realm="r", method="tempo", intent="session", request="e30"']
const EXTRAS = [
  'x="1"',
  'x=1',
  'header="X-Pay"',
  'header="bad name"',
  'header="authorization"',
  'meta="e30"',
  'secretKey="k"',
]
const MORE_EXTRAS = [
  '__proto__="x"',
  'constructor=x',
  'a!b="1"',
  'ID="other"',
  'REALM="r"',
  'x',
  "x='1'",
  'x=a b',
  'x="',
  '=1',
]
const PARAMETERS = [
  ...EXTRAS,
  ...MORE_EXTRAS,
  'description=""',
  'opaque=""',
  'expires=""',
  'digest=""',
  'realm=""',
  'id=""',
]

/** The header with a parameter or a neighbour more, spelled otherwise, or with a member that is damaged inside. */
function rearrange(
  challenge: Challenge,
  { kind, at, pick: choice }: Edit,
  list: readonly Edit[],
  layer: number,
): string {
  const header = formatChallenge(challenge)
  const parts = sorted(header) ?? []
  const one = at % parts.length
  const swap = (part: string) => `Payment ${parts.map((old, index) => (index === one ? part : old)).join(', ')}`
  const part = parts[one] ?? ''
  const name = NAMES[at % NAMES.length] ?? 'id'
  switch (kind % 12) {
    case 0:
      return `${header}, ${PARAMETERS[choice % PARAMETERS.length]}`
    case 1:
      return `Payment ${PARAMETERS[choice % PARAMETERS.length]}, ${header.slice('Payment '.length)}`
    case 2:
      return `${OTHERS[choice % OTHERS.length]}, ${header}`
    case 3:
      return `${header}, ${OTHERS[choice % OTHERS.length]}`
    case 4:
      return swap(
        part.replace(
          /="(.*)"$/s,
          [' = "$1"', '=\t"$1"', '=$1', "='$1'", '="$1" x', '="$1""', '\n="$1"'][choice % 7] ?? '',
        ),
      )
    case 5:
      return swap([part.toUpperCase(), part.replace(/^[a-z]+/, (word) => word.toUpperCase()), ''][choice % 3] ?? '')
    case 6:
      return header.replace(/", /g, ['",', '" , ', '"; ', '" ', '"', '",,\t', '",\u00a0'][choice % 7] ?? '')
    case 7:
      return header.replace(
        'Payment ',
        ['payment ', 'PAYMENT\t', 'Payment', 'Payment  ', 'Payments ', 'Payment, ', 'Payment\u00a0'][choice % 7] ?? '',
      )
    case 8: {
      const digits = ['2014', '00e9', '000a', '0022', '005c', 'D83D', 'zz', '']
      return header.replace(/"(?=, |$)/, `\\u${digits[choice % digits.length]}"`)
    }
    case 9:
      return written({
        ...challenge,
        [name]: editText(challenge[name] ?? '', { kind: choice, at: kind >>> 4, pick: at }),
      })
    case 10: {
      const odd = ODD_VALUES[choice % ODD_VALUES.length]
      return written({ ...challenge, ...odd })
    }
    default: {
      const request = decodeJson(challenge.request)
      return written({ ...challenge, request: editDocument(request.ok ? request.value : {}, list, layer) })
    }
  }
}

const ODD_VALUES: readonly Partial<Challenge>[] = [
  ...['2026-11-22t10:00:00z', '2026-11-22T10:00:00', '2026-02-30T10:00:00Z', '2026-12-31T23:59:60Z', 'tomorrow'],
  ...['2026-11-22T10:00:00.1234567890Z', '2026-11-22T10:00:00+99:99', '2026-11-22 10:00:00Z', '1763805600'],
]
  .map((expires): Partial<Challenge> => ({ expires }))
  .concat(
    [
      'sha-256=',
      'sha-256',
      `SHA-256=${'A'.repeat(43)}=`,
      `sha-512=AA==, sha-256=${'A'.repeat(43)}=`,
      'sha-512=AA==',
    ].map((text) => ({ digest: text })),
    [`sha-256=${'A'.repeat(43)}=, sha-256=${'A'.repeat(43)}=`, `sha-256=${'A'.repeat(42)}B=`, 'sha-256=AA=='].map(
      (text) => ({
        digest: text,
      }),
    ),
    ['Tempo', '1tempo', 'tem po', ''].map((method) => ({ method })),
    ['', 'bnVsbA', 'W10', 'ImEi', 'eyJfX3Byb3RvX18iOnsiYSI6MX19', 'A'.repeat(17_000)].map((request) => ({ request })),
    [{ description: 'x'.repeat(17_000) }, { opaque: 'x'.repeat(16_000) }],
  )

const books = new Differential('challenges', table)
afterAll(() => console.log(books.report()))

describe('challenges, ours and theirs', () => {
  it(
    'agree on every valid one, whoever wrote it, parameter by parameter',
    () => {
      fc.assert(
        fc.property(challenges, (challenge) => {
          const request = decodeJson(challenge.request)
          const value: readonly Read[] = [pick({ ...challenge, request: request.ok ? request.value : undefined })]
          const header = formatChallenge(challenge)
          books.agree(
            header,
            { accepted: true, value },
            attempt(() => readTheirs(header)),
          )
          const again = MppxChallenge.serialize(MppxChallenge.deserialize(header))
          expect(sorted(again)).toEqual(sorted(header))
          books.agree(again, readOurs(again), { accepted: true, value })
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'agree on several challenges in one header, between other schemes',
    () => {
      const list = fc.array(fc.oneof(challenges.map(formatChallenge), fc.constantFrom(...NEIGHBOURS)), { maxLength: 4 })
      fc.assert(
        fc.property(list, challenges, (before, last) => {
          const header = [...before, formatChallenge(last)].join(', ')
          books.agree(
            header,
            readOurs(header),
            attempt(() => readTheirs(header)),
          )
        }),
        { numRuns: cases(1_000), seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    () => {
      fc.assert(
        fc.property(challenges, edits, layers, fc.boolean(), (challenge, list, layer, inHeader) => {
          const [first] = list
          if (first === undefined) throw new Error('no edit')
          const header = inHeader
            ? list.reduce(damage, formatChallenge(challenge))
            : rearrange(challenge, first, list, layer)
          books.judge(
            header,
            readOurs(header),
            attempt(() => readTheirs(header)),
          )
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(books.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(table.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example }) => {
    const found = new Differential('example', table).judge(
      example,
      readOurs(example),
      attempt(() => readTheirs(example)),
    )
    expect(found).toBe(name)
  })
})

// `reduce` hands over more than an edit.
function damage(text: string, edit: Edit): string {
  return editText(text, edit)
}
