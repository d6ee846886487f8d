// Stands before the chain's node and ends the process whose transaction has just arrived, before passing it on.
// Must never answer for the node; what it may do is lose an answer.

import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { DOOM_HEADER } from './victim/doom.js'

export interface Arrivals {
  readonly url: string
  /** The answer to the next transaction is lost: the node has taken it, and the connection breaks. */
  loseNext(): void
  stop(): Promise<void>
}

/** @param doomed called when a request that says so has arrived. */
export async function startArrivals(target: string, doomed: () => void): Promise<Arrivals> {
  let loses = false
  const server = createServer(async (incoming, outgoing) => {
    try {
      const body = new Uint8Array(await buffer(incoming))
      if (incoming.headers[DOOM_HEADER] !== undefined) doomed()
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(target, { method: 'POST', headers, body })
      if (loses && new TextDecoder().decode(body).includes('eth_sendRawTransaction')) {
        loses = false
        outgoing.destroy()
        return
      }
      outgoing.writeHead(response.status, headers).end(await response.text())
    } catch {
      // The chain is gone: the connection breaks, as it would without this.
      outgoing.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('there is no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    loseNext: () => {
      loses = true
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
