// The inspector's server: the page, the feed to it, and the endpoint of the inspector protocol, on this machine only.
// Must never answer who does not know the token, nor a page of another origin, nor throw because of what arrives.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import type { Asset } from './assets.js'
import { isToken } from './token.js'

const HOST = '127.0.0.1'

/** The longest message of the inspector protocol that is read, in bytes: definitions of large machines are in it. */
const LONGEST_MESSAGE = 1024 * 1024
/** Pages and programs together. */
const MOST_CONNECTIONS = 100

export interface ServeOptions {
  /** 0: a free one. */
  readonly port: number
  /** The first part of every path. */
  readonly token: string
  readonly assets: ReadonlyMap<string, Asset>
  /** A page has opened; called with the means to talk to it. */
  readonly onPage: (page: WebSocket) => void
  /** A program that speaks the inspector protocol has connected. */
  readonly onProgram: (program: WebSocket) => void
}

export interface Served {
  /** With the token, and a slash at its end. */
  readonly url: string
  stop(): Promise<void>
}

/** Without scripts, styles or connections from elsewhere. The bridge page of `createInspectorServer` may frame it. */
const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors http://localhost:* http://127.0.0.1:*",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** Whether a URL, or the origin of a page, is on this machine. */
function isLocal(url: string): boolean {
  try {
    return LOOPBACK.test(new URL(url).hostname)
  } catch {
    return false
  }
}

/** A name that resolves to this machine is not enough: a stranger's page may have made it do so. */
const namesThisMachine = ({ headers }: IncomingMessage): boolean => isLocal(`http://${headers.host ?? ''}`)

/** What is asked for behind the token, without the query: empty for the page itself. Null without the token. */
function pathIn({ url = '' }: IncomingMessage, token: string): string | null {
  const [path = ''] = url.split('?', 1)
  const [, first = '', ...rest] = path.split('/')
  return isToken(first, token) ? rest.join('/') : null
}

/**
 * Starts the server.
 *
 * @throws Error saying that the port is taken, when it is.
 */
export async function serve({ port, token, assets, onPage, onProgram }: ServeOptions): Promise<Served> {
  const server = createServer((request, response) => answer(assets, token, request, response))
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST_MESSAGE,
    // Other work comes in between, however many messages arrive at once.
    allowSynchronousEvents: false,
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // From here on nobody else listens: a connection that breaks, refused or not, is over and nothing more.
    socket.on('error', () => socket.destroy())
    const path = pathIn(request, token)
    const ownPage = path === 'feed'
    if (path === null || !mayConnect(request, ownPage)) return refuse(socket, '403 Forbidden')
    if (sockets.clients.size >= MOST_CONNECTIONS) return refuse(socket, '503 Service Unavailable')
    sockets.handleUpgrade(request, socket, head, (opened) => {
      // A connection that breaks is closed by `ws`; nobody else has to know.
      opened.on('error', () => opened.terminate())
      if (ownPage) onPage(opened)
      else onProgram(opened)
    })
  })
  await listen(server, port)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the inspector has no port')
  return {
    url: `http://${HOST}:${address.port}/${token}/`,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate()
        sockets.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** Browsers name the origin of the page that connects; other programs name none. */
function mayConnect(request: IncomingMessage, ownPage: boolean): boolean {
  const { origin, host } = request.headers
  if (!namesThisMachine(request)) return false
  if (origin === undefined) return true
  return ownPage ? origin === `http://${host}` : isLocal(origin)
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const taken = 'code' in error && error.code === 'EADDRINUSE'
      reject(taken ? new Error(`port ${port} is taken: give another one, or none for a free one`) : error)
    })
    server.listen(port, HOST, resolve)
  })
}

const WITHOUT_TOKEN =
  'Open the address that the program has printed: it holds a token, without which nothing is shown.\n'

function answer(
  assets: ReadonlyMap<string, Asset>,
  token: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = pathIn(request, token)
  const asset = assets.get(path === '' ? 'index.html' : (path ?? ''))
  if (path === null || !namesThisMachine(request))
    response.writeHead(403, { ...HEADERS, 'content-type': 'text/plain' }).end(WITHOUT_TOKEN)
  else if (request.method !== 'GET' && request.method !== 'HEAD')
    response.writeHead(405, { ...HEADERS, allow: 'GET' }).end()
  else if (asset === undefined) response.writeHead(404, HEADERS).end()
  else response.writeHead(200, { ...HEADERS, 'content-type': asset.type }).end(asset.content)
}

/** A message as JSON; undefined when it is none. */
export function readJson(data: RawData): unknown {
  try {
    return JSON.parse(data.toString())
  } catch {
    return undefined
  }
}
