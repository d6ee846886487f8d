// The payment-flow machine without its effects: the same states, events, guards and context updates.
// Must never add or change a transition; it only takes the `invoke` keys away.

import { createMachine, type SnapshotFrom } from 'xstate'
import { paymentFlowMachine } from '../../../machines/index.js'

function withoutInvoke(config: unknown): unknown {
  if (Array.isArray(config)) return config.map(withoutInvoke)
  if (typeof config !== 'object' || config === null) return config
  const kept = Object.entries(config).filter(([key]) => key !== 'invoke')
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutInvoke(value)]))
}

/**
 * The payment-flow machine as a pure graph, for `xstate/graph` and model-based tests: effects become events that a
 * test chooses.
 *
 * @example
 * ```ts
 * import type { PaymentFlowEvent, PaymentFlowInput } from 'mpp-flow/machines'
 * import { paymentFlowModel } from 'mpp-flow/testing'
 * import { getShortestPaths } from 'xstate/graph'
 *
 * export function explore(input: PaymentFlowInput, events: readonly PaymentFlowEvent[]) {
 *   return getShortestPaths(paymentFlowModel, { input, events: [...events] })
 * }
 * ```
 */
export const paymentFlowModel: typeof paymentFlowMachine = createMachine(
  // The same configuration less its `invoke` keys, so its type is that of the machine it was taken from.
  withoutInvoke(paymentFlowMachine.config) as typeof paymentFlowMachine.config,
  paymentFlowMachine.implementations,
) as unknown as typeof paymentFlowMachine

/** A snapshot of the model. */
export type FlowSnapshot = SnapshotFrom<typeof paymentFlowMachine>
