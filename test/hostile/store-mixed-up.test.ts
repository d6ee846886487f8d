// Records that were edited, or put where those of another channel belong: nothing is signed for whom the policy does not name.
// Must never change a record by the ledger: whoever mixes them up writes straight into the store.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileStore } from '../../src/files/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import { memoryStore, type SessionRecord, type SessionStore } from '../../src/sessions/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'

let stage: Stage
let database: PGlite | undefined
let schemas = 0
beforeAll(async () => {
  stage = await setStage()
})
afterAll(async () => {
  await database?.close()
  await stage?.stop()
})

/** A store, and a way to write what no ledger would write. */
interface Editable {
  readonly store: SessionStore
  edit(key: string, edited: (record: SessionRecord) => SessionRecord): Promise<void>
  close(): Promise<void>
}

const PLACES: Readonly<Record<string, () => Promise<Editable>>> = {
  async memory() {
    const store = memoryStore()
    return {
      store,
      edit: async (key, edited) => void (await store.update(key, (record) => record && edited(record))),
      close: async () => undefined,
    }
  },
  async file() {
    const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-mixed-'))
    const store = fileStore(folder)
    return {
      store,
      async edit(key, edited) {
        const record = await store.get(key)
        if (record === undefined) throw new Error('nothing to edit')
        for (const name of (await readdir(folder)).filter((file) => file.endsWith('.json'))) {
          const file: unknown = JSON.parse(await readFile(join(folder, name), 'utf8'))
          if (typeof file !== 'object' || file === null || !('key' in file) || file.key !== key) continue
          await writeFile(join(folder, name), JSON.stringify({ ...file, record: edited(record) }))
        }
      },
      close: () => rm(folder, { recursive: true }),
    }
  },
  async PGlite() {
    database ??= new PGlite()
    const pool = database
    schemas += 1
    const schema = `mixed_up_${schemas}`
    const store = postgresStore({ pool, schema })
    return {
      store,
      async edit(key, edited) {
        const record = await store.get(key)
        if (record === undefined) throw new Error('nothing to edit')
        const values = [key, JSON.stringify(edited(record))]
        await pool.query(`UPDATE ${schema}.channels SET record = $2::text::jsonb WHERE key = $1`, values)
      },
      close: () => store.close(),
    }
  },
}

describe.each(Object.entries(PLACES))('a record of the wrong channel, in the %s store', (_, open) => {
  let place: Editable
  let one: WatchedGateway
  let two: WatchedGateway

  /** A payer with a channel to each of two payees; then one record is edited, and the first payee is paid once more. */
  async function attack(edit: (own: SessionRecord, other: SessionRecord) => SessionRecord) {
    place = await open()
    try {
      ;[one, two] = [await stage.gateway(), await stage.gateway()]
      const payer = counted(stage.payer())
      const before = stage.client(payer.account, { store: place.store })
      await paySome(before, one.chat, 1, () => chat(4_000))
      await paySome(before, two.chat, 1, () => chat(4_000))
      const records = await place.store.list()
      const [own, other] = [one, two].map(({ payee }) => records.find((record) => record.place.payee === payee))
      if (own === undefined || other === undefined) throw new Error('a channel was not opened')
      await place.edit(own.key, () => edit(own, other))
      const [signed, sent] = [payer.signatures(), paidSends()]
      // The second payee is not one that may be paid any more.
      const mpp = stage.client(payer.account, { store: place.store, policy: { allowedPayees: [one.payee] } })
      const outcome = await mpp.pay(one.chat, chat(4_000))
      expect(payer.signatures() - signed).toBe(0)
      expect(paidSends() - sent).toBe(0)
      const failure = failureOf(outcome)
      expect(failure.code).toBe('store_damaged')
      const { secrets } = own
      expect(JSON.stringify(failure)).not.toContain(secrets.voucher?.signature ?? 'no signature')
      return { failure, mpp, other, account: payer.account }
    } finally {
      await place.close()
    }
  }

  const paidSends = (): number => one.accounting().counts.paidSends + two.accounting().counts.paidSends

  it('is not signed for: the session of another payee', async () => {
    const { failure } = await attack((own, other) => ({ ...own, session: other.session, secrets: other.secrets }))
    expect(failure.detail).toContain('session.descriptor.payee')
  })

  it('is not signed for: the whole record of another payee, under the name of this one', async () => {
    const { failure } = await attack((own, other) => ({ ...other, key: own.key }))
    expect(failure.detail).toContain('place')
  })

  it('is not signed for: a descriptor whose payee was changed to fit', async () => {
    const { failure } = await attack((own, other) => ({
      ...own,
      session: { ...other.session, descriptor: own.session.descriptor },
    }))
    expect(failure.detail).toContain('session.channelId')
  })
})

it('a record that is mixed up is told by list and recover, and does not hide the others', async () => {
  const [one, two] = [await stage.gateway(), await stage.gateway()]
  const store = memoryStore()
  const account: LocalAccount = stage.payer()
  const mpp = stage.client(account, { store })
  await paySome(mpp, one.chat, 1, () => chat(500))
  await paySome(mpp, two.chat, 1, () => chat(500))
  const [own, other] = await store.list()
  if (own === undefined || other === undefined) throw new Error('a channel was not opened')
  await store.update(own.key, () => ({ ...own, session: other.session, secrets: other.secrets }))
  const again = stage.client(account, { store })
  await expect(again.sessions.list()).rejects.toMatchObject({ reason: 'damaged', intact: [{ key: other.key }] })
  const report = await again.sessions.recover()
  expect(report.unreadable).toContain('session.descriptor.payee')
  expect(report.channels).toContainEqual(expect.objectContaining({ channelId: other.session.channelId }))
  // The total of all deposits is not known, so that nothing is deposited under a limit for it.
  const limited = stage.client(account, { store, policy: { maxTotalDeposit: '20' } })
  expect(failureOf(await limited.pay((await stage.gateway()).chat, chat(500)))).toMatchObject({ code: 'store_damaged' })
})
