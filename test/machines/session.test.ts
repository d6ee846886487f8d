// Drives the session machine with arbitrary events: what must be true of a channel's record, whatever happens to it.
// Must never take from the machine which events it allows: the table is written out here.

import { isDeepStrictEqual } from 'node:util'
import fc, { type Arbitrary } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ABSENT_SESSION,
  depositAtStake,
  exceeds,
  isSessionStatus,
  type SessionContext,
  type SessionEvent,
  type SessionState,
  type SessionStatus,
  sessionMachine,
  transitionSession,
} from '../../machines/index.js'
import { transitionByXState } from '../../machines/session.transition.js'
import { cases } from '../extent.js'

type EventType = SessionEvent['type']

const ALWAYS: readonly EventType[] = ['RESERVED', 'RELEASED']
const OPENS = ['OPEN_SIGNED', 'CHANNEL_ADOPTED'] as const

/** Which events each state may take, guards permitting. */
const TAKES: Readonly<Record<SessionStatus, readonly EventType[]>> = {
  absent: [...ALWAYS, ...OPENS],
  opening: [...ALWAYS, 'RECEIPT_ACCEPTED', 'ANSWER_UNACKNOWLEDGED', 'VOUCHER_SIGNED', 'OPEN_CONFIRMED', 'OPEN_DROPPED'],
  open: [
    ...ALWAYS,
    'RECEIPT_ACCEPTED',
    'ANSWER_UNACKNOWLEDGED',
    'VOUCHER_SIGNED',
    'TOP_UP_SIGNED',
    'DEPOSIT_SEEN',
    'DEPOSIT_RESET',
    'CLOSE_SIGNED',
    'CLOSE_CONFIRMED',
    'REQUEST_CLOSE_SIGNED',
    'CLOSE_REQUESTED',
    'CHANNEL_GONE',
    'SEEN_BLOCK_RESET',
  ],
  toppingUp: [
    ...ALWAYS,
    'RECEIPT_ACCEPTED',
    'ANSWER_UNACKNOWLEDGED',
    'VOUCHER_SIGNED',
    'TOP_UP_CONFIRMED',
    'TOP_UP_DROPPED',
    'CLOSE_CONFIRMED',
    'CHANNEL_GONE',
    'SEEN_BLOCK_RESET',
  ],
  closing: [
    ...ALWAYS,
    'RECEIPT_ACCEPTED',
    'ANSWER_UNACKNOWLEDGED',
    'CLOSE_CONFIRMED',
    'CLOSE_ABANDONED',
    'CLOSE_REQUESTED',
    'CHANNEL_GONE',
    'SEEN_BLOCK_RESET',
  ],
  closeRequested: [
    ...ALWAYS,
    'RECEIPT_ACCEPTED',
    'ANSWER_UNACKNOWLEDGED',
    'CLOSE_REQUESTED',
    'REQUEST_CLOSE_DROPPED',
    'GRACE_ELAPSED',
    'CLOSE_REQUEST_CANCELLED',
    'TOP_UP_SIGNED',
    'CLOSE_SIGNED',
    'CLOSE_CONFIRMED',
    'CHANNEL_GONE',
    'SEEN_BLOCK_RESET',
  ],
  withdrawable: [
    ...ALWAYS,
    'RECEIPT_ACCEPTED',
    'ANSWER_UNACKNOWLEDGED',
    'WITHDRAW_SIGNED',
    'WITHDRAW_DROPPED',
    'WITHDRAWN',
    'CLOSE_REQUEST_CANCELLED',
    'TOP_UP_SIGNED',
    'CLOSE_SIGNED',
    'CLOSE_CONFIRMED',
    'CHANNEL_GONE',
    'SEEN_BLOCK_RESET',
  ],
  closed: [...ALWAYS, ...OPENS],
  withdrawn: [...ALWAYS, ...OPENS],
  lost: [...ALWAYS, ...OPENS],
}
const STATUSES = Object.keys(TAKES).filter(isSessionStatus)
const ENDED: ReadonlySet<SessionStatus> = new Set(['absent', 'closed', 'withdrawn', 'lost'])

const DESCRIPTOR = {
  payer: '0x01',
  payee: '0x02',
  operator: '0x00',
  token: '0x03',
  salt: '0x04',
  authorizedSigner: '0x01',
  expiringNonceHash: '0x05',
}

