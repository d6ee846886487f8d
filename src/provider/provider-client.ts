// The client for account-owned routes: lists models and sends chat requests with a Virtual Key's budget.
// Must never throw for what a server does, and never send the key anywhere but to the configured origin.
import { type Actor, type ActorOptions, createActor, type InspectionEvent, toPromise } from 'xstate'
import * as z from 'zod'
import { type TraceStep, traceInto } from '../../machines/index.js'
import { DEFAULT_RETRY_LIMITS, providerRouteMachine } from '../../machines/provider-route.machine.js'
import type {
  ProviderRouteOutput,
  ProviderRouteProblem,
  ProviderRoutePurpose,
  RetryLimits,
} from '../../machines/provider-route.types.js'
import { fn, hasMethods, httpUrl, optionsOf, readOptions, waitMs, wholeNumber } from '../options/index.js'
import { routesUnder } from './base-url.js'
import { createProviderEffects } from './effects.js'
import { type ChatBody, PromptVault, type ProviderResponse } from './prompt-vault.js'
import { KeyHolder, type VirtualKey } from './virtual-key.js'

export interface ProviderClientOptions {
  /** The gateway's address, with or without `/v1`. https, loopback apart. */
  readonly baseUrl: string
  readonly virtualKey: VirtualKey
  readonly fetch?: typeof globalThis.fetch
  /** An XState inspector. It sees states and events, and no key, prompt or answer. */
  readonly inspect?: ActorOptions<typeof providerRouteMachine>['inspect']
  /** How a failing server is given time. Default: 3 retries, from 250 ms, never more than 8 s at once. */
  readonly retry?: Partial<RetryLimits>
  /** For one exchange, in milliseconds. Default: 120 000. */
  readonly timeoutMs?: number
  /** Default: 10 MiB. */
  readonly maxResponseBytes?: number
  /** The jitter's dice, from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number
}

type Inspect = NonNullable<ProviderClientOptions['inspect']>

const providerOptions = optionsOf({
  baseUrl: httpUrl,
  virtualKey: z.custom<VirtualKey>((value) => typeof value === 'string' || typeof value === 'function', {
    error: 'a Virtual Key, or a function that gives one',
  }),
  fetch: fn<typeof globalThis.fetch>('a fetch function').optional(),
  inspect: z
    .custom<Inspect>((value) => typeof value === 'function' || hasMethods(value, ['next']), {
      error: 'a function, or an observer with a function `next`',
    })
    .optional(),
  retry: optionsOf({
    maxRetries: wholeNumber(0).default(DEFAULT_RETRY_LIMITS.maxRetries),
    baseMs: waitMs(0).default(DEFAULT_RETRY_LIMITS.baseMs),
    capMs: waitMs(0).default(DEFAULT_RETRY_LIMITS.capMs),
  } satisfies Record<keyof RetryLimits, unknown>).optional(),
  timeoutMs: waitMs().optional(),
  maxResponseBytes: wholeNumber(1).optional(),
  random: fn<() => number>().optional(),
} satisfies Record<keyof ProviderClientOptions, unknown>)

export interface ProviderFailure {
  /** A product state of the 'Ando errors page', or `requestRejected`, `answerUnreadable`, `cancelled`. */
  readonly state: ProviderRouteProblem
  /** What a person should do next. */
  readonly action: string
  /** For support; safe to log. */
  readonly requestId?: string
  readonly httpStatus?: number
  /** Whether the very same request can succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly retryAfterMs?: number
}

interface Failed<TOutcome> {
  readonly status: 'failed'
  readonly response?: ProviderResponse
  readonly failure: ProviderFailure
  readonly trace: readonly TraceStep[]
  /** Sends the kept prompt again, with the key as it is then. Absent when the same request cannot be accepted. */
  readonly retry?: () => Promise<TOutcome>
}

export type ChatOutcome =
  | { readonly status: 'succeeded'; readonly response: ProviderResponse; readonly trace: readonly TraceStep[] }
  | Failed<ChatOutcome>

export type ModelsOutcome =
  | {
      readonly status: 'succeeded'
      /** The ids of the models this key may use. */
      readonly models: readonly string[]
      readonly response: ProviderResponse
      readonly trace: readonly TraceStep[]
    }
  | Failed<ModelsOutcome>

export type ProviderRouteActor = Actor<typeof providerRouteMachine>

export interface ProviderClient {
  /** `GET /v1/models`. */
  models(options?: { readonly signal?: AbortSignal }): Promise<ModelsOutcome>
  /**
   * `POST /v1/chat/completions`. Resolves whatever the server does.
   *
   * @throws TypeError when the body is no JSON or asks for a stream.
   */
  chat(body: ChatBody, options?: { readonly signal?: AbortSignal }): Promise<ChatOutcome>
  /**
   * The flow itself, not started, for an app in which a person answers the product states: start it, send `SUBMIT`,
   * watch it, and send what the person decides (`RETRY`, `KEY_REPLACED`, `MODEL_CHOSEN`, `GIVE_UP`, …).
   *
   * @throws TypeError when the body is no JSON or asks for a stream.
   */
  createFlow(body: ChatBody): ProviderRouteActor
  /** What a flow of {@link ProviderClient.createFlow} was last answered, and the way it went so far. */
  resultOf(flow: ProviderRouteActor): { readonly response?: ProviderResponse; readonly trace: readonly TraceStep[] }
  /**
   * Uses another key from now on. Flows that wait are not told: send them `KEY_REPLACED` where the person wants their
   * prompt sent again.
   */
  replaceKey(key: VirtualKey): void
}

