// Real HTTP servers for the provider tests: the account routes on node:http, and one that answers as a test says.
// Must never answer in place of the routes under test: it only carries requests and notes them.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import {
  type AccountRoutes,
  type AccountRoutesOptions,
  createAccountRoutes,
} from '../../src/sandbox/gateway/account-routes.js'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface TestServer {
  readonly url: string
  readonly seen: SeenRequest[]
  stop(): Promise<void>
}

/** Starts a server that lets `answer` do what it likes with each request. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => unknown,
): Promise<TestServer> {
  const seen: SeenRequest[] = []
  const listener: RequestListener = async (request, response) => {
    const body = await text(request)
    const { method = '', url = '' } = request
    seen.push({ method, path: url, authorization: request.headers.authorization, body })
    await answer(request, response, body)
  }
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the test server has no port')
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

export interface AccountServer extends TestServer {
  readonly routes: AccountRoutes
}

export async function startAccountServer(options?: AccountRoutesOptions): Promise<AccountServer> {
  const routes = createAccountRoutes(options)
  const server = await startServer(async (request, response, body) => {
    const answer = await routes.handle({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: new Headers(
        Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]),
      ),
      body: new TextEncoder().encode(body),
      requestId: `req-${randomUUID()}`,
    })
    if (answer === undefined) return response.writeHead(404).end()
    return response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
  })
  return { ...server, routes }
}

export const CHAT = {
  model: 'sandbox-small',
  max_tokens: 24,
  messages: [{ role: 'user', content: 'PROMPT-THAT-NOBODY-MAY-SEE' }],
} as const

/** Every retry at once: what is waited for is tested apart. */
export const NO_WAIT = { baseMs: 1, capMs: 4 } as const
