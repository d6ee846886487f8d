// Finds the channel that a person means, and makes a client that may act for it.
// Must never act on a channel that another payer owns, nor guess between two that fit.

import type { z } from 'zod'
import type { MppClient, MppClientOptions, SessionSummary } from '../../client/index.js'
import { readableRecords, summarise } from '../../client/sessions.js'
import { createLedger, isEnded, type SessionRecord, type SessionStore } from '../../sessions/index.js'
import { usageError } from '../exit.js'
import { needPayer, openClient, type payerOptions } from '../payer.js'
import { openStore } from '../store.js'

/** The least of a channel id that says which one is meant. */
const SHORTEST_PREFIX = 6

/** What can be read of the ledger. */
export interface Channels {
  /** The last used first. */
  readonly sessions: readonly SessionSummary[]
  /** Why some records cannot be read; null when all can. */
  readonly unreadable: string | null
}

/** @throws StoreError when nothing of the ledger can be read. */
export async function readChannels(store: SessionStore): Promise<Channels> {
  const { records, unreadable } = await readableRecords(createLedger({ store }))
  const sessions = eachOnce(records)
    .map(summarise)
    .filter((session) => session !== null)
  return { sessions: sessions.sort((a, b) => b.usedAt - a.usedAt), unreadable }
}

/** A process that died while it archived a channel has left it twice. */
function eachOnce(records: readonly SessionRecord[]): readonly SessionRecord[] {
  const live = records.filter((record) => !isEnded(record))
  const ids = new Set(live.map(({ session }) => session.channelId))
  const ended = new Map(records.filter(isEnded).map((record) => [record.session.channelId, record]))
  return [...live, ...[...ended.values()].filter(({ session }) => !ids.has(session.channelId))]
}

/** @throws CommandError when there is no such channel, or more than one. */
export async function theChannel(store: SessionStore, given: string | undefined): Promise<SessionSummary> {
  const digits = (given ?? '').toLowerCase().replace(/^0x/, '')
  if (digits.length < SHORTEST_PREFIX) {
    throw usageError(`a channel is named by its id, or by the first ${SHORTEST_PREFIX} digits of it at least`)
  }
  const { sessions, unreadable } = await readChannels(store)
  const [session, ...others] = sessions.filter(({ channelId }) => channelId.startsWith(`0x${digits}`))
  if (session === undefined) {
    const why = unreadable === null ? '' : ` that can be read (${unreadable})`
    throw usageError(`the ledger knows no such channel${why}; "mpp-flow sessions list" shows all`)
  }
  if (others.length > 0) throw usageError(`${others.length + 1} channels begin like that; give more of the id`)
  return session
}

/** A channel, and a client whose payer it belongs to. @throws CommandError when the key is another payer's. */
export async function ownChannel(
  given: string | undefined,
  options: z.infer<typeof payerOptions>,
  more: Pick<MppClientOptions, 'fetch' | 'policy'>,
): Promise<{ readonly mpp: MppClient; readonly session: SessionSummary }> {
  const store = await openStore(options, 'write')
  const session = await theChannel(store, given)
  const keys = await needPayer(options)
  if (keys.account.address.toLowerCase() !== session.payer) {
    throw usageError(`the channel belongs to ${session.payer}, and the key to ${keys.account.address}`)
  }
  return { mpp: openClient(keys, store, options, more), session }
}
