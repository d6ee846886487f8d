// The keyboard: arrows step back and forth, Home goes to the first step, End and L go along with the flow.
// Must never take a key from a field that needs it.

import type { Store } from './store.js'

/** Listens on the whole page. */
export function listenToKeys(store: Store, changed: () => void): void {
  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => store.move(-1),
    ArrowRight: () => store.move(1),
    Home: () => store.lookAt(store.selected?.steps[0]?.index ?? 0),
    End: () => store.lookAt(null),
    l: () => store.lookAt(null),
  }
  document.addEventListener('keydown', (event) => {
    const { target, key } = event
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    if (target instanceof HTMLInputElement) return
    const act = keys[key]
    if (act === undefined) return
    event.preventDefault()
    act()
    changed()
  })
}
