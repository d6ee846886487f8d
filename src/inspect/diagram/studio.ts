// A machine as plain JSON: the configuration that Stately Studio imports and createMachine takes, without implementations.
// Must never hold a function: guards, actions and actors are there by name, and mean nothing without the code.

import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { leadsToOf } from '../../../machines/index.js'
import { childrenOf, declaredTransitions, implementationName } from './graph.js'
import { groupBy } from './labels.js'

/** Anything JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

type JsonObject = { readonly [key: string]: Json }

/** Keeps what JSON can hold; functions and undefined are left out. */
function toJson(value: unknown): Json | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value.map((item) => toJson(item) ?? null)
  if (typeof value !== 'object') return undefined
  return withoutEmpty(Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJson(member)])))
}

/** Leaves out members that say nothing. */
function withoutEmpty(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  const says = (value: Json | undefined): value is Json =>
    value !== undefined &&
    value !== '' &&
    !(typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  return Object.fromEntries(Object.entries(members).flatMap(([key, value]) => (says(value) ? [[key, value]] : [])))
}

/** A guard or an action: its name, and its parameters where they are data. */
function reference(implementation: unknown): Json {
  const type = implementationName(implementation)
  const params =
    typeof implementation === 'object' && implementation !== null && 'params' in implementation
      ? toJson(implementation.params)
      : undefined
  return params === undefined ? type : withoutEmpty({ type, params })
}

function metaJson(definition: AnyTransitionDefinition): JsonObject | undefined {
  const leadsTo = leadsToOf(definition)
  return leadsTo === null ? undefined : { leadsTo }
}

function transitionJson(definition: AnyTransitionDefinition): JsonObject {
  const targets = definition.target?.map(({ id }) => `#${id}`)
  return withoutEmpty({
    target: targets?.length === 1 ? targets[0] : targets,
    guard: definition.guard === undefined ? undefined : reference(definition.guard),
    actions: definition.actions.map(reference),
    description: definition.description,
    meta: metaJson(definition),
    reenter: definition.reenter ? true : undefined,
  })
}

/** What XState calls the end of a child, of an actor or of a delay, and where a configuration says it. */
const OWN_EVENTS = /^xstate\.(done\.state|done\.actor|error\.actor|after)\./

function byEvent(definitions: readonly AnyTransitionDefinition[]): JsonObject {
  const groups = groupBy(definitions, ({ eventType }) => String(eventType))
  return Object.fromEntries(groups.map((group) => [String(group[0]?.eventType ?? ''), group.map(transitionJson)]))
}

function stateJson(node: AnyStateNode): JsonObject {
  const declared = declaredTransitions(node)
  const ofEvent = (event: string): readonly JsonObject[] =>
    declared.filter(({ eventType }) => String(eventType) === event).map(transitionJson)
  const delays = groupBy(
    declared.filter(({ eventType }) => String(eventType).startsWith('xstate.after.')),
    ({ eventType }) => String(eventType),
  )
  const implied = (action: unknown): boolean =>
    delays.length > 0 && ['xstate.raise', 'xstate.cancel'].includes(implementationName(action))
  return withoutEmpty({
    description: node.description,
    type: node.type === 'atomic' || node.type === 'compound' ? undefined : node.type,
    history: node.history === false ? undefined : node.history,
    initial: node.type === 'compound' ? node.initial.target[0]?.key : undefined,
    tags: [...node.tags],
    entry: node.entry.filter((action) => !implied(action)).map(reference),
    exit: node.exit.filter((action) => !implied(action)).map(reference),
    invoke: node.invoke.map(({ id, src }) =>
      withoutEmpty({
        id,
        src: implementationName(src),
        onDone: ofEvent(`xstate.done.actor.${id}`),
        onError: ofEvent(`xstate.error.actor.${id}`),
      }),
    ),
    on: byEvent(declared.filter(({ eventType }) => eventType !== '' && !OWN_EVENTS.test(String(eventType)))),
    always: ofEvent(''),
    onDone: ofEvent(`xstate.done.state.${node.id}`),
    after: Object.fromEntries(
      delays.map((group) => {
        const event = String(group[0]?.eventType ?? '')
        return [event.slice('xstate.after.'.length, -`.${node.id}`.length), group.map(transitionJson)]
      }),
    ),
    states: Object.fromEntries(childrenOf(node).map((child) => [child.key, stateJson(child)])),
  })
}

/**
 * The configuration of a machine without its implementations.
 *
 * @example
 * ```ts
 * import { studioConfig } from 'mpp-flow/inspect'
 * import { paymentFlowMachine } from 'mpp-flow/machines'
 * import { createMachine } from 'xstate'
 *
 * const machine = createMachine(studioConfig(paymentFlowMachine)) // the same states and transitions
 * console.log(machine.id)
 * ```
 */
export function studioConfig(machine: AnyStateMachine): JsonObject {
  return { id: machine.root.id, ...stateJson(machine.root) }
}

/** JSON text with one member per line and short lists on one line, at most 120 characters wide. */
export function formatJson(value: Json, indent = '', before = 0): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const deeper = `${indent}  `
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => formatJson(item)).join(', ')}]`
    if (!flat.includes('\n') && indent.length + before + flat.length < 120) return flat
    return `[\n${value.map((item) => `${deeper}${formatJson(item, deeper)}`).join(',\n')}\n${indent}]`
  }
  const members = Object.entries(value)
  if (members.length === 0) return '{}'
  const lines = members.map(([key, member]) => {
    const name = `${JSON.stringify(key)}: `
    return `${deeper}${name}${formatJson(member, deeper, name.length)}`
  })
  return `{\n${lines.join(',\n')}\n${indent}}`
}
