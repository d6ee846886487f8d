// What the inspector keeps is bounded, JSON, and true to what the machine did.
// Must never need a browser: the page has tests of its own.
import { describe, expect, it } from 'vitest'
import { assign, createActor, createMachine, fromPromise, setup } from 'xstate'
import { paymentFlowMachine } from '../../machines/index.js'
import { chartOf, drawingOf } from '../../src/inspect/live/chart.js'
import { createFlowBook, MOST_FLOWS, MOST_STEPS, pathsOf, stateText } from '../../src/inspect/live/flow-book.js'
import { fromXState } from '../../src/inspect/live/from-xstate.js'
import { asJson } from '../../src/inspect/live/json.js'
import type { PageMessage, Step } from '../../src/inspect/live/messages.js'

const counter = setup({
  types: {} as { context: { count: number }; events: { type: 'UP' } | { type: 'END' } },
}).createMachine({
  id: 'counter',
  context: { count: 0 },
  initial: 'counting',
  states: {
    counting: { on: { UP: { actions: assign({ count: ({ context }) => context.count + 1 }) }, END: 'ended' } },
    ended: { type: 'final' },
  },
})

const stepsOf = (messages: readonly PageMessage[]): readonly Step[] =>
  messages.flatMap((message) => (message.type === 'step' ? [message.step] : []))
const flowsOf = (messages: readonly PageMessage[]) =>
  messages.flatMap((message) => (message.type === 'flow' ? [message.flow] : []))

describe('what is kept', () => {
  it('is the newest steps of a flow, and how many were forgotten', () => {
    const book = createFlowBook()
    const actor = createActor(counter, { inspect: fromXState(book) }).start()
    for (let times = 0; times < MOST_STEPS + 20; times += 1) actor.send({ type: 'UP' })
    const kept = stepsOf(book.messages())
    expect(kept).toHaveLength(MOST_STEPS)
    expect(kept.at(-1)).toMatchObject({ index: MOST_STEPS + 20, event: 'UP', context: { count: MOST_STEPS + 20 } })
    expect(flowsOf(book.messages())).toMatchObject([{ forgotten: 21 }])
  })

  it('is the newest flows: those that are over go first', () => {
    const book = createFlowBook()
    const gone: string[] = []
    book.subscribe((message) => {
      if (message.type === 'gone') gone.push(message.flow)
    })
    const inspect = fromXState(book)
    const running = createActor(counter, { id: 'stays', inspect }).start()
    for (let times = 0; times < MOST_FLOWS + 5; times += 1) {
      createActor(counter, { id: `over-${times}`, inspect })
        .start()
        .send({ type: 'END' })
    }
    const kept = flowsOf(book.messages())
    expect(kept).toHaveLength(MOST_FLOWS)
    expect(gone).toHaveLength(6)
    expect(kept.some(({ name }) => name === 'stays')).toBe(true)
    expect(kept.some(({ name }) => name === 'over-0')).toBe(false)
    running.stop()
  })

  it('tells subscribers what they were not told, and nothing once they have left', () => {
    const book = createFlowBook()
    const told: PageMessage[] = []
    const leave = book.subscribe((message) => told.push(message))
    const actor = createActor(counter, { inspect: fromXState(book) }).start()
    actor.send({ type: 'UP' })
    expect(stepsOf(told).map(({ event }) => event)).toEqual(['START', 'UP'])
    leave()
    actor.send({ type: 'UP' })
    expect(stepsOf(told)).toHaveLength(2)
    expect(stepsOf(book.messages())).toHaveLength(3)
  })
})

