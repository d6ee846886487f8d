import { createTestModel as createOldTestModel } from '@xstate/test'
import { describe, expect, it } from 'vitest'
import { createActor, createMachine, getInitialSnapshot, getNextSnapshot } from 'xstate'
import { createTestModel, getShortestPaths } from 'xstate/graph'
import { providerRouteMachine } from '../../machines/provider-route.machine.js'
import {
  answerEventType,
  PRODUCT_STATES,
  type ProviderRouteContext,
  type ProviderRouteEvent,
  type ProviderRouteInput,
} from '../../machines/provider-route.types.js'

const answer = { requestId: 'req-1', retryAfterMs: null }

const EVENTS: readonly ProviderRouteEvent[] = [
  { type: 'HTTP_2XX', httpStatus: 200, ...answer },
  { type: 'HTTP_401', httpStatus: 401, ...answer },
  { type: 'HTTP_402', httpStatus: 402, ...answer },
  { type: 'HTTP_403', httpStatus: 403, ...answer },
  { type: 'HTTP_429', httpStatus: 429, requestId: 'req-2', retryAfterMs: 1000 },
  { type: 'HTTP_5XX', httpStatus: 503, ...answer },
  { type: 'HTTP_5XX', httpStatus: 503, requestId: null, retryAfterMs: 3_600_000 },
  { type: 'HTTP_OTHER', httpStatus: 404, ...answer },
  { type: 'MODELS_LISTED', httpStatus: 200, models: ['one'], ...answer },
  { type: 'ANSWER_UNREADABLE', httpStatus: 200, ...answer },
  { type: 'KEY_UNAVAILABLE' },
  { type: 'CONNECTION_FAILED' },
  { type: 'ANSWER_LOST' },
  { type: 'WAITED' },
  { type: 'SUBMIT' },
  { type: 'RETRY' },
  { type: 'KEY_REPLACED' },
  { type: 'REFRESH_MODELS' },
  { type: 'MODEL_CHOSEN', model: 'one' },
  { type: 'MODEL_CHOSEN', model: '' },
  { type: 'MAX_TOKENS_CHOSEN', maxTokens: 8 },
  { type: 'MAX_TOKENS_CHOSEN', maxTokens: -1 },
  { type: 'GIVE_UP' },
  { type: 'CANCEL' },
]

interface Strippable {
  readonly invoke?: unknown
  readonly states?: Readonly<Record<string, Strippable>> | undefined
}

/** The same chart without its effects: what test models take. */
function strip({ invoke: _, states, ...rest }: Strippable): Strippable {
  if (states === undefined) return rest
  return { ...rest, states: Object.fromEntries(Object.entries(states).map(([name, state]) => [name, strip(state)])) }
}

// A cast: what is left after the strip is again a config of the same machine, which the type of `strip` cannot say.
const bare = createMachine(
  strip(providerRouteMachine.config) as typeof providerRouteMachine.config,
  providerRouteMachine.implementations,
) as typeof providerRouteMachine

const STATES = Object.keys(providerRouteMachine.config.states ?? {})

function explore(input: Partial<ProviderRouteInput> = {}) {
  return getShortestPaths(bare, {
    events: [...EVENTS],
    input: { requestRef: 'ref-1', retry: { maxRetries: 2 }, ...input },
    limit: 200_000,
  })
}

describe('the chart', () => {
  it('is the same graph with its effects stripped', () => {
    const arrows = (machine: typeof providerRouteMachine) =>
      Object.fromEntries(
        Object.entries(machine.states).map(([name, node]) => [
          name,
          [...node.transitions.values()]
            .flat()
            .concat(node.always ?? [])
            .map((transition) => [
              transition.eventType,
              transition.guard,
              transition.target?.map((target) => target.key),
              transition.actions,
            ]),
        ]),
      )
    expect(arrows(bare)).toEqual(arrows(providerRouteMachine))
    expect(Object.values(bare.states).flatMap((node) => node.invoke)).toEqual([])
  })

  it('describes and tags every state, and names everything it uses', () => {
    for (const [name, node] of Object.entries(providerRouteMachine.states)) {
      expect(node.description, name).toMatch(/\.$/)
      expect(node.tags.length, name).toBeGreaterThan(0)
      expect(node.after, name).toEqual([])
    }
    const text = JSON.stringify(providerRouteMachine.config.states, (key, value: unknown) => {
      if (typeof value === 'function' && key !== 'input') throw new Error(`${key} is inline`)
      return value
    })
    expect(text).not.toMatch(/onDone|onError/)
    expect(
      new Set(Object.values(providerRouteMachine.states).flatMap(({ invoke }) => invoke.map(({ src }) => src))),
    ).toEqual(new Set(['sendRequest', 'listModels', 'wait']))
  })

  it('reaches every state, ends every cycle and keeps JSON alone', () => {
    const paths = explore()
    expect(new Set(paths.map(({ state }) => state.value))).toEqual(new Set(STATES))
    for (const { state } of paths) {
      expect(JSON.parse(JSON.stringify(state.context))).toEqual(state.context)
      expect(state.context.retries).toBeLessThanOrEqual(2)
      expect(state.context.waitMs).toBeLessThanOrEqual(8000)
      if (state.status !== 'done') continue
      expect(JSON.parse(JSON.stringify(state.output))).toEqual(state.output)
      expect(state.output?.state === null).toBe(state.matches('succeeded'))
      expect(state.output?.action === null).toBe(state.matches('succeeded'))
    }
  })

  it('never rests in a product state when nobody is there to answer it', () => {
    const paths = explore({ interactive: false })
    const values = new Set(paths.map(({ state }) => String(state.value)))
    for (const state of PRODUCT_STATES) expect(values.has(state)).toBe(false)
    const outcomes = new Set(
      paths.flatMap(({ state }) => (state.status === 'done' ? [state.output?.state ?? null] : [])),
    )
    expect(outcomes).toEqual(new Set([...PRODUCT_STATES, 'requestRejected', 'answerUnreadable', 'cancelled', null]))
  })

  it('never sends a prompt when it only lists models', () => {
    const values = new Set(explore({ purpose: 'models' }).map(({ state }) => state.value))
    expect(values.has('requesting')).toBe(false)
    expect(values.has('succeeded')).toBe(true)
  })

  it('gives both test models the same paths', () => {
    // The older library cannot be given an input, so both start from the same snapshot.
    const fromState = getInitialSnapshot(bare, { requestRef: 'ref-1', interactive: false, retry: { maxRetries: 1 } })
    const cases = { fromState, events: [...EVENTS] }
    const describePaths = (
      paths: readonly { readonly steps: readonly { readonly event: { readonly type: string } }[] }[],
    ) => paths.map(({ steps }) => steps.map(({ event }) => event.type).join(' ')).sort()
    const current = describePaths(createTestModel(bare).getShortestPaths(cases))
    expect(current.length).toBeGreaterThan(8)
    expect(describePaths(createOldTestModel(bare).getShortestPaths(cases))).toEqual(current)
  })
})

