// Explores the model with xstate/graph: from one setting, through the event cases, as far as it is told to go.
// Must never tell two snapshots apart that no guard, plan or case can tell apart, or it finds no end.

import { initialTransition } from 'xstate'
import { getShortestPaths, type StatePath } from 'xstate/graph'
import { type PaymentFlowEvent, stateName } from '../../../machines/index.js'
import { casesFor } from './cases.js'
import type { EventCase } from './event-case.js'
import { type FlowSnapshot, paymentFlowModel } from './payment-flow-model.js'
import { inputOf, type Setting } from './settings.js'

/** How many recoveries a flow has taken. */
export function recoveriesOf({ context }: FlowSnapshot): number {
  return Object.values(context.counts).reduce<number>((sum, taken) => sum + (taken ?? 0), 0)
}

/** Whether what is demanded was asked of the channel that the flow has now. */
export function ofThisChannel({ demand, session }: FlowSnapshot['context']): boolean {
  const of = demand?.channelId ?? null
  const now = session?.channelId ?? null
  return of === null || now === null || of === now
}

/** All that decides where a flow can go from here, as text. */
export function keyOf({ status, value, context }: FlowSnapshot): string {
  const { session, plan, demand, authorised, references } = context
  return JSON.stringify([
    status,
    stateName(value),
    Object.entries(context.counts).sort(),
    context.challenge && [context.challenge.unitType, context.challenge.currency],
    // Of a first answer it matters whether there is more than one.
    Math.min(context.unreadChallenges, context.challenge === null ? 2 : 1),
    context.skipChallenges,
    context.anotherOffer,
    session && [session.status, session.deposit, session.signed, session.spent, session.pendingAmount],
    plan,
    demand && [
      demand.kind,
      ofThisChannel(context),
      demand.above,
      demand.depositAbove,
      demand.step,
      Math.min(demand.contentions, 2),
    ],
    context.reconciled,
    context.approvedDeposit,
    context.turn,
    // Where nothing is waited for, it says where the last wait led.
    stateName(value).endsWith('backingOff') && context.afterBackoff,
    (context.retryAfterMs ?? 0) > 0,
    context.disputed,
    context.mayHaveBeenCharged,
    Math.min(authorised.paidSends, 1),
    references.httpStatus === null ? 0 : 1,
    context.failure?.code ?? null,
  ])
}

/** The cases behind the events of a path, step by step. */
const CASES = new WeakMap<PaymentFlowEvent, EventCase>()

function eventsFor(snapshot: FlowSnapshot): PaymentFlowEvent[] {
  return casesFor(snapshot).map((given) => {
    // A case may be shared by states; each use has an event of its own to be found by.
    const event = { ...given.event }
    CASES.set(event, given)
    return event
  })
}

/** The event case that a generated event was made from. @throws Error for an event that was not generated here. */
export function caseOf(event: PaymentFlowEvent): EventCase {
  const found = CASES.get(event)
  if (found === undefined) throw new Error(`${event.type} was not generated from an event case`)
  return found
}

/** A shortest path to a snapshot. */
export type ModelPath = StatePath<FlowSnapshot, PaymentFlowEvent>

/** The snapshot a flow of a setting begins with. */
export function startOf(setting: Setting): FlowSnapshot {
  return initialTransition(paymentFlowModel, inputOf(setting))[0]
}

/** How far to go. A chart with an unbounded cycle has no end: it fails at the limit rather than hang. */
export interface Exploration {
  /** Snapshots after so many recoveries are reached, and not left. */
  readonly maxRecoveries: number
  readonly limit?: number
}

const LIMIT = 2_000_000

/** The options of `xstate/graph`, and of the older `@xstate/test`, for one setting. */
export function traversalOf(setting: Setting, { maxRecoveries, limit = LIMIT }: Exploration) {
  const fromState = startOf(setting)
  return {
    fromState,
    events: eventsFor,
    serializeState: keyOf as (snapshot: FlowSnapshot) => ReturnType<typeof keyOf> & { readonly __tag: 'state' },
    serializeEvent: (event: PaymentFlowEvent) => caseOf(event).name as string & { readonly __tag: 'event' },
    // XState's pure transition hears the root's events even after the end; a running actor does not.
    stopWhen: (snapshot: FlowSnapshot) => snapshot.status !== 'active' || recoveriesOf(snapshot) >= maxRecoveries,
    limit,
  }
}

/** The shortest path to every snapshot that can be reached. */
export function shortestPaths(setting: Setting, exploration: Exploration): readonly ModelPath[] {
  return getShortestPaths(paymentFlowModel, traversalOf(setting, exploration))
}
