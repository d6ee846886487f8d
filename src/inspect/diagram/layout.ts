// Places the states, arrows and labels of a grouped machine, with ELK's layered algorithm.
// Must never depend on anything but its input: the same machine is laid out the same, byte for byte.

import Elk from 'elkjs/lib/elk.bundled.js'
import { labelSize, SIZES, type StateBox, stateBox } from './boxes.js'
import type { ElkEdge, ElkLabel, ElkNode } from './elk-graph.js'
import { ancestors, type GraphState, type MachineGraph } from './graph.js'
import type { Arrow, GroupedGraph } from './grouping.js'
import type { ArrowKind } from './rules.js'

/** A point of the picture. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** A rectangle of the picture. */
export interface Rectangle extends Point {
  readonly width: number
  readonly height: number
}

/** A state with its place; children lie inside their parent. */
export interface PlacedState extends Rectangle {
  readonly box: StateBox
}

/** The dot from which the initial state of a parent is entered. */
export interface PlacedDot extends Rectangle {
  readonly parent: string
}

/** An arrow with its corners, from source to target. `arrow` is null for the one out of an initial dot. */
export interface PlacedArrow {
  readonly arrow: Arrow | null
  readonly kind: ArrowKind
  readonly points: readonly Point[]
  readonly label: Rectangle | null
}

/** A machine with a place for everything. */
export interface LaidOutGraph {
  readonly width: number
  readonly height: number
  readonly states: readonly PlacedState[]
  readonly dots: readonly PlacedDot[]
  readonly arrows: readonly PlacedArrow[]
}

/** Options of ELK by the path of a state, for what is inside it; the empty path is the whole picture. */
export type LayoutRules = Readonly<Record<string, LayoutOptions>>

/** Options of ELK, on top of those every picture has. */
export type LayoutOptions = Readonly<Record<string, string>>

const EVERYWHERE: LayoutOptions = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
  'elk.layered.layering.strategy': 'MIN_WIDTH',
  'elk.layered.thoroughness': '40',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.nodePlacement.favorStraightEdges': 'true',
  'elk.layered.edgeLabels.centerLabelPlacementStrategy': 'TAIL_LAYER',
  'elk.layered.feedbackEdges': 'true',
  'elk.layered.spacing.nodeNodeBetweenLayers': '34',
  'elk.layered.spacing.edgeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
  'elk.spacing.nodeNode': '12',
  'elk.spacing.edgeNode': '8',
  'elk.spacing.edgeEdge': '9',
  'elk.spacing.edgeLabel': '2',
}

const LABELS: LayoutOptions = { 'elk.edgeLabels.placement': 'CENTER', 'elk.edgeLabels.inline': 'true' }
const BACK_LABELS: LayoutOptions = {
  ...LABELS,
  'elk.layered.edgeLabels.centerLabelPlacementStrategy': 'HEAD_LAYER',
}

const dotId = (parent: string): string => `${parent}#initial`

/** Places the nodes and edges of a graph. @throws when ELK cannot */
export type Layout = (input: ElkNode) => Promise<ElkNode>

const inThisThread: Layout = (input) => new Elk.default().layout(input)

/** Says what stands in a state's box, and so how large it is. */
export type BoxOf = (state: GraphState, grouped: GroupedGraph) => StateBox

function nodeOf(state: GraphState, grouped: GroupedGraph, rules: LayoutRules, boxOf: BoxOf): ElkNode {
  const box = boxOf(state, grouped)
  const children = grouped.graph.states.filter(({ parent }) => parent === state.id)
  if (children.length === 0) {
    const { arrows, graph } = grouped
    const unconnected = !arrows.some(({ source, target }) => source === state.id || target === state.id)
    // An end that is only written about stands at the end.
    const last = unconnected && !graph.states.some(({ initial }) => initial === state.id)
    const layoutOptions = last ? { 'elk.layered.layering.layerConstraint': 'LAST' } : {}
    return { id: state.id, width: box.width, height: box.height, layoutOptions }
  }
  const dot = state.initial === null ? [] : [{ id: dotId(state.id), width: SIZES.dot, height: SIZES.dot }]
  return {
    id: state.id,
    children: [...dot, ...children.map((child) => nodeOf(child, grouped, rules, boxOf))],
    layoutOptions: {
      ...EVERYWHERE,
      ...rules[state.path],
      'elk.padding': `[top=${box.height + 4},left=8,bottom=10,right=8]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${box.width},${box.height})`,
    },
  }
}

