// The smallest parts of a picture: numbers, lines of text and the signs before them.
// Must never know where on the picture it draws: every part is given its place.

import type { BoxLine } from './boxes.js'
import { escapeXml } from './text.js'

/** A number as it is written into the picture. */
export function units(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** A text line whose baseline is given. */
export function textLine(x: number, y: number, text: string, className: string, anchor = 'start'): string {
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text x="${units(x)}" y="${units(y)}" class="${className}"${anchored}>${escapeXml(text)}</text>`
}

/** The small sign before a line: what an effect, a way out, a way in or staying looks like. */
export function drawIcon(x: number, baseline: number, { icon, tone }: Pick<BoxLine, 'icon' | 'tone'>): string {
  const y = baseline - 4.5
  const at = (dx: number, dy: number): string => `${units(x + dx)} ${units(y + dy)}`
  switch (icon) {
    case 'effect':
      return `<path class="icon-fill quiet" d="M${at(1, -4.5)}L${at(10, 0)}L${at(1, 4.5)}Z"/>`
    case 'leads':
      return `<path class="icon-line ${tone}" d="M${at(0, 0)}L${at(11, 0)}M${at(7, -4)}L${at(11, 0)}L${at(7, 4)}"/>`
    case 'entered':
      return `<path class="icon-line ${tone}" d="M${at(0, 0)}L${at(8, 0)}M${at(4, -4)}L${at(8, 0)}L${at(4, 4)}M${at(12, -5)}L${at(12, 5)}"/>`
    case 'stays':
      return `<path class="icon-line ${tone}" d="M${at(9.5, 3)}A4.6 4.6 0 1 1 ${at(9.5, -3)}M${at(10.6, -6)}L${at(9.8, -2.6)}L${at(6.4, -3.2)}"/>`
  }
}
