// Keeps what the inspector has seen: flows, their steps and their charts, and tells pages what is new.
// Must never grow without bound, however long the inspected program runs.

import type { StateValue } from 'xstate'
import type { Layout } from '../diagram/layout.js'
import type { Json } from '../diagram/studio.js'
import { chartOf, type Drawing } from './chart.js'
import type { Chart, Flow, PageMessage, Step, Taken } from './messages.js'
import { paymentFacts } from './payment-facts.js'

/** Steps kept of one flow: the newest. */
export const MOST_STEPS = 300
/** Flows kept: those that are over are forgotten first, the oldest first. */
export const MOST_FLOWS = 250
const MOST_CHARTS = 40
/** Characters of all steps and charts, as JSON. A page that opens is told all of them, within what its feed may hold. */
export const MOST_CHARACTERS = 24 * 1024 * 1024

/** A step as a source of flows reports it. */
export interface SeenStep {
  readonly event: string
  readonly by: string | null
  readonly value: StateValue
  readonly taken: readonly Taken[]
  readonly status: Step['status']
  readonly payload: Json
  readonly context: Json
}

export interface FlowBook {
  /** Starts a flow under a key of the source's own. A key that is known already is not started again. */
  begin(key: string, flow: { readonly name: string; readonly drawing: Drawing }): void
  has(key: string): boolean
  add(key: string, step: SeenStep): void
  /** Lays a machine out before it is needed. */
  prepare(drawing: Drawing, seeds?: readonly number[]): Promise<void>
  /** Everything that a page which has just opened must be told. */
  messages(): readonly PageMessage[]
  /** Calls with every message from now on, until the result is called. */
  subscribe(listener: (message: PageMessage) => void): () => void
}

interface Kept {
  flow: Flow
  readonly drawing: Drawing
  readonly paths: ReadonlyMap<string, string>
  readonly steps: { readonly step: Step; readonly size: number }[]
  ended: boolean
}

interface KeptChart {
  readonly chart: Chart
  readonly size: number
}

/** Dotted paths of all states that a state value says the machine is in, outer ones first. */
export function pathsOf(value: StateValue, above = ''): readonly string[] {
  const at = (name: string): string => (above === '' ? name : `${above}.${name}`)
  if (typeof value === 'string') return [at(value)]
  return Object.entries(value).flatMap(([name, inner]) =>
    inner === undefined ? [at(name)] : [at(name), ...pathsOf(inner, at(name))],
  )
}

/** The innermost states, as text. */
export function stateText(value: StateValue): string {
  const paths = pathsOf(value)
  return paths.filter((path) => !paths.some((other) => other.startsWith(`${path}.`))).join(' | ')
}

/** @param layout places the states of charts; default: ELK in this thread. */
export function createFlowBook(layout?: Layout): FlowBook {
  const flows = new Map<string, Kept>()
  const charts = new Map<string, KeptChart>()
  const drawn = new Map<string, Promise<void>>()
  const listeners = new Set<(message: PageMessage) => void>()
  let number = 0
  let size = 0

  const tell = (message: PageMessage): void => {
    for (const listener of listeners) listener(message)
  }

  function draw(drawing: Drawing, seeds?: readonly number[]): Promise<void> {
    const known = drawn.get(drawing.key)
    if (known !== undefined) return known
    const drawingDone = chartOf(drawing, seeds, layout).then((chart) => {
      // The graph is kept as well, with the flows that are in it.
      const kept = { chart, size: JSON.stringify(chart).length + JSON.stringify(drawing.graph).length }
      charts.set(drawing.key, kept)
      size += kept.size
      tell({ type: 'chart', chart })
      forget()
    })
    drawn.set(drawing.key, drawingDone)
    return drawingDone
  }

  /** A program that makes a new machine for every flow must not fill the memory with pictures. */
  function forgetCharts(): void {
    if (charts.size <= MOST_CHARTS && size <= MOST_CHARACTERS) return
    const used = new Set([...flows.values()].map(({ drawing }) => drawing.key))
    for (const [key, kept] of charts) {
      if (charts.size <= MOST_CHARTS && size <= MOST_CHARACTERS) return
      if (used.has(key)) continue
      size -= kept.size
      charts.delete(key)
      drawn.delete(key)
    }
  }

  function forgetStep(kept: Kept): void {
    size -= kept.steps.shift()?.size ?? 0
    kept.flow = { ...kept.flow, forgotten: kept.flow.forgotten + 1 }
  }

  /** Charts that nobody needs go first, then flows that are over, then the oldest, and at last the oldest steps of the only one. */
  function forget(): void {
    forgetCharts()
    while (flows.size > MOST_FLOWS || (size > MOST_CHARACTERS && flows.size > 1)) {
      const ended = [...flows.entries()].find(([, kept]) => kept.ended)
      const [key, kept] = ended ?? [...flows.entries()][0] ?? []
      if (key === undefined || kept === undefined) return
      for (const step of kept.steps) size -= step.size
      flows.delete(key)
      tell({ type: 'gone', flow: key })
      forgetCharts()
    }
    for (const kept of flows.values()) {
      while (size > MOST_CHARACTERS && kept.steps.length > 1) forgetStep(kept)
    }
  }

  function begin(key: string, { name, drawing }: { readonly name: string; readonly drawing: Drawing }): void {
    if (flows.has(key)) return
    number += 1
    const flow: Flow = { id: key, number, name, chart: drawing.key, recovered: false, forgotten: 0 }
    const paths = new Map(drawing.graph.states.map(({ path, id }) => [path, id]))
    flows.set(key, { flow, drawing, paths, steps: [], ended: false })
    draw(drawing)
    tell({ type: 'flow', flow })
    forget()
  }

  function add(key: string, seen: SeenStep): void {
    const kept = flows.get(key)
    if (kept === undefined) return
    const { drawing, steps, paths } = kept
    const { event, by, value, taken, status, payload, context } = seen
    const tone = drawing.toneOf(taken, status)
    const code = drawing.codeOf(taken)
    const index = (steps.at(-1)?.step.index ?? -1) + 1
    const active = pathsOf(value).flatMap((path) => paths.get(path) ?? [])
    const step: Step = {
      index,
      at: Date.now(),
      event,
      code,
      by,
      state: stateText(value),
      active,
      taken,
      tone,
      status,
      payload,
      context,
      payment: paymentFacts(context),
    }
    const added = JSON.stringify(step).length
    steps.push({ step, size: added })
    size += added
    if (steps.length > MOST_STEPS) forgetStep(kept)
    kept.flow = { ...kept.flow, recovered: kept.flow.recovered || tone === 'recovery' }
    kept.ended = status !== 'active'
    tell({ type: 'step', flow: key, step })
    if (size > MOST_CHARACTERS) forget()
  }

  return {
    begin,
    add,
    has: (key) => flows.has(key),
    prepare: draw,
    messages: () => [
      ...[...charts.values()].map(({ chart }) => ({ type: 'chart', chart }) as const),
      ...[...flows.values()].flatMap(({ flow, steps }) => [
        { type: 'flow', flow } as const,
        ...steps.map(({ step }) => ({ type: 'step', flow: flow.id, step }) as const),
      ]),
    ],
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