/**
 * Whether an arrow goes back up. States stand in document order, so that ELK need not guess where a cycle begins: an
 * arrow that goes back is given to it the other way round.
 */
function goesBack(graph: MachineGraph, { source, target }: Arrow): boolean {
  const line = (id: string): readonly string[] => [id, ...ancestors(graph, id)].reverse()
  const from = line(source)
  const to = line(target)
  const fork = from.findIndex((id, index) => id !== to[index])
  const order = (id: string | undefined): number => graph.states.findIndex((state) => state.id === id)
  return order(to[fork]) < order(from[fork])
}

function labelOf(arrow: Arrow, back: boolean): ElkLabel {
  return { text: arrow.id, ...labelSize(arrow.label), layoutOptions: back ? BACK_LABELS : LABELS }
}

function edgeOf(arrow: Arrow, back: boolean): ElkEdge {
  const weight = arrow.kind === 'happy' ? '10' : '1'
  return {
    id: arrow.id,
    sources: [back ? arrow.target : arrow.source],
    targets: [back ? arrow.source : arrow.target],
    // Also an empty label takes a place of its own between two states.
    labels: arrow.label.length === 0 ? [] : [labelOf(arrow, back)],
    layoutOptions: {
      'elk.layered.priority.straightness': weight,
      'elk.layered.priority.shortness': weight,
    },
  }
}

function flatten(node: ElkNode): readonly ElkNode[] {
  return [node, ...(node.children ?? []).flatMap(flatten)]
}

function rectangle(shape: { x?: number; y?: number; width?: number; height?: number }): Rectangle {
  return { x: shape.x ?? 0, y: shape.y ?? 0, width: shape.width ?? 0, height: shape.height ?? 0 }
}

function placeArrow(edge: ElkEdge, arrow: Arrow | null, kind: ArrowKind, back: boolean): PlacedArrow {
  const points = (edge.sections ?? []).flatMap(({ startPoint, bendPoints, endPoint }) => [
    startPoint,
    ...(bendPoints ?? []),
    endPoint,
  ])
  const label = edge.labels?.[0]
  const corners = points.map(({ x, y }) => ({ x, y }))
  return { arrow, kind, points: back ? corners.reverse() : corners, label: label ? rectangle(label) : null }
}

/**
 * Lays a grouped machine out from top to bottom.
 *
 * @throws if ELK cannot place the graph, which its own exception explains
 */
export async function layOut(
  grouped: GroupedGraph,
  rules: LayoutRules = {},
  seed = 1,
  boxOf: BoxOf = stateBox,
  layout: Layout = inThisThread,
): Promise<LaidOutGraph> {
  const { graph, arrows } = grouped
  const root = graph.states.find(({ parent }) => parent === null)
  if (root === undefined) throw new Error(`the machine "${graph.id}" has no states`)

  const entries = graph.states.flatMap(({ id, initial }) =>
    initial === null ? [] : [{ id: `${dotId(id)} →`, sources: [dotId(id)], targets: [initial] }],
  )
  const input: ElkNode = {
    ...nodeOf(root, grouped, rules, boxOf),
    edges: [...entries, ...arrows.map((arrow) => edgeOf(arrow, goesBack(graph, arrow)))],
  }
  input.layoutOptions = {
    ...EVERYWHERE,
    ...rules[''],
    'elk.randomSeed': String(seed),
    'elk.padding': '[top=4,left=0,bottom=4,right=0]',
  }
  const output = await layout(input)

  const nodes = new Map(flatten(output).map((node) => [node.id, node]))
  const edges = new Map(flatten(output).flatMap((node) => (node.edges ?? []).map((edge) => [edge.id, edge] as const)))
  const placed = <T>(id: string, from: ReadonlyMap<string, T>): T => {
    const found = from.get(id)
    if (found === undefined) throw new Error(`the layout of "${graph.id}" has lost "${id}"`)
    return found
  }
  return {
    ...rectangle(output),
    states: graph.states
      .filter(({ parent }) => parent !== null)
      .map((state) => ({ box: boxOf(state, grouped), ...rectangle(placed(state.id, nodes)) })),
    dots: entries.map(({ sources: [id = ''] }) => ({ parent: id, ...rectangle(placed(id, nodes)) })),
    arrows: [
      ...entries.map(({ id }) => placeArrow(placed(id, edges), null, 'step', false)),
      ...arrows.map((arrow) => placeArrow(placed(arrow.id, edges), arrow, arrow.kind, goesBack(graph, arrow))),
    ],
  }
}
