// Sends raw transactions on, after giving the channel reserve contract what the native one would know by itself.
// Must never let two transactions that prepare the same storage overlap.
import { isHex } from 'viem'
import { readRawTransaction } from './raw-transaction.js'
import { reserveNeeds } from './reserve-calls.js'
import type { StorageWrite } from './storage.js'
import type { RpcCall, RpcRequest, RpcResponse, Upstream } from './upstream.js'

/** How long the next transaction that opens a channel waits for this one to be mined. Blocks come every second. */
const MINED_WITHIN_MS = 2_500
const NOTHING = `0x${'0'.repeat(64)}` as const

export interface Broadcasts {
  /** `eth_sendRawTransaction` and `eth_sendRawTransactionSync`; the answer is the chain's own. */
  send(request: RpcRequest): Promise<RpcResponse>
}

export function createBroadcasts(upstream: Upstream): Broadcasts {
  // The last link of a chain of promises: whoever opens a channel queues behind whoever did before.
  let queue: Promise<unknown> = Promise.resolve()

  return {
    async send(request) {
      const transaction = await readRawTransaction(request.params[0])
      if (transaction === undefined) return upstream.send(request)
      const { allowances, openContexts } = reserveNeeds(transaction.calls, transaction.contextHash)
      await upstream.call(...allowances.map(storageCall))
      if (openContexts.length === 0) return upstream.send(request)

      const turn = queue.then(async () => {
        await upstream.call(...openContexts.map(storageCall))
        const response = await upstream.send(request)
        // A context is for one transaction. It goes when that one was refused or has run; if it waits in the pool
        // (mining was switched off), it stays for it.
        if (response.error !== undefined || (await isMined(upstream, response.result))) {
          await upstream.call(...openContexts.map((write) => storageCall({ ...write, value: NOTHING })))
        }
        return response
      })
      // Only the turn's end matters to the next in the queue; a failure belongs to the caller of this turn.
      queue = turn.catch(() => undefined)
      return turn
    },
  }
}

async function isMined(upstream: Upstream, result: unknown): Promise<boolean> {
  // eth_sendRawTransactionSync answers with the receipt itself.
  if (!isHex(result)) return true
  const until = Date.now() + MINED_WITHIN_MS
  while (Date.now() < until) {
    const [receipt] = await upstream.call(['eth_getTransactionReceipt', result])
    if (receipt !== null) return true
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return false
}

function storageCall({ address, slot, value }: StorageWrite): RpcCall {
  return ['anvil_setStorageAt', address, slot, value]
}
