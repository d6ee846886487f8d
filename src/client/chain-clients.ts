// Gives a viem client for a chain: the caller's own, or one made from an RPC URL.
// Must never guess a chain: a client is made for the id that a challenge names, once the policy has allowed it.

import { type Client, createClient, http } from 'viem'
import { getChainId } from 'viem/actions'
import { ChainFailure, toChainFailure } from '../tempo/index.js'
import { answeringClient } from './answering-chain.js'
import { within } from './within.js'

/** Where chain clients come from. */
export interface ChainSource {
  readonly getClient?: ((chain: { readonly chainId: number }) => Client | Promise<Client>) | undefined
  readonly rpcUrl?: string | undefined
}

/**
 * RPCs that anybody may use, by chain id. viem's own definitions of these chains have them too, together with ABIs and actions
 * for everything else on Tempo: a third of a browser's bundle, of which nothing is used.
 */
export const PUBLIC_RPC: Readonly<Record<number, string>> = {
  4217: 'https://rpc.tempo.xyz',
  42431: 'https://rpc.moderato.tempo.xyz',
}

const LOCAL_RPC = 'http://localhost:8545'

function defaultClient(chainId: number, rpcUrl: string | undefined): Client {
  return createClient({ transport: http(rpcUrl ?? PUBLIC_RPC[chainId] ?? LOCAL_RPC) })
}

/** What is signed for a chain must be read from that chain: servers choose among the allowed ones, RPC URLs do not. */
async function forChain(client: Client, chainId: number): Promise<Client> {
  const actual = await getChainId(client).catch((error: unknown) => {
    throw toChainFailure(error)
  })
  if (actual === chainId) return client
  throw new ChainFailure('wrong_chain', `the RPC answers for chain ${actual}, the challenge is for chain ${chainId}`)
}

/**
 * A client for each chain, made once.
 *
 * @param chainMs how long a client, and then each of its answers, is waited for
 */
export function chainClients(
  { getClient, rpcUrl }: ChainSource,
  chainMs: number,
): (chainId: number) => Promise<Client> {
  const silent = (): ChainFailure => new ChainFailure('unreachable', `no client within ${chainMs} ms`)
  const clients = new Map<number, Promise<Client>>()
  return (chainId) => {
    const known = clients.get(chainId)
    if (known !== undefined) return known
    const client = Promise.resolve(getClient?.({ chainId }) ?? defaultClient(chainId, rpcUrl))
    const ready = client.then((given) => forChain(answeringClient(given, chainMs), chainId))
    const made = within(chainMs, ready, silent)
    clients.set(chainId, made)
    // Asked again the next time: a chain that does not answer now may do so later.
    made.catch(() => clients.delete(chainId))
    return made
  }
}
