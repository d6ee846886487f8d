// Finds a place beside a line for its label, where it hides as little as possible.
// Must never put a label outside of the picture.

import type { Box, Point, Segment } from './lines.js'

interface Size {
  readonly width: number
  readonly height: number
}

/** Between a line and a label beside it. */
const GAP = 7

function shared(a: Box, b: Box): number {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  return across > 0 && down > 0 ? across * down : 0
}

/** On, right of, left of, above and below a point. */
function around({ x, y }: Point, { width, height }: Size): readonly Point[] {
  const middle = { x: x - width / 2, y: y - height / 2 }
  return [
    middle,
    { x: x + GAP, y: middle.y },
    { x: x - GAP - width, y: middle.y },
    { x: middle.x, y: y - GAP - height },
    { x: middle.x, y: y + GAP },
  ]
}

/**
 * The upper left corner of a label.
 *
 * @param boxes what should stay visible.
 * @param picture what the label has to stay in.
 */
export function placeLabel(size: Size, segments: readonly Segment[], boxes: readonly Box[], picture: Box): Point {
  const inside = (value: number, from: number, room: number, needed: number): number =>
    Math.max(from + 2, Math.min(value, from + room - needed - 2))
  let best: Point = { x: picture.x, y: picture.y }
  let least = Number.POSITIVE_INFINITY
  for (const { from, to } of segments) {
    const length = Math.hypot(to.x - from.x, to.y - from.y)
    const upright = Math.abs(to.y - from.y) > Math.abs(to.x - from.x)
    // A label on a line that is hardly longer hides the line.
    const covers = length < (upright ? size.height : size.width) + 40
    for (const share of [0.5, 0.25, 0.75]) {
      const point = { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share }
      for (const [order, corner] of around(point, size).entries()) {
        const at = {
          x: inside(corner.x, picture.x, picture.width, size.width),
          y: inside(corner.y, picture.y, picture.height, size.height),
        }
        const label = { ...at, ...size }
        const hidden = boxes.reduce((sum, box) => sum + shared(label, box), 0)
        // Of places that hide as little, the one on the longest part of the line is seen to belong to it.
        const cost =
          hidden * 10 + (order === 0 && covers ? 60 : order * 4) + (share === 0.5 ? 0 : 3) - Math.min(length, 200) / 4
        if (cost >= least) continue
        least = cost
        best = at
      }
    }
  }
  return best
}
