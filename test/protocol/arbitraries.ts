// Generators of valid wire values and of damaged ones, shared by the property tests of the wire formats.
// Must never call the parsers under test to decide what is valid.
import fc from 'fast-check'
import type {
  Address,
  Challenge,
  ChannelDescriptor,
  Credential,
  Hex,
  Parsed,
  Receipt,
  SessionPayload,
  SessionRequest,
  SessionSnapshot,
} from '../../src/protocol/index.js'
import { cases } from '../extent.js'

/** What every property runs. */
export const RUNS = { numRuns: cases(10_000) }

const UINT96 = (1n << 96n) - 1n

export function hexOf(bytes: number): fc.Arbitrary<Hex> {
  return fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value): Hex => `0x${Buffer.from(value).toString('hex')}`)
}

export const address: fc.Arbitrary<Address> = hexOf(20)
export const hash: fc.Arbitrary<Hex> = hexOf(32)
export const amount: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: UINT96 }),
  fc.constantFrom(0n, 1n, 1_000_000n, UINT96),
)
export const chainId: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(4217, 42431),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
)
const units = fc.nat({ max: Number.MAX_SAFE_INTEGER })

/** An object whose optional members are there or not, never undefined. */
export function shape<T extends object>(
  required: { [K in keyof T as undefined extends T[K] ? never : K]: fc.Arbitrary<T[K]> },
  optional: { [K in keyof T as undefined extends T[K] ? K : never]-?: fc.Arbitrary<Exclude<T[K], undefined>> },
): fc.Arbitrary<T> {
  const model: Record<string, fc.Arbitrary<unknown>> = { ...required, ...optional }
  // fast-check types a record by its model; the mapped types above hold the members together instead.
  return fc.record(model, { requiredKeys: Object.keys(required) }).map((value) => ({ ...value }) as T)
}

export const descriptor: fc.Arbitrary<ChannelDescriptor> = fc
  .record({
    payer: address,
    payee: address,
    operator: fc.oneof(address, fc.constant<Address>(`0x${'00'.repeat(20)}`)),
    token: address,
    salt: hash,
    authorizedSigner: address,
    expiringNonceHash: hash,
  })
  .map((value) => ({ ...value }))

export const snapshot: fc.Arbitrary<SessionSnapshot> = shape<SessionSnapshot>(
  {
    acceptedCumulative: amount,
    chainId,
    channelId: hash,
    deposit: amount,
    descriptor,
    escrow: address,
    requiredCumulative: amount,
    settled: amount,
    spent: amount,
  },
  { closeRequestedAt: amount, units },
)

export const sessionRequest: fc.Arbitrary<SessionRequest> = shape<Omit<SessionRequest, 'snapshotRefused'>>(
  {
    amount,
    currency: address,
    recipient: address,
    chainId,
    escrowContract: address,
    sessionProtocol: fc.constant('v2'),
  },
  {
    unitType: fc.string({ unit: 'binary' }),
    suggestedDeposit: amount,
    channelId: hash,
    minVoucherDelta: amount,
    feePayer: fc.boolean(),
    feeToken: address,
    operator: address,
    snapshot,
  },
)

const latin1 = fc
  .integer({ min: 0, max: 0xff })
  .filter((unit) => unit === 9 || (unit >= 0x20 && unit !== 0x7f))
  .map((unit) => String.fromCharCode(unit))

/** Text that may stand in a quoted parameter: Latin-1 without controls, heavy on what has to be escaped. */
export const fieldText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: latin1, maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', '\\', ',', '=', ' ', 'u', '0', 'Payment id="x"', '\t', 'é'), maxLength: 20 }),
)

/** Any UTF-16 text without control characters. */
export const descriptionText: fc.Arbitrary<string> = fc.oneof(
  fieldText,
  fc
    .array(fc.integer({ min: 0x20, max: 0xffff }), { maxLength: 30 })
    .map((list) => String.fromCharCode(...list.filter((unit) => unit !== 0x7f))),
)

const base64url = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('base64url'))

