// Looks at the payment-flow machine as a graph: what it is made of, that it can be drawn, stripped and walked by test models.
// Must never run an effect.

import { createTestModel as createOldTestModel } from '@xstate/test'
import { describe, expect, it, vi } from 'vitest'
import { createActor, getNextTransitions, initialTransition } from 'xstate'
import { createTestModel, getShortestPaths } from 'xstate/graph'
import { MPP_CODES, type PaymentFlowEvent, PROBLEM_TYPES, paymentFlowMachine } from '../../machines/index.js'
import {
  bareMachine,
  begin,
  CLOSING,
  challenge,
  type FlowSnapshot,
  facts,
  flowInput,
  LIMITS,
  nameOf,
  ONE,
  openView,
  rejection,
  take,
  view,
  World,
} from './payment-flow.world.js'

type Node = typeof paymentFlowMachine.root

const TAGS: ReadonlySet<string> = new Set(['network', 'wallet', 'waiting', 'recovering', 'final'])

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  for (const child of Object.values(node.states)) walk(child, visit)
}

function nodes(): readonly Node[] {
  const all: Node[] = []
  walk(paymentFlowMachine.root, (node) => all.push(node))
  return all
}

/** The state in which an arrow to `node` comes to rest, or is decided again. */
function restOf(node: Node): Node {
  const first = node.type === 'compound' ? node.initial.target[0] : undefined
  return first === undefined ? node : restOf(first)
}

interface Arrow {
  readonly from: string
  readonly to: string
  readonly event: string
  /** Whether the arrow can be taken a limited number of times: it counts, or only leads where the count is kept. */
  readonly bounded: boolean
}

function arrowsOf(node: Node): readonly Arrow[] {
  return [...node.transitions.values()]
    .flat()
    .concat(node.always ?? [])
    .flatMap(({ target, eventType, actions, guard }) =>
      (target ?? []).map((to) => ({
        from: node.id,
        to: restOf(to).id,
        event: eventType,
        // A plan asks the chain once: after that it may not plan to ask again, as planning.test.ts proves.
        bounded: actions.some((action) => action === 'count') || guard === 'planReconciles',
      })),
    )
}

/** The cycles that arrows make, each as the list of its states. Depth first; one cycle per closing arrow. */
function cycles(arrows: readonly Arrow[]): readonly string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  const visit = (state: string, path: readonly string[]): void => {
    const seen = path.indexOf(state)
    if (seen >= 0) {
      found.add([...path.slice(seen), state].join(' → '))
      return
    }
    if (done.has(state)) return
    for (const { from, to } of arrows) if (from === state) visit(to, [...path, state])
    done.add(state)
  }
  for (const { from } of arrows) visit(from, [])
  return [...found]
}

