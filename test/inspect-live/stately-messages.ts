// Reads what @statelyai/inspect sends, and holds it against what really happened.
// Must never be kinder to the messages than a stranger's inspector: only what is in them counts.

import { expect } from 'vitest'
import { createMachine } from 'xstate'
import { z } from 'zod'
import { paymentFlowMachine } from '../../machines/index.js'
import { type GraphState, machineGraph } from '../../src/inspect/index.js'
import type { Played } from './played.js'

const message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('@xstate.actor'),
    name: z.string(),
    sessionId: z.string(),
    parentId: z.string().optional(),
    definition: z.string().optional(),
  }),
  z.object({
    type: z.literal('@xstate.event'),
    sessionId: z.string(),
    sourceId: z.string().optional(),
    event: z.looseObject({ type: z.string() }),
  }),
  z.object({
    type: z.literal('@xstate.snapshot'),
    sessionId: z.string(),
    event: z.looseObject({ type: z.string() }),
    snapshot: z.looseObject({ status: z.string() }),
  }),
])

/** Messages from their JSON texts. @throws when one of them is none of the protocol's. */
export const readMessages = (texts: readonly string[]) => texts.map((text) => message.parse(JSON.parse(text)))
export type Message = ReturnType<typeof readMessages>[number]

const EFFECTS = new Set(Object.keys(paymentFlowMachine.implementations.actors))

/** Every actor has a name that a person can read: a flow's own, or the effect's. */
export function expectReadableNames(messages: readonly Message[]): void {
  const actors = messages.filter((one) => one.type === '@xstate.actor')
  const flows = actors.filter(({ parentId }) => parentId === undefined)
  const effects = actors.filter(({ parentId }) => parentId !== undefined)
  expect(flows.length).toBeGreaterThan(0)
  for (const { name } of flows) expect(name).toMatch(/^payment-flow-[0-9a-f]{8}$/)
  for (const { name } of effects) expect(EFFECTS).toContain(name)
  const ids = new Set(flows.map(({ sessionId }) => sessionId))
  for (const { parentId } of effects) expect(ids).toContain(parentId)
  expect(new Set(effects.map(({ name }) => name))).toEqual(
    new Set([
      'sendUnpaid',
      'parseChallenge',
      'acquireSession',
      'openSession',
      'signVoucher',
      'sendPaid',
      'verifyReceipt',
      'reconcileSession',
      'wait',
      'sendClose',
    ]),
  )
}

/** The definition that arrives is the machine: every state, transition, guard, action, actor and description by name. */
export function expectCompleteDefinitions(messages: readonly Message[]): void {
  const definitions = messages.flatMap((one) =>
    one.type === '@xstate.actor' && one.parentId === undefined ? [one.definition ?? ''] : [],
  )
  expect(definitions.length).toBeGreaterThan(0)
  for (const definition of new Set(definitions)) {
    const sent = machineGraph(createMachine(JSON.parse(definition)))
    const own = machineGraph(paymentFlowMachine)
    // Its keys are sorted on the way, so states are held against each other by their ids.
    expect(sent.transitions.length).toBe(own.transitions.length)
    expect(byId(sent.transitions)).toEqual(byId(own.transitions))
    const plain = (state: GraphState) => ({ ...state, children: [...state.children].sort() })
    expect(byId(sent.states.map(plain))).toEqual(byId(own.states.map(plain)))
  }
}

const byId = <Item extends { readonly id: string }>(items: readonly Item[]) =>
  Object.fromEntries(items.map((item) => [item.id, item]))

/** Every event that moved a flow arrived, by its name and in order, and a snapshot after each. */
export function expectWholeRuns(messages: readonly Message[], played: readonly Played[]): void {
  for (const { name, trace } of played) {
    const actor = messages.find((one) => one.type === '@xstate.actor' && one.name === name)
    expect(actor, name).toBeDefined()
    const own = messages.filter(({ sessionId }) => sessionId === actor?.sessionId)
    const moved = trace.map(({ event }) => event).filter((event) => /^[A-Z_]+$|^mpp_|^payment_/.test(event))
    const events = own.flatMap((one) => (one.type === '@xstate.event' ? [one.event.type] : []))
    expect(events).toEqual(['xstate.init', ...moved.slice(1)])
    const snapshots = own.flatMap((one) => (one.type === '@xstate.snapshot' ? [one] : []))
    expect(snapshots.map(({ event }) => event.type)).toEqual(['xstate.init', ...moved.slice(1)])
    expect(snapshots.at(-1)?.snapshot).toMatchObject({ status: 'done', value: trace.at(-1)?.state })
    for (const { snapshot } of snapshots) {
      expect(snapshot.context).toMatchObject({ purpose: 'pay', authorised: { vouchersSigned: expect.any(Number) } })
      // What the package cuts, it says so of.
      expect(JSON.stringify(snapshot)).not.toMatch(/"\[(\.\.\.|Object|Array|Circular)\]"/)
    }
  }
}
