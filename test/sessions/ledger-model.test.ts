// Several flows of two processes on one ledger, interleaved in every way, held against a simple model of a channel.
// Must never rely on luck: the order in which the store answers is part of what is drawn.

import { isDeepStrictEqual } from 'node:util'
import fc, { type Scheduler } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ABSENT_SESSION, exceeds, type SessionEvent, transitionSession } from '../../machines/index.js'
import {
  createLedger,
  type HeldLease,
  IllegalChange,
  isEnded,
  type Ledger,
  memoryStore,
  type SessionRecord,
  type SessionStore,
  StoreError,
} from '../../src/sessions/index.js'
import { cases } from '../extent.js'
import { adopted, KEY, openSigned, PLACE, topUpSigned } from './channel-records.js'

const never = new AbortController().signal
/** So long that nothing renews by itself while a test runs. */
const TTL_MS = 3_600_000

interface Write {
  readonly before: SessionRecord | undefined
  readonly after: SessionRecord | undefined
  readonly token: number | null
}

/** A store that answers when the scheduler says so, and remembers what was written. */
function scheduled(inner: SessionStore, scheduler: Scheduler, writes: Write[]) {
  const pokes = new Set<() => void>()
  const turn = (label: string) => scheduler.schedule(Promise.resolve(), label)
  const store: SessionStore = {
    async get(key) {
      await turn('get')
      return inner.get(key)
    },
    async list() {
      await turn('list')
      return inner.list()
    },
    async update(key, change, leases) {
      await turn('update')
      return inner.update(
        key,
        (before) => {
          const after = change(before)
          if (key === KEY && after !== before) writes.push({ before, after, token: leases?.[0]?.token ?? null })
          return after
        },
        leases,
      )
    },
    async acquireLease(key, holder, ttlMs) {
      await turn('acquireLease')
      return inner.acquireLease(key, holder, ttlMs)
    },
    async renewLease(lease, ttlMs) {
      await turn('renewLease')
      return inner.renewLease(lease, ttlMs)
    },
    async releaseLease(lease) {
      await turn('releaseLease')
      return inner.releaseLease(lease)
    },
    async isLeased(key) {
      await turn('isLeased')
      return inner.isLeased(key)
    },
    watch(key, listener) {
      pokes.add(listener)
      const unwatch = inner.watch(key, listener)
      return () => {
        pokes.delete(listener)
        unwatch()
      }
    },
  }
  return {
    store,
    /** Waiters look again: a lease that ran out tells nobody. */
    poke: () => {
      for (const listener of [...pokes]) listener()
    },
  }
}

const amount = fc.integer({ min: 0, max: 10 }).map(String)
const seed = fc.constantFrom('c1', 'c2', 'c3')
const leased: fc.Arbitrary<SessionEvent> = fc.oneof(
  fc.record({ seed, deposit: amount, cumulative: amount }).map((facts) => openSigned(facts)),
  fc.constant<SessionEvent>({ type: 'OPEN_CONFIRMED', deposit: '10' }),
  fc.constant<SessionEvent>({ type: 'OPEN_DROPPED' }),
  amount.map((cumulative): SessionEvent => ({ type: 'VOUCHER_SIGNED', cumulative })),
  fc.constant(topUpSigned('5')),
  amount.map((deposit): SessionEvent => ({ type: 'TOP_UP_CONFIRMED', deposit: `1${deposit}` })),
  fc.constant<SessionEvent>({ type: 'TOP_UP_DROPPED' }),
  amount.map((cumulative): SessionEvent => ({ type: 'CLOSE_SIGNED', cumulative })),
  amount.map((settled): SessionEvent => ({ type: 'CLOSE_CONFIRMED', settled, refunded: '1' })),
  fc.constant<SessionEvent>({ type: 'CLOSE_ABANDONED' }),
  fc.constant<SessionEvent>({ type: 'CHANNEL_GONE' }),
  seed.map((of) => adopted(of)),
)
const free: fc.Arbitrary<SessionEvent> = fc.oneof(
  fc.record({ accepted: amount, spent: amount }).map((facts): SessionEvent => ({ type: 'RECEIPT_ACCEPTED', ...facts })),
  fc
    .record({ flow: fc.constantFrom('flow-1', 'flow-2'), amount })
    .map((facts): SessionEvent => ({ type: 'RESERVED', ...facts, until: 2_000_000, now: 1_000_000 })),
  fc.constantFrom('flow-1', 'flow-2').map((flow): SessionEvent => ({ type: 'RELEASED', flow })),
  fc.constantFrom('flow-1', 'flow-2').map((flow): SessionEvent => ({ type: 'ANSWER_UNACKNOWLEDGED', flow })),
)

