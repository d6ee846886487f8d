// The JSON-RPC endpoint: what it adds for opens and top-ups, and that it changes nothing else.
// Must never send anything but JSON-RPC over HTTP, as any client would.
import {
  type Address,
  encodeFunctionData,
  type Hex,
  type LocalAccount,
  numberToHex,
  parseEventLogs,
  type TransactionReceipt,
} from 'viem'
import { readContract, waitForTransactionReceipt } from 'viem/actions'
import { Abis, Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHANNEL_RESERVE, FEE_MANAGER } from '../../src/sandbox/chain/addresses.js'
import { SIMULATED_TRANSACTION } from '../../src/sandbox/chain/reserve-calls.js'
import { type LocalChain, startChain } from '../../src/sandbox/chain/start-chain.js'
import { openContextWrite } from '../../src/sandbox/chain/storage.js'

interface Answer {
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: string }
}

let chain: LocalChain
let payer: LocalAccount
let payee: LocalAccount

beforeAll(async () => {
  chain = await startChain()
  ;[payer, payee] = chain.accounts as [LocalAccount, LocalAccount]
})
afterAll(() => chain.stop())

async function post(body: string, init: RequestInit = {}): Promise<Response> {
  return fetch(chain.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body, ...init })
}

async function rpc(method: string, ...params: unknown[]): Promise<Answer> {
  return (await (await post(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }))).json()) as Answer
}

function openData(deposit = 5n): Hex {
  return encodeFunctionData(Actions.channel.open.call({ payee: payee.address, token: chain.token, deposit }))
}

const tokenBalance = (owner: Address, on: LocalChain = chain) =>
  readContract(on.client(), { address: on.token, abi: Abis.tip20, functionName: 'balanceOf', args: [owner] })

describe('simulations', () => {
  test.each(['plain', 'call list'])('an open can be called, estimated, filled and simulated (%s)', async (kind) => {
    const data = openData()
    const call = { to: CHANNEL_RESERVE, data }
    const request =
      kind === 'plain'
        ? { from: payer.address, ...call }
        : { from: payer.address, type: '0x76', calls: [{ ...call, value: '0x' }], feeToken: chain.token }

    expect((await rpc('eth_call', request, 'latest')).result).toMatch(/^0x[0-9a-f]{64}$/)
    expect(Number((await rpc('eth_estimateGas', request)).result)).toBeGreaterThan(300_000)
    const simulated = (await rpc('eth_simulateV1', { blockStateCalls: [{ calls: [request] }] }, 'latest')).result
    expect(simulated).toMatchObject([{ calls: [{ status: '0x1' }] }])
    if (kind === 'call list') {
      const filled = (await rpc('eth_fillTransaction', { ...request, validBefore: '0x7fffffff' })).result
      expect(filled).toMatchObject({
        tx: { calls: request.calls, validBefore: '0x7fffffff', maxFeePerGas: '0x0', maxPriorityFeePerGas: '0x0' },
      })
    }
  })

  test('leave nothing behind that a real open could use', async () => {
    const data = openData()
    const request = { from: payer.address, to: CHANNEL_RESERVE, data }
    expect((await rpc('eth_call', request, 'latest')).error).toBeUndefined()
    expect((await rpc('eth_estimateGas', request)).error).toBeUndefined()
    const { slot } = openContextWrite(payer.address, data, SIMULATED_TRANSACTION)
    expect((await rpc('eth_getStorageAt', CHANNEL_RESERVE, slot, 'latest')).result).toBe(`0x${'0'.repeat(64)}`)

    // The node signs for its own accounts; such a transaction passes by what prepares real opens.
    const sent = await rpc('eth_sendTransaction', { ...request, gas: '0x200000' })
    const receipt = await waitForTransactionReceipt(chain.client(), { hash: sent.result as Hex })
    expect(receipt.status).toBe('reverted')
  })

  test('say what would go wrong, in the reserve’s own errors', async () => {
    const data = openData(0n)
    const plain = await rpc('eth_call', { from: payer.address, to: CHANNEL_RESERVE, data }, 'latest')
    const listed = await rpc('eth_call', { from: payer.address, calls: [{ to: CHANNEL_RESERVE, data }] }, 'latest')
    expect(plain.error).toMatchObject({ code: 3, data: '0x56316e87' })
    expect(listed.error).toMatchObject({ code: 3, data: '0x56316e87' })
    for (const method of ['eth_estimateGas', 'eth_fillTransaction']) {
      const answer = await rpc(method, { from: payer.address, type: '0x76', calls: [{ to: CHANNEL_RESERVE, data }] })
      expect(answer).toMatchObject({ id: 7, error: { code: 3 } })
    }
  })

  test('a call list runs in order and ends at the first failure', async () => {
    const transfer = (amount: bigint) => ({
      to: chain.token,
      data: encodeFunctionData({ abi: Abis.tip20, functionName: 'transfer', args: [payee.address, amount] }),
    })
    const all = await tokenBalance(payer.address)
    const run = (...amounts: bigint[]) =>
      rpc('eth_call', { from: payer.address, calls: amounts.map(transfer) }, 'latest')
    expect((await run(all - 1n, 1n)).result).toMatch(/1$/)
    expect((await run(all, 1n)).error?.code).toBe(3)
    expect(await tokenBalance(payer.address)).toBe(all)
  })

  test('the client’s own overrides win and stay', async () => {
    const data = openData()
    const other = chain.accounts[5]?.address as Address
    const { slot } = openContextWrite(other, data, SIMULATED_TRANSACTION)
    const request = { from: other, to: CHANNEL_RESERVE, data }
    const call = (value: Hex) =>
      rpc('eth_call', request, 'latest', {
        [CHANNEL_RESERVE.toUpperCase().replace('0X', '0x')]: { stateDiff: { [slot]: value } },
      })
    const [one, two, without] = [
      await call(numberToHex(1, { size: 32 })),
      await call(numberToHex(2, { size: 32 })),
      await rpc('eth_call', request, 'latest'),
    ]
    expect(new Set([one.result, two.result, without.result]).size).toBe(3)
    expect((await rpc('eth_call', request, 'latest', 'nonsense')).error).toBeDefined()
  })
})

