// The graph that ELK takes and gives, as far as it is used here.
// Must never name a type of elkjs: users of the package have it bundled, without its types.

interface Element {
  id?: string
  labels?: ElkLabel[]
  layoutOptions?: { [key: string]: string }
}

interface Shape extends Element {
  x?: number
  y?: number
  width?: number
  height?: number
}

export interface ElkPoint {
  x: number
  y: number
}

export interface ElkLabel extends Shape {
  text?: string
}

export interface ElkEdge extends Element {
  id: string
  sources: string[]
  targets: string[]
  sections?: ElkEdgeSection[]
}

export interface ElkEdgeSection {
  id: string
  startPoint: ElkPoint
  endPoint: ElkPoint
  bendPoints?: ElkPoint[]
}

export interface ElkNode extends Shape {
  id: string
  children?: ElkNode[]
  edges?: ElkEdge[]
}
