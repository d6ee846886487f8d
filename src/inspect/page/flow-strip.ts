// One cell for every flow: its number, its state and how it stands. One of them is chosen.
// Must never be rebuilt as a whole: with many flows only those that changed are touched.

import { html } from './dom.js'
import type { KeptFlow, Store } from './store.js'

/** With more flows than this, cells show numbers only. */
const ROOMY = 8

const SAID: Readonly<Record<KeptFlow['standing'], string>> = {
  running: 'running',
  paid: 'succeeded',
  recovered: 'recovered and succeeded',
  failed: 'failed',
  stopped: 'stopped',
}

/** Draws the flows into an element and keeps them up to date. */
export function flowStrip(element: HTMLElement, store: Store, changed: () => void): () => void {
  const cells = new Map<string, HTMLButtonElement>()
  const list = html('div', { class: 'strip', role: 'radiogroup', 'aria-label': 'Flows' })
  const empty = html('p', { class: 'empty' }, 'No flow yet. Flows appear here as they start.')
  element.append(list, empty)

  function choose(cell: HTMLButtonElement): void {
    const id = cell.dataset.flow
    if (id === undefined) return
    store.select(id)
    changed()
  }

  list.addEventListener('click', ({ target }) => {
    const cell = target instanceof Element ? target.closest('button') : null
    if (cell !== null) choose(cell)
  })
  list.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
    const all = [...cells.values()]
    const at = all.findIndex(({ tabIndex }) => tabIndex === 0)
    const next = by === undefined || at === -1 ? undefined : all[(at + by + all.length) % all.length]
    if (next === undefined) return
    event.preventDefault()
    event.stopPropagation()
    choose(next)
    next.focus()
  })

  function cellOf(id: string): HTMLButtonElement {
    const known = cells.get(id)
    if (known !== undefined) return known
    const cell = html(
      'button',
      { class: 'flow', type: 'button', role: 'radio', 'data-flow': id },
      html('span', { class: 'mark', 'aria-hidden': 'true' }),
      html('span', { class: 'number' }),
      html('span', { class: 'at' }),
    )
    cells.set(id, cell)
    list.append(cell)
    return cell
  }

  function text(cell: HTMLElement, part: string, value: string): void {
    const field = cell.querySelector(`.${part}`)
    if (field !== null && field.textContent !== value) field.textContent = value
  }

  return () => {
    const selected = store.selected?.flow.id
    for (const id of store.changed) {
      const kept = store.flows.get(id)
      if (kept === undefined) {
        cells.get(id)?.remove()
        cells.delete(id)
        continue
      }
      const cell = cellOf(id)
      const { flow, standing, steps } = kept
      const state = steps.at(-1)?.state ?? '…'
      cell.dataset.standing = standing
      cell.dataset.closing = String(steps.at(-1)?.payment?.purpose === 'close')
      const chosen = id === selected
      cell.setAttribute('aria-checked', String(chosen))
      cell.tabIndex = chosen ? 0 : -1
      cell.title = `${flow.name}: ${state}, ${SAID[standing]}`
      cell.setAttribute('aria-label', `Flow ${flow.number}, ${state}, ${SAID[standing]}`)
      text(cell, 'number', `#${flow.number}`)
      text(cell, 'at', state.slice(state.lastIndexOf('.') + 1))
      if (chosen) keepInSight(list, cell)
    }
    empty.hidden = store.flows.size > 0
    list.dataset.crowded = String(store.flows.size > ROOMY)
  }
}

/** Scrolls the strip, and nothing but the strip. */
function keepInSight(list: HTMLElement, cell: HTMLElement): void {
  const from = list.getBoundingClientRect()
  const at = cell.getBoundingClientRect()
  if (at.left < from.left) list.scrollLeft -= from.left - at.left + 12
  if (at.right > from.right) list.scrollLeft += at.right - from.right + 12
  if (at.top < from.top) list.scrollTop -= from.top - at.top + 4
  if (at.bottom > from.bottom) list.scrollTop += at.bottom - from.bottom + 4
}
