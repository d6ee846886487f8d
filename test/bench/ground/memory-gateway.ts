// The same gateway as a fetch without any network, for what a flow costs by itself.
// Must never answer faster than by a turn of the event loop's microtasks: a fetch is never synchronous.

import { BUCKET, challengeWriter, claimOf, type Pricing, REFUSAL, receiptFor, UNREADABLE } from './terms.js'

export interface MemoryGateway {
  readonly fetch: typeof globalThis.fetch
  /** Of the paid route. */
  readonly url: string
  /** How many requests carried a credential. */
  paid(): number
}

export interface MemoryGatewayOptions {
  readonly pricing?: Pricing
  /** What each request costs, in base units. Default 1. */
  readonly cost?: bigint
  /** Holds back an answer; never resolved: the request stays in flight. */
  readonly hold?: (paid: boolean) => Promise<void> | undefined
}

const ANSWER = JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'Yes.' } }] })

/** Starts a gateway in memory. It issues challenges without a digest: no hashing is measured with it. */
export function memoryGateway(options: MemoryGatewayOptions = {}): MemoryGateway {
  const { pricing = BUCKET, cost = 1n, hold } = options
  const challenge = challengeWriter(pricing)
  let paid = 0
  return {
    url: 'http://127.0.0.1:9/v1/work',
    paid: () => paid,
    async fetch(_input, init) {
      const authorization = new Headers(init?.headers).get('authorization')
      const held = hold?.(authorization !== null)
      if (held !== undefined) await held
      if (authorization === null) {
        const headers = { 'content-type': 'application/json', 'www-authenticate': challenge(undefined) }
        return new Response(REFUSAL, { status: 402, headers })
      }
      const claim = claimOf(authorization)
      if (claim === undefined) return new Response(UNREADABLE, { status: 402 })
      paid += 1
      const receipt = receiptFor(claim, BigInt(paid) * cost)
      return new Response(ANSWER, { headers: { 'content-type': 'application/json', 'payment-receipt': receipt } })
    },
  }
}
