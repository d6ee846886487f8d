// The command `model`: runs generated paths, whole state spaces or mutants, and reports what came of it.
// Must never report as executed what did not go as planned.

import { z } from 'zod'
import { type PathPlan, type PathTarget, sandboxTarget, transitionPaths } from '../../testing/index.js'
import { checkModel } from '../../testing/model/check.js'
import { coverageOf } from '../../testing/model/coverage.js'
import { MUTANTS } from '../../testing/model/mutants.js'
import { pairSequences } from '../../testing/model/pairs.js'
import { type PairScope, pairsOf, recoveriesIn } from '../../testing/model/recovery-pairs.js'
import { killMutants } from '../../testing/run/kill-mutants.js'
import { type PathRun, runPaths } from '../../testing/run/run-all.js'
import type { CommandRun } from '../command-run.js'
import { EXIT } from '../exit.js'
import type { Given } from '../perform.js'
import { coverageLines, pairLines, pathLines, spaceLines, survivorLines } from './report.js'

const modelOptions = z.object({
  pairs: z.boolean().default(false),
  everyPair: z.boolean().default(false),
  check: z.boolean().default(false),
  mutate: z.boolean().default(false),
  json: z.boolean().default(false),
  concurrency: z.coerce.number().int().min(1).max(64),
})

type Options = z.infer<typeof modelOptions>

/** How often something is said about what goes on for minutes. */
const EVERY = 100

export async function model(run: CommandRun, { options }: Given): Promise<number> {
  const given = modelOptions.parse(options)
  const json = given.json || run.json
  if (given.check) return check(run, json)
  const target = await sandboxTarget()
  run.onLeave(() => target.stop())
  try {
    return given.mutate ? await mutate(run, target, given, json) : await cover(run, target, given, json)
  } finally {
    await target.stop()
  }
}

async function cover(run: CommandRun, target: PathTarget, given: Options, json: boolean): Promise<number> {
  const paths = transitionPaths()
  const scope: PairScope | null = given.everyPair ? 'every' : given.pairs ? 'unlike' : null
  if (scope !== null) run.note('generating sequences through the pairs of recoveries …')
  const pairs = scope === null ? null : pairSequences(scope)
  const plans = [...paths, ...(pairs?.sequences ?? [])]
  run.note(`running ${plans.length} paths …`)
  const runs = await runAll(run, plans, target, given)
  const good = runs.filter(({ result }) => result?.ok === true)
  const executed = good.map(({ plan }) => plan)
  const coverage = coverageOf(plans, executed)
  for (const line of pathLines(runs)) run.note(line)
  if (!json) for (const line of coverageLines(coverage, runs.length, good.length)) await run.write(`${line}\n`)
  const { states, transitions, codes } = coverage
  const told = [states, transitions, codes].map(({ total, executed: done }) => ({ total, executed: done }))
  const [ofStates, ofTransitions, ofCodes] = told
  const summary = { states: ofStates, transitions: ofTransitions, codes: ofCodes, paths: good.length }
  if (pairs === null || scope === null) {
    if (json) await run.writeJson(summary)
    return good.length === runs.length && transitions.missing.length === 0 ? EXIT.ok : EXIT.failed
  }
  const taken = new Set(executed.flatMap((plan) => pairsOf(plan.transitions, scope)))
  const done = [...pairs.known].filter((pair) => taken.has(pair)).length
  const total = pairs.known.size
  const recoveries = recoveriesIn(scope)
  if (json) await run.writeJson({ ...summary, pairs: { total, executed: done, left_out: recoveries ** 2 - total } })
  else for (const line of pairLines(total, done, recoveries)) await run.write(`${line}\n`)
  return good.length === runs.length && done === pairs.known.size ? EXIT.ok : EXIT.failed
}

function runAll(
  run: CommandRun,
  plans: readonly PathPlan[],
  target: PathTarget,
  { concurrency }: Options,
): Promise<readonly PathRun[]> {
  return runPaths(plans, target, {
    concurrency,
    onRun: (_, done) => {
      if (done % EVERY === 0) run.note(`${done} of ${plans.length}`)
    },
  })
}

async function check(run: CommandRun, json: boolean): Promise<number> {
  const spaces = checkModel((report) => {
    for (const line of spaceLines(report)) run.note(line)
  })
  const sum = (of: (report: (typeof spaces)[number]) => number): number =>
    spaces.reduce((total, report) => total + of(report), 0)
  const summary = {
    spaces: spaces.length,
    states: sum(({ states }) => states),
    transitions: sum(({ transitions }) => transitions),
    seconds: Math.round(sum(({ seconds }) => seconds)),
    violations: sum(({ violations }) => violations.length),
  }
  if (json) await run.writeJson(summary)
  else {
    const { states, transitions, seconds, violations } = summary
    await run.write(
      `${summary.spaces} spaces, ${states} states, ${transitions} transitions taken, ${seconds} s: ${violations} violations\n`,
    )
  }
  return summary.violations === 0 ? EXIT.ok : EXIT.failed
}

/** The least share of mutants that must be noticed, and the transitions of which all must be. */
const LEAST_KILLED = 0.95
const OF_A_GATEWAY_CODE = /^mpp_|^payment_required$/

async function mutate(run: CommandRun, target: PathTarget, { concurrency }: Options, json: boolean): Promise<number> {
  run.note(`running ${MUTANTS.length} mutants …`)
  const runs = await killMutants(MUTANTS, transitionPaths(), target, {
    concurrency,
    onRun: (_, done) => {
      if (done % EVERY === 0) run.note(`${done} of ${MUTANTS.length}`)
    },
  })
  const survivors = runs.filter(({ killed }) => !killed)
  const killed = runs.length - survivors.length
  if (json) {
    await run.writeJson({ mutants: runs.length, killed, survivors: survivors.map(({ mutant }) => mutant.name) })
  } else {
    for (const line of survivorLines(survivors)) await run.write(`${line}\n`)
    await run.write(`${killed} of ${runs.length} mutants killed\n`)
  }
  const escaped = survivors.some(({ mutant }) => OF_A_GATEWAY_CODE.test(mutant.transition.event))
  return killed / runs.length >= LEAST_KILLED && !escaped ? EXIT.ok : EXIT.failed
}
