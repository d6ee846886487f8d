// Several processes on the same records, some of them killed or stopped: nothing that was said to be written is lost.
// Must never pretend: every process here is a real one, and ends with SIGKILL when it is killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fileStore } from '../../src/files/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import type { Lease, SessionStore } from '../../src/sessions/index.js'
import { childProgram } from '../child-program.js'
import { SERVER, serverDatabase, type TestDatabase } from './databases.js'

const PROGRAM = await childProgram('test/sessions/store-process.ts')
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

interface Ground {
  /** What a process needs to find the records. */
  readonly args: readonly [kind: string, where: string, schema: string]
  readonly store: SessionStore
  /** What is left behind when all is over. */
  leftovers(): Promise<readonly string[]>
  close(): Promise<void>
}

interface Running {
  readonly lines: readonly string[]
  /** Waits for a line that begins like this. */
  said(start: string): Promise<string>
  /** Ends it at once, wherever it is; resolves when it is gone. */
  kill(): Promise<void>
  /** Waits for its end. @throws when it failed. */
  ended(): Promise<void>
}

const started = new Set<ChildProcess>()

function start(args: readonly string[], job: string, times: number, ttlMs = 60_000): Running {
  const program = [PROGRAM, ...args, job, String(times), String(ttlMs)]
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'pipe'] })
  started.add(child)
  const exit = once(child, 'exit')
  const lines: string[] = []
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  const reader = createInterface(child.stdout)
  // A pipe may still hold lines when the process is gone.
  const drained = once(reader, 'close')
  const waiting = new Set<() => void>()
  reader.on('line', (line) => {
    lines.push(line)
    for (const look of [...waiting]) look()
  })
  const end = Promise.all([exit, drained]).then(() => started.delete(child))
  return {
    lines,
    said: (begin) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const line = lines.find((text) => text.startsWith(begin))
          if (line === undefined) return
          waiting.delete(look)
          resolve(line)
        }
        waiting.add(look)
        void end.then(() => reject(new Error(`a process ended without saying ${begin}: ${errors}`)))
        look()
      }),
    async kill() {
      child.kill('SIGKILL')
      await end
    },
    async ended() {
      await end
      if (child.exitCode !== 0) throw new Error(`a process failed: ${errors}`)
    },
  }
}

const versionsOf = (lines: readonly string[], word: string): number[] =>
  lines.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(' ').at(-1)))

function describeProcesses(name: string, open: () => Promise<Ground>): void {
  describe(`processes on the ${name} store`, () => {
    let ground: Ground
    beforeEach(async () => {
      ground = await open()
    })
    afterEach(async () => {
      for (const child of started) child.kill('SIGKILL')
      await ground.close()
    })

    it('write one after the other: no change of any of them is lost', async () => {
      const all = Array.from({ length: 3 }, () => start(ground.args, 'grow', 50))
      await Promise.all(all.map((process) => process.ended()))
      const versions = all.flatMap(({ lines }) => versionsOf(lines, 'grown')).sort((a, b) => a - b)
      expect(versions).toEqual(Array.from({ length: 150 }, (_, index) => index + 1))
      expect((await ground.store.get('a'))?.version).toBe(150)
      expect(await ground.leftovers()).toEqual([])
    })

    it('hold a lease one at a time, with a token that grows', async () => {
      const all = Array.from({ length: 3 }, () => start(ground.args, 'fight', 10))
      await Promise.all(all.map((process) => process.ended()))
      const writes = all
        .flatMap(({ lines }) => lines.filter((line) => line.startsWith('held ')))
        .map((line) => line.split(' ').slice(1).map(Number))
        .sort(([, a = 0], [, b = 0]) => a - b)
      // Three writes of one holder stand together, and the next three are of a later token.
      expect(writes.map(([, version]) => version)).toEqual(Array.from({ length: 90 }, (_, index) => index + 1))
      const tokens = writes.map(([token]) => token)
      expect(tokens).toEqual(Array.from({ length: 90 }, (_, index) => Math.floor(index / 3) + 1))
      expect(await ground.store.isLeased('a')).toBe(false)
    })

    it('cannot write with a lease that ran out while they were stopped', async () => {
      const stalled = start(ground.args, 'stall', 6_000, 3_000)
      const token = Number((await stalled.said('stalling')).split(' ')[1])
      expect(await ground.store.acquireLease('a', 'next', 60_000)).toBeUndefined()
      let next: Lease | undefined
      while (next === undefined) {
        await sleep(100)
        next = await ground.store.acquireLease('a', 'next', 60_000)
      }
      expect(next.token).toBe(token + 1)
      const before = await ground.store.update('a', (record) => record && { ...record, version: 7 }, [next])
      await stalled.ended()
      expect(stalled.lines).toEqual(['ready', `stalling ${token}`, 'late lease_lost', 'renewed no', 'done'])
      expect(await ground.store.get('a')).toEqual(before)
      expect(await ground.store.isLeased('a')).toBe(true)
    })

    it('may be killed at any moment: what they said is there, and the others go on', { timeout: 120_000 }, async () => {
      const endless = 1_000_000
      const killed: Running[] = []
      const alive = Array.from({ length: 3 }, () => start(ground.args, 'grow', endless))
      for (let turn = 0; turn < 5; turn += 1) {
        const victim = alive.shift()
        if (victim === undefined) throw new Error('nobody is left')
        await victim.said('grown')
        // Anywhere in a change: it takes a few milliseconds.
        await sleep(Math.random() * 40)
        await victim.kill()
        killed.push(victim)
        alive.push(start(ground.args, 'grow', endless))
      }
      for (const last of alive) {
        await last.said('grown')
        await last.kill()
        killed.push(last)
      }
      const said = killed.flatMap(({ lines }) => versionsOf(lines, 'grown'))
      expect(new Set(said).size).toBe(said.length)
      const version = (await ground.store.update('a', (record) => record && { ...record, version: record.version + 1 }))
        ?.version
      // Each of those killed may have written once more without having said so.
      expect(version).toBeGreaterThan(Math.max(...said))
      expect(version).toBeGreaterThan(said.length)
      expect(version).toBeLessThanOrEqual(said.length + killed.length + 1)
      expect(await ground.leftovers()).toEqual([])
    })
  })
}

describeProcesses('file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-processes-'))
  return {
    args: ['file', folder, '-'],
    store: fileStore(folder),
    leftovers: async () => (await readdir(folder)).filter((name) => !name.endsWith('.json')),
    close: () => rm(folder, { recursive: true }),
  }
})

describe.runIf(SERVER !== undefined)('with a server', () => {
  const url = SERVER ?? ''
  let database: TestDatabase
  beforeAll(() => {
    database = serverDatabase(url)
  })
  afterAll(() => database.close())

  describeProcesses('postgres', async () => {
    const schema = database.schema()
    const pool = new Pool({ connectionString: url, max: 4 })
    const store = postgresStore({ pool, schema })
    return {
      args: ['postgres', url, schema],
      store,
      leftovers: async () => [],
      close: async () => {
        await store.close()
        await pool.end()
      },
    }
  })
})
