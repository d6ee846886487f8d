// The sandbox's language model: reads a chat request and writes a completion that depends on the request's bytes alone.
// Must never use a clock, randomness or the network: the same body has the same answer, usage and price every time.
import { createHash } from 'node:crypto'
import { type Parsed, parsed, refused } from '../../protocol/parsed.js'

/** A model as `GET /v1/models` lists it, with the rule for how much it writes. */
export interface SandboxModel {
  readonly id: string
  /** Tokens written when `max_tokens` leaves room: a range the body's hash picks from, or everything it is allowed. */
  readonly writes: { readonly least: number; readonly most: number } | 'everything_allowed'
}

/** The models the gateway lists. `sandbox-verbose` always uses all of `max_tokens`, so that a caller can choose what a request costs. */
export const MODELS: readonly SandboxModel[] = [
  { id: 'sandbox-small', writes: { least: 16, most: 48 } },
  { id: 'sandbox-large', writes: { least: 64, most: 192 } },
  { id: 'sandbox-verbose', writes: 'everything_allowed' },
]

/** What a request may make the model write when it names no `max_tokens`. */
export const DEFAULT_MAX_TOKENS = 256

/** No request makes the model write more than this, so that one body cannot fill the memory. */
export const MOST_TOKENS = 32_768

/** 2026-01-01T00:00:00Z, in seconds: `created` of every completion and model, fixed because the model has no clock. */
export const CREATED = 1_767_225_600

/** An OpenAI chat request as far as the gateway has to understand it. Prompt text is not kept. */
export interface ChatRequest {
  readonly model: string
  readonly promptTokens: number
  /** `max_completion_tokens`, or else `max_tokens`; absent when the request names neither. */
  readonly maxTokens?: number
  readonly stream: boolean
  /** SHA-256 of the request's bytes, hex: the model's only seed. */
  readonly seed: string
}

/** Why a body is no chat request. */
export type ChatRefusal = 'not_json' | 'invalid_model' | 'invalid_messages' | 'invalid_max_tokens' | 'invalid_stream'

/** A finished, buffered answer. */
export interface Completion {
  /** OpenAI `chat.completion` JSON, UTF-8. */
  readonly body: Uint8Array
  readonly promptTokens: number
  readonly completionTokens: number
}

/**
 * Reads an OpenAI chat request.
 *
 * Any model name is accepted here; which ones a key may use is the account routes' affair. Failures are typed and
 * never quote the body.
 */
export function parseChatRequest(bytes: Uint8Array): Parsed<ChatRequest, ChatRefusal> {
  const json = readJsonObject(bytes)
  if (json === undefined) return refused('not_json', 'The body is not a JSON object in UTF-8.')
  const { model, stream = false } = json
  if (typeof model !== 'string' || model.length === 0 || model.length > 200)
    return refused('invalid_model', '"model" must be a text of 1 to 200 characters.')
  if (typeof stream !== 'boolean' && stream !== null) return refused('invalid_stream', '"stream" must be a boolean.')
  const promptTokens = countPrompt(json.messages)
  if (promptTokens === undefined)
    return refused('invalid_messages', '"messages" must be a list of at least one { role, content }.')
  const maxTokens = json.max_completion_tokens ?? json.max_tokens ?? undefined
  if (maxTokens !== undefined && !isTokenCount(maxTokens))
    return refused('invalid_max_tokens', `"max_tokens" must be a whole number from 1 to ${MOST_TOKENS}.`)
  const seed = createHash('sha256').update(bytes).digest('hex')
  return parsed({
    model,
    promptTokens,
    ...(maxTokens === undefined ? {} : { maxTokens }),
    stream: stream === true,
    seed,
  })
}

/** Writes the answer. Uses at most `maxTokens` tokens ({@link DEFAULT_MAX_TOKENS} when the request names none). */
export function complete(request: ChatRequest): Completion {
  const allowed = request.maxTokens ?? DEFAULT_MAX_TOKENS
  const wanted = naturalLength(request)
  const completionTokens = Math.min(wanted ?? allowed, allowed)
  const cut = wanted === undefined || wanted > allowed
  const answer = {
    id: `chatcmpl-${request.seed.slice(0, 24)}`,
    object: 'chat.completion',
    created: CREATED,
    model: request.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: write(request.seed, completionTokens) },
        logprobs: null,
        finish_reason: cut ? 'length' : 'stop',
      },
    ],
    usage: {
      prompt_tokens: request.promptTokens,
      completion_tokens: completionTokens,
      total_tokens: request.promptTokens + completionTokens,
    },
  }
  return {
    body: new TextEncoder().encode(JSON.stringify(answer)),
    promptTokens: request.promptTokens,
    completionTokens,
  }
}

const WORDS =
  'amber birch cedar delta ember fjord grove heron islet juniper kelp larch meadow north opal pine quartz river slate tide umber vale willow yarrow'.split(
    ' ',
  )

/** One word is one token; the words follow a small generator seeded from the body's hash. */
function write(seed: string, tokens: number): string {
  let state = Number.parseInt(seed.slice(0, 8), 16) >>> 0
  const words: string[] = []
  for (let i = 0; i < tokens; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    words.push(WORDS[(state >>> 16) % WORDS.length] ?? 'amber')
  }
  return words.join(' ')
}

/** Undefined when the model writes all it is allowed. A name the sandbox does not list writes like the small model. */
function naturalLength(request: ChatRequest): number | undefined {
  const model = MODELS.find(({ id }) => id === request.model) ?? MODELS[0]
  if (model === undefined || model.writes === 'everything_allowed') return undefined
  const { least, most } = model.writes
  return least + (Number.parseInt(request.seed.slice(8, 16), 16) % (most - least + 1))
}

function readJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isObject(json) ? json : undefined
  } catch {
    // Not UTF-8 or not JSON: the caller answers with a typed refusal, and neither error's text may quote the body.
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTokenCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= MOST_TOKENS
}

/** Four UTF-8 bytes are one token, and every message costs three more. Undefined when the messages are no messages. */
function countPrompt(messages: unknown): number | undefined {
  if (!Array.isArray(messages) || messages.length === 0) return undefined
  let tokens = 0
  for (const message of messages as readonly unknown[]) {
    if (!isObject(message) || typeof message.role !== 'string') return undefined
    const text = contentText(message.content)
    if (text === undefined) return undefined
    tokens += 3 + Math.ceil(new TextEncoder().encode(text).length / 4)
  }
  return tokens
}

/** Content is a text, null (a tool call's message) or a list of parts, of which only the text ones count. */
function contentText(content: unknown): string | undefined {
  if (typeof content === 'string') return content
  if (content === null) return ''
  if (!Array.isArray(content)) return undefined
  let text = ''
  for (const part of content as readonly unknown[]) {
    if (!isObject(part)) return undefined
    if (typeof part.text === 'string') text += part.text
  }
  return text
}
