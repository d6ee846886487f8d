// Settles what the ledger has pending against the chain, channel by channel.
// Must never wait for one channel before it looks at another, nor drop what the chain may still include.

import { isEnded, type SessionRecord } from '../sessions/index.js'
import { askAgain } from './ask-again.js'
import { reconcile } from './effects/reconcile.js'
import { causeOf } from './force-close-outcome.js'
import { type RecoveredChannel, type RecoverProgress, reportOf, told, withNotes } from './recover-report.js'
import { undoLies } from './recover-vouched.js'
import type { Runtime } from './runtime.js'

export interface SettleOptions {
  readonly signal: AbortSignal
  /** A person vouches for the node. */
  readonly trustNode: boolean
  readonly onProgress: ((progress: RecoverProgress) => void) | undefined
}

/** Brings every record that is not over in line with the chain. Never throws, except when it is aborted. */
export function settleLedger(
  runtime: Runtime,
  records: readonly SessionRecord[],
  options: SettleOptions,
): Promise<readonly RecoveredChannel[]> {
  const { onProgress } = options
  const payer = runtime.account.address.toLowerCase()
  const live = records.filter((record) => record.place.payer === payer && !isEnded(record))
  let left = live.length
  return Promise.all(
    live.map(async (record) => {
      const channel = await settle(runtime, record, options)
      left -= 1
      onProgress?.({ step: 'settling', left, of: live.length })
      return channel
    }),
  )
}

async function settle(
  runtime: Runtime,
  known: SessionRecord,
  { signal, trustNode }: SettleOptions,
): Promise<RecoveredChannel> {
  const { key, place } = known
  try {
    const lease = await runtime.ledger.lease(key, { signal, timeoutMs: runtime.policy.timeouts.sessionMs })
    try {
      const before = (await runtime.ledger.read(key)) ?? known
      if (before.session.channelId !== known.session.channelId)
        return leftAlone(known, 'somebody else has ended it meanwhile')
      const undone = trustNode ? await askAgain(runtime, signal, () => undoLies(runtime, before, lease, signal)) : null
      const notes = undone?.notes ?? []
      if (undone !== null && undone.secondary !== null) {
        const rest = { source: 'ledger', found: 'undecided', action: 'kept', detail: null } as const
        return withNotes(reportOf(before, undone.secondary, rest), notes)
      }
      const result = await askAgain(runtime, signal, () =>
        reconcile(runtime, { key, place }, lease, { vouched: trustNode }),
      )
      const after = await runtime.ledger.read(key)
      const report = reportOf(before, after, { source: 'ledger', ...told(before, after, 'undecidedMs' in result) })
      const contradiction = 'contradiction' in result ? result.contradiction : undefined
      return contradiction === undefined ? withNotes(report, notes) : contradicted(report, contradiction, trustNode)
    } finally {
      await lease.release()
    }
  } catch (error) {
    if (signal.aborted) throw error
    const { code, detail } = causeOf(error)
    return leftAlone(known, `${code}${detail === null ? '' : `: ${detail}`}`)
  }
}

/** The chain shows more than was signed here: taken over only on a person's word for the node. */
function contradicted(report: RecoveredChannel, contradiction: string, trusted: boolean): RecoveredChannel {
  if (trusted) return withNotes(report, [`${contradiction}: taken over, because the node is trusted`])
  const way =
    'the node lies, or this ledger does not know of every signature. Nothing was stored: ask another node, get the deposit back with forceClose, or recover({ trustNode: true }) with a node that you trust'
  return { ...withNotes(report, [`${contradiction}: ${way}`]), action: 'kept' }
}

/** A channel that was left as it was. */
function leftAlone(known: SessionRecord, detail: string): RecoveredChannel {
  return reportOf(known, known, { source: 'ledger', found: 'unasked', action: 'kept', detail })
}
