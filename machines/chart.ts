// Runs a chart by tables read off XState's own nodes: the same steps, without an actor and a snapshot for each of them.
// Must never guess: a chart with anything in it that the tables do not know is left to XState.

import type {
  AnyActorLogic,
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  ContextFrom,
  EventFromLogic,
  InputFrom,
  OutputFrom,
} from 'xstate'
import type { TraceStep } from './trace.js'

/** Where a run of a chart is. `state` in dotted form: `authorizing.openingSession`. */
export interface ChartSnapshot<Context> {
  readonly state: string
  readonly context: Context
  /** Whether the run is over. */
  readonly done: boolean
}

/** An effect that is to be started, or was. */
export interface Invocation {
  readonly id: string
  /** The name of the effect. */
  readonly src: string
}

/** An effect that ends because its state was left, or one that begins. */
export type Effect =
  | { readonly kind: 'stop'; readonly invocation: Invocation }
  | {
      readonly kind: 'start'
      readonly invocation: Invocation
      /** Whatever the effect of that name takes. */
      readonly input: InputFrom<AnyActorLogic>
    }

/** What one event, and the decisions that follow it, come to. */
export interface TransitionResult<Context> {
  readonly snapshot: ChartSnapshot<Context>
  readonly steps: readonly TraceStep[]
  /** To be done once the snapshot is the new one, in this order. */
  readonly effects: readonly Effect[]
}

/** A chart that can be run by its tables. */
export interface Chart<Context, Event, Input, Output> {
  initial(input: Input): TransitionResult<Context>
  /** Undefined when the state does not take the event. */
  transition(snapshot: ChartSnapshot<Context>, event: Event): TransitionResult<Context> | undefined
  /** What a run that is over comes to. */
  outputOf(context: Context): Output
}

/** The chart of a machine. */
export type ChartOf<Machine extends AnyStateMachine> = Chart<
  ContextFrom<Machine>,
  EventFromLogic<Machine>,
  InputFrom<Machine>,
  OutputFrom<Machine>
>

type Data = { readonly context: unknown; readonly event: { readonly type: string } }
type Pure = (data: Data) => unknown

interface Start {
  readonly invocation: Invocation
  readonly input: Pure
}

/** A transition out of one leaf, with everything done on its way. */
interface Edge {
  readonly guard: Pure | null
  /** What a trace says of it; null for the initial transition. */
  readonly step: TraceStep | null
  readonly stops: readonly Effect[]
  /** Context updates and effects to start, in the order in which they are done. */
  readonly work: readonly (Pure | Start)[]
  readonly target: string
}

interface Leaf {
  readonly final: boolean
  readonly on: ReadonlyMap<string, readonly Edge[]>
  readonly always: readonly Edge[]
}

/** Something that XState knows and the tables do not. */
class Unknown extends Error {}

/** Ancestors, innermost first: what a state does not answer is left to them. */
function ancestors(node: AnyStateNode): AnyStateNode[] {
  return node.parent === undefined ? [node] : [node, ...ancestors(node.parent)]
}

const nameOf = (node: AnyStateNode): string => node.path.join('.')

function isWithin(node: AnyStateNode, outer: AnyStateNode): boolean {
  return node !== outer && ancestors(node).includes(outer)
}

/** A state and the initial states below it, which are entered with it. */
function initialPath(node: AnyStateNode): AnyStateNode[] {
  if (node.type === 'atomic' || node.type === 'final') return [node]
  const [first] = node.initial.target
  if (node.type !== 'compound' || first === undefined || node.initial.actions.length > 0) throw new Unknown(node.id)
  return [node, ...initialPath(first)]
}

/** Where a transition stays inside of (SCXML's transition domain). */
function domainOf({ source, reenter }: AnyTransitionDefinition, target: AnyStateNode): AnyStateNode {
  if (reenter !== true && (target === source || isWithin(target, source))) return source
  const common = ancestors(target).find((outer) => isWithin(target, outer) && isWithin(source, outer))
  if (common !== undefined) return common
  if (reenter === true) throw new Unknown(`${source.id} is entered anew as a whole`)
  return source.machine.root
}

