// Draws a machine for a screen that follows it: names and arrows only, small enough to be seen as a whole.
// Must never leave out a state; what no arrow is drawn for can still be shown when it is taken.

import type { AnyStateMachine, AnyTransitionDefinition } from 'xstate'
import {
  type GraphState,
  type GraphTransition,
  type MachineGraph,
  machineGraph,
  transitionsOf,
} from '../diagram/graph.js'
import { type GroupedGraph, groupGraph } from '../diagram/grouping.js'
import {
  type BoxOf,
  type LaidOutGraph,
  type Layout,
  type LayoutOptions,
  type LayoutRules,
  layOut,
} from '../diagram/layout.js'
import { crossingsOf } from '../diagram/quality.js'
import { classifier, happyPairs, isErrorCode, type PictureRules, PLAIN_RULES, pairKey } from '../diagram/rules.js'
import { textWidth } from '../diagram/text.js'
import { PICTURES } from '../pictures.js'
import type { Chart, Taken, Tone } from './messages.js'

/** A machine as the inspector knows it. */
export interface Drawing {
  readonly key: string
  readonly graph: MachineGraph
  readonly rules: PictureRules
  /** Why there is no picture; null when it can be drawn. */
  readonly tooLarge: string | null
  /** What is reported of a transition that XState took. */
  takenOf(definition: AnyTransitionDefinition): readonly Taken[]
  /** Whether an error code made the machine do something, other than simply challenge the first send. */
  codeOf(taken: readonly Taken[]): string | null
  toneOf(taken: readonly Taken[], status: string): Tone
}

const ROOM: LayoutOptions = {
  'elk.layered.layering.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.spacing.nodeNodeBetweenLayers': '20',
  'elk.layered.spacing.edgeNodeBetweenLayers': '9',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '7',
  'elk.spacing.nodeNode': '14',
  'elk.spacing.edgeNode': '8',
  'elk.spacing.edgeEdge': '8',
}

/** Starts of ELK that are tried; the least wide picture without more crossings is kept. */
const SEEDS = [1, 2]

const NAME_SIZE = 15
/** Air on both sides of it. */
const AROUND_NAME = 30
/** The widths that `textWidth` gives are those of the widest fonts; the page squeezes a name that needs more. */
const USUAL_FONT = 0.84

const nameBox: BoxOf = (state) => ({
  state,
  lines: [],
  width: Math.ceil(textWidth(state.name, NAME_SIZE, true) * USUAL_FONT + AROUND_NAME),
  height: 34,
})

/** A larger machine is followed without a picture: a page that is full of states says nothing, and takes minutes to lay out. */
export const MOST_STATES = 200
export const MOST_TRANSITIONS = 2_000

/** Why a machine of this size is not drawn, or null. */
export function tooLarge(states: number, transitions: number): string | null {
  if (states <= MOST_STATES && transitions <= MOST_TRANSITIONS) return null
  return (
    `This machine is too large to be drawn: it has ${states} states and ${transitions} transitions, and up to ` +
    `${MOST_STATES} states and ${MOST_TRANSITIONS} transitions are drawn. Its steps are listed all the same.`
  )
}

/** What the machine of this package with this id is drawn by; any other machine is drawn plainly. */
function rulesFor(graph: MachineGraph): PictureRules {
  const known = PICTURES.find(({ machine }) => machine.root.id === graph.id)
  if (known === undefined) return PLAIN_RULES
  try {
    // A machine of the same name that is not the same is drawn plainly too.
    groupGraph(graph, known.rules)
    return known.rules
  } catch {
    return PLAIN_RULES
  }
}

/** A short name for a text; the same text has the same one (FNV-1a). */
function nameFor(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  return hash.toString(16).padStart(8, '0')
}

const taken = ({ id, source, target, event, guard }: GraphTransition): Taken => ({ id, source, target, event, guard })

/** Reads a machine for the inspector. @throws when it is no machine that can be read. */
export function drawingOf(machine: AnyStateMachine): Drawing {
  return drawingOfGraph(machineGraph(machine), transitionsOf(machine))
}