export const challenge: fc.Arbitrary<Challenge> = shape<Challenge>(
  {
    id: fieldText.filter((text) => text !== ''),
    realm: fieldText,
    method: fc.oneof(fc.constant('tempo'), fieldText),
    intent: fc.oneof(fc.constant('session'), fieldText),
    request: fc.oneof(base64url, fieldText),
  },
  {
    expires: fc.oneof(fc.constant('2026-11-22T10:00:00Z'), fieldText),
    digest: fieldText,
    description: descriptionText,
    opaque: fc.oneof(base64url, fieldText),
    header: fc.constantFrom('Payment-Authorization', 'X-Pay'),
  },
)

const amountText = amount.map(String)
const blob = fc.integer({ min: 1, max: 300 }).chain(hexOf)

export const payload: fc.Arbitrary<SessionPayload> = fc.oneof(
  fc.record({
    action: fc.constant('open' as const),
    type: fc.constant('transaction' as const),
    channelId: hash,
    transaction: blob,
    descriptor,
    cumulativeAmount: amountText,
    signature: hexOf(65),
    authorizedSigner: address,
  }),
  fc.record({
    action: fc.constant('topUp' as const),
    type: fc.constant('transaction' as const),
    channelId: hash,
    transaction: blob,
    descriptor,
    additionalDeposit: amountText,
  }),
  fc.record({
    action: fc.constantFrom('voucher' as const, 'close' as const),
    channelId: hash,
    descriptor,
    cumulativeAmount: amountText,
    signature: hexOf(65),
  }),
)

export const credential: fc.Arbitrary<Credential> = fc.record({
  challenge,
  source: fc.tuple(chainId, address).map(([id, payer]) => `did:pkh:eip155:${id}:${payer}`),
  payload,
})

export const receipt: fc.Arbitrary<Receipt> = shape<Receipt>(
  {
    method: fc.constant('tempo'),
    intent: fc.constant('session'),
    status: fc.constant('success'),
    timestamp: fc
      .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    reference: fc.string({ unit: 'binary' }),
    challengeId: fc.string({ unit: 'binary' }),
    channelId: hash,
    acceptedCumulative: amount,
    spent: amount,
  },
  { units, txHash: hash },
)

/** The text with up to eight edits: characters put in, taken out, replaced, and stretches copied or cut. */
export function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom('"', '\\', ',', '=', ' ', '{', '[', '\r\n', '\0', '0', '-', 'Payment ', '__proto__', ':', '"id":'),
  )
  const edit = fc.record({
    kind: fc.constantFrom('put', 'cut', 'copy'),
    at: fc.nat(),
    length: fc.nat({ max: 30 }),
    piece,
  })
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 8 })).map(([start, edits]) =>
    edits.reduce((current, { kind, at, length, piece }) => {
      const from = at % (current.length + 1)
      const to = from + length
      if (kind === 'put') return current.slice(0, from) + piece + current.slice(from + piece.length)
      if (kind === 'cut') return current.slice(0, from) + current.slice(to)
      return current.slice(0, to) + current.slice(from)
    }, start),
  )
}

/** JSON-like values with hostile member names among the real ones. */
export function anyJson(names: readonly string[]): fc.Arbitrary<unknown> {
  const key = fc.oneof(
    fc.constantFrom(...names, '__proto__', 'constructor', 'toString'),
    fc.string({ unit: 'binary', maxLength: 5 }),
  )
  const { node } = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, '', '0', '1', 'tempo', 'session', 'v2', 'voucher', '0x'),
      fc.string({ unit: 'binary', maxLength: 10 }),
      fc.array(tie('node'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('node')), { maxLength: 6 }).map((members) => Object.fromEntries(members)),
    ),
  }))
  return node
}

/** Fails unless the result is a value, or a refusal with one of the reasons and a detail a person can read. */
export function assertTyped(result: Parsed<unknown>, reasons: readonly string[]): void {
  if (result.ok) return
  if (!reasons.includes(result.reason)) throw new Error(`undocumented reason ${result.reason}`)
  if (result.detail === '' || result.detail.length > 300) throw new Error(`unreadable detail ${result.detail}`)
}

/** The value of a parse that has to succeed. */
export function unwrap<T>(result: Parsed<T>): T {
  if (!result.ok) throw new Error(`refused: ${result.reason}: ${result.detail}`)
  return result.value
}

/** The reason of a parse that has to fail. */
export function reasonOf(result: Parsed<unknown>): string {
  if (result.ok) throw new Error('accepted what has to be refused')
  return result.reason
}
