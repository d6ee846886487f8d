// The chat requests of the scenarios, by what they cost.
// Must never carry a prompt that means anything: the recordings of these requests are published.

import type { ChatRequest } from './scenario.js'

/** What a token costs at the gateways of the scenarios: high, so that a bucket is used up by a short answer. */
export const PRICE_PER_TOKEN = '0.01'

/** The bucket of the scenarios, in tokens: a bucket of 1 at 0.01 each. */
export const BUCKET_TOKENS = 100

/** Five tokens of the sandbox, and no words. */
const PROMPT = 'xxxxx'
const PROMPT_TOKENS = 5

/** A request that costs exactly this many tokens, at least six: its model writes all that it is allowed to. */
export function chat(tokens: number): ChatRequest {
  return request({ max_tokens: tokens - PROMPT_TOKENS })
}

/** A request with further, or without usual, members. */
export function request(members: Readonly<Record<string, unknown>>): ChatRequest {
  const messages = [{ role: 'user', content: PROMPT }]
  const body = JSON.stringify({ model: 'sandbox-verbose', ...members, messages })
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body }
}
