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
import type { LeadsTo, RecoveryMeta } from './leads-to.js'
import { paymentFlowMachine } from './payment-flow.machine.js'
import { defaultBoundOf } from './payment-flow.updates.js'

/** All that is known about a code. */
export interface ErrorCode extends CodeFacts {
  readonly code: FailureCode
  /** The event of the machine that stands for the code. */
  readonly event: string
  readonly leadsTo: LeadsTo
}

function eventOf(code: FailureCode): string {
  return isLocal(code) ? LOCAL_EVENTS[code] : code
}

function isLocal(code: FailureCode): code is LocalCode {
  return Object.hasOwn(LOCAL_EVENTS, code)
}

/** A state of the machine, as far as it is read here. */
interface Node<Meta> {
  readonly states: Readonly<Record<string, Node<Meta>>>
  readonly transitions: ReadonlyMap<string, readonly { readonly meta?: Meta | undefined }[]>
}

/** Where the transitions of an event lead, in document order. */
function leads(node: Node<RecoveryMeta>, event: string): readonly LeadsTo[] {
  const own = (node.transitions.get(event) ?? []).flatMap(({ meta }) => meta?.leadsTo ?? [])
  return [...own, ...Object.values(node.states).flatMap((child) => leads(child, event))]
}

function leadsTo(event: string): LeadsTo {
  // What no flow may do even once unless its caller opts in, is terminal.
  if (defaultBoundOf(event) === 0) return 'terminal'
  return leads(paymentFlowMachine.root, event)[0] ?? 'terminal'
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
