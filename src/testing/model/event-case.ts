// What an event case is: one event with a payload, under a name, and what brings it about.
// Must never say where the event leads: that is read from the machine.

import type { PaymentFlowEvent } from '../../../machines/index.js'
import type { Cause } from './causes.js'

export interface EventCase {
  /** Unique in its state: `mpp_invalid_challenge/challenged`, `SESSION_ACQUIRED/used-up`. */
  readonly name: string
  readonly event: PaymentFlowEvent
  readonly cause: Cause
}
