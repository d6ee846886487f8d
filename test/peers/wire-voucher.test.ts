// Voucher signatures: signed and verified by ours, by mppx and by viem, as signed and damaged.
// Must never count a difference that the table does not explain.
import fc from 'fast-check'
import { Session } from 'mppx/tempo'
import { createClient, custom } from 'viem'
import { Account } from 'viem/tempo'
import { afterAll, describe, expect, it } from 'vitest'
import { CHANNEL_RESERVE, type Hex } from '../../src/protocol/index.js'
import { signVoucher, type VoucherTerms, verifyVoucher } from '../../src/tempo/index.js'
import { cases } from '../extent.js'
import { amount, hash } from '../protocol/arbitraries.js'
import { type Difference, Differential, PATIENCE, type Reading, SEED } from './wire-differential.js'
import { edits, editText } from './wire-mutations.js'

// A signature costs a millisecond and its check several, on each side: fewer cases than elsewhere.
const SIGNED = cases(200)
const DAMAGED = cases(1_200)

const KEY = `0x${'42'.repeat(32)}` as const
const OTHER_ESCROW = `0x${'e5'.repeat(20)}` as const
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const accounts = [Account.fromSecp256k1(KEY), Account.fromP256(KEY)] as const

/** Their signer wants a client to ask a wallet with; none of these accounts needs one. */
const client = createClient({
  transport: custom({
    request: async () => {
      throw new Error('a local account asked the network')
    },
  }),
})

interface Claim extends VoucherTerms {
  readonly signature: Hex
  readonly signer: Hex
}

const verdict = (valid: boolean): Reading<true> =>
  valid ? { accepted: true, value: true } : { accepted: false, reason: 'no' }
const readOurs = async (claim: Claim) => verdict(await verifyVoucher(claim))

function readTheirs({ escrow, chainId, channelId, cumulative, signature, signer }: Claim): Reading<true> {
  const { Protocol, Voucher } = Session.Precompile
  // Their server makes a uint96 of the amount before it looks at the signature.
  if (!Protocol.isUint96(cumulative)) return verdict(false)
  const voucher = { channelId, cumulativeAmount: Protocol.uint96(cumulative), signature }
  return verdict(Voucher.verifyVoucher(escrow, chainId, voucher, signer))
}

const HIGHEST_S = (ORDER - 1n) / 2n

const table: readonly Difference<Claim, true>[] = [
  {
    name: 'the twin of a signature, with s in the upper half of the order',
    side: 'only theirs accepts',
    why: 'who has a signature can make the other without the key; the chain refuses it (EIP-2), so a payee that takes it could not settle',
    applies: ({ signature }) =>
      /^0x[0-9a-f]{130}$/i.test(signature) && BigInt(`0x${signature.slice(66, 130)}`) > HIGHEST_S,
    example: {
      channelId: `0x${'c1'.repeat(32)}`,
      cumulative: 1_000_000n,
      chainId: 42431,
      escrow: OTHER_ESCROW,
      signer: accounts[0].address,
      signature:
        '0x57575c5e9080a55b9edc15923c959164ee90915cbb6eadd6241def4d96250eebd1fb9657f15d41b34c805bdeb1a5ca9caeb9c8889a0ead96bb4bbfadda1008f41b',
    },
  },
  {
    name: 'the compact form of a signature (EIP-2098)',
    side: 'only ours accepts',
    why: 'the draft names it as one of two forms; who settles with it makes it 65 bytes first, which the chain takes',
    applies: ({ signature }) => /^0x[0-9a-f]{128}$/i.test(signature),
    example: {
      channelId: `0x${'c1'.repeat(32)}`,
      cumulative: 1_000_000n,
      chainId: 42431,
      escrow: OTHER_ESCROW,
      signer: accounts[0].address,
      signature:
        '0x57575c5e9080a55b9edc15923c959164ee90915cbb6eadd6241def4d96250eebae0469a80ea2be4cb37fa4214e5a35620bf5145e1539f2a504869edef626384d',
    },
  },
]
const books = new Differential('voucher signatures', table)
afterAll(() => console.log(books.report()))

const terms: fc.Arbitrary<VoucherTerms> = fc.record({
  channelId: hash,
  cumulative: amount,
  chainId: fc.constantFrom(4217, 42431),
  escrow: fc.constantFrom<Hex>(CHANNEL_RESERVE, OTHER_ESCROW),
})