describe('what the chart is made of', () => {
  it('describes every state and tags it from the agreed list', () => {
    for (const { id, description, tags, type } of nodes()) {
      expect(description, id).toMatch(/\w.*\.$/)
      for (const tag of tags) expect(TAGS.has(tag), `${id}: ${tag}`).toBe(true)
      expect(tags.includes('final'), id).toBe(type === 'final')
    }
  })

  it('tags every state in which something is waited for', () => {
    const local = new Set(['parseChallenge', 'verifyReceipt'])
    for (const { id, tags, invoke } of nodes()) {
      if (invoke.some(({ src }) => !local.has(String(src)))) expect(tags.length, id).toBeGreaterThan(0)
    }
  })

  it('names every guard, action and actor', () => {
    const inline: string[] = []
    const look = (value: unknown, path: readonly string[]): void => {
      if (typeof value === 'function') inline.push(path.join('.'))
      else if (typeof value === 'object' && value !== null) {
        for (const [key, inner] of Object.entries(value)) look(inner, [...path, key])
      }
    }
    const { context: _context, output: _output, ...config } = paymentFlowMachine.config
    look(config, [])
    expect(inline.filter((path) => !/\.invoke\.input$/.test(path))).toEqual([])
    const { guards, actions, actors } = paymentFlowMachine.implementations
    for (const node of nodes()) {
      for (const { src } of node.invoke) expect(Object.keys(actors)).toContain(src)
      for (const action of node.entry) expect(Object.keys(actions)).toContain(action)
      for (const transition of [...node.transitions.values()].flat().concat(node.always ?? [])) {
        for (const action of transition.actions) expect(Object.keys(actions)).toContain(action)
        if (transition.guard !== undefined) expect(Object.keys(guards)).toContain(transition.guard)
      }
    }
  })

  it('uses every guard, action and actor that it names', () => {
    const used = new Set<unknown>()
    for (const node of nodes()) {
      for (const { src } of node.invoke) used.add(src)
      for (const action of node.entry) used.add(action)
      for (const { actions, guard } of [...node.transitions.values()].flat().concat(node.always ?? [])) {
        for (const action of actions) used.add(action)
        used.add(guard)
      }
    }
    const { guards, actions, actors } = paymentFlowMachine.implementations
    const named = [guards, actions, actors].flatMap((implementations) => Object.keys(implementations))
    expect(named.filter((name) => !used.has(name))).toEqual([])
  })

  it('keeps no time and hears nothing but named events', () => {
    for (const node of nodes()) {
      expect(node.after, node.id).toEqual([])
      for (const event of node.ownEvents) expect(event, node.id).not.toMatch(/^xstate\.|^$|\*/)
    }
    const text = JSON.stringify(paymentFlowMachine.config)
    expect(text).not.toMatch(/"(after|onDone|onError|onSnapshot|delay)":/)
  })

  it('decides without events in no cycle', () => {
    const decisions = nodes().flatMap((node) =>
      (node.always ?? []).flatMap(({ target }) =>
        (target ?? []).map((to) => ({ from: node.id, to: restOf(to).id, event: '', bounded: false })),
      ),
    )
    expect(decisions.length).toBeGreaterThan(0)
    expect(cycles(decisions)).toEqual([])
  })

  it('counts an arrow on every cycle', () => {
    const unbounded = nodes()
      .flatMap(arrowsOf)
      .filter(({ bounded }) => !bounded)
    expect(cycles(unbounded)).toEqual([])
  })

  it('ends when a top-up is reported again and again without any growth', () => {
    const session = openView({ signed: '0', deposit: '1' })
    let snapshot = new World(session).drive(begin(), 'authorizing.toppingUp')
    for (let times = 0; times < 100; times += 1) {
      snapshot = take(snapshot, { type: 'TOPPED_UP', session })
    }
    expect(nameOf(snapshot)).toBe('failed')
  })

  it('ends when the chain keeps reporting a channel that is closing', () => {
    const closing = openView({ status: 'closing', pending: 'close' })
    let snapshot = take(new World(closing).drive(begin(), 'authorizing.acquiringSession'), {
      type: 'SESSION_ACQUIRED',
      session: closing,
    })
    for (let times = 0; times < 100; times += 1) {
      snapshot = take(snapshot, { type: 'SESSION_RECONCILED', session: closing })
    }
    expect(nameOf(snapshot)).toBe('failed')
  })

  it('reaches every state', () => {
    const reached = new Set<string>()
    const queue = [restOf(paymentFlowMachine.root).id]
    const arrows = nodes().flatMap(arrowsOf)
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      if (reached.has(state)) continue
      reached.add(state)
      queue.push(...arrows.filter(({ from }) => from === state).map(({ to }) => to))
    }
    const resting = nodes().filter(({ type }) => type !== 'compound')
    // The root's own arrows lead to `failed` from anywhere.
    expect(resting.map(({ id }) => id).filter((id) => !reached.has(id))).toEqual([])
  })
})