describe('decisions', () => {
  function run(events: readonly ProviderRouteEvent[], input: Partial<ProviderRouteInput> = {}) {
    let snapshot = getInitialSnapshot(bare, { requestRef: 'ref-1', ...input })
    for (const event of events) snapshot = getNextSnapshot(bare, snapshot, event)
    return snapshot
  }
  const failing: ProviderRouteEvent = { type: 'HTTP_5XX', httpStatus: 500, ...answer }

  it('doubles the wait up to the cap', () => {
    const waits: ProviderRouteContext['waitMs'][] = []
    const events: ProviderRouteEvent[] = [{ type: 'SUBMIT' }]
    for (let i = 0; i < 7; i++) {
      events.push(failing)
      waits.push(run(events, { retry: { maxRetries: 7 } }).context.waitMs)
      events.push({ type: 'WAITED' })
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000])
  })

  it('gives three retries by default, and three more on a person’s word', () => {
    const round: ProviderRouteEvent[] = [
      failing,
      { type: 'WAITED' },
      failing,
      { type: 'WAITED' },
      failing,
      { type: 'WAITED' },
    ]
    const tired = run([{ type: 'SUBMIT' }, ...round, failing])
    expect(tired.value).toBe('temporarilyUnavailable')
    expect(run([{ type: 'SUBMIT' }, ...round, failing, { type: 'RETRY' }, ...round]).value).toBe('requesting')
  })

  it('keeps the request id of the newest answer through a lost one', () => {
    const { context, value } = run([{ type: 'SUBMIT' }, failing, { type: 'WAITED' }, { type: 'ANSWER_LOST' }])
    expect(value).toBe('temporarilyUnavailable')
    expect(context).toMatchObject({ requestId: 'req-1', httpStatus: null, outcomeUnknown: true })
  })

  it('ignores what does not belong to a state', () => {
    expect(run([{ type: 'WAITED' }, { type: 'RETRY' }, { type: 'HTTP_2XX', httpStatus: 200, ...answer }]).value).toBe(
      'ready',
    )
    const limited = run([{ type: 'SUBMIT' }, { type: 'HTTP_429', httpStatus: 429, ...answer }, { type: 'WAITED' }])
    expect(limited.value).toBe('rateLimited')
    expect(
      run([{ type: 'SUBMIT' }, { type: 'HTTP_429', httpStatus: 429, ...answer }, { type: 'KEY_REPLACED' }]).value,
    ).toBe('rateLimited')
  })

  it('says which effect is missing instead of hanging', async () => {
    const actor = createActor(providerRouteMachine, { input: { requestRef: 'ref-1' } })
    const error = new Promise((resolve) => actor.subscribe({ error: resolve }))
    actor.start().send({ type: 'SUBMIT' })
    expect(String(await error)).toContain('sendRequest')
  })

  it.each([
    [200, 'HTTP_2XX'],
    [204, 'HTTP_2XX'],
    [0, 'HTTP_OTHER'],
    [302, 'HTTP_OTHER'],
    [400, 'HTTP_OTHER'],
    [401, 'HTTP_401'],
    [402, 'HTTP_402'],
    [403, 'HTTP_403'],
    [429, 'HTTP_429'],
    [500, 'HTTP_5XX'],
    [599, 'HTTP_5XX'],
    [600, 'HTTP_OTHER'],
  ])('names an answer with %i %s', (status, type) => {
    expect(answerEventType(status)).toBe(type)
  })
})
