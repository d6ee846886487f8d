// A real HTTP hop between client and gateway that notes what passes and can change it: for faults of the way between.
// Must never change anything unless it was asked to, and never print what it noted: credentials are in it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

type Bytes = Uint8Array<ArrayBuffer>

/** A request on one side of the hop. */
export interface WireRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Headers
  body: Bytes
}

/** An answer on one side of the hop. */
export interface WireAnswer {
  status: number
  readonly headers: Headers
  body: Bytes
}

/** One request and its answer, on both sides of the hop. */
export interface WireExchange {
  /** As the client sent it. */
  readonly sent: WireRequest
  /** As the gateway got it. */
  readonly forwarded: WireRequest
  /** As the gateway gave it. */
  readonly answered: WireAnswer
  /** As the client got it. */
  readonly delivered: WireAnswer
  /** What was changed between the two sides, in words. */
  readonly changes: readonly string[]
}

/** A change of what passes. It strikes the first `times` messages that it says yes to. */
export interface WireChange<Message> {
  /** In words, for whoever reads the recording. */
  readonly what: string
  readonly times?: number
  /** Changes the message; false when this is not the one it waits for. */
  readonly change: (message: Message, request: WireRequest) => boolean
}

export interface Wire {
  readonly url: string
  readonly exchanges: readonly WireExchange[]
  changeRequest(change: WireChange<WireRequest>): void
  changeAnswer(change: WireChange<WireAnswer>): void
  stop(): Promise<void>
}

export interface WireOptions {
  /** Origin of the gateway. */
  readonly target: string
  /** Called with every exchange before the client gets its answer. */
  readonly observe?: (exchange: WireExchange) => Promise<void>
}

/** Headers that belong to one connection, or that the next hop writes anew. */
const OF_ONE_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host', 'expect']

/** Longer than any credential: what is too long is for the gateway to refuse. */
const MAX_HEADER_BYTES = 65_536

interface PlannedChange<Message> extends WireChange<Message> {
  left: number
}

/** Whether a request carries a payment credential, or what is left of one. */
export function carriesCredential(request: WireRequest): boolean {
  return /^payment /i.test(request.headers.get('authorization') ?? '')
}

/** Starts the hop on a free port of this machine. */
export async function startWire({ target, observe }: WireOptions): Promise<Wire> {
  const exchanges: WireExchange[] = []
  const ofRequests: PlannedChange<WireRequest>[] = []
  const ofAnswers: PlannedChange<WireAnswer>[] = []

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const sent = await readRequest(incoming)
    const forwarded = { ...sent, headers: new Headers(sent.headers) }
    const changes = applyAll(ofRequests, forwarded, sent)
    const answered = await forward(target, forwarded)
    const delivered = { ...answered, headers: new Headers(answered.headers) }
    changes.push(...applyAll(ofAnswers, delivered, sent))
    const exchange = { sent, forwarded, answered, delivered, changes }
    exchanges.push(exchange)
    await observe?.(exchange)
    outgoing.writeHead(delivered.status, Object.fromEntries(delivered.headers)).end(delivered.body)
  }

  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (incoming, outgoing) => {
    // Whatever breaks here breaks the connection: the client sees it as what it is.
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the wire has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    exchanges,
    changeRequest: (change) => ofRequests.push({ ...change, left: change.times ?? 1 }),
    changeAnswer: (change) => ofAnswers.push({ ...change, left: change.times ?? 1 }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function applyAll<Message>(planned: PlannedChange<Message>[], message: Message, request: WireRequest): string[] {
  const applied: string[] = []
  for (const plan of planned) {
    if (plan.left <= 0 || !plan.change(message, request)) continue
    plan.left -= 1
    applied.push(plan.what)
  }
  return applied
}

async function readRequest(incoming: IncomingMessage): Promise<WireRequest> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (typeof value === 'string' && !OF_ONE_HOP.includes(name)) headers.set(name, value)
  }
  return {
    method: incoming.method ?? 'GET',
    path: incoming.url ?? '/',
    headers,
    body: new Uint8Array(await buffer(incoming)),
  }
}

async function forward(target: string, { method, path, headers, body }: WireRequest): Promise<WireAnswer> {
  const response = await fetch(target + path, {
    method,
    headers,
    redirect: 'manual',
    ...(method !== 'GET' && method !== 'HEAD' && { body }),
  })
  const kept = new Headers(response.headers)
  for (const name of OF_ONE_HOP) kept.delete(name)
  return { status: response.status, headers: kept, body: new Uint8Array(await response.arrayBuffer()) }
}
