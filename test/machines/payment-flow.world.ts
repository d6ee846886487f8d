// A scripted world for the payment-flow machine: what a gateway, a wallet and a ledger would report in each state.
// Must never decide a transition: it only gives events, the machine goes where it goes.

import { createMachine, getNextSnapshot, initialTransition, type SnapshotFrom, transition } from 'xstate'
import type {
  AnswerFacts,
  ChallengeSummary,
  FlowLimits,
  MppCode,
  PaymentFlowEvent,
  PaymentFlowInput,
  ProblemType,
  RejectionEvent,
  SessionView,
} from '../../machines/index.js'
import { add, exceeds, max, paymentFlowMachine, stateName } from '../../machines/index.js'

export type FlowSnapshot = SnapshotFrom<typeof paymentFlowMachine>

/** Base units of one token. */
export const ONE = '1000000'
export const CHANNEL = `0x${'c1'.repeat(32)}`

export const LIMITS: FlowLimits = {
  maxDeposit: '100000000',
  maxCumulative: null,
  maxExposure: '100000000',
  maxTotalDeposit: null,
  approval: false,
  retryCommitFailed: false,
  resendPaid: true,
}

export function flowInput(more: Partial<PaymentFlowInput> = {}): PaymentFlowInput {
  return {
    flow: 'flow-1',
    purpose: 'pay',
    request: { method: 'POST', origin: 'https://gateway.example', path: '/v1/mpp/chat/completions' },
    limits: LIMITS,
    ...more,
  }
}

export const CLOSING: Partial<PaymentFlowInput> = { purpose: 'close', closing: CHANNEL }

export function facts(more: Partial<AnswerFacts> = {}): AnswerFacts {
  return {
    status: 402,
    requestId: 'req-1',
    challengeId: 'challenge-1',
    challengesOffered: 1,
    cumulative: null,
    requiredTopUp: null,
    retryAfterMs: null,
    contended: false,
    ...more,
  }
}

export function rejection(type: MppCode | ProblemType, more: Partial<AnswerFacts> = {}): RejectionEvent {
  return { type, ...facts(more) }
}

export function challenge(more: Partial<ChallengeSummary> = {}): ChallengeSummary {
  return {
    id: 'challenge-1',
    realm: 'gateway.example',
    channelKey: 'key',
    amount: ONE,
    unitType: null,
    suggestedDeposit: '5000000',
    minVoucherDelta: '0',
    currency: `0x20c0${'0'.repeat(36)}`,
    recipient: `0x${'9a'.repeat(20)}`,
    operator: `0x${'0'.repeat(40)}`,
    chainId: 42431,
    escrow: '0x4d50500000000000000000000000000000000000',
    feePayer: false,
    expiresAt: null,
    snapshot: null,
    ...more,
  }
}

export function view(more: Partial<SessionView> = {}): SessionView {
  return {
    status: 'absent',
    channelId: null,
    deposit: '0',
    signed: '0',
    accepted: '0',
    spent: '0',
    reserved: '0',
    unacknowledged: '0',
    waiting: 0,
    depositedElsewhere: '0',
    pending: null,
    pendingAmount: '0',
    spendable: null,
    ...more,
  }
}

/** An open channel with one voucher of one bucket. */
export function openView(more: Partial<SessionView> = {}): SessionView {
  return view({ status: 'open', channelId: CHANNEL, deposit: '5000000', signed: ONE, accepted: ONE, ...more })
}

export function begin(more: Partial<PaymentFlowInput> = {}): FlowSnapshot {
  return initialTransition(paymentFlowMachine, flowInput(more))[0]
}

/** The snapshot after the events, none of whose effects is run. */
export function take(from: FlowSnapshot, ...events: readonly PaymentFlowEvent[]): FlowSnapshot {
  return events.reduce((snapshot, event) => transition(paymentFlowMachine, snapshot, event)[0], from)
}

export function nameOf(snapshot: FlowSnapshot): string {
  return stateName(snapshot.value)
}

interface Strippable {
  readonly invoke?: unknown
  readonly states?: Readonly<Record<string, Strippable>> | undefined
}

/** The same chart without its effects: what test models take. */
function strip({ invoke: _, states, ...rest }: Strippable): Strippable {
  if (states === undefined) return rest
  return { ...rest, states: Object.fromEntries(Object.entries(states).map(([name, state]) => [name, strip(state)])) }
}

// A cast: what is left after the strip is again a config of the same machine, which the type of `strip` cannot say.
export const bareMachine = createMachine(
  strip(paymentFlowMachine.config) as typeof paymentFlowMachine.config,
  paymentFlowMachine.implementations,
) as typeof paymentFlowMachine

export function takeBare(from: FlowSnapshot, event: PaymentFlowEvent): FlowSnapshot {
  return getNextSnapshot(bareMachine, from, event)
}

