// The panel beside the chart: what the flow knows at the step that is looked at.
// Must never show anything of another step: whoever steps back sees what was known then.

import type { BoundLeft, CodeView, ControlView, PaymentFacts, Step } from '../live/messages.js'
import { minus, percent, plus, tokens } from './amounts.js'
import { contextView } from './context-view.js'
import { breakable, type Child, html } from './dom.js'
import { stepList } from './step-list.js'
import type { KeptFlow, Store } from './store.js'

const STANDING: Readonly<Record<KeptFlow['standing'], string>> = {
  running: 'running',
  paid: 'succeeded',
  recovered: 'recovered',
  failed: 'failed',
  stopped: 'stopped',
}

/** Draws the panel into an element and keeps it up to date. */
export function details(
  element: HTMLElement,
  store: Store,
  { changed, press }: { readonly changed: () => void; readonly press: (control: ControlView) => void },
): () => void {
  const head = html('div', { class: 'who' })
  const now = html('div', { class: 'facts' })
  const list = html('div', { class: 'steps' })
  const unmet = html('details', { class: 'unmet' }, html('summary', {}, 'Bounds of codes not met'))
  const unmetList = html('div', {})
  unmet.append(unmetList)
  const context = html('details', { class: 'context' }, html('summary', {}, 'Context at this step'))
  const contextBody = html('div', { class: 'context-body' })
  context.append(contextBody)
  const updateSteps = stepList(list, store, changed)
  element.append(head, now, unmet, html('h2', { class: 'of-steps' }, 'Steps'), list, context)
  let before = ''

  // What is folded away is not drawn.
  context.addEventListener('toggle', () => {
    before = ''
    changed()
  })

  return () => {
    updateSteps()
    const { selected, step } = store
    const stamp = [selected?.flow.id, selected?.standing, step?.index, step?.at].join()
    if (stamp === before) return
    before = stamp
    element.dataset.empty = String(step === null)
    if (selected === null || step === null) {
      head.replaceChildren(
        html('p', { class: 'empty' }, 'What a flow knows stands here: amounts, bounds left, steps and context.'),
      )
      now.replaceChildren()
      unmetList.replaceChildren()
      contextBody.replaceChildren()
      unmet.hidden = true
      context.hidden = true
      return
    }
    head.replaceChildren(...who(selected, step).filter((child) => child !== null))
    const code = step.code === null ? null : (store.hello?.codes[step.code] ?? null)
    const decimals = store.hello?.decimals ?? 6
    const facts = step.payment
    const chart = store.charts.get(selected.flow.chart)
    const state = chart?.states.find(({ path }) => path === step.state)
    now.replaceChildren(
      ...(state === undefined ? [] : [html('p', { class: 'meaning' }, state.description), doing(state.effects, step)]),
      ...decision(selected, step, store, press),
      ...(facts?.failure == null ? [] : [failureCard(facts.failure)]),
      ...(code === null || facts?.failure != null ? [] : [codeCard(step, code)]),
      ...(facts === null ? [] : paymentFacts(facts, decimals)),
    )
    const other = (facts?.bounds ?? []).filter(({ left, of }) => left === of)
    unmet.hidden = other.length === 0
    unmetList.replaceChildren(boundTable(other))
    context.hidden = false
    if (context.open) {
      const previous = selected.steps[selected.steps.indexOf(step) - 1]
      contextBody.replaceChildren(...contextView(step, previous))
    } else contextBody.replaceChildren()
  }
}

function who({ flow, standing }: KeptFlow, step: Step): readonly Child[] {
  const { payment } = step
  const request = payment === null ? flow.name : `${payment.request.method} ${payment.request.path}`
  return [
    html(
      'h2',
      { class: 'flow-name' },
      `#${flow.number} `,
      html('span', {}, payment?.purpose === 'close' ? 'close' : flow.name),
    ),
    html('span', { class: 'pill', 'data-standing': standing }, STANDING[standing]),
    payment === null ? null : html('p', { class: 'quiet' }, breakable(request)),
  ]
}

/** The effect that a state runs, and whether it has just reported. */
function doing(effects: readonly string[], step: Step): HTMLElement {
  const line = html('p', { class: 'quiet' })
  if (effects.length > 0) line.append(`runs ${effects.join(', ')}`)
  if (step.by !== null) line.append(effects.length > 0 ? '; ' : '', `told by ${step.by}`)
  return line
}

