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

/** Resolves after `ms`. @throws the signal's reason when it is aborted before. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
  })
}

export async function wait({ input, signal }: EffectScope<WaitInput>): Promise<PaymentFlowEvent> {
  await pause(input.ms * (1 + Math.random() * JITTER), signal)
  return { type: 'WAITED' }
}
