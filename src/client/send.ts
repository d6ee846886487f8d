// Sends a flow's captured bytes over HTTP, with or without a credential.
// Must never send a credential anywhere but to the origin that was challenged, nor follow a redirect with one.

import type { EffectInput } from '../../machines/index.js'
import { type Challenge, connectionCode, credentialHeaderOf, neverConnected } from '../protocol/index.js'
import { type Answer, readAnswer } from './answer.js'
import { RequestInvalid } from './capture.js'
import type { EffectScope, Stoppable } from './effects/effect.js'
import { secretsOf } from './flow-secrets.js'
import type { FlowState } from './flow-state.js'
import {
  aborted,
  type Exchange,
  type HeaderFields,
  type Incoming,
  type Outgoing,
  type Transport,
} from './transport/index.js'

/** A request that got no answer. `left` is false only when it provably never reached the server. */
export class SendFailure extends Error {
  override readonly name = 'SendFailure'
  constructor(
    readonly left: boolean,
    message: string,
  ) {
    super(message)
  }
}

export interface SendOptions {
  /** The credential, as the value of the header that its challenge names; absent for an unpaid send. */
  readonly credential?: string
  /** The challenge that the credential answers. Default: the one that the flow has accepted. */
  readonly challenge?: Challenge
  /** What the credential authorises, in base units. */
  readonly cumulative?: string
  /** Without its body, a request about the channel (top-up, close) goes to the same URI, query included. */
  readonly withBody: boolean
  /** Without the body, the method. Default: what the flow has found out about its resource. */
  readonly method?: string
  /** It is about the channel though it has the body, because its challenge is bound to that. */
  readonly aboutChannel?: boolean
  /** Whether a receipt says that this send was charged: then nothing in the body of its answer is waited for. */
  readonly isCharged?: (receipt: string) => Promise<boolean>
  readonly timeoutMs: number
}

/** What describes the body that a management request goes without. */
const OF_THE_BODY = ['content-type', 'content-encoding', 'content-length', 'content-language']

/** The key of the request that is paid for: what is answered about the channel is not its answer. */
const KEY_OF_THE_REQUEST = 'idempotency-key'

function headersFor(flow: FlowState, options: SendOptions): HeaderFields {
  const { credential, challenge = flow.challenge, withBody, aboutChannel = !withBody } = options
  const { headers } = flow.request
  const described = withBody ? headers : headers.without(...OF_THE_BODY)
  const own = aboutChannel ? described.without(KEY_OF_THE_REQUEST) : described
  return credential === undefined ? own : own.with(headerOfCredential(challenge), credential)
}

function headerOfCredential(challenge: Challenge | null): string {
  const header = challenge === null ? null : credentialHeaderOf(challenge)
  if (header?.ok !== true) throw new Error('no challenge was accepted that a credential could answer')
  return header.value
}

/**
 * Sends once and reads the answer as far as payment goes. The timeout, and the state being left, reach until the answer's headers
 * (and an error's body) are read, whether the transport minds them or not; the body of a paid answer belongs to the caller
 * alone.
 *
 * @throws SendFailure when there is no answer.
 */
export async function send(scope: EffectScope<EffectInput>, options: SendOptions): Promise<Answer> {
  const sending = new Sending(options.timeoutMs)
  scope.stopOnLeave(sending)
  try {
    return await sending.race(exchange(scope, options, sending))
  } catch (error) {
    throw sending.failure(error)
  } finally {
    sending.end()
    scope.doneWith(sending)
  }
}

async function exchange(
  { flow, runtime }: EffectScope<EffectInput>,
  options: SendOptions,
  sending: Sending,
): Promise<Answer> {
  const captured = flow.request.body
  const body = captured instanceof Promise ? await captured : captured
  const incoming = await sending.begin(runtime.transport, outgoing(flow, options, body))
  return readAnswer(incoming, {
    ...options,
    secretsOf: (offered) => secretsOf(runtime, flow, body, offered),
  })
}

function outgoing(flow: FlowState, options: SendOptions, body: Uint8Array<ArrayBuffer> | undefined): Outgoing {
  const { method, options: others, signal } = flow.request
  const headers = headersFor(flow, options)
  return options.withBody
    ? { url: flow.to.url, method, headers, body, options: others, signal }
    : { url: flow.to.url, method: options.method ?? flow.bodyless, headers, body: undefined, options: others, signal }
}

/** One exchange and its timer. Stopped before it began, it never begins. */
class Sending implements Stoppable {
  readonly #timeoutMs: number
  readonly #timer: ReturnType<typeof setTimeout>
  #exchange: Exchange | null = null
  #incoming: Incoming | null = null
  /** Ends the race without an answer. */
  #giveUp: ((error: unknown) => void) | null = null
  #stopped = false
  #late = false

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#timer = setTimeout(expire, timeoutMs, this)
  }

  /** What `work` comes to, unless the time is up before, or the state left: a transport may not mind being aborted. */
  race(work: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject
      work.then(resolve, reject)
    })
  }

  async begin(transport: Transport, request: Outgoing): Promise<Incoming> {
    if (this.#stopped) throw new SendFailure(false, 'cancelled before anything was sent')
    this.#exchange = transport(request)
    this.#incoming = await this.#exchange.answer
    // Too late for anybody to read it.
    if (this.#stopped) await this.#incoming.discard()
    return this.#incoming
  }

  /** The state was left, or the time is up. */
  stop(): void {
    this.#stopped = true
    const begun = this.#exchange !== null
    this.#exchange?.abort()
    this.#giveUp?.(begun ? aborted() : new SendFailure(false, 'the body of the request did not come in time'))
    this.#incoming?.discard().catch(() => undefined)
  }

  /** The answer is there, or none will be. */
  end(): void {
    clearTimeout(this.#timer)
  }

  /** What a request that broke is told as: its own body may have been the reason. */
  failure(error: unknown): SendFailure | RequestInvalid {
    if (error instanceof SendFailure || error instanceof RequestInvalid) return error
    const code = connectionCode(error)
    const reason = this.#late ? `no answer within ${this.#timeoutMs} ms` : `no answer (${code ?? 'connection failed'})`
    return new SendFailure(!neverConnected(error), reason)
  }

  expire(): void {
    this.#late = true
    this.stop()
  }
}

/** Not a closure for each of them. */
function expire(sending: Sending): void {
  sending.expire()
}
