// A JSON-RPC endpoint that passes everything on to the chain, until it is told to go quiet.
// Must never answer for the chain.
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface RpcRelay {
  readonly url: string
  /** `up`; `down`: every connection is cut; `hang`: nothing is answered. */
  set(mode: 'up' | 'down' | 'hang'): void
  /** Requests that met a chain that was not there. */
  missed(): number
  stop(): Promise<void>
}

export async function startRelay(target: string): Promise<RpcRelay> {
  let mode: Parameters<RpcRelay['set']>[0] = 'up'
  let missed = 0
  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming)
    if (mode !== 'up') {
      missed += 1
      if (mode === 'down') outgoing.destroy()
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
    missed: () => missed,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