const amount = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 10 }).map(String) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 96n - 1n }).map(String) },
)
const time = fc.integer({ min: 0, max: 20 })

/** What events are made from. */
interface Payload {
  readonly amounts: readonly [string, string, string]
  readonly times: readonly [number, number]
  readonly channelId: string
  readonly flow: string
}

const payload: Arbitrary<Payload> = fc.record({
  amounts: fc.tuple(amount, amount, amount),
  times: fc.tuple(time, time),
  channelId: fc.constantFrom('0xc1', '0xc2', '0xc3'),
  flow: fc.constantFrom('flow-1', 'flow-2', 'flow-3'),
})

const MAKERS: { readonly [Type in EventType]: (payload: Payload) => Extract<SessionEvent, { type: Type }> } = {
  OPEN_SIGNED: ({ amounts: [deposit, cumulative], times: [validBefore], channelId }) => ({
    type: 'OPEN_SIGNED',
    channelId,
    descriptor: DESCRIPTOR,
    resource: 'https://gateway.example/',
    deposit,
    cumulative,
    transactionHash: '0xaa',
    validBefore,
  }),
  OPEN_CONFIRMED: ({ amounts: [deposit] }) => ({ type: 'OPEN_CONFIRMED', deposit }),
  OPEN_DROPPED: () => ({ type: 'OPEN_DROPPED' }),
  CHANNEL_ADOPTED: ({ amounts: [deposit, settled, cumulative], channelId }) => ({
    type: 'CHANNEL_ADOPTED',
    channelId,
    descriptor: DESCRIPTOR,
    resource: null,
    deposit,
    settled,
    cumulative,
  }),
  VOUCHER_SIGNED: ({ amounts: [cumulative] }) => ({ type: 'VOUCHER_SIGNED', cumulative }),
  TOP_UP_SIGNED: ({ amounts: [additionalDeposit, reaching], times: [validBefore] }) => ({
    type: 'TOP_UP_SIGNED',
    additionalDeposit,
    reaching,
    transactionHash: '0xbb',
    validBefore,
  }),
  TOP_UP_CONFIRMED: ({ amounts: [deposit] }) => ({ type: 'TOP_UP_CONFIRMED', deposit }),
  TOP_UP_DROPPED: () => ({ type: 'TOP_UP_DROPPED' }),
  DEPOSIT_SEEN: ({ amounts: [deposit, settled], times: [block] }) => ({
    type: 'DEPOSIT_SEEN',
    deposit,
    settled,
    block,
  }),
  RESERVED: ({ flow, amounts: [amount], times: [until, now] }) => ({ type: 'RESERVED', flow, amount, until, now }),
  RELEASED: ({ flow }) => ({ type: 'RELEASED', flow }),
  ANSWER_UNACKNOWLEDGED: ({ flow }) => ({ type: 'ANSWER_UNACKNOWLEDGED', flow }),
  RECEIPT_ACCEPTED: ({ amounts: [accepted, spent] }) => ({ type: 'RECEIPT_ACCEPTED', accepted, spent }),
  CLOSE_SIGNED: ({ amounts: [cumulative] }) => ({ type: 'CLOSE_SIGNED', cumulative }),
  CLOSE_CONFIRMED: ({ amounts: [settled, refunded] }) => ({ type: 'CLOSE_CONFIRMED', settled, refunded }),
  CLOSE_ABANDONED: () => ({ type: 'CLOSE_ABANDONED' }),
  CLOSE_REQUESTED: ({ times: [withdrawableAt, block] }) => ({ type: 'CLOSE_REQUESTED', withdrawableAt, block }),
  CLOSE_REQUEST_CANCELLED: () => ({ type: 'CLOSE_REQUEST_CANCELLED' }),
  REQUEST_CLOSE_SIGNED: ({ times: [validBefore] }) => ({
    type: 'REQUEST_CLOSE_SIGNED',
    transactionHash: '0xcc',
    validBefore,
  }),
  REQUEST_CLOSE_DROPPED: () => ({ type: 'REQUEST_CLOSE_DROPPED' }),
  WITHDRAW_SIGNED: ({ times: [validBefore] }) => ({ type: 'WITHDRAW_SIGNED', transactionHash: '0xdd', validBefore }),
  WITHDRAW_DROPPED: () => ({ type: 'WITHDRAW_DROPPED' }),
  GRACE_ELAPSED: () => ({ type: 'GRACE_ELAPSED' }),
  WITHDRAWN: ({ amounts: [settled, refunded] }) => ({ type: 'WITHDRAWN', settled, refunded }),
  CHANNEL_GONE: () => ({ type: 'CHANNEL_GONE' }),
  SEEN_BLOCK_RESET: () => ({ type: 'SEEN_BLOCK_RESET' }),
  DEPOSIT_RESET: ({ amounts: [deposit] }) => ({ type: 'DEPOSIT_RESET', deposit }),
}
const isEventType = (type: string): type is EventType => Object.hasOwn(MAKERS, type)
const TYPES = Object.keys(MAKERS).filter(isEventType)

