// The machine's context and the event's own data at a step, with what the step has changed marked.
// Must never hide a member: what is long is folded away, not left out.

import type { Step } from '../live/messages.js'
import { html } from './dom.js'

/** As long as this stands on one line. */
const SHORT = 46

type Json = Step['context']

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function value(json: Json): HTMLElement {
  const short = JSON.stringify(json)
  if (short.length <= SHORT) return html('code', {}, short)
  return html(
    'details',
    { class: 'folded' },
    html('summary', {}, html('code', {}, `${short.slice(0, SHORT)}…`)),
    html('pre', {}, JSON.stringify(json, null, 2)),
  )
}

function rows(json: Json, previous: Json | undefined): readonly HTMLElement[] {
  if (!isObject(json)) return [html('div', { class: 'member' }, value(json))]
  const before = previous !== undefined && isObject(previous) ? previous : null
  return Object.entries(json).map(([key, member]) => {
    const changed = before !== null && JSON.stringify(before[key]) !== JSON.stringify(member)
    return html(
      'div',
      { class: 'member', 'data-changed': changed },
      html('span', { class: 'key-name' }, key),
      value(member),
    )
  })
}

/** The event's data and the context of a step. */
export function contextView(step: Step, previous: Step | undefined): readonly HTMLElement[] {
  const payload = isObject(step.payload) && Object.keys(step.payload).length === 0 ? null : step.payload
  return [
    ...(payload === null ? [] : [html('h3', {}, `What came with ${step.event}`), ...rows(payload, undefined)]),
    html('h3', {}, 'Context', html('span', { class: 'quiet' }, ' (marked: changed by this step)')),
    ...rows(step.context, previous?.context),
  ]
}
