// Draws the statechart and shows on it where a flow is, where it has been, and which arrow it has just taken.
// Must never draw an arrow that the machine does not have.

import type { Chart, ChartArrow, ChartState, Step, Taken } from '../live/messages.js'
import { svg } from './dom.js'
import { placeLabel } from './label-place.js'
import { arrowHead, type Point, path, roundedPath, type Segment, segmentsOf } from './lines.js'

const MARGIN = 14
const LABEL_SIZE = 15

/** A drawn chart. */
export interface ChartView {
  readonly element: SVGSVGElement
  /** Shows a step, and the way to it. */
  show(step: Step, before: readonly Step[]): void
  /** The middle of the current state, as shares of the picture's width and height. */
  place(): Point
}

/** Builds the picture of a chart. */
export function chartView(chart: Chart): ChartView {
  const width = chart.width + 2 * MARGIN
  const height = chart.height + 2 * MARGIN
  const states = new Map<string, SVGGElement>()
  const byId = new Map(chart.states.map((state) => [state.id, state]))
  const arrows = new Map<string, SVGGElement>()
  const arrowOf = new Map<string, ChartArrow>()
  const drawing = svg('g', { transform: `translate(${MARGIN} ${MARGIN})` })

  const outer = chart.states.filter(({ compound }) => compound)
  const inner = chart.states.filter(({ compound }) => !compound)
  for (const state of outer) drawing.append(remember(states, state.id, drawState(state)))
  for (const arrow of [...chart.arrows].sort((a, b) => weight(a) - weight(b))) {
    const drawn = remember(arrows, arrow.id, drawArrow(arrow))
    drawing.append(drawn)
    for (const transition of arrow.transitions) arrowOf.set(transition, arrow)
  }
  for (const state of inner) drawing.append(remember(states, state.id, drawState(state)))
  const firstState = inner[0] === undefined ? undefined : states.get(inner[0].id)
  for (const { x, y, radius } of chart.dots) drawing.append(svg('circle', { cx: x, cy: y, r: radius, class: 'dot' }))
  const news = svg('g', { class: 'news' })
  const detours = svg('g', {})
  drawing.append(news)
  // Behind the states, so that a long way hides no name.
  firstState?.before(detours)
  const element = svg(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img', 'aria-label': `Statechart ${chart.machine}` },
    drawing,
  )
  let shown: Step | null = null

  /** What is between two states that no drawn arrow connects: a curve, drawn for as long as it is the news. */
  function detour({ source, target }: Taken): { readonly line: SVGGElement; readonly points: readonly Point[] } | null {
    const from = byId.get(source)
    const to = target === null ? undefined : byId.get(target)
    if (from === undefined || to === undefined || from === to) return null
    const { d, tip, before, points } = path(from, to)
    const line = svg(
      'g',
      { class: 'arrow taken detour' },
      svg('path', { class: 'shaft', d }),
      svg('path', { class: 'head', d: arrowHead(tip, before, 12) }),
    )
    return { line, points }
  }

  function announce(text: string, segments: readonly Segment[], tone: string): void {
    const label = svg('text', { class: 'label', 'text-anchor': 'middle', 'font-size': LABEL_SIZE }, text)
    const plate = svg('rect', { class: 'plate', rx: 7 })
    news.append(svg('g', { class: 'announcement', 'data-tone': tone }, plate, label))
    const long = Math.min(label.getComputedTextLength() + 18, width)
    const picture = { x: -MARGIN, y: -MARGIN, width, height }
    const { x, y } = placeLabel({ width: long, height: 26 }, segments, inner, picture)
    set(label, { x: x + long / 2, y: y + 13 + LABEL_SIZE * 0.35 })
    set(plate, { x, y, width: long, height: 26 })
  }

  return {
    element,
    show(step, before) {
      if (shown === step) return
      shown = step
      element.dataset.tone = step.tone
      // What was only passed through was a source all the same.
      const been = new Set(before.flatMap(({ active, taken }) => [...active, ...taken.map(({ source }) => source)]))
      for (const [id, drawn] of states) {
        drawn.classList.toggle('current', step.active.includes(id))
        drawn.classList.toggle('been', been.has(id))
      }
      const used = new Set(before.flatMap(({ taken }) => taken.map(({ id }) => arrowOf.get(id)?.id)))
      const now = new Set(step.taken.map(({ id }) => arrowOf.get(id)?.id))
      for (const [id, drawn] of arrows) {
        drawn.classList.toggle('taken', now.has(id))
        drawn.classList.toggle('used', used.has(id))
        // Above all others, so that it can be followed where lines run side by side.
        if (now.has(id)) firstState?.before(drawn)
      }
      news.replaceChildren()
      detours.replaceChildren()
      for (const transition of step.taken) {
        const arrow = arrowOf.get(transition.id)
        const curve = arrow === undefined ? detour(transition) : null
        if (curve !== null) detours.append(curve.line)
        const source = byId.get(transition.source)
        const line = arrow?.points ?? curve?.points ?? (source === undefined ? [] : [above(source), above(source)])
        const text = transition.event === '' ? `[${transition.guard ?? 'otherwise'}]` : transition.event
        announce(text, segmentsOf(line), step.tone)
      }
    },
    place() {
      const at = chart.states.find(({ id, compound }) => !compound && shown?.active.includes(id))
      if (at === undefined) return { x: 0.5, y: 0 }
      return { x: (at.x + at.width / 2 + MARGIN) / width, y: (at.y + at.height / 2 + MARGIN) / height }
    },
  }
}

