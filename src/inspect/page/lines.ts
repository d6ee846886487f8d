// The lines of the chart: rounded corners, arrow heads, and curves between states that no drawn arrow connects.
// Must never know what a line stands for.

export interface Point {
  readonly x: number
  readonly y: number
}

/** A straight part of a line. */
export interface Segment {
  readonly from: Point
  readonly to: Point
}

export interface Box extends Point {
  readonly width: number
  readonly height: number
}

const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`
const round = (value: number): number => Math.round(value * 10) / 10

function towards(from: Point, to: Point, distance: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  if (length === 0) return from
  return { x: from.x + ((to.x - from.x) / length) * distance, y: from.y + ((to.y - from.y) / length) * distance }
}

/** The straight parts of a line. */
export function segmentsOf(points: readonly Point[]): readonly Segment[] {
  return points.slice(1).flatMap((to, index) => {
    const from = points[index]
    return from === undefined ? [] : [{ from, to }]
  })
}

/** A line through all points with its corners rounded; it ends a head's length early. */
export function roundedPath(points: readonly Point[], head: number): string {
  return points
    .map((point, index) => {
      const before = points[index - 1]
      const after = points[index + 1]
      if (before === undefined) return `M${at(point)}`
      if (after === undefined) return `L${at(towards(point, before, head - 2))}`
      const corner = Math.min(
        7,
        Math.hypot(point.x - before.x, point.y - before.y) / 2,
        Math.hypot(after.x - point.x, after.y - point.y) / 2,
      )
      return `L${at(towards(point, before, corner))}Q${at(point)} ${at(towards(point, after, corner))}`
    })
    .join('')
}

/** A head at the tip of a line that comes from `from`. */
export function arrowHead(tip: Point, from: Point, length: number): string {
  const base = towards(tip, from, length)
  const along = { x: (tip.x - base.x) / length, y: (tip.y - base.y) / length }
  const half = length * 0.45
  const corner = (side: number): string => at({ x: base.x - along.y * half * side, y: base.y + along.x * half * side })
  return `M${at(tip)}L${corner(1)}L${corner(-1)}Z`
}

const centre = ({ x, y, width, height }: Box): Point => ({ x: x + width / 2, y: y + height / 2 })

/** Where a line from a box's centre towards a point leaves the box. */
function edge(box: Box, to: Point): Point {
  const from = centre(box)
  const dx = to.x - from.x
  const dy = to.y - from.y
  const share = Math.min(
    dx === 0 ? Number.POSITIVE_INFINITY : box.width / 2 / Math.abs(dx),
    dy === 0 ? Number.POSITIVE_INFINITY : box.height / 2 / Math.abs(dy),
  )
  return Number.isFinite(share) ? { x: from.x + dx * share, y: from.y + dy * share } : from
}

/** A bent line from one box to another, its tip, the point before the tip, and points along it. */
export function path(
  from: Box,
  to: Box,
): { readonly d: string; readonly tip: Point; readonly before: Point; readonly points: readonly Point[] } {
  const a = centre(from)
  const b = centre(to)
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1
  const bend = Math.min(90, length * 0.22)
  const control = {
    x: (a.x + b.x) / 2 - ((b.y - a.y) / length) * bend,
    y: (a.y + b.y) / 2 + ((b.x - a.x) / length) * bend,
  }
  const start = edge(from, control)
  const tip = edge(to, control)
  const end = towards(tip, control, 9)
  const along = (share: number): Point => ({
    x: (1 - share) ** 2 * start.x + 2 * share * (1 - share) * control.x + share ** 2 * tip.x,
    y: (1 - share) ** 2 * start.y + 2 * share * (1 - share) * control.y + share ** 2 * tip.y,
  })
  const points = [0, 0.25, 0.5, 0.75, 1].map(along)
  return { d: `M${at(start)}Q${at(control)} ${at(end)}`, tip, before: control, points }
}
