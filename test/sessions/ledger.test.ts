// The ledger as the only writer of channel records: what may be written, by whom, and what goes with it.
// Must never reach into a record but through the ledger, and looks at the store only to see that nothing was written.

import { describe, expect, it } from 'vitest'
import type { SessionEvent } from '../../machines/index.js'
import {
  type ChannelScope,
  channelKey,
  createLedger,
  type HeldLease,
  IllegalChange,
  type Ledger,
  memoryStore,
  RECORD_FORMAT,
  type ResourceAccess,
  type SessionRecord,
  type SessionStore,
} from '../../src/sessions/index.js'
import { adopted, idOf, KEY, openSigned, PLACE, placeOf, topUpSigned } from './channel-records.js'

const never = new AbortController().signal
const patient = { signal: never, timeoutMs: 5_000 }
const lost = expect.objectContaining({ name: 'StoreError', reason: 'lease_lost' })
const CONFIRMED: SessionEvent = { type: 'OPEN_CONFIRMED', deposit: '5000000' }
const VOUCHER = { cumulative: '1000000', signature: '0x01' } as const

function setUp(wrap: (store: SessionStore) => SessionStore = (store) => store) {
  const clock = { now: 1_000_000 }
  const store = memoryStore({ now: () => clock.now })
  const ledger = createLedger({ store: wrap(store), now: () => clock.now })
  return { clock, store, ledger }
}

/** Applies events under one lease. */
async function under(
  ledger: Ledger,
  place: ChannelScope,
  ...events: readonly (
    | SessionEvent
    | readonly [SessionEvent, { voucher?: `0x${string}`; transaction?: `0x${string}`; access?: ResourceAccess }]
  )[]
): Promise<SessionRecord> {
  const key = channelKey(place)
  const lease = await ledger.lease(key, patient)
  try {
    let record: SessionRecord | undefined
    for (const next of events) {
      const [event, secrets] = 'type' in next ? [next, {}] : next
      record = await ledger.apply(key, place, event, { lease, ...secrets })
    }
    if (record === undefined) throw new Error('no event was given')
    return record
  } finally {
    await lease.release()
  }
}

const CLOSED: readonly SessionEvent[] = [
  openSigned(),
  CONFIRMED,
  { type: 'CLOSE_SIGNED', cumulative: '1000000' },
  { type: 'CLOSE_CONFIRMED', settled: '400000', refunded: '4600000' },
]

