// Writes a grouped machine as a Mermaid state diagram, for places that render Mermaid themselves.
// Must never say anything the SVG does not: both are drawn from the same arrows and notes.

import { ancestors, type GraphState } from './graph.js'
import type { Arrow, GroupedGraph } from './grouping.js'
import type { Note } from './notes.js'

const INDENT = '  '

/** Colours that are legible on Mermaid's light and dark themes alike. */
const TAG_COLOURS: readonly (readonly [tag: string, colour: string])[] = [
  ['network', '#2563eb'],
  ['wallet', '#8b3fd6'],
  ['waiting', '#94a0b3'],
  ['recovering', '#b45309'],
]

/** A path as an identifier; Mermaid's are global, and some words are its own. */
function identifier(path: string): string {
  return `s_${path.replaceAll(/[^A-Za-z0-9]/g, '_')}`
}

/** Text that ends with the line and in which Mermaid reads nothing but text. */
function plain(text: string): string {
  return text.replaceAll(/[\n;#"<>{}]/g, ' ')
}

function noteText({ relation, text }: Note): string {
  if (relation === 'leads') return `→ ${plain(text)}`
  if (relation === 'entered') return `⇥ ${plain(text)}`
  return `↺ ${plain(text)}`
}

/**
 * The text of a `stateDiagram-v2`.
 *
 * @example
 * ```ts
 * import { drawMermaid, groupGraph, machineGraph, PLAIN_RULES } from 'mpp-flow/inspect'
 * import { sessionMachine } from 'mpp-flow/machines'
 *
 * console.log(drawMermaid(groupGraph(machineGraph(sessionMachine), PLAIN_RULES)))
 * ```
 */
export function drawMermaid({ graph, arrows, notes }: GroupedGraph): string {
  const idOf = new Map(graph.states.map(({ id, path }) => [id, identifier(path)]))
  const named = (id: string): string => idOf.get(id) ?? identifier(id)
  const around = ({ source, target }: Arrow): string => {
    const outer = ancestors(graph, target)
    return ancestors(graph, source).find((id) => outer.includes(id)) ?? graph.id
  }
  const inside = (parent: GraphState, depth: number): readonly string[] => {
    const indent = INDENT.repeat(depth)
    const children = graph.states.filter((state) => state.parent === parent.id)
    const states = children.flatMap((state) => {
      const declared = `state "${plain(state.name)}" as ${named(state.id)}`
      const lines = [
        ...state.effects.map((effect) => `${indent}${named(state.id)} : ▸ ${plain(effect)}`),
        ...notes
          .filter((note) => note.state === state.id)
          .map((note) => `${indent}${named(state.id)} : ${noteText(note)}`),
      ]
      if (state.children.length === 0) return [`${indent}${declared}`, ...lines]
      return [`${indent}${declared} {`, ...inside(state, depth + 1), `${indent}}`]
    })
    const within = arrows.filter((arrow) => around(arrow) === parent.id)
    return [
      ...states,
      ...(parent.initial === null ? [] : [`${indent}[*] --> ${named(parent.initial)}`]),
      ...within.map(
        ({ source, target, label }) =>
          `${indent}${named(source)} --> ${named(target)} : ${label.map(plain).join('<br/>')}`,
      ),
      ...children.filter(({ type }) => type === 'final').map(({ id }) => `${indent}${named(id)} --> [*]`),
    ]
  }
  const classes = TAG_COLOURS.flatMap(([tag, colour]) => {
    // A compound state is a frame, which Mermaid does not colour.
    const tagged = graph.states.filter(({ tags, children }) => children.length === 0 && tags[0] === tag)
    if (tagged.length === 0) return []
    return [
      `${INDENT}classDef ${tag} stroke:${colour},stroke-width:2px`,
      `${INDENT}class ${tagged.map(({ id }) => named(id)).join(',')} ${tag}`,
    ]
  })
  const root = graph.states.find(({ parent }) => parent === null)
  const body = root === undefined ? [] : inside(root, 1)
  return `${[`%% ${plain(graph.id)}: ${plain(graph.description)}`, 'stateDiagram-v2', ...body, ...classes].join('\n')}\n`
}
