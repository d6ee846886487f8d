// A real HTTP server in front of the sandbox that answers chosen sends by itself, as servers of other make would.
// Must never answer what no test asked it to: everything else reaches the sandbox, and comes back, as it is.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { decodeBase64url, encodeBase64url } from '../../src/protocol/base64url.js'
import {
  type Challenge,
  type Credential,
  formatChallenge,
  formatCredential,
  parseChallenges,
  parseCredential,
} from '../../src/protocol/index.js'
import type { WatchedGateway } from '../client/stage.js'

/** What a send is for, read from the credential it carries. */
export type SendKind = 'unpaid' | 'open' | 'voucher' | 'topUp' | 'close'

/** A request as the client sent it. */
export interface Send {
  readonly kind: SendKind
  /** Milliseconds since the epoch. */
  readonly at: number
  /** The bytes, in hex: equal texts are equal bytes. */
  readonly body: string
  readonly idempotencyKey: string | null
  readonly authorization: string | null
  readonly credential: Credential | undefined
}

/** A finished answer. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer> | string
}

/** Makes the answer to a send: an answer, or what becomes of the connection instead. */
export type Reply = (exchange: Exchange) => Promise<Answer | 'reset' | 'hang'> | Answer | 'reset' | 'hang'

/** What a reply can do with the request in hand. */
export interface Exchange {
  readonly send: Send
  /** Sends the request on, and gives the sandbox's answer to it. */
  pass(): Promise<Answer>
  /** A challenge that the sandbox issues for this very body, now. */
  challenge(): Promise<string>
  /** A request id that no other answer has. */
  readonly requestId: string
}

export interface ScriptedGateway {
  readonly chat: string
  readonly sends: readonly Send[]
  /** Ids of the challenges handed out, in order: the last one is the newest. */
  readonly challenges: readonly string[]
  readonly requestIds: readonly string[]
  /** The next sends of a kind get these replies, one each, before any that were asked for earlier are used up. */
  next(kind: SendKind, ...replies: Reply[]): void
  /** Every send of a kind gets this reply, once nothing else is due. */
  always(kind: SendKind, reply: Reply | undefined): void
  /** Changes the decoded `request` of every challenge on its way to the client. */
  alter(change: (request: Record<string, unknown>, details: Record<string, unknown>) => void): void
  /** Spells the encoded `request` of every challenge in another way. A credential must echo it as it was handed out. */
  respell(spelling: (request: string) => string): void
  /** Stops listening and cuts every connection, until it comes back on the same port. */
  goDown(): Promise<void>
  comeBack(): Promise<void>
  stop(): Promise<void>
}

const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'host',
  'expect',
  'accept-encoding',
]

/** Goes through to the sandbox and back. */
export const pass: Reply = (exchange) => exchange.pass()

/** Is carried out by the sandbox; the answer never arrives. */
export const answerLost: Reply = async (exchange): Promise<'reset'> => {
  await exchange.pass()
  return 'reset'
}

/** The sandbox's own answer, and the end of the connection: the next send needs a new one. */
export const passAndHangUp: Reply = async (exchange) => {
  const answer = await exchange.pass()
  answer.headers.set('connection', 'close')
  return answer
}

/** Cut off without an answer; nothing was carried out. */
export const reset: Reply = () => 'reset'

/** Never answered. */
export const hang: Reply = () => 'hang'

/** A bare status. */
export function status(code: number, headers: Record<string, string> = {}, body = ''): Reply {
  return ({ requestId }) => ({ status: code, headers: new Headers({ 'x-request-id': requestId, ...headers }), body })
}

export interface ProblemOptions {
  readonly status?: number
  /** Whether a fresh challenge comes with it. Default true. */
  readonly challenge?: boolean
  /** `root` is RFC 9457; `error` is the same type inside of `{"error":{…}}`. */
  readonly envelope?: 'root' | 'error'
  readonly more?: Record<string, unknown>
  readonly headers?: Record<string, string>
}

/** A standard problem: RFC 9457 details of a type under `https://paymentauth.org/problems/`. */
export function problem(type: string, options: ProblemOptions = {}): Reply {
  const { status = 402, challenge = true, envelope = 'root', more = {} } = options
  return async (exchange) => {
    const details = { type: `https://paymentauth.org/problems/${type}`, title: 'Refused.', status, ...more }
    const headers = new Headers({
      'content-type': envelope === 'root' ? 'application/problem+json' : 'application/json',
      'x-request-id': exchange.requestId,
      ...options.headers,
    })
    if (challenge) headers.set('www-authenticate', await exchange.challenge())
    return { status, headers, body: JSON.stringify(envelope === 'root' ? details : { error: details }) }
  }
}

