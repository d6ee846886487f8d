// Servers that say byte for byte what a test tells them to, and what the transport and fetch make of it.
// Must never correct what a test says: wrong answers are half of what is tested.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { dispatcherBehind } from '../../../src/client/transport/dispatcher.js'
import { HeaderFields, type Incoming, type Outgoing, transportOver } from '../../../src/client/transport/index.js'

/** A request as its bytes came in. */
export interface SeenRequest {
  /** The request line and the fields, as they were written. */
  readonly head: readonly string[]
  readonly body: Buffer
  readonly connection: number
}

export interface RunningServer {
  readonly url: string
  readonly seen: SeenRequest[]
  /** How many connections were made so far. */
  readonly connections: () => number
  /** How many of those that a request came on are still there: undici likes to have one more, in reserve. */
  readonly open: () => number
  stop(): Promise<void>
}

type Answering = (socket: Socket, request: SeenRequest) => unknown

const HEAD_END = '\r\n\r\n'

/** Takes one request after the other off each connection, and leaves the answer to the test. */
export async function rawServer(answer: Answering): Promise<RunningServer> {
  const seen: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const used = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    readRequests(socket, connections, (request) => {
      seen.push(request)
      used.add(socket)
      answer(socket, request)
    })
    socket.on('close', () => [sockets, used].map((set) => set.delete(socket)))
  })
  const url = `http://127.0.0.1:${await listening(server)}`
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { url, seen, connections: () => connections, open: () => used.size, stop }
}

function readRequests(socket: Socket, connection: number, onRequest: (request: SeenRequest) => void): void {
  let bytes = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const end = bytes.indexOf(HEAD_END)
      if (end < 0) return
      const head = bytes.toString('latin1', 0, end)
      const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0)
      const next = end + HEAD_END.length + length
      if (bytes.length < next) return
      const body = bytes.subarray(end + HEAD_END.length, next)
      bytes = bytes.subarray(next)
      onRequest({ head: head.split('\r\n'), body, connection })
    }
  })
}

/** The port of a server that listens now. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/** A request for the transport, as the client would write it. */
export function outgoing(
  url: string,
  init: Omit<Partial<Outgoing>, 'headers'> & { headers?: HeadersInit } = {},
): Outgoing {
  return {
    url: new URL(url),
    method: init.method ?? 'GET',
    headers: HeaderFields.from(init.headers),
    body: init.body,
    options: init.options ?? {},
    signal: init.signal ?? null,
  }
}

/** The transport uses undici from then on: it has seen that the global fetch is Node's own, and has loaded the package. */
export async function undiciIsUsed(): Promise<void> {
  const server = await rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  try {
    for (let n = 0; n < 2; n += 1) await (await transportOver(undefined)(outgoing(server.url)).answer).response.text()
    if ((await dispatcherBehind(globalThis.fetch)) === null)
      throw new Error('the global fetch is not taken for Node’s own')
  } finally {
    await server.stop()
  }
}

/** Sends by the transport as the client has it when it was given no fetch. */
export function send(url: string, init?: Parameters<typeof outgoing>[1]): Promise<Incoming> {
  return transportOver(undefined)(outgoing(url, init)).answer
}

/** What a promise was rejected with. @throws when it was not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const nothing = Symbol('nothing')
  const outcome = await promise.then(
    () => nothing,
    (error: unknown) => error,
  )
  if (outcome === nothing) throw new Error('it was not rejected')
  return outcome
}

/** Comes true in its time. */
export async function until(what: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs
  while (!what()) {
    if (Date.now() > end) throw new Error('it never came true')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
