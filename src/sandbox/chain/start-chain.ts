// Starts a Tempo chain on this machine with a working channel reserve and funded accounts.
// Must never leave a process behind or reach another machine.
import { type Client, createClient, type HttpTransport, http, type LocalAccount, pad } from 'viem'
import { tempoModerato } from 'viem/chains'
import { z } from 'zod'
import { optionsOf, readOptions, wholeNumber } from '../../options/index.js'
import { MAX_UINT96 } from '../../protocol/amount.js'
import { channelReserveArtifact } from '../contract/channel-reserve.artifact.js'
import { testAccounts } from './accounts.js'
import { CHAIN_ID, CHANNEL_RESERVE, PATH_USD } from './addresses.js'
import { startAnvil } from './anvil-process.js'
import { startRpcShim } from './rpc-shim.js'
import { balanceWrite, type StorageWrite, supplyWrite } from './storage.js'
import { type RpcCall, Upstream } from './upstream.js'

const DEFAULT_ACCOUNTS = 10
const MAX_ACCOUNTS = 1_000
/** 10,000 pathUSD: more than enough, and still a number that a person can read. */
const DEFAULT_BALANCE = 10_000_000_000n
const POLLING_INTERVAL_MS = 50
/** How many blocks back state can be read. Receipts and logs are kept for good. */
const KEPT_STATES = 256

export interface LocalChainOptions {
  /** How many funded accounts, 1 to 1000. Default 10. */
  readonly accounts?: number
  /** pathUSD of each account, in base units (6 decimals). Default 10,000 pathUSD. */
  readonly balance?: bigint
  /**
   * `none` (default): gas costs nothing, so balances move by exactly what is paid. A transaction that offers a tip
   * nevertheless pays it.
   * `charged`: anvil's base fee, paid in the fee token; each fee is a `Transfer` from its payer to {@link FEE_MANAGER}
   * in the receipt of its transaction.
   */
  readonly fees?: 'none' | 'charged'
}

const chainOptions = optionsOf({
  accounts: wholeNumber(1, MAX_ACCOUNTS).default(DEFAULT_ACCOUNTS),
  // Larger than any real supply, small enough that no sum of balances overflows.
  balance: z
    .custom<bigint>((value) => typeof value === 'bigint' && value >= 0n && value <= MAX_UINT96, {
      error: 'a bigint of base units from 0 to 2^96 - 1',
    })
    .default(DEFAULT_BALANCE),
  fees: z.enum(['none', 'charged'], { error: "'none' or 'charged'" }).default('none'),
} satisfies Record<keyof LocalChainOptions, unknown>)

/** A client for the local chain. It has no account: give actions one. */
export type LocalChainClient = Client<HttpTransport, typeof tempoModerato>

/** Every method of the chain's program, `anvil_` and `evm_` ones too. Nobody outside of this process can call it. */
export interface ChainAdmin {
  /**
   * Takes what `custom()` of viem hands it: `createTestClient({ mode: 'anvil', transport: custom(chain.admin) })`.
   * What it sends passes by the channel reserve's part of the endpoint: send transactions to `rpcUrl`.
   *
   * @throws Error with the method and the chain's own words when the chain refuses.
   *
   * @example
   * ```ts
   * import { startChain } from 'mpp-flow/sandbox'
   *
   * const chain = await startChain()
   * await chain.admin.request({ method: 'anvil_mine', params: ['0x10'] })
   * ```
   */
  request(call: { readonly method: string; readonly params?: readonly unknown[] | undefined }): Promise<unknown>
}

export interface LocalChain {
  /**
   * JSON-RPC over HTTP; clients and servers made for Tempo use it unmodified. It takes a node's public methods from
   * programs and pages of this machine, and no others.
   */
  readonly rpcUrl: string
  /** What `rpcUrl` does not offer: the methods that administer the chain. */
  readonly admin: ChainAdmin
  readonly chainId: typeof CHAIN_ID
  /** pathUSD, a TIP-20 token with 6 decimals. */
  readonly token: typeof PATH_USD
  readonly accounts: readonly LocalAccount[]
  client(): LocalChainClient
  /**
   * Moves the chain's clock forward and mines a block at the new time. From then on the chain is ahead of the wall
   * clock by that much, so validity windows of transactions must be reckoned from its latest block.
   *
   * @param seconds - Whole seconds, more than 0.
   */
  advanceTime(seconds: number): Promise<void>
  /** Ends the chain; everything on it is lost. May be called more than once. */
  stop(): Promise<void>
}

