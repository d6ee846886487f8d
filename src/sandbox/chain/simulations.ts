// Rewrites simulating requests so that opens, top-ups and Tempo's call lists run as they would on a chain with the
// native reserve. Must never write to the chain: what a simulation needs travels with it as a state override.
import { type Address, type Hex, isAddress, isHex, numberToHex, zeroAddress } from 'viem'
import { z } from 'zod'
import { withOverrides } from './overrides.js'
import type { EvmCall } from './raw-transaction.js'
import { reserveNeeds, SIMULATED_TRANSACTION } from './reserve-calls.js'
import type { StorageWrite } from './storage.js'
import type { RpcRequest, RpcResponse, Upstream } from './upstream.js'

const hex = z.custom<Hex>((value) => isHex(value))
const address = z.custom<Address>((value) => typeof value === 'string' && isAddress(value, { strict: false }))
const callSchema = z.looseObject({
  to: address.nullish(),
  value: hex.nullish(),
  data: hex.nullish(),
  input: hex.nullish(),
})
const transactionSchema = callSchema.extend({
  from: address.nullish(),
  gas: hex.nullish(),
  calls: z.array(callSchema).nullish(),
})
type Transaction = z.output<typeof transactionSchema>

const simulatedBlocksSchema = z
  .array(
    z.looseObject({
      calls: z.array(
        z.looseObject({
          status: hex,
          gasUsed: hex,
          returnData: hex.default('0x'),
          error: z.looseObject({ message: z.string() }).optional(),
        }),
      ),
    }),
  )
  .min(1)
const blockStateCallsSchema = z.looseObject({
  blockStateCalls: z.array(
    z.looseObject({ calls: z.array(z.unknown()).optional(), stateOverrides: z.unknown().optional() }),
  ),
})

/** What `eth_call`, `eth_estimateGas`, `eth_fillTransaction` and `eth_simulateV1` share. */
export interface Simulations {
  /** Answers the request, with the chain's help. */
  answer(request: RpcRequest): Promise<RpcResponse>
}

/** @param free - Whether fees are zero on this chain, so that filled transactions must not offer any. */
export function createSimulations(upstream: Upstream, { free }: { free: boolean }): Simulations {
  return {
    answer(request) {
      switch (request.method) {
        case 'eth_simulateV1':
          return simulateBlocks(upstream, request)
        case 'eth_fillTransaction':
          return fillTransaction(upstream, request, free)
        default:
          return simulateOne(upstream, request)
      }
    },
  }
}

/** `eth_call` and `eth_estimateGas`: (transaction, block, state overrides, block overrides). */
async function simulateOne(upstream: Upstream, request: RpcRequest): Promise<RpcResponse> {
  const [given, block = 'latest', own, ...rest] = request.params
  const transaction = transactionSchema.safeParse(given)
  if (!transaction.success) return upstream.send(request)
  if (hasCallList(transaction.data)) {
    const run = await runCallList(upstream, request, transaction.data, block, own)
    if ('refused' in run) return run.refused
    const result = request.method === 'eth_call' ? run.returnData : numberToHex(run.gas)
    return { jsonrpc: '2.0', id: request.id, result }
  }
  const writes = neededWrites(evmCalls(transaction.data))
  if (writes.length === 0) return upstream.send(request)
  const overrides = withOverrides(own, writes)
  if (overrides === undefined) return upstream.send(request)
  return upstream.send({ ...request, params: [given, block, overrides, ...rest] })
}

/**
 * `eth_fillTransaction`: (transaction). anvil drops the call list of a Tempo transaction and estimates the gas of a
 * call to nothing, and it takes no overrides. So gas is estimated here and given to anvil as settled. Its `raw` still
 * encodes no calls; clients sign what they asked for with the fields that were filled in.
 */
async function fillTransaction(upstream: Upstream, request: RpcRequest, free: boolean): Promise<RpcResponse> {
  const [given, ...rest] = request.params
  const transaction = transactionSchema.safeParse(given)
  if (!transaction.success) return upstream.send(request)

  let { gas } = transaction.data
  if (!gas && (hasCallList(transaction.data) || neededWrites(evmCalls(transaction.data)).length > 0)) {
    const run = await runCallList(upstream, request, transaction.data, 'latest', undefined)
    if ('refused' in run) return run.refused
    gas = numberToHex(run.gas)
  }
  const asked = defined({ ...transaction.data, gas })
  const offered = free ? withoutFees(asked) : asked
  const response = await upstream.send({ ...request, params: [offered, ...rest] })
  const filled = z.looseObject({ tx: z.looseObject({}) }).safeParse(response.result)
  if (!filled.success) return response
  const kept = Object.fromEntries(Object.entries(offered).filter(([name]) => LOST_BY_ANVIL.includes(name)))
  return { ...response, result: { ...filled.data, tx: { ...filled.data.tx, ...kept } } }
}

