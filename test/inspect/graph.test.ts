// The graph holds exactly what the machine declares, read here a second time from the raw configuration.
// Must never use the reader under test to say what is expected of it.

import { describe, expect, it } from 'vitest'
import { createMachine } from 'xstate'
import { machineGraph } from '../../src/inspect/diagram/graph.js'
import { PICTURES } from '../../src/inspect/pictures.js'

interface RawTransition {
  readonly target?: string
  readonly guard?: string | { readonly type: string }
}
type RawTransitions = string | RawTransition | readonly RawTransition[]
interface RawState {
  readonly on?: Readonly<Record<string, RawTransitions>>
  readonly always?: RawTransitions
  readonly states?: Readonly<Record<string, RawState>>
}

/** `source event alternative target` of everything a raw configuration declares. */
function declared(id: string, parent: string, raw: RawState): readonly string[] {
  const resolve = (target: string | undefined): string => {
    if (target === undefined) return '-'
    if (target.startsWith('#')) return target.slice(1)
    return target.startsWith('.') ? `${id}${target}` : `${parent}.${target}`
  }
  const lines = (event: string, transitions: RawTransitions): readonly string[] => {
    const list = typeof transitions === 'string' ? [{ target: transitions }] : [transitions].flat()
    return list.map(({ target }, index) => `${id} ${event} ${index} ${resolve(target)}`)
  }
  return [
    ...Object.entries(raw.on ?? {}).flatMap(([event, transitions]) => lines(event, transitions)),
    ...(raw.always === undefined ? [] : lines('', raw.always)),
    ...Object.entries(raw.states ?? {}).flatMap(([key, child]) => declared(`${id}.${key}`, id, child)),
  ]
}

function stateIds(id: string, raw: RawState): readonly string[] {
  return [id, ...Object.entries(raw.states ?? {}).flatMap(([key, child]) => stateIds(`${id}.${key}`, child))]
}

describe.each(PICTURES)('the graph of $name', ({ machine }) => {
  // The raw configuration has XState's own, much wider type; here only its shape matters.
  const raw = machine.config as unknown as RawState
  const graph = machineGraph(machine)

  it('has every state once, parents before children', () => {
    expect(graph.states.map(({ id }) => id)).toEqual(stateIds(machine.id, raw))
  })

  it('has every transition once', () => {
    const found = graph.transitions.map((t) => `${t.source} ${t.event} ${t.alternative} ${t.target ?? '-'}`)
    expect([...found].sort()).toEqual([...declared(machine.id, '', raw)].sort())
    expect(new Set(graph.transitions.map(({ id }) => id)).size).toBe(graph.transitions.length)
  })

  it('names guards, actions and effects, and describes every state', () => {
    const names = graph.transitions.flatMap(({ guard, actions }) => [...(guard === null ? [] : [guard]), ...actions])
    const effects = graph.states.flatMap((state) => [...state.effects, ...state.entry, ...state.exit])
    expect([...names, ...effects]).not.toContain('inline')
    expect(graph.states.filter(({ description }) => description === '')).toEqual([])
  })
})

it('reads parallel regions, delays, ends and what stays', () => {
  const machine = createMachine({
    id: 'm',
    type: 'parallel',
    states: {
      a: { initial: 'x', states: { x: { after: { 50: 'y' } }, y: { type: 'final' } }, onDone: '#m.b.q' },
      b: { initial: 'p', states: { p: { on: { GO: 'q', STAY: { actions: 'note' } } }, q: {} } },
    },
  })
  const { states, transitions } = machineGraph(machine)
  expect(states.map(({ path, type, initial }) => [path, type, initial])).toEqual([
    ['', 'parallel', null],
    ['a', 'compound', 'm.a.x'],
    ['a.x', 'atomic', null],
    ['a.y', 'final', null],
    ['b', 'compound', 'm.b.p'],
    ['b.p', 'atomic', null],
    ['b.q', 'atomic', null],
  ])
  expect(transitions.map(({ source, event, target, actions }) => [source, event, target, actions])).toEqual([
    ['m.a', 'xstate.done.state.m.a', 'm.b.q', []],
    ['m.a.x', 'xstate.after.50.m.a.x', 'm.a.y', []],
    ['m.b.p', 'GO', 'm.b.q', []],
    ['m.b.p', 'STAY', null, ['note']],
  ])
})
