// Sends signed transactions and waits until the chain has decided.
// Must never report success before a receipt says so.
import type { Client } from 'viem'
import { getTransactionReceipt } from 'viem/actions'
import type { Hex } from '../../protocol/hex.js'
import { type Parsed, parsed, refused } from '../../protocol/parsed.js'
import { toChainFailure, transactionHash } from '../../tempo/index.js'

const POLL_MS = 50
/** An expiring transaction can be mined for 30 seconds at most; nothing is learnt by waiting longer. */
const GIVE_UP_MS = 30_000

/**
 * Broadcasts and waits. Safe to repeat: a node that knows the transaction already is asked for its receipt as well.
 * Never rejects.
 */
export async function broadcast(
  client: Client,
  transaction: Hex,
): Promise<Parsed<Hex, 'refused' | 'reverted' | 'not_mined'>> {
  const hash = transactionHash(transaction)
  let refusal: string | undefined
  try {
    await client.request({ method: 'eth_sendRawTransaction', params: [transaction] })
  } catch (error) {
    const failure = toChainFailure(error)
    // Refused as already spent: it may be this very transaction that was mined before.
    if (failure.reason !== 'nonce_spent' && (await readStatus(client, hash)) === undefined)
      return refused('refused', failure.message)
    refusal = failure.message
  }
  for (const deadline = Date.now() + GIVE_UP_MS; Date.now() < deadline; ) {
    const status = await readStatus(client, hash)
    if (status === 'success') return parsed(hash)
    if (status === 'reverted') return refused('reverted', 'The chain reverted the transaction.')
    if (refusal !== undefined) return refused('refused', refusal)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  return refused('not_mined', 'The chain did not mine the transaction in time.')
}

async function readStatus(client: Client, hash: Hex): Promise<'success' | 'reverted' | undefined> {
  try {
    return (await getTransactionReceipt(client, { hash })).status
  } catch {
    // Not mined yet, or the node does not answer just now: in both cases it is asked again until the deadline.
    return undefined
  }
}
