// The sequences through pairs of recoveries: nothing that is possible is left out, and none counts that is not there.
// Must never run them all: that is what `npm run model -- --pairs` is for.

import { describe, expect, it } from 'vitest'
import { startOf } from '../../src/testing/model/explore.js'
import { pairSequences } from '../../src/testing/model/pairs.js'
import { follow, placeOf, RecoveryMap } from '../../src/testing/model/recovery-map.js'
import { pairOf, pairsOf, recoveriesIn } from '../../src/testing/model/recovery-pairs.js'
import { SEQUENCE_SETTINGS } from '../../src/testing/model/settings.js'

const CLOSES = SEQUENCE_SETTINGS.filter(({ setting }) => setting.purpose === 'close')

describe('the sequences of closes', () => {
  const { sequences, known } = pairSequences('unlike', CLOSES)
  const taken = new Set(sequences.flatMap(({ transitions }) => pairsOf(transitions, 'unlike')))

  it('take every pair that is known', () => {
    expect(known.size).toBeGreaterThan(80)
    expect([...known].filter((pair) => !taken.has(pair))).toEqual([])
  })

  it('come to an end, each of them', () => {
    expect(sequences.filter(({ ends }) => ends === null)).toEqual([])
  })

  it('know every pair that a flow comes by when it goes wherever the map leads', () => {
    const [closes] = CLOSES
    if (closes === undefined) throw new Error('there is no sequence of closes')
    const map = new RecoveryMap('unlike')
    let missing = 0
    // Walks that choose by turns: always the same ones, and none of them made for a pair.
    for (let walk = 0; walk < 200; walk += 1) {
      let snapshot = startOf(closes.setting)
      let last: string | null = null
      for (let step = 0; step < 12; step += 1) {
        const edges = map.edges(placeOf(snapshot), snapshot)
        const edge = edges[(walk * 7 + step * (walk + 3)) % edges.length]
        const gone = edge === undefined ? undefined : follow(snapshot, edge)
        if (edge === undefined || gone === undefined) break
        if (last !== null && !known.has(pairOf(last, edge.name))) missing += 1
        last = edge.name
        snapshot = gone.snapshot
      }
    }
    expect(missing).toBe(0)
  })
})

describe('recoveries', () => {
  it('are fewer where those that are alike count once', () => {
    expect(recoveriesIn('unlike')).toBeLessThan(recoveriesIn('every'))
  })
})
