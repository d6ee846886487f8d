// What a client, a flow and a close can be given, and how it is checked.
// Must never give back another object than the caller's where identity matters: accounts, stores and functions stay theirs.

import type { LocalAccount } from 'viem'
import * as z from 'zod'
import {
  abortSignal,
  address,
  fn,
  hasMethods,
  httpUrl,
  isObject,
  objectWith,
  optionsOf,
  waitMs,
} from '../options/index.js'
import { type Address, parseAddress } from '../protocol/index.js'
import type { SessionStore } from '../sessions/index.js'
import type { ChainSource } from './chain-clients.js'
import type { Inspector } from './flows.js'
import type { ForceCloseProgress } from './force-close-outcome.js'
import type { Policy } from './policy.js'
import type { HeadersInput } from './transport/index.js'

/** What a client is made from. */
export interface MppClientOptions {
  /** Pays deposits and fees. Any viem account that signs typed data and Tempo transactions. */
  readonly account: LocalAccount
  /**
   * Signs vouchers instead of `account`, so that the key that moves the deposit can stay cold. Default: `account`, or the
   * access key behind it.
   */
  readonly voucherSigner?: LocalAccount
  /** A viem client for a chain. Give this or `rpcUrl`. */
  readonly getClient?: NonNullable<ChainSource['getClient']>
  /** RPC URL of the chain. Default: the chain's public one. */
  readonly rpcUrl?: string
  readonly policy?: Policy
  /** Where the ledger is kept. Default: in memory, so that channels are forgotten with the process. */
  readonly store?: SessionStore
  /**
   * Sends the requests. Default: the global fetch; in Node, when nobody has replaced that, the HTTP client that it is made
   * of, which sends the same bytes and heeds `setGlobalDispatcher`.
   */
  readonly fetch?: typeof globalThis.fetch
  readonly inspect?: Inspector
}

/** What a single flow can be given. */
export interface FlowOptions {
  /** Watches this flow, besides whatever watches all flows of the client. */
  readonly inspect?: Inspector
}

/** How a close is asked for. */
export interface CloseOptions {
  /** A paid route of the payee. Needed for a channel that was found on the chain and not used since. */
  readonly url?: string | URL
  /** Headers of the request, such as an `Authorization` for one of the policy's `authenticatedOrigins`. */
  readonly headers?: HeadersInput
}

export interface ForceCloseOptions {
  /** Ends the wait. The request stands on the chain, and calling again goes on from it. */
  readonly signal?: AbortSignal
  /** Told at every step and every look. Must not throw. */
  readonly onProgress?: (progress: ForceCloseProgress) => void
  /** TIP-20 token that the two fees are paid in. Default: the channel's token. */
  readonly feeToken?: Address
  /** How often the chain is looked at while the grace period runs, in milliseconds. Default 5000. */
  readonly lookEveryMs?: number
}

/** Whether a value can sign what is asked of an account. Its key is not looked at. */
function signs(value: unknown, methods: readonly (keyof LocalAccount)[]): boolean {
  return hasMethods(value, methods) && isObject(value) && parseAddress(Reflect.get(value, 'address')).ok
}

const account = z.custom<LocalAccount>((value) => signs(value, ['signTypedData', 'signTransaction']), {
  error: 'a viem account that signs transactions and typed data; of a private key, privateKeyToAccount makes one',
})
const voucherSigner = z.custom<LocalAccount>((value) => signs(value, ['signTypedData']), {
  error: 'a viem account that signs typed data; of a private key, privateKeyToAccount makes one',
})

const inspector = z.custom<Inspector>((value) => typeof value === 'function' || hasMethods(value, ['next']), {
  error: 'a function, or an observer with a function `next`',
})

export const clientOptions = optionsOf({
  account,
  voucherSigner: voucherSigner.optional(),
  getClient: fn<NonNullable<MppClientOptions['getClient']>>().optional(),
  rpcUrl: httpUrl.optional(),
  // Read by `resolvePolicy`.
  policy: z.custom<Policy>(() => true).optional(),
  store: objectWith<SessionStore>(
    ['get', 'list', 'update', 'acquireLease', 'renewLease', 'releaseLease', 'isLeased', 'watch'],
    'a store, such as memoryStore() or fileStore(folder) makes',
  ).optional(),
  fetch: fn<typeof globalThis.fetch>('a fetch function').optional(),
  inspect: inspector.optional(),
} satisfies Record<keyof MppClientOptions, unknown>)

export const flowOptions = optionsOf({
  inspect: inspector.optional(),
} satisfies Record<keyof FlowOptions, unknown>)

function isUrl(value: unknown): boolean {
  if (typeof value !== 'string') return value instanceof URL
  return URL.canParse(value, typeof location === 'undefined' ? undefined : location.href)
}

function areHeaders(value: unknown): value is HeadersInput {
  try {
    return isObject(value) && Reflect.construct(Headers, [value]) instanceof Headers
  } catch {
    // What is wrong is in the message, with the header that is wrong.
    return false
  }
}

export const closeOptions = optionsOf({
  url: z.custom<string | URL>(isUrl, { error: 'a URL' }).optional(),
  headers: z.custom<HeadersInput>(areHeaders, { error: 'headers as fetch takes them' }).optional(),
} satisfies Record<keyof CloseOptions, unknown>)

export const forceCloseOptions = optionsOf({
  signal: abortSignal.optional(),
  onProgress: fn<NonNullable<ForceCloseOptions['onProgress']>>().optional(),
  feeToken: address.optional(),
  lookEveryMs: waitMs().optional(),
} satisfies Record<keyof ForceCloseOptions, unknown>)