interface Draw {
  readonly pick: number
  readonly wild: number
  readonly payload: Payload
}

const draw: Arbitrary<Draw> = fc.record({ pick: fc.nat(), wild: fc.integer({ min: 0, max: 9 }), payload })

function choose({ status }: SessionState, { pick, wild, payload }: Draw): SessionEvent {
  // Reservations are taken everywhere: mostly something else, so that walks go far.
  const taken = wild < 3 ? TAKES[status] : TAKES[status].filter((type) => !ALWAYS.includes(type))
  const types = wild === 0 ? TYPES : taken
  return MAKERS[types[pick % types.length] ?? 'RELEASED'](payload)
}

const START: SessionState = { status: 'absent', session: ABSENT_SESSION }

function run(events: readonly SessionEvent[], from: SessionState = START): SessionState {
  return events.reduce((state, next) => {
    const taken = transitionSession(state, next)
    if (taken === undefined) throw new Error(`${next.type} is not taken while a channel is ${state.status}`)
    return taken
  }, from)
}

interface Step {
  readonly before: SessionState
  readonly event: SessionEvent
  readonly after: SessionState | undefined
}

const WALKS = cases(2_000)
const seed = Date.now() % 2 ** 31

/** Every step of many random walks, those included that were not allowed. */
function stepsOf(from: number): readonly Step[] {
  return fc
    .sample(fc.array(draw, { minLength: 30, maxLength: 40 }), { numRuns: WALKS, seed: from })
    .flatMap((draws) => {
      const steps: Step[] = []
      let before = START
      for (const next of draws) {
        const event = choose(before, next)
        const after = transitionSession(before, event)
        steps.push({ before, event, after })
        before = after ?? before
      }
      return steps
    })
}

const STEPS = stepsOf(seed)
/** Walks may miss a rare event by chance; not as many as these do, if it is taken at all. */
const MOST_ROUNDS = 50

function walk(check: (before: SessionState, event: SessionEvent, after: SessionState | undefined) => void): void {
  for (const { before, event, after } of STEPS) check(before, event, after)
}

/** The same channel before and after a step, still alive. */
const lives = (before: SessionState, after: SessionState): boolean =>
  !ENDED.has(before.status) && !ENDED.has(after.status) && before.session.channelId === after.session.channelId

