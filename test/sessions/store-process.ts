// One process among several on the same records: does a job over and over and says each time what came of it.
// Must never say that something was written before it is: its parent counts on every word.

import { writeSync } from 'node:fs'
import { argv } from 'node:process'
import { Pool } from 'pg'
import { fileStore } from '../../src/files/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import type { Lease, SessionStore } from '../../src/sessions/index.js'
import { recordAt } from './channel-records.js'

const [kind = '', where = '', schema = '', job = '', times = '1', ttlMs = '60000'] = argv.slice(2)
const KEY = 'a'

/** A line that is out even if the process is killed right after. */
const say = (...words: (string | number)[]): void => {
  writeSync(1, `${words.join(' ')}\n`)
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'reason' in error ? String(error.reason) : `unexpected ${String(error)}`

async function lease(store: SessionStore): Promise<Lease> {
  for (;;) {
    const taken = await store.acquireLease(KEY, `process-${process.pid}`, Number(ttlMs))
    if (taken !== undefined) return taken
    await new Promise<void>((resolve) => {
      const stop = store.watch(KEY, done)
      const timer = setTimeout(done, 200)
      function done(): void {
        clearTimeout(timer)
        stop()
        resolve()
      }
    })
  }
}

const jobs: Record<string, (store: SessionStore) => Promise<void>> = {
  /** Adds one to the version, again and again. */
  async grow(store) {
    for (let turn = 0; turn < Number(times); turn += 1) {
      const grown = await store.update(KEY, (record) => recordAt(KEY, (record?.version ?? 0) + 1))
      say('grown', grown?.version ?? 0)
    }
  },
  /** Takes the lease, adds three under it, gives it back. */
  async fight(store) {
    for (let turn = 0; turn < Number(times); turn += 1) {
      const held = await lease(store)
      for (let step = 0; step < 3; step += 1) {
        const grown = await store.update(KEY, (record) => recordAt(KEY, (record?.version ?? 0) + 1), [held])
        say('held', held.token, grown?.version ?? 0)
      }
      await store.releaseLease(held)
    }
  },
  /** Takes the lease and then does nothing at all for longer than it lasts, and tries to write with it. */
  async stall(store) {
    const held = await lease(store)
    await store.update(KEY, (record) => recordAt(KEY, (record?.version ?? 0) + 1), [held])
    say('stalling', held.token)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(times))
    const late = store.update(KEY, () => recordAt(KEY, 1_000_000), [held])
    say('late', await late.then(() => 'written', reasonOf))
    say('renewed', (await store.renewLease(held, 60_000)) === undefined ? 'no' : 'yes')
    await store.releaseLease(held)
    say('done')
  },
}

const pool = kind === 'postgres' ? new Pool({ connectionString: where, max: 3 }) : undefined
const database = pool === undefined ? undefined : postgresStore({ pool, schema })
say('ready')
const run = jobs[job]
if (run === undefined) throw new Error(`no job ${job}`)
await run(database ?? fileStore(where))
await database?.close()
await pool?.end()
