// What the payer has, or signed for, in other channels: the sum that a total limit is held against.
// Must never be the last word before something is signed unless it was added up anew, under the lease of all deposits.

import { type Amount, exceeds, sum } from '../../machines/index.js'
import { atStake, type ChannelScope, type SessionRecord } from './record.js'
import type { SessionStore } from './store.js'

/**
 * How fresh a sum must be. `recent`: what this process changed is in it, what others changed up to a moment ago may not be;
 * enough to plan by, because what is planned is planned again before it is signed. `now`: added up from the store.
 */
export type Freshness = 'recent' | 'now'

/** How long what others may have changed goes unseen, in milliseconds. */
const RECENT_MS = 250

/** Deposits of one payer in one token on one chain. */
interface Deposits {
  readonly total: Amount
  readonly byKey: ReadonlyMap<string, Amount>
}

interface Kept {
  readonly at: number
  readonly groups: ReadonlyMap<string, Deposits>
}

export interface DepositsElsewhere {
  /** In base units. */
  elsewhere(place: ChannelScope, key: string, freshness: Freshness): Promise<Amount>
  /** A deposit was changed by this process. */
  changed(): void
}

/** Adds up what the records of a store have at stake. */
export function createDeposits(store: SessionStore, now: () => number): DepositsElsewhere {
  let kept: Kept | null = null
  let changes = 0

  async function look(): Promise<Kept> {
    const before = changes
    const at = now()
    const looked = { at, groups: grouped(await store.list()) }
    // Changed while it was read: it may be in, or not.
    kept = changes === before ? looked : null
    return looked
  }

  return {
    async elsewhere(place, key, freshness) {
      const isRecent = kept !== null && now() - kept.at < RECENT_MS && now() >= kept.at
      const { groups } = freshness === 'recent' && kept !== null && isRecent ? kept : await look()
      const deposits = groups.get(groupOf(place))
      if (deposits === undefined) return '0'
      return (BigInt(deposits.total) - BigInt(deposits.byKey.get(key) ?? '0')).toString()
    },
    changed() {
      changes += 1
      kept = null
    },
  }
}

const groupOf = ({ chainId, payer, token }: ChannelScope): string => `${chainId}:${payer}:${token}`

function grouped(records: readonly SessionRecord[]): Map<string, Deposits> {
  const amounts = new Map<string, Map<string, Amount>>()
  for (const record of records) {
    const amount = atStake(record)
    if (!exceeds(amount, '0')) continue
    const group = groupOf(record.place)
    const byKey = amounts.get(group) ?? new Map<string, Amount>()
    amounts.set(group, byKey.set(record.key, amount))
  }
  return new Map([...amounts].map(([group, byKey]) => [group, { total: sum([...byKey.values()]), byKey }]))
}
