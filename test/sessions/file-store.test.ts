// Puts the file store through the contract of every store, and through what only files can suffer.
// Must never leave a folder behind.

import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FileLayer, fileStore, nodeFileLayer } from '../../src/files/index.js'
import { createLedger, RECORD_FORMAT, type SessionRecord, StoreError } from '../../src/sessions/index.js'
import { KEY, openSigned, PLACE, recordAt } from './channel-records.js'
import { describeStore } from './store-contract.js'

const CHANNEL = `0x${'c'.repeat(64)}`
const grow = (key: string) => (record: SessionRecord | undefined) => recordAt(key, (record?.version ?? 0) + 1)
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const refusal = (reason: StoreError['reason']) => expect.objectContaining({ name: 'StoreError', reason })

describeStore('file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-files-'))
  let now = 1_000_000
  const options = { now: () => now }
  return {
    store: fileStore(join(folder, 'channels'), options),
    other: fileStore(join(folder, 'channels'), options),
    pass: async (ms) => {
      now += ms
    },
    close: () => rm(folder, { recursive: true }),
  }
})

describe('files', () => {
  let above: string
  let folder: string
  beforeEach(async () => {
    above = await mkdtemp(join(tmpdir(), 'mpp-flow-files-'))
    folder = join(above, 'state', 'channels')
  })
  afterEach(() => rm(above, { recursive: true }))

  const names = async (ending = '.json') => (await readdir(folder)).filter((name) => name.endsWith(ending)).sort()
  async function only(ending = '.json'): Promise<string> {
    const [name, ...more] = await names(ending)
    if (name === undefined || more.length > 0) throw new Error(`expected one ${ending}`)
    return join(folder, name)
  }

  describe('on the disk', () => {
    it('are one per channel, readable, and for their owner alone', async () => {
      const store = fileStore(folder)
      await store.update(KEY, grow(KEY))
      await store.update(`${KEY}#${CHANNEL}`, grow(`${KEY}#${CHANNEL}`))
      const lease = await store.acquireLease(KEY, 'holder-1', 60_000)
      const all = await readdir(folder)
      expect(all.length).toBe(2)
      const path = join(folder, all.find((name) => !name.includes('cccc')) ?? '')
      expect(path).toMatch(
        /\/42431_0x4d505000_0x11111111_0x11111111_0x22222222_0x33333333_0x00000000~[0-9a-f]{32}\.json$/,
      )
      expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
        file: 1,
        key: KEY,
        record: recordAt(KEY, 1),
        lease: { holder: 'holder-1', token: 1, expiresAt: lease?.expiresAt, ttlMs: 60_000 },
        lastToken: 1,
      })
      expect((await readFile(path, 'utf8')).split('\n').length).toBeGreaterThan(20)
      expect((await stat(path)).mode & 0o777).toBe(0o600)
      expect((await stat(folder)).mode & 0o777).toBe(0o700)
      expect((await stat(join(above, 'state'))).mode & 0o777).toBe(0o700)
    })

    it('have names that no key can lead out of the folder, and that differ where keys do', async () => {
      const store = fileStore(folder)
      const keys = [
        '../../out',
        '/etc/passwd',
        'A',
        'a',
        'a:b',
        'a_b',
        'a#b',
        '.',
        '',
        'x'.repeat(5_000),
        'ü\n\u0000*?',
      ]
      for (const key of keys) await store.update(key, grow(key))
      expect((await names()).length).toBe(keys.length)
      expect((await readdir(above)).length).toBe(1)
      expect((await readdir(join(above, 'state'))).length).toBe(1)
      expect((await store.list()).map(({ key }) => key).sort()).toEqual([...keys].sort())
      for (const name of await names()) expect(name).toMatch(/^[0-9A-Za-z._~-]{1,200}$/)
    })

    it('are not kept where others may look', async () => {
      await mkdir(folder, { recursive: true })
      await chmod(folder, 0o750)
      const store = fileStore(folder)
      await expect(store.update('a', grow('a'))).rejects.toEqual(refusal('unavailable'))
      await expect(store.get('a')).rejects.toThrow(/chmod 700/)
      expect(await readdir(folder)).toEqual([])
      await chmod(folder, 0o700)
      expect((await store.update('a', grow('a')))?.version).toBe(1)
    })

    it('of others in the folder are left alone', async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(join(folder, 'notes.json'), 'mine')
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      expect((await store.list()).length).toBe(1)
      expect(await readFile(join(folder, 'notes.json'), 'utf8')).toBe('mine')
    })

    it('outlive the process, leases with their tokens included', async () => {
      const before = fileStore(folder)
      await createLedger({ store: before }).apply(KEY, PLACE, {
        type: 'RESERVED',
        flow: 'f',
        amount: '1',
        until: 9,
        now: 1,
      })
      const lease = await before.acquireLease(KEY, 'holder-1', 60_000)
      const after = fileStore(folder)
      expect(await after.get(KEY)).toEqual(await before.get(KEY))
      expect(await after.acquireLease(KEY, 'holder-2', 60_000)).toBeUndefined()
      if (lease === undefined) throw new Error('no lease')
      await after.releaseLease(lease)
      expect((await after.acquireLease(KEY, 'holder-2', 60_000))?.token).toBe(2)
    })

    it('keep a lease no longer than its time when the clock is set back', async () => {
      let now = 2_000_000_000
      const store = fileStore(folder, { now: () => now })
      await store.acquireLease('a', 'holder-1', 1_000)
      now = 1_000_000_000
      expect(await store.isLeased('a')).toBe(false)
      expect((await store.acquireLease('a', 'holder-2', 1_000))?.token).toBe(2)
    })
  })

  describe('that cannot be read', () => {
    const wrong = [
      ['empty', () => ''],
      ['cut off', (text: string) => text.slice(0, text.length / 2)],
      ['full of zeros', (text: string) => '\0'.repeat(text.length)],
      ['no JSON', () => 'hello'],
      ['other JSON', () => '[]'],
      ['without its record', (text: string) => JSON.stringify({ ...JSON.parse(text), record: undefined })],
      ['with an amount changed', (text: string) => text.replace('"deposit": "0"', '"deposit": "-1"')],
      ['of another channel', (text: string) => text.replaceAll('"key": "a"', '"key": "b"')],
      ['with a lease from nowhere', (text: string) => text.replace('"lastToken": 1', '"lastToken": 0')],
    ] as const

    it.each(wrong)('(%s) are quarantined as they are, and refused until somebody acts', async (_, spoil) => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      await store.acquireLease('a', 'holder-1', 60_000)
      await store.update('b', grow('b'))
      const path = join(folder, (await names()).find((name) => name.startsWith('a')) ?? '')
      const good = await readFile(path, 'utf8')
      const bad = spoil(good)
      expect(bad).not.toBe(good)
      await writeFile(path, bad)

      await expect(store.get('a')).rejects.toEqual(refusal('damaged'))
      const quarantined = await only('.damaged')
      expect(await readFile(quarantined, 'utf8')).toBe(bad)
      // Again and again, by whatever is asked, also in another process.
      for (const asked of [store, fileStore(folder)]) {
        await expect(asked.get('a')).rejects.toThrow(quarantined)
        await expect(asked.update('a', grow('a'))).rejects.toEqual(refusal('damaged'))
        await expect(asked.acquireLease('a', 'holder-2', 1_000)).rejects.toEqual(refusal('damaged'))
        await expect(asked.isLeased('a')).rejects.toEqual(refusal('damaged'))
        await expect(asked.list()).rejects.toMatchObject({ reason: 'damaged', intact: [recordAt('b', 1)] })
      }
      expect(await names()).toEqual([expect.stringMatching(/^b/)])
      expect((await store.update('b', grow('b')))?.version).toBe(2)
      // A copy that is put back counts at once; what was quarantined may stay.
      await writeFile(path, good)
      expect(await store.get('a')).toEqual(recordAt('a', 1))
      expect((await store.list()).length).toBe(2)
      await rm(path)
      await rm(quarantined)
      expect(await store.get('a')).toBeUndefined()
    })

    it('are found by a change first, which then does not happen', async () => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      await writeFile(await only(), '{')
      let looked = 0
      const change = (record: SessionRecord | undefined) => {
        looked += 1
        return grow('a')(record)
      }
      await expect(store.update('a', change)).rejects.toEqual(refusal('damaged'))
      expect(looked).toBe(0)
      expect(await readFile(await only('.damaged'), 'utf8')).toBe('{')
    })

    it('are all kept when it happens twice', async () => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      const path = await only()
      for (const text of ['first', 'second']) {
        await writeFile(path, text)
        await expect(store.get('a')).rejects.toEqual(refusal('damaged'))
      }
      const contents = (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8'))
      expect((await Promise.all(contents)).sort()).toEqual(['first', 'second'])
    })

    it.each([
      ['file', (text: string) => text.replace('"file": 1', '"file": 2')],
      ['record', (text: string) => text.replace(`"format": ${RECORD_FORMAT}`, `"format": ${RECORD_FORMAT + 1}`)],
    ])('because a newer version wrote the %s are left as they are', async (_, renew) => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      const path = await only()
      const newer = renew(await readFile(path, 'utf8'))
      await writeFile(path, newer)
      await expect(store.get('a')).rejects.toEqual(refusal('newer_format'))
      await expect(store.update('a', grow('a'))).rejects.toThrow(/newer version/)
      await expect(store.list()).rejects.toEqual(refusal('newer_format'))
      expect(await readFile(path, 'utf8')).toBe(newer)
      expect((await readdir(folder)).length).toBe(1)
    })

    it('of an older format are read, and written anew with the next change', async () => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      const path = await only()
      await writeFile(path, (await readFile(path, 'utf8')).replace(`"format": ${RECORD_FORMAT}`, '"format": 0'))
      expect(await store.get('a')).toEqual(recordAt('a', 1))
      await store.update('a', grow('a'))
      expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ record: { format: RECORD_FORMAT, version: 2 } })
    })
  })

  describe('and writers that died or stall', () => {
    it('are not in the way: a dead lock ends, a dead draft is removed', { timeout: 20_000 }, async () => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      const stem = (await only()).slice(0, -'.json'.length)
      await mkdir(`${stem}.lock`)
      const longAgo = new Date(Date.now() - 60_000)
      await utimes(`${stem}.lock`, longAgo, longAgo)
      await writeFile(`${stem}.1-dead.draft`, '{"half":')
      expect((await store.update('a', grow('a')))?.version).toBe(2)
      expect(await names('')).toEqual([expect.stringMatching(/^a~.*\.json$/)])
    })

    it('leave a lock that many find at once: one gets it, the others are told to wait, nobody fails', async () => {
      const longAgo = new Date(Date.now() - 60_000)
      await mkdir(folder, { recursive: true })
      for (let round = 0; round < 150; round += 1) {
        const path = join(folder, `${round}.lock`)
        await mkdir(path)
        await utimes(path, longAgo, longAgo)
        const taken = await Promise.all(Array.from({ length: 8 }, () => nodeFileLayer.lock(path)))
        // Now and then they take it away from each other, and nobody has it; then the next one gets it.
        if (!taken.some((release) => release !== undefined)) taken.push(await nodeFileLayer.lock(path))
        expect(taken.some((release) => release !== undefined)).toBe(true)
        for (const release of taken) await release?.()
      }
      await expect(nodeFileLayer.lock(join(folder, 'nowhere', 'a.lock'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    it('cannot write over each other, even where no lock works', async () => {
      const lockless: FileLayer = { ...nodeFileLayer, lock: async () => async () => undefined }
      const stores = Array.from({ length: 6 }, () => fileStore(folder, { layer: lockless }))
      const turns = await Promise.all(
        stores.map(async (store) => {
          let written = 0
          for (let turn = 0; turn < 10; turn += 1) {
            try {
              await store.update('a', grow('a'))
              written += 1
            } catch (error) {
              // Without any lock a writer may never get through; then it says so and has written nothing.
              if (!(error instanceof StoreError) || error.reason !== 'unavailable') throw error
            }
            await sleep(Math.random() * 3)
          }
          return written
        }),
      )
      const written = turns.reduce((sum, turn) => sum + turn, 0)
      expect((await fileStore(folder).get('a'))?.version).toBe(written)
      expect(written).toBeGreaterThan(10)
      expect(await names('.draft')).toEqual([])
    })

    it('leave no lock for as long as a clock was set back: one from the future ends as a dead one does', async () => {
      const store = fileStore(folder)
      await store.update('a', grow('a'))
      const lock = `${(await only()).slice(0, -'.json'.length)}.lock`
      await mkdir(lock)
      const inAnHour = new Date(Date.now() + 3_600_000)
      await utimes(lock, inAnHour, inAnHour)
      expect((await store.update('a', grow('a')))?.version).toBe(2)
    })

    it('write nothing when one of their leases went to somebody else between the check and the rename', async () => {
      let now = 1_000_000
      const clock = { now: () => now }
      const lockless: FileLayer = { ...nodeFileLayer, lock: async () => async () => undefined }
      let go = (): void => undefined
      let reached = (): void => undefined
      const gate = new Promise<void>((resolve) => {
        go = resolve
      })
      const stall = new Promise<void>((resolve) => {
        reached = resolve
      })
      let stalls = false
      const slow: FileLayer = {
        ...lockless,
        async rename(from, to) {
          if (stalls) {
            stalls = false
            reached()
            await gate
          }
          return lockless.rename(from, to)
        },
      }
      const stopped = fileStore(folder, { ...clock, layer: slow })
      const other = fileStore(folder, { ...clock, layer: lockless })
      const all = await stopped.acquireLease('all', 'stopped', 1_000)
      const own = await stopped.acquireLease('a', 'stopped', 60_000)
      if (all === undefined || own === undefined) throw new Error('a lease is not free')
      stalls = true
      const late = stopped.update('a', grow('a'), [own, all])
      await stall
      // Everything was checked and found good. Now the lease runs out, and its next holder adds up what there is.
      now += 2_000
      expect(await other.acquireLease('all', 'other', 60_000)).toMatchObject({ token: 2 })
      expect(await other.list()).toEqual([])
      go()
      await expect(late).rejects.toEqual(refusal('lease_lost'))
      expect(await other.list()).toEqual([])
      expect(await names('.draft')).toEqual([])
    })

    it.each(['read', 'create', 'write'] as const)(
      'write nothing when they were stopped while they %s, and their lock was taken over',
      async (where) => {
        // The first call of the stalled process waits until another one has written.
        let go = (): void => undefined
        const gate = new Promise<void>((resolve) => {
          go = resolve
        })
        let stalled = false
        let reached = (): void => undefined
        const stall = new Promise<void>((resolve) => {
          reached = resolve
        })
        const wait = async (step: string): Promise<void> => {
          if (step !== where || stalled) return
          stalled = true
          reached()
          await gate
        }
        const slow: FileLayer = {
          ...nodeFileLayer,
          lock: async () => async () => undefined,
          async read(path) {
            const text = await nodeFileLayer.read(path)
            await wait('read')
            return text
          },
          async create(path) {
            const file = await nodeFileLayer.create(path)
            await wait('create')
            return {
              close: () => file.close(),
              async write(text) {
                await file.write(text)
                await wait('write')
              },
            }
          },
        }
        await fileStore(folder).update('a', grow('a'))
        const late = fileStore(folder, { layer: slow }).update('a', grow('a'))
        await stall
        expect((await fileStore(folder).update('a', grow('a')))?.version).toBe(2)
        go()
        // It notices, and makes its change from what the other one wrote.
        expect((await late)?.version).toBe(3)
        expect((await fileStore(folder).get('a'))?.version).toBe(3)
      },
    )
  })

  describe('when the disk fails', () => {
    const full = () => Object.assign(new Error('ENOSPC: no space left on device, write 0x5ec7e7'), { code: 'ENOSPC' })

    it.each(['create', 'write', 'rename', 'list', 'lock'] as const)(
      'to %s, the record stays and the caller is told',
      async (what) => {
        const store = fileStore(folder)
        await store.update('a', grow('a'))
        let failing = true
        const fail = async (name: string): Promise<void> => {
          if (failing && name === what) throw full()
        }
        const layer: FileLayer = {
          ...nodeFileLayer,
          create: async (path) => {
            await fail('create')
            const file = await nodeFileLayer.create(path)
            return { close: () => file.close(), write: async (text) => fail('write').then(() => file.write(text)) }
          },
          rename: async (from, to) => fail('rename').then(() => nodeFileLayer.rename(from, to)),
          list: async (path) => fail('list').then(() => nodeFileLayer.list(path)),
          lock: async (path) => fail('lock').then(() => nodeFileLayer.lock(path)),
        }
        const broken = fileStore(folder, { layer })
        const outcome = broken.update('a', grow('a'))
        await expect(outcome).rejects.toEqual(refusal('unavailable'))
        await expect(outcome).rejects.toThrow(/ENOSPC/)
        await expect(outcome).rejects.not.toThrow(/5ec7e7/)
        expect((await store.get('a'))?.version).toBe(1)
        failing = false
        expect((await broken.update('a', grow('a')))?.version).toBe(2)
        expect(await names('.draft')).toEqual([])
      },
    )

    it('a torn write is quarantined after the restart', async () => {
      // A disk that says it has everything, and has half of it.
      const lying: FileLayer = {
        ...nodeFileLayer,
        create: async (path) => {
          const file = await nodeFileLayer.create(path)
          return { close: () => file.close(), write: (text) => file.write(text.slice(0, text.length / 2)) }
        },
      }
      await fileStore(folder).update('a', grow('a'))
      expect((await fileStore(folder, { layer: lying }).update('a', grow('a')))?.version).toBe(2)
      await expect(fileStore(folder).get('a')).rejects.toEqual(refusal('damaged'))
      expect((await names('.damaged')).length).toBe(1)
    })

    it('a folder that cannot be made is told', async () => {
      await writeFile(join(above, 'state'), 'a file where the folder should be')
      await expect(fileStore(folder).get('a')).rejects.toEqual(refusal('unavailable'))
      await rename(join(above, 'state'), join(above, 'elsewhere'))
      expect(await fileStore(folder).get('a')).toBeUndefined()
    })
  })

  it('refuse a record that could not be read again, and keep the one before', async () => {
    const store = fileStore(folder)
    const ledger = createLedger({ store })
    const lease = await ledger.lease(KEY, { signal: new AbortController().signal, timeoutMs: 1_000 })
    await expect(ledger.apply(KEY, PLACE, openSigned({ channelId: 'no-id' }), { lease })).rejects.toThrow(
      /nothing was written/,
    )
    expect(await store.get(KEY)).toBeUndefined()
    await ledger.apply(KEY, PLACE, openSigned(), { lease, voucher: '0xab', transaction: '0xcd' })
    expect((await store.get(KEY))?.secrets).toEqual({
      voucher: { cumulative: '1000000', signature: '0xab' },
      pendingTransaction: '0xcd',
      resource: null,
    })
    await lease.release()
  })
})
