// Turns XState's inspection events into transitions, while the flows run.
// Must never pass on more of an event than the names and amounts picked here.

import type { InspectionEvent } from 'xstate'
import { z } from 'zod'
import { type TraceStep, traceInto } from '../../machines/index.js'

/** An amount of base units as a decimal string. */
export type BaseUnits = string

/** The amounts that an event or its state brings along. */
export interface TransitionAmounts {
  /** The voucher's running total: signed or reused. */
  readonly cumulative?: BaseUnits
  /** Put into the channel by a signed open. */
  readonly deposit?: BaseUnits
  /** Put into the channel by a top-up, and what it holds then. */
  readonly additionalDeposit?: BaseUnits
  readonly depositAfter?: BaseUnits
  readonly spent?: BaseUnits
  readonly settled?: BaseUnits
  readonly refunded?: BaseUnits
  /** Address of the token that they are in. */
  readonly token?: string
}

/** A flow has entered a state. Told at that moment. */
export interface Transition extends TransitionAmounts {
  readonly flow: number
  /** In dotted form, such as `authorizing.openingSession`. */
  readonly state: string
  /** What led there: an event, or the guard of a decision. */
  readonly event: string
  /** ISO 8601. */
  readonly at: string
  /** The status of the answer that the event is, if it is one. */
  readonly httpStatus?: number
}

const amount = z.string().nullish()

/** What may be taken from an event of the machine; everything else is left behind. */
const eventFacts = z.object({
  status: z.number().nullish(),
  deposit: amount,
  cumulative: amount,
  additionalDeposit: amount,
  session: z.object({ deposit: z.string() }).nullish(),
  receipt: z.object({ spent: z.string() }).nullish(),
  settled: amount,
  refunded: amount,
})

/** The plan in force tells which voucher is reused, and what was approved; the challenge, in which token. */
const contextFacts = z.object({
  context: z.object({
    plan: z.object({ cumulative: amount, deposit: amount, additionalDeposit: amount }).nullish().catch(null),
    challenge: z.object({ currency: z.string() }).nullish().catch(null),
  }),
})

type Facts = z.infer<typeof eventFacts>

type Plan = NonNullable<z.infer<typeof contextFacts>['context']['plan']>

/** @param toppedUpBy what the top-up adds that the flow has signed last, or was about to. */
function amountsOf(
  step: TraceStep,
  facts: Facts,
  plan: Plan | null | undefined,
  toppedUpBy: BaseUnits | undefined,
): TransitionAmounts {
  switch (step.event) {
    case 'OPEN_SIGNED':
      return defined({ deposit: facts.deposit, cumulative: facts.cumulative })
    case 'VOUCHER_SIGNED':
      return defined({ cumulative: facts.cumulative })
    case 'TOPPED_UP':
      return defined({ additionalDeposit: toppedUpBy, depositAfter: facts.session?.deposit })
    case 'RECEIPT_VERIFIED':
      return defined({ spent: facts.receipt?.spent })
    case 'CLOSE_CONFIRMED':
      return defined({ settled: facts.settled, refunded: facts.refunded })
    case 'planReuses':
      return defined({ cumulative: plan?.cumulative })
    case 'APPROVE':
      return defined({ deposit: plan?.deposit, additionalDeposit: plan?.additionalDeposit })
    default:
      return {}
  }
}

function defined(amounts: { readonly [Name in keyof TransitionAmounts]?: string | null | undefined }) {
  const known: { -readonly [Name in keyof TransitionAmounts]: string } = {}
  for (const name of AMOUNTS) {
    const value = amounts[name]
    if (value !== undefined && value !== null) known[name] = value
  }
  return known
}

const AMOUNTS = [
  'cumulative',
  'deposit',
  'additionalDeposit',
  'depositAfter',
  'spent',
  'settled',
  'refunded',
] as const satisfies readonly (keyof TransitionAmounts)[]

export interface TransitionWatch {
  /** For `createMppClient({ inspect })`. */
  readonly inspect: (inspection: InspectionEvent) => void
  /** The number of the newest flow; flows are numbered from 1 in the order they start. */
  newestFlow(): number
}

/** Watches all flows of a client, and tells of every state that one enters. */
export function watchTransitions(options: {
  readonly report: (transition: Transition) => void
  readonly now?: () => number
}): TransitionWatch {
  const { report, now = Date.now } = options
  const flows = new Map<string, number>()
  /** What the top-up of a flow adds: the event of its confirmation does not say it, and the next plan is made by then. */
  const topUps = new Map<string, BaseUnits>()
  const steps: TraceStep[] = []
  const note = traceInto(steps)

  const numberOf = (rootId: string): number => {
    const known = flows.get(rootId)
    if (known !== undefined) return known
    flows.set(rootId, flows.size + 1)
    return flows.size
  }
  const tell = (rootId: string, { state, event }: TraceStep, more: Partial<Transition> = {}): void => {
    const at = new Date(now()).toISOString()
    report({ flow: numberOf(rootId), state, event, at, ...more })
  }

  return {
    newestFlow: () => flows.size,
    inspect(inspection) {
      const { rootId, actorRef } = inspection
      // Every flow begins with the unpaid request; entering the first state is no step of its own.
      const starts = inspection.type === '@xstate.event' && inspection.event.type === 'xstate.init'
      if (starts && 'sessionId' in actorRef && actorRef.sessionId === rootId) {
        tell(rootId, { state: 'requesting', event: 'START' })
      }
      note(inspection)
      const step = steps.pop()
      if (step === undefined || inspection.type !== '@xstate.microstep') return
      const { snapshot, event } = inspection
      const facts: Facts = eventFacts.safeParse(event).data ?? {}
      const { plan, challenge } = contextFacts.safeParse(snapshot).data?.context ?? {}
      // Planned when the state is entered, also for one that was signed before; what is signed then is what counts.
      const adding = step.event === 'TOP_UP_SIGNED' ? facts.additionalDeposit : plan?.additionalDeposit
      if (step.state === 'authorizing.toppingUp' && adding != null) topUps.set(rootId, adding)
      // A decision is not an answer, even if an answer made it necessary.
      const status = step.event === event.type ? (facts.status ?? null) : null
      const amounts = amountsOf(step, facts, plan, topUps.get(rootId))
      const token = challenge == null || Object.keys(amounts).length === 0 ? {} : { token: challenge.currency }
      tell(rootId, step, { ...(status !== null && { httpStatus: status }), ...amounts, ...token })
    },
  }
}
