// What an inspector, a snapshot or a support report can show of full runs: JSON, and never a secret.
// Must never pass because nothing was looked at: every kind of secret is first found where it does belong.
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { InspectionEvent } from 'xstate'
import { createMppClient, describeFailure, type MppClient } from '../../src/index.js'
import { encodeBase64url } from '../../src/protocol/index.js'
import { chat, type Stage, setStage, type WatchedGateway } from './stage.js'

const PROMPT = 'the heron keeps its own counsel 7f3a91'
const BEARER = 'Bearer vk-secret-0b1d5c'
const QUERY_TOKEN = 'query-token-55e1'

let stage: Stage
const privateKey = generatePrivateKey()
/** Everything that inspectors saw, snapshots said and callers were told, as JSON. */
const shown: { readonly from: string; readonly json: string }[] = []
/** Everything that is secret, by what it is. */
const secrets: { readonly kind: string; readonly text: string }[] = []
const statesSeen = new Set<string>()
const inspectionTypes = new Set<string>()
const effectsSeen = new Set<string>()
const notJson: string[] = []
const gateways: WatchedGateway[] = []

/** Keeps what can be shown, and notes whatever does not survive a trip through JSON. */
function show(from: string, value: unknown): void {
  const json = JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === 'bigint' || typeof member === 'function' || typeof member === 'symbol')
      notJson.push(`${from}: ${typeof member}`)
    return typeof member === 'bigint' ? `${member}n` : member
  })
  shown.push({ from, json: json ?? 'undefined' })
  if (json !== undefined && !sameJson(JSON.parse(json), value)) notJson.push(from)
}

/** Whether two values are the same down to the last member; undefined members, class instances and NaN are not JSON. */
function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b)
  if (Object.getPrototypeOf(b) !== Object.prototype && !Array.isArray(b)) return false
  const keys = Object.keys(b)
  if (Object.keys(a).length !== keys.length) return false
  return keys.every((key) => sameJson(Reflect.get(a, key), Reflect.get(b, key)))
}

/** All parts of an inspection event that are data: what an inspector sends elsewhere. */
function inspect(event: InspectionEvent): void {
  inspectionTypes.add(event.type)
  if ('event' in event) show(`${event.type} event ${event.event.type}`, withoutXState(event.event))
  if ('snapshot' in event) showSnapshot(event.type, event.snapshot)
  if (event.type === '@xstate.action') {
    const { type, params } = event.action
    // XState's own actions name actors in their parameters; those are searched as they are, though they are no JSON.
    if (type.startsWith('xstate.')) shown.push({ from: `${event.type} ${type}`, json: reachableText(params) })
    else show(`${event.type} ${type}`, params ?? null)
  }
  const { actorRef } = event
  if ('src' in actorRef && typeof actorRef.src === 'string') effectsSeen.add(actorRef.src)
}

/** XState's own start event has members that are undefined or actors; what the project puts into it is its input. */
function withoutXState(event: { readonly type: string }): unknown {
  if (!event.type.startsWith('xstate.')) return event
  return 'input' in event && event.input !== undefined ? { type: event.type, input: event.input } : { type: event.type }
}

function showSnapshot(from: string, snapshot: object): void {
  // Context and value of a machine; input of an effect; output and error of both.
  for (const part of ['context', 'value', 'input', 'output', 'error', 'status']) {
    const value: unknown = Reflect.get(snapshot, part)
    if (value === undefined) continue
    show(`${from} snapshot.${part}`, value)
    if (part === 'value') statesSeen.add(JSON.stringify(value))
  }
}

/** Every text that can be reached from a value by its own members: what a careless logger would print. */
function reachableText(root: unknown): string {
  const texts: string[] = []
  const seen = new WeakSet<object>()
  const open: unknown[] = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string' || typeof value === 'bigint') texts.push(String(value))
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue
    seen.add(value)
    if (value instanceof Map || value instanceof Set) open.push(...value)
    for (const key of Reflect.ownKeys(value)) {
      const descriptor = Object.getOwnPropertyDescriptor(value, key)
      if (descriptor !== undefined && 'value' in descriptor) open.push(key, descriptor.value)
    }
  }
  return texts.join('\n')
}

