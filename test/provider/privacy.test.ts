import { afterEach, beforeEach, expect, it } from 'vitest'
import { type InspectionEvent, waitFor } from 'xstate'
import { PRODUCT_STATES } from '../../machines/provider-route.types.js'
import { createProviderClient } from '../../src/provider/index.js'
import { VIRTUAL_KEYS } from '../../src/sandbox/gateway/account-routes.js'
import { type AccountServer, CHAT, NO_WAIT, startAccountServer } from './http-servers.js'

let server: AccountServer

beforeEach(async () => {
  server = await startAccountServer()
})
afterEach(() => server.stop())

/** Every text that can be reached from a value, keys included: through objects, functions, collections and prototypes' fields. */
function reachableText(root: unknown): string {
  const texts: string[] = []
  const seen = new Set<object>()
  const queue: unknown[] = [root]
  while (queue.length > 0) {
    const value = queue.pop()
    if (typeof value === 'string') texts.push(value)
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue
    seen.add(value)
    if (value instanceof Map || value instanceof Set) queue.push(...value.entries())
    for (const key of Reflect.ownKeys(value)) {
      const property = Reflect.getOwnPropertyDescriptor(value, key)
      queue.push(String(key), property?.value)
    }
  }
  return texts.join('\n')
}

it('no context, event, output or inspected actor of any state holds a key, a prompt or a completion', async () => {
  const inspected: InspectionEvent[] = []
  const snapshots: string[] = []
  const visited = new Set<string>()
  const client = createProviderClient({
    baseUrl: server.url,
    virtualKey: VIRTUAL_KEYS.revoked,
    retry: NO_WAIT,
    inspect: (inspection) => {
      inspected.push(inspection)
      if (inspection.type === '@xstate.microstep' && 'value' in inspection.snapshot)
        visited.add(String(inspection.snapshot.value))
    },
  })
  const flowIn = async (key: string, body: Parameters<typeof client.createFlow>[0] = CHAT) => {
    client.replaceKey(key)
    const flow = client.createFlow(body)
    visited.add(flow.getSnapshot().value)
    flow.subscribe(() => snapshots.push(JSON.stringify(flow.getPersistedSnapshot())))
    flow.start().send({ type: 'SUBMIT' })
    await waitFor(
      flow,
      (snapshot) => snapshot.hasTag('final') || PRODUCT_STATES.some((state) => snapshot.matches(state)),
    )
    return flow
  }

  const reconnecting = await flowIn(VIRTUAL_KEYS.revoked)
  client.replaceKey(VIRTUAL_KEYS.valid)
  reconnecting.send({ type: 'KEY_REPLACED' })
  await waitFor(reconnecting, (snapshot) => snapshot.matches('succeeded'))
  const completion = JSON.stringify(client.resultOf(reconnecting).response?.body)
  const words = /"content":"([a-z]+ [a-z]+ [a-z]+)/.exec(completion)?.[1]
  if (words === undefined) throw new Error('the answer has no completion to look for')
  ;(await flowIn(VIRTUAL_KEYS.exhausted)).send({ type: 'GIVE_UP' })
  const blocked = await flowIn(VIRTUAL_KEYS.restricted, { ...CHAT, model: 'sandbox-large' })
  blocked.send({ type: 'REFRESH_MODELS' })
  await waitFor(blocked, (snapshot) => snapshot.matches('policyBlocked') && snapshot.context.models !== null)
  blocked.send({ type: 'CANCEL' })
  await flowIn(VIRTUAL_KEYS.limited)
  ;(await flowIn(VIRTUAL_KEYS.limited)).send({ type: 'CANCEL' })
  server.routes.failNext(4, 503)
  ;(await flowIn(VIRTUAL_KEYS.valid)).send({ type: 'CANCEL' })
  client.replaceKey(VIRTUAL_KEYS.exhausted)
  const failed = await client.chat(CHAT)

  expect([...visited].sort()).toEqual(
    [
      ...['ready', 'requesting', 'backingOff', 'retestingConnection', 'refreshingModels'],
      ...PRODUCT_STATES,
      ...['succeeded', 'failed', 'cancelled'],
    ].sort(),
  )
  const seen = [...snapshots, reachableText(inspected), JSON.stringify(failed), reachableText(client)].join('\n')
  expect(seen.length).toBeGreaterThan(10_000)
  for (const secret of [...Object.values(VIRTUAL_KEYS), 'Bearer', CHAT.messages[0].content, words])
    expect(seen.includes(secret), `${secret.slice(0, 6)}… can be seen`).toBe(false)
})
