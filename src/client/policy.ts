// What the caller allows, with defaults that are safe and work on Ando and on the sandbox.
// Must never be widened by anything a server says.

import {
  type Amount,
  BOUNDED,
  type Bounds,
  defaultStrategy,
  type FlowLimits,
  type Strategy,
} from '../../machines/index.js'
import {
  address,
  chainId,
  flag,
  fn,
  listOf,
  optionsOf,
  origin,
  readOptions,
  tokenAmount,
  waitMs,
  wholeNumber,
} from '../options/index.js'
import { type Address, CHANNEL_RESERVE } from '../protocol/index.js'
import { DEFAULT_MAX_FEE, ZERO_ADDRESS } from '../tempo/index.js'

/** TIP-20 tokens have six decimals. Amounts in a policy are written in tokens, or as a bigint in base units. */
export const TOKEN_DECIMALS = 6

/** A token amount as a person writes it (`'5'`, `'0.25'`), or base units as a bigint. */
export type TokenAmount = string | bigint

/** What is about to be done with funds, for whoever approves it. Amounts in base units. */
export interface PaymentIntent {
  readonly action: 'open' | 'topUp'
  /** What will be moved into the channel. */
  readonly deposit: Amount
  /** What the payee will be authorised to take after this request. */
  readonly cumulative: Amount
  /**
   * The most that the transaction may cost on top of the deposit: `maxFee`, or `0` where the payee pays the fee. The node is
   * asked for the price when it is signed, and a transaction that may cost more is not signed.
   */
  readonly fee: Amount
  /** The token that the fee is paid in. */
  readonly feeToken: string
  readonly chainId: number
  readonly token: string
  readonly payee: string
  readonly escrow: string
  readonly origin: string
  /** The channel that is topped up; null for one that is yet to be opened. */
  readonly channelId: string | null
}

/** How long to wait, in milliseconds: whole numbers from 1 to 2147483647, which is as long as a timer can count. */
export interface Timeouts {
  readonly unpaidMs: number
  readonly paidMs: number
  readonly topUpMs: number
  readonly closeMs: number
  /** For the lease of a channel, for outstanding requests to be acknowledged, and for each answer of the store. */
  readonly sessionMs: number
  /** For the client of a chain, and for each of its answers, with all that its transport does to get one. */
  readonly chainMs: number
  /**
   * How long the lease of a process that died keeps its channel from all others. A living one renews its lease three times
   * as often; one that cannot (its machine sleeps, say) loses it, and signs nothing more with it. From 1000 to 3600000.
   */
  readonly leaseMs: number
}

/** The caller's policy. Every key has a default. */
export interface Policy {
  /** Largest deposit of one channel. Default 5. */
  readonly maxDeposit?: TokenAmount
  /** Largest cumulative amount ever signed for one channel. Default: the deposit is the limit. */
  readonly maxCumulative?: TokenAmount
  /** Largest sum of deposits in all channels of one token. Default: none. */
  readonly maxTotalDeposit?: TokenAmount
  /** Most that may be signed beyond what the payee has acknowledged as spent. Default 2. */
  readonly maxExposure?: TokenAmount
  /**
   * Most that one transaction may cost in fees: opens, top-ups, and the two of a forced close. Counted in the fee token,
   * whatever the node says about prices. Not held against fees that the payee pays. Default 0.25.
   */
  readonly maxFee?: TokenAmount
  /** Origins that may be paid. Default: any https origin the caller asks for, and loopback. */
  readonly allowedOrigins?: readonly string[]
  /**
   * Origins that get the caller's own `Authorization`: those whose application authenticates its callers, and whose
   * challenges take the credential in `Payment-Authorization`. Default: none, it is taken off.
   */
  readonly authenticatedOrigins?: readonly string[]
  /** Chains, by id. Default: Tempo mainnet 4217 and testnet 42431. */
  readonly allowedChains?: readonly number[]
  /** Token addresses. Default: USDC.e and pathUSD. */
  readonly allowedTokens?: readonly string[]
  /** Payee addresses. Default: any. */
  readonly allowedPayees?: readonly string[]
  /**
   * Operators that a challenge may name: addresses that act for the payee on the channel. A challenge that names none is
   * allowed in any case. A payee gets another channel with each operator, so that without this list `allowedPayees` does not
   * bound how many there are. Default: any.
   */
  readonly allowedOperators?: readonly string[]
  /** Escrow addresses. Default: the canonical channel reserve. */
  readonly allowedEscrows?: readonly string[]
  /** How often a flow may take a recovery, by its code or its event: whole numbers. Defaults are in CODE_FACTS. */
  readonly attempts?: Bounds
  readonly timeouts?: Partial<Timeouts>
  /**
   * Asked before funds move into a channel. Exactly `true` allows, `false` denies; undefined leaves the flow waiting for
   * an `APPROVE` or `DENY` event sent to its actor. Anything else, and an error that it throws, denies as well, and the
   * failure says so.
   */
  readonly approve?: (intent: PaymentIntent) => boolean | undefined | Promise<boolean | undefined>
  /** Ask once more for work whose commit failed. It may be paid twice. Default false. */
  readonly retryCommitFailed?: boolean
  /**
   * Send the same credential again after a 429 or 503 without a receipt. Nothing new is signed for it; but a gateway that
   * ran the request all the same may charge it once more, within what the credential authorises. Default false.
   */
  readonly resendPaid?: boolean
  /** Replaces how much is authorised; the limits are applied to its answer all the same. */
  readonly strategy?: Strategy
}

