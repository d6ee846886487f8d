// The entry point `mpp-flow/sandbox`: a gateway and a chain to try payments on.
// Must never be imported by the library itself.

export { type ChainAdmin, type LocalChain, type LocalChainOptions, startChain } from './chain/start-chain.js'
export type { AccountRoutes, KeyPolicy, RateLimit, VirtualKeys } from './gateway/account-routes.js'
export type { AccountedChannel, AccountedCharge, AccountingCounts } from './gateway/accounting.js'
export type { InjectionOptions, InjectionTarget } from './gateway/injection.js'
export type { GatewayCode } from './gateway/refusal.js'
export type { GatewayExchange } from './gateway/server.js'
export type { Amount, GatewayOptions } from './gateway/settings.js'
export { type Sandbox, type SandboxOptions, startSandbox } from './start-sandbox.js'
