// What the inspector's server and its page say to each other.
// Must never hold anything that is not JSON, and nothing at runtime but the page's own requests.

import type { Json } from '../diagram/studio.js'

/** A state with its place in the chart. */
export interface ChartState {
  readonly id: string
  /** Dotted path without the machine's name; traces and steps use it. */
  readonly path: string
  readonly name: string
  readonly parent: string | null
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly compound: boolean
  readonly final: boolean
  readonly description: string
  readonly tags: readonly string[]
  readonly effects: readonly string[]
}

/** An arrow with its corners; `transitions` are the ids of all transitions that it stands for. */
export interface ChartArrow {
  readonly id: string
  readonly source: string | null
  readonly target: string | null
  readonly kind: 'happy' | 'step' | 'recovery' | 'failure'
  readonly points: readonly { readonly x: number; readonly y: number }[]
  readonly transitions: readonly string[]
}

/** The picture of one machine. Flows of the same machine share it. */
export interface Chart {
  readonly key: string
  readonly machine: string
  readonly description: string
  readonly width: number
  readonly height: number
  readonly states: readonly ChartState[]
  readonly arrows: readonly ChartArrow[]
  readonly dots: readonly { readonly x: number; readonly y: number; readonly radius: number }[]
  /** Why there is no picture, when there is none. */
  readonly problem: string | null
}

/** How a step, or a flow, is to be seen. `recovery`: an error code was answered by something other than giving up. */
export type Tone = 'plain' | 'recovery' | 'failure' | 'success'

/** A transition that was taken. */
export interface Taken {
  readonly id: string
  readonly source: string
  /** Null when the machine stayed where it was. */
  readonly target: string | null
  /** Empty for a decision that needs no event. */
  readonly event: string
  readonly guard: string | null
}

/** Amounts of a channel, in base units. */
export interface Amounts {
  readonly deposit: string
  /** Deposit that was signed and is not on the chain yet. */
  readonly pending: string
  readonly signed: string
  readonly accepted: string
  readonly spent: string
  readonly maxDeposit: string
  readonly maxExposure: string
}

/** How often a recovery may still be taken. */
export interface BoundLeft {
  readonly name: string
  readonly left: number
  readonly of: number
}

/** What is known about a step of a payment flow beyond what any machine's step says. */
export interface PaymentFacts {
  readonly purpose: 'pay' | 'close'
  readonly request: { readonly method: string; readonly origin: string; readonly path: string }
  readonly amounts: Amounts | null
  /** The token that amounts are in: its name, or its address; null before a challenge was accepted. */
  readonly token: string | null
  /** What would move into the channel by the plan that was made last, in base units; null when nothing would. */
  readonly moving: { readonly action: 'open' | 'topUp'; readonly deposit: string } | null
  /** Those that were used first. */
  readonly bounds: readonly BoundLeft[]
  readonly settlement: { readonly settled: string; readonly refunded: string } | null
  readonly failure: {
    readonly code: string
    readonly advice: string
    readonly detail: string | null
    readonly limit: string | null
  } | null
}

/** One step of a flow, and what the flow knew after it. */
export interface Step {
  readonly index: number
  /** Milliseconds since the epoch. */
  readonly at: number
  /** `START` for the first. */
  readonly event: string
  /** The error code that caused it, if one did. */
  readonly code: string | null
  /** Who sent the event, by its name: an effect, or nobody that is known. */
  readonly by: string | null
  /** Dotted. */
  readonly state: string
  /** Ids of all states the machine is in. */
  readonly active: readonly string[]
  readonly taken: readonly Taken[]
  readonly tone: Tone
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly payload: Json
  readonly context: Json
  readonly payment: PaymentFacts | null
}

/** A flow: one actor of a machine. */
export interface Flow {
  readonly id: string
  /** Counts from 1 in the order of appearance. */
  readonly number: number
  readonly name: string
  /** Key of its chart. */
  readonly chart: string
  readonly recovered: boolean
  /** How many of its oldest steps are no longer kept. */
  readonly forgotten: number
}

/** A button on the page, without what it does. */
export interface ControlView {
  readonly id: string
  readonly label: string
  readonly group: string
  readonly hint: string
  /** The error code it brings about, if it does. */
  readonly code: string | null
  /** Whether it can be asked to go on until the bound is used up. */
  readonly repeatable: boolean
  /** The state of a flow that it belongs to; null when it stands among the others. */
  readonly state: string | null
}

/** What is known about a code. */
export interface CodeView {
  readonly code: string
  readonly meaning: string
  readonly advice: string
  readonly leadsTo: string
  readonly bound: number
}

/** From the server to the page. */
export type PageMessage =
  | {
      readonly type: 'hello'
      readonly title: string
      readonly controls: readonly ControlView[]
      /** By event name. */
      readonly codes: Readonly<Record<string, CodeView>>
      readonly decimals: number
    }
  /** Everything that was known before has been told. */
  | { readonly type: 'ready' }
  | { readonly type: 'chart'; readonly chart: Chart }
  | { readonly type: 'flow'; readonly flow: Flow }
  | { readonly type: 'step'; readonly flow: string; readonly step: Step }
  | { readonly type: 'gone'; readonly flow: string }
  | {
      readonly type: 'pressed'
      readonly control: string
      readonly ok: boolean
      /** What came of it, or what went wrong. */
      readonly note: string
    }
  /** A flow that a button has started and that the page should show. */
  | { readonly type: 'look'; readonly name: string }

/** From the page to the server. */
export interface Press {
  readonly type: 'press'
  readonly control: string
  readonly repeat: boolean
  /** Name of the flow that is looked at. */
  readonly flow: string | null
}
