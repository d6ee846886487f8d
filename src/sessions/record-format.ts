// Reads a stored record: checks every member, brings an older format up to date, and refuses a newer one.
// Must never repair or guess: a record that is not exactly what was written is refused as damaged.

import * as z from 'zod'
import { type Amount, add, exceeds, isSessionStatus, type SessionStatus } from '../../machines/index.js'
import { amountText } from '../protocol/schema.js'
import { RECORD_FORMAT, type SessionRecord } from './record.js'
import { StoreError } from './store.js'

/** `0x` and hex digits in the spelling they were stored in: records are found by comparing these as text. */
function hex(digits: string, expected: string) {
  const pattern = new RegExp(`^0x${digits}$`)
  return z.templateLiteral(['0x', z.string()]).refine((text) => pattern.test(text), { error: `expected ${expected}` })
}

const address = hex('[0-9a-fA-F]{40}', '0x and 20 bytes of hex')
const hash = hex('[0-9a-fA-F]{64}', '0x and 32 bytes of hex')
const bytes = hex('(?:[0-9a-fA-F]{2})+', '0x and whole bytes of hex')
const count = z.number().int().nonnegative()
const status = z
  .string()
  .refine((text): text is SessionStatus => isSessionStatus(text), { error: 'not a known status' })

/** As it follows the path. */
const query = z.string().regex(/^(\?[^#\s]*)?$/, { error: 'expected a query' })

const descriptor = z.strictObject({
  payer: address,
  payee: address,
  operator: address,
  token: address,
  salt: hash,
  authorizedSigner: address,
  expiringNonceHash: hash,
})

const pending = z.strictObject({
  kind: z.enum(['open', 'topUp', 'close', 'requestClose', 'withdraw']),
  amount: amountText,
  validBefore: count.nullable(),
  transactionHash: z.string().nullable(),
  reaching: amountText,
})

const session = z
  .strictObject({
    channelId: hash.nullable(),
    descriptor: descriptor.nullable(),
    resource: z.string().nullable(),
    deposit: amountText,
    signed: amountText,
    accepted: amountText,
    spent: amountText,
    settled: amountText,
    refunded: amountText.nullable(),
    pending: pending.nullable(),
    reservations: z.array(
      z.strictObject({ flow: z.string(), amount: amountText, until: z.number(), spent: amountText }),
    ),
    unacknowledged: amountText,
    withdrawableAt: count.nullable(),
    seenAtBlock: count.nullable(),
    adopted: z.boolean(),
  })
  .refine(({ accepted, signed }) => !exceeds(accepted, signed), { error: 'more was accepted than was signed' })
  .refine(({ spent, accepted }) => !exceeds(spent, accepted), { error: 'more was spent than was accepted' })

const record: z.ZodType<SessionRecord> = z
  .strictObject({
    format: z.literal(RECORD_FORMAT),
    key: z.string(),
    version: count,
    place: z.strictObject({
      chainId: z.number().int().positive(),
      escrow: address,
      payer: address,
      signer: address,
      payee: address,
      token: address,
      operator: address,
    }),
    status,
    session,
    secrets: z.strictObject({
      voucher: z.strictObject({ cumulative: amountText, signature: bytes }).nullable(),
      pendingTransaction: bytes.nullable(),
      resource: z.strictObject({ method: z.enum(['GET', 'HEAD', 'POST']), query }).nullable(),
    }),
    createdAt: z.number(),
    usedAt: z.number(),
  })
  .refine(({ secrets, session }) => !exceeds(secrets.voucher?.cumulative ?? '0', session.signed), {
    error: 'the voucher is for more than was signed',
  })

/** What all formats have in common. */
const anyFormat = z.looseObject({ format: count })

/**
 * Format 0 did not say by which deposit a pending operation can be seen on the chain: an open is seen by the deposit it
 * brings, a top-up by what it adds to the deposit of that time, and a close by none. Nor did it say in which block a channel
 * was seen, or whether it was found there.
 */
const formatZero = z.looseObject({
  session: z.looseObject({
    deposit: amountText,
    pending: z.looseObject({ kind: z.string(), amount: amountText }).nullable(),
  }),
})

function fromZero(value: unknown): unknown {
  const { session, ...rest } = read(formatZero, value)
  const { pending, deposit } = session
  const migrated = pending === null ? null : { ...pending, reaching: reachingOf(pending, deposit) }
  // Every channel of that format was opened by its own ledger.
  return { ...rest, format: 1, session: { seenAtBlock: null, adopted: false, ...session, pending: migrated } }
}

function reachingOf({ kind, amount }: { readonly kind: string; readonly amount: Amount }, deposit: Amount): Amount {
  if (kind === 'open') return amount
  return kind === 'topUp' ? add(deposit, amount) : '0'
}

/** Format 1 did not keep how a resource is asked, nor which answered requests no receipt has acknowledged. */
const formatOne = z.looseObject({
  session: z.looseObject({ reservations: z.array(z.looseObject({})) }),
  secrets: z.looseObject({}),
})

function fromOne(value: unknown): unknown {
  const { session, secrets, ...rest } = read(formatOne, value)
  const reservations = session.reservations.map((held) => ({ ...held, spent: '0' }))
  return {
    ...rest,
    format: 2,
    session: { ...session, reservations, unacknowledged: '0' },
    secrets: { ...secrets, resource: null },
  }
}

/** What makes a record of one format into one of the next; the place in the list is the format it starts from. */
const MIGRATIONS: readonly ((value: unknown) => unknown)[] = [fromZero, fromOne]

/** Why something that was stored cannot be read. The message names members, and quotes nothing of what they hold. */
export class UnreadableRecord extends Error {
  override readonly name = 'UnreadableRecord'
  constructor(
    readonly reason: 'damaged' | 'newer_format',
    message: string,
  ) {
    super(message)
  }
}

/** Checks a value against a schema. @throws UnreadableRecord `damaged`, naming the first member that is not as expected. */
export function read<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  throw new UnreadableRecord('damaged', `${where}${issue?.message ?? 'not the expected shape'}`)
}

/** Reads JSON. @throws UnreadableRecord `damaged`. The engine's message is dropped: it may quote a signature. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UnreadableRecord('damaged', text.trim() === '' ? 'it is empty' : 'it is not whole JSON')
  }
}

/**
 * Reads a stored record of this format or an older one.
 *
 * @throws UnreadableRecord `damaged` when a member is missing, unknown or wrong, or an amount is not a whole number of base
 * units within uint96; `newer_format` when a later version of this package wrote it.
 */
export function readRecord(value: unknown, key: string): SessionRecord {
  let current = value
  let { format } = read(anyFormat, current)
  if (format > RECORD_FORMAT) {
    const both = `it has record format ${format}, and this version of mpp-flow reads formats up to ${RECORD_FORMAT}`
    throw new UnreadableRecord('newer_format', both)
  }
  for (const migrate of MIGRATIONS.slice(format)) {
    current = migrate(current)
    format += 1
  }
  const found = read(record, current)
  if (found.key !== key) throw new UnreadableRecord('damaged', 'it is the record of another channel')
  return found
}

/**
 * Makes sure that a record will be readable before it is written.
 *
 * @throws StoreError `unavailable`: nothing is written then.
 */
export function checkRecord(value: SessionRecord, key: string): void {
  try {
    readRecord(value, key)
  } catch (error) {
    if (!(error instanceof UnreadableRecord)) throw error
    const why = `the change makes a record that could not be read again (${error.message})`
    throw new StoreError('unavailable', `${why}; nothing was written, and what was signed for it must not be sent`)
  }
}
