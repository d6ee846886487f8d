// A JSON-RPC endpoint that passes everything on to the chain, until it is told to go quiet.
// Must never answer for the chain, except what a test makes it say.
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

/** A call as it was made. */
export interface RpcCall {
  readonly method: string
  readonly params: readonly unknown[]
}

/** What a node answers: a result, an error, or a bare HTTP status. */
export type RpcAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string }; readonly status?: number }
  | { readonly status: number }

const call = z.looseObject({ id: z.unknown(), method: z.string(), params: z.array(z.unknown()).default([]) })

/** May ask the chain itself, and say something else. */
export type Interposed = (call: RpcCall) => RpcAnswer | undefined | Promise<RpcAnswer | undefined>

export interface RpcRelay {
  readonly url: string
  /** `up`; `down`: every connection is cut; `hang`: nothing is answered. */
  set(mode: 'up' | 'down' | 'hang'): void
  /** Ends every connection, also those that hang. */
  cut(): void
  /** What answers a call in the chain's place; undefined: the chain does. */
  interpose(answer: Interposed | undefined): void
  /** Methods of all calls so far, in order. */
  readonly methods: readonly string[]
  /** Requests that met a chain that was not there. */
  missed(): number
  stop(): Promise<void>
}

export async function startRelay(target: string): Promise<RpcRelay> {
  let mode: Parameters<RpcRelay['set']>[0] = 'up'
  let missed = 0
  let interposed: Interposed | undefined
  const methods: string[] = []
  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming)
    if (mode !== 'up') {
      missed += 1
      if (mode === 'down') outgoing.destroy()
      return
    }
    const { id, ...asked } = call.parse(JSON.parse(body.toString()))
    methods.push(asked.method)
    const given = await interposed?.(asked)
    if (given !== undefined) {
      missed += 1
      const { status = 200, ...said } = { status: undefined, ...given }
      const text = 'result' in given || 'error' in given ? JSON.stringify({ jsonrpc: '2.0', id, ...said }) : 'busy'
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(text)
      return
    }
    try {
      const response = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: new Uint8Array(body),
      })
      outgoing.writeHead(response.status, { 'content-type': 'application/json' }).end(await response.text())
    } catch {
      // The chain itself is gone: the connection breaks, as it would without this relay.
      outgoing.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the relay has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    set: (next) => {
      mode = next
    },
    cut: () => server.closeAllConnections(),
    interpose: (answer) => {
      interposed = answer
    },
    methods,
    missed: () => missed,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
