// The account-owned routes of the sandbox gateway: GET /v1/models and POST /v1/chat/completions, paid by a Virtual Key's budget.
// Must never accept a payment credential, and never put a key or prompt into an answer.
import { type ChatRequest, CREATED, complete, DEFAULT_MAX_TOKENS, MODELS, parseChatRequest } from './model.js'

/** What one Virtual Key may do. Absent members mean: no limit. */
export interface KeyPolicy {
  readonly revoked?: boolean
  /** Tokens the key may still use, prompt and completion together. */
  readonly budgetTokens?: number
  readonly models?: readonly string[]
  /** Chat requests the key may make in a window that starts with its first request. */
  readonly rate?: RateLimit
}

export interface RateLimit {
  readonly requests: number
  readonly windowSeconds: number
}

/** The keys a gateway starts with, one per answer a user can meet. They are worth nothing outside the sandbox. */
export interface VirtualKeys {
  readonly valid: string
  readonly revoked: string
  /** Its budget is zero; see {@link AccountRoutes.setBudget}. */
  readonly exhausted: string
  /** May use the first listed model alone. */
  readonly restricted: string
  /** May make one chat request per window. */
  readonly limited: string
}

export interface AccountRoutesOptions {
  /** More keys, or other policies for the ones in {@link VIRTUAL_KEYS}. */
  readonly keys?: Readonly<Record<string, KeyPolicy>>
  /** The rate of the key `limited`. Default: 1 request in 60 seconds. */
  readonly rate?: RateLimit
  /** Milliseconds since the epoch; the rate limiter's clock. */
  readonly now?: () => number
}

export interface AccountRequest {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly requestId: string
}

export type AccountPath = '/v1/models' | '/v1/chat/completions'

export interface AccountRoutes {
  readonly virtualKeys: VirtualKeys
  /** Answers a request for one of these routes; undefined when the path is not one of them. Never rejects. */
  handle(request: AccountRequest): Promise<Response | undefined>
  /** The next `times` requests fail with this 5xx status, before the key is looked at; on one path when it is given. */
  failNext(times: number, status: number, path?: AccountPath): void
  /** Sets what a key may still spend, in tokens. */
  setBudget(key: string, tokens: number): void
  /** Replaces a key's policy, or makes the key known. */
  setPolicy(key: string, policy: KeyPolicy): void
  /** Answers given so far, by `METHOD path status`. */
  counts(): Readonly<Record<string, number>>
}

export const VIRTUAL_KEYS: VirtualKeys = {
  valid: 'vk-sandbox-valid',
  revoked: 'vk-sandbox-revoked',
  exhausted: 'vk-sandbox-exhausted',
  restricted: 'vk-sandbox-restricted',
  limited: 'vk-sandbox-limited',
}

interface KeyRecord {
  policy: KeyPolicy
  remaining: number
  windowStart: number
  windowCount: number
}

interface Injection {
  left: number
  readonly status: number
  readonly path: AccountPath | undefined
}

