// The ground of the client tests: one real chain, gateways at will on it, and a fresh funded payer for every test.
// Must never stand in for the client or the gateway: it starts them, watches the wire and counts signatures.
import type { LocalAccount } from 'viem'
import { getContractEvents } from 'viem/actions'
import { Abis } from 'viem/tempo'
import { paymentFlowMachine, type TraceStep } from '../../machines/index.js'
import type { Clock } from '../../src/client/clock.js'
import { clientRunning } from '../../src/client/create-client.js'
import type { MppClient, MppClientOptions, PaymentOutcome } from '../../src/index.js'
import { type Credential, parseCredential } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import {
  type GatewayExchange,
  type LocalChain,
  type Sandbox,
  type SandboxOptions,
  startChain,
  startSandbox,
} from '../../src/sandbox/index.js'
import { readTokenBalance } from '../../src/tempo/index.js'
import { hurriedClock } from '../../src/testing/hurried-clock.js'

/** A request as it arrived, and when. */
export interface Seen extends GatewayExchange {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly authorization: string | undefined
  /** The credential it carried, if it carried one that can be read. */
  readonly credential: Credential | undefined
}

export interface WatchedGateway extends Sandbox {
  /** The paid route. */
  readonly chat: string
  readonly seen: readonly Seen[]
}

/** A viem account that counts what it is asked to sign. */
export interface CountedAccount {
  readonly account: LocalAccount
  /** The cumulative amount of every voucher signed, as `channelId:cumulative`, in order. */
  readonly vouchers: readonly string[]
  /** How often it was asked for any signature at all. */
  signatures(): number
}

export interface Stage {
  readonly chain: LocalChain
  gateway(options?: SandboxOptions): Promise<WatchedGateway>
  /** A funded account that no other test of this file uses. */
  payer(): LocalAccount
  /** Its pauses are short, unless another clock is given. */
  client(account: LocalAccount, options?: Partial<MppClientOptions>, clock?: Clock): MppClient
  /** How many channels the chain saw opened by this account. */
  opened(account: LocalAccount): Promise<number>
  balance(owner: `0x${string}`): Promise<bigint>
  stop(): Promise<void>
}

export async function setStage(accounts = 60, fees: 'none' | 'charged' = 'none'): Promise<Stage> {
  const chain = await startChain({ accounts, fees })
  const gateways: Sandbox[] = []
  let next = 0
  return {
    chain,
    async gateway(options = {}) {
      const seen: Seen[] = []
      const sandbox = await startSandbox({
        ...options,
        chain,
        observe: (exchange) => {
          seen.push(look(exchange))
          options.observe?.(exchange)
        },
      })
      gateways.push(sandbox)
      return { ...sandbox, chat: `${sandbox.url}/v1/mpp/chat/completions`, seen }
    },
    payer() {
      // The last account pays the fees of the gateways.
      const account = chain.accounts[next]
      next += 1
      if (account === undefined || next >= chain.accounts.length) throw new Error('more payers than accounts')
      return account
    },
    client: (account, options = {}, clock = hurriedClock()) =>
      clientRunning(paymentFlowMachine, { account, rpcUrl: chain.rpcUrl, ...options }, clock),
    async opened(account) {
      const events = await getContractEvents(chain.client(), {
        address: CHANNEL_RESERVE,
        abi: Abis.tip20ChannelReserve,
        eventName: 'ChannelOpened',
        args: { payer: account.address },
        fromBlock: 'earliest',
        toBlock: 'latest',
      })
      return events.length
    },
    balance: (owner) => readTokenBalance(chain.client(), { token: chain.token, owner }),
    async stop() {
      await Promise.all(gateways.map((gateway) => gateway.stop()))
      await chain.stop()
    },
  }
}

function look(exchange: GatewayExchange): Seen {
  const authorization = header(exchange, 'authorization')
  const read = parseCredential(authorization)
  return { ...exchange, at: Date.now(), authorization, credential: read.ok ? read.value : undefined }
}

/** A header as the wire had it. */
export function header(exchange: GatewayExchange, name: string): string | undefined {
  return exchange.headers.find(([key]) => key.toLowerCase() === name)?.[1]
}

/** Wraps an account so that every request for a signature is counted; the signatures are the account's own. */
export function counted(account: LocalAccount): CountedAccount {
  const vouchers: string[] = []
  let signatures = 0
  const counting = <Args extends readonly unknown[], Result>(sign: (...args: Args) => Result) =>
    function counted(...args: Args): Result {
      signatures += 1
      return sign(...args)
    }
  const { signTypedData } = account
  const wrapped: LocalAccount = {
    ...account,
    ...(account.sign !== undefined && { sign: counting(account.sign) }),
    signMessage: counting(account.signMessage),
    signTransaction: counting(account.signTransaction),
    signTypedData: (typedData) => {
      signatures += 1
      const { message } = typedData
      if (typeof message === 'object' && message !== null && 'cumulativeAmount' in message && 'channelId' in message)
        vouchers.push(`${message.channelId}:${message.cumulativeAmount}`)
      return signTypedData(typedData)
    },
  }
  return { account: wrapped, vouchers, signatures: () => signatures }
}

/**
 * A chat request that costs exactly `tokens` tokens (at least 6) of the sandbox's most talkative model: the prompt is
 * five of them, and the answer is as long as it is allowed to be. At the sandbox's default price 500 tokens are 0.1.
 */
export function chat(tokens: number, content = 'hello'): RequestInit & { readonly body: string } {
  const prompt = 3 + Math.ceil(new TextEncoder().encode(content).length / 4)
  const body = JSON.stringify({
    model: 'sandbox-verbose',
    max_tokens: tokens - prompt,
    messages: [{ role: 'user', content }],
  })
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body }
}

/** The states a flow went through, in dotted form. */
export function states(outcome: { readonly trace: readonly TraceStep[] }): string[] {
  return outcome.trace.map(({ state }) => state)
}

/** The events that led there. */
export function events(outcome: { readonly trace: readonly TraceStep[] }): string[] {
  return outcome.trace.map(({ event }) => event)
}

/** The failure of an outcome. @throws when it did not fail. */
export function failureOf(outcome: PaymentOutcome) {
  if (outcome.status !== 'failed') throw new Error(`the flow ended as ${outcome.status}: ${events(outcome).join(' ')}`)
  return outcome.failure
}

/** Pays one after another, and expects each to succeed. */
export async function paySome(mpp: MppClient, url: string, times: number, init: () => RequestInit): Promise<void> {
  for (let at = 0; at < times; at += 1) {
    const outcome = await mpp.pay(url, init())
    if (outcome.status !== 'succeeded' || !outcome.response.ok)
      throw new Error(`payment ${at} failed: ${outcome.status === 'failed' ? outcome.failure.code : 'not ok'}`)
  }
  // Until the open is confirmed beside the answer: tests look into the store after this.
  await mpp.sessions.list()
}
