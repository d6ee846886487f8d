// Paths as a test file for vitest that stands by itself: one test for each path, with its whole plan.
// Must never need anything of this checkout: it is dropped into the project of somebody else.

import { describePlan, type PathPlan } from '../../testing/index.js'
import { bySetting } from './by-setting.js'

export function writeVitest(paths: readonly PathPlan[]): string {
  const groups = bySetting(paths).map(
    ({ setting, paths: own }) => `describe.concurrent(${literal(setting.name)}, { timeout: TIMEOUT_MS }, () => {
  const setting: Setting = ${literal(setting)}

${own.map(testOf).join('\n\n')}
})
`,
  )
  return [headOf(paths.length), ...groups].join('\n')
}

function headOf(count: number): string {
  return `// ${count} paths through the payment-flow machine, written by \`mpp-flow paths\`. Write them again when mpp-flow is updated.
// Needs: npm install --save-dev mpp-flow vitest viem @foundry-rs/anvil@1.7.1

import { type PathPlan, type PathTarget, runPath, type Setting, sandboxTarget } from 'mpp-flow/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const TIMEOUT_MS = 120_000
let target: PathTarget

beforeAll(async () => {
  target = await sandboxTarget()
  // Your gateway, with gatewayTarget from 'mpp-flow/testing' and a funded account for each path:
  // target = gatewayTarget({ url: 'http://127.0.0.1:8402/v1/mpp/chat/completions', rpcUrl: 'http://127.0.0.1:8545', payer })
}, TIMEOUT_MS)
afterAll(() => target?.stop())

async function follows(path: PathPlan): Promise<void> {
  const { divergence } = await runPath(path, target)
  expect(divergence).toBeNull()
}
`
}

function testOf(plan: PathPlan): string {
  return `  it(${literal(plan.name)}, () =>
    follows({
      name: ${literal(plan.name)},
      setting,
      steps: [
${stepsOf(plan)}
      ],
      transitions: ${literal(plan.transitions)},
      ends: ${literal(plan.ends)},
    }))`
}

/** Every step under a line that says it in words. */
function stepsOf(plan: PathPlan): string {
  const words = describePlan(plan)
  return plan.steps.map((step, at) => `        // ${words[at]}\n        ${literal(step)},`).join('\n')
}

/** JSON is TypeScript too. */
function literal(value: unknown): string {
  return JSON.stringify(value)
}
