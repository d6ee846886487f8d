// Buttons that a program puts on the page.
// Must never let the page say what is done: it names a button, and the program's own function runs.

import { z } from 'zod'
import { flag, fn, listOf, text } from '../../options/index.js'
import type { ControlView } from './messages.js'

/** How a button is pressed. */
export interface Pressing {
  /** Whether to go on until the bound of the button's code is used up. */
  readonly repeat: boolean
  /** Makes the page show the actor with this name. */
  readonly look: (actorName: string) => void
  /** The actor that was looked at when it was pressed; null when there was none. */
  readonly flow: string | null
}

/** A button on the page. */
export interface Control {
  /** Unique. */
  readonly id: string
  readonly label: string
  /** Buttons with the same group stand together. */
  readonly group: string
  /** What it does, in a line. */
  readonly hint: string
  /** The error code it brings about; the page says what is known about it. */
  readonly code?: string
  readonly repeatable?: boolean
  /** Shown beside a flow while it is in this state (a dotted path), instead of among the others: such as an approval. */
  readonly state?: string
  /** Resolves with a line for the person, and rejects with an Error whose message is one. */
  run(pressing: Pressing): Promise<string>
}

/** A button as the page is told of it. */
export function viewOf({ id, label, group, hint, code, repeatable, state }: Control): ControlView {
  return { id, label, group, hint, code: code ?? null, repeatable: repeatable ?? false, state: state ?? null }
}

const control = z.strictObject(
  {
    id: text,
    label: z.string({ error: 'a string' }),
    group: z.string({ error: 'a string' }),
    hint: z.string({ error: 'a string' }),
    code: z.string({ error: 'a string' }).optional(),
    repeatable: flag.optional(),
    state: z.string({ error: 'a string' }).optional(),
    run: fn<Control['run']>(),
  } satisfies Record<keyof Control, unknown>,
  { error: 'a control' },
)

/** The buttons that a program gives. */
export const controlList = listOf(control, 'controls').superRefine((controls, context) => {
  const seen = new Set<string>()
  for (const [index, { id }] of controls.entries()) {
    if (seen.has(id)) {
      context.addIssue({ code: 'custom', path: [index, 'id'], message: 'unique; an earlier control has it already' })
    }
    seen.add(id)
  }
})
