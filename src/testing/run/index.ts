// Part of `mpp-flow/testing`: runs generated paths against a gateway that can be scripted.
// Must never hold anything of its own.

export type { Divergence } from './plan-checker.js'
export { type PathResult, pathNeeds, type RunOptions, runPath } from './run-path.js'
export { type ScriptedGateway, startScriptedGateway } from './scripted-gateway.js'
export type { SendKind } from './sends.js'
export {
  type GatewayTargetOptions,
  gatewayTarget,
  type PathGround,
  type PathNeeds,
  type PathTarget,
  sandboxTarget,
} from './target.js'
