// Grouping loses nothing, stays small, says what codes have in common, and refuses rules that no longer fit.
// Must never accept a picture in which a code of the gateway is neither drawn nor noted.

import { describe, expect, it } from 'vitest'
import { createMachine } from 'xstate'
import { MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'
import { machineGraph } from '../../src/inspect/diagram/graph.js'
import { groupGraph, topLevelArrows } from '../../src/inspect/diagram/grouping.js'
import { PLAIN_RULES } from '../../src/inspect/diagram/rules.js'
import { PICTURES } from '../../src/inspect/pictures.js'

const groupedBy = (name: string) => {
  const picture = PICTURES.find((candidate) => candidate.name === name)
  if (picture === undefined) throw new Error(`no picture is called ${name}`)
  return groupGraph(machineGraph(picture.machine), picture.rules)
}

describe.each(PICTURES)('$name, grouped', ({ machine, rules }) => {
  const graph = machineGraph(machine)
  const { arrows, notes } = groupGraph(graph, rules)

  it('has every transition in exactly one arrow or note', () => {
    const shown = [...arrows, ...notes].flatMap(({ transitions }) => transitions.map(({ id }) => id))
    expect([...shown].sort()).toEqual(graph.transitions.map(({ id }) => id).sort())
  })

  it('has one arrow at most between two states, with a short label', () => {
    expect(new Set(arrows.map(({ id }) => id)).size).toBe(arrows.length)
    for (const { label } of arrows) {
      expect(label.length).toBeGreaterThan(0)
      expect(label.length).toBeLessThanOrEqual(6)
    }
  })

  it('has a happy path and at most 25 arrows at the top level', () => {
    expect(arrows.filter(({ kind }) => kind === 'happy').length).toBeGreaterThan(0)
    expect(topLevelArrows({ graph, arrows, notes, noteWidth: 0 }).length).toBeLessThanOrEqual(25)
  })
})

describe('payment-flow, grouped', () => {
  const { arrows, notes } = groupedBy('payment-flow')

  it('has each code of the gateway and of the standard somewhere', () => {
    const events = new Set([...arrows, ...notes].flatMap(({ transitions }) => transitions.map(({ event }) => event)))
    for (const code of [...MPP_CODES, ...PROBLEM_TYPES]) expect(events).toContain(code)
  })

  it('says on one arrow what the codes that lead from paying to a new challenge have in common', () => {
    const arrow = arrows.find(({ id }) => id === 'paymentFlow.paying → paymentFlow.parsingChallenge')
    expect(arrow?.kind).toBe('recovery')
    expect(arrow?.label).toEqual(expect.arrayContaining([expect.stringMatching(/^voucher-refresh: \d+ codes$/)]))
  })

  it('draws no arrow to failed; each state notes its own', () => {
    expect(arrows.filter(({ target }) => target === 'paymentFlow.failed')).toEqual([])
    expect(notes.find(({ state, kind }) => state === 'paymentFlow.paying' && kind === 'failure')?.text).toMatch(
      /^failed: \d+ /,
    )
  })
})

describe('labels', () => {
  const machine = (codes: readonly string[]) =>
    createMachine({
      id: 'm',
      initial: 'a',
      states: { a: { on: Object.fromEntries(codes.map((c) => [c, 'b'])) }, b: {} },
    })
  const label = (codes: readonly string[]) => groupGraph(machineGraph(machine(codes)), PLAIN_RULES).arrows[0]?.label

  it('name up to three codes and count more', () => {
    expect(label(MPP_CODES.slice(0, 3))).toEqual(MPP_CODES.slice(0, 3))
    expect(label(MPP_CODES.slice(0, 4))).toEqual(['4 codes'])
  })

  it('count codes beside ordinary events', () => {
    expect(label(['GO', ...MPP_CODES.slice(0, 4)])).toEqual(['GO', '+ 4 codes'])
  })
})

it('gathers the recoveries of several children into one arrow from their parent', () => {
  const child = { on: { mpp_invalid_challenge: '#m.out' } }
  const machine = createMachine({
    id: 'm',
    initial: 'in',
    states: { in: { initial: 'a', states: { a: child, b: child } }, out: {} },
  })
  const { arrows } = groupGraph(machineGraph(machine), PLAIN_RULES)
  expect(arrows.map(({ source, target, transitions }) => [source, target, transitions.length])).toEqual([
    ['m.in', 'm.out', 2],
  ])
})

it('refuses rules about states and arrows that the machine does not have', () => {
  const graph = machineGraph(createMachine({ id: 'm', initial: 'a', states: { a: {}, b: {} } }))
  expect(() => groupGraph(graph, { ...PLAIN_RULES, failures: ['gone'] })).toThrow('"gone"')
  expect(() => groupGraph(graph, { ...PLAIN_RULES, noted: [{ to: ['gone'] }] })).toThrow('"gone"')
  expect(() => groupGraph(graph, { ...PLAIN_RULES, happyPaths: [['a', 'b']] })).toThrow('m.a → m.b')
})
