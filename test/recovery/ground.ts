// What the recovery tests share: a payer with an open channel, every record its ledger ever wrote, and stores brought back from them.
// Must never make up a record: a process that died is one that wrote no further.
import type { LocalAccount } from 'viem'
import { getContractEvents } from 'viem/actions'
import { Abis } from 'viem/tempo'
import { expect } from 'vitest'
import type { SessionStatus } from '../../machines/index.js'
import { type MppClient, memoryStore, type Policy, type RecoveredChannel, type SessionStore } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import type { SandboxOptions } from '../../src/sandbox/index.js'
import type { SessionRecord } from '../../src/sessions/index.js'
import { type CountedAccount, chat, counted, paySome, type Stage, type WatchedGateway } from '../client/stage.js'

export const FUNDS = 10_000_000_000n
/** A tenth of a bucket of 1. */
export const request = () => chat(500)

/** A store in memory that remembers what was written, in order. */
export interface Journal extends SessionStore {
  readonly written: readonly SessionRecord[]
}

export function journal(inner: SessionStore = memoryStore()): Journal {
  const written: SessionRecord[] = []
  return {
    ...inner,
    written,
    async update(key, change, leases) {
      const before = await inner.get(key)
      const after = await inner.update(key, change, leases)
      if (after !== undefined && after.version !== before?.version) written.push(after)
      return after
    },
  }
}

/** The last record that was written in this state. @throws when there was none. */
export function lastIn(from: Journal, status: SessionStatus, pending?: string | null): SessionRecord {
  const found = from.written.findLast(
    (record) =>
      record.status === status && (pending === undefined || (record.session.pending?.kind ?? null) === pending),
  )
  if (found === undefined) throw new Error(`no record was ever ${status}`)
  return found
}

/** The store of a process that died after it had written `record`. */
export async function diedAfter(record: SessionRecord): Promise<Journal> {
  const store = journal()
  await store.update(record.key, () => record)
  return store
}

export interface Ground {
  readonly gateway: WatchedGateway
  readonly payer: CountedAccount
  readonly account: LocalAccount
  readonly store: Journal
  readonly mpp: MppClient
  readonly channelId: string
  balance(): Promise<bigint>
}

/** A channel of 5 on which `tenths` requests of 0.1 were paid. */
export async function opened(
  stage: Stage,
  options: { readonly tenths?: number; readonly policy?: Policy; readonly sandbox?: SandboxOptions } = {},
): Promise<Ground> {
  const gateway = await stage.gateway(options.sandbox)
  const payer = counted(stage.payer())
  const store = journal()
  const mpp = stage.client(payer.account, { store, policy: { maxDeposit: '20', ...options.policy } })
  await paySome(mpp, gateway.chat, options.tenths ?? 1, request)
  const [session] = await mpp.sessions.list()
  return {
    gateway,
    payer,
    account: payer.account,
    store,
    mpp,
    channelId: session?.channelId ?? '',
    balance: () => stage.balance(payer.account.address),
  }
}

/** How often the chain saw an event of one channel. */
export async function countEvents(
  stage: Stage,
  eventName: 'CloseRequested' | 'ChannelClosed' | 'CloseRequestCancelled',
  channelId: string,
): Promise<number> {
  const events = await getContractEvents(stage.chain.client(), {
    address: CHANNEL_RESERVE,
    abi: Abis.tip20ChannelReserve,
    eventName,
    fromBlock: 'earliest',
    toBlock: 'latest',
  })
  return events.filter(({ args }) => args.channelId === channelId).length
}

/** What a recovery reports of the channels, when the whole ledger and the whole chain could be read. */
export async function recovered(stage: Stage, mpp: MppClient): Promise<readonly RecoveredChannel[]> {
  const { channels, searches, unreadable } = await mpp.sessions.recover({ chainIds: [stage.chain.chainId] })
  expect(unreadable).toBeNull()
  expect(searches).toMatchObject([{ chainId: stage.chain.chainId, escrow: CHANNEL_RESERVE, detail: null }])
  return channels
}

/** What a close settled. @throws when it closed nothing. */
export async function close(mpp: MppClient, channelId: string, url?: string) {
  const outcome = await mpp.sessions.close(channelId, url === undefined ? {} : { url })
  if (outcome.status !== 'closed' || outcome.settlement === null)
    throw new Error(
      outcome.status === 'failed' ? `${outcome.failure.code} ${outcome.failure.detail}` : 'nothing closed',
    )
  return outcome.settlement
}
