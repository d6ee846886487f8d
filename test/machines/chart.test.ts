// Holds the tables that charts are run by against XState: same state, context, trace, effects and output, everywhere.
// Must never take a step with the tables alone: whatever XState makes of an event is what is right.

import { describe, expect, it } from 'vitest'
import { assign, createMachine, initialTransition, transition } from 'xstate'
import {
  chartOf,
  type PaymentFlowEvent,
  paymentFlowMachine,
  providerRouteMachine,
  sessionMachine,
  stateName,
  type TraceStep,
  traceInto,
} from '../../machines/index.js'
import { casesFor, paymentFlowModel, SETTINGS, STATES, TRANSITIONS } from '../../src/testing/index.js'
import { inputOf } from '../../src/testing/model/settings.js'
import type { FlowSnapshot } from './payment-flow.world.js'

const found = chartOf(paymentFlowMachine)
if (found === null) throw new Error('the payment-flow machine has something in it that the tables do not know')
const chart = found

interface Made {
  readonly state: string
  readonly context: unknown
  readonly done: boolean
  readonly output: unknown
  readonly started: readonly unknown[]
  readonly stops: number
}

type Actions = readonly { readonly type: string; readonly params: unknown }[]

function startedBy(actions: Actions): unknown[] {
  return actions.flatMap(({ type, params }) => {
    if (type !== 'xstate.spawnChild') return []
    if (typeof params !== 'object' || params === null || !('src' in params)) throw new Error('a start without a name')
    return [{ id: 'id' in params && params.id, src: params.src, input: 'input' in params && params.input }]
  })
}

function byXState(snapshot: FlowSnapshot, actions: Actions): Made {
  return {
    state: stateName(snapshot.value),
    context: snapshot.context,
    done: snapshot.status === 'done',
    output: snapshot.output,
    started: startedBy(actions),
    stops: actions.filter(({ type }) => type === 'xstate.stopChild').length,
  }
}

type ByTables = NonNullable<ReturnType<typeof chart.transition>>

function byTables({ snapshot, effects }: ByTables): Made {
  const { state, context, done } = snapshot
  return {
    state,
    context,
    done,
    output: done ? chart.outputOf(context) : undefined,
    started: effects.flatMap((effect) =>
      effect.kind === 'start' ? [{ ...effect.invocation, input: effect.input }] : [],
    ),
    stops: effects.filter(({ kind }) => kind === 'stop').length,
  }
}

/** The value of a state in dotted form. */
function stateValue(state: string): FlowSnapshot['value'] {
  const [outer = '', inner] = state.split('.')
  return (inner === undefined ? outer : { [outer]: inner }) as FlowSnapshot['value']
}

/** The trace as a running actor's inspection gives it. */
function traceOf(snapshot: FlowSnapshot, event: PaymentFlowEvent): readonly TraceStep[] {
  const trace: TraceStep[] = []
  const note = traceInto(trace)
  const root = { sessionId: 'x:0' }
  const scope = {
    self: root,
    system: { _sendInspectionEvent: (inspection: object) => note({ ...inspection, rootId: root.sessionId } as never) },
    actionExecutor: () => undefined,
    defer: () => undefined,
    stopChild: () => undefined,
  }
  // Of the model, which starts no actors: only its steps are looked at.
  snapshot.machine.transition(snapshot, event, scope as never)
  return trace
}

