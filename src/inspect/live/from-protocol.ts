// Follows actors of other programs through the inspector protocol of @statelyai/inspect: actors, events and snapshots as JSON.
// Must never trust what arrives: it is parsed within bounds, and a message that does not fit is passed over.

import type { StateValue } from 'xstate'
import { z } from 'zod'
import { ancestors, type GraphTransition, type MachineGraph } from '../diagram/graph.js'
import type { Drawing } from './chart.js'
import { type FlowBook, pathsOf, stateText } from './flow-book.js'
import { asJson } from './json.js'
import type { Step, Taken } from './messages.js'

/** Levels of states in states. */
const DEEPEST = 30
/** States that a machine is in at once. */
const MOST_ACTIVE = 500
const LONGEST_NAME = 500

/** Looks at no more of a value than its bounds allow: how deep and how large it is, is up to whoever sent it. */
function isStateValue(given: unknown): given is StateValue {
  let seen = 0
  const fits = (value: unknown, depth: number): boolean => {
    seen += 1
    if (seen > MOST_ACTIVE || depth > DEEPEST) return false
    if (typeof value === 'string') return value.length <= LONGEST_NAME
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    return Object.entries(value).every(([name, inner]) => name.length <= LONGEST_NAME && fits(inner, depth + 1))
  }
  return fits(given, 1)
}

const name = z.string().max(LONGEST_NAME)
const event = z.looseObject({ type: name })
const snapshot = z.object({
  status: z.enum(['active', 'done', 'error', 'stopped']).optional(),
  value: z.custom<StateValue>(isStateValue).optional(),
  context: z.unknown(),
})

/** The three messages of the protocol, as far as they are read. */
const message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('@xstate.actor'),
    sessionId: name,
    name: name.optional(),
    definition: z.string().optional(),
    snapshot: snapshot.nullish(),
  }),
  z.object({
    type: z.literal('@xstate.event'),
    sessionId: name,
    sourceId: name.nullish(),
    event,
  }),
  z.object({ type: z.literal('@xstate.snapshot'), sessionId: name, snapshot: snapshot.nullish(), event }),
])

type Message = z.infer<typeof message>

/** Actors whose names are remembered, for saying who sent an event. */
const MOST_NAMES = 2_000

/** How many decisions without an event may follow one another. */
const MOST_DECISIONS = 8

/** Ways that are tried before one is given up: decisions that lead to decisions make more of them than can be looked at. */
const MOST_WAYS = 200

/** Whether a transition's event descriptor, which may end in a wildcard, fits an event. */
function answers(descriptor: string, type: string): boolean {
  if (descriptor === type || descriptor === '*') return true
  return descriptor.endsWith('.*') && type.startsWith(descriptor.slice(0, -1))
}

/**
 * What was taken between two snapshots: the protocol does not say, so the way is looked for in the graph. A transition on
 * the event from a state that was active, and then decisions without an event until a state is reached that is active now.
 */
export function wayBetween(
  graph: MachineGraph,
  before: readonly string[],
  type: string,
  after: readonly string[],
): readonly GraphTransition[] {
  let ways = 0
  const arrived = ({ target }: GraphTransition): boolean => target === null || after.includes(target)
  const follow = (way: readonly GraphTransition[]): readonly GraphTransition[] | null => {
    const last = way.at(-1)
    ways += 1
    if (last === undefined || way.length > MOST_DECISIONS || ways > MOST_WAYS) return null
    const inside = last.target === null ? null : entered(graph, last.target)
    const decided = graph.transitions.filter(
      ({ event: name, source }) => name === '' && inside !== null && inside.includes(source),
    )
    // A state that decides at once is never stayed in, even if it is entered again later.
    if (arrived(last) && decided.length === 0) return way
    for (const next of decided) {
      const found = follow([...way, next])
      if (found !== null) return found
    }
    return arrived(last) ? way : null
  }
  // Inner states are asked before outer ones.
  const sources = [...before].sort((a, b) => ancestors(graph, b).length - ancestors(graph, a).length)
  for (const source of [...sources, graph.id]) {
    for (const start of graph.transitions.filter((one) => one.source === source && answers(one.event, type))) {
      const found = follow([start])
      if (found !== null) return found
    }
  }
  return []
}

