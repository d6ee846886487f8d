// Public entry `mpp-flow/testing`: the machines as models, paths generated from them, and what runs those.
// Must never copy a machine: a model is derived from it by code, so that it cannot drift.

export {
  CODE_SCENARIOS,
  type CodeRun,
  type CodeScenario,
  checkPersistent,
  checkRow,
  type FlowRun,
  PERSISTENT,
  type PersistentCode,
  runPersistent,
  runScenario,
} from './code-scenarios/index.js'
export { type Replay, type ReplayOptions, replayFixture } from './fixtures/replay.js'
export { createReplayChain, type ReplayChain } from './fixtures/replay-chain.js'
export { type ReplayServer, type ReplayServerOptions, startReplayServer } from './fixtures/replay-server.js'
export { type Exchange, type Expected, type Fixture, parseFixture } from './fixtures/schema.js'
export * from './model/index.js'
export * from './run/index.js'
export { startWire, type Wire, type WireChange, type WireExchange, type WireOptions } from './wire.js'