function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): Value {
  map.set(key, value)
  return value
}

function set(element: Element, attributes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
}

const weight = ({ kind }: ChartArrow): number => ({ step: 0, recovery: 1, failure: 1, happy: 2 })[kind]

function drawState(state: ChartState): SVGGElement {
  const { x, y, width, height, name, compound, final, description, tags } = state
  const said = [state.path, description, tags.length === 0 ? '' : `(${tags.join(', ')})`].filter((part) => part !== '')
  const text = svg('text', { class: 'name', x: compound ? x + 14 : x + width / 2, y: compound ? y + 21 : y + 22 }, name)
  if (!compound) text.setAttribute('text-anchor', 'middle')
  const group = svg(
    'g',
    { class: `state${compound ? ' compound' : ''}${final ? ' final' : ''}`, 'data-path': state.path },
    svg('title', {}, said.join(' ')),
    svg('rect', { class: 'frame', x, y, width, height, rx: compound ? 12 : 9 }),
    ...(final
      ? [svg('rect', { class: 'inner', x: x + 3.5, y: y + 3.5, width: width - 7, height: height - 7, rx: 6 })]
      : []),
    text,
  )
  const room = width - 16
  // Fonts differ from one system to the next: a name that needs more room than there is, is squeezed into it.
  requestAnimationFrame(() => {
    if (text.isConnected && text.getComputedTextLength() > room) {
      text.setAttribute('textLength', String(room))
      text.setAttribute('lengthAdjust', 'spacingAndGlyphs')
    }
  })
  return group
}

function drawArrow(arrow: ChartArrow): SVGGElement {
  const tip = arrow.points.at(-1)
  const before = arrow.points.at(-2)
  const group = svg('g', { class: `arrow ${arrow.kind}`, 'data-arrow': arrow.id })
  if (tip === undefined || before === undefined) return group
  const d = roundedPath(arrow.points, 9)
  group.append(
    svg('path', { class: 'halo', d }),
    svg('path', { class: 'shaft', d }),
    svg('path', { class: 'head', d: arrowHead(tip, before, 9) }),
  )
  return group
}

/** Where the name of what keeps a state where it is stands. */
const above = ({ x, y, width }: ChartState): Point => ({ x: x + width / 2, y: y - 14 })
