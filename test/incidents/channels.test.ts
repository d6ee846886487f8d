// Incidents with channels that are gone, or only thought to be: what a ledger must not go on believing, nor forget.
// Must never open a channel more than the incident needs; the chain counts them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.js'
import { startProxy } from '../client/proxy.js'
import {
  chat,
  counted,
  events,
  failureOf,
  paySome,
  type Stage,
  setStage,
  type WatchedGateway,
} from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const BALANCE = 10_000_000_000n

/** A client whose channel was closed behind its back, by another process of the same payer. */
async function closedElsewhere(gateway: WatchedGateway) {
  const payer = stage.payer()
  const store = memoryStore()
  const mpp = stage.client(payer, { store })
  await paySome(mpp, gateway.chat, 1, () => chat(500))
  const [record] = await store.list()
  if (record === undefined) throw new Error('no record')
  const elsewhere = memoryStore()
  await elsewhere.update(record.key, () => record)
  const closed = await stage.client(payer, { store: elsewhere }).sessions.close(record.session.channelId ?? '')
  expect(closed.status).toBe('closed')
  return { payer, mpp }
}

describe('1. a channel refused as not found stays cached, and every later request fails', () => {
  it.each(['session/channel-finalized', 'session/channel-not-found'])(
    'gone on the chain, and the gateway says %s: it is let go of, one other is opened, and the next ones work',
    async (problem) => {
      const gateway = await stage.gateway()
      const proxy = await startProxy(gateway.url, {
        answer: (answer) => {
          const text = new TextDecoder().decode(answer.body)
          answer.body = new TextEncoder().encode(text.replace('session/channel-finalized', problem))
        },
      })
      try {
        const { payer, mpp } = await closedElsewhere(gateway)
        const url = `${proxy.url}/v1/mpp/chat/completions`
        const outcome = await mpp.pay(url, chat(500))
        expect(events(outcome)).toContain(problem)
        expect(outcome.status).toBe('succeeded')
        await paySome(mpp, url, 4, () => chat(500))
        expect(await stage.opened(payer)).toBe(2)
        expect((await mpp.sessions.list()).map(({ status }) => status).sort()).toEqual(['closed', 'open'])
      } finally {
        await proxy.stop()
      }
    },
  )

  it('funded on the chain, whatever the gateway says once: it is kept, and the next ones work with it', async () => {
    const gateway = await stage.gateway()
    let lies = 1
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (!answer.request.paid || lies <= 0) return
        lies -= 1
        answer.status = 410
        answer.headers.set('content-type', 'application/problem+json')
        answer.headers.delete('payment-receipt')
        const type = 'https://paymentauth.org/problems/session/channel-not-found'
        answer.body = new TextEncoder().encode(JSON.stringify({ type }))
      },
    })
    try {
      const payer = stage.payer()
      const mpp = stage.client(payer)
      await paySome(mpp, gateway.chat, 1, () => chat(500))
      const url = `${proxy.url}/v1/mpp/chat/completions`
      expect(failureOf(await mpp.pay(url, chat(500))).code).toBe('session/channel-not-found')
      await paySome(mpp, url, 4, () => chat(500))
      expect(await stage.opened(payer)).toBe(1)
      expect(await stage.balance(payer.address)).toBe(BALANCE - 5_000_000n)
    } finally {
      await proxy.stop()
    }
  })
})

describe('9. a failed open leaves an entry behind that later requests trust', () => {
  it('it never reached the chain: while it may, it is sent again; then it is dropped and nothing is paid with it', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    gateway.inject('connection_lost', { on: 'open' })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'opening', deposit: '0', pending: 'open' }])
    // The transaction expires; nobody can make a channel of it any more.
    await gateway.advanceTime(60)
    await paySome(mpp, gateway.chat, 3, () => chat(500))
    const paid = gateway.seen.flatMap(({ credential }) => (credential === undefined ? [] : [credential.payload]))
    expect(paid.map(({ action }) => action)).toEqual(['open', 'open', 'voucher', 'voucher'])
    const [first, ...second] = paid.map(({ channelId }) => channelId)
    expect(second).not.toContain(first)
    expect(new Set(second).size).toBe(1)
    expect(await stage.opened(payer.account)).toBe(1)
    expect(await stage.balance(payer.account.address)).toBe(BALANCE - 5_000_000n)
  })

  it('it never reached the chain, and the policy is narrower since: it is not sent again, and expires', async () => {
    const gateway = await stage.gateway()
    const payer = stage.payer()
    const store = memoryStore()
    gateway.inject('connection_lost', { on: 'open' })
    expect(failureOf(await stage.client(payer, { store }).pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    const narrow = stage.client(payer, { store, policy: { maxDeposit: '1' } })
    expect(failureOf(await narrow.pay(gateway.chat, chat(500)))).toMatchObject({
      code: 'limit_exceeded',
      limit: 'maxDeposit',
    })
    await gateway.advanceTime(60)
    await paySome(narrow, gateway.chat, 1, () => chat(500))
    const paid = gateway.seen.flatMap(({ credential }) => (credential === undefined ? [] : [credential.payload]))
    // The one whose connection was cut, and the one within the policy.
    expect(paid.map(({ action }) => action)).toEqual(['open', 'open'])
    expect(await stage.opened(payer)).toBe(1)
    expect(await stage.balance(payer.address)).toBe(BALANCE - 1_000_000n)
  })

  it('it was refused: the refusal is not taken for the channel, and the next request is not paid out of nothing', async () => {
    const payer = stage.payer()
    const gateway = await stage.gateway({ blockedPayers: [payer.address] })
    const mpp = stage.client(payer)
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('mpp_payer_not_allowed')
    gateway.configure({ blockedPayers: [] })
    await paySome(mpp, gateway.chat, 2, () => chat(500))
    const actions = gateway.seen.map(({ credential }) => credential?.payload.action ?? 'unpaid')
    expect(actions).toEqual(['unpaid', 'open', 'unpaid', 'open', 'unpaid', 'voucher'])
    expect(await stage.opened(payer)).toBe(1)
  })
})

describe('9. and the opposite: the open did land on chain, and its deposit is forgotten', () => {
  it('its answer was lost: the deposit is found, used, and given back by a close', async () => {
    const gateway = await stage.gateway()
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    gateway.inject('answer_lost', { on: 'open' })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    expect(await stage.opened(payer.account)).toBe(1)
    // Found when it is needed, however late.
    await gateway.advanceTime(60)
    await paySome(mpp, gateway.chat, 2, () => chat(500))
    expect(await stage.opened(payer.account)).toBe(1)
    expect(payer.vouchers).toHaveLength(1)
    const [session] = await mpp.sessions.list()
    expect(session).toMatchObject({ status: 'open', deposit: '5000000', spent: '300000' })
    expect((await mpp.sessions.close(session?.channelId ?? '')).status).toBe('closed')
    expect(await stage.balance(payer.account.address)).toBe(BALANCE - 300_000n)
  })

  it('the process ended with it: the next one that shares the store goes on with the channel', async () => {
    const gateway = await stage.gateway()
    const payer = stage.payer()
    const store = memoryStore()
    gateway.inject('answer_lost', { on: 'open' })
    expect(failureOf(await stage.client(payer, { store }).pay(gateway.chat, chat(500))).code).toBe('outcome_unknown')
    const next = stage.client(payer, { store })
    await paySome(next, gateway.chat, 2, () => chat(500))
    expect(await stage.opened(payer)).toBe(1)
    expect(await next.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000' }])
  })
})