describe('a change', () => {
  it('is an event that the session machine takes, with a version and a time', async () => {
    const { clock, ledger } = setUp()
    const opening = await under(ledger, PLACE, openSigned())
    expect(opening).toMatchObject({
      format: RECORD_FORMAT,
      key: KEY,
      place: PLACE,
      status: 'opening',
      version: 1,
      createdAt: 1_000_000,
      usedAt: 1_000_000,
    })
    clock.now += 5
    const open = await under(ledger, PLACE, CONFIRMED)
    expect(open).toMatchObject({ status: 'open', version: 2, createdAt: 1_000_000, usedAt: 1_000_005 })
    expect(await ledger.read(KEY)).toEqual(open)
    expect(await ledger.list()).toEqual([open])
  })

  it.each<[SessionEvent['type'], SessionEvent]>(
    (
      [
        openSigned(),
        CONFIRMED,
        { type: 'OPEN_DROPPED' },
        adopted('c2'),
        { type: 'VOUCHER_SIGNED', cumulative: '2000000' },
        topUpSigned(),
        { type: 'TOP_UP_CONFIRMED', deposit: '10000000' },
        { type: 'TOP_UP_DROPPED' },
        { type: 'CLOSE_SIGNED', cumulative: '1000000' },
        { type: 'CLOSE_CONFIRMED', settled: '1', refunded: '1' },
        { type: 'CLOSE_ABANDONED' },
        { type: 'REQUEST_CLOSE_SIGNED', transactionHash: '0xcc', validBefore: 50 },
        { type: 'REQUEST_CLOSE_DROPPED' },
        { type: 'CLOSE_REQUESTED', withdrawableAt: 900 },
        { type: 'CLOSE_REQUEST_CANCELLED' },
        { type: 'GRACE_ELAPSED' },
        { type: 'WITHDRAW_SIGNED', transactionHash: '0xdd', validBefore: 50 },
        { type: 'WITHDRAW_DROPPED' },
        { type: 'WITHDRAWN', settled: '0', refunded: '1' },
        { type: 'CHANNEL_GONE' },
      ] satisfies SessionEvent[]
    ).map((event) => [event.type, event]),
  )('%s needs the lease of its own channel', async (_type, event) => {
    const { store, ledger } = setUp()
    await under(ledger, PLACE, openSigned(), CONFIRMED)
    const before = await store.list()
    await expect(ledger.apply(KEY, PLACE, event)).rejects.toEqual(lost)
    const other = await ledger.lease(channelKey(placeOf('7')), patient)
    await expect(ledger.apply(KEY, PLACE, event, { lease: other })).rejects.toEqual(lost)
    await other.release()
    expect(await store.list()).toEqual(before)
  })

  it.each<SessionEvent>([
    { type: 'RESERVED', flow: 'flow-1', amount: '5', until: 2_000_000, now: 1_000_000 },
    { type: 'RELEASED', flow: 'flow-1' },
    { type: 'RECEIPT_ACCEPTED', accepted: '1000000', spent: '3' },
    { type: 'DEPOSIT_SEEN', deposit: '5000000', settled: '0' },
  ])('%o needs no lease, also while somebody holds it', async (event) => {
    const { ledger } = setUp()
    await under(ledger, PLACE, openSigned(), CONFIRMED)
    const lease = await ledger.lease(KEY, patient)
    expect((await ledger.apply(KEY, PLACE, event)).version).toBe(3)
    await lease.release()
  })

  it('that the machine does not take is refused, and nothing is written', async () => {
    const { store, ledger } = setUp()
    const refused = async (event: SessionEvent) => {
      const before = await store.list()
      await expect(under(ledger, PLACE, event)).rejects.toBeInstanceOf(IllegalChange)
      expect(await store.list()).toEqual(before)
    }
    await refused({ type: 'VOUCHER_SIGNED', cumulative: '1' })
    await refused({ type: 'RECEIPT_ACCEPTED', accepted: '1', spent: '1' })
    await under(ledger, PLACE, openSigned(), CONFIRMED)
    await refused(openSigned({ seed: 'c2' }))
    await refused({ type: 'VOUCHER_SIGNED', cumulative: '5000001' })
    await refused({ type: 'VOUCHER_SIGNED', cumulative: '999999' })
    await refused({ type: 'RECEIPT_ACCEPTED', accepted: '1000001', spent: '1' })
    const illegal = await under(ledger, PLACE, { type: 'CLOSE_SIGNED', cumulative: '5' }).catch((error) => error)
    expect(illegal).toMatchObject({ event: 'CLOSE_SIGNED', status: 'open' })
  })

  it('that opens a channel anew writes nothing when it is refused', async () => {
    const { store, ledger } = setUp()
    await under(ledger, PLACE, ...CLOSED)
    const before = await store.list()
    const beyond = openSigned({ seed: 'c2', deposit: '1', cumulative: '2' })
    await expect(under(ledger, PLACE, beyond)).rejects.toBeInstanceOf(IllegalChange)
    expect(await store.list()).toEqual(before)
  })

  it('that opens a channel anew writes nothing when its lease was lost', async () => {
    const { clock, store, ledger } = setUp()
    await under(ledger, PLACE, ...CLOSED)
    const before = await store.list()
    const lease = await ledger.lease(KEY, patient)
    clock.now += 60_000
    await expect(ledger.apply(KEY, PLACE, openSigned({ seed: 'c2' }), { lease })).rejects.toEqual(lost)
    await lease.release()
    expect(await store.list()).toEqual(before)
  })

  it('comes one by one when hundreds come at once', async () => {
    const { ledger } = setUp()
    await under(ledger, PLACE, openSigned({ cumulative: '5000000' }), CONFIRMED)
    await Promise.all(
      Array.from({ length: 300 }, (_, turn) =>
        ledger.apply(KEY, PLACE, { type: 'RECEIPT_ACCEPTED', accepted: '5000000', spent: String(turn) }),
      ),
    )
    expect(await ledger.read(KEY)).toMatchObject({ version: 302, session: { spent: '299' } })
  })
})

