// The HTTP client that Node's fetch is made of: its shape, and where it is found.
// Must never be found where fetch was replaced: whoever patches fetch wants to see the requests.

/** What fetch does with every request goes through this, also what an application has set with `setGlobalDispatcher`. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: DispatchHandler): unknown
}

export interface DispatchOptions {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: readonly string[]
  readonly body: Uint8Array | null
  readonly headersTimeout: number
}

/** A name or a value as it came off the wire; several values, where a dispatcher has gathered them. */
export type RawField = Bytes | readonly Bytes[]
type Bytes = string | { toString(encoding: 'latin1'): string }

/** Version 1 of undici's handlers, which is what `undici.globalDispatcher.1` names. */
export interface DispatchHandler {
  onConnect(abort: (reason?: unknown) => void): void
  onHeaders(status: number, raw: readonly RawField[] | null, resume: () => void, statusText?: string): boolean
  onData(chunk: Uint8Array): boolean
  onComplete(): void
  onError(error: unknown): void
}

/** Undici's versioned name of it: another version of handlers has another number. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1')

function isDispatcher(value: unknown): value is Dispatcher {
  return typeof value === 'object' && value !== null && 'dispatch' in value && typeof value.dispatch === 'function'
}

/**
 * What Node's own fetch sends by; null when there is no such thing here, or when `fetch` is not Node's own: a patched fetch
 * (by a test, a tracer, a framework) is used.
 */
export function dispatcherBehind(fetch: unknown): Dispatcher | null {
  if (typeof fetch !== 'function' || !isNodesOwn(fetch)) return null
  const dispatcher: unknown = Reflect.get(globalThis, DISPATCHER)
  return isDispatcher(dispatcher) ? dispatcher : null
}

let lastSeen: { readonly fetch: object; readonly own: boolean } | null = null

/** Its source names the module that it hands over to; no wrapper's does. */
function isNodesOwn(fetch: object): boolean {
  if (lastSeen?.fetch !== fetch) {
    lastSeen = {
      fetch,
      own: Function.prototype.toString.call(fetch).includes("require('internal/deps/undici/undici')"),
    }
  }
  return lastSeen.own
}
