// Where our readers of session requests and snapshots and mppx's part, and why.
// Must never excuse a document by what a reader says of it where the document itself can be looked at.
import { isDeepStrictEqual } from 'node:util'
import { CHANNEL_RESERVE, MAX_CHALLENGE_HEADER_BYTES, MAX_SNAPSHOT_BYTES } from '../../src/protocol/index.js'
import {
  documentIn,
  encodingDifferences,
  hasCapitalHex,
  isHexOf,
  isUint96Text,
  memberAt,
  withLowerHex,
} from './wire-anatomy.js'
import type { Difference, Reading } from './wire-differential.js'
import { base64url } from './wire-mutations.js'

const A = `0x${'a1'.repeat(20)}`
const H = `0x${'cd'.repeat(32)}`
const details = { chainId: 42431, escrowContract: CHANNEL_RESERVE, sessionProtocol: 'v2' }
const request = { amount: '1000000', unitType: 'request', currency: A, recipient: A, methodDetails: details }
const ask = (change: object) => base64url(JSON.stringify({ ...request, ...change }))
const askDetails = (change: object) => ask({ methodDetails: { ...details, ...change } })
/** The base64url that a text stands for, in whichever alphabet, padded or not; undefined when it mixes or is damaged. */
const oneSpelling = (text: string) => {
  const bytes = Buffer.from(text, 'base64')
  const standard = bytes.toString('base64')
  const spellings = [standard, standard.replaceAll('+', '-').replaceAll('/', '_')]
  const known = spellings.includes(text) || spellings.some((padded) => padded.replaceAll('=', '') === text)
  return known ? bytes.toString('base64url') : undefined
}
const document = (text: string) => documentIn(oneSpelling(text) ?? '')
const detail = (text: string, name: string) => memberAt(document(text), 'methodDetails', name)
const term = (text: string, name: string) => memberAt(document(text), name)
const present = (value: unknown, fits: (value: unknown) => boolean) => value !== undefined && !fits(value)

const sameButCase = (a: Reading<unknown>, b: Reading<unknown>) =>
  a.accepted && b.accepted && isDeepStrictEqual(withLowerHex(a.value), withLowerHex(b.value))

/** Slashes of the one alphabet and underscores of the other. */
const mixed = (value: object) =>
  Buffer.from(JSON.stringify({ ...value, x: '?'.repeat(12) }))
    .toString('base64')
    .replace('/', '_')

/** What both tables say of the text around the document. */
const encodings = (value: object): readonly Difference<string, unknown>[] => [
  {
    name: 'base64 in a further spelling',
    side: 'only theirs accepts',
    why: 'either alphabet is read, padded or not; mixtures, spare bits and foreign characters (which their decoder takes for zero bits) are not',
    applies: (text) => oneSpelling(text) === undefined,
    example: mixed(value),
  },
  ...encodingDifferences<string, unknown>(oneSpelling, (text) => text, value).filter(
    ({ name }) => !name.includes('spelling'),
  ),
]