export async function startScripted(gateway: WatchedGateway): Promise<ScriptedGateway> {
  const sends: Send[] = []
  const challenges: string[] = []
  const requestIds: string[] = []
  const due: { readonly kind: SendKind; readonly reply: Reply }[] = []
  const standing = new Map<SendKind, Reply>()
  const originals = new Map<string, { readonly original: Challenge; readonly handedOut: string }>()
  const hanging = new Set<ServerResponse>()
  let change: Parameters<ScriptedGateway['alter']>[0] | undefined
  let spelling: Parameters<ScriptedGateway['respell']>[0] | undefined

  /** The challenge as the client gets it; the sandbox's own is kept, to be put back into the credential. */
  function handOut(header: string): string {
    const list = parseChallenges(header)
    const original = list.ok ? list.value.challenges[0] : undefined
    if (original === undefined) throw new Error('the sandbox gave no challenge')
    if (change === undefined && spelling === undefined) {
      challenges.push(original.id)
      return header
    }
    const decoded = decodeBase64url(original.request)
    if (!decoded.ok) throw new Error('the request of a challenge cannot be read')
    const request = JSON.parse(new TextDecoder().decode(decoded.value))
    change?.(request, request.methodDetails)
    const encoded = encodeBase64url(JSON.stringify(request))
    const altered = { ...original, id: `altered-${original.id}`, request: spelling?.(encoded) ?? encoded }
    originals.set(altered.id, { original, handedOut: altered.request })
    challenges.push(altered.id)
    return formatChallenge(altered)
  }

  function restored(authorization: string): string {
    const read = parseCredential(authorization)
    const known = read.ok ? originals.get(read.value.challenge.id) : undefined
    // An echo that differs by a character is left as it is: the sandbox does not know such a challenge.
    const echoed = read.ok && known !== undefined && read.value.challenge.request === known.handedOut
    return echoed ? formatCredential({ ...read.value, challenge: known.original }) : authorization
  }

  async function ask(path: string, method: string, headers: Headers, body: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const sent = body.length > 0 ? { body } : {}
    const response = await fetch(gateway.url + path, { method, headers, redirect: 'manual', ...sent })
    const received = new Headers(response.headers)
    for (const name of HOP_BY_HOP) received.delete(name)
    const challenge = received.get('www-authenticate')
    if (challenge !== null) received.set('www-authenticate', handOut(challenge))
    requestIds.push(received.get('x-request-id') ?? '')
    return { status: response.status, headers: received, body: new Uint8Array(await response.arrayBuffer()) }
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = new Uint8Array(await buffer(incoming))
    const headers = new Headers()
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (typeof value === 'string' && !HOP_BY_HOP.includes(name)) headers.set(name, value)
    }
    const authorization = headers.get('authorization')
    const read = parseCredential(authorization ?? undefined)
    const credential = read.ok ? read.value : undefined
    const kind: SendKind = credential?.payload.action ?? 'unpaid'
    const idempotencyKey = headers.get('idempotency-key')
    const send = {
      kind,
      at: Date.now(),
      body: Buffer.from(body).toString('hex'),
      idempotencyKey,
      authorization,
      credential,
    }
    sends.push(send)
    if (authorization !== null) headers.set('authorization', restored(authorization))
    const path = incoming.url ?? '/'
    const planned = due.findIndex((entry) => entry.kind === kind)
    const reply = (planned >= 0 ? due.splice(planned, 1)[0]?.reply : undefined) ?? standing.get(kind) ?? pass
    const answer = await reply({
      send,
      requestId: `req-scripted-${sends.length}`,
      pass: () => ask(path, incoming.method ?? 'POST', headers, body),
      async challenge() {
        const bare = new Headers(headers)
        bare.delete('authorization')
        const { headers: given } = await ask(path, 'POST', bare, body)
        const challenge = given.get('www-authenticate')
        if (challenge === null) throw new Error('the sandbox gave no challenge')
        return challenge
      },
    })
    if (answer === 'hang') hanging.add(outgoing)
    else if (answer === 'reset') outgoing.destroy()
    else {
      requestIds.push(answer.headers.get('x-request-id') ?? '')
      outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(answer.body)
    }
  }

  const server = createServer({ maxHeaderSize: 65_536 }, (incoming, outgoing) => {
    // Whatever breaks here breaks the connection: the test sees it as what it is.
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the scripted gateway has no port')
  const { port } = address
  const goDown = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    chat: `http://127.0.0.1:${port}/v1/mpp/chat/completions`,
    sends,
    challenges,
    requestIds,
    next: (kind, ...replies) => void due.push(...replies.map((reply) => ({ kind, reply }))),
    always(kind, reply) {
      if (reply === undefined) standing.delete(kind)
      else standing.set(kind, reply)
    },
    alter: (given) => {
      change = given
    },
    respell: (given) => {
      spelling = given
    },
    goDown,
    comeBack: () => listen(port),
    async stop() {
      for (const outgoing of hanging) outgoing.destroy()
      await goDown()
    },
  }
}
