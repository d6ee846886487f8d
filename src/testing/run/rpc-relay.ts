// A JSON-RPC endpoint that passes everything on to the chain, until it is told to go quiet.
// Must never answer for the chain.

import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface RpcRelay {
  readonly url: string
  /** Whether requests are passed on; otherwise their connections are cut. */
  reach(reachable: boolean): void
  stop(): Promise<void>
}

/** Starts the relay on a free port of this machine. */
export async function startRpcRelay(target: string): Promise<RpcRelay> {
  let reachable = true
  const server = createServer(async (incoming, outgoing) => {
    const body = new Uint8Array(await buffer(incoming))
    if (!reachable) {
      outgoing.destroy()
      return
    }
    try {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(target, { method: 'POST', headers, body })
      outgoing.writeHead(response.status, headers).end(await response.text())
    } catch {
      // The chain itself is gone: the connection breaks, as it would without this relay.
      outgoing.destroy()
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the relay has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    reach: (now) => {
      reachable = now
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