/** Buttons that belong to the state that the flow is in now; none while its past is looked at. */
function decision(
  { steps }: KeptFlow,
  step: Step,
  { hello }: Store,
  press: (control: ControlView) => void,
): readonly HTMLElement[] {
  if (step !== steps.at(-1) || step.status !== 'active') return []
  const offered = (hello?.controls ?? []).filter(({ state }) => state !== null && state === step.state)
  if (offered.length === 0) return []
  const buttons = offered.map((control) =>
    html(
      'button',
      {
        type: 'button',
        class: 'action',
        title: control.hint,
        'data-control': control.id,
        onclick: () => press(control),
      },
      control.label,
    ),
  )
  const label = offered[0]?.group ?? ''
  const moving = step.payment?.moving ?? null
  const named = step.payment?.token == null ? '' : ` ${step.payment.token}`
  const verb = moving?.action === 'open' ? 'Opens a channel with' : 'Adds to the channel'
  return [
    ...(moving === null ? [] : [html('p', {}, `${verb} ${tokens(moving.deposit, hello?.decimals ?? 6)}${named}.`)]),
    html('div', { class: 'actions decision', role: 'group', 'aria-label': label }, ...buttons),
  ]
}

function codeCard({ code }: Step, { meaning, leadsTo, bound }: CodeView): HTMLElement {
  const often = bound === 1 ? 'once' : `${bound} times`
  return html(
    'div',
    { class: 'card', 'data-tone': 'recovery' },
    html('h3', {}, breakable(code ?? '')),
    html('p', {}, meaning),
    html(
      'p',
      { class: 'quiet' },
      bound === 0 ? `leads to: ${leadsTo}` : `leads to: ${leadsTo}, at most ${often} in a flow`,
    ),
  )
}

function failureCard({ code, advice, detail, limit }: NonNullable<PaymentFacts['failure']>): HTMLElement {
  const because = [detail, limit === null ? null : `limit: ${limit}`].filter((part) => part !== null).join('; ')
  return html(
    'div',
    { class: 'card', 'data-tone': 'failure' },
    html('h3', {}, breakable(code)),
    html('p', {}, advice),
    because === '' ? null : html('p', { class: 'quiet' }, because),
  )
}

function paymentFacts(facts: PaymentFacts, decimals: number): readonly HTMLElement[] {
  const met = facts.bounds.filter(({ left, of }) => left !== of)
  return [
    html('h2', {}, facts.token === null ? 'Amounts' : `Amounts in ${facts.token}`),
    amountsView(facts, decimals),
    html('h2', {}, 'Bounds left'),
    met.length === 0 ? html('p', { class: 'quiet' }, 'No recovery was taken so far.') : boundTable(met),
  ]
}

function amountsView({ amounts, settlement }: PaymentFacts, decimals: number): HTMLElement {
  if (settlement !== null) {
    const { settled, refunded } = settlement
    return html(
      'dl',
      { class: 'amounts' },
      ...row('settled', tokens(settled, decimals), 'spent'),
      ...row('refunded', tokens(refunded, decimals), 'deposit'),
    )
  }
  if (amounts === null) return html('p', { class: 'quiet' }, 'The channel was not looked up yet.')
  const { deposit, pending, signed, accepted, spent, maxDeposit, maxExposure } = amounts
  const whole = plus(deposit, pending)
  const limit = `of at most ${tokens(maxDeposit, decimals)}`
  const coming = pending === '0' ? '' : `+ ${tokens(pending, decimals)} pending, `
  const share = (name: string, value: string): HTMLElement => {
    const part = html('i', { class: `share ${name}` })
    part.style.width = `${percent(value, whole)}%`
    return part
  }
  const said = `deposit ${tokens(deposit, decimals)}, signed ${tokens(signed, decimals)}, accepted ${tokens(accepted, decimals)}, spent ${tokens(spent, decimals)}`
  return html(
    'div',
    {},
    html(
      'div',
      { class: 'bar-of-amounts', role: 'img', 'aria-label': said },
      share('signed', signed),
      share('accepted', accepted),
      share('spent', spent),
    ),
    html(
      'dl',
      { class: 'amounts' },
      ...row('deposit', tokens(deposit, decimals), 'deposit', `${coming}${limit}`),
      ...row('signed', tokens(signed, decimals), 'signed'),
      ...row('accepted', tokens(accepted, decimals), 'accepted'),
      ...row('spent', tokens(spent, decimals), 'spent'),
      ...row('exposed', tokens(minus(signed, spent), decimals), '', `of at most ${tokens(maxExposure, decimals)}`),
    ),
  )
}

function row(name: string, value: string, key: string, more = ''): readonly HTMLElement[] {
  return [
    html('dt', {}, html('i', { class: `key ${key}`, 'aria-hidden': 'true' }), name),
    html('dd', {}, html('b', {}, value), more === '' ? null : html('span', { class: 'quiet' }, ` ${more}`)),
  ]
}

/** More than this are not drawn one by one. */
const MOST_DOTS = 6

function boundTable(bounds: readonly BoundLeft[]): HTMLElement {
  return html(
    'dl',
    { class: 'bounds' },
    ...bounds.flatMap(({ name, left, of }) => [
      html('dt', {}, breakable(name)),
      html(
        'dd',
        { 'data-left': left, title: `${left} of ${of} left` },
        ...(of > MOST_DOTS
          ? []
          : Array.from({ length: of }, (_, index) => html('i', { class: 'pip', 'data-left': index < left }))),
        html('span', {}, `${left} of ${of}`),
      ),
    ]),
  )
}
