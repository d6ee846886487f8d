// Tells when a node says of a channel what cannot be, given what was signed for it.
// Must never be asked of a channel that was found on the chain: nobody remembers all that was signed for that one.

import { amountOf, exceeds, max } from '../../../machines/index.js'
import type { SessionRecord } from '../../sessions/index.js'

/**
 * A payee can settle no more than was signed. When the chain shows more, the node lies, or this ledger does not know of
 * every signature: it is an older copy, or the key is used elsewhere. What a person has vouched for before is no news.
 *
 * @returns it in words, with both amounts; null when there is none.
 */
export function contradictionIn(record: SessionRecord | undefined, settled: bigint): string | null {
  if (record === undefined || record.session.adopted) return null
  const { session, place } = record
  if (!exceeds(settled.toString(), max(session.signed, session.settled))) return null
  const [shown, signed] = [amountOf(settled.toString(), place.token), amountOf(session.signed, place.token)]
  return `the payee has settled ${shown} by its account, ${signed} were signed here`
}
