// Reads a machine's definition as the inspector protocol sends it: a configuration as JSON text, its keys sorted.
// Must never trust it: what cannot be read is no machine.

import { createMachine } from 'xstate'
import { ancestors, type MachineGraph, machineGraph } from '../diagram/graph.js'
import { PICTURES } from '../pictures.js'
import { type Drawing, drawingOf, drawingOfGraph } from './chart.js'

/** A machine from its configuration as text; null when there are no states in it, or it cannot be read. */
export function readDefinition(definition: string): Drawing | null {
  let graph: MachineGraph
  try {
    const config: unknown = JSON.parse(definition)
    if (typeof config !== 'object' || config === null || !('states' in config)) return null
    // createMachine throws for what is no configuration; there is no schema to parse one with.
    graph = machineGraph(createMachine(config as Parameters<typeof createMachine>[0]))
  } catch {
    // Not a machine that can be drawn; its events still name it as a sender.
    return null
  }
  // A machine of this package is drawn as its own definition has it, order and all.
  const known = PICTURES.find(({ machine }) => machine.root.id === graph.id)
  if (known !== undefined && sameGraph(machineGraph(known.machine), graph)) return drawingOf(known.machine)
  return drawingOfGraph(inReadingOrder(graph))
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
  const line = (id: string): readonly string[] => [id, ...ancestors(graph, id)]

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
