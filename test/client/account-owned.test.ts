// An account-owned route that asks for a payment: it is never paid, whatever it answers.
// Must never challenge with anything but a real gateway's real challenge.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningProxy, startProxy } from './proxy.js'
import { chat, counted, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
let gateway: WatchedGateway
let proxy: RunningProxy

beforeAll(async () => {
  stage = await setStage(10)
  gateway = await stage.gateway()
  // Behind the account-owned path sits the paid route: its challenge is genuine, and it would take the payment.
  proxy = await startProxy(gateway.url, {
    request: (request) => {
      request.path = '/v1/mpp/chat/completions'
      if (!request.paid) request.headers.delete('authorization')
    },
  })
})
afterAll(async () => {
  await proxy?.stop()
  await stage?.stop()
})

it('sends no payment credential to an account-owned route that challenges', async () => {
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account)
  const outcome = await mpp.pay(`${proxy.url}/v1/chat/completions`, {
    ...chat(20),
    headers: { authorization: 'Bearer vk-sandbox-valid', 'content-type': 'application/json' },
  })
  expect(proxy.seen.filter(({ paid }) => paid)).toEqual([])
  expect(payer.signatures()).toBe(0)
  expect(await stage.opened(payer.account)).toBe(0)
  // What it answered is the caller's to read.
  expect(outcome.response?.status).toBe(402)
})

describe('a redirect between the two kinds of route', () => {
  it('takes no Bearer key from an account-owned route to the paid one', async () => {
    const before = gateway.seen.length
    const redirecting = await startProxy(gateway.url, {
      answer: (answer) => {
        if (answer.request.path !== '/v1/chat/completions') return
        Object.assign(answer, { status: 307, body: new Uint8Array() })
        answer.headers.set('location', '/v1/mpp/chat/completions')
      },
    })
    try {
      await stage.client(stage.payer()).pay(`${redirecting.url}/v1/chat/completions`, {
        ...chat(20),
        headers: { authorization: 'Bearer vk-sandbox-valid', 'content-type': 'application/json' },
      })
      const paidRoute = gateway.seen.slice(before).filter(({ url }) => url === '/v1/mpp/chat/completions')
      const schemes = paidRoute.map(({ authorization }) => authorization?.split(' ')[0])
      expect(schemes).not.toContain('Bearer')
    } finally {
      await redirecting.stop()
    }
  })

  it('takes no payment credential from the paid route to an account-owned one', async () => {
    const redirecting = await startProxy(gateway.url, {
      request: (request) => {
        if (request.path === '/v1/chat/completions') request.path = '/v1/mpp/chat/completions'
      },
      answer: (answer) => {
        if (answer.request.path !== '/entry') return
        Object.assign(answer, { status: 307, body: new Uint8Array() })
        answer.headers.set('location', '/v1/chat/completions')
      },
    })
    try {
      await stage.client(stage.payer()).pay(`${redirecting.url}/entry`, chat(20))
      expect(redirecting.seen.filter(({ path, paid }) => paid && path === '/v1/chat/completions')).toEqual([])
    } finally {
      await redirecting.stop()
    }
  })
})
