// What a request may cost at most, and what it did cost.
// Must never charge more than was quoted.
import { complete, parseChatRequest } from './model.js'
import type { GatewaySettings } from './settings.js'

/** A request body, priced. Amounts are base units. */
export type Work =
  | { readonly kind: 'priced'; readonly quote: bigint; readonly run: () => WorkResult }
  | { readonly kind: 'streaming' }
  | { readonly kind: 'unpriceable'; readonly detail: string }

export interface WorkResult {
  readonly body: Uint8Array
  readonly contentType: string
  /** At most the quote. */
  readonly cost: bigint
}

/** Reads a body and prices it: prompt tokens plus `max_tokens`, each at `pricePerToken`. */
export function readWork(body: Uint8Array, settings: GatewaySettings): Work {
  const chat = parseChatRequest(body)
  if (!chat.ok) {
    const { otherBodyPrice } = settings
    if (otherBodyPrice !== undefined) return flatPriced(body, otherBodyPrice)
    return { kind: 'unpriceable', detail: chat.detail }
  }
  const request = chat.value
  if (request.stream) return { kind: 'streaming' }
  if (request.maxTokens === undefined) return { kind: 'unpriceable', detail: '"max_tokens" is missing.' }
  const quote = BigInt(request.promptTokens + request.maxTokens) * settings.pricePerToken
  if (quote <= 0n) return { kind: 'unpriceable', detail: 'The price is zero.' }
  return {
    kind: 'priced',
    quote,
    run: () => {
      const { body: answer, promptTokens, completionTokens } = complete(request)
      const cost = BigInt(promptTokens + completionTokens) * settings.pricePerToken
      return { body: answer, contentType: 'application/json', cost: cost < quote ? cost : quote }
    },
  }
}

function flatPriced(body: Uint8Array, price: bigint): Work {
  if (price <= 0n) return { kind: 'unpriceable', detail: 'The price is zero.' }
  return {
    kind: 'priced',
    quote: price,
    run: () => ({
      body: new TextEncoder().encode(JSON.stringify({ object: 'bytes.received', bytes: body.length })),
      contentType: 'application/json',
      cost: price,
    }),
  }
}