function client(gateway: WatchedGateway): MppClient {
  gateways.push(gateway)
  return createMppClient({
    account: privateKeyToAccount(privateKey),
    rpcUrl: stage.chain.rpcUrl,
    policy: { maxDeposit: '20', approve: () => true },
    inspect,
  })
}

/** One payment as an actor: everything it shows while it runs, and everything reachable from it at the end. */
async function run(mpp: MppClient, url: string, tokens: number): Promise<string> {
  const init = chat(tokens, PROMPT)
  const actor = mpp.createFlow(`${url}?access_token=${QUERY_TOKEN}`, {
    ...init,
    headers: { 'content-type': 'application/json', authorization: BEARER },
  })
  actor.subscribe((snapshot) => showSnapshot('subscriber', snapshot))
  actor.start()
  const outcome = await mpp.outcomeOf(actor)
  const { response, ...told } = outcome
  show('outcome', told)
  if (outcome.status === 'failed') show('failure in words', describeFailure(outcome.failure))
  show('persisted snapshot', JSON.parse(JSON.stringify(actor.getPersistedSnapshot())))
  shown.push({ from: 'reachable from the actor', json: reachableText(actor) })
  show('sessions', await mpp.sessions.list())
  const answer = await response?.text()
  if (answer !== undefined && outcome.status === 'succeeded') {
    const { choices } = JSON.parse(answer) as { choices: { message: { content: string } }[] }
    const completion = choices[0]?.message.content ?? ''
    secret('completion', completion)
    secret('completion', completion.split(' ').slice(0, 6).join(' '))
  }
  return outcome.status
}

function secret(kind: string, text: string): void {
  if (text.length < 8) throw new Error(`too short to look for: ${kind}`)
  secrets.push({ kind, text })
}

/** Where a secret is, if it is anywhere; letters count in either case, as hex may be written in both. */
function leaks(texts: readonly { readonly from: string; readonly json: string }[]): string[] {
  const found = new Set<string>()
  for (const { from, json } of texts) {
    const lower = json.toLowerCase()
    for (const { kind, text } of secrets) if (lower.includes(text.toLowerCase())) found.add(`${kind} in ${from}`)
  }
  return [...found]
}

beforeAll(async () => {
  stage = await setStage(10)
  const payer = privateKeyToAccount(privateKey)
  const from = stage.payer()
  await Actions.token.transferSync(stage.chain.client(), {
    account: from,
    amount: 100_000_000n,
    to: payer.address,
    token: stage.chain.token,
  })

  // Open, reuse, refresh with top-up, recoveries, close.
  const gateway = await stage.gateway({ bucket: '1', suggestedDeposit: '1' })
  const mpp = client(gateway)
  for (const tokens of [500, 500, 4500, 500]) expect(await run(mpp, gateway.chat, tokens)).toBe('succeeded')
  for (const code of ['mpp_reservation_failed', 'mpp_payment_verification_failed', 'mpp_invalid_challenge']) {
    gateway.inject(code)
    expect(await run(mpp, gateway.chat, 50)).toBe('succeeded')
  }
  gateway.inject('mpp_commit_failed')
  expect(await run(mpp, gateway.chat, 50)).toBe('failed')
  gateway.inject('answer_lost')
  expect(await run(mpp, gateway.chat, 60)).toBe('failed')
  const [session] = await mpp.sessions.list()
  const closed = await mpp.sessions.close(session?.channelId ?? '')
  expect(closed.status).toBe('closed')
  const { response: _response, ...told } = closed
  show('close outcome', told)
  show('sessions', await mpp.sessions.list())

  // A payer that is not allowed, and a limit in the way.
  const strict = await stage.gateway({ blockedPayers: [payer.address] })
  expect(await run(client(strict), strict.chat, 50)).toBe('failed')

  secret('private key', privateKey.slice(2))
  secret('prompt', PROMPT)
  secret('prompt', PROMPT.slice(0, 20))
  secret('Bearer key', BEARER.slice('Bearer '.length))
  secret('query', QUERY_TOKEN)
  for (const { authorization, credential } of gateways.flatMap(({ seen }) => seen)) {
    if (authorization === undefined || credential === undefined) continue
    const token = authorization.slice('Payment '.length)
    secret('credential', token)
    // However it is cut: the beginning is the challenge, the end the signature.
    secret('credential', token.slice(-60))
    secret('scheme with credential', authorization.slice(0, 40))
    const { payload } = credential
    if ('signature' in payload) {
      secret('signature', payload.signature.slice(2))
      secret('signature', payload.signature.slice(2, 66))
      secret('signature', payload.signature.slice(66, 130))
      secret('signature', encodeBase64url(Buffer.from(payload.signature.slice(2), 'hex')).slice(0, 40))
    }
    if ('transaction' in payload) {
      secret('transaction', payload.transaction.slice(2))
      secret('transaction', payload.transaction.slice(-130))
    }
  }
}, 60_000)
afterAll(() => stage?.stop())

