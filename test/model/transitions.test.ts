// Runs a path through every transition of the payment-flow machine: real client, real HTTP, real signatures, real chain.
// Must never leave a path out where everything is run: each of them is one test.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PathTarget,
  runPath,
  STATES,
  sandboxTarget,
  TRANSITIONS,
  transitionPaths,
} from '../../src/testing/index.js'
import { some } from '../extent.js'

const paths = transitionPaths()
let target: PathTarget

beforeAll(async () => {
  target = await sandboxTarget()
})
afterAll(() => target.stop())

describe('the paths', () => {
  it('take every transition, and reach every state', () => {
    const taken = new Set(paths.flatMap(({ transitions }) => transitions))
    expect(TRANSITIONS.map(({ id }) => id).filter((id) => !taken.has(id))).toEqual([])
    const reached = new Set(
      paths.flatMap(({ steps }) => steps.flatMap((step) => [step.state, ...step.reaches.map((to) => to.state)])),
    )
    expect(STATES.filter((state) => !reached.has(state))).toEqual([])
  })

  it('are each another path, under a name of its own', () => {
    const ways = paths.map(({ setting, steps }) => JSON.stringify([setting.name, steps.map((step) => step.case)]))
    expect(new Set(ways).size).toBe(paths.length)
    expect(new Set(paths.map(({ name }) => name)).size).toBe(paths.length)
  })

  it('all come to an end, and fail with a code where they fail', () => {
    for (const { name, ends } of paths) {
      expect(ends, name).not.toBeNull()
      expect(ends?.code !== null, name).toBe(ends?.state === 'failed')
    }
  })
})

describe.concurrent('a flow goes the way of the model', () => {
  it.each(some(paths).map((path) => [path.name, path] as const))('%s', async (_, path) => {
    const { divergence, taken } = await runPath(path, target)
    expect(divergence).toBeNull()
    expect(taken).toBe(path.steps.length)
  })
})
