// Turns an async function into a named effect: it ends with one event, and reports nothing once its state was left.
// Must never let an exception's text into an event: it may quote a request or a transaction.

import { fromCallback } from 'xstate'
import type { EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import { StoreError } from '../../sessions/index.js'
import { ChainFailure, type ChainFailureReason } from '../../tempo/index.js'
import { RequestInvalid } from '../capture.js'
import type { FlowState } from '../flow-state.js'
import { flowOf, type Runtime } from '../runtime.js'

/** What an effect works with. */
export interface EffectScope<Input extends EffectInput> {
  readonly runtime: Runtime
  readonly flow: FlowState
  readonly input: Input
  /** Aborted when the state is left. Made when it is first looked at. */
  readonly signal: AbortSignal
  /** Stops that when the state is left, or at once when it was. One at a time: an effect does one thing. */
  stopOnLeave(work: Stoppable): void
  /** It is over by itself. */
  doneWith(work: Stoppable): void
  /** Tells of a step on the way; the effect goes on. */
  emit(event: PaymentFlowEvent): void
}

/** Something under way that can be stopped. */
export interface Stoppable {
  stop(): void
}

/** An effect's work. Null: it reports nothing, the event comes from outside (an approval by a person). */
export type EffectRun<Input extends EffectInput> = (scope: EffectScope<Input>) => Promise<PaymentFlowEvent | null>

/** The account refused to sign, or broke over it. What it said is dropped: it may quote what it was asked to sign. */
class SigningRefused extends Error {
  override readonly name = 'SigningRefused'
}

/** Does what asks an account to sign; what the chain said about it stays a ChainFailure. */
export async function signing<T>(what: string, sign: () => Promise<T>): Promise<T> {
  try {
    return await sign()
  } catch (error) {
    throw error instanceof ChainFailure ? error : new SigningRefused(`the account did not sign the ${what}`)
  }
}

/** What an effect that broke reports. */
type FailureEvent = Extract<
  PaymentFlowEvent,
  {
    type:
      | 'SESSION_UNAVAILABLE'
      | 'STORE_UNAVAILABLE'
      | 'STORE_DAMAGED'
      | 'STORE_NEWER_FORMAT'
      | 'CHAIN_UNAVAILABLE'
      | 'WALLET_BALANCE_INSUFFICIENT'
      | 'FEE_TOO_HIGH'
      | 'SIGNING_FAILED'
      | 'EFFECT_FAILED'
  }
>

/** What each reason of the chain means to a flow. */
const CHAIN_EVENTS: Readonly<Record<ChainFailureReason, (failure: ChainFailure) => FailureEvent>> = {
  unreachable: unavailable,
  rate_limited: unavailable,
  behind: unavailable,
  implausible: unavailable,
  // Whoever decides it, asking the same node again does not.
  contradiction: (failure) => ({ ...unavailable(failure), lasting: true }),
  unknown: unavailable,
  wrong_chain: (failure) => ({ ...unavailable(failure), lasting: true }),
  insufficient_balance: poor,
  wrong_fee_token: poor,
  fee_too_high: expensive,
  nonce_spent: unsigned,
  validity_expired: unsigned,
  reverted: unsigned,
}

function unavailable({ message }: ChainFailure) {
  return { type: 'CHAIN_UNAVAILABLE', reason: message } as const
}

function poor({ detail, message }: ChainFailure): FailureEvent {
  return { type: 'WALLET_BALANCE_INSUFFICIENT', reason: detail ?? message }
}

function expensive({ detail, message }: ChainFailure): FailureEvent {
  return { type: 'FEE_TOO_HIGH', reason: detail ?? message }
}

function unsigned({ message }: ChainFailure): FailureEvent {
  return { type: 'SIGNING_FAILED', reason: message }
}

const STORE_EVENTS = {
  // Somebody else has the channel, or has taken it over: the same call may find it free.
  busy: 'SESSION_UNAVAILABLE',
  lease_lost: 'SESSION_UNAVAILABLE',
  unavailable: 'STORE_UNAVAILABLE',
  damaged: 'STORE_DAMAGED',
  newer_format: 'STORE_NEWER_FORMAT',
} as const satisfies Readonly<Record<StoreError['reason'], FailureEvent['type']>>

/** The event that an exception means. Only messages of our own error classes are safe to show. */
export function eventOf(error: unknown): FailureEvent {
  if (error instanceof StoreError) return { type: STORE_EVENTS[error.reason], reason: error.message }
  if (error instanceof ChainFailure) return CHAIN_EVENTS[error.reason](error)
  if (error instanceof RequestInvalid) return { type: 'EFFECT_FAILED', reason: error.message }
  if (error instanceof SigningRefused) return { type: 'SIGNING_FAILED', reason: error.message }
  return { type: 'EFFECT_FAILED', reason: error instanceof Error ? error.name : 'unknown' }
}

/** Whoever hears of an effect's events. */
export interface Listener {
  send(event: PaymentFlowEvent): void
}

/** Starts an effect's work; what it gives is stopped when the state is left. */
export type StartEffect<Input extends EffectInput> = (input: Input, listener: Listener) => Stoppable

/** Makes an effect of its work: reports reach the machine for as long as its state is not left. */
export function effect<Input extends EffectInput>(runtime: Runtime, run: EffectRun<Input>): StartEffect<Input> {
  return (input, listener) => {
    const running = new Running(runtime, input, listener)
    run(running).then(
      (event) => running.end(event),
      (error: unknown) => running.end(eventOf(error)),
    )
    return running
  }
}

/** An effect under way. There is one for each step of each flow, so that it makes nothing before it is asked for. */
class Running<Input extends EffectInput> implements EffectScope<Input>, Stoppable {
  readonly #listener: Listener
  #abort: AbortController | null = null
  #work: Stoppable | null = null
  #left = false
  #over = false

  constructor(
    readonly runtime: Runtime,
    readonly input: Input,
    listener: Listener,
  ) {
    this.#listener = listener
  }

  get flow(): FlowState {
    return flowOf(this.runtime, this.input.flow)
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#left) this.#abort.abort()
    return this.#abort.signal
  }

  stopOnLeave(work: Stoppable): void {
    if (this.#left) work.stop()
    else this.#work = work
  }

  doneWith(work: Stoppable): void {
    if (this.#work === work) this.#work = null
  }

  emit(event: PaymentFlowEvent): void {
    if (!this.#left) this.#listener.send(event)
  }

  end(event: PaymentFlowEvent | null): void {
    this.#over = true
    if (event === null) return
    this.emit(event)
    // Taken, it leads out of the state, which stops its effect. Not taken, nothing else would come and the flow would hang.
    if (!this.#left) this.emit({ type: 'EFFECT_FAILED', reason: `the state does not take ${event.type}` })
  }

  /** The state was left. */
  stop(): void {
    this.#left = true
    // Nobody listens any more once the work is over, and an abort makes an exception with its stack.
    if (this.#over) return
    this.#abort?.abort()
    this.#work?.stop()
  }
}

/** The same effect as an XState callback actor, for flows that run as actors. */
export function asActor<Input extends EffectInput>(start: StartEffect<Input>) {
  return fromCallback<PaymentFlowEvent, Input>(({ input, sendBack }) => {
    const running = start(input, { send: sendBack })
    return () => running.stop()
  })
}
