// Public entry `mpp-flow/provider`: the client for account-owned routes.
// Must never export a holder of keys or prompts.

export { OptionError } from '../options/index.js'
export type { ChatBody, ProviderResponse } from './prompt-vault.js'
export {
  type ChatOutcome,
  createProviderClient,
  type ModelsOutcome,
  type ProviderClient,
  type ProviderClientOptions,
  type ProviderFailure,
  type ProviderRouteActor,
} from './provider-client.js'
export type { VirtualKey } from './virtual-key.js'
