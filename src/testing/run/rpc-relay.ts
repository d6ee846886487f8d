// A JSON-RPC endpoint that passes everything on to the chain, until it is told to go quiet or to ask for too much.
// Must never answer for the chain, except about its price.

import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

/** A thousand dollars for the gas of a small transaction. */
const TOO_MUCH = `0x${(10n ** 16n).toString(16)}`
const priceQuestion = z.looseObject({ id: z.unknown(), method: z.literal('eth_maxPriorityFeePerGas') })

export interface RpcRelay {
  readonly url: string
  /** Whether requests are passed on; otherwise their connections are cut. */
  reach(reachable: boolean): void
  /** Whether a priority fee is asked for that is beyond every limit. */
  overcharge(expensive: boolean): void
  stop(): Promise<void>
}

/** Starts the relay on a free port of this machine. */
export async function startRpcRelay(target: string): Promise<RpcRelay> {
  let reachable = true
  let expensive = false
  const server = createServer(async (incoming, outgoing) => {
    const body = new Uint8Array(await buffer(incoming))
    if (!reachable) {
      outgoing.destroy()
      return
    }
    const headers = { 'content-type': 'application/json' }
    const asked = expensive ? priceQuestion.safeParse(JSON.parse(new TextDecoder().decode(body))) : undefined
    if (asked?.success === true) {
      outgoing.writeHead(200, headers).end(JSON.stringify({ jsonrpc: '2.0', id: asked.data.id, result: TOO_MUCH }))
      return
    }
    try {
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
    overcharge: (now) => {
      expensive = now
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
