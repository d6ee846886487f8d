// What is known of a request without its secrets: what it is for, and which bytes it carried.
// Must never keep a header or a body.

import { parseCredential, sha256 } from '../../protocol/index.js'

/** What a request is for, by the credential it carries. */
export type SendKind = 'unpaid' | 'open' | 'voucher' | 'topUp' | 'close'

/** A request, without its secrets. */
export interface SeenSend {
  readonly kind: SendKind
  /** SHA-256 of the body in hex; empty for a management request, which has none. */
  readonly bodyDigest: string
}

/** What a request with these headers is for. */
export function sendKindOf(headers: Headers): SendKind {
  const credential = parseCredential(headers.get('authorization') ?? undefined)
  return credential.ok ? credential.value.payload.action : 'unpaid'
}

/** Looks at a request as `fetch` is given it. */
export async function lookAt(init: RequestInit | undefined): Promise<SeenSend> {
  const kind = sendKindOf(new Headers(init?.headers))
  const body = init?.body instanceof Uint8Array ? Uint8Array.from(init.body) : new Uint8Array()
  const management = kind === 'topUp' || kind === 'close'
  return { kind, bodyDigest: management ? '' : Buffer.from(await sha256(body)).toString('hex') }
}
