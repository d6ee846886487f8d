// Settles what the ledger has pending against the chain, channel by channel.
// Must never wait for one channel before it looks at another, nor drop what the chain may still include.

import { isEnded, type SessionRecord } from '../sessions/index.js'
import { askAgain } from './ask-again.js'
import { reconcile } from './effects/reconcile.js'
import { causeOf } from './force-close-outcome.js'
import { type RecoveredChannel, type RecoverProgress, reportOf, told } from './recover-report.js'
import type { Ring } from './ring.js'

export interface SettleOptions {
  readonly signal: AbortSignal
  readonly onProgress: ((progress: RecoverProgress) => void) | undefined
}

/** Brings every record that is not over in line with the chain. Never throws, except when it is aborted. */
export function settleLedger(
  ring: Ring,
  records: readonly SessionRecord[],
  { signal, onProgress }: SettleOptions,
): Promise<readonly RecoveredChannel[]> {
  const payer = ring.account.address.toLowerCase()
  const live = records.filter((record) => record.place.payer === payer && !isEnded(record))
  let left = live.length
  return Promise.all(
    live.map(async (record) => {
      const channel = await settle(ring, record, signal)
      left -= 1
      onProgress?.({ step: 'settling', left, of: live.length })
      return channel
    }),
  )
}

async function settle(ring: Ring, known: SessionRecord, signal: AbortSignal): Promise<RecoveredChannel> {
  const { key, place } = known
  try {
    const lease = await ring.ledger.lease(key, { signal, timeoutMs: ring.policy.timeouts.sessionMs })
    try {
      const before = (await ring.ledger.read(key)) ?? known
      if (before.session.channelId !== known.session.channelId)
        return aside(known, 'somebody else has ended it meanwhile')
      const result = await askAgain(ring, signal, () => reconcile(ring, { key, place }, lease))
      const after = await ring.ledger.read(key)
      return reportOf(before, after, { source: 'ledger', ...told(before, after, 'undecidedMs' in result) })
    } finally {
      await lease.release()
    }
  } catch (error) {
    if (signal.aborted) throw error
    const { code, detail } = causeOf(error)
    return aside(known, `${code}${detail === null ? '' : `: ${detail}`}`)
  }
}

/** A channel that was left as it was. */
function aside(known: SessionRecord, detail: string): RecoveredChannel {
  return reportOf(known, known, { source: 'ledger', found: 'unasked', action: 'kept', detail })
}
