// What a support report says, and that it says nothing else.
// Must never look at a report of a made-up outcome: each one is of a flow that was really run.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { supportReport } from '../../src/index.js'
import { chat, counted, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
let gateway: WatchedGateway

beforeAll(async () => {
  stage = await setStage(10)
  gateway = await stage.gateway()
})
afterAll(() => stage.stop())

/** Everything that came over the wire and must not be in a report. */
function secrets(): string[] {
  return gateway.seen.flatMap(({ authorization, credential }) => {
    const { payload } = credential ?? {}
    const signed = payload === undefined ? [] : Object.values(payload).filter((value) => String(value).length > 100)
    return [...(authorization === undefined ? [] : [authorization.slice('Payment '.length)]), ...signed.map(String)]
  })
}

it('of a payment: times, states, ids and amounts, and no secret', async () => {
  const mpp = stage.client(counted(stage.payer()).account)
  const prompt = 'the-prompt-that-nobody-may-see'
  const outcome = await mpp.pay(gateway.chat, chat(500, prompt))
  const report = supportReport(outcome)
  expect(report).toMatchObject({
    status: 'succeeded',
    code: null,
    cumulative: '1000000',
    spent: '100000',
    paidSends: 1,
  })
  expect(report.channelId).toBe((await mpp.sessions.list())[0]?.channelId)
  expect(report.steps.map(({ state }) => state)).toEqual(outcome.trace.map(({ state }) => state))
  expect(report.steps.every(({ atMs }) => atMs !== null && atMs >= 0)).toBe(true)
  expect(Date.parse(report.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(report.startedAt ?? ''))
  const text = JSON.stringify(report)
  expect(secrets().length).toBeGreaterThan(1)
  for (const secret of [...secrets(), prompt, gateway.url, 'completion']) expect(text).not.toContain(secret)
})

it('of a failure: its code, where codes like it lead, and the status', async () => {
  const mpp = stage.client(stage.payer())
  gateway.inject('mpp_payer_not_allowed')
  const report = supportReport(await mpp.pay(gateway.chat, chat(500)))
  expect(report).toMatchObject({
    status: 'failed',
    code: 'mpp_payer_not_allowed',
    leadsTo: 'terminal',
    httpStatus: 403,
  })
  expect(report.requestId).toMatch(/\S/)
})

it('of a close: what was settled and refunded', async () => {
  const mpp = stage.client(stage.payer())
  await mpp.pay(gateway.chat, chat(500))
  const [session] = await mpp.sessions.list()
  const report = supportReport(await mpp.sessions.close(session?.channelId ?? ''))
  expect(report).toMatchObject({ status: 'closed', settled: '100000', refunded: '4900000' })
  expect(report.txHash).toMatch(/^0x[0-9a-f]{64}$/)
})
