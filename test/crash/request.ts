// The requests that are paid for here: each has its own words, and all of them cost the same.
// Must never need more than the sandbox's model: it answers as long as it is allowed to.

/** A chat request that costs exactly `tokens` tokens of the sandbox's most talkative model. */
export function requestFor(id: string, tokens: number): RequestInit & { readonly body: string } {
  const prompt = 3 + Math.ceil(new TextEncoder().encode(id).length / 4)
  const body = JSON.stringify({
    model: 'sandbox-verbose',
    max_tokens: tokens - prompt,
    messages: [{ role: 'user', content: id }],
  })
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body }
}

/** The id of such a request, by its bytes; undefined for any other. */
export function idOf(body: Uint8Array): string | undefined {
  return /"content":"([^"]+)"/.exec(new TextDecoder().decode(body))?.[1]
}
