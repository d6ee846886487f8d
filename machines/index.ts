// Public entry `mpp-flow/machines`: the statecharts, their types and what is known about every code.
// Must never import anything that touches the world.

export { type Amount, add, exceeds, formatAmount, max, min, subtract, sum } from './amount.js'
export {
  type Chart,
  type ChartOf,
  type ChartSnapshot,
  chartOf,
  type Effect,
  type Invocation,
  type TransitionResult,
} from './chart.js'
export {
  CODE_FACTS,
  type CodeFacts,
  codeOfEvent,
  type FailureCode,
  LOCAL_CODES,
  LOCAL_EVENTS,
  type LocalCode,
  MPP_CODES,
  type MppCode,
  PROBLEM_TYPES,
  type ProblemType,
} from './codes.js'
export { ERROR_CODES, type ErrorCode } from './error-codes.js'
export { type LeadsTo, leadsToOf, type RecoveryMeta } from './leads-to.js'
export { FEE_LIMIT } from './payment-flow.failures.js'
export { paymentFlowMachine } from './payment-flow.machine.js'
export type { AnsweredInput, EffectInput, PlannedInput } from './payment-flow.setup.js'
export type * from './payment-flow.types.js'
export { BOUNDED, boundOf, NOTHING_AUTHORISED, recoveriesLeft } from './payment-flow.updates.js'
export { defaultStrategy, movedBy, needsApproval, type PlanningInput, plan, type Strategy } from './planning.js'
export { DEFAULT_RETRY_LIMITS, providerRouteMachine } from './provider-route.machine.js'
export type * from './provider-route.types.js'
export { answerEventType, PRODUCT_STATES } from './provider-route.types.js'
export { mayPayWithAdopted, mostForClose, type VoucherLimits } from './session.adoption.js'
export { ABSENT_SESSION, depositAtStake, sessionMachine } from './session.machine.js'
export { isSessionStatus, type SessionState, transitionSession } from './session.transition.js'
export type * from './session.types.js'
export { amountOf, tokenName } from './token-names.js'
export { stateName, type TraceStep, traceInto } from './trace.js'
