// Sends a stored transaction of a forced close, and looks until the chain has decided about it.
// Must never send anything that the ledger does not hold.

import type { HeldLease, SessionRecord } from '../sessions/index.js'
import { mayPassByItself, toChainFailure } from '../tempo/index.js'
import { reconcile } from './effects/reconcile.js'
import type { Runtime } from './runtime.js'

const LOOK_EVERY_MS = 200
const LOOKS = 20

/**
 * Sends the pending transaction of `record`. Safe to repeat: a chain takes it once.
 *
 * @returns whether the chain has decided; when not, it is sent again at the next step, until its time is over. And what the
 * node said when it did not take it.
 * @throws ChainFailure when the chain cannot be asked; the transaction stays stored.
 */
export async function sendAndLook(
  runtime: Runtime,
  lease: HeldLease,
  record: SessionRecord,
  signal: AbortSignal,
): Promise<{ readonly decided: boolean; readonly refusal: string | null }> {
  const { key, place, secrets } = record
  const { pendingTransaction } = secrets
  if (pendingTransaction === null) throw new Error('the ledger holds no signed transaction')
  const client = await runtime.clientFor(place.chainId)
  let refusal: string | null = null
  try {
    await client.request({ method: 'eth_sendRawTransaction', params: [pendingTransaction] })
  } catch (error) {
    // Sent before, expired, or refused for another reason: what has become of it, only the chain's state can say.
    const failure = toChainFailure(error)
    if (mayPassByItself(failure)) throw failure
    refusal = failure.message
  }
  for (let look = 0; look < LOOKS; look += 1) {
    const result = await reconcile(runtime, { key, place }, lease)
    if (
      'record' in result &&
      result.record?.session.pending?.transactionHash !== record.session.pending?.transactionHash
    )
      return { decided: true, refusal }
    await runtime.clock.pause(LOOK_EVERY_MS, signal)
  }
  return { decided: false, refusal }
}
