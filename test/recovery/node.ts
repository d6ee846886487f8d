// A node between client and chain that answers like nodes that lag: from the past, in turns with others, late, or not at all.
// Must never invent a state: the past it answers from is the chain's own, as of an earlier block.
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

const call = z.looseObject({ method: z.string(), params: z.array(z.unknown()).default([]), id: z.unknown() })
type Call = z.output<typeof call>
const answered = z.looseObject({ result: z.unknown().optional() })

export interface LaggingNode {
  readonly url: string
  /** Its newest block is `block` from now on; null: it has caught up. Transactions are passed on all the same. */
  stayAt(block: number | null): void
  /** One question in three is answered from the past, as behind a load balancer; which ones looks like chance. */
  takeTurns(on: boolean): void
  /** The block under way shows the right time even while the node lags, as it does where its clock makes it. */
  clockIsRight(on: boolean): void
  /** How long every answer takes, in milliseconds. */
  late(ms: number): void
  /** Nothing is answered at all. */
  hang(on: boolean): void
  /** Transactions of which this many have been taken are refused from then on. */
  takesTransactions(most: number): void
  /** Logs of more blocks than this at once are refused, as public nodes do. */
  givesLogsOf(most: number): void
  /** Called when a transaction is refused. */
  onRefused(listener: () => void): void
  /** The newest block of the chain itself. */
  newest(): Promise<number>
  stop(): Promise<void>
}

const MOVING: ReadonlySet<unknown> = new Set(['latest', 'pending', 'safe', 'finalized', undefined])

export async function startNode(target: string): Promise<LaggingNode> {
  let at: number | null = null
  let turns = false
  let rightClock = false
  let delay = 0
  let hanging = false
  let taken = 0
  let mostTaken = Number.POSITIVE_INFINITY
  let drawn = 1
  let mostBlocks = Number.POSITIVE_INFINITY
  let refused = (): void => undefined

  async function ask(method: string, params: readonly unknown[]): Promise<unknown> {
    const response = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    return response.json()
  }
  const resultOf = async (method: string, params: readonly unknown[]): Promise<unknown> =>
    answered.parse(await ask(method, params)).result

  const hex = (value: number): string => `0x${value.toString(16)}`
  const fails = (message: string) => ({ error: { code: -32000, message } })

  /** The block that a parameter means, or null when the node does not have it. */
  function blockIn(given: unknown, newest: number): string | null {
    if (MOVING.has(given)) return hex(newest)
    if (given === 'earliest') return '0x0'
    return typeof given === 'string' && Number(given) <= newest ? given : null
  }

  async function fromThePast({ method, params }: Call, newest: number): Promise<unknown> {
    switch (method) {
      case 'eth_blockNumber':
        return { result: hex(newest) }
      case 'eth_getBlockByNumber': {
        if (params[0] === 'pending' && rightClock) return ask(method, params)
        const block = blockIn(params[0], newest)
        return block === null ? { result: null } : ask(method, [block, ...params.slice(1)])
      }
      case 'eth_call':
      case 'eth_estimateGas': {
        const block = blockIn(params[1], newest)
        return block === null ? fails('header not found') : ask(method, [params[0], block, ...params.slice(2)])
      }
      case 'eth_getLogs': {
        const filter = z.looseObject({ fromBlock: z.unknown(), toBlock: z.unknown() }).parse(params[0])
        const fromBlock = blockIn(filter.fromBlock, newest)
        const toBlock = blockIn(filter.toBlock, newest) ?? hex(newest)
        return fromBlock === null ? { result: [] } : ask(method, [{ ...filter, fromBlock, toBlock }])
      }
      case 'eth_getTransactionReceipt': {
        const receipt = z
          .looseObject({ blockNumber: z.string() })
          .nullable()
          .parse(await resultOf(method, params))
        return { result: receipt !== null && Number(receipt.blockNumber) <= newest ? receipt : null }
      }
      default:
        return ask(method, params)
    }
  }

  async function answer(question: Call): Promise<unknown> {
    if (question.method === 'eth_sendRawTransaction') {
      if (taken >= mostTaken) {
        refused()
        return fails('this node takes no transactions')
      }
      taken += 1
      return ask(question.method, question.params)
    }
    if (question.method === 'eth_getLogs') {
      const { fromBlock, toBlock } = z
        .looseObject({ fromBlock: z.string(), toBlock: z.string() })
        .parse(question.params[0])
      if (Number(toBlock) - Number(fromBlock) >= mostBlocks)
        return fails(`at most ${mostBlocks} blocks of logs at once`)
    }
    // The numbers of a fixed generator: every run of a test sees the same.
    drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0
    const past = at !== null && (!turns || drawn < 2 ** 32 / 3) ? at : null
    return past === null ? ask(question.method, question.params) : fromThePast(question, past)
  }

  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming)
    if (hanging) return
    try {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      const question = call.parse(JSON.parse(body.toString()))
      const { id: _id, ...rest } = z.looseObject({}).parse(await answer(question))
      const text = JSON.stringify({ ...rest, jsonrpc: '2.0', id: question.id })
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(text)
    } catch {
      // The chain itself is gone: the connection breaks, as it would without this node.
      outgoing.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the node has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    stayAt: (block) => {
      at = block
    },
    takeTurns: (on) => {
      turns = on
    },
    clockIsRight: (on) => {
      rightClock = on
    },
    late: (ms) => {
      delay = ms
    },
    hang: (on) => {
      hanging = on
    },
    takesTransactions: (most) => {
      mostTaken = most
      taken = 0
    },
    givesLogsOf: (most) => {
      mostBlocks = most
    },
    onRefused: (listener) => {
      refused = listener
    },
    newest: async () => Number(await resultOf('eth_blockNumber', [])),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
