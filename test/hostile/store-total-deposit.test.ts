// Two processes under one maxTotalDeposit, of which one is stopped, blocked, or has a wrong clock while its account signs.
// Must never find more on the chain than the limit, nor a transaction on the wire that was not stored.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SessionStore } from '../../src/sessions/index.js'
import { chat, paySome, type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { payerKey } from '../ecosystem/payer-key.js'
import { SERVER } from '../sessions/databases.js'
import { type PayerProcess, type SharedStore, sharedDatabase, sharedFolder, startPayer } from './store-processes.js'
import type { PayerTask } from './store-task.js'

const HOUR_MS = 3_600_000
const BALANCE = 10_000_000_000n
/** One whole deposit of a gateway has room in it. */
const POLICY = { maxTotalDeposit: '5' }
const DROPPED = /what was signed for it was dropped unsent/

let stage: Stage
let accounts = 0
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

function describeTotal(name: string, share: () => Promise<SharedStore>): void {
  describe(`maxTotalDeposit between processes, on the ${name} store`, () => {
    let shared: SharedStore
    let late: PayerProcess | undefined
    let one: WatchedGateway
    let two: WatchedGateway
    beforeEach(async () => {
      shared = await share()
      ;[one, two] = [await stage.gateway(), await stage.gateway()]
    })
    afterEach(async () => {
      await late?.kill()
      late = undefined
      await shared.close()
    })

    /** A payer whose account blocks, once its process holds the leases of its channel and of the sum. */
    async function startLate(more: Partial<PayerTask> = {}) {
      const account = stage.payer()
      const key = payerKey(accounts)
      accounts += 1
      late = startPayer({
        store: shared.where,
        key,
        rpcUrl: stage.chain.rpcUrl,
        url: one.chat,
        // Leases so long that nothing but what the test does ends them.
        policy: { ...POLICY, timeouts: { leaseMs: HOUR_MS } },
        requests: [500],
        block: { at: 1, how: 'account', clockStepMs: 0 },
        losesRenewals: false,
        ...more,
      })
      await late.signing
      const process = late
      return { account, process, moved: async () => BALANCE - (await stage.balance(account.address)) }
    }

    const sent = (gateway: WatchedGateway, action: 'open' | 'topUp') =>
      gateway.seen.filter(({ credential }) => credential?.payload.action === action).length

    it.each([
      ['ahead', HOUR_MS * 2],
      ['behind', -HOUR_MS * 2],
    ])('holds while a process is stopped and the clock of another one is two hours %s', async (_, stepMs) => {
      const { account, process, moved } = await startLate()
      process.stop()
      // By its clock nobody has the lease of the sum.
      await shared.expire?.('deposits:%')
      await paySome(clientOver(account, shared.open(stepMs)), two.chat, 1, () => chat(500))
      expect(await moved()).toBe(5_000_000n)
      process.resume()
      process.go()
      expect(await process.ended).toEqual([
        { status: 'failed', code: 'session_unavailable', detail: expect.stringMatching(DROPPED) },
      ])
      expect(await moved()).toBe(5_000_000n)
      expect(sent(one, 'open')).toBe(0)
    })

    it('holds while renewals of the lease of the sum are lost, and those of the channel are not', async () => {
      // A renewal that is never answered is given up after `sessionMs`; the process ends no sooner.
      const policy = { ...POLICY, timeouts: { leaseMs: 1_000, sessionMs: 5_000 } }
      const { account, process, moved } = await startLate({ policy, losesRenewals: true })
      // Waits until the lease of the sum has run out.
      await paySome(clientOver(account, shared.open()), two.chat, 1, () => chat(500))
      process.go()
      expect(await process.ended).toMatchObject([{ code: 'session_unavailable' }])
      expect(await moved()).toBe(5_000_000n)
      expect(sent(one, 'open')).toBe(0)
    })

    it('holds while an account blocks its whole process for longer than its leases last', async () => {
      const policy = { ...POLICY, timeouts: { leaseMs: 1_000 } }
      const block = { at: 1, how: 'event loop', clockStepMs: 0 } as const
      const { account, process, moved } = await startLate({ policy, block })
      await paySome(clientOver(account, shared.open()), two.chat, 1, () => chat(500))
      process.go()
      expect(await process.ended).toMatchObject([{ code: 'session_unavailable' }])
      expect(await moved()).toBe(5_000_000n)
      expect(sent(one, 'open')).toBe(0)
    })

    it.each([
      ['forwards', HOUR_MS * 2],
      ['backwards', -HOUR_MS * 2],
    ])('holds while the clock of the process that signs jumps %s', async (_, clockStepMs) => {
      const { account, process, moved } = await startLate({ block: { at: 1, how: 'account', clockStepMs } })
      process.go()
      // Either it writes and the other one sees that, or it cannot write and the other one may.
      await process.ended
      const other = await clientOver(account, shared.open()).pay(two.chat, chat(500))
      expect(await moved()).toBeLessThanOrEqual(5_000_000n)
      expect(other.status === 'succeeded' ? sent(one, 'open') : sent(two, 'open')).toBe(0)
    })

    it('holds for a top-up whose process was stopped', async () => {
      one = await stage.gateway({ suggestedDeposit: '1' })
      two = await stage.gateway({ suggestedDeposit: '4' })
      const block = { at: 2, how: 'account', clockStepMs: 0 } as const
      const { account, process, moved } = await startLate({ url: one.chat, block, requests: [4_000, 4_000] })
      process.stop()
      await shared.expire?.('deposits:%')
      await paySome(clientOver(account, shared.open(HOUR_MS * 2)), two.chat, 1, () => chat(500))
      process.resume()
      process.go()
      expect(await process.ended).toMatchObject([{ status: 'succeeded' }, { code: 'session_unavailable' }])
      expect(await moved()).toBe(5_000_000n)
      expect(sent(one, 'topUp')).toBe(0)
    })
  })
}

function clientOver(account: Parameters<Stage['client']>[0], store: SessionStore) {
  return stage.client(account, { store, policy: POLICY })
}

describeTotal('file', sharedFolder)
if (SERVER !== undefined) describeTotal('postgres', () => sharedDatabase(SERVER ?? ''))
