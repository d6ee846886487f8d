// The reports of the command `model`, as lines for people.
// Must never leave out what is missing: a number alone helps nobody.

import type { SpaceReport } from '../../testing/model/check.js'
import type { Coverage, Covered } from '../../testing/model/coverage.js'
import type { MutantRun } from '../../testing/run/kill-mutants.js'
import type { PathRun } from '../../testing/run/run-all.js'

function coveredLines(name: string, { total, reached, executed, missing }: Covered): readonly string[] {
  const line = `${name.padEnd(12)} ${String(total).padStart(5)} ${String(reached).padStart(8)} ${String(executed).padStart(9)}`
  return [line, ...missing.map((one) => `  not executed: ${one}`)]
}

/** What was covered, and by how many paths. */
export function coverageLines(coverage: Coverage, paths: number, good: number): readonly string[] {
  return [
    '             total  reached  executed',
    ...coveredLines('states', coverage.states),
    ...coveredLines('transitions', coverage.transitions),
    ...coveredLines('guards', coverage.guards),
    ...coveredLines('codes', coverage.codes),
    `${good} of ${paths} paths went as planned`,
  ]
}

/** The pairs that were executed, and why the others were not even tried. */
export function pairLines(total: number, executed: number, recoveries: number): readonly string[] {
  return [
    `pairs of recoveries: ${executed} of ${total} executed`,
    `left out: ${recoveries ** 2 - total} of the ${recoveries} × ${recoveries} pairs. After the first of them no flow comes to the second without another recovery in between.`,
  ]
}

/** The paths that did not go as planned, and how. */
export function pathLines(runs: readonly PathRun[]): readonly string[] {
  return runs.flatMap(({ plan, result, problem }) => {
    if (problem !== null) return [`could not be run: ${plan.name}: ${problem}`]
    if (result === null || result.divergence === null) return []
    const { step, state, planned, happened } = result.divergence
    return [`left its path: ${plan.name}: step ${step}, in ${state}: planned ${planned}, but ${happened}`]
  })
}

/** One space of the check, and what is broken in it: the first of each rule. */
export function spaceLines({
  name,
  recoveries,
  states,
  transitions,
  depth,
  seconds,
  violations,
}: SpaceReport): readonly string[] {
  const bounds = Object.entries(recoveries).map(([recovery, bound]) => `${recovery} ${bound}`)
  const sizes = `${states} states, ${transitions} transitions, depth ${depth}, ${seconds.toFixed(1)} s`
  const firsts = new Map(violations.map((violation) => [violation.rule, violation]))
  const broken = [...firsts.values()].map(
    ({ rule, state, path }) => `  broken in ${state}: ${rule}\n    ${path.join(' → ')}`,
  )
  return [`${name} (${bounds.join(', ')}): ${sizes}, ${violations.length} violations`, ...broken]
}

/** Mutants that no path noticed. */
export function survivorLines(survivors: readonly MutantRun[]): readonly string[] {
  return survivors.map(({ mutant }) => `survived: ${mutant.name}`)
}
