// Draws a laid-out machine as one self-contained SVG, for a README on a light or a dark page.
// Must never need anything from outside: no scripts, no fonts, no foreignObject, no links.

import { SIZES } from './boxes.js'
import { distinct, eventName } from './labels.js'
import type { LaidOutGraph, PlacedArrow, PlacedDot, PlacedState, Point } from './layout.js'
import { drawLegend, type Legend, legendOf } from './legend.js'
import { drawIcon, textLine, units } from './signs.js'
import { STYLE, tagClass } from './style.js'
import { escapeXml, textWidth, wrap } from './text.js'

const MARGIN = 16
const TITLE_SIZE = 22
const CORNER = 7
const HEAD = { length: 10, half: 4.5 }

function towards(from: Point, to: Point, distance: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  if (length === 0) return from
  return { x: from.x + ((to.x - from.x) / length) * distance, y: from.y + ((to.y - from.y) / length) * distance }
}

/** A line through all points, with its corners rounded. */
function roundedPath(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${units(x)} ${units(y)}`
  return points
    .map((point, index) => {
      const before = points[index - 1]
      const after = points[index + 1]
      if (before === undefined) return `M${at(point)}`
      if (after === undefined) return `L${at(point)}`
      const room = Math.min(
        CORNER,
        Math.hypot(point.x - before.x, point.y - before.y) / 2,
        Math.hypot(after.x - point.x, after.y - point.y) / 2,
      )
      return `L${at(towards(point, before, room))}Q${at(point)} ${at(towards(point, after, room))}`
    })
    .join('')
}

function arrowHead(tip: Point, from: Point): string {
  const base = towards(tip, from, HEAD.length)
  const along = { x: (tip.x - base.x) / HEAD.length, y: (tip.y - base.y) / HEAD.length }
  const corner = (side: number): string =>
    `${units(base.x - along.y * HEAD.half * side)} ${units(base.y + along.x * HEAD.half * side)}`
  return `M${units(tip.x)} ${units(tip.y)}L${corner(1)}L${corner(-1)}Z`
}

function drawArrow({ arrow, kind, points }: PlacedArrow): string {
  const tip = points.at(-1)
  const before = points.at(-2)
  if (tip === undefined || before === undefined) return ''
  const shaft = [...points.slice(0, -1), towards(tip, before, HEAD.length - 2)]
  const events = distinct(
    (arrow?.transitions ?? []).map(({ event, guard }) => eventName(event) || `[${guard ?? 'otherwise'}]`),
  )
  const title = arrow === null ? '' : `<title>${escapeXml(`${arrow.id}: ${events.join(', ')}`)}</title>`
  return [
    `<g class="arrow ${kind}">${title}`,
    `<path class="halo" d="${roundedPath(shaft)}"/>`,
    `<path class="shaft" d="${roundedPath(shaft)}"/>`,
    `<path class="head" d="${arrowHead(tip, before)}"/></g>`,
  ].join('')
}

function drawLabel({ arrow, kind, label }: PlacedArrow): string {
  if (arrow === null || label === null) return ''
  const { x, y, width, height } = label
  const lines = arrow.label.map((line, index) =>
    textLine(x + width / 2, y + SIZES.label + (index + 0.74) * SIZES.smallLine, line, `label ${kind}`, 'middle'),
  )
  const rect = `<rect x="${units(x)}" y="${units(y)}" width="${units(width)}" height="${units(height)}" rx="3" class="plate"/>`
  return rect + lines.join('')
}

function drawState({ box, x, y, width, height }: PlacedState): string {
  const { state, lines } = box
  const final = state.type === 'final'
  const compound = state.children.length > 0
  const frame = (inset: number, className: string): string =>
    `<rect x="${units(x + inset)}" y="${units(y + inset)}" width="${units(width - 2 * inset)}" height="${units(height - 2 * inset)}" rx="${9 - inset}" class="${className}"/>`
  const left = x + SIZES.padding + SIZES.stripe
  const stripes = state.tags
    .filter((tag) => tag !== 'final')
    .map((tag, index, shown) => {
      const from = y + 8 + ((height - 16) / shown.length) * index
      return `<rect x="${units(x + 6)}" y="${units(from)}" width="5" height="${units((height - 16) / shown.length - 2)}" rx="2.5" class="tag ${tagClass(tag)}"/>`
    })
  const nameAt = y + SIZES.padding * 0.75 + 15
  const small = lines.map((line, index) => {
    const baseline = nameAt + 3 + (index + 1) * SIZES.smallLine
    return (
      `<g><title>${escapeXml(line.hint)}</title>` +
      drawIcon(left, baseline, line) +
      textLine(left + SIZES.icon, baseline, line.text, `small ${line.tone}`) +
      '</g>'
    )
  })
  return [
    `<g class="state${compound ? ' compound' : ''}${final ? ' final' : ''}">`,
    `<title>${escapeXml(`${state.path}: ${state.description}`)}</title>`,
    frame(0, 'frame'),
    final ? frame(4, 'inner') : '',
    ...(compound ? [] : stripes),
    textLine(left, nameAt, state.name, 'name'),
    ...small,
    '</g>',
  ].join('')
}

function drawDot({ x, y, width }: PlacedDot): string {
  const radius = width / 2
  return `<circle cx="${units(x + radius)}" cy="${units(y + radius)}" r="${units(radius - 1)}" class="dot"/>`
}

/** The texts of a picture that are not in its machine. */
export interface Caption {
  readonly title: string
  readonly description: string
}

/**
 * The picture as an SVG document.
 *
 * @example
 * ```ts
 * import { drawSvg, groupGraph, layOut, machineGraph, PLAIN_RULES } from 'mpp-flow/inspect'
 * import { sessionMachine } from 'mpp-flow/machines'
 *
 * const laidOut = await layOut(groupGraph(machineGraph(sessionMachine), PLAIN_RULES))
 * console.log(drawSvg(laidOut, { title: 'session', description: 'One channel, from its opening to its end.' }))
 * ```
 */
export function drawSvg(laidOut: LaidOutGraph, caption: Caption): string {
  const legend: Legend = legendOf(laidOut)
  const inner = Math.max(laidOut.width, textWidth(caption.title, TITLE_SIZE, true), legend.leastWidth)
  const subtitle = wrap(caption.description, SIZES.small, inner)
  const top = MARGIN + TITLE_SIZE + 8 + subtitle.length * SIZES.smallLine + 8
  const legendHeight = legend.heightAt(inner)
  const width = Math.ceil(inner + 2 * MARGIN)
  const height = Math.ceil(top + laidOut.height + 16 + legendHeight + MARGIN)
  // Outer states first, then lines, so that no box hides an arrow and no arrow hides a text.
  const states = [...laidOut.states].sort((a, b) => b.box.state.children.length - a.box.state.children.length)
  const compounds = states.filter(({ box }) => box.state.children.length > 0)
  const atoms = states.filter(({ box }) => box.state.children.length === 0)
  const byWeight = [...laidOut.arrows].sort((a, b) => Number(a.kind === 'happy') - Number(b.kind === 'happy'))
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="picture-title picture-description">`,
    `<title id="picture-title">${escapeXml(caption.title)}</title>`,
    `<desc id="picture-description">${escapeXml(caption.description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="12" class="card"/>`,
    textLine(MARGIN, MARGIN + TITLE_SIZE - 4, caption.title, 'title'),
    ...subtitle.map((line, index) =>
      textLine(MARGIN, MARGIN + TITLE_SIZE + 18 + index * SIZES.smallLine, line, 'small quiet'),
    ),
    `<g transform="translate(${MARGIN} ${units(top)})">`,
    ...compounds.map(drawState),
    ...byWeight.map(drawArrow),
    ...atoms.map(drawState),
    ...laidOut.dots.map(drawDot),
    ...byWeight.map(drawLabel),
    '</g>',
    drawLegend(legend, MARGIN, top + laidOut.height + 16, inner),
    '</svg>',
  ]
    .filter((part) => part !== '')
    .join('\n')}\n`
}
