// A node that lies about the present: its height, its clock, and what a channel holds. All else is the chain's own.
// Must never lie inconsistently where a real liar would not: a block that it made up can be asked for.
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { decodeFunctionData, decodeFunctionResult, encodeFunctionResult, isHex } from 'viem'
import { Abis } from 'viem/tempo'
import { z } from 'zod'

const call = z.looseObject({ method: z.string(), params: z.array(z.unknown()).default([]), id: z.unknown() })
const answered = z.looseObject({ result: z.unknown().optional() })
const block = z.looseObject({ number: z.string(), timestamp: z.string() })
const asked = z.looseObject({ data: z.string().optional(), input: z.string().optional() })

/** A channel as the reserve shows it, in base units and chain seconds. */
export interface ShownChannel {
  readonly settled: bigint
  readonly deposit: bigint
  readonly closeRequestedAt: number
}

/** What is said in place of the truth. */
export interface Lies {
  /** Blocks that its newest one is ahead. */
  readonly blocks?: number
  /** Seconds that its clock is ahead. */
  readonly seconds?: number
  readonly channel?: (truth: ShownChannel, channelId: string | undefined) => ShownChannel
}

export interface LyingNode {
  readonly url: string
  /** From now on; nothing: the truth. */
  lies(lies: Lies): void
  stop(): Promise<void>
}

const MOVING: ReadonlySet<unknown> = new Set(['latest', 'pending'])
const abi = Abis.tip20ChannelReserve

export async function startLyingNode(target: string): Promise<LyingNode> {
  let { blocks = 0, seconds = 0, channel }: Lies = {}
  const hex = (value: number): string => `0x${value.toString(16)}`

  async function ask(method: string, params: readonly unknown[]): Promise<z.output<typeof answered>> {
    const response = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    return answered.parse(await response.json())
  }

  /** The true block that is meant by one of the made-up chain. */
  const trueBlock = (given: unknown): unknown =>
    typeof given === 'string' && /^0x/.test(given) && Number(given) >= blocks ? hex(Number(given) - blocks) : given

  /** A call of the channel reserve; undefined for another contract's. */
  function decoded(data: `0x${string}`) {
    try {
      return decodeFunctionData({ abi, data })
    } catch {
      return undefined
    }
  }

  function shown(data: unknown, result: unknown): unknown {
    if (channel === undefined || !isHex(data) || !isHex(result)) return result
    const called = decoded(data)
    if (called?.functionName === 'getChannelState') {
      const { functionName, args } = called
      const truth = decodeFunctionResult({ abi, functionName, data: result })
      return encodeFunctionResult({ abi, functionName, result: channel(truth, args[0]) })
    }
    if (called?.functionName === 'getChannelStatesBatch') {
      const { functionName, args } = called
      const lie = channel
      const truths = decodeFunctionResult({ abi, functionName, data: result })
      return encodeFunctionResult({ abi, functionName, result: truths.map((truth, at) => lie(truth, args[0][at])) })
    }
    return result
  }

  async function answer(method: string, params: readonly unknown[]): Promise<unknown> {
    if (method === 'eth_getBlockByNumber') {
      const { result } = await ask(method, [
        MOVING.has(params[0]) ? params[0] : trueBlock(params[0]),
        ...params.slice(1),
      ])
      const found = block.nullable().parse(result)
      if (found === null) return { result: null }
      const number = hex(Number(found.number) + blocks)
      return { result: { ...found, number, timestamp: hex(Number(found.timestamp) + seconds) } }
    }
    if (method === 'eth_call') {
      const [request, at, ...rest] = params
      const { data, input } = asked.parse(request)
      const said = await ask(method, [request, trueBlock(at), ...rest])
      return { ...said, ...('result' in said && { result: shown(data ?? input, said.result) }) }
    }
    if (method === 'eth_getLogs') {
      const filter = z.looseObject({ fromBlock: z.unknown(), toBlock: z.unknown() }).parse(params[0])
      return ask(method, [{ ...filter, toBlock: trueBlock(filter.toBlock) }])
    }
    return ask(method, params)
  }

  const server = createServer(async (incoming, outgoing) => {
    try {
      const { method, params, id } = call.parse(JSON.parse((await buffer(incoming)).toString()))
      const { id: _id, ...rest } = z.looseObject({}).parse(await answer(method, params))
      const text = JSON.stringify({ ...rest, jsonrpc: '2.0', id })
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
    lies: (next) => {
      blocks = next.blocks ?? 0
      seconds = next.seconds ?? 0
      channel = next.channel
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
