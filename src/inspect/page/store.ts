// What the page knows, and which part of it is looked at.
// Must never touch the document: the views read from here.

import type { Chart, ControlView, Flow, PageMessage, Step } from '../live/messages.js'

/** How a flow stands, as its colour says. */
export type Standing = 'running' | 'paid' | 'recovered' | 'failed' | 'stopped'

/** A flow with the steps that are kept of it. */
export interface KeptFlow {
  readonly flow: Flow
  readonly steps: readonly Step[]
  readonly standing: Standing
}

/** Steps the page keeps of one flow: the newest. */
const MOST_STEPS = 300

/** What became of a button that was pressed. */
export interface PressNote {
  readonly control: string
  /** Null while it is not over. */
  readonly ok: boolean | null
  readonly note: string
}

type Hello = Extract<PageMessage, { type: 'hello' }>

export interface Store {
  /** Whether the page is connected and has been told everything that was before. */
  readonly connected: boolean
  readonly hello: Hello | null
  readonly charts: ReadonlyMap<string, Chart>
  readonly flows: ReadonlyMap<string, KeptFlow>
  readonly selected: KeptFlow | null
  /** The step that is looked at; null when there is none. */
  readonly step: Step | null
  readonly live: boolean
  /** Whether steps of the selected flow are shown one at a time, slowly enough to be seen. */
  slow: boolean
  repeat: boolean
  readonly notes: ReadonlyMap<string, PressNote>
  readonly lastNote: PressNote | null
  /** Flows whose looks have changed since `drawn` was called. */
  readonly changed: ReadonlySet<string>
  disconnect(): void
  apply(message: PageMessage): void
  select(flow: string): void
  /** Looks at a step by its index; null goes along with the newest. */
  lookAt(index: number | null): void
  /** Looks one step on or back. */
  move(by: number): void
  pressing(control: ControlView): void
  /** Goes on towards the newest step. @returns how many milliseconds to wait before it is called again, or null. */
  advance(now: number): number | null
  drawn(): void
}

interface Mutable {
  flow: Flow
  steps: Step[]
  standing: Standing
}

/** How long a step is shown, when those after it are not too many. */
const STEP_MS = 320
/** With this many steps waiting, each is shown for half as long, and so on. */
const PATIENCE = 12

function standingOf(flow: Flow, last: Step | undefined): Standing {
  if (last === undefined || last.status === 'active') return 'running'
  if (last.tone === 'failure') return 'failed'
  if (last.status === 'stopped') return 'stopped'
  return flow.recovered ? 'recovered' : 'paid'
}

export function createStore(): Store {
  let connected = false
  let hello: Hello | null = null
  const charts = new Map<string, Chart>()
  const flows = new Map<string, Mutable>()
  const notes = new Map<string, PressNote>()
  const changed = new Set<string>()
  let lastNote: PressNote | null = null
  let selected: string | null = null
  /** Whether the next flow that appears is looked at. */
  let follow = true
  let wanted: string | null = null
  /** Index of the step that is shown. */
  let shown = 0
  let live = true
  let shownAt = 0

  function show(flow: string): void {
    if (selected === flow) return
    if (selected !== null) changed.add(selected)
    selected = flow
    changed.add(flow)
    live = true
    shown = flows.get(flow)?.steps[0]?.index ?? 0
    shownAt = 0
  }

  function addFlow(flow: Flow): void {
    const known = flows.get(flow.id)
    if (known !== undefined) known.flow = flow
    else flows.set(flow.id, { flow, steps: [], standing: 'running' })
    changed.add(flow.id)
    if (known !== undefined) return
    if (flow.name === wanted || (wanted === null && follow)) show(flow.id)
    if (flow.name === wanted) wanted = null
  }

  function addStep(id: string, step: Step): void {
    const kept = flows.get(id)
    if (kept === undefined) return
    kept.steps.push(step)
    if (kept.steps.length > MOST_STEPS) kept.steps.shift()
    if (step.tone === 'recovery' && !kept.flow.recovered) kept.flow = { ...kept.flow, recovered: true }
    kept.standing = standingOf(kept.flow, step)
    changed.add(id)
  }

  function forget(id: string): void {
    flows.delete(id)
    changed.add(id)
    if (selected !== id) return
    selected = null
    const newest = [...flows.keys()].at(-1)
    if (newest !== undefined) show(newest)
  }

  const current = (): Mutable | null => (selected === null ? null : (flows.get(selected) ?? null))

  return {
    get connected() {
      return connected
    },
    get hello() {
      return hello
    },
    get charts() {
      return charts
    },
    get flows() {
      return flows
    },
    get selected() {
      return current()
    },
    get step() {
      const steps = current()?.steps ?? []
      return steps.find(({ index }) => index >= shown) ?? steps.at(-1) ?? null
    },
    get live() {
      return live
    },
    slow: true,
    repeat: false,
    get notes() {
      return notes
    },
    get lastNote() {
      return lastNote
    },
    get changed() {
      return changed
    },
    disconnect() {
      connected = false
    },
    apply(message) {
      switch (message.type) {
        case 'hello': {
          // A new connection tells everything anew.
          for (const id of flows.keys()) changed.add(id)
          flows.clear()
          charts.clear()
          notes.clear()
          selected = null
          follow = true
          hello = message
          break
        }
        case 'ready':
          connected = true
          // What was over before this page was opened is not played again.
          shown = current()?.steps.at(-1)?.index ?? 0
          break
        case 'chart':
          charts.set(message.chart.key, message.chart)
          break
        case 'flow':
          addFlow(message.flow)
          break
        case 'step':
          addStep(message.flow, message.step)
          break
        case 'gone':
          forget(message.flow)
          break
        case 'pressed': {
          const { control, ok, note } = message
          lastNote = { control, ok, note }
          notes.set(control, lastNote)
          break
        }
        case 'look': {
          const there = [...flows.values()].find(({ flow }) => flow.name === message.name)
          if (there === undefined) wanted = message.name
          else show(there.flow.id)
          break
        }
      }
    },
    select(flow) {
      show(flow)
      // Whoever chooses a flow wants to go on looking at it.
      follow = false
      wanted = null
      const steps = flows.get(flow)?.steps ?? []
      shown = steps.at(-1)?.index ?? 0
    },
    lookAt(index) {
      live = index === null
      if (index !== null) shown = index
      shownAt = 0
    },
    move(by) {
      const steps = current()?.steps ?? []
      const at = steps.findIndex(({ index }) => index >= shown)
      const next = steps[Math.min(steps.length - 1, Math.max(0, (at === -1 ? steps.length - 1 : at) + by))]
      if (next === undefined) return
      live = false
      shown = next.index
    },
    pressing(control) {
      follow = true
      lastNote = { control: control.id, ok: null, note: '' }
      notes.set(control.id, lastNote)
    },
    advance(now) {
      const last = current()?.steps.at(-1)
      if (!live || last === undefined || shown >= last.index) return null
      if (!this.slow) {
        shown = last.index
        return null
      }
      const wait = STEP_MS / Math.max(1, (last.index - shown) / PATIENCE)
      const left = shownAt + wait - now
      if (left > 0) return left
      shown += 1
      shownAt = now
      return shown >= last.index ? null : wait
    },
    drawn() {
      changed.clear()
    },
  }
}
