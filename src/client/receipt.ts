// Holds a receipt against the challenge that was answered, the channel, and what was signed for it.
// Must never believe a receipt that claims more than this side has signed.

import { exceeds } from '../../machines/index.js'
import { parseReceipt, type Receipt } from '../protocol/index.js'
import type { Ledger, SessionRecord } from '../sessions/index.js'
import type { PlacedFlow } from './flow-state.js'

/** Why a receipt is not one for this paid send; null when it is. */
export function refuseReceipt(receipt: Receipt, challengeId: string, record: SessionRecord | undefined): string | null {
  if (record === undefined || receipt.channelId !== record.session.channelId) {
    return 'the receipt is for another channel'
  }
  if (receipt.challengeId !== challengeId) return 'the receipt is for another challenge'
  const claims = receipt.acceptedCumulative.toString()
  if (exceeds(claims, record.session.signed) || exceeds(receipt.spent.toString(), claims)) {
    return 'the receipt claims more than was signed, or spent more than it accepted'
  }
  return null
}

/** Whether an answer carries a receipt that holds: by the server's own word it was charged, whatever its status. */
export async function holdsReceipt(
  ledger: Pick<Ledger, 'read'>,
  { key, challenge }: Pick<PlacedFlow, 'key' | 'challenge'>,
  header: string,
): Promise<boolean> {
  const receipt = parseReceipt(header)
  if (!receipt.ok) return false
  try {
    return refuseReceipt(receipt.value, challenge.id, await ledger.read(key)) === null
  } catch {
    // Without the ledger the receipt cannot be judged, and nothing can be signed anew either.
    return false
  }
}
