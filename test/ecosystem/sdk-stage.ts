// The ground of the SDK tests: a gateway, a paying fetch that counts how often an SDK calls it, and what was paid.
// Must never take the place of an SDK's own retries: they run with their defaults.

import type { LocalAccount } from 'viem'
import type { MppClient, Policy } from '../../src/index.js'
import type { SandboxOptions } from '../../src/sandbox/index.js'
import type { Stage, WatchedGateway } from '../client/stage.js'

/** A key as SDKs want one. It must never arrive anywhere. */
export const API_KEY = 'sk-test-must-not-travel'

export interface SdkGround {
  readonly gateway: WatchedGateway
  readonly mpp: MppClient
  readonly payer: LocalAccount
  /** What SDKs call their base URL. */
  readonly baseURL: string
  /** `mpp.fetch`, counted. */
  readonly fetch: typeof globalThis.fetch
  /** What became of it: calls of the SDK, each of which is a flow, and sends that arrived with a credential. */
  spent(): { readonly flows: number; readonly paidSends: number }
  /** Whether any request that arrived carried the SDK's key, in any header. */
  keyTravelled(): boolean
}

export async function sdkGround(
  stage: Stage,
  options: { readonly sandbox?: SandboxOptions; readonly policy?: Policy } = {},
): Promise<SdkGround> {
  const gateway = await stage.gateway(options.sandbox)
  const payer = stage.payer()
  const mpp = stage.client(payer, { policy: options.policy ?? {} })
  let flows = 0
  return {
    gateway,
    mpp,
    payer,
    baseURL: `${gateway.url}/v1/mpp`,
    fetch: (input, init) => {
      flows += 1
      return mpp.fetch(input, init)
    },
    spent: () => ({ flows, paidSends: gateway.accounting().counts.paidSends }),
    keyTravelled: () =>
      gateway.seen.some(({ headers }) => headers.some(([, value]) => /bearer/i.test(value) || value.includes(API_KEY))),
  }
}

/** Failures that an SDK might repeat, and how often a credential is sent in the one flow that each is worth. */
export const FAILURES: readonly {
  readonly what: string
  readonly arrange: (gateway: WatchedGateway) => Promise<void> | void
  readonly code: string
  readonly paidSends: number
  readonly policy?: Policy
}[] = [
  {
    what: 'work that ran without being committed (500)',
    arrange: (gateway) => gateway.inject('mpp_commit_failed', { times: 99 }),
    code: 'mpp_commit_failed',
    paidSends: 1,
  },
  {
    what: 'reservations that fail for good (503), after the three retries of the flow itself',
    arrange: (gateway) => gateway.inject('mpp_reservation_failed', { times: 99 }),
    code: 'mpp_reservation_failed',
    paidSends: 4,
  },
  {
    what: 'a server error on the paid request, with unknown outcome',
    arrange: (gateway) => gateway.inject('http_500', { times: 99 }),
    code: 'outcome_unknown',
    paidSends: 1,
  },
  {
    what: 'a paid answer that got lost',
    arrange: (gateway) => gateway.inject('answer_lost', { times: 99 }),
    code: 'outcome_unknown',
    paidSends: 1,
  },
  {
    what: 'a payment that was not approved',
    arrange: () => undefined,
    policy: { approve: () => false },
    code: 'policy_denied',
    paidSends: 0,
  },
  {
    what: 'a limit of the policy',
    arrange: () => undefined,
    policy: { maxDeposit: '0.1' },
    code: 'limit_exceeded',
    paidSends: 0,
  },
  {
    what: 'a gateway that limits the rate (429)',
    arrange: (gateway) => gateway.inject('http_429', { on: 'unpaid', times: 99 }),
    code: 'rate_limited',
    paidSends: 0,
  },
  {
    what: 'a gateway that is gone',
    arrange: (gateway) => gateway.stop(),
    code: 'connection_failed',
    paidSends: 0,
  },
]
