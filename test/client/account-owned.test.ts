// An account-owned route that asks for a payment: it is never paid, whatever it answers.
// Must never challenge with anything but a real gateway's real challenge.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Proxy, startProxy } from './proxy.js'
import { chat, counted, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
let gateway: WatchedGateway
let proxy: Proxy

beforeAll(async () => {
  stage = await setStage(10)
  gateway = await stage.gateway()
  // Behind the account-owned path sits the paid route: its challenge is genuine, and it would take the payment.
  proxy = await startProxy(gateway.url, {
    request: (request) => {
      request.path = '/v1/mpp/chat/completions'
      request.headers.delete('authorization')
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
