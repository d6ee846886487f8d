// Incident: 2,048 requests, 32 at a time, with the deposit running out several times; elsewhere some never recovered.
// Must never lose one: all succeed, and both sides' books agree to the last base unit.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chat, counted, type Stage, setStage } from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const REQUESTS = 2_048
const AT_ONCE = 32
/** At 200 base units a token: 0.01 a request, 20.48 in all. */
const TOKENS = 50
const SPENT = 20_480_000n

it('2,048 requests, 32 at a time, outlast every bucket and every deposit', async () => {
  const gateway = await stage.gateway({ bucket: '1', suggestedDeposit: '5' })
  const payer = counted(stage.payer())
  const mpp = stage.client(payer.account, { policy: { maxDeposit: '50' } })
  const failures: string[] = []
  let started = 0
  async function worker(): Promise<void> {
    while (started < REQUESTS) {
      started += 1
      const outcome = await mpp.pay(gateway.chat, chat(TOKENS))
      if (outcome.status === 'failed') failures.push(`${outcome.failure.code} ${outcome.failure.detail ?? ''}`)
      else if (outcome.receipt === undefined) failures.push(`no receipt: ${outcome.receiptProblem ?? ''}`)
      else await outcome.response.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  expect(failures).toEqual([])

  const { channels, counts } = gateway.accounting()
  const [session, ...others] = await mpp.sessions.list()
  expect(others).toEqual([])
  expect(channels).toHaveLength(1)
  const [channel] = channels
  expect(counts).toMatchObject({ completions: REQUESTS, opens: 1 })
  expect(counts.topUps).toBeGreaterThanOrEqual(3)
  expect(payer.vouchers.length).toBeGreaterThanOrEqual(15)
  // What the gateway accepted is what was signed; what it spent is what was used; the chain holds what both believe.
  expect(session).toMatchObject({
    status: 'open',
    signed: channel?.accepted,
    accepted: channel?.accepted,
    deposit: channel?.deposit,
    spent: SPENT.toString(),
    pending: null,
  })
  expect(channel?.spent).toBe(SPENT.toString())
  // Amounts only grow, so the last one signed is the highest.
  const highest = BigInt(payer.vouchers.at(-1)?.split(':')[1] ?? 0)
  expect(channel?.accepted).toBe(highest.toString())
  // No amount was signed twice, and none above the exposure.
  expect(new Set(payer.vouchers).size).toBe(payer.vouchers.length)
  expect(highest - SPENT).toBeLessThanOrEqual(2_000_000n)
  expect(await stage.opened(payer.account)).toBe(1)
  expect(await stage.balance(payer.account.address)).toBe(10_000_000_000n - BigInt(channel?.deposit ?? 0))

  // And in the end every unit is where it belongs.
  const closed = await mpp.sessions.close(session?.channelId ?? '')
  expect(closed.status).toBe('closed')
  expect(await stage.balance(payer.account.address)).toBe(10_000_000_000n - SPENT)
  expect(await stage.balance(gateway.payee)).toBe(SPENT)
}, 120_000)