describe('what can be shown of full runs', () => {
  it('covers the states, the effects and the kinds of inspection that there are', () => {
    expect([...inspectionTypes].sort()).toEqual([
      '@xstate.action',
      '@xstate.actor',
      '@xstate.event',
      '@xstate.microstep',
      '@xstate.snapshot',
    ])
    const texts = [...statesSeen].join(' ')
    for (const state of [
      'requesting',
      'parsingChallenge',
      'acquiringSession',
      'awaitingApproval',
      'openingSession',
      'toppingUp',
      'signingVoucher',
      'reconcilingSession',
      'paying',
      'verifyingReceipt',
      'backingOff',
      'sendingClose',
      'succeeded',
      'closed',
      'failed',
    ])
      expect(texts).toContain(state)
    expect([...effectsSeen]).toEqual(
      expect.arrayContaining([
        'sendUnpaid',
        'openSession',
        'topUpSession',
        'signVoucher',
        'sendPaid',
        'sendClose',
        'wait',
      ]),
    )
    const kinds = new Set(secrets.map(({ kind }) => kind))
    expect([...kinds].sort()).toEqual([
      'Bearer key',
      'completion',
      'credential',
      'private key',
      'prompt',
      'query',
      'scheme with credential',
      'signature',
      'transaction',
    ])
    expect(shown.length).toBeGreaterThan(500)
  })

  it('is JSON, all of it', () => {
    expect([...new Set(notJson)]).toEqual([])
  })

  it('holds no secret', () => {
    expect(leaks(shown)).toEqual([])
    expect(shown.filter(({ json }) => /payment eyj|bearer /i.test(json)).map(({ from }) => from)).toEqual([])
  })
})

describe('the search itself', () => {
  it('finds what the gateway saw, where it belongs', () => {
    const wire = gateways
      .flatMap(({ seen }) => seen)
      .map(({ url, headers, body, credential }) => ({
        from: 'wire',
        json: JSON.stringify([url, headers, new TextDecoder().decode(body), credential?.payload]),
      }))
    expect(leaks(wire).sort()).toEqual([
      'credential in wire',
      'prompt in wire',
      'query in wire',
      'scheme with credential in wire',
      'signature in wire',
      'transaction in wire',
    ])
  })

  it.each(['private key', 'credential', 'signature', 'transaction', 'Bearer key', 'prompt', 'completion'])(
    'finds a %s that was put into a context on purpose',
    (kind) => {
      const planted = secrets.find((entry) => entry.kind === kind)
      expect(planted).toBeDefined()
      const text = JSON.stringify({ context: { nested: [{ note: `…${planted?.text.toUpperCase()}…` }] } })
      expect(leaks([{ from: 'planted', json: text }])).toContain(`${kind} in planted`)
    },
  )

  it('notices what is not JSON', () => {
    const before = notJson.length
    for (const value of [{ a: 1n }, { a: undefined }, { a: new Date(0) }, { a: Number.NaN }, { a: new Map() }])
      show('not JSON on purpose', value)
    expect(notJson.length - before).toBeGreaterThanOrEqual(5)
    notJson.length = before
  })

  it('reaches everything that hangs on an object', () => {
    const loop: { self?: unknown; map: Map<string, object> } = { map: new Map([['k', { deep: ['hidden text'] }]]) }
    loop.self = loop
    expect(reachableText(loop)).toContain('hidden text')
  })
})
