// Starts the processes of a run and hears what they measured.
// Must never leave one behind: a child ends when its parent does.

import { type ChildProcess, fork } from 'node:child_process'
import { z } from 'zod'
import { TRAFFIC_PATH, type Traffic } from './ground/memory-http.js'
import type { Effort } from './result.js'

const urlSchema = z.object({ url: z.string() })
const trafficSchema = z.object({ connections: z.number(), unpaid: z.number(), paid: z.number(), refused: z.number() })

/** What the server has seen so far. */
export async function trafficOf(origin: string): Promise<Traffic> {
  return trafficSchema.parse(await (await fetch(origin + TRAFFIC_PATH)).json())
}

export interface Server {
  readonly url: string
  stop(): Promise<void>
}

/** What a section is told. */
export const taskSchema = z.object({ quick: z.boolean(), origin: z.string(), part: z.string().exactOptional() })
export type Task = z.infer<typeof taskSchema>

function nextMessage(child: ChildProcess, what: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${what} ended with ${code ?? 'a signal'} before it had a result`)))
  })
}

function ended(child: ChildProcess): Promise<void> {
  return child.exitCode === null && child.signalCode === null
    ? new Promise((resolve) => child.once('exit', () => resolve()))
    : Promise.resolve()
}

/** Starts the gateway that answers from memory. @param module its JavaScript. */
export async function startServer(module: string): Promise<Server> {
  // Not with the loader that this process may have been started with.
  const child = fork(module, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const { url } = urlSchema.parse(await nextMessage(child, 'the server'))
  return {
    url,
    async stop() {
      child.disconnect()
      await ended(child)
    },
  }
}

/** Runs a section in a process of its own. @param nodeOptions such as `--cpu-prof`. */
export async function runChild<T>(
  module: string,
  task: Effort & Omit<Task, 'quick'>,
  schema: z.ZodType<T>,
  nodeOptions: readonly string[] = [],
): Promise<T> {
  const child = fork(module, [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc', ...nodeOptions],
  })
  child.send(taskSchema.parse(task))
  const result = schema.parse(await nextMessage(child, module))
  await ended(child)
  return result
}

/** Used by a section: takes the task, measures, reports, and lets the process end by itself. */
export function section(measure: (task: Task) => Promise<unknown>): void {
  process.once('message', (message) => {
    const work = async (): Promise<void> => {
      const result = await measure(taskSchema.parse(message))
      await new Promise<void>((resolve, reject) => {
        process.send?.(result, undefined, undefined, (error) => (error === null ? resolve() : reject(error)))
      })
      process.disconnect()
    }
    work().catch((error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  })
  // A parent that is gone wants no result.
  process.once('disconnect', () => process.exit())
}
