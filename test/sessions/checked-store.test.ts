// What the ledger takes of any store: records that are of one channel as a whole, and no others.
// Must never hold a record that a ledger could have written against it.

import { describe, expect, it } from 'vitest'
import {
  type ChannelScope,
  channelKey,
  createLedger,
  memoryStore,
  type SessionRecord,
  StoreError,
  secondaryKey,
} from '../../src/sessions/index.js'
import { computeChannelId, ZERO_ADDRESS } from '../../src/tempo/index.js'
import { channelAt, idOf, KEY, openSigned, PLACE, placeOf } from './channel-records.js'

const patient = { signal: new AbortController().signal, timeoutMs: 5_000 }
const OTHER = `0x${'d'.repeat(40)}` as const

/** The record of an open channel, as a ledger has written it. */
async function openAt(place: ChannelScope): Promise<SessionRecord> {
  const ledger = createLedger({ store: memoryStore() })
  const key = channelKey(place)
  const lease = await ledger.lease(key, patient)
  await ledger.apply(key, place, openSigned({}, place), { lease, voucher: '0x0123456789', transaction: '0x76' })
  const record = await ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit: '5000000' }, { lease })
  await lease.release()
  return record
}

async function readBack(record: SessionRecord, key = record.key): Promise<unknown> {
  const store = memoryStore()
  await store.update(key, () => record)
  return createLedger({ store })
    .read(key)
    .catch((error: unknown) => error)
}

const edits: readonly (readonly [string, (record: SessionRecord) => SessionRecord])[] = [
  ['key', (record) => ({ ...record, key: channelKey(placeOf('7')) })],
  ...(['escrow', 'payer', 'signer', 'payee', 'token', 'operator'] as const).map(
    (name) => ['place', (record: SessionRecord) => ({ ...record, place: { ...record.place, [name]: OTHER } })] as const,
  ),
  ['place', (record) => ({ ...record, place: { ...record.place, chainId: 4217 } })],
  ...(['payer', 'payee', 'token', 'operator', 'authorizedSigner'] as const).map(
    (name) =>
      [
        `session.descriptor.${name}`,
        (record: SessionRecord) => ({
          ...record,
          session: { ...record.session, descriptor: { ...channelAt('c1').descriptor, [name]: OTHER } },
        }),
      ] as const,
  ),
  ...(['salt', 'expiringNonceHash'] as const).map(
    (name) =>
      [
        'session.channelId',
        (record: SessionRecord) => ({
          ...record,
          session: { ...record.session, descriptor: { ...channelAt('c1').descriptor, [name]: `0x${'9'.repeat(64)}` } },
        }),
      ] as const,
  ),
  ['session.channelId', (record) => ({ ...record, session: { ...record.session, channelId: idOf('c2') } })],
  ['session.channelId', (record) => ({ ...record, session: { ...record.session, channelId: 'none' } })],
  ['session.descriptor', (record) => ({ ...record, session: { ...record.session, descriptor: null } })],
  ['session.descriptor', (record) => ({ ...record, session: { ...record.session, channelId: null } })],
]

describe('a record is refused as damaged, and what does not fit is named', () => {
  it.each(edits)('%s', async (named, edit) => {
    const refused = await readBack(edit(await openAt(PLACE)), KEY)
    expect(refused).toBeInstanceOf(StoreError)
    expect(refused).toMatchObject({ reason: 'damaged', message: expect.stringContaining(`: ${named}`) })
    expect(String(refused)).not.toContain('0123456789')
  })

  it('also when it fitted before, and was edited since', async () => {
    const store = memoryStore()
    const record = await openAt(PLACE)
    await store.update(KEY, () => record)
    const ledger = createLedger({ store })
    expect(await ledger.read(KEY)).toEqual(record)
    await store.update(KEY, () => ({ ...record, session: { ...record.session, channelId: idOf('c2') } }))
    await expect(ledger.read(KEY)).rejects.toMatchObject({ reason: 'damaged' })
    const receipt = { type: 'RECEIPT_ACCEPTED', accepted: '0', spent: '0' } as const
    await expect(ledger.apply(KEY, PLACE, receipt)).rejects.toMatchObject({ reason: 'damaged' })
  })

  it('under a key beside the one in use, unless it is that of its own channel', async () => {
    const record = await openAt(PLACE)
    const own = secondaryKey(KEY, idOf('c1'))
    expect(await readBack({ ...record, key: own })).toEqual({ ...record, key: own })
    expect(await readBack({ ...record, key: secondaryKey(KEY, idOf('c2')) })).toMatchObject({ reason: 'damaged' })
  })
})

describe('a record is taken as it is', () => {
  it('of a payer with another signer', async () => {
    const record = await openAt(placeOf('2', { signer: OTHER }))
    expect(await readBack(record)).toEqual(record)
  })

  it('of a payer that signs by itself, for which a descriptor may name nobody', async () => {
    const record = await openAt(PLACE)
    const descriptor = { ...channelAt('c1').descriptor, authorizedSigner: ZERO_ADDRESS }
    const session = { ...record.session, descriptor, channelId: computeChannelId(descriptor, PLACE) }
    expect(await readBack({ ...record, session })).toEqual({ ...record, session })
  })

  it('in the letters of a checksum', async () => {
    const place = placeOf('2', { payer: `0x${'aB'.repeat(20)}`, signer: `0x${'Ab'.repeat(20)}` })
    const record = await openAt(place)
    expect(await readBack(record)).toEqual(record)
  })
})

describe('a change', () => {
  it('that makes a record of two channels is not written', async () => {
    const store = memoryStore()
    const ledger = createLedger({ store })
    const lease = await ledger.lease(KEY, patient)
    const foreign = openSigned({}, placeOf('7'))
    await expect(ledger.apply(KEY, PLACE, foreign, { lease })).rejects.toMatchObject({
      reason: 'unavailable',
      message: expect.stringContaining('nothing was written'),
    })
    expect(await store.list()).toEqual([])
    await lease.release()
  })
})

it('a list leaves none out without saying so, and has the others', async () => {
  const store = memoryStore()
  const [one, two] = [await openAt(PLACE), await openAt(placeOf('7'))]
  await store.update(one.key, () => one)
  await store.update(two.key, () => ({ ...two, session: one.session }))
  const ledger = createLedger({ store })
  await expect(ledger.list()).rejects.toMatchObject({ reason: 'damaged', intact: [one] })
  // A limit over all channels is not held against a sum without it.
  await expect(ledger.view(one, PLACE, KEY, 'now')).rejects.toMatchObject({ reason: 'damaged' })
})
