// The sandbox: a gateway that takes real payments, on a chain of its own, with accounts that can pay.
// Must never leave a process or a port behind when it is stopped or fails to start.
import type { LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import { address, fn, host, isObject, OptionError, optionsOf, port, readOptions } from '../options/index.js'
import type { Address } from '../protocol/hex.js'
import { lowerCase, readDecimals, ZERO_ADDRESS } from '../tempo/index.js'
import { type ChainAdmin, type LocalChain, startChain } from './chain/start-chain.js'
import type { AccountRoutes, VirtualKeys } from './gateway/account-routes.js'
import type { AccountedChannel, AccountedCharge, AccountingCounts } from './gateway/accounting.js'
import { startGateway } from './gateway/gateway.js'
import type { InjectionOptions } from './gateway/injection.js'
import type { GatewayExchange } from './gateway/server.js'
import { type GatewayOptions, gatewayShape } from './gateway/settings.js'

export interface SandboxOptions extends GatewayOptions {
  /** A chain to share with other gateways; it is not stopped with the sandbox. Default: one of its own. */
  readonly chain?: LocalChain
  /** Default: a free one. */
  readonly port?: number
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Named in challenges as the channel's operator. Default: none. */
  readonly operator?: Address
  /** Called with every request, its bytes as they arrived, before it is handled. */
  readonly observe?: (exchange: GatewayExchange) => void
  /** Called with every run that was charged, once it is accounted for and before it is answered. */
  readonly charged?: (charge: AccountedCharge) => void
}

function isChain(value: unknown): boolean {
  if (!isObject(value)) return false
  const has = (name: keyof LocalChain, type: string): boolean => typeof Reflect.get(value, name) === type
  return (
    has('rpcUrl', 'string') &&
    has('client', 'function') &&
    has('stop', 'function') &&
    has('accounts', 'object') &&
    has('admin', 'object')
  )
}

const sandboxOptions = optionsOf({
  ...gatewayShape,
  chain: z.custom<LocalChain>(isChain, { error: 'a chain that startChain has started' }).optional(),
  port: port.optional(),
  host: host.optional(),
  operator: address.optional(),
  observe: fn<NonNullable<SandboxOptions['observe']>>().optional(),
  charged: fn<NonNullable<SandboxOptions['charged']>>().optional(),
} satisfies Record<keyof SandboxOptions, unknown>)

export interface Sandbox {
  /** Of the gateway, without a trailing slash. */
  readonly url: string
  /** Of the chain. */
  readonly rpcUrl: string
  /** The methods that administer the chain, which `rpcUrl` does not offer. */
  readonly admin: ChainAdmin
  readonly chainId: number
  readonly token: Address
  /** Funded accounts to pay from. */
  readonly accounts: readonly LocalAccount[]
  /** Receives what is captured, and nothing else: the fees of its close transactions are paid by another account. */
  readonly payee: Address
  /** The zero address unless the options name one. */
  readonly operator: Address
  /** Keys for the account-owned routes. */
  readonly virtualKeys: VirtualKeys
  /** Switches of the account-owned routes. */
  readonly accountRoutes: Pick<AccountRoutes, 'failNext' | 'setBudget' | 'setPolicy' | 'counts'>
  /**
   * Makes the next requests of a kind fail with one of the gateway's codes, or with `http_<status>`, `connection_lost` (nothing
   * was done) or `answer_lost` (everything was done).
   *
   * @throws RangeError when the fault is unknown.
   */
  inject(fault: string, options?: InjectionOptions): void
  /** Changes settings from the next request on. @throws OptionError naming the option that cannot be read. */
  configure(change: GatewayOptions): void
  /** Turns the gateway's ability to close channels on or off. */
  setCloseSigner(on: boolean): void
  /** What the gateway has accounted for so far. Amounts are base units as decimal strings. */
  accounting(): { channels: AccountedChannel[]; counts: AccountingCounts; rejections: Record<string, number> }
  /** Moves the chain's clock forward. Challenges expire by the wall clock, which this does not touch. */
  advanceTime(seconds: number): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a sandbox on this machine. Its accounting and its chain are in memory and end with it.
 *
 * @throws OptionError for options that cannot be read; one line saying what to install when the chain's program is missing.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  readOptions(sandboxOptions, options)
  const chain = options.chain ?? (await startChain())
  const stopChain = async () => {
    if (options.chain === undefined) await chain.stop()
  }
  try {
    return await startOnChain(options, chain, stopChain)
  } catch (error) {
    await stopChain()
    throw error
  }
}

async function startOnChain(
  options: SandboxOptions,
  chain: LocalChain,
  stopChain: () => Promise<void>,
): Promise<Sandbox> {
  const client = chain.client()
  const sponsor = chain.accounts.at(-1)
  if (sponsor === undefined) throw new OptionError('chain', 'chain has no accounts')
  // A new account for every gateway: what it holds is what this gateway captured.
  const payee = privateKeyToAccount(generatePrivateKey())
  const operator = lowerCase(options.operator ?? ZERO_ADDRESS)
  const gateway = await startGateway({
    client,
    chainId: chain.chainId,
    token: chain.token,
    decimals: await readDecimals(client, chain.token),
    payee,
    sponsor,
    operator,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    options,
    observe: options.observe,
    charged: options.charged,
  })
  const { accountRoutes } = gateway
  return {
    url: gateway.url,
    rpcUrl: chain.rpcUrl,
    admin: chain.admin,
    chainId: chain.chainId,
    token: chain.token,
    accounts: chain.accounts.slice(0, -1),
    payee: lowerCase(payee.address),
    operator,
    virtualKeys: accountRoutes.virtualKeys,
    accountRoutes: {
      failNext: accountRoutes.failNext,
      setBudget: accountRoutes.setBudget,
      setPolicy: accountRoutes.setPolicy,
      counts: accountRoutes.counts,
    },
    inject: (fault, plan) => gateway.injections.plan(fault, plan),
    configure: (change) => gateway.configure(change),
    setCloseSigner: (on) => gateway.configure({ closeSigner: on }),
    accounting: () => gateway.accounting.view(),
    async advanceTime(seconds) {
      await chain.advanceTime(seconds)
      // Time passing is what lets payers withdraw: nothing read before may be relied upon.
      gateway.accounting.distrust()
    },
    async stop() {
      await gateway.stop()
      await stopChain()
    },
  }
}