/** The same for a machine that is known by its graph alone: its own transitions cannot be told from one another. */
export function drawingOfGraph(
  graph: MachineGraph,
  byDefinition: ReturnType<typeof transitionsOf> = new Map(),
  problem: string | null = tooLarge(graph.states.length, graph.transitions.length),
): Drawing {
  const rules = problem === null ? rulesFor(graph) : PLAIN_RULES
  const kindOf = classifier(graph, rules)
  const happy = happyPairs(graph, rules)
  const byId = new Map(graph.transitions.map((transition) => [transition.id, transition]))
  const failed = (transitions: readonly Taken[]): boolean =>
    transitions.some(({ id }) => {
      const transition = byId.get(id)
      return transition !== undefined && kindOf(transition) === 'failure'
    })
  const codeOf = (transitions: readonly Taken[]): string | null =>
    transitions.find(({ event, source, target }) => isErrorCode(event) && !happy.has(pairKey(source, target ?? '')))
      ?.event ?? null
  return {
    key: `${graph.id}-${nameFor(JSON.stringify(graph))}`,
    graph,
    rules,
    tooLarge: problem,
    takenOf: (definition) => (byDefinition.get(definition) ?? []).map(taken),
    codeOf,
    toneOf(transitions, status) {
      if (status === 'error' || failed(transitions)) return 'failure'
      if (codeOf(transitions) !== null) return 'recovery'
      return status === 'done' ? 'success' : 'plain'
    },
  }
}

/** The same machine with nothing on it but names. */
function bare(grouped: GroupedGraph): GroupedGraph {
  return { ...grouped, notes: [], arrows: grouped.arrows.map((arrow) => ({ ...arrow, label: [] })) }
}

/**
 * Places everything. Takes some tenths of a second for a machine of twenty states.
 *
 * @throws if ELK cannot place the graph
 */
async function place({ graph, rules }: Drawing, seeds: readonly number[], layout?: Layout): Promise<LaidOutGraph> {
  const grouped = bare(groupGraph(graph, rules))
  const compounds = graph.states.filter(({ children }) => children.length > 0)
  const everywhere: LayoutRules = Object.fromEntries(compounds.map(({ path }) => [path, ROOM]))
  let best: LaidOutGraph | null = null
  for (const seed of seeds) {
    const next = await layOut(grouped, everywhere, seed, nameBox, layout)
    if (best === null || cost(next) < cost(best)) best = next
  }
  if (best === null) throw new Error('no layout was tried')
  return best
}

const cost = (laidOut: LaidOutGraph): number => crossingsOf(laidOut) * 60 + laidOut.width + laidOut.height

function stateView(state: GraphState) {
  const { id, path, name, parent, type, children, description, tags, effects } = state
  return { id, path, name, parent, compound: children.length > 0, final: type === 'final', description, tags, effects }
}

/** The picture of a machine. Never throws: what keeps it from being drawn is in `problem`. */
export async function chartOf(drawing: Drawing, seeds: readonly number[] = SEEDS, layout?: Layout): Promise<Chart> {
  const { key, graph } = drawing
  const named = { key, machine: graph.id, description: graph.description }
  const undrawn = (problem: string): Chart => ({
    ...named,
    width: 0,
    height: 0,
    states: [],
    arrows: [],
    dots: [],
    problem,
  })
  if (drawing.tooLarge !== null) return undrawn(drawing.tooLarge)
  try {
    const { width, height, states, arrows, dots } = await place(drawing, seeds, layout)
    return {
      ...named,
      width: Math.ceil(width),
      height: Math.ceil(height),
      states: states.map(({ box, x, y, width, height }) => ({ ...stateView(box.state), x, y, width, height })),
      arrows: arrows.map(({ arrow, kind, points }, index) => ({
        id: arrow?.id ?? `initial ${index}`,
        source: arrow?.source ?? null,
        target: arrow?.target ?? null,
        kind,
        points,
        transitions: arrow?.transitions.map(({ id }) => id) ?? [],
      })),
      dots: dots.map(({ x, y, width }) => ({ x: x + width / 2, y: y + width / 2, radius: width / 2 - 1 })),
      problem: null,
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'the layout engine gave no reason'
    return undrawn(`This machine is not drawn: ${reason}. Its steps are listed all the same.`)
  }
}
