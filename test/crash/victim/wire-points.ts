// A fetch whose sends and answers are points of the journal, for requests to the gateway and transactions to the node.
// Must never change what is sent, but for a header that tells the one it arrives at to end this process.

import { parseCredential } from '../../../src/protocol/index.js'
import { DOOM_HEADER } from './doom.js'
import type { Points } from './points.js'

/** What a request to the gateway is, by its credential. */
function actionOf(init: RequestInit | undefined): string {
  const authorization = new Headers(init?.headers).get('authorization')
  if (authorization === null) return 'unpaid'
  const read = parseCredential(authorization)
  return read.ok ? read.value.payload.action : 'unreadable'
}

async function sending(
  points: Points,
  what: string,
  init: RequestInit | undefined,
  send: (init: RequestInit | undefined) => Promise<Response>,
): Promise<Response> {
  points.at(`before send of ${what}`)
  if (points.isDoomed(`after send of ${what}`)) {
    const headers = new Headers(init?.headers)
    headers.set(DOOM_HEADER, 'yes')
    return send({ ...init, headers })
  }
  const response = await send(init)
  points.at(`after answer to ${what}`)
  return response
}

export function fetchWithPoints(points: Points): typeof globalThis.fetch {
  return (input, init) => sending(points, actionOf(init), init, (sent) => globalThis.fetch(input, sent))
}

/** For a node: only transactions are points, because reading changes nothing. */
export function rpcFetchWithPoints(points: Points): typeof globalThis.fetch {
  return (input, init) => {
    const isTransaction = typeof init?.body === 'string' && init.body.includes('eth_sendRawTransaction')
    if (!isTransaction) return globalThis.fetch(input, init)
    return sending(points, 'transaction', init, (sent) => globalThis.fetch(input, sent))
  }
}
