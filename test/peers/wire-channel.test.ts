// Channel ids and what a voucher signature is over: ours against mppx's and against ox and viem.
// Must never count a difference that the tables do not explain.
import fc from 'fast-check'
import { Session } from 'mppx/tempo'
import { Channel } from 'ox/tempo'
import { getAddress, hashTypedData } from 'viem'
import { afterAll, describe, expect, it } from 'vitest'
import { CHANNEL_RESERVE, type ChannelDescriptor, type Hex } from '../../src/protocol/index.js'
import { computeChannelId, signVoucher, type VoucherTerms, ZERO_ADDRESS } from '../../src/tempo/index.js'
import { address, amount, chainId, descriptor as descriptors, hash } from '../protocol/arbitraries.js'
import { isHexOf } from './wire-anatomy.js'
import {
  attempt,
  CASES,
  DAMAGED_RUNS,
  type Difference,
  Differential,
  PATIENCE,
  type Reading,
  SEED,
  VALID_RUNS,
} from './wire-differential.js'
import { edits, editValue } from './wire-mutations.js'

interface Place {
  readonly descriptor: ChannelDescriptor
  readonly chainId: number
  readonly escrow: Hex
}

const escrows = fc.oneof(fc.constant<Hex>(CHANNEL_RESERVE), address)
const places = fc.record({ descriptor: descriptors, chainId, escrow: escrows })

const ourId = ({ descriptor, ...where }: Place) => attempt(() => computeChannelId(descriptor, where))
const theirId = ({ descriptor, ...where }: Place) =>
  attempt(() => Session.Precompile.Channel.computeId({ ...descriptor, ...where }))

const H = `0x${'cd'.repeat(32)}` as const
const A = `0x${'a1'.repeat(20)}` as const
const sample: Place = {
  descriptor: { payer: A, payee: A, operator: A, token: A, salt: H, authorizedSigner: A, expiringNonceHash: H },
  chainId: 42431,
  escrow: CHANNEL_RESERVE,
}
/** A place as it may come out of a careless parser. The compiler would not let it pass, which is the point. */
const careless = (change: object): Place => ({ ...sample, ...change }) as Place

/** Whether an address is a sound one but for its letter case: the wire readers hand out lower case only. */
const onlyCaseIsWrong = (value: unknown, ...accepts: readonly ((text: string) => boolean)[]) =>
  typeof value === 'string' && /^0x[0-9a-f]{40}$/.test(value.toLowerCase()) && !accepts.some((fits) => fits(value))
const isHexAddress = (text: string) => /^0x[0-9a-fA-F]{40}$/.test(text)
const isUnscrambled = (text: string) => text === text.toLowerCase() || text === getAddress(text.toLowerCase())

const idTable: readonly Difference<Place, Hex>[] = [
  {
    name: 'no escrow',
    side: 'only theirs accepts',
    why: 'theirs fills in the channel reserve; here a place is named in full, or there is no channel id',
    applies: (place) => (place?.escrow ?? undefined) === undefined,
    example: careless({ escrow: undefined }),
  },
  {
    name: 'a salt or nonce hash of half a byte less',
    side: 'only theirs accepts',
    why: 'theirs counts bytes and rounds up, and hashes what is then one digit short; ours refuses whatever is not 32 bytes of hex',
    applies: (place) =>
      [place?.descriptor?.salt, place?.descriptor?.expiringNonceHash].some((value) => !isHexOf(value, 32)),
    example: careless({ descriptor: { ...sample.descriptor, salt: H.slice(0, -1) } }),
  },
]

const voucherTerms: fc.Arbitrary<VoucherTerms> = fc.record({
  channelId: hash,
  cumulative: amount,
  chainId,
  escrow: escrows,
})

const sampleTerms: VoucherTerms = { channelId: H, cumulative: 1n, chainId: 42431, escrow: CHANNEL_RESERVE }
/** As above. */
const carelessTerms = (change: object): VoucherTerms => ({ ...sampleTerms, ...change }) as VoucherTerms

/** Signs nothing: hands back the digest that a wallet would sign, from exactly what it is given. */
const digestOf: Parameters<typeof signVoucher>[0] = {
  address: ZERO_ADDRESS,
  signTypedData: async (definition) => hashTypedData(definition),
}