function pureFunction(value: unknown, name: string): Pure {
  if (typeof value !== 'function' || 'resolve' in value || 'check' in value) throw new Unknown(name)
  return (data) => value(data)
}

/** A function that is referred to by name. */
function named(reference: unknown): string {
  if (typeof reference === 'string') return reference
  const type =
    typeof reference === 'object' && reference !== null && !('params' in reference) && 'type' in reference
      ? reference.type
      : null
  if (typeof type !== 'string') throw new Unknown('neither a name nor an object with one')
  return type
}

function compile(machine: AnyStateMachine) {
  const { root } = machine
  const { guards, actions } = machine.implementations
  if (root.type !== 'compound' || root.entry.length > 0 || root.exit.length > 0 || root.invoke.length > 0) {
    throw new Unknown(root.id)
  }

  /** The only action that the tables know is XState's `assign`, with a function. */
  function updateOf(reference: unknown): Pure {
    const name = named(reference)
    const action: unknown = actions[name]
    if (typeof action !== 'function' || !('type' in action) || action.type !== 'xstate.assign') throw new Unknown(name)
    const assignment = 'assignment' in action ? action.assignment : undefined
    if (typeof assignment === 'function') return pureFunction(assignment, name)
    if (typeof assignment !== 'object' || assignment === null) throw new Unknown(name)
    if (Object.values(assignment).some((value) => typeof value === 'function')) throw new Unknown(name)
    return () => assignment
  }

  function invocationOf(
    node: AnyStateNode,
    { id, src, systemId, onSnapshot }: AnyStateNode['invoke'][number],
  ): Invocation {
    if (typeof src !== 'string' || systemId !== undefined || onSnapshot !== undefined) throw new Unknown(node.id)
    return { id, src }
  }

  function entered(node: AnyStateNode): (Pure | Start)[] {
    const starts = node.invoke.map((invoke): Start => {
      const input: unknown = invoke.input
      return {
        invocation: invocationOf(node, invoke),
        input: typeof input === 'function' ? (data) => input(data) : () => input,
      }
    })
    return [...node.entry.map(updateOf), ...starts]
  }

  function left(node: AnyStateNode): Invocation[] {
    return node.invoke.map((invoke) => invocationOf(node, invoke))
  }

  function edgeOf(leaf: AnyStateNode, transition: AnyTransitionDefinition): Edge {
    const { guard, target: targets, actions: references } = transition
    const name = guard === undefined ? null : named(guard)
    const updates = references.map(updateOf)
    // Where no event led there, the guard's name says what did.
    const event = transition.eventType === '' ? (name ?? 'otherwise') : transition.eventType
    const edge = (to: string, stops: readonly Effect[], work: Edge['work']): Edge => ({
      guard: name === null ? null : pureFunction(guards[name], name),
      step: Object.freeze({ state: to, event }),
      stops,
      work,
      target: to,
    })
    if (targets === undefined || targets.length === 0) {
      // XState calls that a forbidden event: it is taken, and it cannot be taken.
      if (updates.length === 0) throw new Unknown(`${transition.eventType} in ${transition.source.id}`)
      return edge(nameOf(leaf), [], updates)
    }
    const [target] = targets
    if (target === undefined || targets.length > 1) throw new Unknown(transition.source.id)
    const domain = domainOf(transition, target)
    const stops = ancestors(leaf)
      .filter((node) => isWithin(node, domain))
      .flatMap(left)
      .map((invocation): Effect => ({ kind: 'stop', invocation }))
    const path = [...ancestors(target).reverse(), ...initialPath(target).slice(1)]
    const work = [...updates, ...path.filter((node) => isWithin(node, domain)).flatMap(entered)]
    // Internal self-transition: children are not re-entered.
    return edge(nameOf(path.at(-1) ?? target), stops, work)
  }

  function leafOf(node: AnyStateNode): Leaf {
    const on = new Map<string, Edge[]>()
    for (const outer of ancestors(node)) {
      if (outer.exit.length > 0) throw new Unknown(`${outer.id} does something when it is left`)
      for (const [event, transitions] of outer.transitions) {
        if (event.includes('*') || event.startsWith('xstate.')) throw new Unknown(`${event} in ${outer.id}`)
        on.set(event, [...(on.get(event) ?? []), ...transitions.map((transition) => edgeOf(node, transition))])
      }
    }
    const final = node.type === 'final'
    if (final && node.parent !== root) throw new Unknown(`${node.id} ends a part of the chart`)
    return {
      final,
      on: final ? new Map() : on,
      always: ancestors(node).flatMap((outer) => (outer.always ?? []).map((transition) => edgeOf(node, transition))),
    }
  }

  const leaves = new Map<string, Leaf>()
  const collect = (node: AnyStateNode): void => {
    if (node.type === 'atomic' || node.type === 'final') leaves.set(nameOf(node), leafOf(node))
    else if (node.type !== 'compound') throw new Unknown(`${node.id} is ${node.type}`)
    else for (const child of Object.values(node.states)) collect(child)
  }
  collect(root)
  const first = initialPath(root).slice(1)
  const last = first.at(-1)
  if (last === undefined) throw new Unknown('no state to begin with')
  const start: Edge = {
    guard: null,
    step: null,
    stops: [],
    work: first.flatMap(entered),
    target: nameOf(last),
  }
  return { leaves, start }
}

