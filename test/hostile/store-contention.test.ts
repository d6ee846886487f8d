// One store, several clients that know nothing of each other: of one payer, all at the same channel, and of two payers.
// Must never let what one of them does cost another one more than was spent.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { LocalAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MppClient, Policy } from '../../src/index.js'
import { childProgram } from '../child-program.js'
import { chat, failureOf, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { payerKey } from '../ecosystem/payer-key.js'
import { SERVER } from '../sessions/databases.js'
import { type SharedStore, sharedDatabase, sharedFolder } from './store-processes.js'
import type { PayerTask } from './store-task.js'

const BALANCE = 10_000_000_000n
const PROGRAM = await childProgram('test/hostile/store-actor.ts')
const POLICY: Policy = { maxTotalDeposit: '3' }

let stage: Stage
let stores: readonly SharedStore[]
beforeAll(async () => {
  stage = await setStage(20)
  stores = [await sharedFolder(), ...(SERVER === undefined ? [] : [await sharedDatabase(SERVER)])]
})
afterAll(async () => {
  await stage?.stop()
  await Promise.all((stores ?? []).map((store) => store.close()))
})

/** As a process of its own has it: with a ledger and a store of its own over the same records. */
const clientOf = (account: LocalAccount, policy: Policy = {}, [shared] = stores): MppClient => {
  if (shared === undefined) throw new Error('no store')
  return stage.client(account, { store: shared.open(), policy })
}

const idAt = async (mpp: MppClient, { payee }: WatchedGateway, { address }: LocalAccount): Promise<string> =>
  (await mpp.sessions.list()).find((own) => own.payee === payee && own.payer === address.toLowerCase())?.channelId ?? ''

/** A process that is ready; resolves with what lets it go, and then waits for its end. */
async function actor(task: PayerTask, action: string, channelId: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(task), action, channelId])
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  const over = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), over])
  return async () => {
    child.stdin.write('go\n')
    await over
    if (child.exitCode !== 0) throw new Error(`${action}: ${errors}`)
  }
}

const MIXES = [
  ['pays', 'closes', 'forces', 'recovers', 'pays'],
  ['forces', 'pays', 'closes', 'closes', 'pays'],
  ['closes', 'forces', 'forces', 'pays', 'recovers'],
] as const

describe.each(SERVER === undefined ? ['file'] : ['file', 'postgres'])('one channel on the %s store', (kind) => {
  it.each(MIXES)('that five processes use at once (%s, %s, %s, %s, %s) costs what was spent', async (...names) => {
    const shared = stores.find(({ where }) => where.kind === kind)
    if (shared === undefined) throw new Error(`no store of kind ${kind}`)
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    const account = stage.payer()
    const first = clientOf(account, POLICY, [shared])
    await paySome(first, gateway.chat, 1, () => chat(4_000))
    const channelId = await idAt(first, gateway, account)
    const moved = async (): Promise<bigint> => BALANCE - (await stage.balance(account.address))
    const task: PayerTask = {
      store: shared.where,
      key: payerKey(stage.chain.accounts.findIndex(({ address }) => address === account.address)),
      rpcUrl: stage.chain.rpcUrl,
      url: gateway.chat,
      policy: { ...POLICY },
      // Needs a top-up.
      requests: [4_000],
      block: { at: 0, how: 'account', clockStepMs: 0 },
      losesRenewals: false,
    }
    const ready = await Promise.all(names.map((name) => actor(task, name, channelId)))
    await Promise.all(ready.map((go) => go()))
    expect(await moved()).toBeLessThanOrEqual(3_000_000n)

    // Whatever is left is settled: by the payee, also while a forced close is under way.
    const last = clientOf(account, POLICY, [shared])
    await last.sessions.recover()
    for (const { channelId: id, payer, status } of await last.sessions.list()) {
      if (payer !== account.address.toLowerCase() || status === 'closed') continue
      expect((await last.sessions.close(id)).status).toBe('closed')
    }
    const spent = gateway.accounting().channels.reduce((sum, channel) => sum + BigInt(channel.spent), 0n)
    expect(await moved()).toBe(spent)
    expect(await stage.balance(gateway.payee)).toBe(spent)
  })
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
