// Keeps one flow's prompt and newest answer in memory, so that the person can retry without typing again.
// Must never be logged, stored or put into machine context: the machine knows it by `ref` alone.

/** An OpenAI chat request. These routes answer in one piece: `stream: true` is refused. */
export interface ChatBody {
  readonly model: string
  readonly messages: readonly unknown[]
  readonly stream?: false | null
  readonly [option: string]: unknown
}

/** What a server answered, for the caller's eyes. */
export interface ProviderResponse {
  readonly status: number
  readonly requestId?: string
  /** Parsed JSON; undefined when the answer was none. */
  readonly body: unknown
}

export class PromptVault {
  readonly ref: string = crypto.randomUUID()
  readonly #prompt: string | undefined
  #response: ProviderResponse | undefined

  private constructor(prompt: string | undefined) {
    this.#prompt = prompt
  }

  /**
   * Keeps a prompt as it is now; later changes to `body` do not matter.
   *
   * @throws TypeError when the body cannot be JSON, or asks for a stream.
   */
  static keeping(body: ChatBody): PromptVault {
    if ((body.stream ?? false) !== false) throw new TypeError('streaming is not offered: send "stream": false')
    return new PromptVault(JSON.stringify(body))
  }

  /** For a flow that sends no prompt. */
  static empty(): PromptVault {
    return new PromptVault(undefined)
  }

  /** The same prompt in a vault of its own, for another attempt. */
  again(): PromptVault {
    return new PromptVault(this.#prompt)
  }

  /** The body's bytes: the same ones every time, unless the person chose another model or fewer tokens. */
  bytes(choice: { readonly model: string | null; readonly maxTokens: number | null }): Uint8Array {
    if (this.#prompt === undefined) throw new Error('this flow has no prompt to send')
    if (choice.model === null && choice.maxTokens === null) return new TextEncoder().encode(this.#prompt)
    const body: Record<string, unknown> = JSON.parse(this.#prompt)
    if (choice.model !== null) body.model = choice.model
    if (choice.maxTokens !== null)
      body['max_completion_tokens' in body ? 'max_completion_tokens' : 'max_tokens'] = choice.maxTokens
    return new TextEncoder().encode(JSON.stringify(body))
  }

  get response(): ProviderResponse | undefined {
    return this.#response
  }

  set response(response: ProviderResponse | undefined) {
    this.#response = response
  }
}
