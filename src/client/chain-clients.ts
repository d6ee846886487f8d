// Gives a viem client for a chain: the caller's own, or one made from an RPC URL.
// Must never guess a chain: a client is made for the id that a challenge names, once the policy has allowed it.

import { type Client, createClient, http } from 'viem'
import { tempo, tempoLocalnet, tempoModerato } from 'viem/chains'

/** Where chain clients come from. */
export interface ChainSource {
  readonly getClient?: (chain: { readonly chainId: number }) => Client | Promise<Client>
  readonly rpcUrl?: string
}

const KNOWN_CHAINS = [tempo, tempoModerato]

function defaultClient(chainId: number, rpcUrl: string | undefined): Client {
  const chain = KNOWN_CHAINS.find((known) => known.id === chainId) ?? { ...tempoLocalnet, id: chainId }
  return createClient({ chain, transport: http(rpcUrl) })
}

/** A client for each chain, made once. */
export function chainClients({ getClient, rpcUrl }: ChainSource): (chainId: number) => Promise<Client> {
  const clients = new Map<number, Promise<Client>>()
  return (chainId) => {
    const known = clients.get(chainId)
    if (known !== undefined) return known
    const made = Promise.resolve(getClient?.({ chainId }) ?? defaultClient(chainId, rpcUrl))
    clients.set(chainId, made)
    return made
  }
}
