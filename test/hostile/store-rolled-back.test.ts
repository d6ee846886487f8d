// A store that was put back to an earlier state: the chain knows of deposits that the ledger has forgotten.
// Must never deposit more than the policy allows, whatever the ledger believes.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CHANNEL_RESERVE } from '../../src/protocol/index.js'
import { memoryStore, type SessionStore } from '../../src/sessions/index.js'
import { readChannel } from '../../src/tempo/index.js'
import { chat, failureOf, paySome, type Stage, setStage } from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

/** A store with the records that another one has now. */
async function copyOf(store: SessionStore): Promise<SessionStore> {
  const copy = memoryStore()
  for (const record of await store.list()) await copy.update(record.key, () => record)
  return copy
}

it('a top-up that was forgotten counts against maxDeposit all the same', async () => {
  // Each request fills a bucket of 1, and each top-up adds 3 where the limit has room for it.
  const gateway = await stage.gateway({ suggestedDeposit: '3' })
  const payer = stage.payer()
  const policy = { maxDeposit: '5', maxExposure: '5' }
  const store = memoryStore()
  const before = stage.client(payer, { store, policy: { ...policy, maxDeposit: '3' } })
  await paySome(before, gateway.chat, 3, () => chat(5_000))
  const rolledBack = await copyOf(store)
  const [channel] = await before.sessions.list()
  const channelId = channel?.channelId
  if (channelId === undefined) throw new Error('nothing was opened')
  const deposited = async () =>
    (await readChannel(stage.chain.client(), { channelId: `0x${channelId.slice(2)}`, escrow: CHANNEL_RESERVE })).deposit
  await paySome(stage.client(payer, { store, policy }), gateway.chat, 2, () => chat(5_000))
  expect(await deposited()).toBe(5_000_000n)

  const mpp = stage.client(payer, { store: rolledBack, policy })
  const failure = failureOf(await mpp.pay(gateway.chat, chat(5_000)))
  expect(failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxDeposit' })
  expect(await deposited()).toBe(5_000_000n)
  expect(await mpp.sessions.list()).toMatchObject([{ deposit: '5000000' }])
})
