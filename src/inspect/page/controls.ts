// The buttons that the inspected program offers: what to do, and which code the gateway should answer with.
// Must never know what a button does: that is the program's, behind the button's id.

import type { CodeView, ControlView } from '../live/messages.js'
import { breakable, html } from './dom.js'
import type { Store } from './store.js'

/** In the order they stand, by where the codes lead. */
const HEADINGS: readonly (readonly [leadsTo: string, heading: string])[] = [
  ['voucher-refresh', 'Next voucher'],
  ['top-up', 'Top-up'],
  ['re-challenge', 'Fresh challenge'],
  ['next-offer', 'Next offer'],
  ['reconcile', 'Ask the chain'],
  ['ask-chain-again', 'Ask the chain again'],
  ['retry-close', 'Close again'],
  ['terminal', 'The flow ends'],
]

/** Draws the buttons into an element, what came of them into another, and keeps both up to date. */
export function controlPanel(
  element: HTMLElement,
  said: HTMLElement,
  store: Store,
  press: (control: ControlView) => void,
): () => void {
  const buttons = new Map<string, HTMLButtonElement>()
  let built: unknown = null

  function button(control: ControlView, className: string): HTMLButtonElement {
    const made = html(
      'button',
      {
        type: 'button',
        class: className,
        title: control.hint,
        'data-control': control.id,
        onclick: () => press(control),
      },
      breakable(control.label),
    )
    buttons.set(control.id, made)
    return made
  }

  function codeButton(control: ControlView, code: CodeView | undefined): HTMLElement {
    const made = button(control, 'code')
    if (code !== undefined) made.title = `${code.meaning}\n${control.hint}`
    if (code !== undefined && code.bound > 0) {
      made.append(html('span', { class: 'bound', title: `at most ${code.bound} in a flow` }, `×${code.bound}`))
    }
    return made
  }

  function repeatChoice(): HTMLElement {
    const choice = (repeat: boolean, text: string): HTMLElement => {
      const input = html('input', {
        type: 'radio',
        name: 'repeat',
        checked: store.repeat === repeat,
        onchange: () => {
          store.repeat = repeat
        },
      })
      return html('label', {}, input, text)
    }
    return html(
      'fieldset',
      { class: 'repeat' },
      html('legend', {}, 'How often'),
      choice(false, 'once'),
      choice(true, 'until its bound is used up'),
    )
  }

  function build(): void {
    const { hello } = store
    if (hello === built || hello === null) return
    built = hello
    buttons.clear()
    element.hidden = hello.controls.every(({ state }) => state !== null)
    const plain = hello.controls.filter(({ code, state }) => code === null && state === null)
    const coded = hello.controls.filter(({ code }) => code !== null)
    const groups = [...new Set(plain.map(({ group }) => group))]
    const leadsTo = ({ code }: ControlView): string => hello.codes[code ?? '']?.leadsTo ?? 'terminal'
    element.replaceChildren(
      ...groups.map((group) =>
        html(
          'div',
          { class: 'actions', role: 'group', 'aria-label': group },
          ...plain
            .filter((one) => one.group === group)
            .map((one, index) => button(one, index === 0 ? 'action first' : 'action')),
        ),
      ),
      ...(coded.length === 0
        ? []
        : [
            html('h2', {}, 'The gateway answers with'),
            ...(coded.some(({ repeatable }) => repeatable) ? [repeatChoice()] : []),
            ...HEADINGS.flatMap(([kind, heading]) => {
              const codes = coded.filter((one) => leadsTo(one) === kind)
              if (codes.length === 0) return []
              return [
                html(
                  'div',
                  { class: 'codes', role: 'group', 'aria-label': heading, 'data-kind': kind },
                  html('h3', {}, heading),
                  ...codes.map((one) => codeButton(one, hello.codes[one.code ?? ''])),
                ),
              ]
            }),
          ]),
    )
  }

  return () => {
    build()
    for (const [id, made] of buttons) {
      const note = store.notes.get(id)
      made.dataset.pressed = note === undefined ? 'no' : note.ok === null ? 'now' : note.ok ? 'done' : 'broken'
      made.setAttribute('aria-busy', String(note?.ok === null))
    }
    const { lastNote } = store
    const text = lastNote === null ? '' : `${lastNote.control}: ${lastNote.ok === null ? 'under way…' : lastNote.note}`
    if (said.textContent !== text) {
      said.replaceChildren(breakable(text))
      said.dataset.ok = String(lastNote?.ok ?? null)
    }
  }
}
