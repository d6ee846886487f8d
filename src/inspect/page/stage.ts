// The middle of the page: what has just happened in large letters, the chart, and the rail to step back on.
// Must never scroll the page itself; on a narrow window only the chart's own frame moves.

import type { Step } from '../live/messages.js'
import { type ChartView, chartView } from './chart-view.js'
import { breakable, html } from './dom.js'
import { rail } from './rail.js'
import type { Store } from './store.js'

/** Draws the stage into an element and keeps it up to date. */
export function stage(element: HTMLElement, store: Store, changed: () => void): () => void {
  const state = html('p', { class: 'now' })
  const cause = html('p', { class: 'cause' })
  const headline = html('div', { class: 'headline', role: 'status', 'aria-live': 'polite' }, state, cause)
  const frame = html('div', { class: 'frame-of-chart', tabindex: 0, role: 'group', 'aria-label': 'Statechart' })
  const message = html('p', { class: 'empty' })
  const railBox = html('div', { class: 'rail' })
  const updateRail = rail(railBox, store, changed)
  element.append(headline, message, frame, railBox)
  let view: ChartView | null = null
  let drawn = ''
  let shown: Step | null = null

  function drawChart(): void {
    const key = store.selected?.flow.chart ?? [...store.charts.keys()][0] ?? ''
    const chart = store.charts.get(key)
    if (key === drawn && view !== null) return
    drawn = key
    view = null
    shown = null
    frame.replaceChildren()
    message.textContent = chart === undefined ? 'Waiting for the chart…' : (chart.problem ?? '')
    message.hidden = chart !== undefined && chart.problem === null
    if (chart === undefined || chart.problem !== null) return
    view = chartView(chart)
    frame.append(view.element)
  }

  /** On a window too narrow for the whole chart, what happens is kept in the middle of its frame. */
  function follow(): void {
    if (view === null) return
    const { x, y } = view.place()
    const { scrollWidth, scrollHeight, clientWidth, clientHeight } = frame
    if (scrollWidth <= clientWidth && scrollHeight <= clientHeight) return
    const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'
    frame.scrollTo({ left: x * scrollWidth - clientWidth / 2, top: y * scrollHeight - clientHeight / 2, behavior })
  }

  function headlines(step: Step | null): void {
    headline.dataset.tone = step?.tone ?? 'plain'
    if (step === null) {
      state.replaceChildren('Nothing is running')
      cause.replaceChildren('The chart is what a payment goes through.')
      return
    }
    const from = step.taken[0]
    const decided = from !== undefined && from.event === ''
    state.replaceChildren(breakable(step.state.slice(step.state.lastIndexOf('.') + 1)))
    const name = html('strong', { class: 'event' }, decided ? `[${from.guard ?? 'otherwise'}]` : breakable(step.event))
    const because = from === undefined ? null : from.source.slice(from.source.lastIndexOf('.') + 1)
    cause.replaceChildren(
      ...(step.event === 'START' ? ['where the flow starts'] : [decided ? 'decided by ' : 'because of ', name]),
      ...(because === null ? [] : [` in ${because}`]),
    )
  }

  return () => {
    drawChart()
    updateRail()
    const { step } = store
    if (step === shown && (step !== null || state.textContent !== '')) return
    shown = step
    headlines(step)
    if (step === null || view === null) return
    const before = (store.selected?.steps ?? []).filter(({ index }) => index <= step.index)
    view.show(step, before)
    follow()
  }
}