describe('secrets', () => {
  const opened = [openSigned(), { voucher: '0x01', transaction: '0xaa' }] as const

  it('come with what was signed, and the transaction goes when its fate is known', async () => {
    const { ledger } = setUp()
    const opening = await under(ledger, PLACE, opened)
    expect(opening.secrets).toEqual({ voucher: VOUCHER, pendingTransaction: '0xaa', resource: null })
    expect((await under(ledger, PLACE, CONFIRMED)).secrets).toEqual({
      voucher: VOUCHER,
      pendingTransaction: null,
      resource: null,
    })
    const voucher: SessionEvent = { type: 'VOUCHER_SIGNED', cumulative: '2000000' }
    const grown = { cumulative: '2000000', signature: '0x02' }
    expect((await under(ledger, PLACE, [voucher, { voucher: '0x02' }])).secrets.voucher).toEqual(grown)
    const topping = await under(ledger, PLACE, [topUpSigned(), { transaction: '0xbb' }])
    expect(topping.secrets).toEqual({ voucher: grown, pendingTransaction: '0xbb', resource: null })
    const receipt = await ledger.apply(KEY, PLACE, { type: 'RECEIPT_ACCEPTED', accepted: '1', spent: '1' })
    expect(receipt.secrets).toEqual(topping.secrets)
    expect((await under(ledger, PLACE, { type: 'TOP_UP_DROPPED' })).secrets.pendingTransaction).toBeNull()
  })

  it('go with a channel that was never opened', async () => {
    const { ledger } = setUp()
    const dropped = await under(ledger, PLACE, opened, { type: 'OPEN_DROPPED' })
    expect(dropped.secrets).toEqual({ voucher: null, pendingTransaction: null, resource: null })
    expect(dropped.session.channelId).toBeNull()
  })

  it('keep how the resource of a channel is asked, from the event that names it, and learn it where it is missing', async () => {
    const { ledger } = setUp()
    const access = { method: 'GET', query: '?key=1' } as const
    const { resource } = openSigned()
    const opening = await under(ledger, PLACE, [openSigned(), { voucher: '0x01', transaction: '0xaa', access }])
    expect(opening.secrets.resource).toEqual(access)
    expect((await under(ledger, PLACE, CONFIRMED)).secrets.resource).toEqual(access)
    const used = (from: string, query: string) =>
      ledger.apply(
        KEY,
        PLACE,
        { type: 'RECEIPT_ACCEPTED', accepted: '0', spent: '0', resource: from },
        { access: { method: 'POST', query } },
      )
    // The first use is where a close goes: method and query stay with their path.
    expect((await used('https://gateway.example/other', '?key=2')).secrets.resource).toEqual(access)
    expect((await used(resource, '?key=3')).secrets.resource).toEqual(access)

    await under(ledger, PLACE, { type: 'CHANNEL_GONE' })
    expect((await under(ledger, PLACE, openSigned({ seed: 'c2' }))).secrets.resource).toBeNull()
    await under(ledger, PLACE, CONFIRMED)
    expect((await used('https://gateway.example/other', '?key=4')).secrets.resource).toBeNull()
    const learnt = { method: 'POST', query: '?key=5' }
    expect((await used(resource, '?key=5')).secrets.resource).toEqual(learnt)

    await under(ledger, PLACE, { type: 'CHANNEL_GONE' })
    await under(ledger, PLACE, adopted('c3'))
    expect((await used('https://gateway.example/third', '?key=6')).secrets.resource).toEqual({
      method: 'POST',
      query: '?key=6',
    })
  })

  it('never pass from one channel to the next', async () => {
    const { ledger } = setUp()
    await under(ledger, PLACE, opened, ...CLOSED.slice(1))
    const next = await under(ledger, PLACE, openSigned({ seed: 'c2' }))
    expect(next.secrets).toEqual({ voucher: null, pendingTransaction: null, resource: null })
    await under(ledger, PLACE, CONFIRMED, { type: 'CHANNEL_GONE' })
    const adopting = await under(ledger, PLACE, adopted('c3'))
    expect(adopting.secrets.voucher).toBeNull()
  })

  it('are not in what planning sees', async () => {
    const { ledger } = setUp()
    const record = await under(ledger, PLACE, opened)
    const view = await ledger.view(record, PLACE, KEY, 'now')
    expect(JSON.stringify(view)).not.toMatch(/0x01"|0xaa/)
  })
})

describe('channels that have ended', () => {
  it('are kept beside the one that follows', async () => {
    const { ledger } = setUp()
    const closed = await under(ledger, PLACE, ...CLOSED)
    const next = await under(ledger, PLACE, openSigned({ seed: 'c2' }))
    const all = await ledger.list()
    expect(all).toHaveLength(2)
    expect(all).toContainEqual(next)
    expect(all).toContainEqual({ ...closed, key: `${KEY}#${idOf('c1')}` })
    await under(ledger, PLACE, CONFIRMED, { type: 'CHANNEL_GONE' }, openSigned({ seed: 'c3' }))
    expect((await ledger.list()).map(({ session }) => session.channelId).sort()).toEqual(
      ['c1', 'c2', 'c3'].map((seed) => idOf(seed)).sort(),
    )
  })

  it('do not count against any limit', async () => {
    const { ledger } = setUp()
    await under(ledger, PLACE, ...CLOSED)
    await under(ledger, PLACE, openSigned({ seed: 'c2', deposit: '3', cumulative: '1' }))
    const elsewhere = placeOf('7')
    expect(await ledger.view(undefined, elsewhere, channelKey(elsewhere), 'now')).toMatchObject({
      depositedElsewhere: '3',
    })
  })

  it('leave no trace of an open that was dropped', async () => {
    const { ledger } = setUp()
    await under(ledger, PLACE, openSigned(), { type: 'OPEN_DROPPED' }, openSigned({ seed: 'c2' }))
    expect(await ledger.list()).toHaveLength(1)
  })
})

describe('settled', () => {
  const options = { ...patient, holdsLease: false }

  it('gives at once what nobody is opening or closing, and everything to who holds the lease', async () => {
    const { ledger } = setUp()
    expect(await ledger.settled(KEY, options)).toBeUndefined()
    const open = await under(ledger, PLACE, openSigned(), CONFIRMED)
    const lease = await ledger.lease(KEY, patient)
    expect(await ledger.settled(KEY, options)).toEqual(open)
    const closing = await ledger.apply(KEY, PLACE, { type: 'CLOSE_SIGNED', cumulative: '1000000' }, { lease })
    expect(await ledger.settled(KEY, { ...options, holdsLease: true })).toEqual(closing)
    await lease.release()
  })

  it('waits for who opens the channel, with everybody who waits', async () => {
    const { ledger } = setUp()
    const lease = await ledger.lease(KEY, patient)
    await ledger.apply(KEY, PLACE, openSigned(), { lease })
    const waiting = Array.from({ length: 50 }, () => ledger.settled(KEY, options))
    let over = false
    void Promise.all(waiting).then(() => {
      over = true
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(over).toBe(false)
    const open = await ledger.apply(KEY, PLACE, CONFIRMED, { lease })
    await lease.release()
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => open))
  })

  it('gives an opening as it is when nobody holds its lease any more', async () => {
    const { clock, ledger } = setUp()
    const lease = await ledger.lease(KEY, patient)
    const opening = await ledger.apply(KEY, PLACE, openSigned(), { lease })
    const waiting = ledger.settled(KEY, options)
    clock.now += 15_001
    expect(await waiting).toEqual(opening)
    await lease.release()
    expect(await ledger.settled(KEY, options)).toEqual(opening)
  })

  it('is not fooled by an opener that is done between two looks', async () => {
    const gate: { open: () => void } = { open: () => undefined }
    const asked = new Promise<void>((resolve) => {
      gate.open = resolve
    })
    let held: HeldLease | undefined
    const { ledger } = setUp((store) => ({
      ...store,
      isLeased: async (key) => {
        // The opener confirms and lets go after the record was read, before its lease is looked at.
        gate.open()
        await done
        return store.isLeased(key)
      },
    }))
    held = await ledger.lease(KEY, patient)
    await ledger.apply(KEY, PLACE, openSigned(), { lease: held })
    const done = asked.then(async () => {
      if (held === undefined) return
      await ledger.apply(KEY, PLACE, CONFIRMED, { lease: held })
      await held.release()
    })
    expect((await ledger.settled(KEY, options))?.status).toBe('open')
  })

  it('gives up in time, or when it is aborted', async () => {
    const { ledger } = setUp()
    const waitsNot = createLedger({ store: memoryStore() })
    const lease = await waitsNot.lease(KEY, patient)
    await waitsNot.apply(KEY, PLACE, openSigned(), { lease })
    await expect(waitsNot.settled(KEY, { ...options, timeoutMs: 30 })).rejects.toMatchObject({ reason: 'busy' })
    const abort = new AbortController()
    const waiting = waitsNot.settled(KEY, { ...options, signal: abort.signal })
    const reason = new Error('enough')
    abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await lease.release()
    await expect(ledger.settled(KEY, { ...options, signal: abort.signal })).rejects.toBe(reason)
  })
})

describe('the view that planning gets', () => {
  it('of a channel that is not there is empty', async () => {
    const { ledger } = setUp()
    expect(await ledger.view(undefined, PLACE, KEY, 'now')).toEqual({
      status: 'absent',
      channelId: null,
      deposit: '0',
      signed: '0',
      accepted: '0',
      spent: '0',
      unacknowledged: '0',
      reserved: '0',
      waiting: 0,
      depositedElsewhere: '0',
      pending: null,
      pendingAmount: '0',
      spendable: null,
    })
  })

  it('adds up reservations that still count, and presumes spent what was settled, which makes no room for more', async () => {
    const { clock, ledger } = setUp()
    await under(ledger, PLACE, openSigned(), CONFIRMED)
    const reserve = (flow: string, amount: string, until: number) =>
      ledger.apply(KEY, PLACE, { type: 'RESERVED', flow, amount, until, now: clock.now })
    await reserve('flow-1', '10', 1_000_100)
    await reserve('flow-2', '5', 1_000_200)
    await ledger.apply(KEY, PLACE, { type: 'RECEIPT_ACCEPTED', accepted: '1000000', spent: '7' })
    const read = async () => ledger.view(await ledger.read(KEY), PLACE, KEY, null)
    expect(await read()).toMatchObject({ reserved: '15', spent: '7', accepted: '1000000', signed: '1000000' })
    clock.now = 1_000_150
    expect((await read()).reserved).toBe('5')
    await ledger.apply(KEY, PLACE, { type: 'DEPOSIT_SEEN', deposit: '5000000', settled: '90' })
    expect(await read()).toMatchObject({ spent: '7', unacknowledged: '83' })
    await under(ledger, PLACE, topUpSigned())
    expect(await read()).toMatchObject({ status: 'toppingUp', pending: 'topUp', pendingAmount: '5000000' })
  })

  it('counts deposits, also those only signed for, in the payer’s other channels of the token and chain', async () => {
    const { ledger } = setUp()
    const other = [placeOf('7'), placeOf('8')] as const
    await under(ledger, PLACE, openSigned(), CONFIRMED)
    await under(ledger, other[0], openSigned({ seed: 'c7', deposit: '30', cumulative: '1' }, other[0]))
    await under(ledger, other[1], openSigned({ seed: 'c8', deposit: '100', cumulative: '1' }, other[1]), {
      type: 'OPEN_CONFIRMED',
      deposit: '100',
    })
    await under(ledger, other[1], topUpSigned('11'))
    for (const [place, seed] of [
      [placeOf('9', { payer: `0x${'d'.repeat(40)}` }), 'd1'],
      [placeOf('9', { token: `0x${'d'.repeat(40)}` }), 'd2'],
      [placeOf('9', { chainId: 4217 }), 'd3'],
    ] as const) {
      await under(ledger, place, openSigned({ seed, deposit: '1000', cumulative: '1' }, place))
    }
    const view = await ledger.view(await ledger.read(KEY), PLACE, KEY, 'now')
    expect(view.depositedElsewhere).toBe('141')
    const unlimited = await ledger.view(await ledger.read(KEY), PLACE, KEY, null)
    expect(unlimited.depositedElsewhere).toBe('0')
    await under(ledger, other[1], { type: 'CHANNEL_GONE' })
    expect((await ledger.view(undefined, PLACE, KEY, 'now')).depositedElsewhere).toBe('30')
  })

  it('counts who waits for a turn', async () => {
    const { ledger } = setUp()
    const permit = ledger.inFlight.acquireNow(KEY)
    const turn = ledger.inFlight.acquire(KEY, { ...patient, ready: async () => true })
    expect((await ledger.view(undefined, PLACE, KEY, null)).waiting).toBe(1)
    permit.release(true)
    const granted = await turn
    expect((await ledger.view(undefined, PLACE, KEY, null)).waiting).toBe(0)
    granted.permit.release(true)
  })
})
