// The JSON-RPC endpoint of the local chain: anvil, plus what the native channel reserve does that a contract cannot.
// Must never answer for the chain where the chain can answer itself, nor listen beyond this machine.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createBroadcasts } from './broadcasts.js'
import { createSimulations, withoutFees } from './simulations.js'
import { type RpcRequest, type RpcResponse, rpcRequestSchema, Upstream } from './upstream.js'

/** The limit that anvil itself has. */
const MAX_BODY_BYTES = 2 * 1024 * 1024
/** Ethereum nodes cap batches too; anvil would work through any. */
const MAX_BATCH = 1_000

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST',
  'access-control-allow-headers': '*',
}

export interface RpcShim {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Starts the endpoint on a free port.
 *
 * Requests that have nothing to do with the channel reserve go through unread, errors come back unchanged. HTTP only,
 * no WebSocket. Transactions that the node signs itself (`eth_sendTransaction`) cannot open channels: their hash is
 * not known beforehand.
 *
 * @param upstreamUrl - Where anvil listens.
 * @param free - Whether fees are zero on this chain.
 */
export async function startRpcShim(upstreamUrl: string, { free }: { free: boolean }): Promise<RpcShim> {
  const upstream = new Upstream(upstreamUrl)
  const answer = createAnswer(upstream, free)

  const server = createServer((request, response) => {
    serve(request, response, upstream, answer).catch(() => {
      // The chain is gone, or said something that is not JSON-RPC. What it was stays out of the answer.
      if (!response.headersSent) reply(response, 502, failure('The local chain does not answer', -32603))
      else response.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('The JSON-RPC endpoint has no port')

  return {
    url: `http://127.0.0.1:${bound.port}`,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

type Answer = (request: RpcRequest) => Promise<RpcResponse>

function createAnswer(upstream: Upstream, free: boolean): Answer {
  const broadcasts = createBroadcasts(upstream)
  const simulations = createSimulations(upstream, { free })
  return (request) => {
    switch (request.method) {
      case 'eth_sendRawTransaction':
      case 'eth_sendRawTransactionSync':
        return broadcasts.send(request)
      case 'eth_call':
      case 'eth_estimateGas':
      case 'eth_fillTransaction':
      case 'eth_simulateV1':
        return simulations.answer(request)
      case 'eth_sendTransaction':
        return upstream.send(free ? offerNoFees(request) : request)
      case 'eth_maxPriorityFeePerGas':
        // anvil suggests a tip even when told that there is no minimum.
        return free ? Promise.resolve({ jsonrpc: '2.0', id: request.id, result: '0x0' }) : upstream.send(request)
      default:
        return upstream.send(request)
    }
  }
}

function offerNoFees(request: RpcRequest): RpcRequest {
  const [given, ...rest] = request.params
  if (typeof given !== 'object' || given === null) return request
  return { ...request, params: [withoutFees({ ...given }), ...rest] }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  upstream: Upstream,
  answer: Answer,
): Promise<void> {
  if (request.method === 'OPTIONS') return reply(response, 204)
  if (request.method !== 'POST') return reply(response, 405, failure('Use POST'), { allow: 'POST, OPTIONS' })
  const body = await readBody(request)
  if (body === undefined) return reply(response, 413, failure('The request is too large'), { connection: 'close' })

  const message = parse(body)
  if (Array.isArray(message) && message.length > MAX_BATCH) {
    return reply(response, 413, failure('The batch is too large'))
  }
  const requests = (Array.isArray(message) ? message : [message]).map((entry) => rpcRequestSchema.safeParse(entry))
  const readable = requests.flatMap((entry) => (entry.success ? [entry.data] : []))
  if (readable.length < requests.length || requests.length === 0) {
    // Not requests as we know them: what that means is for the chain to say.
    const answered = await upstream.post(body)
    return reply(response, answered.status, answered.body)
  }
  const answers = await Promise.all(readable.map(answer))
  reply(response, 200, JSON.stringify(Array.isArray(message) ? answers : answers[0]))
}

/** @returns Undefined when the body is larger than allowed. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    // Not JSON; the chain gets it as it is and answers accordingly.
    return undefined
  }
}

function failure(message: string, code = -32600): string {
  return JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } })
}

function reply(response: ServerResponse, status: number, body = '', headers: Record<string, string> = {}): void {
  const type = body === '' ? {} : { 'content-type': 'application/json' }
  response.writeHead(status, { ...CORS, ...type, ...headers }).end(body)
}
