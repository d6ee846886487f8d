// Runs the generated paths against mutants of the machine: proves that the paths notice what is wrong.
// Must never count a mutant as killed because a path could not be run.

import { costOf } from '../model/cost.js'
import type { Mutant } from '../model/mutants.js'
import type { PathPlan } from '../model/plan.js'
import { runPath } from './run-path.js'
import type { PathTarget } from './target.js'

/** What became of one mutant. */
export interface MutantRun {
  readonly mutant: Mutant
  readonly killed: boolean
  /** The path that noticed it, or null. */
  readonly by: string | null
}

export interface KillOptions {
  /** How many mutants are run at once. Default 8. */
  readonly concurrency?: number
  readonly onRun?: (run: MutantRun, done: number) => void
}

const CONCURRENCY = 8
/** A mutant that waits for ever is as wrong as one that goes elsewhere. */
const STEP_TIMEOUT_MS = 15_000

function costOfPlan({ steps }: PathPlan): number {
  return steps.reduce((sum, step) => sum + costOf({ name: step.case, cause: step.cause }), 0)
}

/** The paths that take the transition in question, the cheapest first: the others cannot notice. */
function witnessesOf({ transition }: Mutant, plans: readonly PathPlan[]): readonly PathPlan[] {
  return plans
    .filter(({ transitions }) => transitions.includes(transition.id))
    .map((plan) => ({ plan, cost: costOfPlan(plan) }))
    .sort((a, b) => a.cost - b.cost)
    .map(({ plan }) => plan)
}

async function kill(mutant: Mutant, plans: readonly PathPlan[], target: PathTarget): Promise<MutantRun> {
  const machine = mutant.machine()
  for (const plan of witnessesOf(mutant, plans)) {
    const { ok } = await runPath(plan, target, { machine, stepTimeoutMs: STEP_TIMEOUT_MS })
    if (!ok) return { mutant, killed: true, by: plan.name }
  }
  return { mutant, killed: false, by: null }
}

/**
 * Runs every mutant until a path notices it.
 *
 * @throws what {@link runPath} throws when a path cannot be run at all: run the paths against the real machine first.
 */
export async function killMutants(
  mutants: readonly Mutant[],
  plans: readonly PathPlan[],
  target: PathTarget,
  { concurrency = CONCURRENCY, onRun }: KillOptions = {},
): Promise<readonly MutantRun[]> {
  const runs: MutantRun[] = []
  let next = 0
  let done = 0
  async function work(): Promise<void> {
    for (let at = next++; ; at = next++) {
      const mutant = mutants[at]
      if (mutant === undefined) return
      const run = await kill(mutant, plans, target)
      runs[at] = run
      done += 1
      onRun?.(run, done)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return runs
}
