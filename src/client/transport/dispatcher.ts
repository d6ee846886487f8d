// Undici's dispatcher, which Node's own fetch sends by: its shape, and when it may be used in the place of fetch.
// Must never be used where fetch was replaced: whoever patches fetch wants to see the requests.

import type { FetchInput } from './fetch-types.js'

/** What fetch does with every request goes through this, also what an application has set with `setGlobalDispatcher`. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: DispatchHandler): unknown
}

export interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: string[]
  readonly body: Uint8Array | null
  readonly headersTimeout: number
}

/** A name or a value as it came off the wire; several values, where a dispatcher has gathered them. */
export type RawField = Bytes | readonly Bytes[]
type Bytes = string | { toString(encoding: 'latin1'): string }

/** The handlers that every version of undici takes which Node 20 to 26 are made of. */
export interface DispatchHandler {
  onConnect(abort: (reason?: Error) => void): void
  onHeaders(status: number, raw: readonly RawField[] | null, resume: () => void, statusText?: string): boolean
  onData(chunk: Uint8Array): boolean
  onComplete(): void
  onError(error: unknown): void
}

const onNode = globalThis.process?.versions?.node !== undefined
const ownFetches = new WeakSet<object>()
const replacedFetches = new WeakSet<object>()

type GlobalDispatcher = (() => Dispatcher) | null
/** A promise while the package is being loaded. */
let globalDispatcher: GlobalDispatcher | Promise<GlobalDispatcher> | undefined

/**
 * What a fetch sends by; null where that is not known yet, or where this fetch is not Node's own. A promise where it is known
 * once undici is loaded.
 */
export function dispatcherBehind(fetch: object): Dispatcher | null | Promise<Dispatcher | null> {
  if (!ownFetches.has(fetch)) return null
  globalDispatcher ??= loadUndici()
  return globalDispatcher instanceof Promise
    ? globalDispatcher.then((get) => get?.() ?? null)
    : (globalDispatcher?.() ?? null)
}

/** Calls a fetch, and notes by its first request whether it is Node's own. */
export function fetchNoting(
  fetch: typeof globalThis.fetch,
  input: FetchInput,
  init: RequestInit = {},
): Promise<Response> {
  if (!onNode || ownFetches.has(fetch) || replacedFetches.has(fetch)) return fetch(input, init)
  const below = stackFrames().length
  const { method } = init
  let isOwn = false
  let isCalling = true
  // Whoever reads the method meanwhile stands on the stack above this function, and right above it stands what it called.
  const observed = Object.defineProperty({ ...init }, 'method', {
    enumerable: true,
    get: () => {
      if (isCalling) isOwn = isNodesFetch(stackFrames().at(-below))
      return method
    },
  })
  try {
    return fetch(input, observed)
  } finally {
    isCalling = false
    const noted = isOwn ? ownFetches : replacedFetches
    noted.add(fetch)
    // Loaded while this request is under way.
    if (isOwn) globalDispatcher ??= loadUndici()
  }
}

/** Node's modules have URLs of their own. A spy of Node's test runner has such a URL, too, but is no function `fetch`. */
function isNodesFetch(frame: string | undefined): boolean {
  return frame !== undefined && /^\s+at (?:async )?fetch \(node:/.test(frame)
}

/** All frames, the innermost first; none where they cannot be had. */
function stackFrames(): readonly string[] {
  try {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = Number.POSITIVE_INFINITY
    const error = new Error()
    Error.stackTraceLimit = limit
    const stack: unknown = error.stack
    return typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : []
  } catch {
    // Somebody has frozen or replaced what stacks are made with: fetch is used.
    return []
  }
}

/**
 * Loads the public package of undici. Its copies share one global dispatcher, that of Node's own among them. It is loaded
 * after fetch was used: before, it would put a dispatcher of its own in the place of Node's.
 */
async function loadUndici(): Promise<GlobalDispatcher> {
  // The npm package `undici` in Node; elsewhere no-undici.ts.
  const get = await import('#undici').then(
    ({ getGlobalDispatcher }): GlobalDispatcher => getGlobalDispatcher ?? null,
    // Left out of a bundle, or of an installation: fetch does the same.
    () => null,
  )
  globalDispatcher = get
  return get
}
