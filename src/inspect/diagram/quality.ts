// Measures how readable a laid-out picture is: what hides what, and how often arrows cross.
// Must never be kinder than a reader: anything that lies on something else counts.

import type { LaidOutGraph, PlacedArrow, PlacedState, Point, Rectangle } from './layout.js'

interface Segment {
  readonly from: Point
  readonly to: Point
}

function overlap(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

function segmentsOf({ points }: PlacedArrow): readonly Segment[] {
  return points.slice(1).flatMap((to, index) => {
    const from = points[index]
    return from === undefined ? [] : [{ from, to }]
  })
}

/** The area a horizontal or vertical line covers, one unit less at both ends, so that touching is not crossing. */
function area({ from, to }: Segment): Rectangle {
  const x = Math.min(from.x, to.x)
  const y = Math.min(from.y, to.y)
  const width = Math.abs(to.x - from.x)
  const height = Math.abs(to.y - from.y)
  return width >= height
    ? { x: x + 1, y, width: width - 2, height: 0.1 }
    : { x, y: y + 1, width: 0.1, height: height - 2 }
}

function nameOf(placed: PlacedState): string {
  return placed.box.state.path
}

function pairs<T>(items: readonly T[]): readonly (readonly [T, T])[] {
  return items.flatMap((first, index) => items.slice(index + 1).map((second) => [first, second] as const))
}

/** Everything in a picture that lies on something else; empty for a picture worth showing. */
export function faultsOf({ states, arrows, dots, width, height }: LaidOutGraph): readonly string[] {
  const parentOf = new Map(states.map(({ box }) => [box.state.id, box.state.parent]))
  const inside = (id: string, outer: string): boolean => {
    const parent = parentOf.get(id)
    return parent === outer || (parent != null && inside(parent, outer))
  }
  const atoms = states.filter(({ box }) => box.state.children.length === 0)
  const named = arrows.flatMap((placed) =>
    placed.arrow === null || placed.label === null ? [] : [{ placed, id: placed.arrow.id, label: placed.label }],
  )
  const boxes = pairs(states)
    .filter(([a, b]) => !inside(a.box.state.id, b.box.state.id) && !inside(b.box.state.id, a.box.state.id))
    .filter(([a, b]) => overlap(a, b))
    .map(([a, b]) => `${nameOf(a)} overlaps ${nameOf(b)}`)
  const labels = pairs(named)
    .filter(([a, b]) => overlap(a.label, b.label))
    .map(([a, b]) => `the labels of ${a.id} and ${b.id} overlap`)
  const covered = named.flatMap(({ id, label }) => [
    ...atoms.filter((atom) => overlap(atom, label)).map((atom) => `the label of ${id} lies on ${nameOf(atom)}`),
    ...dots.filter((dot) => overlap(dot, label)).map(({ parent }) => `the label of ${id} lies on a dot of ${parent}`),
  ])
  const crossed = arrows.flatMap((placed) => {
    const name = placed.arrow?.id ?? 'an initial arrow'
    const through = states.filter(({ box }) => {
      const ends = [placed.arrow?.source, placed.arrow?.target].filter((id) => id !== undefined)
      return placed.arrow !== null && !ends.some((id) => id === box.state.id || inside(id, box.state.id))
    })
    const areas = segmentsOf(placed).map(area)
    return [
      ...through
        .filter((state) => areas.some((line) => overlap(line, state)))
        .map((state) => `${name} runs through ${nameOf(state)}`),
      ...named
        .filter((other) => other.placed !== placed && areas.some((line) => overlap(line, other.label)))
        .map((other) => `${name} runs through the label of ${other.id}`),
    ]
  })
  const outside = [...states, ...dots, ...named.map(({ label }) => label)]
    .filter((at) => at.x < 0 || at.y < 0 || at.x + at.width > width || at.y + at.height > height)
    .map(() => 'something lies outside the picture')
  return [...boxes, ...labels, ...covered, ...crossed, ...outside]
}

/** How often two arrows cross. */
export function crossingsOf({ arrows }: LaidOutGraph): number {
  return pairs(arrows.map((placed) => segmentsOf(placed).map(area))).reduce(
    (count, [first, second]) => count + first.filter((line) => second.some((other) => overlap(line, other))).length,
    0,
  )
}