/** A state and everything that is entered with it. */
function entered(graph: MachineGraph, id: string): readonly string[] {
  const initial = graph.states.find((state) => state.id === id)?.initial ?? null
  return [id, ...(initial === null ? [] : entered(graph, initial))]
}

interface Followed {
  readonly drawing: Drawing
  /** Ids of the states it was in; null before the first snapshot. */
  before: readonly string[] | null
  state: string
  sender: { readonly type: string; readonly by: string } | null
}

/**
 * A reader of protocol messages from one program, which writes what it reads into the book.
 *
 * @param connection tells this program's actors from those of others.
 * @param readDefinition reads machines.
 * @returns takes one message as parsed JSON and says whether it was one of the protocol's.
 */
export function fromProtocol(
  book: FlowBook,
  connection: string,
  readDefinition: (definition: string) => Drawing | null,
): (data: unknown) => boolean {
  const names = new Map<string, string>()
  const followed = new Map<string, Followed>()

  const keyOf = (sessionId: string): string => `${connection} ${sessionId}`

  function begin(actor: Extract<Message, { type: '@xstate.actor' }>): void {
    const name = actor.name ?? actor.sessionId
    names.set(actor.sessionId, name)
    for (const oldest of names.keys()) {
      if (names.size <= MOST_NAMES) break
      names.delete(oldest)
    }
    const drawing = actor.definition === undefined ? null : readDefinition(actor.definition)
    if (drawing === null) return
    book.begin(keyOf(actor.sessionId), { name, drawing })
    followed.set(actor.sessionId, { drawing, before: null, state: '', sender: null })
    // The book forgets flows that never end; so does this.
    for (const id of followed.keys()) if (!book.has(keyOf(id))) followed.delete(id)
  }

  function step(seen: Extract<Message, { type: '@xstate.snapshot' }>): void {
    const actor = followed.get(seen.sessionId)
    const { value, context, status = 'active' } = seen.snapshot ?? {}
    if (actor === undefined || value === undefined) return
    const { graph } = actor.drawing
    const idOf = new Map(graph.states.map(({ path, id }) => [path, id]))
    const after = pathsOf(value).flatMap((path) => idOf.get(path) ?? [])
    const { type, ...payload } = seen.event
    const started = actor.before === null
    const taken = actor.before === null ? [] : wayBetween(graph, actor.before, type, after).map(asTaken)
    // By its text: of a machine that is too large to be drawn no state has an id.
    const state = stateText(value)
    const changed = state !== actor.state
    actor.before = after
    actor.state = state
    // XState takes a snapshot of events that nothing answers to; those are no steps.
    if (!started && !changed && taken.length === 0 && status === 'active') return
    book.add(keyOf(seen.sessionId), {
      event: started ? 'START' : type,
      by: actor.sender?.type === type ? actor.sender.by : null,
      value,
      taken,
      status: status satisfies Step['status'],
      payload: started ? {} : asJson(payload),
      context: asJson(context),
    })
    if (status !== 'active') followed.delete(seen.sessionId)
  }

  return (data) => {
    const parsed = message.safeParse(data)
    if (!parsed.success) return false
    const seen = parsed.data
    if (seen.type === '@xstate.actor') begin(seen)
    else if (seen.type === '@xstate.snapshot') step(seen)
    else {
      const actor = followed.get(seen.sessionId)
      const by = seen.sourceId == null ? undefined : names.get(seen.sourceId)
      if (actor !== undefined) actor.sender = by === undefined ? null : { type: seen.event.type, by }
    }
    return true
  }
}

const asTaken = ({ id, source, target, event: name, guard }: GraphTransition): Taken => ({
  id,
  source,
  target,
  event: name,
  guard,
})