const RESTING: readonly (readonly [state: string, more: Parameters<typeof begin>[0], world: World])[] = [
  ['requesting', {}, new World()],
  ['parsingChallenge', {}, new World()],
  ['authorizing.acquiringSession', {}, new World()],
  ['authorizing.awaitingApproval', { limits: { ...LIMITS, approval: true } }, new World()],
  ['authorizing.openingSession', {}, new World()],
  ['authorizing.signingVoucher', {}, new World(openView({ signed: '0' }))],
  ['authorizing.toppingUp', {}, new World(openView({ signed: '0', deposit: '1' }))],
  ['authorizing.reconcilingSession', {}, new World(openView({ status: 'opening', deposit: '0', pendingAmount: ONE }))],
  [
    'authorizing.awaitingAcknowledgement',
    { limits: { ...LIMITS, maxExposure: ONE } },
    new World(openView({ signed: '500000' }), challenge({ minVoucherDelta: ONE, unitType: 'request' })),
  ],
  ['paying', {}, new World(openView())],
  ['verifyingReceipt', {}, new World(openView())],
  ['closing.sendingClose', CLOSING, new World(openView())],
]

function resting(): readonly (readonly [string, FlowSnapshot])[] {
  const states = RESTING.map(([state, more, world]) => [state, world.drive(begin(more), state)] as const)
  const backingOff = take(new World(openView()).drive(begin(), 'paying'), rejection('mpp_reservation_failed'))
  const paying = new World(openView())
  const left = take(paying.drive(begin(), 'paying'), {
    type: 'SERVER_FAILED',
    mayHaveRun: false,
    ...facts({ status: 503, cumulative: ONE }),
  })
  const left503 = paying.drive(left, 'resending')
  const closing = new World(openView()).drive(begin(CLOSING), 'closing.sendingClose')
  return [
    ...states,
    ['backingOff', backingOff],
    ['resending', left503],
    ['closing.backingOff', take(closing, rejection('mpp_session_close_failed'))],
  ]
}

describe('what may happen in every state', () => {
  it('knows all states in which a flow can rest', () => {
    const named = nodes()
      .filter(({ type, always }) => type === 'atomic' && always === undefined)
      .map(({ path }) => path.join('.'))
    expect(new Set(resting().map(([state]) => state))).toEqual(new Set(named))
  })

  it.each(resting())('%s ends at once when it is cancelled or its effect fails', (state, snapshot) => {
    expect(nameOf(snapshot)).toBe(state)
    const ends = [
      [{ type: 'CANCEL' }, 'cancelled'],
      [{ type: 'EFFECT_FAILED', reason: 'TypeError' }, 'internal_error'],
      [{ type: 'SESSION_UNAVAILABLE', reason: 'busy' }, 'session_unavailable'],
      [{ type: 'STORE_UNAVAILABLE', reason: 'EACCES' }, 'store_unavailable'],
      [{ type: 'STORE_DAMAGED', reason: 'cut off' }, 'store_damaged'],
      [{ type: 'STORE_NEWER_FORMAT', reason: 'newer' }, 'store_newer_format'],
    ] as const
    for (const [event, code] of ends) {
      const ended = take(snapshot, event)
      expect(ended.output).toMatchObject({
        status: 'failed',
        failure: { code, references: ended.context.references, authorised: ended.context.authorised },
      })
      expect(ended.output?.failure?.advice).toBeTruthy()
    }
  })

  it('hears nothing any more once it is over', () => {
    const actor = createActor(bareMachine, { input: flowInput() }).start()
    actor.send({ type: 'CANCEL' })
    const over = actor.getSnapshot()
    // XState says so on the console, too.
    const warned = vi.spyOn(console, 'warn').mockReturnValue(undefined)
    actor.send({ type: 'EFFECT_FAILED', reason: 'r' })
    warned.mockRestore()
    expect(actor.getSnapshot()).toBe(over)
    expect(over.output?.failure?.code).toBe('cancelled')
  })

  it('says which effect is missing instead of hanging', async () => {
    const actor = createActor(paymentFlowMachine, { input: flowInput() })
    const error = new Promise((resolve) => actor.subscribe({ error: resolve }))
    actor.start()
    expect(String(await error)).toContain('sendUnpaid')
  })
})