/**
 * Reads the tables off a machine; null when it has something in it that they do not know: parallel or history states,
 * delays, wildcards, nested finals, exit actions, actions other than `assign`, guards that are made of others.
 *
 * The tables are one leaf's transitions by event, each with what is left and entered on its way. What they make of an event
 * is held against XState itself, over all states, by test/machines/chart.test.ts.
 */
export function chartOf<Machine extends AnyStateMachine>(machine: Machine): ChartOf<Machine> | null
export function chartOf(machine: AnyStateMachine): Chart<object, Data['event'], unknown, unknown> | null {
  let tables: ReturnType<typeof compile>
  try {
    tables = compile(machine)
  } catch (error) {
    if (error instanceof Unknown) return null
    throw error
  }
  const { leaves, start } = tables

  function leafAt(state: string): Leaf {
    const leaf = leaves.get(state)
    if (leaf === undefined) throw new RangeError(`the chart has no state ${state}`)
    return leaf
  }

  /** Follows an edge, and the eventless transitions after it, to a stable state. */
  function follow(first: Edge, before: object, event: Data['event']): TransitionResult<object> {
    const steps: TraceStep[] = []
    const effects: Effect[] = []
    let context = before
    let edge: Edge | undefined = first
    let leaf = leafAt(first.target)
    let state = first.target
    while (edge !== undefined) {
      effects.push(...edge.stops)
      for (const work of edge.work) {
        if (typeof work === 'function') context = Object.assign({ ...context }, work({ context, event }))
        else effects.push({ kind: 'start', invocation: work.invocation, input: work.input({ context, event }) })
      }
      state = edge.target
      leaf = leafAt(state)
      if (edge.step !== null) steps.push(edge.step)
      const data: Data = { context, event }
      edge = leaf.final ? undefined : leaf.always.find(({ guard }) => guard === null || Boolean(guard(data)))
    }
    return { snapshot: { state, context, done: leaf.final }, steps, effects }
  }

  return {
    initial(input) {
      const event = { type: 'xstate.init', input }
      const given: unknown = machine.config.context
      const context: object = typeof given === 'function' ? given({ input }) : Object.assign({}, given)
      return follow(start, context, event)
    },
    transition({ state, context, done }, event) {
      if (done) return undefined
      const data: Data = { context, event }
      const edge = leafAt(state)
        .on.get(event.type)
        ?.find(({ guard }) => guard === null || Boolean(guard(data)))
      return edge === undefined ? undefined : follow(edge, context, event)
    },
    outputOf(context) {
      const output: unknown = machine.root.output
      return typeof output === 'function' ? output({ context }) : output
    },
  }
}
