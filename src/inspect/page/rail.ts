// The rail under the chart: one mark for each step, and the means to go back and forth.
// Must never move the flow itself: what is looked at is in the past.

import { html, svg } from './dom.js'
import type { Store } from './store.js'

/** Draws the rail into an element and keeps it up to date. */
export function rail(element: HTMLElement, store: Store, changed: () => void): () => void {
  const act = (what: () => void) => (): void => {
    what()
    changed()
  }
  const button = (label: string, sign: string, what: () => void): HTMLButtonElement =>
    html(
      'button',
      { type: 'button', class: 'step-button', 'aria-label': label, title: label, onclick: act(what) },
      svg('svg', { viewBox: '0 0 16 16', class: 'sign', 'aria-hidden': 'true' }, svg('path', { d: sign })),
    )
  const first = (): void => store.lookAt(store.selected?.steps[0]?.index ?? 0)
  const slider = html('input', {
    type: 'range',
    class: 'slider',
    min: 0,
    step: 1,
    'aria-label': 'Step of the flow',
    oninput: act(() => store.lookAt(Number(slider.value))),
  })
  const ticks = html('div', { class: 'ticks', 'aria-hidden': 'true' })
  const track = html('div', { class: 'track' }, ticks, slider)
  const position = html('span', { class: 'position' })
  const live = html('button', { type: 'button', class: 'live', onclick: act(() => store.lookAt(null)) }, 'Live')
  const slow = html('input', {
    type: 'checkbox',
    id: 'slow',
    checked: store.slow,
    onchange: act(() => {
      store.slow = slow.checked
    }),
  })
  element.append(
    html(
      'div',
      { class: 'steppers', role: 'group', 'aria-label': 'Step back and forth' },
      button('First step', 'M3 3h2v10H3zM13 3v10L6 8z', first),
      button('Previous step', 'M11 3v10L4 8z', () => store.move(-1)),
      button('Next step', 'M5 3l7 5-7 5z', () => store.move(1)),
    ),
    track,
    position,
    live,
    html(
      'label',
      { class: 'slow', for: 'slow', title: 'Each step is shown long enough to be seen' },
      slow,
      'Slow motion',
    ),
  )
  let before = ''

  return () => {
    const { selected, step } = store
    const steps = selected?.steps ?? []
    const at = step === null ? -1 : steps.indexOf(step)
    const now = [selected?.flow.id, steps[0]?.index, steps.length, at, store.live].join()
    if (now === before) return
    before = now
    element.dataset.empty = String(steps.length === 0)
    slider.min = String(steps[0]?.index ?? 0)
    slider.max = String(steps.at(-1)?.index ?? 0)
    slider.value = String(step?.index ?? 0)
    slider.setAttribute('aria-valuetext', step === null ? 'none' : `${step.index + 1}: ${step.event}, ${step.state}`)
    ticks.replaceChildren(
      ...steps.map((one, index) => html('i', { class: 'tick', 'data-tone': one.tone, 'data-past': index <= at })),
    )
    const forgotten = selected?.flow.forgotten ?? 0
    position.textContent = steps.length === 0 ? '' : `${at + 1 + forgotten} / ${steps.length + forgotten}`
    live.setAttribute('aria-pressed', String(store.live))
  }
}
