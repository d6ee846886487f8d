// Amounts and payers' DIDs: ours against mppx's.
// Must never count a difference that the tables do not explain.
import fc from 'fast-check'
import { Proof, Session } from 'mppx/tempo'
import { getAddress } from 'viem'
import { afterAll, describe, expect, it } from 'vitest'
import { formatSource, parseAmount, parseSource } from '../../src/protocol/index.js'
import { address, amount, chainId } from '../protocol/arbitraries.js'
import {
  CASES,
  DAMAGED_RUNS,
  type Difference,
  Differential,
  ours,
  PATIENCE,
  type Reading,
  SEED,
  VALID_RUNS,
} from './wire-differential.js'
import { edits, editText } from './wire-mutations.js'

const ODD_AMOUNTS = [
  '',
  '-1',
  '+1',
  '1.0',
  '1e3',
  '0x1',
  ' 1',
  '1\n',
  '٣',
  '007',
  '79228162514264337593543950336',
  '9'.repeat(30),
]

const theirAmount = (text: string): Reading<bigint> => {
  const value = Session.Precompile.Protocol.parseUint96Amount(text)
  return value === undefined ? { accepted: false, reason: 'undefined' } : { accepted: true, value }
}
/** None: the two have the same grammar and the same bound. */
const amountBooks = new Differential<string, bigint>('amounts', [])

interface Payer {
  readonly chainId: number
  readonly payer: string
}

const theirSource = (text: string): Reading<Payer> => {
  const read = Proof.parsePkhSource(text)
  return read === null
    ? { accepted: false, reason: 'null' }
    : { accepted: true, value: { chainId: read.chainId, payer: read.address } }
}
const [A, MIXED] = [`0x${'ab'.repeat(20)}`, `0x${'aB'.repeat(20)}`]
const addressIn = (text: string) => /^did:pkh:eip155:\d+:(0x[0-9a-fA-F]{40})$/.exec(text)?.[1] ?? ''

const sourceTable: readonly Difference<string, Payer>[] = [
  {
    name: 'an address whose letter case is no checksum',
    side: 'only ours accepts',
    why: 'the wire carries both cases and neither has authority; the payer is whoever signed',
    applies: (text) => /[A-F]/.test(addressIn(text)) && getAddress(addressIn(text).toLowerCase()) !== addressIn(text),
    example: `did:pkh:eip155:1:${MIXED}`,
  },
  {
    name: 'chain 0',
    side: 'only theirs accepts',
    why: 'no chain has that id (EIP-155)',
    applies: (text) => text.startsWith('did:pkh:eip155:0:'),
    example: `did:pkh:eip155:0:${A}`,
  },
  {
    name: 'a checksummed address',
    side: 'read differently',
    why: 'ours hands out lower case, so that addresses can be compared',
    applies: (text, a, b) =>
      a.accepted &&
      b.accepted &&
      a.value.chainId === b.value.chainId &&
      b.value.payer === addressIn(text) &&
      a.value.payer === b.value.payer.toLowerCase(),
    example: `did:pkh:eip155:1:${getAddress(A)}`,
  },
]
const sourceBooks = new Differential('payers', sourceTable)
afterAll(() => console.log(`${amountBooks.report()}\n${sourceBooks.report()}`))

describe('amounts, ours and theirs', () => {
  it(
    'agree on every amount',
    () => {
      fc.assert(
        fc.property(amount, (value) => {
          const text = value.toString()
          amountBooks.agree(text, ours(parseAmount(text)), { accepted: true, value })
          amountBooks.agree(text, { accepted: true, value }, theirAmount(text))
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'do not differ on anything else',
    () => {
      const texts = fc.oneof(
        fc.tuple(amount, edits).map(([value, [edit]]) => (edit === undefined ? '' : editText(value.toString(), edit))),
        fc.bigInt({ min: 0n, max: 1n << 110n }).map(String),
        fc.constantFrom(...ODD_AMOUNTS),
      )
      fc.assert(
        fc.property(texts, (text) => {
          expect(amountBooks.judge(text, ours(parseAmount(text)), theirAmount(text))).toBeUndefined()
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(amountBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )
})

describe('payers, ours and theirs', () => {
  it(
    'agree on every one, to the byte',
    () => {
      fc.assert(
        fc.property(chainId, address, (id, payer) => {
          const text = formatSource(id, payer)
          expect(text).toBe(Proof.proofSource({ chainId: id, address: payer }))
          sourceBooks.agree(text, ours(parseSource(text)), { accepted: true, value: { chainId: id, payer } })
          sourceBooks.agree(text, { accepted: true, value: { chainId: id, payer } }, theirSource(text))
        }),
        { numRuns: VALID_RUNS, seed: SEED },
      )
    },
    PATIENCE,
  )

  it(
    'differ on damaged ones only as the table says',
    () => {
      const chain = fc.oneof(
        chainId.map(String),
        fc.constantFrom('0', '01', '-1', '1.5', '', '9007199254740992', '1e3', '0x1'),
      )
      const account = fc.oneof(
        address,
        address.map((text) => getAddress(text)),
        address.map((text) => `0x${text.slice(2).toUpperCase()}`),
        address.map((text) => `0X${text.slice(2)}`),
        fc.constantFrom('', '0x', `0x${'a'.repeat(39)}`, `0x${'a'.repeat(41)}`),
      )
      const texts = fc
        .tuple(chain, account, fc.option(edits))
        .map(([id, payer, list]) =>
          (list ?? []).reduce((text, edit) => editText(text, edit), `did:pkh:eip155:${id}:${payer}`),
        )
      fc.assert(
        fc.property(texts, (text) => {
          sourceBooks.judge(text, ours(parseSource(text)), theirSource(text))
        }),
        { numRuns: DAMAGED_RUNS, seed: SEED },
      )
      expect(sourceBooks.cases).toBeGreaterThanOrEqual(CASES)
    },
    PATIENCE,
  )

  it.each(sourceTable.map((entry) => [entry.name, entry] as const))('difference: %s', (name, { example }) => {
    const books = new Differential('example', sourceTable)
    expect(books.judge(example, ours(parseSource(example)), theirSource(example))).toBe(name)
  })
})