/** Creates the routes with their own keys, budgets and rate limiter ('Ando errors page', account-owned provider routes). */
export function createAccountRoutes(options: AccountRoutesOptions = {}): AccountRoutes {
  const now = options.now ?? Date.now
  const keys = new Map<string, KeyRecord>()
  const injections: Injection[] = []
  const counts = new Map<string, number>()

  const setPolicy = (key: string, policy: KeyPolicy): void => {
    keys.set(key, {
      policy,
      remaining: policy.budgetTokens ?? Number.POSITIVE_INFINITY,
      windowStart: 0,
      windowCount: 0,
    })
  }
  setPolicy(VIRTUAL_KEYS.valid, {})
  setPolicy(VIRTUAL_KEYS.revoked, { revoked: true })
  setPolicy(VIRTUAL_KEYS.exhausted, { budgetTokens: 0 })
  setPolicy(VIRTUAL_KEYS.restricted, { models: MODELS.slice(0, 1).map(({ id }) => id) })
  setPolicy(VIRTUAL_KEYS.limited, { rate: options.rate ?? { requests: 1, windowSeconds: 60 } })
  for (const [key, policy] of Object.entries(options.keys ?? {})) setPolicy(key, policy)

  function handle(request: AccountRequest): Response | undefined {
    const modelId = /^\/v1\/models\/([^/]+)$/.exec(request.path)?.[1]
    const path = request.path === '/v1/chat/completions' ? request.path : '/v1/models'
    if (modelId === undefined && request.path !== path) return undefined
    const allowed = path === '/v1/models' ? 'GET' : 'POST'
    if (request.method !== allowed)
      return failure(request, 405, 'method_not_allowed', `Use ${allowed} on this route.`, { allow: allowed })
    const injected = injections.find((entry) => entry.left > 0 && (entry.path === undefined || entry.path === path))
    if (injected !== undefined) {
      injected.left -= 1
      return failure(request, injected.status, 'upstream_unavailable', 'The inference path failed. Try again later.')
    }
    const record = authenticate(request.headers.get('authorization'))
    if (record === undefined)
      return failure(request, 401, 'invalid_api_key', 'The Virtual Key is missing, unknown, expired or revoked.', {
        'www-authenticate': 'Bearer',
      })
    if (path === '/v1/chat/completions') return chat(request, record)
    const models = allowedModels(record)
    if (modelId === undefined) return answer(request, 200, { object: 'list', data: models })
    const model = models.find(({ id }) => id === modelId)
    return model === undefined
      ? failure(request, 404, 'model_not_found', 'There is no such model for this key.')
      : answer(request, 200, model)
  }

  function authenticate(authorization: string | null): KeyRecord | undefined {
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
    const record = key === undefined ? undefined : keys.get(key)
    return record === undefined || record.policy.revoked === true ? undefined : record
  }

  function chat(request: AccountRequest, record: KeyRecord): Response {
    const wait = takeTurn(record)
    if (wait > 0)
      return failure(request, 429, 'rate_limit_exceeded', 'This key makes requests too fast.', {
        'retry-after': String(Math.ceil(wait / 1000)),
      })
    const read = parseChatRequest(request.body)
    if (!read.ok) return failure(request, 400, read.reason, read.detail)
    if (read.value.stream)
      return failure(request, 400, 'streaming_unavailable', 'Streaming is not offered here. Send "stream": false.')
    if (record.policy.models !== undefined && !record.policy.models.includes(read.value.model))
      return failure(request, 403, 'model_not_allowed', 'This key may not use that model. See GET /v1/models.')
    if (!MODELS.some(({ id }) => id === read.value.model))
      return failure(request, 404, 'model_not_found', 'There is no such model. See GET /v1/models.')
    return run(request, record, read.value)
  }

  /** The most the request can use must be left; only what it did use is taken. Nothing else can run in between. */
  function run(request: AccountRequest, record: KeyRecord, read: ChatRequest): Response {
    if (record.remaining < read.promptTokens + (read.maxTokens ?? DEFAULT_MAX_TOKENS))
      return failure(request, 402, 'spend_limit_reached', 'What is left of the budget does not cover this request.')
    const completion = complete(read)
    record.remaining -= completion.promptTokens + completion.completionTokens
    return respond(request, 200, new TextDecoder().decode(completion.body))
  }

  /** Counts the request and says how many milliseconds too early it comes: 0 when it may run. */
  function takeTurn(record: KeyRecord): number {
    const { rate } = record.policy
    if (rate === undefined) return 0
    const time = now()
    if (time - record.windowStart >= rate.windowSeconds * 1000) {
      record.windowStart = time
      record.windowCount = 0
    }
    if (record.windowCount >= rate.requests) return record.windowStart + rate.windowSeconds * 1000 - time
    record.windowCount += 1
    return 0
  }

  function failure(request: AccountRequest, status: number, code: string, message: string, headers = {}): Response {
    return answer(
      request,
      status,
      { error: { message, type: ERROR_TYPES[status] ?? 'server_error', param: null, code } },
      headers,
    )
  }

  function answer(request: AccountRequest, status: number, body: object, headers: Record<string, string> = {}) {
    return respond(request, status, JSON.stringify(body), headers)
  }

  function respond(request: AccountRequest, status: number, body: string, headers: Record<string, string> = {}) {
    const name = `${request.method} ${request.path} ${status}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
    return new Response(body, {
      status,
      headers: { 'content-type': 'application/json', 'x-request-id': request.requestId, ...headers },
    })
  }

  return {
    virtualKeys: VIRTUAL_KEYS,
    handle: async (request) => handle(request),
    failNext: (times, status, path) => {
      if (!Number.isInteger(status) || status < 500 || status > 599) throw new RangeError('failNext takes a 5xx status')
      injections.push({ left: times, status, path })
    },
    setBudget: (key, tokens) => {
      const record = keys.get(key)
      if (record === undefined) throw new RangeError('setBudget: no such key')
      record.remaining = tokens
    },
    setPolicy,
    counts: () => Object.fromEntries(counts),
  }
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  404: 'invalid_request_error',
  405: 'invalid_request_error',
  429: 'rate_limit_error',
}

function allowedModels(record: KeyRecord) {
  return MODELS.filter(({ id }) => record.policy.models?.includes(id) ?? true).map(({ id }) => ({
    id,
    object: 'model',
    created: CREATED,
    owned_by: 'sandbox',
  }))
}
