// What a path is run against: a gateway that can be scripted, a chain, and payers with funds.
// Must never share a channel between paths: each gets a ground of its own.

import type { LocalAccount } from 'viem'
import type { Policy } from '../../client/index.js'
import { type LocalChain, type Sandbox, startChain, startSandbox } from '../../sandbox/index.js'
import { type ScriptedGateway, startScriptedGateway } from './scripted-gateway.js'

/** Where one path is run. */
export interface PathGround {
  /** Tells the gateway how to answer; see {@link startScriptedGateway} for one that stands before any gateway. */
  readonly gateway: ScriptedGateway
  /** JSON-RPC of the chain on which the gateway opens channels. */
  readonly rpcUrl: string
  /** Funded, and without a channel at this gateway. */
  readonly payer: LocalAccount
  /** The request that is paid for. It must cost less than a bucket. */
  readonly request: RequestInit
  /** What the client must be allowed besides the limits of a path: token, chain, escrow. */
  readonly policy?: Pick<Policy, 'allowedChains' | 'allowedTokens' | 'allowedEscrows' | 'allowedPayees'>
  /**
   * Moves the chain's clock. Without it, paths that wait for a transaction to expire cannot be run, and say so.
   */
  advanceTime?(seconds: number): Promise<void>
  stop(): Promise<void>
}

/** What a path does to its ground that others could feel. */
export interface PathNeeds {
  /** It moves the chain's clock: nobody else may be on that chain. */
  readonly movesClock: boolean
  /** It spends all that the payer has: nobody else may use that account. */
  readonly emptiesWallet: boolean
}

/** Gives grounds to paths. */
export interface PathTarget {
  open(needs: PathNeeds): Promise<PathGround>
  stop(): Promise<void>
}

/** A gateway of the reader's own. */
export interface GatewayTargetOptions {
  /** The paid route. */
  readonly url: string
  readonly rpcUrl: string
  /** A funded account for each path, without a channel at the gateway. */
  readonly payer: () => LocalAccount | Promise<LocalAccount>
  /** Default: a small chat request. */
  readonly request?: RequestInit
  readonly policy?: PathGround['policy']
  readonly advanceTime?: (seconds: number) => Promise<void>
}

/** A chat request that costs little. */
const CHAT: RequestInit = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'sandbox-small', max_tokens: 64, messages: [{ role: 'user', content: 'Say hello.' }] }),
}

/**
 * Any gateway as a target. What a path asks of it is answered by a server in front of it; challenges, paid answers,
 * top-ups and closes are the gateway's own. It must charge by the bucket of one token and suggest a deposit of five.
 *
 * @example
 * ```ts
 * import { gatewayTarget } from 'mpp-flow/testing'
 * import type { LocalAccount } from 'viem'
 *
 * export function target(rpcUrl: string, nextAccount: () => LocalAccount) {
 *   return gatewayTarget({ url: 'http://127.0.0.1:8402/v1/mpp/chat/completions', rpcUrl, payer: nextAccount })
 * }
 * ```
 */
export function gatewayTarget(options: GatewayTargetOptions): PathTarget {
  const { url, rpcUrl, payer, request = CHAT, policy, advanceTime } = options
  return {
    async open() {
      // First, so that nothing is left running when there is no payer.
      const funded = await payer()
      const gateway = await startScriptedGateway({ target: url })
      return {
        gateway,
        rpcUrl,
        payer: funded,
        request,
        ...(policy !== undefined && { policy }),
        ...(advanceTime !== undefined && { advanceTime }),
        stop: () => gateway.stop(),
      }
    },
    stop: async () => undefined,
  }
}

/** How many payers there are, the last of whom pays fees. Accounts cost a moment each when the chain starts. */
const ACCOUNTS = 64
const OWN_ACCOUNTS = 9

/**
 * The sandbox as a target: each path gets a gateway of its own, on one chain; paths that move the clock have a chain to
 * themselves as long as they run.
 *
 * @throws AnvilMissing when the chain's program is not installed.
 */
export async function sandboxTarget(): Promise<PathTarget> {
  const shared = await startChain({ accounts: ACCOUNTS })
  // Every gateway has a payee of its own, so that accounts can be used again; the last one pays fees.
  const payers = shared.accounts.slice(0, -1)
  const idle: OwnChain[] = []
  let next = 0
  let stopped = false

  async function ground(chain: LocalChain, payer: LocalAccount): Promise<PathGround & { readonly sandbox: Sandbox }> {
    const sandbox = await startSandbox({ chain })
    const gateway = await startScriptedGateway({ target: `${sandbox.url}/v1/mpp/chat/completions` })
    return {
      sandbox,
      gateway,
      rpcUrl: chain.rpcUrl,
      payer,
      request: CHAT,
      async stop() {
        await gateway.stop()
        await sandbox.stop()
      },
    }
  }

  /** On a chain that nobody else is on meanwhile. Who is left without funds is not used again. */
  async function ownGround(emptiesWallet: boolean): Promise<PathGround> {
    const own = idle.pop() ?? (await startOwnChain())
    const payer = own.payers.shift()
    if (payer === undefined) throw new Error('the chain has no accounts')
    const { sandbox, ...rest } = await ground(own.chain, payer)
    return {
      ...rest,
      advanceTime: (seconds) => sandbox.advanceTime(seconds),
      async stop() {
        await rest.stop()
        if (!emptiesWallet) own.payers.push(payer)
        if (stopped || own.payers.length === 0) await own.chain.stop()
        else idle.push(own)
      },
    }
  }

  return {
    async open({ movesClock, emptiesWallet }) {
      if (movesClock || emptiesWallet) return ownGround(emptiesWallet)
      const payer = payers[next % payers.length]
      next += 1
      if (payer === undefined) throw new Error('the chain has no accounts')
      const { sandbox: _, ...rest } = await ground(shared, payer)
      return rest
    },
    async stop() {
      stopped = true
      await Promise.all([shared, ...idle.splice(0).map(({ chain }) => chain)].map((chain) => chain.stop()))
    },
  }
}

/** A chain for one path at a time, and those of its accounts that have funds. */
interface OwnChain {
  readonly chain: LocalChain
  readonly payers: LocalAccount[]
}

async function startOwnChain(): Promise<OwnChain> {
  const chain = await startChain({ accounts: OWN_ACCOUNTS })
  return { chain, payers: chain.accounts.slice(0, -1) }
}