describe('what XState reports', () => {
  it('becomes steps with the very transition that was taken', () => {
    const machine = createMachine({
      id: 'light',
      initial: 'red',
      states: {
        red: { on: { GO: [{ guard: () => false, target: 'broken' }, { target: 'deciding' }] } },
        deciding: { always: { target: 'green.bright' } },
        green: { initial: 'dim', states: { dim: {}, bright: {} } },
        broken: {},
      },
    })
    const book = createFlowBook()
    createActor(machine, { inspect: fromXState(book) })
      .start()
      .send({ type: 'GO' })
    expect(stepsOf(book.messages())).toMatchObject([
      { event: 'START', state: 'red', active: ['light.red'], taken: [] },
      { event: 'GO', state: 'deciding', taken: [{ id: 'light.red|GO|1|light.deciding', guard: null }] },
      {
        event: 'GO',
        state: 'green.bright',
        active: ['light.green', 'light.green.bright'],
        taken: [{ source: 'light.deciding', event: '', target: 'light.green.bright' }],
      },
    ])
  })

  it('is followed from the middle on, for an inspector that comes late', () => {
    const book = createFlowBook()
    const actor = createActor(counter).start()
    actor.send({ type: 'UP' })
    actor.system.inspect(fromXState(book))
    actor.send({ type: 'UP' })
    expect(stepsOf(book.messages())).toMatchObject([{ event: 'UP', context: { count: 2 } }])
  })

  it('says when an actor is stopped, and when it fails because of its child', async () => {
    const failing = createMachine({
      id: 'failing',
      initial: 'asking',
      states: { asking: { invoke: { id: 'ask', src: fromPromise(() => Promise.reject(new Error('no'))) } } },
    })
    const book = createFlowBook()
    const inspect = fromXState(book)
    createActor(counter, { inspect }).start().stop()
    const actor = createActor(failing, { inspect })
    const failed = new Promise((resolve) => actor.subscribe({ error: resolve }))
    actor.start()
    await failed
    expect(stepsOf(book.messages()).map(({ status, tone, by }) => [status, tone, by])).toEqual([
      ['active', 'plain', null],
      ['stopped', 'plain', null],
      ['active', 'plain', null],
      ['error', 'failure', 'ask'],
    ])
  })

  it('never throws into the program, whatever a context holds', () => {
    const cyclic: Record<string, unknown> = { big: 12n, when: new Date(0), map: new Map([['a', new Set([1])]]) }
    cyclic.self = cyclic
    Object.defineProperty(cyclic, 'trap', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    const machine = createMachine({ id: 'odd', context: { cyclic, f: () => 1 }, initial: 'a', states: { a: {} } })
    const book = createFlowBook()
    createActor(machine, { inspect: fromXState(book) }).start()
    const [step] = stepsOf(book.messages())
    expect(step?.context).toMatchObject({ cyclic: { big: '12', when: '1970-01-01T00:00:00.000Z', trap: null } })
    expect(() => JSON.stringify(step)).not.toThrow()
  })
})

describe('JSON', () => {
  it('is cut where it is too long or too deep', () => {
    expect(asJson('x'.repeat(3_000))).toHaveLength(2_001)
    expect(asJson(Array.from({ length: 150 }, (_, index) => index))).toHaveLength(101)
    let deep: unknown = 'bottom'
    for (let level = 0; level < 20; level += 1) deep = { deep }
    expect(JSON.stringify(asJson(deep))).not.toContain('bottom')
    expect(asJson(undefined)).toBe(null)
    expect(asJson(Number.NaN)).toBe('NaN')
    expect(asJson(new Uint8Array(4))).toBe('4 bytes')
  })
})

describe('state values', () => {
  it('are read into paths, parallel ones too', () => {
    expect(pathsOf({ a: { b: 'c' }, d: {} })).toEqual(['a', 'a.b', 'a.b.c', 'd'])
    expect(stateText({ a: { b: 'c' }, d: {} })).toBe('a.b.c | d')
    expect(stateText('one')).toBe('one')
  })
})

describe('the chart', () => {
  it('has every state of the machine inside of it, and every arrow stands for transitions of the machine', async () => {
    const drawing = drawingOf(paymentFlowMachine)
    const chart = await chartOf(drawing, [1])
    expect(chart.problem).toBe(null)
    expect(chart.states.map(({ id }) => id).sort()).toEqual(
      drawing.graph.states
        .filter(({ parent }) => parent !== null)
        .map(({ id }) => id)
        .sort(),
    )
    const known = new Set(drawing.graph.transitions.map(({ id }) => id))
    for (const { id, transitions } of chart.arrows) {
      expect(id.startsWith('initial') || transitions.length > 0).toBe(true)
      for (const transition of transitions) expect(known).toContain(transition)
    }
    for (const { x, y, width, height } of chart.states) {
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(0)
      expect(x + width).toBeLessThanOrEqual(chart.width)
      expect(y + height).toBeLessThanOrEqual(chart.height)
    }
    // Small enough for names to be read on a screen of 1280 by 900, between the two panels.
    expect(chart.width).toBeLessThan(900)
    expect(chart.height).toBeLessThan(900)
  })

  it('is the same for the same machine, however it was provided for', () => {
    const provided = paymentFlowMachine.provide({ actions: { plan: () => undefined } })
    expect(drawingOf(provided).key).toBe(drawingOf(paymentFlowMachine).key)
    expect(drawingOf(counter).key).not.toBe(drawingOf(paymentFlowMachine).key)
  })
})
