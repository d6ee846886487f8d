// Makes mutants of the payment-flow machine: for each transition, machines that differ in that one transition only.
// Must never change the machine itself: every mutant is built from a copy of its configuration.

import { createMachine, not } from 'xstate'
import { paymentFlowMachine } from '../../../machines/index.js'
import { type ModelTransition, TRANSITIONS } from './transitions.js'

/**
 * What is wrong with a mutant: the transition leads elsewhere, is missing, or its guard says the opposite.
 */
export type MutationKind = 'retarget' | 'drop' | 'negate'

/** A machine that differs from the real one in one transition. */
export interface Mutant {
  /** `drop paying mpp_invalid_challenge [withinBound]`. */
  readonly name: string
  readonly kind: MutationKind
  readonly transition: ModelTransition
  readonly machine: () => typeof paymentFlowMachine
}

type Json = Readonly<Record<string, unknown>>

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const FAILED = '#paymentFlow.failed'
const REQUESTING = '#paymentFlow.requesting'

function mutated(arrow: unknown, kind: MutationKind, { target, guard }: ModelTransition): readonly unknown[] {
  if (kind === 'drop') return []
  const whole = isRecord(arrow) ? arrow : { target: arrow }
  if (kind === 'negate' && guard !== null) return [{ ...whole, guard: not(guard) }]
  return [{ ...whole, target: target === 'failed' ? REQUESTING : FAILED }]
}

/** The alternatives of one event with one of them changed; undefined when none is left. */
function withMutation(arrows: unknown, kind: MutationKind, transition: ModelTransition): unknown {
  const all: readonly unknown[] = Array.isArray(arrows) ? arrows : [arrows]
  const changed = all.flatMap((arrow, at) => (at === transition.index ? mutated(arrow, kind, transition) : [arrow]))
  return changed.length === 0 ? undefined : changed
}

function inNode(node: Json, path: readonly string[], kind: MutationKind, transition: ModelTransition): Json {
  const [child, ...rest] = path
  if (child !== undefined) {
    const states = isRecord(node.states) ? node.states : {}
    const inner = states[child]
    if (!isRecord(inner)) throw new Error(`the machine has no state ${transition.source}`)
    return { ...node, states: { ...states, [child]: inNode(inner, rest, kind, transition) } }
  }
  if (transition.event === '') return { ...node, always: withMutation(node.always, kind, transition) }
  const { [transition.event]: arrows, ...others } = isRecord(node.on) ? node.on : {}
  const changed = withMutation(arrows, kind, transition)
  return { ...node, on: changed === undefined ? others : { ...others, [transition.event]: changed } }
}

function build(kind: MutationKind, transition: ModelTransition): typeof paymentFlowMachine {
  const path = transition.source === 'any state' ? [] : transition.source.split('.')
  const config = inNode(paymentFlowMachine.config, path, kind, transition)
  // A cast: one arrow less, or another one, is again a configuration of the same machine, which types cannot say.
  return createMachine(
    config as typeof paymentFlowMachine.config,
    paymentFlowMachine.implementations,
  ) as unknown as typeof paymentFlowMachine
}

/** Every mutant of the machine. */
export const MUTANTS: readonly Mutant[] = TRANSITIONS.flatMap((transition) => {
  const kinds: readonly MutationKind[] = [
    'retarget',
    'drop',
    ...(transition.guard === null ? [] : (['negate'] as const)),
  ]
  return kinds.map((kind) => ({
    name: `${kind} ${transition.id}`,
    kind,
    transition,
    machine: () => build(kind, transition),
  }))
})