/** The same signature in another dress: its twin, other recovery values, capitals, wrappers. */
function dressed(signature: Hex, pick: number): Hex {
  const digits = signature.slice(2)
  const s = ORDER - BigInt(`0x${digits.slice(64, 128)}`)
  const twin = `${digits.slice(0, 64)}${(s < 0n ? -s : s).toString(16).padStart(64, '0')}`
  const tails = ['00', '01', '1b', '1c', '1d', 'ff', '']
  const forms = [
    ...tails.map((tail) => `${digits.slice(0, -2)}${tail}`),
    ...tails.map((tail) => `${twin}${tail}`),
    ...[
      digits.toUpperCase(),
      `00${digits}`,
      `01${digits}`,
      `03${digits}`,
      `${digits}00`,
      `${digits}${'7777'.repeat(16)}`,
    ],
    ...['', digits.slice(0, 128), '0'.repeat(130), `${'0'.repeat(128)}1b`],
  ]
  return `0x${forms[pick % forms.length] ?? ''}`
}

describe('voucher signatures, ours and theirs', () => {
  it(
    'are the same bytes, whoever signs, and each takes what the other signed',
    async () => {
      await fc.assert(
        fc.asyncProperty(terms, async (voucher) => {
          const { channelId, cumulative, chainId, escrow } = voucher
          const [account] = accounts
          const signature = await signVoucher(account, voucher)
          const uint96 = Session.Precompile.Protocol.uint96(cumulative)
          const theirs = await Session.Precompile.Voucher.signVoucher(
            client,
            account,
            { channelId, cumulativeAmount: uint96 },
            escrow,
            chainId,
          )
          expect(theirs).toBe(signature)
          if (escrow === CHANNEL_RESERVE) {
            expect(await account.signVoucher({ chainId, channel: channelId, cumulativeAmount: cumulative })).toBe(
              signature,
            )
          }
          const claim = { ...voucher, signature, signer: account.address }
          books.agree(claim, await readOurs(claim), readTheirs(claim))
        }),
        { numRuns: SIGNED, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'are taken or refused alike when anything about them is changed',
    async () => {
      const base: VoucherTerms = {
        channelId: `0x${'c1'.repeat(32)}`,
        cumulative: 1_000_000n,
        chainId: 42431,
        escrow: CHANNEL_RESERVE,
      }
      const signed = await Promise.all(
        accounts.flatMap((account) =>
          [base, { ...base, escrow: OTHER_ESCROW }].map(async (voucher) => ({
            ...voucher,
            signature: await signVoucher(account, voucher),
            signer: account.address,
          })),
        ),
      )
      const kinds = fc.constantFrom('dress', 'edit', 'edit', 'terms', 'random')
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...signed),
          kinds,
          edits,
          fc.uint8Array({ maxLength: 140 }),
          async (claim, kind, list, bytes) => {
            const [edit] = list
            if (edit === undefined) throw new Error('no edit')
            const changed: readonly Partial<Claim>[] = [
              ...[
                { cumulative: claim.cumulative + 1n },
                { cumulative: 1n << 96n },
                { cumulative: -1n },
                { chainId: 4217 },
              ],
              ...[
                { channelId: `0x${'c2'.repeat(32)}` as const },
                { escrow: `0x${'e6'.repeat(20)}` as const },
                { signer: OTHER_ESCROW },
              ],
            ]
            const damaged: Claim = {
              ...claim,
              ...(kind === 'dress' && { signature: dressed(claim.signature, edit.pick) }),
              ...(kind === 'edit' && {
                signature:
                  `0x${list.reduce((text, one) => editText(text, one, HEX), claim.signature.slice(2))}` as const,
              }),
              ...(kind === 'terms' && changed[edit.pick % changed.length]),
              ...(kind === 'random' && { signature: `0x${Buffer.from(bytes).toString('hex')}` as const }),
            }
            books.judge(damaged, await readOurs(damaged), readTheirs(damaged))
          },
        ),
        { numRuns: DAMAGED, seed: SEED },
      )
      expect(books.cases).toBe(SIGNED + DAMAGED)
    },
    PATIENCE,
  )

  it.each(table.map((entry) => [entry.name, entry] as const))('difference: %s', async (name, { example }) => {
    expect(new Differential('example', table).judge(example, await readOurs(example), readTheirs(example))).toBe(name)
  })
})

const HEX = ['0', '1', 'f', 'F', 'ab', '1b', '1c', 'g', '0x', ' ']
