// Holds two readings of the same wire text against each other and counts how they compare.
// Must never let a difference pass that no entry of its table names: that is what the tests are for.
import { inspect, isDeepStrictEqual } from 'node:util'
import type { Parsed } from '../../src/protocol/index.js'
import { cases } from '../extent.js'

/** What a codec made of an input. */
export type Reading<V> =
  | { readonly accepted: true; readonly value: V }
  | { readonly accepted: false; readonly reason: string }

/** Which of the two takes the input, or that both do and understand it differently. */
export type Side = 'only ours accepts' | 'only theirs accepts' | 'read differently'

/** A known class of differences, and why it is there. */
export interface Difference<C, V> {
  readonly name: string
  readonly side: Side
  readonly why: string
  /** Decides from the input itself, with means of its own wherever there are any, and as narrowly as it can. */
  readonly applies: (input: C, ours: Reading<V>, theirs: Reading<V>) => boolean
  /** An input that shows the difference; it is run, so that no entry outlives what it describes. */
  readonly example: C
}

/** How many cases a format has to see, at least. */
export const CASES = cases(20_000)
/** Runs of a property over damaged values. */
export const DAMAGED_RUNS = cases(12_000)
/** Runs of a property over valid values that has two cases in each, one for each writer. */
export const VALID_RUNS = cases(5_000)
/** The same where there is one case in each. */
export const SINGLE_RUNS = CASES - DAMAGED_RUNS

/** Milliseconds for one property. Nothing is asserted about speed: this lets a busy machine finish. */
export const PATIENCE = 240_000

/** The seed of every run: the same cases each time, so that a failure can be looked at. WIRE_SEED takes another. */
export const SEED = Number(process.env.WIRE_SEED ?? 20_261_122)

/** Our readings never throw; one that does fails the test. */
export function ours<T>(result: Parsed<T>): Reading<T> {
  return result.ok ? { accepted: true, value: result.value } : { accepted: false, reason: result.detail }
}

/** For a reading that refuses by throwing, as theirs do. */
export function attempt<T>(read: () => T): Reading<T> {
  try {
    return { accepted: true, value: read() }
  } catch (error) {
    return { accepted: false, reason: error instanceof Error ? error.message.slice(0, 200) : String(error) }
  }
}

/** The books of one format. */
export class Differential<C, V> {
  readonly #format: string
  readonly #table: readonly Difference<C, V>[]
  readonly #found = new Map<string, number>()
  #valid = 0
  #both = 0
  #neither = 0

  constructor(format: string, table: readonly Difference<C, V>[]) {
    const names = new Set(table.map(({ name }) => name))
    if (names.size !== table.length) throw new Error(`${format}: two differences have the same name`)
    this.#format = format
    this.#table = table
  }

  get cases(): number {
    return this.#valid + this.#both + this.#neither + [...this.#found.values()].reduce((sum, count) => sum + count, 0)
  }

  get differences(): readonly Difference<C, V>[] {
    return this.#table
  }

  /** For an input that is valid by construction: both must accept it, and read the same. */
  agree(input: C, oursRead: Reading<V>, theirsRead: Reading<V>): void {
    if (!oursRead.accepted || !theirsRead.accepted || !isDeepStrictEqual(oursRead.value, theirsRead.value)) {
      throw new Error(this.#story('a valid value is not read alike', input, oursRead, theirsRead))
    }
    this.#valid += 1
  }

  /** For any input: the name of the difference, undefined when there is none. @throws when the table has no entry. */
  judge(input: C, oursRead: Reading<V>, theirsRead: Reading<V>): string | undefined {
    const side = sideOf(oursRead, theirsRead)
    if (side === undefined) {
      if (oursRead.accepted) this.#both += 1
      else this.#neither += 1
      return undefined
    }
    const entry = this.#table.find((known) => known.side === side && known.applies(input, oursRead, theirsRead))
    if (entry === undefined) throw new Error(this.#story(`no entry: ${side}`, input, oursRead, theirsRead))
    this.#found.set(entry.name, (this.#found.get(entry.name) ?? 0) + 1)
    return entry.name
  }

  /** The figures, one line and then one for every difference that was met. */
  report(): string {
    const { cases } = this
    const different = cases - this.#valid - this.#both - this.#neither
    const lines = [
      `${this.#format}: ${cases} cases; ${this.#valid} valid, read alike; of the others ${this.#both} accepted by both, ` +
        `${this.#neither} refused by both, ${different} documented differences`,
    ]
    for (const { name, side } of this.#table) lines.push(`    ${this.#found.get(name) ?? 0} × ${side}: ${name}`)
    return lines.join('\n')
  }

  #story(what: string, input: C, oursRead: Reading<V>, theirsRead: Reading<V>): string {
    const show = (value: unknown) => inspect(value, { depth: 8, maxStringLength: 4000, breakLength: 120 })
    return `${this.#format}: ${what}\ninput ${show(input)}\nours ${show(oursRead)}\ntheirs ${show(theirsRead)}`
  }
}

function sideOf<V>(oursRead: Reading<V>, theirsRead: Reading<V>): Side | undefined {
  if (oursRead.accepted && theirsRead.accepted) {
    return isDeepStrictEqual(oursRead.value, theirsRead.value) ? undefined : 'read differently'
  }
  if (oursRead.accepted) return 'only ours accepts'
  return theirsRead.accepted ? 'only theirs accepts' : undefined
}
