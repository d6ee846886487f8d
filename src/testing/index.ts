// Public entry `mpp-flow/testing`: the machines as models, for generating tests.
// Must never copy a machine: a model is derived from it by code, so that it cannot drift.

export { paymentFlowModel } from './model.js'