const LOST_BY_ANVIL = ['calls', 'validAfter', 'validBefore', 'maxFeePerGas', 'maxPriorityFeePerGas']

/** The transaction with fees of zero where it names none: anvil suggests a tip even when told there is no minimum. */
export function withoutFees(transaction: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const none = transaction.gasPrice === undefined ? { maxFeePerGas: '0x0', maxPriorityFeePerGas: '0x0' } : {}
  return { ...none, ...transaction }
}

/** `eth_simulateV1`: ({ blockStateCalls }, block). Call lists of one call are spelled out for anvil. */
async function simulateBlocks(upstream: Upstream, request: RpcRequest): Promise<RpcResponse> {
  const [given, ...rest] = request.params
  const payload = blockStateCallsSchema.safeParse(given)
  if (!payload.success) return upstream.send(request)
  const calls: EvmCall[] = []
  const blocks = payload.data.blockStateCalls.map((block) => ({
    ...block,
    calls: (block.calls ?? []).map((entry) => {
      const transaction = transactionSchema.safeParse(entry)
      if (!transaction.success) return entry
      const list = evmCalls(transaction.data)
      calls.push(...list)
      const [only] = list
      return hasCallList(transaction.data) && list.length === 1 && only ? plain(only) : entry
    }),
  }))
  const writes = neededWrites(calls)
  const [first, ...others] = blocks
  const overrides = first && writes.length > 0 ? withOverrides(first.stateOverrides, writes) : undefined
  const prepared = first && overrides !== undefined ? [{ ...first, stateOverrides: overrides }, ...others] : blocks
  return upstream.send({ ...request, params: [{ ...payload.data, blockStateCalls: prepared }, ...rest] })
}

/** Runs a Tempo call list one call after the other on a throw-away state, stopping at the first that reverts. */
async function runCallList(
  upstream: Upstream,
  request: RpcRequest,
  transaction: Transaction,
  block: unknown,
  own: unknown,
): Promise<{ readonly gas: bigint; readonly returnData: Hex } | { readonly refused: RpcResponse }> {
  const calls = evmCalls(transaction)
  const overrides = withOverrides(own, neededWrites(calls)) ?? own
  const response = await upstream.send({
    ...request,
    method: 'eth_simulateV1',
    params: [{ blockStateCalls: [{ stateOverrides: overrides, calls: calls.map(plain) }] }, block],
  })
  if (response.error !== undefined) return { refused: response }
  const results = simulatedBlocksSchema.parse(response.result)[0]?.calls ?? []
  const failed = results.find((result) => BigInt(result.status) === 0n)
  if (failed) {
    // The shape in which anvil, like other nodes, reports a reverted eth_call.
    const error = { code: 3, message: 'execution reverted', data: failed.returnData }
    return { refused: { jsonrpc: '2.0', id: request.id, error } }
  }
  // Each result counts the cost of a transaction of its own, more than a call in a list costs. A quarter on top covers
  // what a call needs to hold back while it runs.
  const gas = results.reduce((sum, result) => sum + BigInt(result.gasUsed), 0n)
  return { gas: (gas * 5n) / 4n, returnData: results.at(-1)?.returnData ?? '0x' }
}

function hasCallList(transaction: Transaction): boolean {
  return (transaction.calls?.length ?? 0) > 0
}

function evmCalls(transaction: Transaction): readonly EvmCall[] {
  const from = transaction.from ?? zeroAddress
  return (transaction.calls?.length ? transaction.calls : [transaction]).map((call) => ({
    from,
    to: call.to ?? undefined,
    // '0x' is how Tempo clients write no value.
    value: call.value && call.value !== '0x' ? call.value : undefined,
    data: call.data ?? call.input ?? '0x',
  }))
}

function plain({ from, to, value, data }: EvmCall): Record<string, unknown> {
  return defined({ from, to, value, data })
}

function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))
}

function neededWrites(calls: readonly EvmCall[]): readonly StorageWrite[] {
  const { allowances, openContexts } = reserveNeeds(calls, SIMULATED_TRANSACTION)
  return [...allowances, ...openContexts]
}
