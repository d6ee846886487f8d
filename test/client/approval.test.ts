// What a rule that is asked for an approval may say, and what it is told: only `true` moves funds.
// Must never let an answer that is not a boolean count as one.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PaymentIntent, Policy } from '../../src/index.js'
import { chat, counted, failureOf, paySome, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
let gateway: WatchedGateway
beforeAll(async () => {
  stage = await setStage()
  gateway = await stage.gateway()
})
afterAll(() => stage?.stop())

/** A rule as JavaScript has them, without types in the way. */
const ruleOf = (rule: (intent: PaymentIntent) => unknown) => rule as NonNullable<Policy['approve']>

describe('a rule that gives neither true nor false', () => {
  const SECRET = 'hunter2secret'
  it.each([
    ['a text', () => 'no'],
    ['a text with more in it', () => SECRET],
    ['one', () => 1],
    ['nothing at all', () => null],
    ['an object', () => ({ approved: true })],
    ['a promise of a text', async () => 'yes'],
  ])('denies, when it gives %s: nothing is signed, and the failure says what it must give', async (_, rule) => {
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { approve: ruleOf(rule) } })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({
      code: 'policy_denied',
      detail: expect.stringContaining('policy.approve must return true, false, or undefined'),
      authorised: { deposit: '0', vouchersSigned: 0 },
    })
    expect(JSON.stringify(outcome)).not.toContain(SECRET)
    expect(payer.signatures()).toBe(0)
    expect(await stage.opened(payer.account)).toBe(0)
  })

  it.each([
    ['throws', () => Promise.reject(new Error(SECRET))],
    [
      'rejects',
      () => {
        throw SECRET
      },
    ],
  ])('denies, when it %s, and says that it did', async (_, rule) => {
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { approve: ruleOf(rule) } })
    const outcome = await mpp.pay(gateway.chat, chat(500))
    expect(failureOf(outcome)).toMatchObject({
      code: 'policy_denied',
      detail: 'policy.approve threw an error; the payment was not approved',
    })
    expect(JSON.stringify(outcome)).not.toContain(SECRET)
    expect(payer.signatures()).toBe(0)
  })
})

describe('a rule that is asked to open in place of a closed channel', () => {
  it('is not told the id of the closed one', async () => {
    const asked: PaymentIntent[] = []
    const approve = (intent: PaymentIntent): boolean => {
      asked.push(intent)
      return true
    }
    const mpp = stage.client(stage.payer(), { policy: { approve, maxDeposit: '2', maxExposure: '5' } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const [session] = await mpp.sessions.list()
    expect(await mpp.sessions.close(session?.channelId ?? '')).toMatchObject({ status: 'closed' })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    expect(asked.map(({ action, channelId }) => [action, channelId])).toEqual([
      ['open', null],
      ['open', null],
    ])
  })
})

describe('a close at a URL that is none', () => {
  it('fails with request_invalid, and the channel stays open', async () => {
    const mpp = stage.client(stage.payer())
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const [session] = await mpp.sessions.list()
    const channelId = session?.channelId ?? ''
    const closed = await mpp.sessions.close(channelId, { url: 'hunter2secret' })
    expect(closed).toMatchObject({ status: 'failed', failure: { code: 'request_invalid', references: { channelId } } })
    expect(JSON.stringify(closed)).not.toContain('hunter2secret')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open' }])
  })
})
