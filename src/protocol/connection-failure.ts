// Whether a request that got no answer can have reached its server, read from the error that its connection ended with.
// Must never say no for an error of a connection that was made: what was sent over it may have been carried out.

/** What the system was asked for before there was a connection. The same codes come from connections that are in use. */
const BEFORE_A_CONNECTION: ReadonlySet<string> = new Set(['connect', 'getaddrinfo'])

/** Handshakes that did not come to an end: nothing of a request goes out before that. */
const OF_A_HANDSHAKE: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_HAS_EXPIRED',
])

/** The error that has a code: the one that was thrown, or what it was caused by. */
function coded(error: unknown): (Error & { readonly code: string }) | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (hasCode(at)) return at
  return null
}

function hasCode(error: Error): error is Error & { readonly code: string } {
  return 'code' in error && typeof error.code === 'string'
}

/** The code of a failed connection, such as `ECONNREFUSED`; null when it has none. */
export function connectionCode(error: unknown): string | null {
  return coded(error)?.code ?? null
}

/**
 * Whether no connection was made, so that nothing of the request can have arrived. Where the error does not say so, it may
 * have: `EHOSTUNREACH` on `read` is a connection that broke while it was in use, and on `connect` one that never was.
 */
export function neverConnected(error: unknown): boolean {
  const failure = coded(error)
  if (failure === null) return false
  // One for each address that was tried.
  if (failure instanceof AggregateError) return failure.errors.length > 0 && failure.errors.every(neverConnected)
  if (OF_A_HANDSHAKE.has(failure.code)) return true
  return 'syscall' in failure && typeof failure.syscall === 'string' && BEFORE_A_CONNECTION.has(failure.syscall)
}
