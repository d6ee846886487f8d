// All steps of the flow that is looked at, as a list to read and to choose from.
// Must never be drawn anew for one more step.

import type { Step } from '../live/messages.js'
import { breakable, html } from './dom.js'
import type { Store } from './store.js'

/** Draws the list into an element and keeps it up to date. */
export function stepList(element: HTMLElement, store: Store, changed: () => void): () => void {
  const list = html('ol', { class: 'step-list' })
  element.append(list)
  const items = new Map<number, HTMLButtonElement>()
  let flow = ''
  let current: HTMLButtonElement | null = null

  list.addEventListener('click', ({ target }) => {
    const item = target instanceof Element ? target.closest('button') : null
    if (item === null) return
    store.lookAt(Number(item.dataset.index))
    changed()
  })

  function item(step: Step): HTMLButtonElement {
    const decided = step.taken[0]?.event === '' ? `[${step.taken[0].guard ?? 'otherwise'}]` : null
    return html(
      'button',
      { type: 'button', class: 'step', 'data-index': step.index, 'data-tone': step.tone },
      html('span', { class: 'cause' }, decided ?? breakable(step.event)),
      html('span', { class: 'into' }, breakable(step.state)),
    )
  }

  return () => {
    const { selected, step } = store
    const id = selected?.flow.id ?? ''
    if (id !== flow) {
      flow = id
      items.clear()
      list.replaceChildren()
      current = null
    }
    const steps = selected?.steps ?? []
    for (const one of steps) {
      if (items.has(one.index)) continue
      const made = item(one)
      items.set(one.index, made)
      list.append(html('li', {}, made))
    }
    const oldest = steps[0]?.index ?? 0
    for (const [index, made] of items) {
      if (index >= oldest) break
      made.parentElement?.remove()
      items.delete(index)
    }
    const next = step === null ? null : (items.get(step.index) ?? null)
    if (next === current) return
    current?.removeAttribute('aria-current')
    next?.setAttribute('aria-current', 'step')
    current = next
    if (next === null) return
    // Scrolls the list and nothing else.
    const from = element.getBoundingClientRect()
    const at = next.getBoundingClientRect()
    if (at.top < from.top) element.scrollTop -= from.top - at.top + 8
    if (at.bottom > from.bottom) element.scrollTop += at.bottom - from.bottom + 8
  }
}
