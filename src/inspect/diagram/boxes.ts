// What stands inside the box of a state, and how much room it takes.
// Must never hold anything that is drawn elsewhere: layout and drawing both take their sizes from here.

import type { GraphState } from './graph.js'
import type { GroupedGraph } from './grouping.js'
import { distinct, eventName } from './labels.js'
import type { Note } from './notes.js'
import { textWidth } from './text.js'

/** Font sizes and distances in units of the picture. At 1250 units shown 900 px wide, 14 units are 10 px. */
export const SIZES = {
  name: 15,
  small: 14,
  nameLine: 21,
  smallLine: 18,
  padding: 9,
  stripe: 8,
  icon: 18,
  dot: 14,
  label: 2,
} as const

/** One small line under a state's name. */
export interface BoxLine {
  readonly icon: 'effect' | 'leads' | 'entered' | 'stays'
  readonly tone: 'quiet' | 'recovery' | 'failure'
  readonly text: string
  /** Everything the line stands for. */
  readonly hint: string
}

/** A state's content and its least size. */
export interface StateBox {
  readonly state: GraphState
  readonly lines: readonly BoxLine[]
  readonly width: number
  readonly height: number
}

function noteLine(note: Note, named: boolean): BoxLine {
  const events = distinct(note.transitions.map(({ event, guard }) => eventName(event) || `[${guard ?? 'otherwise'}]`))
  return {
    icon: note.relation,
    tone: note.kind === 'failure' || (note.kind === 'recovery' && note.relation === 'leads') ? note.kind : 'quiet',
    text: named ? note.text : note.short,
    hint: events.join(', '),
  }
}

/** The content of one state's box. */
export function stateBox(state: GraphState, grouped: GroupedGraph): StateBox {
  const effects = state.effects.map(
    (effect): BoxLine => ({ icon: 'effect', tone: 'quiet', text: effect, hint: effect }),
  )
  const notes = grouped.notes.filter((note) => note.state === state.id)
  const lineWidth = (text: string): number => SIZES.icon + textWidth(text, SIZES.small)
  const widest = Math.max(
    textWidth(state.name, SIZES.name, true),
    ...effects.map(({ text }) => lineWidth(text)),
    ...notes.map(({ text, short }) => lineWidth(lineWidth(text) <= grouped.noteWidth ? text : short)),
  )
  // Names are shown where they fit, so that one long name does not widen the whole picture.
  const lines = [...effects, ...notes.map((note) => noteLine(note, lineWidth(note.text) <= widest))]
  return {
    state,
    lines,
    // A final state's second frame takes room too.
    width: Math.ceil(widest + 2 * SIZES.padding + SIZES.stripe + (state.type === 'final' ? 6 : 0)),
    height: Math.ceil(SIZES.nameLine + lines.length * SIZES.smallLine + 1.5 * SIZES.padding),
  }
}

/** The room an arrow's label takes. */
export function labelSize(lines: readonly string[]): { readonly width: number; readonly height: number } {
  return {
    width: Math.ceil(Math.max(...lines.map((line) => textWidth(line, SIZES.small))) + 2 * SIZES.label + 4),
    height: Math.ceil(lines.length * SIZES.smallLine + 2 * SIZES.label),
  }
}
