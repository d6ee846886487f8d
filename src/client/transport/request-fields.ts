// What goes into the head of a request: where to, and the fields as fetch would send them.
// Must never send a field that says something else than the request is.

import { acceptedCodings } from './decoding.js'
import type { HeaderFields } from './header-fields.js'
import type { Outgoing } from './transport.js'

/** The path and query. A `?` with nothing behind it is part of it, which `URL.search` does not tell. */
export function targetOf({ href, origin }: Readonly<URL>): string {
  const hash = href.indexOf('#')
  return href.slice(origin.length, hash < 0 ? undefined : hash)
}

/** Fields that fetch adds where the caller did not say otherwise. */
const ADDED: readonly (readonly [string, string])[] = [
  ['accept', '*/*'],
  ['accept-language', '*'],
  ['user-agent', 'node'],
]

/** With one of these the caller does its own caching, and fetch asks every cache on the way to stand aside. */
const CONDITIONS = ['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range']
const PAST_CACHES: readonly (readonly [string, string])[] = [
  ['pragma', 'no-cache'],
  ['cache-control', 'no-cache'],
]

/** Fields that are not the caller's to say: the one follows from the URL, the other from the body. */
const NOT_SENT = ['host', 'content-length', 'sec-fetch-mode', 'accept-encoding'] as const

/** The header fields of a request: names and values take turns. */
export function fieldsOf({ headers, url }: Outgoing): string[] {
  const fields = headers.without(...NOT_SENT).flat()
  for (const [name, value] of ADDED) if (!headers.has(name)) fields.push(name, value)
  if (CONDITIONS.some((name) => headers.has(name))) {
    for (const [name, value] of PAST_CACHES) if (!headers.has(name)) fields.push(name, value)
  }
  fields.push('sec-fetch-mode', 'cors', 'accept-encoding', acceptEncodingOf(headers, url))
  return fields
}

function acceptEncodingOf(headers: HeaderFields, url: Readonly<URL>): string {
  const own = headers.get('accept-encoding')
  // A part of an encoded body could not be decoded.
  if (headers.has('range')) return own === null ? 'identity' : `${own}, identity`
  return own ?? acceptedCodings(url.protocol)
}
