// Reads a machine's definition as the inspector protocol sends it: a configuration as JSON text, its keys sorted.
// Must never trust it: what cannot be read is no machine, and it is measured before anything is built from it.

import { createHash } from 'node:crypto'
import { createMachine } from 'xstate'
import { ancestors, type MachineGraph, machineGraph } from '../diagram/graph.js'
import { PICTURES } from '../pictures.js'
import { type Drawing, drawingOf, drawingOfGraph, tooLarge } from './chart.js'

/** Values in a configuration, whatever they are: the payment-flow machine has some thousands. */
const MOST_VALUES = 40_000
/** How deep a configuration may be nested. A state in a state is two levels. */
const DEEPEST = 60
/** Characters of a graph as JSON: names and descriptions are kept. */
const LARGEST_GRAPH = 512 * 1024
const LONGEST_ID = 200

/** Definitions that were read, so that a thousand actors of one machine are read once. */
const MOST_DEFINITIONS = 50

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** Counts without calling itself: how deep a configuration is nested is up to whoever sent it. */
function measure(config: object): { readonly states: number; readonly values: number; readonly depth: number } {
  let states = 0
  let values = 0
  let deepest = 0
  const left: { readonly value: object; readonly depth: number }[] = [{ value: config, depth: 1 }]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, depth } = next
    deepest = Math.max(deepest, depth)
    for (const [name, inner] of Object.entries(value)) {
      values += 1
      if (!isObject(inner)) continue
      if (name === 'states') states += Object.keys(inner).length
      left.push({ value: inner, depth: depth + 1 })
    }
  }
  return { states, values, depth: deepest }
}

/** A machine by its name alone: its actors are followed, and nothing of it is drawn. */
function withoutStates(id: unknown, problem: string): Drawing {
  const name = typeof id === 'string' && id !== '' ? id.slice(0, LONGEST_ID) : 'machine'
  const root = { id: name, path: '', name, parent: null, children: [], initial: null, type: 'compound' } as const
  const state = { ...root, description: '', tags: [], effects: [], entry: [], exit: [] }
  return drawingOfGraph({ id: name, description: '', states: [state], transitions: [] }, new Map(), problem)
}

/** A machine from its configuration as text; null when there are no states in it, or it cannot be read. */
export function readDefinition(definition: string): Drawing | null {
  let graph: MachineGraph
  try {
    const config: unknown = JSON.parse(definition)
    if (!isObject(config) || !('states' in config)) return null
    const { states, values, depth } = measure(config)
    const problem = tooLarge(states, 0)
    if (problem !== null) return withoutStates(config.id, problem.replace(' and 0 transitions', ''))
    if (values > MOST_VALUES || depth > DEEPEST)
      return withoutStates(config.id, 'The definition of this machine is too large to be read. Its steps are listed.')
    // createMachine throws for what is no configuration; there is no schema to parse one with.
    graph = machineGraph(createMachine(config as Parameters<typeof createMachine>[0]))
  } catch {
    // Not a machine that can be drawn; its events still name it as a sender.
    return null
  }
  const problem = tooLarge(graph.states.length, graph.transitions.length)
  if (problem !== null) return withoutStates(graph.id, problem)
  if (JSON.stringify(graph).length > LARGEST_GRAPH)
    return withoutStates(graph.id, 'The names in this machine are too long to be drawn. Its steps are listed.')
  // A machine of this package is drawn as its own definition has it, order and all.
  const known = PICTURES.find(({ machine }) => machine.root.id === graph.id)
  if (known !== undefined && sameGraph(machineGraph(known.machine), graph)) return drawingOf(known.machine)
  return drawingOfGraph(inReadingOrder(graph))
}

/** Reads definitions for all programs, each text once. */
export function definitionReader(): (definition: string) => Drawing | null {
  const read = new Map<string, Drawing | null>()
  return (definition) => {
    const name = createHash('sha256').update(definition).digest('base64')
    const known = read.get(name)
    if (known !== undefined) return known
    const drawing = readDefinition(definition)
    for (const oldest of read.keys()) {
      if (read.size < MOST_DEFINITIONS) break
      read.delete(oldest)
    }
    read.set(name, drawing)
    return drawing
  }
}

/** Whether two graphs have the same states and transitions, in whatever order. */
export function sameGraph(a: MachineGraph, b: MachineGraph): boolean {
  const sorted = ({ states, transitions }: MachineGraph): string =>
    JSON.stringify([
      states.map((state) => JSON.stringify({ ...state, children: [...state.children].sort() })).sort(),
      transitions.map((transition) => JSON.stringify(transition)).sort(),
    ])
  return sorted(a) === sorted(b)
}

/**
 * The same graph with its states in the order in which they are reached from the initial ones. The order in which they
 * were written, by which a picture tells forth from back, is lost where keys were sorted.
 */
export function inReadingOrder(graph: MachineGraph): MachineGraph {
  const byId = new Map(graph.states.map((state) => [state.id, state]))
  const lines = new Map(graph.states.map(({ id }) => [id, [id, ...ancestors(graph, id)]] as const))
  const line = (id: string): readonly string[] => lines.get(id) ?? []

  /** Siblings, the initial one first, then what is reached from it, and so on. */
  function ordered(parent: string): readonly string[] {
    const { children = [], initial = null } = byId.get(parent) ?? {}
    const reached: string[] = initial === null ? [] : [initial]
    const left = new Set(children.filter((id) => id !== initial))
    for (let at = 0; left.size > 0; at += 1) {
      const from = reached[at]
      if (from === undefined) {
        const [next] = left
        if (next === undefined) break
        left.delete(next)
        reached.push(next)
        at -= 1
        continue
      }
      for (const { source, target } of graph.transitions) {
        if (target === null || !line(source).includes(from)) continue
        const sibling = line(target).find((id) => left.has(id))
        if (sibling === undefined) continue
        left.delete(sibling)
        reached.push(sibling)
      }
    }
    return reached
  }

  const walk = (id: string): readonly string[] => [id, ...ordered(id).flatMap(walk)]
  const states = walk(graph.id).flatMap((id) => {
    const state = byId.get(id)
    return state === undefined ? [] : [{ ...state, children: ordered(id) }]
  })
  return { ...graph, states }
}
