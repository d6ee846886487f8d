// One request on an account-owned (Virtual Key) route, from the send to an answer or to a state the app shows a person.
// Must never do I/O: effects are invoked by name and report with events; keys, prompts and answers never come in here.
import { assign, fromCallback, setup } from 'xstate'
import type { RecoveryMeta } from './leads-to.js'
import { outputOf } from './provider-route.advice.js'
import type {
  ProviderRouteContext,
  ProviderRouteEvent,
  ProviderRouteInput,
  ProviderRouteOutput,
  ProviderRouteProblem,
  RetryLimits,
  SendInput,
  WaitInput,
} from './provider-route.types.js'

export type {
  ProviderRouteContext,
  ProviderRouteEvent,
  ProviderRouteInput,
  ProviderRouteOutput,
} from './provider-route.types.js'

/** Three retries, after at most 250, 500 and 1000 ms; longer limits never wait more than 8 s at once. */
export const DEFAULT_RETRY_LIMITS: RetryLimits = { maxRetries: 3, baseMs: 250, capMs: 8000 }

/** An effect that nobody provided ends the flow with an error that says so, rather than a flow that hangs. */
function missingEffect<TInput>(name: string) {
  return fromCallback<ProviderRouteEvent, TInput>(() => {
    throw new Error(`providerRouteMachine needs the effect ${name}: use providerRouteMachine.provide({ actors })`)
  })
}

const sendInput = ({ context }: { context: ProviderRouteContext }): SendInput => ({
  requestRef: context.requestRef,
  model: context.model,
  maxTokens: context.maxTokens,
})

const waitInput = ({ context }: { context: ProviderRouteContext }): WaitInput => ({
  waitMs: context.waitMs,
  atLeastMs: context.atLeastMs,
})

const initialContext = ({ input }: { input: ProviderRouteInput }): ProviderRouteContext => ({
  requestRef: input.requestRef,
  purpose: input.purpose ?? 'chat',
  interactive: input.interactive ?? true,
  limits: { ...DEFAULT_RETRY_LIMITS, ...input.retry },
  retries: 0,
  waitMs: 0,
  atLeastMs: 0,
  resume: 'requesting',
  model: null,
  maxTokens: null,
  models: null,
  problem: null,
  httpStatus: null,
  outcomeUnknown: false,
  requestId: null,
  retryAfterMs: null,
})

const providerRoute = setup({
  types: {} as {
    context: ProviderRouteContext
    events: ProviderRouteEvent
    input: ProviderRouteInput
    output: ProviderRouteOutput
    meta: RecoveryMeta<'product-state'>
    tags: 'network' | 'waiting' | 'recovering' | 'final'
  },
  actors: {
    /** `POST /v1/chat/completions` with the kept prompt. */
    sendRequest: missingEffect<SendInput>('sendRequest'),
    /** `GET /v1/models`. */
    listModels: missingEffect<SendInput>('listModels'),
    wait: missingEffect<WaitInput>('wait'),
  },
  guards: {
    /** Nobody will answer a product state, so it ends the flow. */
    nobodyIsWaiting: ({ context }) => !context.interactive,
    onlyListsModels: ({ context }) => context.purpose === 'models',
    /** Retries are left, and the server does not ask for a longer wait than an automatic one may be. */
    canBackOff: ({ context, event }) =>
      context.retries < context.limits.maxRetries &&
      (event.type !== 'HTTP_5XX' || (event.retryAfterMs ?? 0) <= context.limits.capMs),
    wasRetesting: ({ context }) => context.resume === 'retestingConnection',
    wasRefreshing: ({ context }) => context.resume === 'refreshingModels',
    choosesModel: ({ context, event }) =>
      context.purpose === 'chat' && event.type === 'MODEL_CHOSEN' && event.model.length > 0,
    choosesMaxTokens: ({ context, event }) =>
      context.purpose === 'chat' &&
      event.type === 'MAX_TOKENS_CHOSEN' &&
      Number.isSafeInteger(event.maxTokens) &&
      event.maxTokens > 0,
  },
  actions: {
    noteAnswer: assign(({ event }) =>
      'httpStatus' in event
        ? {
            httpStatus: event.httpStatus,
            requestId: event.requestId,
            retryAfterMs: event.retryAfterMs,
            outcomeUnknown: false,
            problem: null,
          }
        : {},
    ),
    /** The request id stays: it belongs to the newest answer that did come. */
    noteNoAnswer: assign(({ context, event }) => ({
      httpStatus: null,
      retryAfterMs: null,
      outcomeUnknown: event.type === 'ANSWER_LOST' && context.resume === 'requesting',
      problem: null,
    })),
    noteModels: assign(({ event }) => (event.type === 'MODELS_LISTED' ? { models: event.models } : {})),
    noteModel: assign(({ event }) => (event.type === 'MODEL_CHOSEN' ? { model: event.model } : {})),
    noteMaxTokens: assign(({ event }) => (event.type === 'MAX_TOKENS_CHOSEN' ? { maxTokens: event.maxTokens } : {})),
    nameProblem: assign((_, params: { problem: ProviderRouteProblem }) => ({ problem: params.problem })),
    resumeAt: assign((_, params: { state: ProviderRouteContext['resume'] }) => ({ resume: params.state })),
    /** A person said to go on: automatic retries are counted anew. */
    startAfresh: assign({ retries: 0, problem: null }),
    scheduleRetry: assign(({ context, event }) => {
      const atLeastMs = event.type === 'HTTP_5XX' ? (event.retryAfterMs ?? 0) : 0
      const backoffMs = Math.min(context.limits.capMs, context.limits.baseMs * 2 ** context.retries)
      return { retries: context.retries + 1, atLeastMs, waitMs: Math.max(backoffMs, atLeastMs) }
    }),
  },
})

