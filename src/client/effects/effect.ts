// Turns an async function into a named effect: it ends with one event, and reports nothing once its state was left.
// Must never let an exception's text into an event: it may quote a request or a transaction.

import { fromCallback } from 'xstate'
import type { EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import { StoreError } from '../../sessions/index.js'
import { ChainFailure } from '../../tempo/index.js'
import { type FlowResources, flowOf, type Ring } from '../ring.js'

/** Asks to be called once, when a state is left. */
export type OnLeave = (stop: () => void) => () => void

/** What an effect works with. */
export interface EffectScope<Input extends EffectInput> {
  readonly ring: Ring
  readonly flow: FlowResources
  readonly input: Input
  /** Aborted when the state is left. Made when it is first looked at. */
  readonly signal: AbortSignal
  /** Calls back when the state is left, or at once when it was; the function that it returns takes that back. */
  readonly onLeave: OnLeave
  /** Tells of a step on the way; the effect goes on. */
  readonly tell: (event: PaymentFlowEvent) => void
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
      | 'CHAIN_UNAVAILABLE'
      | 'WALLET_BALANCE_INSUFFICIENT'
      | 'SIGNING_FAILED'
      | 'EFFECT_FAILED'
  }
>

const WALLET_EVENTS: Readonly<Partial<Record<ChainFailure['reason'], FailureEvent>>> = {
  insufficient_balance: { type: 'WALLET_BALANCE_INSUFFICIENT' },
  wrong_fee_token: { type: 'WALLET_BALANCE_INSUFFICIENT' },
}

/** The event that an exception means. Only messages of our own error classes are safe to show. */
export function eventOf(error: unknown): FailureEvent {
  if (error instanceof StoreError) return { type: 'SESSION_UNAVAILABLE', reason: error.message }
  if (error instanceof ChainFailure) {
    if (error.reason === 'unreachable' || error.reason === 'behind' || error.reason === 'unknown') {
      return { type: 'CHAIN_UNAVAILABLE', reason: error.message }
    }
    return WALLET_EVENTS[error.reason] ?? { type: 'SIGNING_FAILED', reason: error.message }
  }
  if (error instanceof SigningRefused) return { type: 'SIGNING_FAILED', reason: error.message }
  return { type: 'EFFECT_FAILED', reason: error instanceof Error ? error.name : 'unknown' }
}

/** Starts an effect's work; the function that it returns is called when the state is left. */
export type StartEffect<Input extends EffectInput> = (
  input: Input,
  report: (event: PaymentFlowEvent) => void,
) => () => void

/** Makes an effect of its work: reports reach the machine for as long as its state is not left. */
export function effect<Input extends EffectInput>(ring: Ring, run: EffectRun<Input>): StartEffect<Input> {
  return (input, report) => {
    // Made for the effects that look at it only: a signal costs as much as some effects do.
    let abort: AbortController | undefined
    let left = false
    let over = false
    const stops = new Set<() => void>()
    const onLeave: OnLeave = (stop) => {
      if (left) stop()
      else stops.add(stop)
      return () => stops.delete(stop)
    }
    const tell = (event: PaymentFlowEvent): void => {
      if (!left) report(event)
    }
    const end = (event: PaymentFlowEvent | null): void => {
      over = true
      if (event !== null) tell(event)
    }
    const work = async (): Promise<PaymentFlowEvent | null> =>
      run({
        ring,
        flow: flowOf(ring, input.flow),
        input,
        tell,
        onLeave,
        get signal() {
          abort ??= new AbortController()
          if (left) abort.abort()
          return abort.signal
        },
      })
    work().then(end, (error: unknown) => end(eventOf(error)))
    return () => {
      left = true
      // Nobody listens any more once the work is over, and an abort makes an exception with its stack.
      if (over) return
      abort?.abort()
      for (const stop of stops) stop()
    }
  }
}

/** The same effect as an XState callback actor, for flows that run as actors. */
export function asActor<Input extends EffectInput>(start: StartEffect<Input>) {
  return fromCallback<PaymentFlowEvent, Input>(({ input, sendBack }) => start(input, sendBack))
}
