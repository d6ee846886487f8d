// A real HTTP hop that cuts the connection in the middle of every paid answer: headers and receipt arrive, the rest does not.
// Must never cut anything else.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface CuttingHop {
  readonly url: string
  stop(): Promise<void>
}

/** Starts the hop in front of the gateway at `target`. */
export async function startCuttingHop(target: string): Promise<CuttingHop> {
  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const headers = new Headers()
    for (const [name, value] of Object.entries(incoming.headers)) {
      const ofOneHop = ['host', 'connection', 'content-length', 'transfer-encoding'].includes(name)
      if (typeof value === 'string' && !ofOneHop) headers.set(name, value)
    }
    const body = new Uint8Array(await buffer(incoming))
    const answer = await fetch(target + incoming.url, { method: 'POST', headers, ...(body.length > 0 && { body }) })
    const bytes = new Uint8Array(await answer.arrayBuffer())
    const { 'transfer-encoding': _, connection: __, ...kept } = Object.fromEntries(answer.headers)
    outgoing.writeHead(answer.status, { ...kept, 'content-length': bytes.length })
    if (answer.status !== 200) return void outgoing.end(bytes)
    // Cut only once that half is on its way.
    outgoing.write(bytes.subarray(0, bytes.length / 2), () => outgoing.destroy())
  }
  const server = createServer({ maxHeaderSize: 65_536 }, (incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the hop has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