type Operation =
  | { readonly kind: 'lease'; readonly events: readonly SessionEvent[]; readonly stall: boolean }
  | { readonly kind: 'write'; readonly event: SessionEvent }
  | { readonly kind: 'unleased'; readonly event: SessionEvent }
  | { readonly kind: 'settled' }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('lease' as const),
      events: fc.array(leased, { minLength: 1, maxLength: 4 }),
      // Time passes while it holds the lease, longer than the lease lasts.
      stall: fc.integer({ min: 0, max: 9 }).map((die) => die === 0),
    }),
  },
  { weight: 3, arbitrary: free.map((event): Operation => ({ kind: 'write', event })) },
  { weight: 1, arbitrary: leased.map((event): Operation => ({ kind: 'unleased', event })) },
  { weight: 1, arbitrary: fc.constant<Operation>({ kind: 'settled' }) },
)

/** Scripts of flows: the first two are of one process, the third is of another. */
const scripts = fc.tuple(...[3, 3, 3].map((maxLength) => fc.array(operation, { minLength: 1, maxLength })))

interface Outcome {
  readonly event: SessionEvent
  readonly result: 'written' | 'illegal' | 'lost'
}

async function attempt(work: () => Promise<SessionRecord>, event: SessionEvent): Promise<Outcome> {
  try {
    await work()
    return { event, result: 'written' }
  } catch (error) {
    if (error instanceof IllegalChange) return { event, result: 'illegal' }
    if (error instanceof StoreError && error.reason === 'lease_lost') return { event, result: 'lost' }
    throw error
  }
}

async function play(scheduler: Scheduler, drawn: readonly (readonly Operation[])[]) {
  const clock = { now: 1_000_000 }
  const writes: Write[] = []
  const inner = memoryStore({ now: () => clock.now })
  const { store, poke } = scheduled(inner, scheduler, writes)
  const options = { store, now: () => clock.now, leaseTtlMs: TTL_MS }
  const ledgers = [createLedger(options), createLedger(options)] as const
  const ledgerOf = (flow: number): Ledger => (flow < 2 ? ledgers[0] : ledgers[1])
  const outcomes: Outcome[] = []
  /** The token of the newest lease that anybody got. */
  const held: { token: number } = { token: 0 }

  async function underLease(ledger: Ledger, operation: Extract<Operation, { kind: 'lease' }>): Promise<void> {
    const lease: HeldLease = await ledger.lease(KEY, { signal: never, timeoutMs: 1_000_000_000 })
    expect(lease.current().token).toBeGreaterThan(held.token)
    held.token = lease.current().token
    for (const [index, event] of operation.events.entries()) {
      if (operation.stall && index === 1) {
        clock.now += TTL_MS + 1
        poke()
      }
      const secrets = { lease, ...('cumulative' in event && { voucher: '0x01' as const }) }
      outcomes.push(await attempt(() => ledger.apply(KEY, PLACE, event, secrets), event))
    }
    await lease.release()
    poke()
  }

  const flows = drawn.map(async (operations, flow) => {
    const ledger = ledgerOf(flow)
    for (const operation of operations) {
      if (operation.kind === 'lease') await underLease(ledger, operation)
      else if (operation.kind === 'settled') {
        // Nobody lets go of an opening here without somebody noticing.
        await ledger.settled(KEY, { signal: never, timeoutMs: 1_000_000_000, holdsLease: true })
      } else {
        const { event } = operation
        const outcome = await attempt(() => ledger.apply(KEY, PLACE, event), event)
        if (operation.kind === 'unleased') expect(outcome.result).toBe('lost')
        outcomes.push(outcome)
      }
    }
  })
  await scheduler.waitFor(Promise.all(flows))
  const over = scheduler.waitFor(Promise.all([ledgers[0].list(), ledgers[1].read(KEY)]))
  const [all, last] = await over
  return { writes, outcomes, all, last, leased: await inner.isLeased(KEY), ledgers }
}