/** What the answer to a request that carried a credential can be, when it is not the one that was paid for. */
const REFUSALS = [
  ...MPP_CODES,
  ...PROBLEM_TYPES,
  'PAYMENT_REJECTED',
  'RATE_LIMITED',
  'SERVER_FAILED',
  'ANSWER_RECEIVED',
]
const SIGNS = ['SESSION_CHANGED']
const FUNDS = [...SIGNS, 'FEE_TOO_HIGH']
/** What each effect may report; whatever it throws comes as one of ANY_EFFECT. */
const REPORTS: Readonly<Record<string, readonly string[]>> = {
  sendUnpaid: [...REFUSALS, 'CHALLENGE_RECEIVED', 'ALREADY_CLOSED', 'POLICY_DENIED', 'CONNECTION_FAILED'],
  parseChallenge: [
    'CHALLENGE_ACCEPTED',
    'CHALLENGE_UNSUPPORTED',
    'CHALLENGE_REJECTED',
    'CHALLENGE_EXPIRED',
    'DIGEST_MISMATCH',
    'POLICY_DENIED',
  ],
  acquireSession: ['SESSION_ACQUIRED'],
  awaitAcknowledgement: ['TURN_GRANTED'],
  requestApproval: [...FUNDS, 'APPROVE', 'DENY'],
  openSession: [...FUNDS, 'OPEN_SIGNED', 'OPEN_RESUMED'],
  topUpSession: [
    ...FUNDS,
    ...REFUSALS,
    'CHALLENGE_EXPIRED',
    'TOP_UP_SIGNED',
    'TOPPED_UP',
    'TOP_UP_UNCONFIRMED',
    'CONNECTION_FAILED',
  ],
  signVoucher: [...SIGNS, 'VOUCHER_SIGNED'],
  sendPaid: [
    ...REFUSALS,
    'PAID_ANSWER_RECEIVED',
    'SESSION_CHANGED',
    'DEPOSIT_TOO_LOW',
    'CHALLENGE_EXPIRED',
    'CONNECTION_FAILED',
    'OUTCOME_UNKNOWN',
  ],
  resendPaid: [...REFUSALS, 'PAID_ANSWER_RECEIVED', 'CHALLENGE_EXPIRED', 'CONNECTION_FAILED', 'OUTCOME_UNKNOWN'],
  verifyReceipt: ['RECEIPT_VERIFIED', 'RECEIPT_MISSING', 'RECEIPT_REJECTED'],
  reconcileSession: ['SESSION_RECONCILED', 'OPERATION_UNDECIDED'],
  wait: ['WAITED'],
  sendClose: [
    ...REFUSALS,
    'CLOSE_CONFIRMED',
    'CLOSE_UNCONFIRMED',
    'ALREADY_CLOSED',
    'CHALLENGE_EXPIRED',
    'CONNECTION_FAILED',
  ],
}
const ANY_EFFECT = [
  'EFFECT_FAILED',
  'SESSION_UNAVAILABLE',
  'STORE_UNAVAILABLE',
  'STORE_DAMAGED',
  'STORE_NEWER_FORMAT',
  'CHAIN_UNAVAILABLE',
  'SIGNING_FAILED',
  'WALLET_BALANCE_INSUFFICIENT',
]

describe('what an effect may report', () => {
  const invoking = nodes().flatMap((node) => node.invoke.map(({ src }) => [String(src), node] as const))

  it('is known for every effect', () => {
    expect(new Set(invoking.map(([src]) => src))).toEqual(new Set(Object.keys(REPORTS)))
  })

  // An event that its state does not take is lost, and the flow waits for ever.
  it.each(invoking)('%s: all of it is taken', (src, node) => {
    const taken = new Set<string>([...node.ownEvents, ...paymentFlowMachine.root.ownEvents])
    expect([...(REPORTS[src] ?? []), ...ANY_EFFECT].filter((event) => !taken.has(event))).toEqual([])
  })

  it('ends a close that was answered with something else than a challenge', () => {
    // Nothing was closed: neither a plain 200 nor a 404 may be reported as a close.
    for (const status of [200, 404]) {
      const answered = take(begin(CLOSING), { type: 'ANSWER_RECEIVED', ...facts({ status, challengesOffered: 0 }) })
      expect(answered.output?.status).toBe('failed')
      expect(nameOf(answered)).toBe('failed')
    }
  })
})

