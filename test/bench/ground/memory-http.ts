// A gateway over HTTP that answers 402 and then 200 from memory, and counts what it was asked.
// Must never meter or recover a signer: it is fast because it is no gateway, but what it takes has the form of a payment.

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { challengeWriter, claimOf, REFUSAL, receiptFor, UNREADABLE } from './terms.js'

/** Longer than any credential. */
const MAX_HEADER_BYTES = 65_536

/** What a gateway has seen since it was started. */
export interface Traffic {
  readonly connections: number
  /** Requests without a credential. */
  readonly unpaid: number
  /** Requests with a credential that has the form of a payment. */
  readonly paid: number
  /** Requests whose credential had not. */
  readonly refused: number
}

export interface MemoryHttp {
  readonly url: string
  traffic(): Traffic
  /** Closes every connection, and then the port. */
  stop(): Promise<void>
}

/** Where the traffic can be asked for. */
export const TRAFFIC_PATH = '/traffic'

/** Starts the gateway. @param observe sees each credential that is taken. */
export async function startMemoryHttp(observe?: (authorization: string) => void): Promise<MemoryHttp> {
  const challenge = challengeWriter()
  /** Bodies of one length are the same body here: digests and answers are made once. */
  const known = new Map<number, { readonly digest: string; readonly answer: Buffer }>()
  let spent = 0n
  let [connections, unpaid, paid, refused] = [0, 0, 0, 0]
  const traffic = (): Traffic => ({ connections, unpaid, paid, refused })

  function memoryOf(body: readonly Buffer[]): { readonly digest: string; readonly answer: Buffer } {
    const length = body.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    const found = known.get(length)
    if (found !== undefined) return found
    const hash = createHash('sha256')
    for (const chunk of body) hash.update(chunk)
    const made = { digest: `sha-256=:${hash.digest('base64')}:`, answer: Buffer.alloc(length, 'an answer as long. ') }
    known.set(length, made)
    return made
  }

  function refuse(outgoing: ServerResponse, digest: string, body: string): void {
    outgoing.writeHead(402, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'www-authenticate': challenge(digest),
    })
    outgoing.end(body)
  }

  function answer(incoming: IncomingMessage, outgoing: ServerResponse, body: readonly Buffer[]): void {
    const { authorization } = incoming.headers
    if (incoming.url === TRAFFIC_PATH) {
      outgoing.end(JSON.stringify(traffic()))
      return
    }
    const memory = memoryOf(body)
    if (authorization === undefined) {
      unpaid += 1
      refuse(outgoing, memory.digest, REFUSAL)
      return
    }
    const claim = claimOf(authorization)
    if (claim === undefined) {
      refused += 1
      refuse(outgoing, memory.digest, UNREADABLE)
      return
    }
    paid += 1
    observe?.(authorization)
    // One base unit a request: a bucket lasts for a million of them.
    spent += 1n
    outgoing.writeHead(200, {
      'content-type': 'application/json',
      'content-length': memory.answer.byteLength,
      'payment-receipt': receiptFor(claim, spent),
    })
    outgoing.end(memory.answer)
  }

  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    const body: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => body.push(chunk))
    incoming.on('end', () => answer(incoming, outgoing, body))
  })
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    traffic,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
