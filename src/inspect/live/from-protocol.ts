// Follows actors of other programs through the inspector protocol of @statelyai/inspect: actors, events and snapshots as JSON.
// Must never trust what arrives: it is parsed, and a message that does not fit is passed over.

import type { StateValue } from 'xstate'
import { z } from 'zod'
import { ancestors, type GraphTransition, type MachineGraph } from '../diagram/graph.js'
import type { Drawing } from './chart.js'
import { readDefinition } from './definition.js'
import { type FlowBook, pathsOf } from './flow-book.js'
import { asJson } from './json.js'
import type { Step, Taken } from './messages.js'

const stateValue: z.ZodType<StateValue> = z.lazy(() => z.union([z.string(), z.record(z.string(), stateValue)]))
const event = z.looseObject({ type: z.string() })
const snapshot = z.looseObject({
  status: z.enum(['active', 'done', 'error', 'stopped']).optional(),
  value: stateValue.optional(),
  context: z.unknown(),
})

/** The three messages of the protocol, as far as they are read. */
const message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('@xstate.actor'),
    sessionId: z.string(),
    name: z.string().optional(),
    definition: z.string().optional(),
    snapshot: snapshot.nullish(),
  }),
  z.object({
    type: z.literal('@xstate.event'),
    sessionId: z.string(),
    sourceId: z.string().nullish(),
    event,
  }),
  z.object({ type: z.literal('@xstate.snapshot'), sessionId: z.string(), snapshot: snapshot.nullish(), event }),
])

type Message = z.infer<typeof message>

/** Definitions that were read, so that a thousand actors of one machine are read once. */
const MOST_DEFINITIONS = 50

/** Actors whose names are remembered, for saying who sent an event. */
const MOST_NAMES = 2_000

/** How many decisions without an event may follow one another. */
const MOST_DECISIONS = 8

/** Whether a transition's event descriptor, which may end in a wildcard, fits an event. */
function fits(descriptor: string, type: string): boolean {
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
  const arrived = ({ target }: GraphTransition): boolean => target === null || after.includes(target)
  const follow = (way: readonly GraphTransition[]): readonly GraphTransition[] | null => {
    const last = way.at(-1)
    if (last === undefined || way.length > MOST_DECISIONS) return null
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
    for (const start of graph.transitions.filter((one) => one.source === source && fits(one.event, type))) {
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
  before: readonly string[]
  sender: { readonly type: string; readonly by: string } | null
}

/**
 * A reader of protocol messages from one program, which writes what it reads into the book.
 *
 * @param connection tells this program's actors from those of others.
 * @returns takes one message as parsed JSON and says whether it was one of the protocol's.
 */
export function fromProtocol(book: FlowBook, connection: string): (data: unknown) => boolean {
  const definitions = new Map<string, Drawing | null>()
  const names = new Map<string, string>()
  const followed = new Map<string, Followed>()

  function drawingFor(definition: string): Drawing | null {
    const known = definitions.get(definition)
    if (known !== undefined) return known
    const drawing = readDefinition(definition)
    if (definitions.size >= MOST_DEFINITIONS) definitions.clear()
    definitions.set(definition, drawing)
    return drawing
  }

  function begin(actor: Extract<Message, { type: '@xstate.actor' }>): void {
    const name = actor.name ?? actor.sessionId
    names.set(actor.sessionId, name)
    for (const oldest of names.keys()) {
      if (names.size <= MOST_NAMES) break
      names.delete(oldest)
    }
    const drawing = actor.definition === undefined ? null : drawingFor(actor.definition)
    if (drawing === null) return
    const key = `${connection} ${actor.sessionId}`
    book.begin(key, { name, drawing })
    followed.set(actor.sessionId, { drawing, before: [], sender: null })
  }

  function step(seen: Extract<Message, { type: '@xstate.snapshot' }>): void {
    const actor = followed.get(seen.sessionId)
    const { value, context, status = 'active' } = seen.snapshot ?? {}
    if (actor === undefined || value === undefined) return
    const { graph } = actor.drawing
    const idOf = new Map(graph.states.map(({ path, id }) => [path, id]))
    const after = pathsOf(value).flatMap((path) => idOf.get(path) ?? [])
    const { type, ...payload } = seen.event
    const started = actor.before.length === 0
    const taken = started ? [] : wayBetween(graph, actor.before, type, after).map(asTaken)
    const changed = after.join() !== actor.before.join()
    actor.before = after
    // XState takes a snapshot of events that nothing answers to; those are no steps.
    if (!started && !changed && taken.length === 0 && status === 'active') return
    book.add(`${connection} ${seen.sessionId}`, {
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
