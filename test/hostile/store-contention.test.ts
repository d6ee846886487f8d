// One store, several clients that know nothing of each other: of one payer, all at the same channel, and of two payers.
// Must never let what one of them does cost another one more than was spent.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fileStore } from '../../src/files/index.js'
import type { MppClient, Policy } from '../../src/index.js'
import { chat, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'

const BALANCE = 10_000_000_000n

let stage: Stage
let folder: string
beforeAll(async () => {
  stage = await setStage()
  folder = await mkdtemp(join(tmpdir(), 'mpp-flow-contention-'))
})
afterAll(async () => {
  await stage?.stop()
  await rm(folder, { recursive: true })
})

/** As a process of its own has it: with a ledger and a store of its own over the same folder. */
const clientOf = (account: LocalAccount, policy: Policy = {}): MppClient =>
  stage.client(account, { store: fileStore(folder), policy })

const idAt = async (mpp: MppClient, { payee }: WatchedGateway, { address }: LocalAccount): Promise<string> =>
  (await mpp.sessions.list()).find((own) => own.payee === payee && own.payer === address.toLowerCase())?.channelId ?? ''

type Action = (mpp: MppClient, gateway: WatchedGateway, channelId: string) => Promise<unknown>

const ACTIONS: Readonly<Record<string, Action>> = {
  /** Needs a top-up. */
  pays: (mpp, gateway) => mpp.pay(gateway.chat, chat(4_000)),
  closes: (mpp, _, channelId) => mpp.sessions.close(channelId),
  async forces(mpp, _, channelId) {
    const abort = new AbortController()
    const onProgress = ({ step }: { readonly step: string }): void => {
      if (step === 'waiting') abort.abort()
    }
    return mpp.sessions.forceClose(channelId, { signal: abort.signal, onProgress })
  },
  recovers: (mpp) => mpp.sessions.recover(),
}

it.each([
  ['pays', 'closes', 'forces', 'recovers', 'pays'],
  ['forces', 'pays', 'closes', 'closes', 'pays'],
  ['closes', 'forces', 'forces', 'pays', 'recovers'],
])('one channel that is used by five at once (%s, %s, %s, %s, %s) costs what was spent', async (...names) => {
  const gateway = await stage.gateway({ suggestedDeposit: '1' })
  const account = stage.payer()
  const policy = { maxTotalDeposit: '3' }
  await paySome(clientOf(account, policy), gateway.chat, 1, () => chat(4_000))
  const channelId = await idAt(clientOf(account), gateway, account)
  const moved = async (): Promise<bigint> => BALANCE - (await stage.balance(account.address))
  await Promise.all(names.map((name) => ACTIONS[name]?.(clientOf(account, policy), gateway, channelId)))
  expect(await moved()).toBeLessThanOrEqual(3_000_000n)

  // Whatever is left is settled: by the payee, also while a forced close is under way.
  const last = clientOf(account, policy)
  await last.sessions.recover()
  for (const { channelId: id, payer, status } of await last.sessions.list()) {
    if (payer !== account.address.toLowerCase() || status === 'closed') continue
    expect((await last.sessions.close(id)).status).toBe('closed')
  }
  const spent = gateway.accounting().channels.reduce((sum, channel) => sum + BigInt(channel.spent), 0n)
  expect(await moved()).toBe(spent)
  expect(await stage.balance(gateway.payee)).toBe(spent)
})

it('two payers in one store have a channel, a limit and a close of their own each', async () => {
  const gateway = await stage.gateway()
  const [one, two] = [stage.payer(), stage.payer()]
  const policy = { maxTotalDeposit: '5' }
  // At once: neither sees the deposit of the other in its own total.
  await Promise.all([one, two].map((account) => paySome(clientOf(account, policy), gateway.chat, 1, () => chat(500))))
  const mpp = clientOf(one, policy)
  const [own, other] = await Promise.all([one, two].map((account) => idAt(mpp, gateway, account)))
  expect(own).not.toBe(other)

  expect((await mpp.sessions.close(other ?? '')).status).toBe('failed')
  expect(await mpp.sessions.forceClose(other ?? '')).toMatchObject({
    status: 'failed',
    failure: { code: 'session_unavailable' },
  })
  const { channels } = await mpp.sessions.recover()
  expect(channels.map(({ channelId }) => channelId)).not.toContain(other)
  expect(BALANCE - (await stage.balance(two.address))).toBe(5_000_000n)

  const elsewhere = await stage.gateway()
  const refused = await mpp.pay(elsewhere.chat, chat(500))
  expect(failureOf(refused)).toMatchObject({ code: 'limit_exceeded', limit: 'maxTotalDeposit' })
  expect((await mpp.sessions.close(own ?? '')).status).toBe('closed')
  await paySome(clientOf(two, policy), gateway.chat, 1, () => chat(500))
})
