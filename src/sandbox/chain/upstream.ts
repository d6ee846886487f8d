// JSON-RPC requests to the anvil behind the shim.
// Must never change an answer: errors of the chain reach the caller as the chain put them.
import { z } from 'zod'

export const rpcRequestSchema = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: z.array(z.unknown()).default([]),
})

/** A JSON-RPC request with positional parameters, the only kind Ethereum nodes are sent. */
export type RpcRequest = z.output<typeof rpcRequestSchema>

const rpcResponseSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  result: z.unknown().optional(),
  error: z.looseObject({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
})

/** A JSON-RPC answer; `error` is set when the call failed. */
export type RpcResponse = z.output<typeof rpcResponseSchema>

/** A call the sandbox itself made and the chain refused. */
export class ChainRefused extends Error {
  override readonly name = 'ChainRefused'
}

/** A call and its parameters. */
export type RpcCall = readonly [method: string, ...params: unknown[]]

/** One JSON-RPC endpoint. */
export class Upstream {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Sends bytes as they are and returns the answer as it is. */
  async post(body: string): Promise<{ status: number; body: string }> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    return { status: response.status, body: await response.text() }
  }

  /** Passes a client's request on and returns the chain's answer, result or error. */
  async send(request: RpcRequest): Promise<RpcResponse> {
    const { body } = await this.post(JSON.stringify(request))
    return rpcResponseSchema.parse(JSON.parse(body))
  }

  /**
   * Calls of the sandbox itself, all in one request.
   *
   * @returns The results in the order of the calls.
   * @throws {@link ChainRefused} with the first refusal.
   */
  async call(...calls: readonly RpcCall[]): Promise<readonly unknown[]> {
    if (calls.length === 0) return []
    const batch = calls.map(([method, ...params], id) => ({ jsonrpc: '2.0', id, method, params }))
    const { body } = await this.post(JSON.stringify(batch))
    const responses = z.array(rpcResponseSchema).parse(JSON.parse(body))
    return calls.map(([method], id) => {
      const response = responses.find((candidate) => candidate.id === id)
      if (response === undefined) throw new ChainRefused(`${method}: no answer`)
      if (response.error) throw new ChainRefused(`${method}: ${response.error.message}`)
      return response.result
    })
  }
}
