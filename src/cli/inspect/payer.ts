// Pays and closes in the sandbox on the word of a button, and says in a line what came of it.
// Must never fail silently: whatever goes wrong is told to the person who pressed.

import { createMppClient, type Inspector, type MppClient, type PaymentOutcome } from '../../index.js'
import type { Sandbox } from '../../sandbox/index.js'

/** Tells whoever watches which flow to look at. */
export type Look = (actorName: string) => void

/** Pays requests of chosen costs from one account. */
export interface Payer {
  /** A request that uses this many tokens. */
  pay(tokens: number, look?: Look): Promise<PaymentOutcome>
  /** A request with these members instead of `max_tokens`. */
  request(members: Readonly<Record<string, unknown>>, look?: Look): Promise<PaymentOutcome>
  /** Closes the open channel. @throws Error when there is none. */
  close(): Promise<string>
  /** What the open channel's bucket has left, in tokens; null when no channel is open. */
  tokensLeft(): number | null
}

/** High, so that a short answer uses a bucket up. */
export const PRICE_PER_TOKEN = '0.01'
const BASE_UNITS_PER_TOKEN = 10_000n

/** Five tokens, as the sandbox counts. */
const PROMPT = 'Hello'
const PROMPT_TOKENS = 5

/** Generous, so that every button can be pressed many times. The accounts are the sandbox's. */
const POLICY = { maxDeposit: '200', maxExposure: '40' } as const

/** How an outcome reads in a line. */
export function told(outcome: PaymentOutcome): string {
  if (outcome.status === 'failed') return `ended in failed with ${outcome.failure.code}`
  return outcome.response.ok ? 'paid' : `answered with HTTP ${outcome.response.status}`
}

/** @throws Error when the sandbox has no account to pay from. */
export function createPayer(sandbox: Sandbox, inspect: Inspector): Payer {
  const [account] = sandbox.accounts
  if (account === undefined) throw new Error('the sandbox has no account to pay from')
  const mpp: MppClient = createMppClient({ account, rpcUrl: sandbox.rpcUrl, policy: POLICY, inspect })
  const url = `${sandbox.url}/v1/mpp/chat/completions`
  const payer = account.address.toLowerCase()
  const openChannel = () =>
    sandbox.books().channels.find((channel) => channel.status === 'open' && channel.payer.toLowerCase() === payer)

  async function request(members: Readonly<Record<string, unknown>>, look?: Look): Promise<PaymentOutcome> {
    const body = JSON.stringify({
      model: 'sandbox-verbose',
      messages: [{ role: 'user', content: PROMPT }],
      ...members,
    })
    const headers = { 'content-type': 'application/json' }
    const actor = mpp.createFlow(url, { method: 'POST', headers, body })
    look?.(actor.id)
    actor.start()
    const outcome = await mpp.outcomeOf(actor)
    await outcome.response?.body?.cancel()
    return outcome
  }

  return {
    request,
    pay: (tokens, look) => request({ max_tokens: tokens - PROMPT_TOKENS }, look),
    async close() {
      const channel = openChannel()
      if (channel === undefined) throw new Error('no channel is open: pay something first')
      const outcome = await mpp.sessions.close(channel.channelId)
      if (outcome.status === 'failed') return `the close ended in failed with ${outcome.failure.code}`
      return 'the channel is closed, the rest is refunded'
    },
    tokensLeft() {
      const channel = openChannel()
      if (channel === undefined) return null
      return Number((BigInt(channel.accepted) - BigInt(channel.spent)) / BASE_UNITS_PER_TOKEN)
    },
  }
}
