// What the crash matrix goes by: the comparison of callers and books, and the ways in which the client is broken on purpose.
// Must never need a chain: the matrix itself is `npm run crash`.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AccountedCharge } from '../../src/sandbox/index.js'
import { compareRequests } from './audit.js'
import { requestFor } from './request.js'
import { SOURCE_MUTATIONS } from './source-mutations.js'
import type { Line } from './task.js'

const charge = (id: string): AccountedCharge => ({
  channelId: `0x${'c'.repeat(64)}`,
  body: new TextEncoder().encode(requestFor(id, 50).body),
  cost: 10_000n,
})
const asking = (id: string): Line => ({ say: 'asking', id })
const paid = (id: string, code: string | null = null): Line => ({
  say: 'paid',
  id,
  ok: code === null,
  code,
  detail: null,
})

describe('the requests of a case', () => {
  it('that were answered and charged once each are in order', () => {
    const lines = [asking('a'), paid('a'), asking('b'), paid('b')]
    expect(compareRequests(lines, [charge('a'), charge('b')])).toEqual({ doublePaid: 0, unheard: 0, problems: [] })
  })

  it('count one that was charged twice, also where another one was not charged at all', () => {
    const lines = [asking('a'), paid('a'), asking('b'), paid('b', 'chain_unavailable')]
    expect(compareRequests(lines, [charge('a'), charge('a')])).toEqual({ doublePaid: 1, unheard: 0, problems: [] })
  })

  it('may be charged without an answer where nobody is left to hear it, or is told that it may be so', () => {
    const lines = [asking('killed'), asking('b'), paid('b', 'outcome_unknown')]
    const charges = [charge('killed'), charge('b')]
    expect(compareRequests(lines, charges)).toEqual({ doublePaid: 0, unheard: 2, problems: [] })
  })

  it.each([
    ['an answer that is not on the books', [asking('a'), paid('a')], []],
    ['a charge that nobody asked for', [], [charge('a')]],
    ['a caller who was charged and told otherwise', [asking('a'), paid('a', 'connection_failed')], [charge('a')]],
  ])('name %s', (_, lines, charges) => {
    expect(compareRequests(lines, charges).problems).toHaveLength(1)
  })
})

describe('a client that is broken on purpose', () => {
  it.each(SOURCE_MUTATIONS.map((mutation) => [mutation.name, mutation] as const))(
    '%s: fits its source',
    (_, { edits }) => {
      for (const { file, find, replace } of edits) {
        const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
        expect(source.split(find)).toHaveLength(2)
        expect(replace).not.toBe(find)
      }
    },
  )
})