/** A policy with all defaults filled in and all amounts in base units. */
export interface ResolvedPolicy {
  readonly limits: FlowLimits
  /** Base units of the fee token. */
  readonly maxFee: Amount
  readonly bounds: Bounds
  readonly allowedOrigins: ReadonlySet<string> | null
  readonly authenticatedOrigins: ReadonlySet<string>
  readonly allowedChains: ReadonlySet<number>
  readonly allowedTokens: ReadonlySet<string>
  readonly allowedPayees: ReadonlySet<string> | null
  readonly allowedOperators: ReadonlySet<string> | null
  readonly allowedEscrows: ReadonlySet<string>
  readonly timeouts: Timeouts
  readonly approve: Policy['approve']
  readonly strategy: Strategy
}

/** USDC.e on Tempo. */
export const USDC_E: Address = '0x20c000000000000000000000b9537d11c60e8b50'
/** pathUSD on Tempo. */
export const PATH_USD: Address = '0x20c0000000000000000000000000000000000000'

const TEMPO_MAINNET = 4217
const TEMPO_TESTNET = 42431

/** 5 tokens. */
const DEFAULT_MAX_DEPOSIT = 5_000_000n
/** 2 tokens. */
const DEFAULT_MAX_EXPOSURE = 2_000_000n

const TIMEOUTS: Timeouts = {
  unpaidMs: 60_000,
  paidMs: 600_000,
  topUpMs: 60_000,
  closeMs: 60_000,
  sessionMs: 120_000,
  chainMs: 15_000,
  leaseMs: 15_000,
}

/** A lease of a moment is lost before it is used: the next holder would sign while the first still believes in its own. */
const SHORTEST_LEASE_MS = 1_000
/** A channel whose holder died is nobody's for as long. */
const LONGEST_LEASE_MS = 3_600_000

const timeouts = {
  unpaidMs: waitMs().default(TIMEOUTS.unpaidMs),
  paidMs: waitMs().default(TIMEOUTS.paidMs),
  topUpMs: waitMs().default(TIMEOUTS.topUpMs),
  closeMs: waitMs().default(TIMEOUTS.closeMs),
  sessionMs: waitMs().default(TIMEOUTS.sessionMs),
  chainMs: waitMs().default(TIMEOUTS.chainMs),
  leaseMs: waitMs(SHORTEST_LEASE_MS, LONGEST_LEASE_MS).default(TIMEOUTS.leaseMs),
} satisfies Record<keyof Timeouts, unknown>

const amount = tokenAmount(TOKEN_DECIMALS).optional()
const origins = listOf(origin, 'origins').optional()
const addresses = listOf(address, 'addresses').optional()
const often = wholeNumber(0).optional()

