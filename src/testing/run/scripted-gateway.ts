// A real HTTP server in front of any gateway that answers the next send as a script says, and passes on everything else.
// Must never answer by itself what no script asked for, and never show what it saw: credentials are in it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { formatReceipt, parseReceipt } from '../../protocol/index.js'
import type { GatewayAnswer } from '../model/causes.js'
import { createChallengeForge } from './challenge-forge.js'
import { type SendKind, sendKindOf } from './sends.js'

/** A gateway that a script can tell how to answer. */
export interface ScriptedGateway {
  /** The paid route. */
  readonly url: string
  /** The next request is answered like this. */
  answerNext(answer: GatewayAnswer): void | Promise<void>
  /** The next request's connection breaks before anything is carried out. */
  breakNext(): void | Promise<void>
  /** No connection is made until `comeBack`. */
  goDown(): Promise<void>
  comeBack(): Promise<void>
  /** The newest open or top-up that was not carried out reaches the gateway after all; false when there is none. */
  deliverLate(): Promise<boolean>
  /** When the newest short-lived challenge runs out, in milliseconds since the epoch. */
  expiry(): number | null
  stop(): Promise<void>
}

type Bytes = Uint8Array<ArrayBuffer>

interface Arrived {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  readonly body: Bytes
  readonly kind: SendKind
}

const OF_ONE_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'content-encoding',
  'host',
  'expect',
  'accept-encoding',
])
const MAX_HEADER_BYTES = 65_536

/** Starts the server on a free port of this machine, in front of the paid route `target`. */
export async function startScriptedGateway({ target }: { readonly target: string }): Promise<ScriptedGateway> {
  const { origin, pathname, search } = new URL(target)
  const forge = createChallengeForge()
  let due: GatewayAnswer | 'broken' | undefined
  let asked: Arrived | undefined
  let undelivered: Arrived | undefined
  let requests = 0

  async function forward(arrived: Arrived): Promise<Response> {
    const headers = new Headers(arrived.headers)
    const authorization = headers.get('authorization')
    if (authorization !== null) headers.set('authorization', forge.restore(authorization))
    const { method, path, body } = arrived
    return fetch(origin + path, { method, headers, redirect: 'manual', ...(body.length > 0 && { body }) })
  }

  /** Challenges that the gateway itself issues now, for the request that is being paid for. */
  async function freshChallenges(count: number, arrived: Arrived): Promise<readonly string[]> {
    const request = asked ?? arrived
    const headers = new Headers(request.headers)
    headers.delete('authorization')
    const given: string[] = []
    for (let at = 0; at < count; at += 1) {
      const response = await forward({ ...request, headers })
      await response.body?.cancel()
      const challenge = response.headers.get('www-authenticate')
      if (challenge === null) throw new Error('the gateway gives no challenge')
      given.push(challenge)
    }
    return given
  }

  async function scripted(answer: GatewayAnswer, arrived: Arrived): Promise<Response> {
    if (answer.carriedOut) return withReceipt(await forward(arrived), answer)
    if (carriesTransaction(arrived)) undelivered = arrived
    requests += 1
    const headers = new Headers({ 'content-type': 'application/json', 'x-request-id': `scripted-${requests}` })
    if (answer.retryAfter !== null) headers.set('retry-after', String(answer.retryAfter))
    const challenges = await freshChallenges(answer.challenges, arrived)
    if (challenges.length > 0) {
      const changed = challenges.map((challenge, at) => forge.change(challenge, at === 0 ? answer : after(answer)))
      headers.set('www-authenticate', changed.join(', '))
    }
    return new Response(bodyOf(answer), { status: answer.status, headers })
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const arrived = await read(incoming)
    const answer = due
    due = undefined
    // What no script speaks of is another process's, with another body: challenges for that are of no use to the flow.
    if (arrived.kind === 'unpaid' && answer !== undefined) asked = arrived
    if (answer === 'broken') {
      if (carriesTransaction(arrived)) undelivered = arrived
      outgoing.destroy()
      return
    }
    const response = answer === undefined ? await forward(arrived) : await scripted(answer, arrived)
    const headers = [...response.headers].filter(([name]) => !OF_ONE_HOP.has(name))
    // No connection is used twice: one that is refused is then refused before anything is sent.
    outgoing.writeHead(response.status, { ...Object.fromEntries(headers), connection: 'close' })
    outgoing.end(new Uint8Array(await response.arrayBuffer()))
  }

  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (incoming, outgoing) => {
    // Whatever breaks here breaks the connection: the client sees it as what it is.
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen(0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the scripted gateway has no port')
  const { port } = address
  return {
    url: `http://127.0.0.1:${port}${pathname}${search}`,
    answerNext: (answer) => {
      due = answer
    },
    breakNext: () => {
      due = 'broken'
    },
    goDown: close,
    comeBack: () => listen(port),
    async deliverLate() {
      const late = undelivered
      undelivered = undefined
      if (late === undefined) return false
      await (await forward(late)).arrayBuffer()
      return true
    },
    expiry: forge.expiry,
    stop: close,
  }
}

/** What the challenges after the first one of an answer are like. */
function after(answer: GatewayAnswer): GatewayAnswer {
  if (answer.challenge === 'before-another') return { ...answer, challenge: 'beyond-the-wallet' }
  return answer.challenge === 'beyond-the-wallet' ? { ...answer, challenge: 'usable' } : answer
}

function carriesTransaction({ kind }: Arrived): boolean {
  return kind === 'open' || kind === 'topUp'
}

async function read(incoming: IncomingMessage): Promise<Arrived> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (typeof value === 'string' && !OF_ONE_HOP.has(name)) headers.set(name, value)
  }
  return {
    method: incoming.method ?? 'POST',
    path: incoming.url ?? '/',
    headers,
    body: new Uint8Array(await buffer(incoming)),
    kind: sendKindOf(headers),
  }
}

function bodyOf({ code, problem }: GatewayAnswer): string {
  if (code !== null) return JSON.stringify({ error: { code, message: 'Scripted.' } })
  if (problem === null) return '{}'
  return JSON.stringify({ type: `https://paymentauth.org/problems/${problem}`, title: 'Scripted.' })
}

/** The gateway's own answer, with its receipt as the script wants it. */
function withReceipt(response: Response, { receipt }: GatewayAnswer): Response {
  if (receipt === 'good') return response
  const headers = new Headers(response.headers)
  const given = parseReceipt(headers.get('payment-receipt'))
  headers.delete('payment-receipt')
  if (receipt === 'for-another-channel' && given.ok) {
    headers.set('payment-receipt', formatReceipt({ ...given.value, channelId: `0x${'ee'.repeat(32)}` }))
  }
  return new Response(response.body, { status: response.status, headers })
}
