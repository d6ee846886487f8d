// What the session machine presumes to be spent when receipts are missing, late, out of order or wrong.
// Must never presume anything about a server whose receipts say what they should.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ABSENT_SESSION, add, type SessionEvent, type SessionState, transitionSession } from '../../machines/index.js'

const PRICE = '10'
const OPEN: SessionState = {
  status: 'open',
  session: { ...ABSENT_SESSION, channelId: `0x${'c'.repeat(64)}`, deposit: '100000', signed: '100000' },
}

function take(state: SessionState, event: SessionEvent): SessionState {
  const next = transitionSession(state, event)
  if (next === undefined) throw new Error(`${event.type} is not taken`)
  return next
}

const reserve = (state: SessionState, flow: string): SessionState =>
  take(state, { type: 'RESERVED', flow, amount: PRICE, until: 10, now: 1 })
const receipt = (state: SessionState, flow: string, spent: string): SessionState =>
  take(state, { type: 'RECEIPT_ACCEPTED', accepted: '100000', spent, flow })
const silence = (state: SessionState, flow: string): SessionState =>
  take(state, { type: 'ANSWER_UNACKNOWLEDGED', flow })

describe('what is presumed to be spent', () => {
  it('is nothing while receipts say what was spent, in whatever order they arrive', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 40 }), (picks) => {
        let state = OPEN
        let charged = '0'
        let started = 0
        const onTheWay: { flow: string; spent: string }[] = []
        for (const pick of picks) {
          const arriving = pick < onTheWay.length ? onTheWay.splice(pick, 1)[0] : undefined
          if (arriving !== undefined) state = receipt(state, arriving.flow, arriving.spent)
          else {
            started += 1
            state = reserve(state, `flow-${started}`)
            charged = add(charged, PRICE)
            onTheWay.push({ flow: `flow-${started}`, spent: charged })
          }
          expect(state.session.unacknowledged).toBe('0')
          expect(state.session.reservations).toHaveLength(onTheWay.length)
        }
      }),
    )
  })

  it('is the price of each answer without a receipt, or with one that says nothing new', () => {
    let state = OPEN
    for (let at = 1; at <= 5; at += 1) {
      state = silence(reserve(state, `silent-${at}`), `silent-${at}`)
      expect(state.session).toMatchObject({ spent: '0', unacknowledged: String(10 * at), reservations: [] })
    }
    // A server that says what the one request cost instead of the running total.
    state = receipt(reserve(state, 'a'), 'a', PRICE)
    expect(state.session).toMatchObject({ spent: '10', unacknowledged: '50' })
    state = receipt(reserve(state, 'b'), 'b', PRICE)
    expect(state.session).toMatchObject({ spent: '10', unacknowledged: '60' })
  })

  it('is made up for by the next receipt with the running total', () => {
    let state = silence(reserve(OPEN, 'lost'), 'lost')
    expect(state.session.unacknowledged).toBe('10')
    state = receipt(reserve(state, 'found'), 'found', '20')
    expect(state.session).toMatchObject({ spent: '20', unacknowledged: '0' })
  })

  describe('after a refusal that says what is used up', () => {
    /** Three prices are signed for; nobody has said that one of them is spent. */
    const SIGNED: SessionState = { ...OPEN, session: { ...OPEN.session, signed: '30' } }
    const refused = (state: SessionState, flow: string) =>
      take(state, { type: 'ANSWER_UNACKNOWLEDGED', flow, usedUp: '20' }).session

    it('is that, and the price of the request that was answered for more', () => {
      expect(refused(reserve(SIGNED, 'a'), 'a')).toMatchObject({ spent: '0', unacknowledged: '30' })
      const ofOne = { type: 'RECEIPT_ACCEPTED', accepted: '30', spent: PRICE, usedUp: '20' } as const
      const known = take(reserve(SIGNED, 'a'), { ...ofOne, flow: 'a' })
      const next = take(reserve(known, 'b'), { ...ofOne, flow: 'b' })
      expect(next.session).toMatchObject({ spent: '10', unacknowledged: '20' })
    })

    it('is no more than what was signed, nor what a receipt with the running total says', () => {
      const little = { ...SIGNED, session: { ...SIGNED.session, signed: '25' } }
      expect(refused(reserve(little, 'a'), 'a').unacknowledged).toBe('25')
      const total = { type: 'RECEIPT_ACCEPTED', accepted: '30', spent: '25', usedUp: '20', flow: 'a' } as const
      expect(take(reserve(SIGNED, 'a'), total).session).toMatchObject({ spent: '25', unacknowledged: '0' })
    })

    it('is the price alone while another request is on its way, or when the reservation is gone', () => {
      expect(refused(reserve(reserve(SIGNED, 'a'), 'b'), 'a').unacknowledged).toBe('10')
      expect(refused(SIGNED, 'a').unacknowledged).toBe('0')
    })
  })

  it('never passes what was signed, and ends with its channel', () => {
    let state: SessionState = { ...OPEN, session: { ...OPEN.session, signed: '25' } }
    for (const flow of ['a', 'b', 'c']) state = silence(reserve(state, flow), flow)
    expect(state.session.unacknowledged).toBe('25')
    const closed = take(state, { type: 'CLOSE_CONFIRMED', settled: '25', refunded: '5' })
    const opened = take(reserve(closed, 'next'), {
      type: 'OPEN_SIGNED',
      channelId: `0x${'d'.repeat(64)}`,
      descriptor: {
        payer: '0x1',
        payee: '0x2',
        operator: '0x3',
        token: '0x4',
        salt: '0x5',
        authorizedSigner: '0x6',
        expiringNonceHash: '0x7',
      },
      resource: 'https://gateway.example/work',
      deposit: '100',
      cumulative: '10',
      transactionHash: '0x8',
      validBefore: 9,
    })
    expect(opened.session).toMatchObject({ unacknowledged: '0', reservations: [{ flow: 'next', spent: '0' }] })
  })
})
