// Payers in processes of their own, and stores that they share with the test.
// Must never leave a process behind, stopped or not.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'pg'
import { z } from 'zod'
import { fileStore } from '../../src/files/index.js'
import { postgresStore } from '../../src/postgres/index.js'
import type { SessionStore } from '../../src/sessions/index.js'
import { childProgram } from '../child-program.js'
import { serverDatabase } from '../sessions/databases.js'
import type { PayerTask } from './store-task.js'

const PROGRAM = await childProgram('test/hostile/store-payer.ts')

const line = z.strictObject({ word: z.string(), what: z.unknown() })
const paid = z.strictObject({ status: z.string(), code: z.string().nullable(), detail: z.string().nullable() })
export type Paid = z.infer<typeof paid>

export interface PayerProcess {
  /** Resolves when its account is asked for the signature that it blocks at. */
  readonly signing: Promise<void>
  /** Lets the account sign. */
  go(): void
  /** SIGSTOP, and SIGCONT. */
  stop(): void
  resume(): void
  /** Resolves with what came of each request. @throws when the process failed. */
  readonly ended: Promise<readonly Paid[]>
  kill(): Promise<void>
}

export function startPayer(task: PayerTask): PayerProcess {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = child
  if (stdin === null || stdout === null || stderr === null) throw new Error('a process without pipes')
  let errors = ''
  stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  stdin.on('error', () => undefined)
  const payments: Paid[] = []
  let isSigning = (): void => undefined
  let isNever = (_: Error): void => undefined
  const signing = new Promise<void>((resolve, reject) => {
    isSigning = resolve
    isNever = reject
  })
  const reader = createInterface(stdout)
  reader.on('line', (text) => {
    const { word, what } = line.parse(JSON.parse(text))
    if (word === 'signing') isSigning()
    else payments.push(paid.parse(what))
  })
  const over = Promise.all([once(child, 'exit'), once(reader, 'close')])
  const ended = over.then(() => {
    isNever(new Error(`a process ended without signing: ${JSON.stringify(payments)} ${errors}`))
    if (child.exitCode !== 0) throw new Error(`a process failed: ${errors}`)
    return payments
  })
  ended.catch(() => undefined)
  signing.catch(() => undefined)
  return {
    signing,
    go: () => void stdin.write('go\n'),
    stop: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    ended,
    async kill() {
      child.kill('SIGKILL')
      await over
    },
  }
}

/** Records that processes share. */
export interface SharedStore {
  readonly where: PayerTask['store']
  /** Another client of the same records. `stepMs`: by so much its clock is wrong, where the store has none of its own. */
  open(stepMs?: number): SessionStore
  /** Ends the lease of a key for its holder, as a clock that jumps does. */
  expire?(keyPattern: string): Promise<void>
  close(): Promise<void>
}

export async function sharedFolder(): Promise<SharedStore> {
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-hostile-'))
  return {
    where: { kind: 'file', url: '', name: folder },
    open: (stepMs = 0) => fileStore(folder, { now: () => Date.now() + stepMs }),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

export async function sharedDatabase(url: string): Promise<SharedStore> {
  const database = serverDatabase(url)
  const schema = database.schema()
  const pool = new Pool({ connectionString: url, max: 6 })
  const stores: ReturnType<typeof postgresStore>[] = []
  return {
    where: { kind: 'postgres', url, name: schema },
    open() {
      const store = postgresStore({ pool, schema })
      stores.push(store)
      return store
    },
    async expire(keyPattern) {
      const past = `UPDATE ${schema}.channels SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE key LIKE $1`
      await pool.query(past, [keyPattern])
    },
    async close() {
      await Promise.all(stores.map((store) => store.close()))
      await pool.end()
      await database.close()
    },
  }
}
