import { describe, expect, it } from 'vitest'
import { ERROR_CODES, leadsToOf, MPP_CODES, paymentFlowMachine } from '../../machines/index.js'
import { machineGraph } from '../../src/inspect/index.js'

const { transitions } = machineGraph(paymentFlowMachine)

describe('where a recovery leads', () => {
  it('stands on every transition that uses up a bound, and on no other', () => {
    const counted = transitions.filter(({ actions }) => actions.includes('count'))
    expect(counted.length).toBeGreaterThan(50)
    expect(counted.filter(({ leadsTo }) => leadsTo === null)).toEqual([])
    expect(transitions.filter(({ leadsTo, actions }) => leadsTo !== null && !actions.includes('count'))).toEqual([])
  })

  it('never stands on one that ends the flow', () => {
    expect(transitions.filter(({ target, leadsTo }) => target === 'paymentFlow.failed' && leadsTo !== null)).toEqual([])
  })

  it('is what the error table says, for a code that may be recovered from', () => {
    for (const code of MPP_CODES) {
      const said = transitions.filter(({ event }) => event === code).flatMap(({ leadsTo }) => leadsTo ?? [])
      const { leadsTo, bound } = ERROR_CODES[code]
      if (bound === 0) expect(leadsTo, code).toBe('terminal')
      else expect(said, code).toContain(leadsTo)
    }
  })

  it('is null where there is no meta of this kind', () => {
    for (const meta of [undefined, null, 'text', {}, { leadsTo: 1 }]) expect(leadsToOf({ meta })).toBeNull()
  })
})
