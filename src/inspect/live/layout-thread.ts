// Runs ELK in a thread of its own: a picture may take it seconds, in which the inspected program has to go on.
// Must never let a graph take more than its time and memory: the thread is ended, and the next one starts anew.

import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { ElkNode } from '../diagram/elk-graph.js'
import type { Layout } from '../diagram/layout.js'

/** How long ELK may take for one graph, in milliseconds. The payment-flow machine takes some tenths of a second. */
const LONGEST_MS = 60_000
const MOST_MEGABYTES = 256
/** Graphs that wait for the thread. */
const MOST_WAITING = 40

/** Set in the built package, where ELK is a file beside the bundles. */
declare const BUNDLED_ELK: string | undefined
const ELK = typeof BUNDLED_ELK === 'undefined' ? 'elkjs/lib/elk.bundled.js' : BUNDLED_ELK

/** It is a text, so that it runs the same from TypeScript and from the built package. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const { default: Elk } = require(workerData)
parentPort.on('message', (input) =>
  new Elk().layout(input).then(
    (output) => parentPort.postMessage({ output }),
    (error) => parentPort.postMessage({ problem: String(error && error.message) }),
  ))
`

/** What the thread answers. */
interface Answered {
  readonly output?: ElkNode
  readonly problem?: string
}

export interface LayoutThread {
  /** One graph after the other. @throws Error saying why there is no layout */
  readonly layOut: Layout
  /** Ends the thread; layouts under way are rejected. */
  stop(): Promise<void>
}

/** The thread starts with the first layout. It keeps no process alive. */
export function createLayoutThread(longestMs = LONGEST_MS): LayoutThread {
  let worker: Worker | null = null
  let waiting = 0
  let stopped = false
  let queue: Promise<unknown> = Promise.resolve()

  function started(): Worker {
    if (worker !== null) return worker
    const elk = createRequire(import.meta.url).resolve(ELK)
    worker = new Worker(PROGRAM, {
      eval: true,
      workerData: elk,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MOST_MEGABYTES },
    })
    worker.unref()
    return worker
  }

  function run(input: ElkNode): Promise<ElkNode> {
    return new Promise((resolve, reject) => {
      if (stopped) throw new Error('the layout engine was stopped')
      const thread = started()
      const settle = (): void => {
        clearTimeout(timer)
        thread.off('message', answered).off('error', broken).off('exit', ended)
      }
      const giveUp = (why: string): void => {
        settle()
        if (worker === thread) worker = null
        // It may be in the middle of its work; what becomes of that is of no interest any more.
        thread.on('error', () => undefined)
        void thread.terminate()
        reject(new Error(why))
      }
      const answered = ({ output, problem }: Answered): void => {
        settle()
        if (output === undefined) reject(new Error(problem ?? 'the layout engine gave no reason'))
        else resolve(output)
      }
      const broken = (error: Error): void => giveUp(`the layout engine gave up (${error.message})`)
      const ended = (): void => giveUp('the layout engine was stopped')
      const timer = setTimeout(
        () => giveUp(`laying it out took longer than ${longestMs / 1_000} seconds`),
        longestMs,
      ).unref()
      thread.on('message', answered).on('error', broken).on('exit', ended)
      thread.postMessage(input)
    })
  }

  return {
    layOut(input) {
      if (waiting >= MOST_WAITING) return Promise.reject(new Error('too many other machines are waiting to be drawn'))
      waiting += 1
      const turn = queue
        .then(() => run(input))
        .finally(() => {
          waiting -= 1
        })
      // A failure belongs to the caller of this turn.
      queue = turn.catch(() => undefined)
      return turn
    },
    async stop() {
      stopped = true
      await worker?.terminate()
    },
  }
}