/** The user is shown what can be done. */
const PRODUCT_STATE = { leadsTo: 'product-state' } as const

/** What no answer to use leads to, the same for every request this machine makes. */
const problems = {
  HTTP_401: { target: 'reconnectRequired', actions: 'noteAnswer', meta: PRODUCT_STATE },
  HTTP_402: { target: 'spendLimitReached', actions: 'noteAnswer', meta: PRODUCT_STATE },
  HTTP_403: { target: 'policyBlocked', actions: 'noteAnswer', meta: PRODUCT_STATE },
  HTTP_429: { target: 'rateLimited', actions: 'noteAnswer', meta: PRODUCT_STATE },
  HTTP_5XX: [
    { guard: 'canBackOff', target: 'backingOff', actions: ['noteAnswer', 'scheduleRetry'], meta: PRODUCT_STATE },
    { target: 'temporarilyUnavailable', actions: 'noteAnswer', meta: PRODUCT_STATE },
  ],
  HTTP_OTHER: {
    target: 'failed',
    actions: ['noteAnswer', { type: 'nameProblem', params: { problem: 'requestRejected' } }],
  },
  ANSWER_UNREADABLE: {
    target: 'failed',
    actions: ['noteAnswer', { type: 'nameProblem', params: { problem: 'answerUnreadable' } }],
  },
  KEY_UNAVAILABLE: { target: 'reconnectRequired', actions: 'noteNoAnswer', meta: PRODUCT_STATE },
  CONNECTION_FAILED: [
    { guard: 'canBackOff', target: 'backingOff', actions: ['noteNoAnswer', 'scheduleRetry'] },
    { target: 'temporarilyUnavailable', actions: 'noteNoAnswer', meta: PRODUCT_STATE },
  ],
  // Repeating by itself what may have been carried out would spend the user's budget twice.
  ANSWER_LOST: { target: 'temporarilyUnavailable', actions: 'noteNoAnswer', meta: PRODUCT_STATE },
  CANCEL: { target: 'cancelled' },
} as const

/** Listing models changes nothing, so a lost answer is asked for again. */
const listingProblems = { ...problems, ANSWER_LOST: problems.CONNECTION_FAILED } as const

const send = [
  { guard: 'onlyListsModels', target: 'refreshingModels', actions: 'startAfresh' },
  { target: 'requesting', actions: 'startAfresh' },
] as const

const endings = { GIVE_UP: { target: 'failed' }, CANCEL: { target: 'cancelled' } } as const

/** Without somebody to answer it, a product state is the end. */
const unlessSomebodyWaits = { guard: 'nobodyIsWaiting', target: 'failed' } as const

