// Pays and closes in the sandbox on the word of a button, and says in a line what came of it.
// Must never fail silently: whatever goes wrong is told to the person who pressed.

import {
  createMppClient,
  type Inspector,
  type MppClient,
  type PaymentFlowActor,
  type PaymentOutcome,
} from '../../index.js'
import type { Sandbox } from '../../sandbox/index.js'

/** Tells whoever watches which flow to look at. */
export type Look = (actorName: string) => void

/** Pays requests of chosen costs from one account. */
export interface Payer {
  /** A request that uses this many tokens. */
  pay(tokens: number, look?: Look): Promise<PaymentOutcome>
  /** A request with these members instead of `max_tokens`. */
  request(members: Readonly<Record<string, unknown>>, look?: Look): Promise<PaymentOutcome>
  /** A payment that opens a channel of its own, and waits for an answer before it does. */
  ask(look?: Look): Promise<PaymentOutcome>
  /** Answers a flow that waits. @throws Error when there is no such flow. */
  answer(flow: string | null, event: 'APPROVE' | 'DENY'): void
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
/** What a request costs that asks first. */
const ASKED_TOKENS = 10

/** Generous, so that every button can be pressed many times. The accounts are the sandbox's. */
const POLICY = { maxDeposit: '200', maxExposure: '40' } as const

/** How an outcome reads in a line. */
export function told(outcome: PaymentOutcome): string {
  if (outcome.status === 'failed') return `ended in failed with ${outcome.failure.code}`
  return outcome.response.ok ? 'paid' : `answered with HTTP ${outcome.response.status}`
}

/** @throws Error when the sandbox has no two accounts to pay from. */
export function createPayer(sandbox: Sandbox, inspect: Inspector): Payer {
  const [account, cautious] = sandbox.accounts
  if (account === undefined || cautious === undefined) throw new Error('the sandbox has no accounts to pay from')
  const { rpcUrl } = sandbox
  const mpp: MppClient = createMppClient({ account, rpcUrl, policy: POLICY, inspect })
  /** Flows that ask before funds move, while they run. */
  const asking = new Map<string, PaymentFlowActor>()
  const url = `${sandbox.url}/v1/mpp/chat/completions`
  const payer = account.address.toLowerCase()
  const openChannel = () =>
    sandbox.accounting().channels.find((channel) => channel.status === 'open' && channel.payer.toLowerCase() === payer)

  function flowOf(client: MppClient, members: Readonly<Record<string, unknown>>): PaymentFlowActor {
    const body = JSON.stringify({
      model: 'sandbox-verbose',
      messages: [{ role: 'user', content: PROMPT }],
      ...members,
    })
    return client.createFlow(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  }

  async function run(client: MppClient, actor: PaymentFlowActor, look?: Look): Promise<PaymentOutcome> {
    look?.(actor.id)
    actor.start()
    const outcome = await client.outcomeOf(actor)
    await outcome.response?.body?.cancel()
    return outcome
  }

  const request: Payer['request'] = (members, look) => run(mpp, flowOf(mpp, members), look)
  const costing = (tokens: number) => ({ max_tokens: tokens - PROMPT_TOKENS })

  return {
    request,
    pay: (tokens, look) => request(costing(tokens), look),
    async ask(look) {
      // A ledger of its own: there is no channel in it, so that one must be opened. Saying nothing, it leaves the flow waiting.
      const client = createMppClient({
        account: cautious,
        rpcUrl,
        inspect,
        policy: { ...POLICY, approve: () => undefined },
      })
      const actor = flowOf(client, costing(ASKED_TOKENS))
      asking.set(actor.id, actor)
      try {
        return await run(client, actor, look)
      } finally {
        asking.delete(actor.id)
      }
    },
    answer(flow, event) {
      const actor = flow === null ? undefined : asking.get(flow)
      if (actor === undefined) throw new Error('this flow does not wait for an answer')
      actor.send({ type: event })
    },
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
