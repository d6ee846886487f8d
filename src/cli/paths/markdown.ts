// Paths as a document to read: a section for each setting, a list of steps for each path.
// Must never leave out a step.

import { describePlan, type PathPlan, type Setting } from '../../testing/index.js'
import { bySetting } from './by-setting.js'

export function writeMarkdown(paths: readonly PathPlan[]): string {
  const sections = bySetting(paths).map(({ setting, paths: own }) =>
    [`## ${setting.name}`, describeSetting(setting), ...own.map(describePath)].join('\n\n'),
  )
  return `${[`# ${paths.length} paths through the payment-flow machine`, HOW_TO_READ, ...sections].join('\n\n')}\n`
}

const HOW_TO_READ =
  'Each line is one step, numbered as in a divergence: the state in which the flow rests, what happens outside, the event that comes of it, and the states that it leads through.'

function describePath(plan: PathPlan): string {
  const steps = describePlan(plan).map((line, at) => `${at}. ${line}`)
  const { ends, name } = plan
  const end = ends === null ? [] : [`Ends in \`${ends.state}\`${ends.code === null ? '' : ` with \`${ends.code}\``}.`]
  return [`### ${name}`, steps.join('\n'), ...end].join('\n\n')
}

function describeSetting({ purpose, limits, bounds }: Setting): string {
  const limit = Object.entries(limits).map(([name, value]) => `${name} ${value ?? 'none'}`)
  const allowed = [...new Set(Object.values(bounds))]
  const recoveries = allowed.length === 0 ? 'the default bounds' : `each recovery at most ${allowed.join(' or ')} times`
  const what = purpose === 'pay' ? 'A request is paid for' : 'A channel is closed'
  return `${what}, with ${recoveries}. Limits, in base units: ${limit.join(', ')}.`
}
