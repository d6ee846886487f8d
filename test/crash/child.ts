// Starts a victim, hears what it says, and ends it.
// Must never leave one running, nor take a process that failed for one that was killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Line, lineSchema, type Task } from './task.js'

export interface Ended {
  readonly lines: readonly Line[]
  /** By SIGKILL. */
  readonly killed: boolean
}

export interface Victim {
  readonly lines: readonly Line[]
  /** Ends it at once, wherever it is. */
  kill(): void
  /** @throws when it failed by itself. */
  readonly ended: Promise<Ended>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function startVictim(program: string, task: Task, heard?: (line: Line) => void): Victim {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'pipe'] })
  running.add(child)
  const lines: Line[] = []
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  const reader = createInterface(child.stdout)
  reader.on('line', (text) => {
    const line = lineSchema.parse(JSON.parse(text))
    lines.push(line)
    heard?.(line)
  })
  // A victim that is killed while it starts does not read its task.
  child.stdin.on('error', () => undefined)
  child.stdin.end(JSON.stringify(task))
  // A pipe may still hold lines when the process is gone.
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then((): Ended => {
    running.delete(child)
    const killed = child.signalCode === 'SIGKILL'
    if (!killed && child.exitCode !== 0)
      throw new Error(`a process failed (${child.exitCode}): ${errors.slice(0, 2_000)}`)
    return { lines, killed }
  })
  ended.catch(() => undefined)
  return { lines, kill: () => child.kill('SIGKILL'), ended }
}
