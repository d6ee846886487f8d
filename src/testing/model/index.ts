// Part of `mpp-flow/testing`: the model of the payment-flow machine, its event cases, and the paths generated from them.
// Must never hold anything of its own.

export { casesFor } from './cases.js'
export {
  type Cause,
  type ChainTruth,
  type ChallengeKind,
  describeCause,
  type Finding,
  type GatewayAnswer,
  type Interference,
  type ReceiptKind,
} from './causes.js'
export type { EventCase } from './event-case.js'
export { statePaths, transitionPaths } from './paths.js'
export { type FlowSnapshot, paymentFlowModel } from './payment-flow-model.js'
export { describePlan, type PathPlan, type PlanStep } from './plan.js'
export { SETTINGS, type Setting } from './settings.js'
export { type ModelTransition, STATES, TRANSITIONS } from './transitions.js'
