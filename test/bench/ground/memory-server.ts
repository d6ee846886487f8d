// A gateway that answers 402 and then 200 from memory, in a process of its own, so that what is measured is the client.
// Must never verify or meter anything: it is fast because it is no gateway.

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { challengeWriter, claimOf, REFUSAL, receiptFor } from './terms.js'

/** Longer than any credential. */
const MAX_HEADER_BYTES = 65_536

const challenge = challengeWriter()
/** Bodies of one length are the same body here: digests and answers are made once. */
const known = new Map<number, { readonly digest: string; readonly answer: Buffer }>()
let spent = 0n

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

function answer(incoming: IncomingMessage, outgoing: ServerResponse, body: readonly Buffer[]): void {
  const memory = memoryOf(body)
  const { authorization } = incoming.headers
  if (authorization?.startsWith('Payment ') !== true) {
    outgoing.writeHead(402, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(REFUSAL),
      'www-authenticate': challenge(memory.digest),
    })
    outgoing.end(REFUSAL)
    return
  }
  // One base unit a request: a bucket lasts for a million of them.
  spent += 1n
  outgoing.writeHead(200, {
    'content-type': 'application/json',
    'content-length': memory.answer.byteLength,
    'payment-receipt': receiptFor(claimOf(authorization), spent),
  })
  outgoing.end(memory.answer)
}

const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
  const body: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => body.push(chunk))
  incoming.on('end', () => answer(incoming, outgoing, body))
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  process.send?.({ url: `http://127.0.0.1:${address.port}` })
})
process.on('disconnect', () => process.exit())
