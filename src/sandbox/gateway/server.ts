// The gateway as an HTTP server: bodies as bytes, CORS, request ids, one route table.
// Must never look into a request's meaning; the routes do.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Answer, jsonAnswer } from './answer.js'

/** A request as it arrived. */
export interface GatewayExchange {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** Names and values in the order and spelling of the wire. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
}

export interface RoutedRequest {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly requestId: string
}

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly maxBodyBytes: () => number
  readonly observe?: ((exchange: GatewayExchange) => void) | undefined
  /** Answers a request; undefined is a 404. */
  route(request: RoutedRequest): Promise<Answer | Response | undefined>
}

export interface GatewayServer {
  readonly url: string
  /** Host and port. */
  readonly authority: string
  stop(): Promise<void>
}

const CORS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers':
    'WWW-Authenticate, Payment-Receipt, X-Request-Id, Retry-After, Payment-Session-Snapshot',
}

/** @throws what `listen` fails with, such as a port in use. */
export async function startServer(options: ServerOptions): Promise<GatewayServer> {
  // Credentials may be 16 KB; a longer one must reach the route that refuses it, so headers may be longer still.
  const server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    handle(options, incoming, outgoing).catch(() => {
      // The caller broke off, or a route failed in a way that is no answer: either way this connection is over.
      outgoing.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address() as AddressInfo | null
  const authority = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${address?.port ?? options.port}`
  return {
    url: `http://${authority}`,
    authority,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function handle(options: ServerOptions, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const requestId = `req_${randomUUID().replaceAll('-', '')}`
  const method = incoming.method ?? 'GET'
  const url = incoming.url ?? '/'
  const body = await readBody(incoming, options.maxBodyBytes())
  if (body === undefined) {
    outgoing.setHeader('connection', 'close')
    const detail = `The body is longer than ${options.maxBodyBytes()} bytes.`
    return send(
      outgoing,
      requestId,
      jsonAnswer(413, { error: { code: 'body_too_large', message: detail }, request_id: requestId }),
    )
  }
  options.observe?.({ method, url, headers: pairs(incoming.rawHeaders), body })
  if (method === 'OPTIONS') return send(outgoing, requestId, preflight(incoming))
  const path = url.split('?', 1)[0] ?? url
  const headers = new Headers(pairs(incoming.rawHeaders).map(([name, value]): [string, string] => [name, value]))
  const answer = await options.route({ method, path, headers, body, requestId })
  return send(outgoing, requestId, answer ?? notFound(requestId))
}

/** Undefined when the body is longer than `most`; what is too much is not read. */
async function readBody(incoming: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    const bytes: Buffer = Buffer.from(chunk)
    length += bytes.length
    if (length > most) return undefined
    chunks.push(bytes)
  }
  return Uint8Array.from(Buffer.concat(chunks))
}

function pairs(rawHeaders: readonly string[]): (readonly [string, string])[] {
  const result: (readonly [string, string])[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) result.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''])
  return result
}

function preflight(incoming: IncomingMessage): Answer {
  const requested = incoming.headers['access-control-request-headers']
  return {
    status: 204,
    headers: {
      'access-control-allow-methods': 'GET, POST, OPTIONS',
      'access-control-allow-headers': requested ?? 'Authorization, Content-Type, Idempotency-Key',
      'access-control-max-age': '600',
    },
  }
}

function notFound(requestId: string): Answer {
  return jsonAnswer(404, { error: { code: 'not_found', message: 'There is no such route.' }, request_id: requestId })
}

async function send(outgoing: ServerResponse, requestId: string, answer: Answer | Response): Promise<void> {
  if ('lost' in answer && answer.lost === true) {
    outgoing.destroy()
    return
  }
  const headers = answer instanceof Response ? Object.fromEntries(answer.headers) : answer.headers
  const body = answer instanceof Response ? new Uint8Array(await answer.arrayBuffer()) : answer.body
  outgoing.writeHead(answer.status, { ...CORS, 'x-request-id': requestId, ...headers })
  outgoing.end(body)
}
