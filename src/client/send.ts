// Sends a flow's captured bytes over HTTP, with or without a credential.
// Must never send a credential anywhere but to the origin that was challenged, nor follow a redirect with one.

import type { EffectInput } from '../../machines/index.js'
import { credentialHeaderOf } from '../protocol/index.js'
import { type Answer, readAnswer } from './answer.js'
import type { EffectScope, Stoppable } from './effects/effect.js'
import type { FlowResources } from './ring.js'
import type { Exchange, HeaderFields, Incoming, Outgoing, Transport } from './transport/index.js'

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
  /** What the credential authorises, in base units. */
  readonly cumulative?: string
  /** Management requests (top-up, close) go to the same URL without the body. */
  readonly withBody: boolean
  readonly timeoutMs: number
}

/** Errors of a connection that was never made. */
const NEVER_LEFT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_HAS_EXPIRED',
])

function connectionCode(error: unknown): string | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code
    if (at instanceof AggregateError && at.errors[0] instanceof Error) return connectionCode(at.errors[0])
  }
  return null
}

/** What describes the body that a management request goes without, and the key of the request that is paid for. */
const OF_THE_REQUEST = ['content-type', 'content-encoding', 'content-length', 'content-language', 'idempotency-key']

function headersFor(flow: FlowResources, { credential, withBody }: SendOptions): HeaderFields {
  const { headers } = flow.request
  const own = withBody ? headers : headers.without(...OF_THE_REQUEST)
  return credential === undefined ? own : own.with(headerOfCredential(flow), credential)
}

function headerOfCredential({ challenge }: FlowResources): string {
  const header = challenge === null ? null : credentialHeaderOf(challenge)
  if (header?.ok !== true) throw new Error('no challenge was accepted that a credential could answer')
  return header.value
}

/**
 * Sends once and reads the answer as far as payment goes. The timeout, and the state being left, reach until the answer's headers
 * (and an error's body) are read; the body of a paid answer belongs to the caller alone.
 *
 * @throws SendFailure when there is no answer.
 */
export async function send(scope: EffectScope<EffectInput>, options: SendOptions): Promise<Answer> {
  const { flow, ring } = scope
  const captured = flow.request.body
  const body = captured instanceof Promise ? await captured : captured
  const sending = new Sending(options.timeoutMs)
  scope.stopOnLeave(sending)
  try {
    const incoming = await sending.begin(ring.transport, outgoing(flow, options, body))
    return await readAnswer(incoming, options.cumulative ?? null)
  } catch (error) {
    throw sending.failure(error)
  } finally {
    sending.end()
    scope.doneWith(sending)
  }
}

function outgoing(flow: FlowResources, options: SendOptions, body: Uint8Array<ArrayBuffer> | undefined): Outgoing {
  const { method, options: others, signal } = flow.request
  const headers = headersFor(flow, options)
  return options.withBody
    ? { url: flow.to.url, method, headers, body, options: others, signal }
    : { url: flow.to.url, method: 'POST', headers, body: undefined, options: others, signal }
}

/** One exchange and its timer. Stopped before it began, it never begins. */
class Sending implements Stoppable {
  readonly #timeoutMs: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #exchange: Exchange | null = null
  #stopped = false
  #late = false

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  begin(transport: Transport, request: Outgoing): Promise<Incoming> {
    if (this.#stopped) throw new SendFailure(false, 'cancelled before anything was sent')
    this.#timer = setTimeout(expire, this.#timeoutMs, this)
    this.#exchange = transport(request)
    return this.#exchange.answer
  }

  /** The state was left. */
  stop(): void {
    this.#stopped = true
    this.#exchange?.abort()
  }

  /** The answer is there, or none will be. */
  end(): void {
    clearTimeout(this.#timer)
  }

  failure(error: unknown): SendFailure {
    if (error instanceof SendFailure) return error
    const code = connectionCode(error)
    const reason = this.#late ? `no answer within ${this.#timeoutMs} ms` : `no answer (${code ?? 'connection failed'})`
    return new SendFailure(code === null || !NEVER_LEFT.has(code), reason)
  }

  expire(): void {
    this.#late = true
    this.#exchange?.abort()
  }
}

/** Not a closure for each of them. */
function expire(sending: Sending): void {
  sending.expire()
}