/** The world's part of a flow: keeps a channel as the ledger would, and reports success wherever it is asked. */
export class World {
  session: SessionView
  constructor(
    session: SessionView = view(),
    private readonly offer: ChallengeSummary = challenge(),
  ) {
    this.session = session
  }

  #change(more: Partial<SessionView>): SessionView {
    this.session = { ...this.session, ...more }
    return this.session
  }

  /** The chain shows a channel that was being opened. */
  #fund(): void {
    const { status, pendingAmount } = this.session
    if (status === 'opening')
      this.#change({ status: 'open', deposit: pendingAmount, pending: null, pendingAmount: '0' })
  }

  /** What an answer to the newest paid send says about itself. */
  answer(more: Partial<AnswerFacts> = {}): AnswerFacts {
    return facts({ cumulative: this.session.signed, ...more })
  }

  /** A rejection of the newest paid send. An open is left undecided by it: the chain must be asked. */
  rejection(type: MppCode | ProblemType, more: Partial<AnswerFacts> = {}): RejectionEvent {
    return { type, ...this.answer(more) }
  }

  /** The event of success for the state the flow is in; null when it is over. */
  next(snapshot: FlowSnapshot): PaymentFlowEvent | null {
    const { plan } = snapshot.context
    switch (nameOf(snapshot)) {
      case 'requesting':
        return { type: 'CHALLENGE_RECEIVED', ...facts() }
      case 'parsingChallenge':
        return { type: 'CHALLENGE_ACCEPTED', challenge: this.offer }
      case 'authorizing.acquiringSession':
        return { type: 'SESSION_ACQUIRED', session: this.session }
      case 'authorizing.awaitingAcknowledgement':
        return { type: 'TURN_GRANTED', session: this.#change({ spent: this.session.signed }), grant: 'capacity' }
      case 'authorizing.awaitingApproval':
        return { type: 'APPROVE' }
      case 'authorizing.openingSession': {
        if (plan?.kind !== 'open') throw new Error('opening without a plan to open')
        if (this.session.status === 'opening') return { type: 'OPEN_RESUMED', session: this.session }
        const { deposit, cumulative } = plan
        const session = this.#change({
          ...view(),
          status: 'opening',
          channelId: CHANNEL,
          signed: cumulative,
          pending: 'open',
          pendingAmount: deposit,
        })
        return { type: 'OPEN_SIGNED', session, deposit, cumulative, feeAtMost: '20000' }
      }
      case 'authorizing.signingVoucher': {
        if (plan?.kind !== 'sign') throw new Error('signing without a plan to sign')
        const { cumulative } = plan
        return { type: 'VOUCHER_SIGNED', session: this.#change({ signed: cumulative }), cumulative }
      }
      case 'authorizing.toppingUp': {
        if (plan?.kind !== 'topUp') throw new Error('topping up without a plan to top up')
        const { additionalDeposit } = plan
        if (this.session.pending !== 'topUp') {
          const session = this.#change({ status: 'toppingUp', pending: 'topUp', pendingAmount: additionalDeposit })
          return { type: 'TOP_UP_SIGNED', session, additionalDeposit, feeAtMost: '20000' }
        }
        const deposit = add(this.session.deposit, this.session.pendingAmount)
        return {
          type: 'TOPPED_UP',
          session: this.#change({ status: 'open', deposit, pending: null, pendingAmount: '0' }),
        }
      }
      case 'authorizing.reconcilingSession': {
        this.#fund()
        return { type: 'SESSION_RECONCILED', session: this.session }
      }
      case 'paying':
      case 'resending': {
        this.#fund()
        const { signed } = this.session
        this.#change({ accepted: max(this.session.accepted, signed) })
        return { type: 'PAID_ANSWER_RECEIVED', ...this.answer({ status: 200, challengesOffered: 0 }) }
      }
      case 'verifyingReceipt': {
        const { signed, channelId } = this.session
        const spent = exceeds(signed, this.session.spent) ? add(this.session.spent, '1') : this.session.spent
        this.#change({ spent })
        return {
          type: 'RECEIPT_VERIFIED',
          receipt: {
            challengeId: this.offer.id,
            channelId: channelId ?? CHANNEL,
            acceptedCumulative: signed,
            spent,
            txHash: null,
          },
        }
      }
      case 'backingOff':
      case 'closing.backingOff':
        return { type: 'WAITED' }
      case 'closing.sendingClose':
        return { type: 'CLOSE_CONFIRMED', settled: this.session.spent, refunded: this.session.deposit, txHash: null }
      default:
        return null
    }
  }

  /** Reports success until `state` is reached. */
  drive(from: FlowSnapshot, state: string): FlowSnapshot {
    let snapshot = from
    for (let steps = 0; nameOf(snapshot) !== state; steps += 1) {
      const event = this.next(snapshot)
      if (event === null || steps > 40) throw new Error(`${state} is not reached; the flow is in ${nameOf(snapshot)}`)
      snapshot = take(snapshot, event)
    }
    return snapshot
  }
}
