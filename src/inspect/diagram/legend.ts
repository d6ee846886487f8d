// Explains the colours and signs of a picture, only those that occur in it.
// Must never explain something the picture does not show.

import { type BoxLine, SIZES } from './boxes.js'
import { distinct } from './labels.js'
import type { LaidOutGraph } from './layout.js'
import type { ArrowKind } from './rules.js'
import { drawIcon, textLine, units } from './signs.js'
import { tagClass } from './style.js'
import { textWidth } from './text.js'

const SIGN = 30
const GAP = 22
const ROW = 24

interface Entry {
  readonly text: string
  /** Draws the sign in a field of `SIGN` units width whose text baseline is given. */
  readonly draw: (x: number, baseline: number) => string
}

/** The entries of a legend and the room they take. */
export interface Legend {
  readonly entries: readonly Entry[]
  readonly leastWidth: number
  heightAt(width: number): number
}

const ARROWS: readonly (readonly [ArrowKind, string])[] = [
  ['happy', 'happy path'],
  ['step', 'other step'],
  ['recovery', 'recovery'],
]

function arrowSign(kind: ArrowKind): Entry['draw'] {
  return (x, baseline) => {
    const y = units(baseline - 4.5)
    const head = `M${units(x + 24)} ${y}l-9 -4.5v9Z`
    return `<g class="arrow ${kind}"><path class="shaft" d="M${units(x)} ${y}h16"/><path class="head" d="${head}"/></g>`
  }
}

/** The legend of what a picture shows. */
export function legendOf({ states, arrows, dots }: LaidOutGraph): Legend {
  const tags = distinct(states.flatMap(({ box }) => (box.state.children.length > 0 ? [] : box.state.tags)))
  const lines = states.flatMap(({ box }) => box.lines)
  const iconEntry = (icon: BoxLine['icon'], tones: readonly BoxLine['tone'][], text: string): Entry[] => {
    const shown = lines.find((line) => line.icon === icon && tones.includes(line.tone))
    return shown === undefined ? [] : [{ text, draw: (x, baseline) => drawIcon(x + 8, baseline, shown) }]
  }
  const entries: Entry[] = [
    ...ARROWS.filter(([kind]) => arrows.some((arrow) => arrow.kind === kind)).map(([kind, text]) => ({
      text,
      draw: arrowSign(kind),
    })),
    ...iconEntry('leads', ['failure'], 'ends in failure'),
    ...iconEntry('leads', ['recovery'], 'recovers by going there'),
    ...iconEntry('leads', ['quiet'], 'goes there'),
    ...iconEntry('entered', ['quiet', 'failure', 'recovery'], 'comes here on'),
    ...iconEntry('stays', ['quiet'], 'taken without leaving'),
    ...iconEntry('effect', ['quiet'], 'effect it runs'),
    ...tags
      .filter((tag) => tag !== 'final')
      .map((tag) => ({
        text: tag,
        draw: (x: number, baseline: number) =>
          `<rect x="${units(x + 14)}" y="${units(baseline - 12)}" width="5" height="15" rx="2.5" class="tag ${tagClass(tag)}"/>`,
      })),
    ...(states.some(({ box }) => box.state.type === 'final')
      ? [
          {
            text: 'final state',
            draw: (x: number, baseline: number) =>
              `<g class="final"><rect x="${units(x + 2)}" y="${units(baseline - 13)}" width="22" height="16" rx="5" class="frame"/>` +
              `<rect x="${units(x + 5)}" y="${units(baseline - 10)}" width="16" height="10" rx="3" class="inner"/></g>`,
          },
        ]
      : []),
    ...(dots.length > 0
      ? [
          {
            text: 'starts here',
            draw: (x: number, baseline: number) =>
              `<circle cx="${units(x + 16)}" cy="${units(baseline - 4.5)}" r="6" class="dot"/>`,
          },
        ]
      : []),
  ]
  return {
    entries,
    leastWidth: Math.max(0, ...entries.map(entryWidth)),
    heightAt: (width) => rowsOf(entries, width).length * ROW,
  }
}

function entryWidth({ text }: Entry): number {
  return SIGN + textWidth(text, SIZES.small)
}

function rowsOf(entries: readonly Entry[], width: number): readonly (readonly Entry[])[] {
  const rows: Entry[][] = []
  let used = 0
  for (const entry of entries) {
    const row = rows.at(-1)
    const needed = entryWidth(entry)
    if (row !== undefined && used + GAP + needed <= width) {
      row.push(entry)
      used += GAP + needed
    } else {
      rows.push([entry])
      used = needed
    }
  }
  return rows
}

/** Draws a legend with its upper left corner at a point. */
export function drawLegend(legend: Legend, left: number, top: number, width: number): string {
  const drawn = rowsOf(legend.entries, width).flatMap((row, index) => {
    const baseline = top + index * ROW + 16
    let x = left
    return row.map((entry) => {
      const at = x
      x += entryWidth(entry) + GAP
      return entry.draw(at, baseline) + textLine(at + SIGN, baseline, entry.text, 'small quiet')
    })
  })
  return `<g class="legend">${drawn.join('')}</g>`
}