interface Flow {
  readonly actor: ProviderRouteActor
  readonly vault: PromptVault
  readonly trace: TraceStep[]
}

/**
 * Creates a client for the account-owned routes of a gateway, which are paid for by a Virtual Key's budget.
 *
 * @throws OptionError naming the option that cannot be read: `baseUrl` must be an https address (loopback may be http).
 *
 * @example
 * ```ts
 * import { createProviderClient } from 'mpp-flow/provider'
 *
 * export async function ask(baseUrl: string, virtualKey: () => Promise<string>, prompt: string) {
 *   const provider = createProviderClient({ baseUrl, virtualKey })
 *   const outcome = await provider.chat({ model: 'small', messages: [{ role: 'user', content: prompt }] })
 *   if (outcome.status === 'failed') throw new Error(outcome.failure.action)
 *   return outcome.response
 * }
 * ```
 */
export function createProviderClient(given: ProviderClientOptions): ProviderClient {
  const options = readOptions(providerOptions, given)
  const routes = routesUnder(options.baseUrl)
  const keys = new KeyHolder(options.virtualKey)
  const flows = new WeakMap<ProviderRouteActor, Flow>()

  function createRoute(vault: PromptVault, purpose: ProviderRoutePurpose, interactive: boolean): Flow {
    const trace: TraceStep[] = []
    const note = traceInto(trace)
    const actors = createProviderEffects({
      routes,
      keys,
      vault,
      fetch: options.fetch ?? globalThis.fetch,
      timeoutMs: options.timeoutMs ?? 120_000,
      maxResponseBytes: options.maxResponseBytes ?? 10 * 1024 * 1024,
      random: options.random ?? Math.random,
    })
    const actor = createActor(providerRouteMachine.provide({ actors }), {
      input: {
        requestRef: vault.ref,
        purpose,
        interactive,
        ...(options.retry === undefined ? {} : { retry: options.retry }),
      },
      inspect: (inspection: InspectionEvent) => {
        note(inspection)
        if (typeof options.inspect === 'function') options.inspect(inspection)
        else options.inspect?.next?.(inspection)
      },
    })
    const flow: Flow = { actor, vault, trace }
    flows.set(actor, flow)
    return flow
  }

  async function finish({ actor }: Flow, signal: AbortSignal | undefined): Promise<ProviderRouteOutput> {
    const cancel = () => actor.send({ type: 'CANCEL' })
    signal?.addEventListener('abort', cancel, { once: true })
    actor.start()
    if (signal?.aborted === true) cancel()
    else actor.send({ type: 'SUBMIT' })
    try {
      return await toPromise(actor)
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  async function chat(vault: PromptVault, signal?: AbortSignal): Promise<ChatOutcome> {
    const flow = createRoute(vault, 'chat', false)
    const output = await finish(flow, signal)
    const { response } = vault
    if (output.status === 'succeeded' && response !== undefined)
      return { status: 'succeeded', response, trace: flow.trace }
    return failed(flow, output, () => chat(vault.again()))
  }

  async function models(signal?: AbortSignal): Promise<ModelsOutcome> {
    const flow = createRoute(PromptVault.empty(), 'models', false)
    const output = await finish(flow, signal)
    const { response } = flow.vault
    const list = flow.actor.getSnapshot().context.models
    if (output.status === 'succeeded' && response !== undefined && list !== null)
      return { status: 'succeeded', models: list, response, trace: flow.trace }
    return failed(flow, output, () => models())
  }

  return {
    models: ({ signal } = {}) => models(signal),
    chat: async (body, { signal } = {}) => chat(PromptVault.keeping(body), signal),
    createFlow: (body) => createRoute(PromptVault.keeping(body), 'chat', true).actor,
    resultOf: (actor) => {
      const flow = flows.get(actor)
      if (flow === undefined) throw new TypeError('this flow belongs to another client')
      const { response } = flow.vault
      return { trace: [...flow.trace], ...(response === undefined ? {} : { response }) }
    },
    replaceKey: (key) => keys.replace(key),
  }
}

function failed<TOutcome>(flow: Flow, output: ProviderRouteOutput, retry: () => Promise<TOutcome>): Failed<TOutcome> {
  const { state, action } = output
  if (state === null || action === null) throw new Error('a flow that failed names its state and action')
  const { response } = flow.vault
  return {
    status: 'failed',
    ...(response === undefined ? {} : { response }),
    failure: {
      state,
      action,
      ...(output.requestId === null ? {} : { requestId: output.requestId }),
      ...(output.httpStatus === null ? {} : { httpStatus: output.httpStatus }),
      retryable: output.retryable,
      ...(output.retryAfterMs === undefined ? {} : { retryAfterMs: output.retryAfterMs }),
    },
    trace: flow.trace,
    ...(output.mayRepeat ? { retry } : {}),
  }
}
