// Every transition of the payment-flow machine under an id of its own, and which of them an event takes.
// Must never be written by hand: the list is read from the machine.

import { type ActorScope, createActor, type SnapshotFrom } from 'xstate'
import { leadsToOf, type PaymentFlowEvent, type paymentFlowMachine, stateName } from '../../../machines/index.js'
import { type FlowSnapshot, paymentFlowModel } from './payment-flow-model.js'
import { inputOf, PLAIN } from './settings.js'

type Machine = typeof paymentFlowMachine
type Node = Machine['root']
type Definition = NonNullable<Node['always']>[number]

/** One arrow, or one of several guarded alternatives. */
export interface ModelTransition {
  /** `paying mpp_invalid_challenge [withinBound]`; decisions without an event have `always` in its place. */
  readonly id: string
  /** State it belongs to, in dotted form; `any state` for those of the root. */
  readonly source: string
  /** Empty for a decision that is made without an event. */
  readonly event: string
  /** Its place among the alternatives. */
  readonly index: number
  readonly guard: string | null
  /** Dotted; null when it only takes note of something. */
  readonly target: string | null
  /** Whether it uses up a bound. */
  readonly recovers: boolean
  /** Everything about it but its event: arrows that are alike do the same to a flow. */
  readonly equivalence: string
}

const ROOT = 'any state'

function guardOf(definition: Definition): string | null {
  return typeof definition.guard === 'string' ? definition.guard : null
}

function pathOf(node: Node): string {
  return node.path.length === 0 ? ROOT : node.path.join('.')
}

interface Known {
  readonly transition: ModelTransition
  readonly definition: Definition
}

function knownOf(node: Node): readonly Known[] {
  const groups = [...node.transitions.entries(), ['', node.always ?? []] as const]
  return groups.flatMap(([event, definitions]) =>
    definitions.map((definition, index) => {
      const guard = guardOf(definition)
      const source = pathOf(node)
      const alternative = guard ?? (definitions.length > 1 ? 'otherwise' : null)
      const target = definition.target?.[0] === undefined ? null : pathOf(definition.target[0])
      const transition: ModelTransition = {
        id: `${source} ${event === '' ? 'always' : event}${alternative === null ? '' : ` [${alternative}]`}`,
        source,
        event,
        index,
        guard,
        target,
        recovers: leadsToOf(definition) !== null,
        equivalence: `${source} [${guard ?? ''}] → ${target ?? source}: ${definition.actions.map(String).join(', ')}`,
      }
      return { transition, definition }
    }),
  )
}

function allOf(node: Node): readonly Known[] {
  return [...knownOf(node), ...Object.values(node.states).flatMap(allOf)]
}

const KNOWN = allOf(paymentFlowModel.root)
const BY_DEFINITION = new Map(KNOWN.map(({ definition, transition }) => [definition, transition]))
const DECISIONS = new Map(
  KNOWN.filter(({ transition }) => transition.event === '').map(({ transition, definition }) => [
    transition.source,
    definition.source.always ?? [],
  ]),
)

/** Every transition of the machine. */
export const TRANSITIONS: readonly ModelTransition[] = KNOWN.map(({ transition }) => transition)

/** Every state in which a flow can rest or end, and those it passes without resting. */
export const STATES: readonly string[] = statesOf(paymentFlowModel.root)

function statesOf(node: Node): readonly string[] {
  const inner = Object.values(node.states)
  return inner.length === 0 ? [pathOf(node)] : inner.flatMap(statesOf)
}

/**
 * Where the model is stepped without an actor of its own. XState's pure functions make one for each step, and with it the
 * whole beginning of a flow: nine tenths of what exploring costs.
 */
const SCOPE = scopeOf()

function scopeOf(): ActorScope<SnapshotFrom<Machine>, PaymentFlowEvent> {
  const self = createActor(paymentFlowModel, { input: inputOf(PLAIN) })
  const nothing = (): void => undefined
  const { system } = self
  return {
    self,
    system,
    id: '',
    sessionId: '',
    logger: nothing,
    defer: nothing,
    emit: nothing,
    stopChild: nothing,
    actionExecutor: nothing,
  }
}

/** What one event does to a flow. */
export interface Taken {
  readonly snapshot: FlowSnapshot
  /** The transitions it takes: its own, and the decisions that follow. */
  readonly transitions: readonly ModelTransition[]
}

/** The arrow that an event takes, without the decisions that follow; undefined when the state does not know it. */
export function arrowFor(snapshot: FlowSnapshot, event: PaymentFlowEvent): ModelTransition | undefined {
  const [own] = paymentFlowModel.getTransitionData(snapshot, event)
  return own === undefined ? undefined : BY_DEFINITION.get(own)
}

/** Takes one event. No transitions: the state does not know it. */
export function take(snapshot: FlowSnapshot, event: PaymentFlowEvent): Taken {
  const known = arrowFor(snapshot, event)
  if (known === undefined) return { snapshot, transitions: [] }
  const transitions = [known]
  let last = snapshot
  for (const next of paymentFlowModel.microstep(snapshot, event, SCOPE)) {
    if (last !== snapshot) {
      const decided = decisionIn(last, event)
      if (decided !== undefined) transitions.push(decided)
    }
    last = next
  }
  return { snapshot: last, transitions }
}

/** The decision that is made in a state without an event: the first whose guard says yes. */
function decisionIn(snapshot: FlowSnapshot, event: PaymentFlowEvent): ModelTransition | undefined {
  const { guards } = paymentFlowModel.implementations
  const made = (DECISIONS.get(stateName(snapshot.value)) ?? []).find((definition) => {
    const guard = guards[guardOf(definition) as keyof typeof guards]
    return definition.guard === undefined || guard?.({ context: snapshot.context, event }, undefined) === true
  })
  return made === undefined ? undefined : BY_DEFINITION.get(made)
}
