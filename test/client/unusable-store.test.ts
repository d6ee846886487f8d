// A store that cannot be used, or read, by its real causes: what the failure says, and that nothing unkept is sent.
// Must never count as a busy channel: nobody mends a folder by trying again.
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FileLayer, fileStore, nodeFileLayer } from '../../src/files/index.js'
import { memoryStore, type SessionStore } from '../../src/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage } from './stage.js'

let stage: Stage
let above: string
beforeAll(async () => {
  stage = await setStage(20)
  above = await mkdtemp(join(tmpdir(), 'mpp-flow-unusable-'))
})
afterAll(async () => {
  await stage?.stop()
  await rm(above, { recursive: true, force: true })
})

const NOTHING = { channelId: null, deposit: '0', cumulative: '0', feeAtMost: '0', vouchersSigned: 0, paidSends: 0 }

let folders = 0
function newFolder(): string {
  folders += 1
  return join(above, `channels-${folders}`)
}

function failing(code: string, write: (text: string) => boolean): FileLayer {
  return {
    ...nodeFileLayer,
    async create(path) {
      const file = await nodeFileLayer.create(path)
      return {
        close: () => file.close(),
        async write(text) {
          if (write(text)) throw Object.assign(new Error(`${code}: write 0x5ec7e7`), { code })
          await file.write(text)
        },
      }
    },
  }
}

/** Pays once with such a store, and expects that no credential left and nothing reached the chain. */
async function refusedWith(store: SessionStore) {
  const gateway = await stage.gateway()
  const payer = counted(stage.payer())
  const outcome = await stage
    .client(payer.account, { store, policy: { timeouts: { sessionMs: 300 } } })
    .pay(gateway.chat, chat(500))
  const failure = failureOf(outcome)
  expect(failure.authorised).toEqual(NOTHING)
  expect(gateway.seen.map(({ authorization }) => authorization)).toEqual([undefined])
  expect(await stage.opened(payer.account)).toBe(0)
  return { failure, payer }
}

describe('a store that cannot be used', () => {
  it('a folder that others may read is told from a busy channel, with the folder and the mending', async () => {
    const folder = newFolder()
    await mkdir(folder)
    await chmod(folder, 0o755)
    const { failure, payer } = await refusedWith(fileStore(folder))
    expect(failure).toMatchObject({ code: 'store_unavailable', retryable: true })
    expect(failure.detail).toContain(folder)
    expect(failure.detail).toContain('chmod 700')
    expect(payer.signatures()).toBe(0)
  })

  it('a path that leads through a file is told with the folder and the mending', async () => {
    const file = newFolder()
    await writeFile(file, '')
    const { failure } = await refusedWith(fileStore(join(file, 'channels')))
    expect(failure.code).toBe('store_unavailable')
    expect(failure.detail).toContain(`${file}/channels`)
    expect(failure.detail).toContain('(ENOTDIR): a part of its path is a file')
  })

  it.each([
    ['EACCES', 'permission to read and write it'],
    ['EROFS', 'mount it for writing'],
    ['ENOSPC', 'free some space'],
    ['EIO', 'check the disk'],
  ])('a folder that cannot be written (%s) is told with the mending', async (code, mending) => {
    const folder = newFolder()
    const { failure, payer } = await refusedWith(fileStore(folder, { layer: failing(code, () => true) }))
    expect(failure.code).toBe('store_unavailable')
    expect(failure.detail).toContain(`${folder} cannot be written (${code})`)
    expect(failure.detail).toContain(mending)
    expect(failure.detail).not.toContain('5ec7e7')
    expect(payer.signatures()).toBe(0)
  })

  it('a disk that is full when the signed open should be kept: the open is not sent', async () => {
    const folder = newFolder()
    const layer = failing('ENOSPC', (text) => text.includes('"pendingTransaction": "0x'))
    const { failure, payer } = await refusedWith(fileStore(folder, { layer }))
    expect(failure.code).toBe('store_unavailable')
    expect(failure.detail).toContain('(ENOSPC)')
    expect(payer.signatures()).toBeGreaterThan(0)
    expect(await fileStore(folder).list()).toEqual([])
  })

  it('a database that cannot be reached is told without the connection string', async () => {
    const pool = new Pool({ connectionString: 'postgres://payer:hunter2@127.0.0.1:1/channels' })
    const { failure } = await refusedWith(postgresStore({ pool }))
    await pool.end()
    expect(failure).toMatchObject({ code: 'store_unavailable', retryable: true })
    expect(failure.detail).toContain('the database cannot be reached (ECONNREFUSED): see that it runs')
    expect(JSON.stringify(failure)).not.toMatch(/hunter2|payer:|127\.0\.0\.1:1/)
  })

  it('a channel that another process holds stays a busy channel', async () => {
    const store = memoryStore()
    const held: SessionStore = { ...store, acquireLease: async () => undefined }
    const { failure } = await refusedWith(held)
    expect(failure).toMatchObject({ code: 'session_unavailable', retryable: true })
    expect(failure.detail).toContain('for too long')
  })
})

describe('a record that cannot be read', () => {
  async function spoilt(spoil: (text: string) => string) {
    const folder = newFolder()
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const client = () => stage.client(payer.account, { store: fileStore(folder) })
    const first = client()
    await paySome(first, gateway.chat, 1, () => chat(500))
    const [channel] = await first.sessions.list()
    const [name] = await readdir(folder)
    if (name === undefined || channel === undefined) throw new Error('there is no record')
    await writeFile(join(folder, name), spoil(await readFile(join(folder, name), 'utf8')))
    const before = { seen: gateway.seen.length, signed: payer.signatures() }
    const outcome = await client().pay(gateway.chat, chat(500))
    expect(gateway.seen.slice(before.seen).map(({ authorization }) => authorization)).toEqual([undefined])
    expect(payer.signatures()).toBe(before.signed)
    expect(await stage.opened(payer.account)).toBe(1)
    return { failure: failureOf(outcome), folder, mpp: client(), channelId: channel.channelId }
  }

  it('because it is damaged is told with its file and the mending', async () => {
    const { failure, folder } = await spoilt((text) => text.slice(0, text.length / 2))
    expect(failure).toMatchObject({ code: 'store_damaged', retryable: false, authorised: NOTHING })
    expect(failure.detail).toContain(folder)
    expect(failure.detail).toContain('Put a good copy in place of the file')
  })

  it('because a newer version wrote it is told apart from a damaged one', async () => {
    const { failure, folder } = await spoilt((text) => text.replace('"file": 1', '"file": 2'))
    expect(failure).toMatchObject({ code: 'store_newer_format', retryable: false, authorised: NOTHING })
    expect(failure.detail).toContain(folder)
  })

  it('in a folder that is none: a close and a forced close say so, too', async () => {
    const folder = newFolder()
    await writeFile(folder, '')
    const policy = { timeouts: { sessionMs: 100 } }
    const { sessions } = stage.client(stage.payer(), { store: fileStore(folder), policy })
    const channelId = `0x${'12'.repeat(32)}`
    for (const outcome of [await sessions.close(channelId), await sessions.forceClose(channelId)]) {
      if (outcome.status !== 'failed') throw new Error('it did not fail')
      expect(outcome.failure.code).toBe('store_unavailable')
      expect(outcome.failure.detail).toContain(folder)
    }
  })
})
