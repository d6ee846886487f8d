// the gateway's accounting: for every channel what was deposited, accepted, reserved, spent, and how it ended.
// Must never let spent and reserved together pass what the payer has authorised.
import type { ChannelDescriptor } from '../../protocol/descriptor.js'
import type { Address, Hex } from '../../protocol/hex.js'
import type { ChannelState } from '../../tempo/chain.js'

/** A channel as the gateway keeps it. Amounts are base units. */
export interface Account {
  readonly channelId: Hex
  readonly descriptor: ChannelDescriptor
  status: 'open' | 'closed'
  deposit: bigint
  /** Paid out on chain while the channel was open. */
  settled: bigint
  /** Chain seconds; zero when the payer has not asked to close. */
  closeRequestedAt: number
  /** The highest voucher, and its signature, which spares verifying the same voucher again. */
  accepted: bigint
  acceptedSignature: Hex | undefined
  spent: bigint
  reserved: bigint
  running: number
  captured: bigint
  refunded: bigint
  /** When the chain was last asked, in milliseconds since the epoch; 0 asks again. */
  readAt: number
  /** Top-up transactions that are counted already. */
  readonly topUps: Set<Hex>
}

/** A channel as `accounting()` shows it. Amounts are base units as decimal strings. */
export interface AccountedChannel {
  readonly channelId: Hex
  readonly payer: Address
  readonly deposit: string
  readonly accepted: string
  readonly spent: string
  readonly captured: string
  readonly refunded: string
  readonly status: 'open' | 'closed'
}

/** One run that was charged. */
export interface AccountedCharge {
  readonly channelId: Hex
  /** The request that was answered for it, byte for byte. */
  readonly body: Uint8Array
  /** Base units. */
  readonly cost: bigint
}

export interface AccountingCounts {
  /** Requests without a credential. */
  unpaidSends: number
  /** Requests with a credential for content, whatever became of them. */
  paidSends: number
  /** Channels opened, top-ups and closes that succeeded. */
  opens: number
  topUps: number
  closes: number
  /** Answers that refused a credential. */
  rejectedCredentials: number
  /** Runs that were charged. */
  completions: number
  /** Runs that were not charged because their commit failed. */
  uncommittedRuns: number
  /** Answers given again, for the same credential and idempotency key. */
  replays: number
}

export interface Accounting {
  readonly counts: AccountingCounts
  find(channelId: Hex): Account | undefined
  add(channelId: Hex, descriptor: ChannelDescriptor, state: ChannelState, readAt: number): Account
  /** Puts `quote` aside out of what is accepted and neither spent nor reserved. False when it does not fit. */
  reserve(account: Account, quote: bigint): boolean
  /** Turns a reservation into spending of at most the same amount. */
  commit(account: Account, quote: bigint, cost: bigint): void
  /** Gives a reservation back. */
  release(account: Account, quote: bigint): void
  /** Resolves when no request of the channel is running. */
  idle(account: Account): Promise<void>
  finish(account: Account, captured: bigint, refunded: bigint): void
  /** Counts a refusal by its code or problem type. */
  reject(code: string): void
  /** Makes every channel be read from the chain again before it is relied upon. */
  distrust(): void
  view(): { channels: AccountedChannel[]; counts: AccountingCounts; rejections: Record<string, number> }
}

export function createAccounting(): Accounting {
  const accounts = new Map<Hex, Account>()
  const rejections = new Map<string, number>()
  const waiting = new Map<Account, (() => void)[]>()
  const counts: AccountingCounts = {
    unpaidSends: 0,
    paidSends: 0,
    opens: 0,
    topUps: 0,
    closes: 0,
    rejectedCredentials: 0,
    completions: 0,
    uncommittedRuns: 0,
    replays: 0,
  }

  const endRun = (account: Account, quote: bigint): void => {
    account.reserved -= quote
    account.running -= 1
    if (account.running > 0) return
    const waiters = waiting.get(account) ?? []
    waiting.delete(account)
    for (const wake of waiters) wake()
  }

  return {
    counts,
    find: (channelId) => accounts.get(channelId),
    add(channelId, descriptor, state, readAt) {
      const account: Account = {
        channelId,
        descriptor,
        status: 'open',
        deposit: state.deposit,
        settled: state.settled,
        closeRequestedAt: state.closeRequestedAt,
        // What is paid out was accepted and spent before; a gateway that was restarted knows no more than that.
        accepted: state.settled,
        acceptedSignature: undefined,
        spent: state.settled,
        reserved: 0n,
        running: 0,
        captured: 0n,
        refunded: 0n,
        readAt,
        topUps: new Set(),
      }
      accounts.set(channelId, account)
      return account
    },
    reserve(account, quote) {
      if (account.accepted - account.spent - account.reserved < quote) return false
      account.reserved += quote
      account.running += 1
      return true
    },
    commit(account, quote, cost) {
      if (cost > quote) throw new RangeError('a run cost more than was reserved for it')
      account.spent += cost
      counts.completions += 1
      endRun(account, quote)
    },
    release: endRun,
    idle(account) {
      if (account.running === 0) return Promise.resolve()
      return new Promise((resolve) => {
        waiting.set(account, [...(waiting.get(account) ?? []), resolve])
      })
    },
    finish(account, captured, refunded) {
      account.status = 'closed'
      account.captured = captured
      account.refunded = refunded
    },
    reject(code) {
      rejections.set(code, (rejections.get(code) ?? 0) + 1)
    },
    distrust() {
      for (const account of accounts.values()) account.readAt = 0
    },
    view: () => ({
      channels: [...accounts.values()].map(show),
      counts: { ...counts },
      rejections: Object.fromEntries(rejections),
    }),
  }
}

function show(account: Account): AccountedChannel {
  return {
    channelId: account.channelId,
    payer: account.descriptor.payer,
    deposit: account.deposit.toString(),
    accepted: account.accepted.toString(),
    spent: account.spent.toString(),
    captured: account.captured.toString(),
    refunded: account.refunded.toString(),
    status: account.status,
  }
}
