// Credentials: ours against mppx's, on valid ones and on damaged ones.
// Must never count a difference that the table does not explain.
import fc from 'fast-check'
import { Challenge as MppxChallenge, Credential as MppxCredential } from 'mppx'
import { Methods } from 'mppx/tempo'
import { afterAll, describe, expect, it } from 'vitest'
// The package exports its server, not the reader inside that server; this is the file the server itself runs.
import { requireSessionCredentialPayload } from '../../node_modules/mppx/dist/tempo/session/server/CredentialVerification.js'
import {
  type Credential,
  decodeJson,
  encodeSessionRequest,
  formatChallenge,
  formatCredential,
  parseCredential,
} from '../../src/protocol/index.js'
import { cases } from '../extent.js'
import { credential as credentials, sessionRequest } from '../protocol/arbitraries.js'
import { documentIn, isObject } from './wire-anatomy.js'
import { payloadOf, type Read, table } from './wire-credential-table.js'
import {
  attempt,
  CASES,
  DAMAGED_RUNS,
  Differential,
  ours,
  PATIENCE,
  type Reading,
  SEED,
  VALID_RUNS,
} from './wire-differential.js'
import { base64url, editDocument, edits, editText, layers } from './wire-mutations.js'

function readOurs(header: string): Reading<Read> {
  const reading = ours(parseCredential(header))
  if (!reading.accepted) return reading
  const { challenge, source, payload } = reading.value
  const request = decodeJson(challenge.request)
  return {
    accepted: true,
    value: project({ ...challenge, request: request.ok ? request.value : undefined }, source, payload),
  }
}

/** What their server does with the header before it looks at keys, chain and books: field, schema, payload, amount. */
function readTheirs(header: string): Read {
  const { challenge, source, payload } = MppxCredential.fromRequest({
    headers: new OneHeader(header),
  } as unknown as Request)
  Methods.session.schema.credential.payload.parse(payload)
  return project({ ...challenge }, source, requireSessionCredentialPayload(payload))
}

/** `Headers` would refuse most of the damage before either parser sees it; a parser has to stand by itself. */
class OneHeader {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  get(): string {
    return this.#value
  }
}

/** The members that both know. An `open` may leave out its signer; then it is the descriptor's. */
function project(challenge: Record<string, unknown>, source: unknown, payload: object): Read {
  const { id, realm, method, intent, request, expires, digest, description, opaque, header } = challenge
  return {
    challenge: { id, realm, method, intent, request, expires, digest, description, opaque, header },
    source,
    payload: payloadOf(payload),
  }
}

/** The challenges that both read; strings that are no challenge are the business of the challenge tests. */
const valid: fc.Arbitrary<Credential> = fc
  .tuple(
    credentials,
    fc.oneof(
      fc.constant('e30'),
      sessionRequest.map(({ snapshot: _, ...rest }) => encodeSessionRequest(rest)),
    ),
  )
  .map(([credential, request]) => {
    const { expires, digest, opaque, ...challenge } = credential.challenge
    return {
      ...credential,
      challenge: {
        ...challenge,
        request,
        ...(expires !== undefined && { expires: '2026-11-22T10:00:00Z' }),
        ...(digest !== undefined && { digest: `sha-256=${digest}` }),
        ...(opaque !== undefined && { opaque }),
      },
    }
  })

const prefixes = [
  'payment ',
  'PAYMENT ',
  'Payment  ',
  'Payment\t',
  'Payment',
  'Payment\u00a0',
  ' Payment ',
  'Payment =',
  'Payments ',
]
const wrappings = [
  'Bearer ',
  'Bearer x, Payment ',
  'Basic dXNlcg==, Payment ',
  'Payment Payment ',
  ',Payment ',
  'Payment ,',
]
const PREFIXES = [...prefixes, ...wrappings]
const SUFFIXES = [' ', '\t', ',', ', Payment e30', ', Bearer x', '\n', '\u00a0', ';x=1', '\0']

const books = new Differential('credentials', table)
afterAll(() => console.log(books.report()))

describe('credentials, ours and theirs', () => {
  it(
    'agree on every valid one, whoever wrote it',
    () => {
      fc.assert(
        fc.property(valid, (credential) => {
          const header = formatCredential(credential)
          const mine = readOurs(header)
          books.agree(
            header,
            mine,
            attempt(() => readTheirs(header)),
          )
          const written = MppxCredential.serialize(MppxCredential.deserialize(header))
          books.agree(written, readOurs(written), mine)
          // Apart from the order of members, which means nothing in JSON, the two write the same document.
          expect(documentIn(written.slice(8))).toEqual(documentIn(header.slice(8)))
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'echo a received challenge as their client does, and keep a request as received that theirs writes anew',
    () => {
      fc.assert(
        fc.property(valid, fc.boolean(), (credential, spaced) => {
          const { description: _, opaque: __, ...rest } = credential.challenge
          const document = decodeJson(rest.request)
          const request = spaced ? base64url(JSON.stringify(document.ok ? document.value : {}, null, 1)) : rest.request
          const challenge = { ...rest, method: 'tempo', request }
          const received = MppxChallenge.deserialize(formatChallenge(challenge))
          const answer = MppxCredential.serialize({
            challenge: received,
            payload: credential.payload,
            source: credential.source,
          })
          const echoed = documentIn(formatCredential({ ...credential, challenge }).slice(8))
          const theirEcho = documentIn(answer.slice(8))
          if (!isObject(echoed) || !isObject(theirEcho)) throw new Error('no document')
          expect(echoed.challenge).toEqual(challenge)
          // With white space in the request theirs is another text of the same value; their server compares values.
          expect(theirEcho.challenge).toEqual(
            spaced && request !== rest.request ? { ...challenge, request: rest.request } : challenge,
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
        fc.property(valid, edits, layers, fc.nat({ max: 9 }), (credential, list, layer, where) => {
          const [edit] = list
          if (edit === undefined) throw new Error('no edit')
          const whole = formatCredential(credential)
          const token = whole.slice(8)
          const header =
            where === 0
              ? `${PREFIXES[edit.pick % PREFIXES.length]}${token}`
              : where === 1
                ? whole + SUFFIXES[edit.pick % SUFFIXES.length]
                : where === 2
                  ? editText(whole, edit)
                  : `Payment ${editDocument(documentIn(token), list, layer)}`
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
