// What a request on an account-owned route remembers, which events may reach it and what it ends with.
// Must never hold a Virtual Key, a prompt or an answer's text: those stay in the client, referred to by `requestRef`.

/** The states that the 'Ando errors page' gives to an app on an account-owned route. */
export const PRODUCT_STATES = [
  'reconnectRequired',
  'spendLimitReached',
  'policyBlocked',
  'rateLimited',
  'temporarilyUnavailable',
] as const

export type ProductState = (typeof PRODUCT_STATES)[number]

/** Why a request ended without an answer to use. */
export type ProviderRouteProblem = ProductState | 'requestRejected' | 'answerUnreadable' | 'cancelled'

/** What the request is for: a completion, or the list of models alone. */
export type ProviderRoutePurpose = 'chat' | 'models'

/** How a failing server is given time. Waits double from `baseMs` and never pass `capMs`. */
export interface RetryLimits {
  readonly maxRetries: number
  readonly baseMs: number
  readonly capMs: number
}

export interface ProviderRouteInput {
  /** Where the client keeps the prompt. */
  readonly requestRef: string
  /** Default: `chat`. */
  readonly purpose?: ProviderRoutePurpose
  /** Whether somebody will answer the product states with events. Default: true. When false they end the flow. */
  readonly interactive?: boolean
  readonly retry?: Partial<RetryLimits>
}

/** JSON only. */
export interface ProviderRouteContext {
  readonly requestRef: string
  readonly purpose: ProviderRoutePurpose
  readonly interactive: boolean
  readonly limits: RetryLimits
  /** Automatic retries since a person last said to go on. */
  readonly retries: number
  /** How long the next wait may take, and what the server asked for at least. */
  readonly waitMs: number
  readonly atLeastMs: number
  /** What is tried again after the wait. */
  readonly resume: 'requesting' | 'retestingConnection' | 'refreshingModels'
  /** Chosen by a person in place of what the prompt asked for. */
  readonly model: string | null
  readonly maxTokens: number | null
  /** What the key may use, once it was asked. */
  readonly models: readonly string[] | null
  readonly problem: ProviderRouteProblem | null
  readonly httpStatus: number | null
  /** Whether the newest send may have been carried out although no answer came. */
  readonly outcomeUnknown: boolean
  /** Of the newest answer, for support. */
  readonly requestId: string | null
  /** What the newest answer asked for, from when it came. */
  readonly retryAfterMs: number | null
}

/** Facts of an answer that are safe to show. */
export interface ProviderAnswerFacts {
  readonly httpStatus: number
  readonly requestId: string | null
  readonly retryAfterMs: number | null
}

/** An answer's event is named after its HTTP status; see {@link answerEventType}. */
export type AnswerEventType = 'HTTP_2XX' | 'HTTP_401' | 'HTTP_402' | 'HTTP_403' | 'HTTP_429' | 'HTTP_5XX' | 'HTTP_OTHER'

/** What the effects report. */
export type ProviderRouteReport =
  | ({ readonly type: AnswerEventType } & ProviderAnswerFacts)
  /** `GET /v1/models` was answered with a list. */
  | ({ readonly type: 'MODELS_LISTED'; readonly models: readonly string[] } & ProviderAnswerFacts)
  /** An answer with 2xx came, and is no JSON or too large. */
  | ({ readonly type: 'ANSWER_UNREADABLE' } & ProviderAnswerFacts)
  /** There is no key that could be sent. */
  | { readonly type: 'KEY_UNAVAILABLE' }
  /** No connection was made: the request did not leave. */
  | { readonly type: 'CONNECTION_FAILED' }
  /** The request left and no whole answer came back in time: what the server did is unknown. */
  | { readonly type: 'ANSWER_LOST' }
  | { readonly type: 'WAITED' }

/** What a person, or the app for them, says. */
export type ProviderRouteDecision =
  | { readonly type: 'SUBMIT' }
  | { readonly type: 'RETRY' }
  /** The client has the new key already; it is not in the event. */
  | { readonly type: 'KEY_REPLACED' }
  | { readonly type: 'REFRESH_MODELS' }
  | { readonly type: 'MODEL_CHOSEN'; readonly model: string }
  | { readonly type: 'MAX_TOKENS_CHOSEN'; readonly maxTokens: number }
  | { readonly type: 'GIVE_UP' }
  | { readonly type: 'CANCEL' }

export type ProviderRouteEvent = ProviderRouteReport | ProviderRouteDecision

export interface ProviderRouteOutput {
  readonly status: 'succeeded' | 'failed' | 'cancelled'
  readonly requestRef: string
  /** The product state, or what else ended the request; null when it succeeded. */
  readonly state: ProviderRouteProblem | null
  /** What a person should do next; null when there is nothing to do. */
  readonly action: string | null
  readonly requestId: string | null
  readonly httpStatus: number | null
  /** Whether the very same request can succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** Whether a person may be offered to send the kept prompt again: not where it would be refused, or charged, again. */
  readonly mayRepeat: boolean
  readonly retryAfterMs?: number
}

/** Input of the effects that talk to the server. */
export interface SendInput {
  readonly requestRef: string
  readonly model: string | null
  readonly maxTokens: number | null
}

/** Input of the waiting effect: it takes from `atLeastMs` up to `waitMs`, as its jitter says. */
export interface WaitInput {
  readonly waitMs: number
  readonly atLeastMs: number
}

const NAMED_STATUSES = new Map<number, AnswerEventType>([
  [401, 'HTTP_401'],
  [402, 'HTTP_402'],
  [403, 'HTTP_403'],
  [429, 'HTTP_429'],
])

/** The name under which an answer with this HTTP status reaches the machine. */
export function answerEventType(httpStatus: number): AnswerEventType {
  if (httpStatus >= 200 && httpStatus <= 299) return 'HTTP_2XX'
  if (httpStatus >= 500 && httpStatus <= 599) return 'HTTP_5XX'
  return NAMED_STATUSES.get(httpStatus) ?? 'HTTP_OTHER'
}