async function ourDigest(terms: VoucherTerms): Promise<Reading<Hex>> {
  try {
    return { accepted: true, value: await signVoucher(digestOf, terms) }
  } catch (error) {
    return { accepted: false, reason: error instanceof Error ? error.name : 'refused' }
  }
}

/** Theirs at any escrow: their domain and types, through viem. */
function theirDigest({ channelId, cumulative, chainId: id, escrow }: VoucherTerms): Reading<Hex> {
  const { getVoucherDomain, voucherTypes } = Session.Precompile.Voucher
  return attempt(() =>
    hashTypedData({
      domain: getVoucherDomain(escrow, id),
      types: voucherTypes,
      primaryType: 'Voucher',
      message: { channelId, cumulativeAmount: Session.Precompile.Protocol.uint96(cumulative) },
    }),
  )
}

/** At the channel reserve ox has its own computation, without EIP-712 machinery. */
function oxDigest({ channelId, cumulative, chainId: id }: VoucherTerms): Reading<Hex> {
  return attempt(() => Channel.getVoucherSignPayload({ chainId: id, channelId, cumulativeAmount: cumulative }))
}

const digestTable: readonly Difference<VoucherTerms, Hex>[] = [
  {
    name: 'no escrow, or one that is no text',
    side: 'only theirs accepts',
    why: 'their domain then names no contract, and a signature over it is good for nothing; ours refuses before it signs',
    applies: (terms) => typeof terms?.escrow !== 'string',
    example: carelessTerms({ escrow: undefined }),
  },
  {
    name: 'an escrow whose letter case is no checksum, or with 0X',
    side: 'only ours accepts',
    why: 'ours lower-cases before it hashes: letter case has no authority here',
    applies: (terms) => onlyCaseIsWrong(terms?.escrow, (text) => isHexAddress(text) && isUnscrambled(text)),
    example: carelessTerms({ escrow: `0x${'aB'.repeat(20)}` }),
  },
]

const idBooks = new Differential('channel ids', idTable)
const digestBooks = new Differential('voucher digests', digestTable)
afterAll(() => console.log(`${idBooks.report()}\n${digestBooks.report()}`))

describe('channel ids, ours and theirs', () => {
  it(
    'agree on every channel, at any escrow',
    () => {
      fc.assert(
        fc.property(places, (place) => {
          idBooks.agree(place, ourId(place), theirId(place))
          const atReserve = { ...place, escrow: CHANNEL_RESERVE }
          idBooks.agree(
            atReserve,
            ourId(atReserve),
            attempt(() => Channel.computeId(place.descriptor, { chainId: place.chainId })),
          )
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    () => {
      fc.assert(
        fc.property(places, edits, (place, list) => {
          // As above: what the compiler would not let pass.
          const damaged = list.reduce<unknown>(editValue, place) as Place
          idBooks.judge(damaged, ourId(damaged), theirId(damaged))
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(idBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(idTable.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example }) => {
    expect(new Differential('example', idTable).judge(example, ourId(example), theirId(example))).toBe(name)
  })
})

describe('voucher digests, ours and theirs', () => {
  it(
    'agree on every voucher, at any escrow',
    async () => {
      await fc.assert(
        fc.asyncProperty(voucherTerms, async (terms) => {
          digestBooks.agree(terms, await ourDigest(terms), theirDigest(terms))
          const atReserve = { ...terms, escrow: CHANNEL_RESERVE }
          digestBooks.agree(atReserve, await ourDigest(atReserve), oxDigest(atReserve))
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    async () => {
      const amounts = fc.oneof(
        fc.bigInt({ min: -(1n << 100n), max: 1n << 100n }),
        fc.constantFrom(-1n, 1n << 96n, (1n << 96n) - 1n),
      )
      await fc.assert(
        fc.asyncProperty(voucherTerms, amounts, edits, fc.boolean(), async (terms, cumulative, list, byAmount) => {
          const { cumulative: before, ...rest } = terms
          const edited = Object(list.reduce<unknown>(editValue, rest))
          const damaged = byAmount ? { ...terms, cumulative } : ({ ...edited, cumulative: before } as VoucherTerms)
          digestBooks.judge(damaged, await ourDigest(damaged), theirDigest(damaged))
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(digestBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(digestTable.map((entry) => [entry.name, entry] as const))('difference: %s', async (name, { example }) => {
    const books = new Differential('example', digestTable)
    expect(books.judge(example, await ourDigest(example), theirDigest(example))).toBe(name)
  })
})
