// The effects of the provider-route machine: they send, list and wait, and report what happened as named events.
// Must never decide what follows from an outcome, and never put a key, a prompt or an answer's text into an event.
import { fromCallback } from 'xstate'
import * as z from 'zod'
import {
  answerEventType,
  type ProviderAnswerFacts,
  type ProviderRouteEvent,
  type ProviderRouteReport,
  type SendInput,
  type WaitInput,
} from '../../machines/provider-route.types.js'
import { type ExchangeOptions, type ExchangeRequest, type ExchangeResult, exchange } from './exchange.js'
import type { PromptVault } from './prompt-vault.js'
import type { KeyHolder } from './virtual-key.js'

export interface EffectOptions extends ExchangeOptions {
  readonly keys: KeyHolder
  readonly vault: PromptVault
  /** From 0 up to 1; the jitter's dice. */
  readonly random: () => number
}

const modelList = z.object({ data: z.array(z.object({ id: z.string().min(1).max(200) })).max(1000) })

/** The actors for `providerRouteMachine.provide({ actors })`, bound to one flow's vault. Leaving a state aborts its effect. */
export function createProviderEffects(options: EffectOptions) {
  return {
    sendRequest: effect<SendInput>((input, signal) =>
      answerTo(options, signal, (key) => ({ route: 'chat/completions', key, body: options.vault.bytes(input) })),
    ),
    listModels: effect<SendInput>(async (_, signal) => {
      let usedKey = ''
      const report = await answerTo(options, signal, (key) => {
        usedKey = key
        return { route: 'models', key }
      })
      return report.type === 'HTTP_2XX' ? readModels(report, options.vault.response?.body, usedKey) : report
    }),
    wait: effect<WaitInput>(async ({ waitMs, atLeastMs }, signal) => {
      const shortest = Math.max(atLeastMs, waitMs / 2)
      await pause(shortest + options.random() * Math.max(0, waitMs - shortest), signal)
      return { type: 'WAITED' }
    }),
  }
}

/** A callback actor around a task that ends with one report; after an abort nobody hears of it. */
function effect<TInput>(task: (input: TInput, signal: AbortSignal) => Promise<ProviderRouteReport>) {
  return fromCallback<ProviderRouteEvent, TInput>(({ input, sendBack }) => {
    const abort = new AbortController()
    void task(input, abort.signal).then((report) => {
      if (!abort.signal.aborted) sendBack(report)
    })
    return () => abort.abort()
  })
}

async function answerTo(
  options: EffectOptions,
  signal: AbortSignal,
  request: (key: string) => ExchangeRequest,
): Promise<ProviderRouteReport> {
  // An older answer must not be taken for this request's.
  options.vault.response = undefined
  const key = await options.keys.read()
  if (!key.ok) return { type: 'KEY_UNAVAILABLE' }
  const result = await exchange(options, request(key.value), signal)
  if (result.kind === 'not_sent') return { type: 'CONNECTION_FAILED' }
  if (result.kind === 'lost') return { type: 'ANSWER_LOST' }
  options.vault.response = {
    status: result.status,
    ...(result.requestId === null ? {} : { requestId: result.requestId }),
    body: result.body.readable ? result.body.json : undefined,
  }
  const type = answerEventType(result.status)
  return { type: type === 'HTTP_2XX' && !result.body.readable ? 'ANSWER_UNREADABLE' : type, ...factsOf(result) }
}

function factsOf(answer: Extract<ExchangeResult, { kind: 'answered' }>): ProviderAnswerFacts {
  return { httpStatus: answer.status, requestId: answer.requestId, retryAfterMs: answer.retryAfterMs }
}

/** Names in the list are the server's own words: none that echoes the key is passed on. */
function readModels(facts: ProviderAnswerFacts, body: unknown, key: string): ProviderRouteReport {
  const { httpStatus, requestId, retryAfterMs } = facts
  const list = modelList.safeParse(body)
  if (!list.success) return { type: 'ANSWER_UNREADABLE', httpStatus, requestId, retryAfterMs }
  const models = list.data.data.map(({ id }) => id).filter((id) => !id.includes(key))
  return { type: 'MODELS_LISTED', models, httpStatus, requestId, retryAfterMs }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