describe('the tables of the payment-flow machine', () => {
  it('begin as XState begins', () => {
    for (const setting of SETTINGS) {
      const [snapshot, actions] = initialTransition(paymentFlowMachine, inputOf(setting))
      expect(byTables(chart.initial(inputOf(setting)))).toEqual(byXState(snapshot, actions))
    }
  })

  it('take every event that a state may meet to where XState takes it', () => {
    const ways = new Set<string>()
    const met = new Set<string>()
    for (const setting of SETTINGS) {
      // The tables lead the way, because they are quick; each new way is held against XState, from the same place.
      const { snapshot: first } = chart.initial(inputOf(setting))
      const toLookAt = [first]
      const looked = new Set<string>()
      for (let position = toLookAt.shift(); position !== undefined; position = toLookAt.shift()) {
        const { state, context } = position
        const model = paymentFlowModel.resolveState({ value: stateValue(state), context })
        for (const { event, name } of casesFor(model)) {
          const taken = chart.transition(position, event)
          if (taken === undefined) throw new Error(`${event.type} is not taken in ${state}`)
          const way = `${state} ${name} ${taken.steps.map((step) => `${step.event}>${step.state}`).join(' ')}`
          if (!looked.has(way) && !taken.snapshot.done) toLookAt.push(taken.snapshot)
          looked.add(way)
          if (ways.has(way)) continue
          ways.add(way)
          met.add(`${state} ${event.type}`)
          const snapshot = paymentFlowMachine.resolveState({ value: stateValue(state), context })
          const [next, actions] = transition(paymentFlowMachine, snapshot, event)
          expect(byTables(taken)).toEqual(byXState(next, actions))
          expect(taken.steps).toEqual(traceOf(model, event))
        }
      }
    }
    // All but the state that is only passed, and the three in which nothing happens any more.
    expect(new Set([...met].map((pair) => pair.split(' ')[0])).size).toBe(STATES.length - 4)
    const events = TRANSITIONS.map(({ event }) => event).filter((event) => event !== '')
    expect(new Set([...met].map((pair) => pair.split(' ')[1]))).toEqual(new Set(events))
    expect(ways.size).toBeGreaterThan(TRANSITIONS.length)
  })

  it('take no event that XState does not take, in no state', () => {
    const types = [...new Set(TRANSITIONS.map(({ event }) => event)), 'NEVER_HEARD_OF', 'constructor', '__proto__']
    const { context } = chart.initial(inputOf(SETTINGS[0] ?? expect.fail())).snapshot
    for (const state of STATES) {
      const model = paymentFlowModel.resolveState({ value: stateValue(state), context })
      const position = { state, context, done: model.status === 'done' }
      for (const type of [...types, 'xstate.init', 'xstate.stop']) {
        const event = { type } as PaymentFlowEvent
        if (type === '' || (model.status === 'active' && paymentFlowModel.getTransitionData(model, event).length > 0))
          continue
        expect(chart.transition(position, event), `${state} ${type}`).toBeUndefined()
      }
    }
  })

  it('do not change what they are given', () => {
    const begun = chart.initial(inputOf(SETTINGS[0] ?? expect.fail()))
    const before = structuredClone(begun.snapshot)
    expect(chart.transition(begun.snapshot, { type: 'CANCEL' })?.snapshot.state).toBe('failed')
    expect(begun.snapshot).toEqual(before)
  })
})

describe('a chart that the tables do not know', () => {
  const states = { one: { on: { GO: 'two' } }, two: {} }
  it.each([
    ['a parallel state', { type: 'parallel', states }],
    ['a wildcard', { initial: 'one', states: { one: { on: { '*': 'two' } }, two: {} } }],
    ['a delay', { initial: 'one', states: { one: { after: { 10: 'two' } }, two: {} } }],
    [
      'an effect that ends by itself',
      { initial: 'one', states: { one: { invoke: { src: 'x', onDone: 'two' } }, two: {} } },
    ],
    [
      'a final state inside',
      { initial: 'one', states: { one: { initial: 'end', states: { end: { type: 'final' } } } } },
    ],
    ['an exit action', { initial: 'one', states: { one: { exit: 'note' } } }],
    ['an action of its own', { initial: 'one', states: { one: { on: { GO: { actions: () => undefined } } } } }],
    ['an action without an implementation', { initial: 'one', states: { one: { entry: 'nowhere' } } }],
    [
      'an inline guard',
      { initial: 'one', states: { one: { on: { GO: { target: 'two', guard: () => true } } }, two: {} } },
    ],
    ['a history state', { initial: 'one', states: { one: {}, before: { type: 'history' } } }],
  ])('%s: is left to XState', (_, config) => {
    const machine = createMachine(config as never, { actions: { note: assign({}) }, actors: {}, guards: {} } as never)
    expect(chartOf(machine)).toBeNull()
  })

  it('the session machine is known, the provider-route machine is asked', () => {
    expect(chartOf(sessionMachine)).not.toBeNull()
    expect(() => chartOf(providerRouteMachine)).not.toThrow()
  })
})
