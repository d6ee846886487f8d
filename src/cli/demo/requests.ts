// The chat requests that the demo sends, each of a cost that is known beforehand.
// Must never be printed: what is asked stays between the caller and the gateway.

import { z } from 'zod'
import { parseChatRequest } from '../../sandbox/gateway/model.js'

/** The sandbox's model that uses all of `max_tokens`, so that the caller chooses what a request costs. */
const MODEL = 'sandbox-verbose'

function body(number: number, maxTokens: number): string {
  const content = `Tell the next chapter about the lighthouse keeper and her clockwork heron. This is chapter ${number}.`
  return JSON.stringify({ model: MODEL, max_tokens: maxTokens, messages: [{ role: 'user', content }] })
}

/**
 * A request that uses exactly `tokens` tokens, prompt and completion together.
 *
 * @param number makes its bytes different from all others.
 * @throws RangeError when the prompt alone is longer than that.
 */
export function chatRequest(number: number, tokens: number): RequestInit {
  const counted = parseChatRequest(new TextEncoder().encode(body(number, 1)))
  const promptTokens = counted.ok ? counted.value.promptTokens : tokens
  if (promptTokens >= tokens) throw new RangeError(`${tokens} tokens leave no room for an answer`)
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body(number, tokens - promptTokens),
  }
}

const completion = z.object({
  object: z.literal('chat.completion'),
  choices: z.array(z.object({ message: z.object({ content: z.string().min(1) }) })).min(1),
  usage: z.object({ total_tokens: z.int().positive() }),
})

/** The tokens that an answer says were used; null when it is no chat completion. */
export async function tokensUsed(response: Response): Promise<number | null> {
  const parsed = completion.safeParse(await response.json().catch(() => null))
  return parsed.success ? parsed.data.usage.total_tokens : null
}
