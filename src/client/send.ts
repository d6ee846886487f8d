// Sends a flow's captured bytes over HTTP, with or without a credential.
// Must never send a credential anywhere but to the origin that was challenged, nor follow a redirect with one.

import { credentialHeaderOf } from '../protocol/index.js'
import { type Answer, readAnswer } from './answer.js'
import type { OnLeave } from './effects/effect.js'
import type { FlowResources, Ring } from './ring.js'
import type { Exchange } from './transport/index.js'

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
  readonly onLeave: OnLeave
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

function headersFor(flow: FlowResources, { credential, withBody }: SendOptions): Headers {
  const headers = new Headers(flow.request.headers)
  if (credential !== undefined) headers.set(headerOfCredential(flow), credential)
  if (!withBody) {
    for (const name of ['content-type', 'content-encoding', 'content-length', 'content-language']) headers.delete(name)
    // The key belongs to the request that is paid for; a management request is another operation.
    headers.delete('idempotency-key')
  }
  return headers
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
export async function send(ring: Ring, flow: FlowResources, options: SendOptions): Promise<Answer> {
  const { onLeave, timeoutMs, withBody } = options
  const { request, url } = flow
  const body = withBody ? await request.body() : undefined
  let exchange: Exchange | null = null
  let left = false
  let timedOut = false
  const stay = onLeave(() => {
    left = true
    exchange?.abort()
  })
  if (left) throw new SendFailure(false, 'cancelled before anything was sent')
  const timer = setTimeout(() => {
    timedOut = true
    exchange?.abort()
  }, timeoutMs)
  try {
    exchange = ring.transport({
      url,
      method: withBody ? request.method : 'POST',
      headers: headersFor(flow, options),
      body,
      options: request.options,
      signal: request.signal,
    })
    return await readAnswer(await exchange.answer, options.cumulative ?? null)
  } catch (error) {
    const code = connectionCode(error)
    const reason = timedOut ? `no answer within ${timeoutMs} ms` : `no answer (${code ?? 'connection failed'})`
    throw new SendFailure(code === null || !NEVER_LEFT.has(code), reason)
  } finally {
    clearTimeout(timer)
    stay()
  }
}