export const requestTable: readonly Difference<string, unknown>[] = [
  ...encodings(request),
  {
    name: 'longer than 16 KB',
    side: 'only theirs accepts',
    why: 'the bound of the header it comes in; theirs bounds it where it reads the header',
    applies: (text) => text.length > MAX_CHALLENGE_HEADER_BYTES,
    example: ask({ unitType: 'x'.repeat(MAX_CHALLENGE_HEADER_BYTES) }),
  },
  {
    name: 'an amount that is no uint96 in decimal digits',
    side: 'only theirs accepts',
    why: 'theirs takes what the engine makes a big integer of, and does not look at suggestedDeposit and minVoucherDelta here at all',
    applies: (text) =>
      !isUint96Text(term(text, 'amount')) ||
      present(term(text, 'suggestedDeposit'), isUint96Text) ||
      present(detail(text, 'minVoucherDelta'), isUint96Text),
    example: ask({ amount: '0x10' }),
  },
  {
    name: 'a chain id that is no whole number above zero',
    side: 'only theirs accepts',
    why: 'theirs asks for any number and fails later, when no client is configured for it',
    applies: (text) => {
      const id = detail(text, 'chainId')
      return typeof id === 'number' && !(Number.isSafeInteger(id) && id > 0)
    },
    example: askDetails({ chainId: 1.5 }),
  },
  {
    name: 'a channel id that is not 32 bytes',
    side: 'only theirs accepts',
    why: 'theirs does not look at it when it reads a request',
    applies: (text) => present(detail(text, 'channelId'), (id) => isHexOf(id, 32)),
    example: askDetails({ channelId: '0x12' }),
  },
  {
    name: 'no session protocol and another escrow',
    side: 'only theirs accepts',
    why: 'theirs takes it for v2; here a request without a protocol is v2 only at the channel reserve, else it is the earlier protocol, which is not spoken',
    applies: (text) => {
      const escrow = detail(text, 'escrowContract')
      return (
        detail(text, 'sessionProtocol') === undefined &&
        typeof escrow === 'string' &&
        escrow.toLowerCase() !== CHANNEL_RESERVE
      )
    },
    example: askDetails({ sessionProtocol: undefined, escrowContract: A }),
  },
  {
    name: 'no unit type',
    side: 'only ours accepts',
    why: 'optional in the draft, and their own client does not ask for it; without one the amount is planned as a bucket',
    applies: (text) => term(text, 'unitType') === undefined,
    example: ask({ unitType: undefined }),
  },
  {
    name: 'no chain id',
    side: 'only ours accepts',
    why: 'the draft has a default, the main network; their server asks for the id that it wrote itself, their client takes the only chain it may use',
    applies: (text) => detail(text, 'chainId') === undefined,
    example: askDetails({ chainId: undefined }),
  },
  {
    name: 'no escrow, but v2 named',
    side: 'only ours accepts',
    why: 'v2 has one contract on every chain, the channel reserve; their own client fills it in as well',
    applies: (text) => detail(text, 'escrowContract') === undefined && detail(text, 'sessionProtocol') === 'v2',
    example: askDetails({ escrowContract: undefined }),
  },
  {
    name: 'hex with capitals',
    side: 'read differently',
    why: 'letter case of hex means nothing; ours hands out lower case, so that addresses can be compared',
    applies: (text, a, b) => hasCapitalHex(document(text)) && sameButCase(a, b),
    example: ask({ currency: `0x${'A1'.repeat(20)}` }),
  },
]

const descriptor = { payer: A, payee: A, operator: A, token: A, salt: H, authorizedSigner: A, expiringNonceHash: H }
const amounts = { acceptedCumulative: '2', deposit: '5', requiredCumulative: '3', settled: '0', spent: '1' }
const snapshot = { ...amounts, chainId: 42431, channelId: H, descriptor, escrow: A }
const say = (change: object) => base64url(JSON.stringify({ ...snapshot, ...change }))

export const snapshotTable: readonly Difference<string, unknown>[] = [
  ...encodings(snapshot),
  {
    name: 'longer than 16 KB',
    side: 'only theirs accepts',
    why: 'a header of a hostile server must not cost memory',
    applies: (header) => header.length > MAX_SNAPSHOT_BYTES,
    example: say({ x: 'x'.repeat(MAX_SNAPSHOT_BYTES) }),
  },
  {
    name: 'an amount that is no uint96 in decimal digits',
    side: 'only theirs accepts',
    why: 'theirs takes any text and what the engine makes of it later',
    applies: (header) =>
      Object.keys(amounts).some((name) => !isUint96Text(term(header, name))) ||
      present(term(header, 'closeRequestedAt'), isUint96Text),
    example: say({ spent: ' 1' }),
  },
  {
    name: 'a chain id or units that are no whole numbers',
    side: 'only theirs accepts',
    why: 'theirs asks for any number',
    applies: (header) => {
      const [id, units] = [term(header, 'chainId'), term(header, 'units')]
      const whole = (value: unknown, least: number) => Number.isSafeInteger(value) && Number(value) >= least
      return !whole(id, 1) || (units !== undefined && !whole(units, 0))
    },
    example: say({ units: 0.5 }),
  },
  {
    name: 'a highest voucher that is malformed',
    side: 'only ours accepts',
    why: 'ours keeps its own vouchers and does not read that member',
    applies: (header) => {
      const voucher = term(header, 'highestVoucher')
      const wellFormed =
        isHexOf(memberAt(voucher, 'channelId'), 32) &&
        typeof memberAt(voucher, 'cumulativeAmount') === 'string' &&
        /^0x[0-9a-fA-F]+$/.test(String(memberAt(voucher, 'signature')))
      return voucher !== undefined && !wellFormed
    },
    example: say({ highestVoucher: 1 }),
  },
]
