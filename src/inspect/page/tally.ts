// Says in the title bar how many flows there are and how they stand, and whether the page is connected.
// Must never count what it was not told.

import { html } from './dom.js'
import type { Standing, Store } from './store.js'

const ORDER: readonly (readonly [Standing, string])[] = [
  ['running', 'running'],
  ['paid', 'succeeded'],
  ['recovered', 'recovered'],
  ['failed', 'failed'],
]

/** Keeps the title bar up to date. */
export function tallyBar(element: HTMLElement, link: HTMLElement, title: HTMLElement, store: Store): () => void {
  let before = ''
  return () => {
    const counts = new Map<Standing, number>()
    for (const { standing } of store.flows.values()) counts.set(standing, (counts.get(standing) ?? 0) + 1)
    const now = JSON.stringify([...counts, store.connected, store.hello?.title])
    if (now === before) return
    before = now
    element.replaceChildren(
      ...ORDER.filter(([standing]) => (counts.get(standing) ?? 0) > 0).map(([standing, name]) =>
        html('span', { class: 'count', 'data-standing': standing }, `${counts.get(standing) ?? 0} ${name}`),
      ),
    )
    link.textContent = store.connected ? 'Connected' : 'Connecting…'
    link.dataset.on = String(store.connected)
    if (store.hello !== null) title.textContent = store.hello.title
  }
}