describe(`a channel, whatever happens to it (seed ${seed})`, () => {
  it('goes by the tables where it goes by XState', () => {
    // XState takes its time: a part of all steps will do.
    for (const [at, { before, event, after }] of STEPS.entries()) {
      if (at % 7 === 0 && !isDeepStrictEqual(transitionByXState(before, event), after)) {
        throw new Error(`${event.type} leads elsewhere while a channel is ${before.status}`)
      }
    }
  })

  it('never shrinks in what it holds, signed, had accepted or spent', () => {
    walk((before, event, after) => {
      if (after === undefined || !lives(before, after)) return
      for (const amount of ['deposit', 'signed', 'accepted', 'spent', 'settled'] as const) {
        // The one thing that a person may take back.
        if (amount === 'deposit' && event.type === 'DEPOSIT_RESET') continue
        const shrunk = exceeds(before.session[amount], after.session[amount])
        if (shrunk) throw new Error(`${amount} shrank by ${event.type} while ${before.status}`)
      }
    })
  })

  it('never has more signed than it holds, once it is open', () => {
    walk((_before, event, after) => {
      if (after === undefined || ENDED.has(after.status)) return
      const { signed, deposit, pending } = after.session
      const covered = after.status === 'opening' ? (pending?.amount ?? '0') : deposit
      if (exceeds(signed, covered)) throw new Error(`${signed} are signed, ${covered} are held, after ${event.type}`)
    })
  })

  it('never has more spent than accepted, or more accepted than signed', () => {
    walk((_before, event, after) => {
      if (after === undefined || ENDED.has(after.status)) return
      const { signed, accepted, spent } = after.session
      if (exceeds(accepted, signed)) throw new Error(`${accepted} accepted, ${signed} signed, after ${event.type}`)
      if (exceeds(spent, accepted)) throw new Error(`${spent} spent, ${accepted} accepted, after ${event.type}`)
    })
  })

  it('takes no event that its state does not know, and is left as it was by one', () => {
    walk((before, event, after) => {
      if (after === undefined) return
      if (!TAKES[before.status].includes(event.type)) throw new Error(`${before.status} took ${event.type}`)
      const copy = structuredClone(before)
      transitionSession(before, event)
      if (!isDeepStrictEqual(before, copy)) throw new Error(`${event.type} changed the state it was given`)
    })
    for (const status of STATUSES) {
      const state: SessionState = { status, session: ABSENT_SESSION }
      for (const drawn of fc.sample(payload, { numRuns: 50, seed })) {
        for (const type of TYPES.filter((type) => !TAKES[status].includes(type))) {
          expect(transitionSession(state, MAKERS[type](drawn)), `${status} ${type}`).toBeUndefined()
        }
      }
    }
  })

  it('is JSON, and the same after a journey through it', () => {
    walk((before, event, after) => {
      const stored: SessionState = JSON.parse(JSON.stringify(before))
      if (!isDeepStrictEqual(stored, before)) throw new Error(`the record is not JSON while ${before.status}`)
      if (!isDeepStrictEqual(transitionSession(stored, event), after)) throw new Error(`${event.type} went elsewhere`)
    })
  })

  it('comes to every state, and every event is taken somewhere', () => {
    const states = new Set<SessionStatus>(['absent'])
    const taken = new Set<EventType>()
    const isComplete = () => states.size === STATUSES.length && taken.size === TYPES.length
    for (let round = 0; round < MOST_ROUNDS && !isComplete(); round += 1) {
      for (const { event, after } of round === 0 ? STEPS : stepsOf(seed + round)) {
        if (after === undefined) continue
        states.add(after.status)
        taken.add(event.type)
      }
    }
    expect([...states].sort()).toEqual([...STATUSES].sort())
    expect([...taken].sort()).toEqual([...TYPES].sort())
  })

  it('keeps something pending exactly while its fate is open', () => {
    walk((_before, _event, after) => {
      if (after === undefined) return
      const { status, session } = after
      const kinds: Readonly<Partial<Record<SessionStatus, readonly (string | null)[]>>> = {
        opening: ['open'],
        toppingUp: ['topUp'],
        closing: ['close'],
        // The two steps of a forced close: signed first, then on the chain.
        closeRequested: session.withdrawableAt === null ? ['requestClose'] : ['requestClose', null],
        withdrawable: ['withdraw', null],
      }
      if (!(kinds[status] ?? [null]).includes(session.pending?.kind ?? null))
        throw new Error(`wrongly pending while ${status}`)
      if ((session.channelId === null) !== (status === 'absent')) throw new Error(`wrong channel id while ${status}`)
    })
  })

  it('keeps a forced close in mind until it is over or called off', () => {
    walk((before, event, after) => {
      if (after === undefined || before.session.withdrawableAt === null) return
      const calledOff = [
        'CLOSE_REQUEST_CANCELLED',
        'TOP_UP_CONFIRMED',
        'OPEN_SIGNED',
        'CHANNEL_ADOPTED',
        'CLOSE_REQUESTED',
      ]
      if (calledOff.includes(event.type)) return
      const { withdrawableAt } = after.session
      if (withdrawableAt !== before.session.withdrawableAt) throw new Error(`${event.type} forgot the forced close`)
    })
  })
})

