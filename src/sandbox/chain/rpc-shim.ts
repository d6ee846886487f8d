// The JSON-RPC endpoint of the local chain: anvil, plus what the native channel reserve does that a contract cannot.
// Must never answer for the chain where the chain can answer itself, listen beyond this machine, answer a page from
// elsewhere, or hand on what is not one of the public methods.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createBroadcasts } from './broadcasts.js'
import { isLocalCaller } from './callers.js'
import { isPublic } from './public-methods.js'
import { createSimulations, withoutFees } from './simulations.js'
import { type RpcRequest, type RpcResponse, rpcRequestSchema, Upstream } from './upstream.js'

/** The limit that anvil itself has. */
const MAX_BODY_BYTES = 2 * 1024 * 1024
/** Ethereum nodes cap batches too; anvil would work through any. */
const MAX_BATCH = 1_000

/** JSON-RPC's own codes. */
const PARSE_ERROR = -32700
const INVALID_REQUEST = -32600
const METHOD_NOT_FOUND = -32601
const INTERNAL_ERROR = -32603

const NOT_PUBLIC =
  'This method is not offered here. Methods that administer the chain are called in the program that started it: ' +
  'admin.request() of startSandbox() or startChain()'

// Pages from elsewhere are refused before this; those of this machine may be on any port.
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
 * Only public methods are taken, and only from programs and pages of this machine. What has nothing to do with the
 * channel reserve goes through as it is, errors come back unchanged. HTTP only, no WebSocket. Transactions that the node
 * signs itself (`eth_sendTransaction`) cannot open channels: their hash is not known beforehand.
 *
 * @param upstreamUrl - Where anvil listens.
 * @param free - Whether fees are zero on this chain.
 */
export async function startRpcShim(upstreamUrl: string, { free }: { free: boolean }): Promise<RpcShim> {
  const upstream = new Upstream(upstreamUrl)
  const answer = createAnswer(upstream, free)

  const server = createServer((request, response) => {
    serve(request, response, answer).catch(() => {
      // The chain is gone, or said something that is not JSON-RPC. What it was stays out of the answer.
      if (!response.headersSent) reply(response, 502, body('The local chain does not answer', INTERNAL_ERROR))
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
  return async (request) => {
    if (!isPublic(request.method)) return refusal(NOT_PUBLIC, METHOD_NOT_FOUND, request.id)
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
        return free ? { jsonrpc: '2.0', id: request.id, result: '0x0' } : upstream.send(request)
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

async function serve(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  if (!isLocalCaller(request.headers)) {
    return reply(response, 403, body('Only programs and pages of this machine may call the local chain'))
  }
  if (request.method === 'OPTIONS') return reply(response, 204)
  if (request.method !== 'POST') return reply(response, 405, body('Use POST'), { allow: 'POST, OPTIONS' })
  const sent = await readBody(request)
  if (sent === undefined) return reply(response, 413, body('The request is too large'), { connection: 'close' })

  const message = parse(sent)
  if (message === undefined) return reply(response, 200, body('The request is not JSON', PARSE_ERROR))
  if (!Array.isArray(message)) return reply(response, 200, JSON.stringify(await answerEntry(message, answer)))
  if (message.length > MAX_BATCH) return reply(response, 413, body('The batch is too large'))
  if (message.length === 0) return reply(response, 200, body('The batch is empty'))
  const answers = await Promise.all(message.map((entry) => answerEntry(entry, answer)))
  reply(response, 200, JSON.stringify(answers))
}

/** Nothing reaches the chain that was not read: what anvil would make of it is not known. */
async function answerEntry(entry: unknown, answer: Answer): Promise<RpcResponse> {
  const request = rpcRequestSchema.safeParse(entry)
  return request.success
    ? answer(request.data)
    : refusal('This is not a JSON-RPC 2.0 request with a list of parameters')
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

/** @returns Undefined for what is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refusal(message: string, code = INVALID_REQUEST, id: RpcResponse['id'] = null): RpcResponse {
  return { jsonrpc: '2.0', id, error: { code, message } }
}

function body(message: string, code?: number): string {
  return JSON.stringify(refusal(message, code))
}

function reply(response: ServerResponse, status: number, text = '', headers: Record<string, string> = {}): void {
  const type = text === '' ? {} : { 'content-type': 'application/json' }
  response.writeHead(status, { ...CORS, ...type, ...headers }).end(text)
}