/**
 * Starts the chain. It mines every transaction at once, and a block every second besides, so that the latest block's
 * time is the time.
 *
 * @throws OptionError naming the option that cannot be read; AnvilMissing when the anvil program is not installed, or an Error saying why it did not start.
 */
export async function startChain(options: LocalChainOptions = {}): Promise<LocalChain> {
  const { accounts: count, balance, fees } = readOptions(chainOptions, options)
  const free = fees === 'none'
  const starting = startAnvil([
    // T4 is the newest hardfork that this anvil runs; it has everything but the native channel reserve.
    ...['--network', 'tempo', '--hardfork', 't4', '--chain-id', String(CHAIN_ID)],
    ...['--mixed-mining', '--block-time', '1'],
    // Old states stay in memory or go; by default anvil writes them to the home directory and leaves them there.
    ...['--prune-history', String(KEPT_STATES)],
    ...(free ? ['--base-fee', '0', '--disable-min-priority-fee'] : []),
  ])
  // Deriving keys and starting the chain take a moment each; they take it together.
  const accounts = testAccounts(count)
  const anvil = await starting
  try {
    const upstream = new Upstream(anvil.url)
    await prepare(upstream, accounts, balance)
    const shim = await startRpcShim(anvil.url, { free })
    return {
      rpcUrl: shim.url,
      admin: {
        async request({ method, params = [] }) {
          const [result] = await upstream.call([method, ...params])
          return result
        },
      },
      chainId: CHAIN_ID,
      token: PATH_USD,
      accounts,
      client: () =>
        createClient({ chain: tempoModerato, transport: http(shim.url), pollingInterval: POLLING_INTERVAL_MS }),
      async advanceTime(seconds) {
        if (!Number.isSafeInteger(seconds) || seconds < 1)
          throw new RangeError('seconds must be a whole number above 0')
        await upstream.call(['evm_increaseTime', seconds], ['evm_mine'])
      },
      async stop() {
        await Promise.all([shim.stop(), anvil.stop()])
      },
    }
  } catch (error) {
    await anvil.stop()
    throw error
  }
}

async function prepare(upstream: Upstream, accounts: readonly LocalAccount[], balance: bigint): Promise<void> {
  const owners = accounts.map((account) => account.address)
  const [supply, ...balances] = (
    await upstream.call(
      ['eth_call', { to: PATH_USD, data: TOTAL_SUPPLY }, 'latest'],
      ...owners.map((owner): RpcCall => ['eth_call', { to: PATH_USD, data: balanceOf(owner) }, 'latest']),
    )
  ).map((result) => BigInt(String(result)))
  // anvil funds its own accounts with all that fits 64 bits. The supply follows, so that the token still adds up.
  const before = balances.reduce((sum, held) => sum + held, 0n)
  const newSupply = (supply ?? 0n) - before + balance * BigInt(owners.length)
  await upstream.call(
    // At genesis the clock stands at 1, which every validity window excludes.
    ['evm_mine'],
    ['anvil_setCode', CHANNEL_RESERVE, channelReserveArtifact.deployedBytecode],
    ...[supplyWrite(PATH_USD, newSupply), ...owners.map((owner) => balanceWrite(PATH_USD, owner, balance))].map(
      ({ address, slot, value }: StorageWrite): RpcCall => ['anvil_setStorageAt', address, slot, value],
    ),
  )
}

const TOTAL_SUPPLY = '0x18160ddd'

function balanceOf(owner: `0x${string}`): string {
  return `0x70a08231${pad(owner).slice(2)}`
}
