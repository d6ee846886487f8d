// What the client offers to callers.
// Must never export the ring: it holds the secrets of running flows.

export {
  createMppClient,
  type Inspector,
  type MppClient,
  type MppClientOptions,
  type PaymentFlowActor,
} from './create-client.js'
export { type CloseOutcome, describeFailure, PaymentFlowError, type PaymentOutcome } from './outcome.js'
export { PATH_USD, type PaymentIntent, type Policy, type Timeouts, type TokenAmount, USDC_E } from './policy.js'
export type { SessionSummary } from './sessions.js'
export { type SupportReport, supportReport } from './support-report.js'
