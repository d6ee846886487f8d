// A payer with hand-made credentials, for tests of the gateway: every value can be bent before it is sent.
// Must never use the library's client: the gateway is tested on its own.
import type { LocalAccount } from 'viem'
import { expect } from 'vitest'
import { encodeBase64url } from '../../src/protocol/base64url.js'
import { type Challenge, parseChallenges } from '../../src/protocol/challenge.js'
import { formatCredential, formatSource, type SessionPayload } from '../../src/protocol/credential.js'
import type { ChannelDescriptor } from '../../src/protocol/descriptor.js'
import type { Hex } from '../../src/protocol/hex.js'
import { readProblem } from '../../src/protocol/problem.js'
import { parseReceipt, type Receipt } from '../../src/protocol/receipt.js'
import { parseSessionRequest, type SessionRequest } from '../../src/protocol/session-request.js'
import type { LocalChain } from '../../src/sandbox/chain/start-chain.js'
import { CODE_ANSWERS, isGatewayCode } from '../../src/sandbox/gateway/refusal.js'
import type { Sandbox } from '../../src/sandbox/index.js'
import { signOpen, signTopUp, signVoucher } from '../../src/tempo/index.js'

export const PATH = '/v1/mpp/chat/completions'

/** A chat request that costs exactly `tokens` times the price: the prompt is 4 tokens, the model writes the rest. */
export function chatCosting(tokens: number): string {
  return JSON.stringify({
    model: 'sandbox-verbose',
    messages: [{ role: 'user', content: 'Hi' }],
    max_tokens: tokens - 4,
  })
}

export interface GatewayAnswer {
  readonly status: number
  readonly code: string | undefined
  readonly problem: string | undefined
  readonly challenge: Challenge | undefined
  readonly receipt: Receipt | undefined
  readonly headers: Headers
  readonly text: string
}

export interface Channel {
  readonly descriptor: ChannelDescriptor
  readonly channelId: Hex
}

export class Payer {
  constructor(
    readonly sandbox: Sandbox,
    readonly chain: LocalChain,
    readonly account: LocalAccount,
  ) {}

