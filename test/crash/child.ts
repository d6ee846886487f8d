// Starts processes that do tasks, hears what they say, and ends them.
// Must never leave one running, nor take a process that failed for one that was killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Line, saidSchema, type Task } from './task.js'

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

/** A task without its name. */
export type Given = Omit<Task, 'of'>

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

interface Started {
  readonly child: ChildProcess
  give(task: Task): void
  giveNoMore(): void
  /** @throws when it failed by itself. */
  readonly ended: Promise<{ readonly killed: boolean }>
}

function start(program: string, heard: (of: string, line: Line) => void): Started {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'pipe'] })
  running.add(child)
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  const reader = createInterface(child.stdout)
  reader.on('line', (text) => {
    const { of, line } = saidSchema.parse(JSON.parse(text))
    heard(of, line)
  })
  // A process that is killed while it starts does not read its task.
  child.stdin.on('error', () => undefined)
  // A pipe may still hold lines when the process is gone.
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => {
    running.delete(child)
    const killed = child.signalCode === 'SIGKILL'
    if (!killed && child.exitCode !== 0) {
      const why = /^\w*Error.*$/m.exec(errors)?.[0] ?? errors.slice(0, 500)
      throw new Error(`a process failed (${child.exitCode}): ${why}`)
    }
    return { killed }
  })
  ended.catch(() => undefined)
  return {
    child,
    give: (task) => void child.stdin.write(`${JSON.stringify(task)}\n`),
    giveNoMore: () => void child.stdin.end(),
    ended,
  }
}

/** What is left of a task that came to an end by itself. @throws when that was a failure. */
function whole(lines: readonly Line[]): readonly Line[] {
  const last = lines.at(-1)
  if (last?.say === 'failed') throw new Error(`a task failed: ${last.why}`)
  return lines
}

/** A process of its own for one task. */
export function startVictim(program: string, given: Given, heard?: (line: Line) => void): Victim {
  const lines: Line[] = []
  const { child, give, giveNoMore, ended } = start(program, (_of, line) => {
    lines.push(line)
    heard?.(line)
  })
  give({ ...given, of: 'victim' })
  giveNoMore()
  return {
    lines,
    kill: () => child.kill('SIGKILL'),
    ended: ended.then(({ killed }) => ({ lines: killed ? lines : whole(lines), killed })),
  }
}

/** Processes that live on and do one task after the other, each with a client and a store of its own. */
export interface Survivors {
  /** @throws when the task fails. */
  run(given: Given, heard: (line: Line) => void): Promise<Ended>
  stop(): Promise<void>
}

/** @param count how many processes share the tasks. */
export function startSurvivors(program: string, count: number): Survivors {
  const hearers = new Map<string, (line: Line) => void>()
  const started = Array.from({ length: count }, () => start(program, (of, line) => hearers.get(of)?.(line)))
  let tasks = 0
  return {
    run(given, heard) {
      const of = `task ${tasks}`
      const survivor = started[tasks % count]
      tasks += 1
      if (survivor === undefined) throw new Error('there is nobody to do a task')
      const lines: Line[] = []
      return new Promise((resolve, reject) => {
        hearers.set(of, (line) => {
          lines.push(line)
          heard(line)
          if (line.say !== 'done' && line.say !== 'failed') return
          hearers.delete(of)
          try {
            resolve({ lines: whole(lines), killed: false })
          } catch (error) {
            reject(error)
          }
        })
        const gone = (): void => reject(new Error('a process ended in the middle of a task'))
        survivor.ended.then(gone, reject)
        survivor.give({ ...given, of })
      })
    },
    async stop() {
      for (const { giveNoMore } of started) giveNoMore()
      await Promise.all(started.map(({ ended }) => ended))
    },
  }
}
