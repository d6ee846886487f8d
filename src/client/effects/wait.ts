// Waiting, as an effect: a backoff that can be cancelled.
// Must never wait for less than the machine asked for.

import type { EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import type { EffectScope } from './effect.js'

/** Input of the `wait` effect. */
export interface WaitInput extends EffectInput {
  readonly ms: number
}

/** The share of a wait that is drawn by lot on top of it, so that clients do not come back all at once. */
const JITTER = 0.2

export async function wait({ runtime, input, signal }: EffectScope<WaitInput>): Promise<PaymentFlowEvent> {
  await runtime.clock.pause(input.ms * (1 + Math.random() * JITTER), signal)
  return { type: 'WAITED' }
}
