// A channel that was opened and never used: its close asks for nothing but the refund.
// Must never pay a request before the close: what is tried is the cumulative amount of zero.
import { sendRawTransactionSync } from 'viem/actions'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { transitionSession } from '../../machines/index.js'
import { memoryStore } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/protocol/index.js'
import { channelKey, emptyRecord } from '../../src/sessions/index.js'
import { lowerCase, signOpen, ZERO_ADDRESS } from '../../src/tempo/index.js'
import { type Stage, setStage } from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(10)
})
afterAll(() => stage.stop())

it('is closed at zero: everything comes back, and nothing is captured', async () => {
  const gateway = await stage.gateway()
  const account = stage.payer()
  const payer = lowerCase(account.address)
  const before = await stage.balance(payer)
  const client = stage.chain.client()
  const { chainId, token } = stage.chain
  const place = {
    chainId,
    escrow: CHANNEL_RESERVE,
    payer,
    signer: payer,
    payee: gateway.payee,
    token,
    operator: ZERO_ADDRESS,
  }
  const open = await signOpen(client, { ...place, account, deposit: 3_000_000n, authorizedSigner: payer })
  await sendRawTransactionSync(client, { serializedTransaction: open.transaction })

  const key = channelKey(place)
  const absent = emptyRecord(key, place, Date.now())
  const adopted = transitionSession(absent, {
    type: 'CHANNEL_ADOPTED',
    channelId: open.channelId,
    descriptor: open.descriptor,
    resource: gateway.chat,
    deposit: '3000000',
    settled: '0',
    cumulative: '0',
  })
  if (adopted === undefined) throw new Error('the session machine does not adopt the channel')
  const store = memoryStore()
  await store.update(key, () => ({ ...absent, ...adopted, version: 1 }))

  const outcome = await stage.client(account, { store }).sessions.close(open.channelId)
  expect(outcome).toMatchObject({ status: 'closed', settlement: { settled: '0', refunded: '3000000' } })
  expect(await stage.balance(payer)).toBe(before)
  const closes = gateway.seen.filter(({ credential }) => credential?.payload.action === 'close')
  expect(closes.map(({ credential }) => credential?.payload)).toMatchObject([{ cumulativeAmount: '0' }])
})
