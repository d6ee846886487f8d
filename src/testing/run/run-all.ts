// Runs many paths, a few at a time.
// Must never stop at the first that fails: what the others do is part of the answer.

import type { PathPlan } from '../model/plan.js'
import { type PathResult, type RunOptions, runPath } from './run-path.js'
import type { PathTarget } from './target.js'

/** A path and what came of it; `result` is null when what precedes the path could not be brought about. */
export interface PathRun {
  readonly plan: PathPlan
  readonly result: PathResult | null
  /** Why it could not be run. */
  readonly problem: string | null
}

export interface RunAllOptions extends RunOptions {
  /** How many are run at once. Most of their time is waiting. Default 8. */
  readonly concurrency?: number
  readonly onRun?: (run: PathRun, done: number) => void
}

const CONCURRENCY = 8

async function runOne(plan: PathPlan, target: PathTarget, options: RunOptions): Promise<PathRun> {
  try {
    return { plan, result: await runPath(plan, target, options), problem: null }
  } catch (error) {
    return { plan, result: null, problem: error instanceof Error ? error.message : 'it could not be run' }
  }
}

/** Runs paths against a target; the results come in the order of the paths. */
export async function runPaths(
  plans: readonly PathPlan[],
  target: PathTarget,
  { concurrency = CONCURRENCY, onRun, ...options }: RunAllOptions = {},
): Promise<readonly PathRun[]> {
  const runs: PathRun[] = []
  let next = 0
  let done = 0
  async function work(): Promise<void> {
    for (let at = next++; ; at = next++) {
      const plan = plans[at]
      if (plan === undefined) return
      const run = await runOne(plan, target, options)
      runs[at] = run
      done += 1
      onRun?.(run, done)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return runs
}