/** What must be true of everything that was written, in the order in which it was. */
function checkHistory(writes: readonly Write[]): void {
  let before: SessionRecord | undefined
  let newest = 0
  for (const write of writes) {
    const { after, token } = write
    if (after === undefined) throw new Error('a record was taken away')
    if (!isDeepStrictEqual(write.before, before)) throw new Error('a change was made from something else than the last')
    expect(after.version).toBe((before?.version ?? 0) + 1)
    // Fencing: what an older lease signs is never written after what a newer one did.
    if (token !== null) {
      expect(token).toBeGreaterThanOrEqual(newest)
      newest = token
    }
    checkMoney(before, after)
    before = after
  }
}

function checkMoney(before: SessionRecord | undefined, after: SessionRecord): void {
  const { session, secrets } = after
  if (secrets.pendingTransaction !== null) expect(session.pending).not.toBeNull()
  if (secrets.voucher !== null) expect(exceeds(secrets.voucher.cumulative, session.signed)).toBe(false)
  if (before === undefined || isEnded(before)) return
  // One channel at a time: a live one is never replaced.
  if (!isEnded(after)) expect(session.channelId).toBe(before.session.channelId)
  if (before.session.channelId !== session.channelId) return
  for (const amount of ['deposit', 'signed', 'accepted', 'spent'] as const) {
    expect(exceeds(before.session[amount], session[amount])).toBe(false)
  }
}

describe('flows of two processes on one channel', () => {
  it('write one history that the session machine allows, whatever comes between', { timeout: 120_000 }, async () => {
    const results = new Map<Outcome['result'], number>()
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), scripts, async (scheduler, drawn) => {
        const { writes, outcomes, all, last, leased, ledgers } = await play(scheduler, drawn)
        checkHistory(writes)
        expect(last).toEqual(writes.at(-1)?.after)
        expect(writes.length).toBe(outcomes.filter(({ result }) => result === 'written').length)
        expect(leased).toBe(false)
        for (const ledger of ledgers) expect(ledger.hasLeaseQueue(KEY)).toBe(false)
        // A channel that ended and was followed by another is kept as it ended.
        for (const record of all) {
          if (record.key === KEY) continue
          expect(isEnded(record)).toBe(true)
          const asItEnded = writes.some(({ after }) => isDeepStrictEqual({ ...after, key: record.key }, record))
          expect(asItEnded).toBe(true)
        }
        for (const { result } of outcomes) results.set(result, (results.get(result) ?? 0) + 1)
      }),
      { numRuns: cases(1_000), interruptAfterTimeLimit: 100_000, markInterruptAsFailure: true },
    )
    for (const result of ['written', 'illegal', 'lost'] as const)
      expect(results.get(result) ?? 0).toBeGreaterThan(cases(100))
  })

  it('replays to the same record, event by event', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), scripts, async (scheduler, drawn) => {
        const { writes } = await play(scheduler, drawn)
        for (const { before, after } of writes) {
          const allowed = drawn
            .flat()
            .flatMap((operation) =>
              operation.kind === 'lease' ? operation.events : 'event' in operation ? [operation.event] : [],
            )
            .some((event) => {
              const from = before ?? { status: 'absent' as const, session: ABSENT_SESSION }
              const next = transitionSession({ status: from.status, session: from.session }, event)
              return next !== undefined && isDeepStrictEqual(next, { status: after?.status, session: after?.session })
            })
          expect(allowed).toBe(true)
        }
      }),
      { numRuns: cases(300), interruptAfterTimeLimit: 25_000, markInterruptAsFailure: true },
    )
  })
})
