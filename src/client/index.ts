// What the client offers to callers.
// Must never export the runtime: it holds the secrets of running flows.

export { OptionError } from '../options/index.js'
export { createMppClient, type MppClient } from './create-client.js'
export type { Inspector, PaymentFlowActor } from './flows.js'
export type {
  ForceCloseOutcome,
  ForceCloseProgress,
  ForceCloseStep,
  ForcedSettlement,
} from './force-close-outcome.js'
export type { CloseOptions, FlowOptions, ForceCloseOptions, MppClientOptions } from './options.js'
export { type CloseOutcome, describeFailure, PaymentFlowError, type PaymentOutcome } from './outcome.js'
export { PATH_USD, type PaymentIntent, type Policy, type Timeouts, type TokenAmount, USDC_E } from './policy.js'
export type { RecoverOptions } from './recover.js'
export type {
  ChainSearch,
  RecoveredAmounts,
  RecoveredChannel,
  RecoverProgress,
  RecoveryAction,
  RecoveryFinding,
  RecoveryReport,
} from './recover-report.js'
export type { SessionSummary, TokenTotals } from './sessions.js'
export { type SupportReport, supportReport } from './support-report.js'