describe('transactions of other types', () => {
  test('an EIP-1559 open is known by the hash of what was signed, too', async () => {
    if (!payer.signTransaction) throw new Error('The account cannot sign')
    const nonce = Number((await rpc('eth_getTransactionCount', payer.address, 'latest')).result)
    const signed = await payer.signTransaction({
      type: 'eip1559',
      chainId: chain.chainId,
      nonce,
      to: CHANNEL_RESERVE,
      data: openData(),
      gas: 2_000_000n,
      maxFeePerGas: 0n,
      maxPriorityFeePerGas: 0n,
    })
    const receipt = (await rpc('eth_sendRawTransactionSync', signed)).result as TransactionReceipt
    const [event] = parseEventLogs({
      abi: Abis.tip20ChannelReserve,
      eventName: 'ChannelOpened',
      logs: receipt.logs,
    })
    expect(event?.args.payer).toBe(payer.address)
    expect(event?.args.expiringNonceHash).toMatch(/^0x[0-9a-f]{64}$/)
  })

  test('what cannot be read goes to the chain, whose words come back', async () => {
    for (const raw of ['0x76c0', '0x02', '0x', 'nonsense', 5, undefined]) {
      expect((await rpc('eth_sendRawTransaction', raw)).error).toBeDefined()
    }
  })
})

describe('fees', () => {
  test('are nothing by default, whatever a client asks the chain', async () => {
    expect((await rpc('eth_maxPriorityFeePerGas')).result).toBe('0x0')
    expect((await rpc('eth_gasPrice')).result).toBe('0x0')
    const before = await tokenBalance(payer.address)
    await Actions.token.transferSync(chain.client(), {
      account: payer,
      token: chain.token,
      to: payee.address,
      amount: 5n,
      feeToken: chain.token,
    })
    expect(await tokenBalance(payer.address)).toBe(before - 5n)
  })

  test('when charged, each is a transfer to the fee manager by whoever pays it', async () => {
    const charged = await startChain({ fees: 'charged' })
    try {
      const [from, to, sponsor] = charged.accounts as [LocalAccount, LocalAccount, LocalAccount]
      for (const feePayer of [undefined, sponsor]) {
        const paying = feePayer ?? from
        const before = [await tokenBalance(from.address, charged), await tokenBalance(paying.address, charged)]
        const { receipt } = await Actions.channel.openSync(charged.client(), {
          account: from,
          payee: to.address,
          token: charged.token,
          deposit: 100n,
          feeToken: charged.token,
          ...(feePayer ? { feePayer } : {}),
        })
        const [fee, ...others] = parseEventLogs({ abi: Abis.tip20, eventName: 'Transfer', logs: receipt.logs }).filter(
          (log) => log.args.to.toLowerCase() === FEE_MANAGER,
        )
        expect(others).toEqual([])
        expect(fee?.args.from).toBe(paying.address)
        const paid = fee?.args.amount ?? 0n
        expect(paid).toBeGreaterThan(0n)
        expect(await tokenBalance(paying.address, charged)).toBe((before[1] ?? 0n) - paid - (feePayer ? 0n : 100n))
        if (feePayer) expect(await tokenBalance(from.address, charged)).toBe((before[0] ?? 0n) - 100n)
      }
    } finally {
      await charged.stop()
    }
  })
})

