// Body digests: ours against mppx's, on bodies and on damaged digests.
// Must never count a difference that the table does not explain.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { BodyDigest } from 'mppx'
import { afterAll, describe, expect, it } from 'vitest'
import { formatDigest, parseDigest, sameBytes, sha256 } from '../../src/protocol/index.js'
import {
  CASES,
  DAMAGED_RUNS,
  type Difference,
  Differential,
  PATIENCE,
  type Reading,
  SEED,
  SINGLE_RUNS,
} from './wire-differential.js'
import { edits, editText } from './wire-mutations.js'

/** A digest, as it came, and the body that it is held against. */
interface Claim {
  readonly digest: string
  readonly body: string
}

const MATCHES: Reading<true> = { accepted: true, value: true }
const refused = (reason: string): Reading<true> => ({ accepted: false, reason })

async function readOurs({ digest, body }: Claim): Promise<Reading<true>> {
  const read = parseDigest(digest)
  if (!read.ok) return refused(read.detail)
  return sameBytes(read.value, await sha256(new TextEncoder().encode(body))) ? MATCHES : refused('another body')
}

function readTheirs({ digest, body }: Claim): Reading<true> {
  // The cast: their type knows their one spelling, and others are what is tried.
  return BodyDigest.verify(digest as `sha-256=${string}`, body) ? MATCHES : refused('not the text they compute')
}

const hashOf = (body: string) => createHash('sha256').update(body, 'utf8').digest('base64')

/** The members of the dictionary that carry this body's SHA-256, in whatever dress; found by a pattern, not by a parser. */
function carried({ digest, body }: Claim): boolean {
  const members = digest.split(',').filter((member) => /^[ \t]*sha-256[ \t]*=/i.test(member))
  const [only] = members
  const value = /=[ \t]*(:?)([A-Za-z0-9+/]{43})=?\1[ \t]*(?:;.*)?$/s.exec(only ?? '')?.[2]
  return members.length === 1 && value === hashOf(body).slice(0, 43)
}

const body = '{"model":"m"}'
const hash = hashOf(body)
const only = (name: string, why: string, feature: RegExp, digest: string): Difference<Claim, true> => ({
  name,
  side: 'only ours accepts',
  why,
  applies: (claim) => carried(claim) && feature.test(claim.digest),
  example: { digest, body },
})

const table: readonly Difference<Claim, true>[] = [
  only(
    'other algorithms beside SHA-256',
    'a digest is a dictionary (RFC 9530 §2); theirs compares the whole text with the one spelling it writes',
    /,/,
    `sha-512=:AA==:, sha-256=:${hash}:`,
  ),
  only(
    'parameters of a member',
    'members of a structured dictionary may have some (RFC 8941 §3.2); they mean nothing here',
    /;/,
    `sha-256=:${hash}:;x=1`,
  ),
  only(
    'colons, as RFC 9530 writes it',
    'a byte sequence stands between colons (RFC 8941 §3.3.5); theirs writes it bare',
    /:/,
    `sha-256=:${hash}:`,
  ),
  only('white space', 'around members and values, as around any element of a field', /[ \t]/, `sha-256= ${hash}`),
  only(
    'no padding',
    'older servers drop it; the 43 characters before it are the whole hash',
    /[^=]$/,
    `sha-256=${hash.slice(0, 43)}`,
  ),
  only(
    'capitals in the name of the algorithm',
    'the older Digest field compared names without case (RFC 3230 §4.1.1)',
    /[SHA]{3}/i,
    `SHA-256=${hash}`,
  ),
]

const books = new Differential('body digests', table)
afterAll(() => console.log(books.report()))

const bodies = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.json({ maxDepth: 2 }),
  fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'é', '\0', '\ufeff', 'a') }),
)

describe('body digests, ours and theirs', () => {
  it(
    'agree on every body: what theirs writes ours reads, and what ours hashes theirs hashes',
    async () => {
      await fc.assert(
        fc.asyncProperty(bodies, async (text) => {
          const digest = BodyDigest.compute(text)
          const claim = { digest, body: text }
          books.agree(claim, await readOurs(claim), readTheirs(claim))
          // Between the two spellings there are the colons, and nothing else.
          const bytes = await sha256(new TextEncoder().encode(text))
          expect(formatDigest(bytes)).toBe(`sha-256=:${digest.slice('sha-256='.length)}:`)
          expect(parseDigest(formatDigest(bytes))).toEqual(parseDigest(digest))
        }),
        { numRuns: SINGLE_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones, and on those of other bodies, only as the table says',
    async () => {
      const dress = (hash64: string, bare: string): readonly string[] => [
        ...[`sha-256=${hash64}`, `sha-256=:${hash64}:`, `sha-256=${bare}`, `sha-256=:${bare}:`, `SHA-256=${hash64}`],
        ...[
          `sha-256=${hash64};q=1`,
          `sha-512=:AA==:, sha-256=:${hash64}:`,
          `sha-256=${hash64},sha-512=AA==`,
          ` sha-256=${hash64} `,
        ],
        ...[
          `sha-256=${hash64},sha-256=${hash64}`,
          `sha-256=${hash64}, SHA-256=AAAA`,
          `sha-512=${hash64}`,
          `sha-256:${hash64}`,
          hash64,
        ],
        ...[
          `sha-256=:${hash64}`,
          `sha-256=${hash64}:`,
          `sha-256=${hash64}=`,
          `sha256=${hash64}`,
          `sha-256="${hash64}"`,
          `x,sha-256=${hash64}`,
        ],
        ...[
          `sha-256=\u00a0${hash64}`,
          `sha-256=${hash64.replace(/[+/]/g, (sign) => (sign === '+' ? '-' : '_'))}`,
          `=${hash64}`,
          '',
        ],
      ]
      await fc.assert(
        fc.asyncProperty(bodies, edits, fc.nat({ max: 3 }), async (text, list, how) => {
          const [edit] = list
          if (edit === undefined) throw new Error('no edit')
          const hash64 = hashOf(text)
          const dressed = dress(hash64, hash64.slice(0, 43))
          const spelled = dressed[edit.pick % dressed.length] ?? ''
          const claim =
            how === 0
              ? { digest: BodyDigest.compute(text), body: editText(text, edit) }
              : {
                  digest: how === 1 ? spelled : editText(how === 2 ? BodyDigest.compute(text) : spelled, edit),
                  body: text,
                }
          books.judge(claim, await readOurs(claim), readTheirs(claim))
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(books.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(table.map((entry) => [entry.name, entry] as const))('difference: %s', async (name, { example }) => {
    expect(new Differential('example', table).judge(example, await readOurs(example), readTheirs(example))).toBe(name)
  })
})