const opened = (deposit = '5', cumulative = '1'): readonly SessionEvent[] => [
  {
    type: 'OPEN_SIGNED',
    channelId: '0xc1',
    descriptor: DESCRIPTOR,
    resource: 'https://gateway.example/',
    deposit,
    cumulative,
    transactionHash: '0xaa',
    validBefore: 10,
  },
  { type: 'OPEN_CONFIRMED', deposit },
]
const toppedUp: SessionEvent = {
  type: 'TOP_UP_SIGNED',
  additionalDeposit: '5',
  transactionHash: '0xbb',
  validBefore: 20,
  reaching: '10',
}
const requested: SessionEvent = { type: 'CLOSE_REQUESTED', withdrawableAt: 900 }
const session = (events: readonly SessionEvent[]): SessionContext => run(events).session

describe('a channel’s life', () => {
  it('begins with an open that counts at once against what is at stake', () => {
    const opening = run(opened().slice(0, 1))
    expect(opening).toMatchObject({ status: 'opening', session: { deposit: '0', signed: '1' } })
    expect(depositAtStake(opening.session)).toBe('5')
    expect(depositAtStake(session(opened()))).toBe('5')
    expect(depositAtStake(session([...opened(), toppedUp]))).toBe('10')
    expect(run([...opened().slice(0, 1), { type: 'OPEN_DROPPED' }])).toEqual(START)
  })

  it('refuses vouchers beyond the deposit, smaller ones, and closes at any other amount', () => {
    const open = run(opened())
    const voucher = (cumulative: string) => transitionSession(open, { type: 'VOUCHER_SIGNED', cumulative })
    expect([voucher('0'), voucher('6')]).toEqual([undefined, undefined])
    expect(voucher('1')?.session.signed).toBe('1')
    expect(voucher('5')?.session.signed).toBe('5')
    expect(transitionSession(open, { type: 'CLOSE_SIGNED', cumulative: '5' })).toBeUndefined()
    expect(transitionSession(open, { type: 'CLOSE_SIGNED', cumulative: '1' })?.status).toBe('closing')
  })

  it('refuses an open whose voucher passes its deposit, and a deposit that does not cover the voucher', () => {
    expect(transitionSession(START, { ...opened('1', '2')[0] } as SessionEvent)).toBeUndefined()
    const opening = run(opened('5', '3').slice(0, 1))
    expect(transitionSession(opening, { type: 'OPEN_CONFIRMED', deposit: '2' })).toBeUndefined()
    expect(transitionSession(opening, { type: 'OPEN_CONFIRMED', deposit: '3' })?.status).toBe('open')
  })

  it('refuses to adopt a channel that holds less than was signed for it', () => {
    const adopted = { type: 'CHANNEL_ADOPTED', channelId: '0xc1', descriptor: DESCRIPTOR, resource: null } as const
    const adopt = (deposit: string, settled: string, cumulative: string) =>
      transitionSession(START, { ...adopted, deposit, settled, cumulative })
    expect(adopt('5', '2', '3')?.session).toMatchObject({
      deposit: '5',
      settled: '2',
      signed: '3',
      accepted: '0',
      spent: '0',
    })
    expect(adopt('5', '4', '3')?.session).toMatchObject({ signed: '3', settled: '4', spent: '0', adopted: true })
    expect(adopt('2', '0', '3')).toBeUndefined()
    expect(adopt('2', '3', '0')).toBeUndefined()
  })

  it('keeps all amounts when a channel that was believed lost is found again: its vouchers are known', () => {
    const before = run([
      ...opened('5', '3'),
      { type: 'RECEIPT_ACCEPTED', accepted: '3', spent: '2' },
      { type: 'CHANNEL_GONE' },
    ])
    const found = { type: 'CHANNEL_ADOPTED', channelId: '0xc1', descriptor: DESCRIPTOR, resource: null } as const
    const again = run([{ ...found, deposit: '5', settled: '0', cumulative: '1' }], before)
    expect(again.session).toMatchObject({ signed: '3', accepted: '3', spent: '2', adopted: false })
    expect(transitionSession(before, { ...found, deposit: '2', settled: '0', cumulative: '1' })).toBeUndefined()
  })

  it('forgets a sighting that was a lie, and nothing else', () => {
    const seen = run([...opened('5', '3'), { type: 'DEPOSIT_SEEN', deposit: '5', settled: '1', block: 1_000_000 }])
    expect(run([{ type: 'SEEN_BLOCK_RESET' }], seen)).toEqual({
      ...seen,
      session: { ...seen.session, seenAtBlock: null },
    })
  })

  it('believes receipts up to what was signed', () => {
    const open = run(opened('5', '3'))
    const receipt = (accepted: string, spent: string) =>
      transitionSession(open, { type: 'RECEIPT_ACCEPTED', accepted, spent })
    expect(receipt('3', '2')?.session).toMatchObject({ accepted: '3', spent: '2' })
    expect([receipt('4', '1'), receipt('2', '3')]).toEqual([undefined, undefined])
    const later = run([{ type: 'RECEIPT_ACCEPTED', accepted: '3', spent: '3' }], open)
    expect(run([{ type: 'RECEIPT_ACCEPTED', accepted: '2', spent: '1' }], later).session).toEqual(later.session)
  })

  it('stays under a forced close when a top-up that would call it off is dropped', () => {
    const dropped = run([...opened(), requested, toppedUp, { type: 'TOP_UP_DROPPED' }])
    expect(dropped).toMatchObject({ status: 'closeRequested', session: { withdrawableAt: 900, pending: null } })
    const confirmed = run([...opened(), requested, toppedUp, { type: 'TOP_UP_CONFIRMED', deposit: '10' }])
    expect(confirmed).toMatchObject({ status: 'open', session: { withdrawableAt: null, deposit: '10' } })
  })

  it('ends by a close, a withdrawal or a loss, and may begin again', () => {
    const closed = run([
      ...opened(),
      { type: 'CLOSE_SIGNED', cumulative: '1' },
      { type: 'CLOSE_CONFIRMED', settled: '1', refunded: '4' },
    ])
    expect(closed).toMatchObject({ status: 'closed', session: { settled: '1', refunded: '4', pending: null } })
    const withdrawn = run([
      ...opened(),
      requested,
      { type: 'GRACE_ELAPSED' },
      { type: 'WITHDRAWN', settled: '0', refunded: '5' },
    ])
    expect(withdrawn).toMatchObject({ status: 'withdrawn', session: { refunded: '5' } })
    const lost = run([...opened(), { type: 'CHANNEL_GONE' }])
    for (const ended of [closed, withdrawn, lost]) {
      const again = run(opened('7', '2'), ended)
      expect(again).toEqual(run(opened('7', '2')))
    }
  })

  it('keeps reservations over the channel’s end of its opening, and drops those whose time is over', () => {
    const reserved = (flow: string, until: number, now = 0): SessionEvent => ({
      type: 'RESERVED',
      flow,
      amount: '1',
      until,
      now,
    })
    const opening = session([reserved('flow-1', 10), ...opened()])
    expect(opening.reservations).toEqual([{ flow: 'flow-1', amount: '1', until: 10, spent: '0' }])
    const later = session([reserved('flow-1', 10), ...opened(), reserved('flow-2', 30, 10)])
    expect(later.reservations.map(({ flow }) => flow)).toEqual(['flow-2'])
    expect(session([reserved('flow-1', 10), reserved('flow-1', 20)]).reservations).toHaveLength(1)
    expect(session([reserved('flow-1', 10), { type: 'RELEASED', flow: 'flow-1' }]).reservations).toEqual([])
  })
})

describe('the chart', () => {
  it('describes every state and takes no time', () => {
    for (const [status, node] of Object.entries(sessionMachine.states)) {
      expect(isSessionStatus(status)).toBe(true)
      expect(node.description, status).toMatch(/\w.*\.$/)
      expect(node.after, status).toEqual([])
      expect(node.invoke, status).toEqual([])
    }
    expect(Object.keys(sessionMachine.states).sort()).toEqual([...STATUSES].sort())
    expect(isSessionStatus('constructor')).toBe(false)
  })

  it('knows exactly the events of the table', () => {
    for (const status of STATUSES) {
      const node = sessionMachine.states[status]
      expect([...(node?.ownEvents ?? [])].sort(), status).toEqual([...TAKES[status]].sort())
    }
  })
})