describe('the token', () => {
  test('adds up: every account holds what it was given, and the supply knows', async () => {
    const funded = await startChain({ accounts: 10, balance: 123n })
    const one = await startChain({ accounts: 10, balance: 124n })
    try {
      for (const account of funded.accounts) expect(await tokenBalance(account.address, funded)).toBe(123n)
      const supply = (on: LocalChain) =>
        readContract(on.client(), { address: on.token, abi: Abis.tip20, functionName: 'totalSupply' })
      expect((await supply(one)) - (await supply(funded))).toBe(10n)
    } finally {
      await Promise.all([funded.stop(), one.stop()])
    }
  })
})

describe('the endpoint and the clock', () => {
  test('takes batches and answers in order, opens among them', async () => {
    const requests = [
      { jsonrpc: '2.0', id: 'a', method: 'eth_chainId', params: [] },
      { jsonrpc: '2.0', id: 2, method: 'no_such_method', params: [] },
      {
        jsonrpc: '2.0',
        id: 3,
        method: 'eth_call',
        params: [{ from: payer.address, to: CHANNEL_RESERVE, data: openData() }, 'latest'],
      },
      { jsonrpc: '2.0', id: 4, method: 'eth_blockNumber' },
    ]
    const answers = (await (await post(JSON.stringify(requests))).json()) as Answer[]
    expect(answers.map((answer) => answer.id)).toEqual(['a', 2, 3, 4])
    expect(answers[0]?.result).toBe('0xa5bf')
    expect(answers[1]?.error?.code).toBe(-32601)
    expect(answers[2]?.result).toMatch(/^0x[0-9a-f]{64}$/)
  })

  test('refuses what is not JSON-RPC, in a batch only the entries that are not', async () => {
    for (const [body, code] of [
      ['{', -32700],
      ['[]', -32600],
      ['5', -32600],
      ['{"method":5}', -32600],
    ] as const) {
      expect(await (await post(body)).json()).toMatchObject({ id: null, error: { code } })
    }
    const mixed = await post('[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},7]')
    expect(await mixed.json()).toMatchObject([{ id: 1, result: '0xa5bf' }, { error: { code: -32600 } }])
  })

  test('is open to browsers, POST only, and caps what it reads', async () => {
    const preflight = await fetch(chain.rpcUrl, { method: 'OPTIONS' })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect((await fetch(chain.rpcUrl)).status).toBe(405)
    expect((await post(`"${'x'.repeat(2 * 1024 * 1024)}"`)).status).toBe(413)
    expect((await post(JSON.stringify(Array.from({ length: 1_001 }, () => ({}))))).status).toBe(413)
    expect((await rpc('eth_chainId')).result).toBe('0xa5bf')
  })

  test('the chain’s clock is the wall’s until it is advanced', async () => {
    const time = async () => {
      const block = (await rpc('eth_getBlockByNumber', 'latest', false)).result as { timestamp: Hex }
      return Number(block.timestamp)
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(Math.abs((await time()) - Date.now() / 1000)).toBeLessThan(3)
    await chain.advanceTime(1_000)
    expect((await time()) - Date.now() / 1000).toBeGreaterThan(990)
    await expect(chain.advanceTime(0)).rejects.toThrow(RangeError)
    await expect(chain.advanceTime(0.5)).rejects.toThrow(RangeError)
  })
})
