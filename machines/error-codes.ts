// The catalogue of error codes: what each one means, where it leads, how often, and what to do about it.
// Must never say by hand where a code leads: `leadsTo` is read off the machine.

import {
  CODE_FACTS,
  type CodeFacts,
  type FailureCode,
  LOCAL_CODES,
  LOCAL_EVENTS,
  type LocalCode,
  MPP_CODES,
  PROBLEM_TYPES,
} from './codes.js'
import { paymentFlowMachine } from './payment-flow.machine.js'
import { defaultBoundOf } from './payment-flow.updates.js'

/** What the machine does about a code. */
export type LeadsTo =
  | 'top-up'
  | 'voucher-refresh'
  | 'next-offer'
  | 're-challenge'
  | 'retry-close'
  | 'reconcile'
  | 'ask-chain-again'
  | 'terminal'

/** All that is known about a code. */
export interface ErrorCode extends CodeFacts {
  readonly code: FailureCode
  /** The event of the machine that stands for the code. */
  readonly event: string
  readonly leadsTo: LeadsTo
}

/** What is read of a transition: its target's id and the names of its actions. */
interface Arrow {
  readonly target: string
  readonly actions: readonly string[]
}

function eventOf(code: FailureCode): string {
  return isLocal(code) ? LOCAL_EVENTS[code] : code
}

function isLocal(code: FailureCode): code is LocalCode {
  return Object.hasOwn(LOCAL_EVENTS, code)
}

function nameOf(action: unknown): string {
  if (typeof action === 'string') return action
  return typeof action === 'object' && action !== null && 'type' in action ? String(action.type) : ''
}

/** A state of the machine, as far as it is read here. */
interface Node {
  readonly id: string
  readonly states: Readonly<Record<string, Node>>
  readonly transitions: ReadonlyMap<
    string,
    readonly { readonly target: readonly { readonly id: string }[] | undefined; readonly actions: readonly unknown[] }[]
  >
}

/** Every transition that an event has below a state. */
function arrowsOf(node: Node, event: string): readonly Arrow[] {
  const own = (node.transitions.get(event) ?? []).flatMap(({ target, actions }) =>
    (target ?? []).map(({ id }) => ({ target: id, actions: actions.map(nameOf) })),
  )
  return [...own, ...Object.values(node.states).flatMap((child) => arrowsOf(child, event))]
}

/** The first of these that any arrow of the code fits says where it leads. */
const READINGS: readonly (readonly [LeadsTo, (arrow: Arrow) => boolean])[] = [
  ['top-up', (arrow) => arrow.actions.includes('demandDeposit')],
  ['voucher-refresh', (arrow) => arrow.actions.includes('demandVoucher')],
  ['ask-chain-again', (arrow) => arrow.actions.includes('backOffToAuthorizing')],
  ['next-offer', (arrow) => arrow.actions.includes('takeAnotherOffer')],
  [
    'reconcile',
    (arrow) => arrow.target.endsWith('.reconcilingSession') || arrow.actions.includes('backOffToReconciling'),
  ],
  ['re-challenge', (arrow) => /\.(parsingChallenge|requesting)$/.test(arrow.target)],
  [
    're-challenge',
    (arrow) => arrow.actions.includes('backOffToRequesting') || arrow.actions.includes('backOffToPaying'),
  ],
  ['retry-close', (arrow) => arrow.target.endsWith('.closing.backingOff')],
]

function leadsTo(event: string): LeadsTo {
  // What no flow may do even once unless its caller opts in, is terminal.
  if (defaultBoundOf(event) === 0) return 'terminal'
  const arrows = arrowsOf(paymentFlowMachine.root, event)
  return READINGS.find(([, fits]) => arrows.some(fits))?.[0] ?? 'terminal'
}

function describe(code: FailureCode): ErrorCode {
  const event = eventOf(code)
  return { code, event, leadsTo: leadsTo(event), ...CODE_FACTS[code] }
}

/**
 * Every code a flow can meet: the 16 of Ando's gateway, the standard problem types, and the local ones.
 *
 * @example
 * ```ts
 * import { ERROR_CODES } from 'mpp-flow/machines'
 *
 * console.log(ERROR_CODES.mpp_voucher_bucket_refresh_required.leadsTo) // → 'voucher-refresh'
 * ```
 */
export const ERROR_CODES: Readonly<Record<FailureCode, ErrorCode>> = Object.fromEntries(
  // Built over all three lists, so it has every code; `fromEntries` only knows that it has strings.
  [...MPP_CODES, ...PROBLEM_TYPES, ...LOCAL_CODES].map((code) => [code, describe(code)]),
) as Record<FailureCode, ErrorCode>
