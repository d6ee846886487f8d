// A real HTTP proxy between client and gateway that can rewrite what passes through it: for faults of the way between.
// Must never rewrite anything unless a test says so.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

/** A request on its way to the gateway. Change its members to change it. */
export interface PassingRequest {
  readonly method: string
  path: string
  readonly headers: Headers
  body: Uint8Array<ArrayBuffer>
  /** Whether it carries a credential. */
  readonly paid: boolean
}

/** An answer on its way back. */
export interface PassingAnswer {
  status: number
  readonly headers: Headers
  body: Uint8Array<ArrayBuffer>
  readonly request: PassingRequest
}

export interface RunningProxy {
  readonly url: string
  /** Requests as the client sent them. */
  readonly seen: readonly Pick<PassingRequest, 'method' | 'path' | 'paid'>[]
  stop(): Promise<void>
}

export interface Rewrites {
  readonly request?: (request: PassingRequest) => void
  readonly answer?: (answer: PassingAnswer) => void
}

/** Headers that belong to one connection, or that the next hop writes anew. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'host',
  'expect',
  'accept-encoding',
]

export async function startProxy(target: string, rewrites: Rewrites): Promise<RunningProxy> {
  const seen: Pick<PassingRequest, 'method' | 'path' | 'paid'>[] = []
  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const headers = new Headers()
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (typeof value === 'string' && !HOP_BY_HOP.includes(name)) headers.set(name, value)
    }
    const request: PassingRequest = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers,
      body: new Uint8Array(await buffer(incoming)),
      paid: /^payment /i.test(headers.get('authorization') ?? ''),
    }
    seen.push({ method: request.method, path: request.path, paid: request.paid })
    rewrites.request?.(request)
    const response = await fetch(target + request.path, {
      method: request.method,
      headers: request.headers,
      redirect: 'manual',
      ...(request.method !== 'GET' && request.method !== 'HEAD' && { body: request.body }),
    })
    const answer: PassingAnswer = {
      status: response.status,
      headers: new Headers(response.headers),
      body: new Uint8Array(await response.arrayBuffer()),
      request,
    }
    rewrites.answer?.(answer)
    for (const name of HOP_BY_HOP) answer.headers.delete(name)
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(answer.body)
  }
  const server = createServer({ maxHeaderSize: 65_536 }, (incoming, outgoing) => {
    // Whatever breaks here breaks the connection: the test sees it as what it is.
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