const policySchema = optionsOf({
  maxDeposit: amount,
  maxCumulative: amount,
  maxTotalDeposit: amount,
  maxExposure: amount,
  maxFee: amount,
  allowedOrigins: origins,
  authenticatedOrigins: origins,
  allowedChains: listOf(chainId, 'chain ids').optional(),
  allowedTokens: addresses,
  allowedPayees: addresses,
  allowedOperators: addresses,
  allowedEscrows: addresses,
  attempts: optionsOf(Object.fromEntries(BOUNDED.map((name) => [name, often]))).optional(),
  timeouts: optionsOf(timeouts).optional(),
  approve: fn<NonNullable<Policy['approve']>>().optional(),
  retryCommitFailed: flag.optional(),
  resendPaid: flag.optional(),
  strategy: fn<Strategy>().optional(),
} satisfies Record<keyof Policy, unknown>)

/**
 * Checks every value and fills in the defaults.
 *
 * @throws OptionError naming the key that is unknown, or whose value cannot be read.
 */
export function resolvePolicy(policy: Policy = {}): ResolvedPolicy {
  const read = readOptions(policySchema, policy, ['policy'])
  const { maxCumulative, maxTotalDeposit, allowedOrigins, allowedPayees, allowedOperators } = read
  return {
    limits: {
      maxDeposit: (read.maxDeposit ?? DEFAULT_MAX_DEPOSIT).toString(),
      maxCumulative: maxCumulative?.toString() ?? null,
      maxTotalDeposit: maxTotalDeposit?.toString() ?? null,
      maxExposure: (read.maxExposure ?? DEFAULT_MAX_EXPOSURE).toString(),
      approval: read.approve !== undefined,
      retryCommitFailed: read.retryCommitFailed ?? false,
      resendPaid: read.resendPaid ?? false,
    },
    maxFee: (read.maxFee ?? DEFAULT_MAX_FEE).toString(),
    bounds: read.attempts ?? {},
    allowedOrigins: allowedOrigins === undefined ? null : new Set(allowedOrigins),
    authenticatedOrigins: new Set(read.authenticatedOrigins),
    allowedChains: new Set(read.allowedChains ?? [TEMPO_MAINNET, TEMPO_TESTNET]),
    allowedTokens: new Set(read.allowedTokens ?? [USDC_E, PATH_USD]),
    allowedPayees: allowedPayees === undefined ? null : new Set(allowedPayees),
    allowedOperators: allowedOperators === undefined ? null : new Set([ZERO_ADDRESS, ...allowedOperators]),
    allowedEscrows: new Set(read.allowedEscrows ?? [CHANNEL_RESERVE]),
    timeouts: read.timeouts ?? TIMEOUTS,
    approve: read.approve,
    strategy: read.strategy ?? defaultStrategy,
  }
}

/** What a channel is bound to, as far as a policy has a say in it. */
export interface ChannelTerms {
  readonly chainId: number
  readonly escrow: string
  readonly token: string
  readonly payee: string
  readonly operator: string
}

/** Why nothing may be signed for a channel of these terms, or null. Addresses in lower case. */
export function refuseChannel(
  policy: ResolvedPolicy,
  { chainId, escrow, token, payee, operator }: ChannelTerms,
): string | null {
  if (!policy.allowedChains.has(chainId)) return `chain ${chainId} is not in allowedChains`
  if (!policy.allowedEscrows.has(escrow)) return `escrow ${escrow} is not in allowedEscrows`
  if (!policy.allowedTokens.has(token)) return `token ${token} is not in allowedTokens`
  if (policy.allowedPayees !== null && !policy.allowedPayees.has(payee)) return `payee ${payee} is not in allowedPayees`
  if (policy.allowedOperators !== null && !policy.allowedOperators.has(operator)) {
    return `operator ${operator} is not in allowedOperators`
  }
  return null
}

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** Whether a URL is one of this machine. */
export function isLoopback({ hostname }: Readonly<URL>): boolean {
  return LOOPBACK.test(hostname)
}

/** Why a URL may not be paid, or null. Https only, loopback apart. */
export function refuseOrigin(policy: ResolvedPolicy, url: Readonly<URL>): string | null {
  if (policy.allowedOrigins !== null && !policy.allowedOrigins.has(url.origin)) {
    return `the origin ${url.origin} is not in allowedOrigins`
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return null
  return `${url.origin} is not https`
}
