// Mermaid text and Studio JSON say the same as the machine, and stale files are found.
// Must never compare a format with itself: JSON goes back through XState before it is compared.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createMachine } from 'xstate'
import { type MachineGraph, machineGraph } from '../../src/inspect/diagram/graph.js'
import { groupGraph } from '../../src/inspect/diagram/grouping.js'
import { drawMermaid } from '../../src/inspect/diagram/mermaid.js'
import { PLAIN_RULES } from '../../src/inspect/diagram/rules.js'
import { formatJson, studioConfig } from '../../src/inspect/diagram/studio.js'
import { staleDocuments, writeDocuments } from '../../src/inspect/documents.js'
import { PICTURES } from '../../src/inspect/pictures.js'

function throughJson(machine: Parameters<typeof studioConfig>[0]): MachineGraph {
  return machineGraph(createMachine(JSON.parse(formatJson(studioConfig(machine)))))
}

describe.each(PICTURES)('$name', ({ machine, rules }) => {
  const graph = machineGraph(machine)
  const grouped = groupGraph(graph, rules)

  it('comes back from its JSON with the same states and transitions', () => {
    expect(throughJson(machine)).toEqual(graph)
  })

  it('has each state, each arrow and each note in its Mermaid text', () => {
    const text = drawMermaid(grouped)
    const idOf = (id: string): string => {
      const path = graph.states.find((state) => state.id === id)?.path ?? ''
      return `s_${path.replaceAll('.', '_')}`
    }
    expect(text).toMatch(/^%% .*\nstateDiagram-v2\n/)
    for (const { id, name, parent } of graph.states) {
      if (parent !== null) expect(text).toContain(`state "${name}" as ${idOf(id)}`)
    }
    for (const { source, target } of grouped.arrows) expect(text).toContain(`${idOf(source)} --> ${idOf(target)} : `)
    for (const { text: said } of grouped.notes) expect(text).toContain(said)
    const braces = [...text].filter((character) => character === '{').length
    expect(braces).toBe(graph.states.filter(({ children, parent }) => children.length > 0 && parent !== null).length)
    expect([...text].filter((character) => character === '}').length).toBe(braces)
  })
})

it('keeps delays, ends, histories, regions and parameters in JSON', () => {
  const machine = createMachine({
    id: 'm',
    initial: 'a',
    states: {
      a: {
        entry: [{ type: 'note', params: { at: 1 } }, 'plain'],
        invoke: {
          id: 'work',
          src: 'work',
          onDone: { target: 'b', guard: { type: 'fits', params: { n: 2 } } },
          onError: 'c',
        },
        after: { 50: 'b', slow: [{ target: 'c', guard: 'late' }, { target: 'b' }] },
      },
      b: {
        type: 'parallel',
        states: { l: { initial: 'x', states: { x: {}, h: { type: 'history', history: 'deep' } } }, r: {} },
        onDone: 'c',
      },
      c: { type: 'final', tags: ['end'] },
    },
  })
  const copy = throughJson(machine)
  expect(copy).toEqual(machineGraph(machine))
  expect(copy.transitions).toHaveLength(6)
  expect(studioConfig(machine)).toMatchObject({
    states: { a: { entry: [{ type: 'note', params: { at: 1 } }, 'plain'], invoke: [{ id: 'work', src: 'work' }] } },
  })
})

it('escapes in Mermaid what Mermaid would read as syntax', () => {
  const machine = createMachine({ id: 'm', initial: 'end', states: { end: { on: { 'a;b#c': 'done' } }, done: {} } })
  const text = drawMermaid(groupGraph(machineGraph(machine), PLAIN_RULES))
  expect(text).toContain('s_end --> s_done : a b c')
})

it('prints JSON that parses to the same value, short lists on one line', () => {
  const value = {
    a: ['x', 'y'],
    b: { c: [{ d: null }], e: {} },
    f: [],
    long: Array.from({ length: 40 }, (_, i) => `item${i}`),
  }
  const text = formatJson(value)
  expect(JSON.parse(text)).toEqual(value)
  expect(text).toContain('"a": ["x", "y"]')
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
})

it('finds files that are missing or stale, and only those', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'machines-'))
  try {
    const documents = ['one', 'two', 'three'].map((name) => ({ file: `${name}.svg`, content: name }))
    expect(await staleDocuments(folder, documents)).toEqual(documents)
    await writeDocuments(folder, documents)
    expect(await staleDocuments(folder, documents)).toEqual([])
    await writeFile(join(folder, 'two.svg'), 'changed by hand')
    expect(await staleDocuments(folder, documents)).toEqual([documents[1]])
  } finally {
    await rm(folder, { recursive: true })
  }
})