/** The statechart of a request on an account-owned route. */
export const providerRouteMachine = providerRoute.createMachine({
  id: 'providerRoute',
  description: 'One request on an account-owned route, paid by the Virtual Key’s own budget.',
  context: initialContext,
  initial: 'ready',
  output: ({ context }) => outputOf(context),
  states: {
    ready: {
      description: 'The prompt is kept and nothing was sent.',
      tags: ['waiting'],
      on: { SUBMIT: send, CANCEL: { target: 'cancelled' } },
    },
    requesting: {
      description: 'POST /v1/chat/completions is on its way, with the kept prompt’s bytes.',
      tags: ['network'],
      entry: { type: 'resumeAt', params: { state: 'requesting' } },
      invoke: { src: 'sendRequest', input: sendInput },
      on: { ...problems, HTTP_2XX: { target: 'succeeded', actions: 'noteAnswer' } },
    },
    backingOff: {
      description: 'The server failed or could not be reached; it gets time, longer with every retry.',
      tags: ['waiting', 'recovering'],
      invoke: { src: 'wait', input: waitInput },
      on: {
        WAITED: [
          { guard: 'wasRetesting', target: 'retestingConnection' },
          { guard: 'wasRefreshing', target: 'refreshingModels' },
          { target: 'requesting' },
        ],
        CANCEL: { target: 'cancelled' },
      },
    },
    retestingConnection: {
      description: 'GET /v1/models tells whether the key works before the prompt is sent with it.',
      tags: ['network', 'recovering'],
      entry: { type: 'resumeAt', params: { state: 'retestingConnection' } },
      invoke: { src: 'listModels', input: sendInput },
      on: {
        ...listingProblems,
        MODELS_LISTED: [
          { guard: 'onlyListsModels', target: 'succeeded', actions: ['noteAnswer', 'noteModels'] },
          { target: 'requesting', actions: ['noteAnswer', 'noteModels'] },
        ],
      },
    },
    refreshingModels: {
      description: 'GET /v1/models tells which models the key may use.',
      tags: ['network', 'recovering'],
      entry: { type: 'resumeAt', params: { state: 'refreshingModels' } },
      invoke: { src: 'listModels', input: sendInput },
      on: {
        ...listingProblems,
        MODELS_LISTED: [
          { guard: 'onlyListsModels', target: 'succeeded', actions: ['noteAnswer', 'noteModels'] },
          { target: 'policyBlocked', actions: ['noteAnswer', 'noteModels'] },
        ],
      },
    },
    reconnectRequired: {
      description: 'HTTP 401: the key is missing, invalid, expired or revoked. A person has to give a new one.',
      tags: ['waiting'],
      entry: { type: 'nameProblem', params: { problem: 'reconnectRequired' } },
      always: unlessSomebodyWaits,
      on: {
        ...endings,
        KEY_REPLACED: { target: 'retestingConnection', actions: 'startAfresh' },
        RETRY: { target: 'retestingConnection', actions: 'startAfresh' },
      },
    },
    spendLimitReached: {
      description:
        'HTTP 402: the budget does not cover the request. The prompt is kept for when it does, or gets smaller.',
      tags: ['waiting'],
      entry: { type: 'nameProblem', params: { problem: 'spendLimitReached' } },
      always: unlessSomebodyWaits,
      on: {
        ...endings,
        RETRY: send,
        MAX_TOKENS_CHOSEN: {
          guard: 'choosesMaxTokens',
          target: 'requesting',
          actions: ['noteMaxTokens', 'startAfresh'],
        },
        KEY_REPLACED: { target: 'retestingConnection', actions: 'startAfresh' },
      },
    },
    policyBlocked: {
      description:
        'HTTP 403: the key or its connection does not permit this request; often another model is permitted.',
      tags: ['waiting'],
      entry: { type: 'nameProblem', params: { problem: 'policyBlocked' } },
      always: unlessSomebodyWaits,
      on: {
        ...endings,
        REFRESH_MODELS: { target: 'refreshingModels', actions: 'startAfresh' },
        MODEL_CHOSEN: { guard: 'choosesModel', target: 'requesting', actions: ['noteModel', 'startAfresh'] },
        RETRY: send,
        KEY_REPLACED: { target: 'retestingConnection', actions: 'startAfresh' },
      },
    },
    rateLimited: {
      description: 'HTTP 429: too many requests. Only a person’s word sends this one again.',
      tags: ['waiting'],
      entry: { type: 'nameProblem', params: { problem: 'rateLimited' } },
      always: unlessSomebodyWaits,
      on: { ...endings, RETRY: send },
    },
    temporarilyUnavailable: {
      description:
        'The server failed, could not be reached or lost the answer, and automatic retries are used up or unsafe.',
      tags: ['waiting'],
      entry: { type: 'nameProblem', params: { problem: 'temporarilyUnavailable' } },
      always: unlessSomebodyWaits,
      on: { ...endings, RETRY: send },
    },
    succeeded: { type: 'final', description: 'The client keeps the answer.', tags: ['final'] },
    failed: {
      type: 'final',
      description: 'No answer to use; the output says why and what a person should do.',
      tags: ['final'],
    },
    cancelled: {
      type: 'final',
      description: 'Nobody wants the answer any more; a request on its way was aborted.',
      tags: ['final'],
      entry: { type: 'nameProblem', params: { problem: 'cancelled' } },
    },
  },
})
