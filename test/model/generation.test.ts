// Holds the generated paths against the machine they come from, and the two libraries that generate against each other.
// Must never run a client: that is done by the tests that run the paths.

import { createTestModel as createOldTestModel } from '@xstate/test'
import { describe, expect, it } from 'vitest'
import { createTestModel } from 'xstate/graph'
import { MPP_CODES, PROBLEM_TYPES, paymentFlowMachine } from '../../machines/index.js'
import {
  casesFor,
  type PathPlan,
  paymentFlowModel,
  SETTINGS,
  STATES,
  statePaths,
  TRANSITIONS,
} from '../../src/testing/index.js'
import { shortestPaths, startOf, traversalOf } from '../../src/testing/model/explore.js'
import { take } from '../../src/testing/model/transitions.js'

type Steps = readonly { readonly steps: readonly { readonly event: { readonly type: string } }[] }[]
const describePaths = (paths: Steps) => paths.map(({ steps }) => steps.map(({ event }) => event.type).join(' ')).sort()

describe('the model', () => {
  it('is the machine without its effects: the same arrows, in the same order', () => {
    const shape = (machine: typeof paymentFlowMachine) => {
      const arrows: unknown[] = []
      const walk = (node: typeof machine.root): void => {
        for (const { eventType, guard, target, actions } of [...node.transitions.values()]
          .flat()
          .concat(node.always ?? []))
          arrows.push([node.id, eventType, guard, target?.map(({ id }) => id), actions])
        for (const child of Object.values(node.states)) walk(child)
      }
      walk(machine.root)
      return arrows
    }
    expect(shape(paymentFlowModel)).toEqual(shape(paymentFlowMachine))
    expect(JSON.stringify(paymentFlowModel.config)).not.toContain('"invoke"')
  })

  it('has a name of its own for every transition', () => {
    expect(TRANSITIONS.length).toBeGreaterThan(300)
    expect(new Set(TRANSITIONS.map(({ id }) => id)).size).toBe(TRANSITIONS.length)
  })
})

describe('the event cases', () => {
  const met = new Map<string, Set<string>>()
  for (const setting of SETTINGS) {
    for (const { state: snapshot } of shortestPaths(setting, { maxRecoveries: 1 })) {
      if (snapshot.status !== 'active') continue
      for (const given of casesFor(snapshot)) {
        const { transitions } = take(snapshot, given.event)
        const [own] = transitions
        // A case that its state does not take would be an effect whose report is lost.
        if (own === undefined) throw new Error(`${given.name} is not taken in ${JSON.stringify(snapshot.value)}`)
        met.set(own.event, (met.get(own.event) ?? new Set()).add(given.name))
      }
    }
  }

  it('cover every event that the machine knows', () => {
    const known = new Set(TRANSITIONS.map(({ event }) => event).filter((event) => event !== ''))
    expect([...known].filter((event) => !met.has(event))).toEqual([])
  })

  it('cover every code and every problem type, with and without a challenge where that makes a difference', () => {
    for (const code of [...MPP_CODES, ...PROBLEM_TYPES]) expect(met.get(code)?.size, code).toBeGreaterThan(0)
    expect([...(met.get('mpp_invalid_challenge') ?? [])].sort()).toEqual([
      'mpp_invalid_challenge/challenged',
      'mpp_invalid_challenge/no-challenge',
      'mpp_invalid_challenge/no-challenge-later',
    ])
    expect([...(met.get('mpp_method_unsupported') ?? [])].sort()).toEqual([
      'mpp_method_unsupported/challenged',
      'mpp_method_unsupported/no-challenge',
      'mpp_method_unsupported/two-challenges',
    ])
  })

  it('have names of their own in their state', () => {
    for (const setting of SETTINGS) {
      const names = casesFor(startOf(setting)).map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
    }
  })
})

describe('xstate/graph and @xstate/test', () => {
  it.each(SETTINGS.filter(({ name }) => /no recovery/.test(name)))('give the same paths for "$name"', (setting) => {
    const current = traversalOf(setting, { maxRecoveries: 1 })
    const { stopWhen: stopCondition, limit: traversalLimit, ...older } = traversalOf(setting, { maxRecoveries: 1 })
    const paths = describePaths(createTestModel(paymentFlowModel).getShortestPaths(current))
    expect(paths.length).toBeGreaterThan(20)
    expect(
      describePaths(createOldTestModel(paymentFlowModel).getShortestPaths({ ...older, stopCondition, traversalLimit })),
    ).toEqual(paths)
  })
})

describe('the shortest paths to every state', () => {
  it('reach each of them in a few steps', () => {
    const paths = statePaths()
    const reached = new Set(
      paths.flatMap(({ steps }) => steps.flatMap((step) => [step.state, ...step.reaches.map((to) => to.state)])),
    )
    expect(STATES.filter((state) => !reached.has(state))).toEqual([])
    for (const { name, steps } of paths) expect(steps.length, name).toBeLessThan(20)
  })

  const ways = (paths: readonly PathPlan[]) =>
    new Set(paths.map(({ setting, steps }) => JSON.stringify([setting.name, steps.map((step) => step.case)])))

  it.each([
    ['all settings', SETTINGS] as const,
    ...SETTINGS.map((setting) => [`"${setting.name}"`, [setting]] as const),
  ])('over %s: no path comes twice, and no two share a name', (_, settings) => {
    const paths = statePaths(settings)
    expect(paths.length).toBeGreaterThan(0)
    expect(ways(paths).size).toBe(paths.length)
    expect(new Set(paths.map(({ name }) => name)).size).toBe(paths.length)
  })
})