describe('test models', () => {
  const EVENTS: readonly PaymentFlowEvent[] = [
    { type: 'CHALLENGE_RECEIVED', ...facts() },
    { type: 'CHALLENGE_ACCEPTED', challenge: challenge() },
    { type: 'SESSION_ACQUIRED', session: view() },
    { type: 'OPEN_SIGNED', session: openView(), deposit: '5000000', cumulative: ONE, feeAtMost: '20000' },
    { type: 'PAID_ANSWER_RECEIVED', ...facts({ status: 200, challengesOffered: 0, cumulative: ONE }) },
    {
      type: 'RECEIPT_VERIFIED',
      receipt: { challengeId: 'challenge-1', channelId: '0x', acceptedCumulative: ONE, spent: '1', txHash: null },
    },
    rejection('mpp_invalid_challenge', { cumulative: ONE }),
    rejection('mpp_reservation_failed', { cumulative: ONE }),
    { type: 'WAITED' },
    { type: 'CANCEL' },
  ]
  /** A chart with an unbounded cycle has no end of states: it fails here rather than hang. */
  const LIMIT = 20_000
  const input = flowInput({ bounds: { mpp_invalid_challenge: 1, mpp_reservation_failed: 1 } })

  /** XState's pure transition hears the root's events even after the end; a running actor does not. */
  const isOver = ({ status }: { readonly status: string }) => status !== 'active'

  const describePaths = (
    paths: readonly { readonly steps: readonly { readonly event: { readonly type: string } }[] }[],
  ) => paths.map(({ steps }) => steps.map(({ event }) => event.type).join(' ')).sort()

  it('take the same chart without its effects', () => {
    const shape = (machine: typeof paymentFlowMachine) => {
      const arrows: unknown[] = []
      walk(machine.root, (node) => {
        const all = [...node.transitions.values()].flat().concat(node.always ?? [])
        for (const { eventType, guard, target, actions } of all) {
          arrows.push([node.id, eventType, guard, target?.map(({ id }) => id), actions])
        }
      })
      return arrows
    }
    expect(shape(bareMachine)).toEqual(shape(paymentFlowMachine))
    walk(bareMachine.root, ({ invoke }) => expect(invoke).toEqual([]))
  })

  it('of both libraries give the same paths', () => {
    // The older library cannot be given an input, so both start from the same snapshot.
    const [fromState] = initialTransition(bareMachine, input)
    const cases = { fromState, events: [...EVENTS] }
    const current = describePaths(
      createTestModel(bareMachine).getShortestPaths({ ...cases, stopWhen: isOver, limit: LIMIT }),
    )
    expect(current.length).toBeGreaterThan(20)
    expect(
      describePaths(
        createOldTestModel(bareMachine).getShortestPaths({ ...cases, stopCondition: isOver, traversalLimit: LIMIT }),
      ),
    ).toEqual(current)
  })

  it('find the way to every final state that the events allow, and keep context JSON', () => {
    const paths = getShortestPaths(bareMachine, { events: [...EVENTS], input, limit: LIMIT, stopWhen: isOver })
    const finals = new Set(paths.filter(({ state }) => state.status === 'done').map(({ state }) => nameOf(state)))
    expect(finals).toEqual(new Set(['succeeded', 'failed']))
    for (const { state } of paths) expect(JSON.parse(JSON.stringify(state.context))).toEqual(state.context)
  })

  it('see only events that the state takes', () => {
    const snapshot = begin()
    const taken = new Set(getNextTransitions(snapshot).map(({ eventType }) => eventType))
    expect(taken.has('CHALLENGE_RECEIVED')).toBe(true)
    expect(taken.has('PAID_ANSWER_RECEIVED')).toBe(false)
  })
})
