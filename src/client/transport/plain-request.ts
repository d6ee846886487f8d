// Which requests ask for nothing but what is done here; all others go by fetch, which does more, or refuses them.
// Must never let a request through that fetch would refuse.

import { KNOWN_CODINGS } from './decoding.js'
import type { Outgoing } from './transport.js'

/** What may be the name of a method at all. */
const METHOD = /^[\w!#$%&'*+.^`|~-]+$/
/** Methods that fetch refuses. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Ports of other protocols that fetch refuses (Fetch standard, 2.9); those below 1024 are most of them. */
const FIRST_UNRESERVED_PORT = 1024
const REFUSED_PORTS: ReadonlySet<string> = new Set(
  '1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080'.split(' '),
)

/** Whether fetch sends a method of this name. */
export function isSendable(method: string): boolean {
  return METHOD.test(method) && !REFUSED_METHODS.has(method.toUpperCase())
}

/** Whether a request asks for nothing but what is done here. */
export function isPlain({ url, method, headers, body, options }: Outgoing): boolean {
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '')
    return false
  if (mayBeRefused(url.port)) return false
  if (!isSendable(method)) return false
  if (body !== undefined && (method === 'GET' || method === 'HEAD')) return false
  if (!asksForKnownCodings(headers.get('accept-encoding'))) return false
  // `duplex` is about bodies that are streams, and none is.
  return Object.entries(options).every(([name, value]) => value === undefined || name === 'duplex')
}

/** Whether fetch has to be asked about a port; the default port of a protocol is not written in its URLs. */
function mayBeRefused(port: string): boolean {
  return port !== '' && (Number(port) < FIRST_UNRESERVED_PORT || REFUSED_PORTS.has(port))
}

/** What the caller asks the server for may come: a newer fetch undoes more codings than are known here. */
function asksForKnownCodings(acceptEncoding: string | null): boolean {
  if (acceptEncoding === null) return true
  const names = acceptEncoding.toLowerCase().split(',')
  return names.every((entry) => {
    const name = entry.replace(/;.*/s, '').trim()
    return name === '' || name === 'identity' || KNOWN_CODINGS.has(name)
  })
}
