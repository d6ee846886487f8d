// Public entry `mpp-flow/inspect`: the local inspector, and everything needed to draw a machine in three formats.
// Must never be imported by the library itself: drawing needs a layout engine that payers do not.

export { layOutBest } from './diagram/choose.js'
export { type GraphState, type GraphTransition, type MachineGraph, machineGraph } from './diagram/graph.js'
export { type Arrow, type GroupedGraph, groupGraph, topLevelArrows } from './diagram/grouping.js'
export { type LaidOutGraph, type LayoutOptions, type LayoutRules, layOut } from './diagram/layout.js'
export { drawMermaid } from './diagram/mermaid.js'
export type { Note } from './diagram/notes.js'
export { crossingsOf, faultsOf } from './diagram/quality.js'
export { type ArrowKind, type NotedRule, type PictureRules, PLAIN_RULES } from './diagram/rules.js'
export { formatJson, type Json, studioConfig } from './diagram/studio.js'
export { type Caption, drawSvg } from './diagram/svg.js'
export { type Document, documentsOf, staleDocuments, writeDocuments } from './documents.js'
export {
  type Control,
  type InspectLocallyOptions,
  inspectLocally,
  type LocalInspector,
  type Pressing,
} from './live/index.js'
export { PICTURES, type Picture } from './pictures.js'