  async send(body: string | undefined, headers: Record<string, string> = {}): Promise<GatewayAnswer> {
    const response = await fetch(this.sandbox.url + PATH, {
      method: 'POST',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    const problem = readProblem({ contentType: response.headers.get('content-type'), body: text })
    const challenges = parseChallenges(response.headers.get('www-authenticate'))
    const receipt = parseReceipt(response.headers.get('payment-receipt'))
    return {
      status: response.status,
      code: problem.code,
      problem: problem.problem,
      challenge: challenges.ok ? challenges.value.challenges[0] : undefined,
      receipt: receipt.ok ? receipt.value : undefined,
      headers: response.headers,
      text,
    }
  }

  /** A fresh challenge for this body. */
  async challenge(body?: string): Promise<{ challenge: Challenge; request: SessionRequest }> {
    const { challenge } = await this.send(body)
    if (challenge === undefined) throw new Error('the gateway gave no challenge')
    const request = parseSessionRequest(challenge)
    if (!request.ok) throw new Error(request.detail)
    return { challenge, request: request.value }
  }

  credential(challenge: Challenge, payload: SessionPayload, source?: string): string {
    return formatCredential({
      challenge,
      source: source ?? formatSource(this.sandbox.chainId, this.account.address),
      payload,
    })
  }

  async openPayload(
    request: SessionRequest,
    terms: { deposit: bigint; cumulative: bigint; bend?: Partial<Parameters<typeof signOpen>[1]> },
  ): Promise<SessionPayload & { action: 'open' }> {
    const { account } = this
    const open = await signOpen(this.chain.client(), {
      account,
      payee: request.recipient,
      operator: request.operator ?? '0x0000000000000000000000000000000000000000',
      token: request.currency,
      deposit: terms.deposit,
      authorizedSigner: account.address,
      chainId: request.chainId,
      escrow: request.escrowContract,
      ...terms.bend,
    })
    const { channelId, descriptor, transaction } = open
    return {
      action: 'open',
      type: 'transaction',
      channelId,
      transaction,
      descriptor,
      cumulativeAmount: terms.cumulative.toString(),
      signature: await this.sign(channelId, terms.cumulative, request),
      authorizedSigner: descriptor.authorizedSigner,
    }
  }

  async voucherPayload(
    channel: Channel,
    cumulative: bigint,
    request: SessionRequest,
    action: 'voucher' | 'close' = 'voucher',
  ): Promise<SessionPayload> {
    const { channelId, descriptor } = channel
    const signature = await this.sign(channelId, cumulative, request)
    return { action, channelId, descriptor, cumulativeAmount: cumulative.toString(), signature }
  }

  async topUpPayload(channel: Channel, additionalDeposit: bigint, request: SessionRequest): Promise<SessionPayload> {
    const { channelId, descriptor } = channel
    const { account } = this
    const { transaction } = await signTopUp(this.chain.client(), {
      account,
      descriptor,
      additionalDeposit,
      chainId: request.chainId,
      escrow: request.escrowContract,
    })
    return {
      action: 'topUp',
      type: 'transaction',
      channelId,
      transaction,
      descriptor,
      additionalDeposit: additionalDeposit.toString(),
    }
  }

  /** Unpaid send, open, paid send. */
  async open(body: string, terms: { deposit: bigint; cumulative: bigint }) {
    const { challenge, request } = await this.challenge(body)
    const payload = await this.openPayload(request, terms)
    const answer = await this.send(body, { authorization: this.credential(challenge, payload) })
    return { answer, channel: { channelId: payload.channelId, descriptor: payload.descriptor }, request }
  }

  /** Unpaid send, then a paid one with the voucher. */
  async pay(channel: Channel, body: string, cumulative: bigint, headers: Record<string, string> = {}) {
    const { challenge, request } = await this.challenge(body)
    const payload = await this.voucherPayload(channel, cumulative, request)
    return this.send(body, { ...headers, authorization: this.credential(challenge, payload) })
  }

  async topUp(channel: Channel, additionalDeposit: bigint): Promise<GatewayAnswer> {
    const { challenge, request } = await this.challenge()
    const payload = await this.topUpPayload(channel, additionalDeposit, request)
    return this.send(undefined, { authorization: this.credential(challenge, payload) })
  }

  async close(channel: Channel, cumulative: bigint): Promise<GatewayAnswer> {
    const { challenge, request } = await this.challenge()
    const payload = await this.voucherPayload(channel, cumulative, request, 'close')
    return this.send(undefined, { authorization: this.credential(challenge, payload) })
  }

  private sign(channelId: Hex, cumulative: bigint, request: SessionRequest): Promise<Hex> {
    return signVoucher(this.account, {
      channelId,
      cumulative,
      chainId: request.chainId,
      escrow: request.escrowContract,
    })
  }
}

/** A challenge with one parameter changed. */
export function bent(challenge: Challenge, change: Partial<Challenge>): Challenge {
  return { ...challenge, ...change }
}

/** A credential whose JSON is whatever the test says. */
export function rawCredential(value: unknown): string {
  return `Payment ${encodeBase64url(JSON.stringify(value))}`
}

/** Every refusal has the status, the envelope and, where it helps, the fresh challenge that its code calls for. */
export function expectCode(answer: GatewayAnswer, code: string): void {
  if (!isGatewayCode(code)) throw new Error(`${code} is no code`)
  expect(answer.code).toBe(code)
  expect(answer.status).toBe(CODE_ANSWERS[code].status)
  expect(answer.challenge !== undefined).toBe(CODE_ANSWERS[code].challenge)
  expect(answer.receipt).toBeUndefined()
  expect(JSON.parse(answer.text)).toMatchObject({
    error: { code, type: 'mpp_error' },
    request_id: answer.headers.get('x-request-id'),
  })
}
