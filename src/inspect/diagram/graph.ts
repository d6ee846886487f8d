// Reads any XState machine into a plain graph of states and transitions, from the machine itself and nothing else.
// Must never leave out or invent a state or a transition: every picture, and every check of one, starts from here.

import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { leadsToOf } from '../../../machines/index.js'

/** How a state behaves, in XState's own words. */
export type StateType = 'atomic' | 'compound' | 'parallel' | 'final' | 'history'

/** One state of a machine. */
export interface GraphState {
  /** XState's id: `paymentFlow.authorizing.planning`. */
  readonly id: string
  /** The dotted path without the machine's own name, as traces show it: `authorizing.planning`; empty for the machine. */
  readonly path: string
  /** The last part of the path. */
  readonly name: string
  readonly parent: string | null
  readonly children: readonly string[]
  readonly type: StateType
  readonly description: string
  readonly tags: readonly string[]
  /** Names of the actors it invokes: its effects. */
  readonly effects: readonly string[]
  readonly entry: readonly string[]
  readonly exit: readonly string[]
  /** Id of the child it starts in; null for a state without children. */
  readonly initial: string | null
}

/** One guarded alternative of one event in one state. */
export interface GraphTransition {
  /** Unique in the graph and stable between runs. */
  readonly id: string
  readonly source: string
  /** Null when the machine stays where it is. */
  readonly target: string | null
  /** Empty for a decision that needs no event (`always`). */
  readonly event: string
  /** Null for the alternative that is taken when no guard before it said yes. */
  readonly guard: string | null
  readonly actions: readonly string[]
  /** Where the recovery leads, as its `meta` says; null for a transition that is none. */
  readonly leadsTo: string | null
  /** Place among the alternatives of the same event in the same state, from 0. */
  readonly alternative: number
}

/** A machine as data. States are in document order, a parent before its children. */
export interface MachineGraph {
  readonly id: string
  readonly description: string
  readonly states: readonly GraphState[]
  readonly transitions: readonly GraphTransition[]
}

/** The name under which a machine's `setup` knows a guard, an action or an actor; `inline` when it has none. */
export function implementationName(implementation: unknown): string {
  if (typeof implementation === 'string') return implementation
  if (typeof implementation === 'object' && implementation !== null && 'type' in implementation) {
    if (typeof implementation.type === 'string') return implementation.type
  }
  if (typeof implementation === 'function' && 'type' in implementation && typeof implementation.type === 'string') {
    return implementation.type
  }
  return 'inline'
}

/** Every transition that a state itself declares, event by event, decisions without an event last. */
export function declaredTransitions(node: AnyStateNode): readonly AnyTransitionDefinition[] {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])]
}

/** The children of a state in document order. */
export function childrenOf(node: AnyStateNode): readonly AnyStateNode[] {
  return Object.values<AnyStateNode>(node.states).sort((a, b) => a.order - b.order)
}

function readState(node: AnyStateNode): GraphState {
  const children = childrenOf(node)
  return {
    id: node.id,
    path: node.path.join('.'),
    name: node.key,
    parent: node.parent?.id ?? null,
    children: children.map((child) => child.id),
    type: node.type,
    description: node.description ?? '',
    tags: [...node.tags],
    effects: node.invoke.map((invoked) => implementationName(invoked.src)),
    entry: node.entry.map(implementationName),
    exit: node.exit.map(implementationName),
    initial: node.type === 'compound' ? (node.initial.target[0]?.id ?? null) : null,
  }
}

function readTransitions(node: AnyStateNode): (readonly [AnyTransitionDefinition, GraphTransition[]])[] {
  const alternatives = new Map<string, number>()
  return declaredTransitions(node).map((definition) => {
    const event = String(definition.eventType)
    const alternative = alternatives.get(event) ?? 0
    alternatives.set(event, alternative + 1)
    // A transition into several regions of a parallel state is one arrow per region.
    const targets: (string | null)[] = definition.target?.map((target) => target.id) ?? [null]
    const read = targets.map((target) => ({
      id: `${node.id}|${event}|${alternative}|${target ?? ''}`,
      source: node.id,
      target,
      event,
      guard: definition.guard === undefined ? null : implementationName(definition.guard),
      actions: definition.actions.map(implementationName),
      leadsTo: leadsToOf(definition),
      alternative,
    }))
    return [definition, read] as const
  })
}

function walk(node: AnyStateNode): AnyStateNode[] {
  return [node, ...childrenOf(node).flatMap(walk)]
}

/**
 * The graph of a machine.
 *
 * @example
 * ```ts
 * import { machineGraph } from 'mpp-flow/inspect'
 * import { paymentFlowMachine } from 'mpp-flow/machines'
 *
 * const graph = machineGraph(paymentFlowMachine)
 * console.log(graph.transitions.filter((transition) => transition.event === 'mpp_invalid_challenge'))
 * ```
 */
export function machineGraph(machine: AnyStateMachine): MachineGraph {
  const nodes = walk(machine.root)
  return {
    id: machine.root.id,
    description: machine.root.description ?? '',
    states: nodes.map(readState),
    transitions: nodes.flatMap((node) => readTransitions(node).flatMap(([, read]) => read)),
  }
}

/** What the graph calls each of a machine's own transitions, as XState reports them when they are taken. */
export function transitionsOf(
  machine: AnyStateMachine,
): ReadonlyMap<AnyTransitionDefinition, readonly GraphTransition[]> {
  return new Map(walk(machine.root).flatMap(readTransitions))
}

const parents = new WeakMap<MachineGraph, ReadonlyMap<string, string | null>>()

/** The states above a state, nearest first, the machine last. */
export function ancestors(graph: MachineGraph, id: string): readonly string[] {
  const known = parents.get(graph) ?? new Map(graph.states.map((state) => [state.id, state.parent]))
  parents.set(graph, known)
  const above: string[] = []
  for (let at = known.get(id) ?? null; at !== null; at = known.get(at) ?? null) above.push(at)
  return above
}
