// Recovery on a real chain: what a process that died in the middle leaves, and a ledger that is wrong.
// Must never count a deposit as found that the balances do not show, nor accept a second channel where one was enough.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileStore } from '../../src/sessions/file-store.js'
import type { SessionRecord } from '../../src/sessions/index.js'
import { chat, failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { close, diedAfter, FUNDS, type Ground, journal, lastIn, opened, recovered, request } from './ground.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const here = () => ({ chainIds: [stage.chain.chainId] })

/** A client over what a process left that died after it had written `record`. */
async function afterDeath(ground: Pick<Ground, 'account'>, record: SessionRecord) {
  const store = await diedAfter(record)
  return { store, mpp: stage.client(ground.account, { store, policy: { maxDeposit: '20' } }) }
}

describe('a process that died while it opened a channel', () => {
  async function opening(fault: 'answer_lost' | 'connection_lost') {
    const gateway = await stage.gateway()
    const account = stage.payer()
    const store = journal()
    gateway.inject(fault, { on: 'open' })
    const failed = await stage.client(account, { store }).pay(gateway.chat, request())
    expect(failureOf(failed).code).toBe('outcome_unknown')
    const record = lastIn(store, 'opening')
    return { gateway, account, record, channelId: record.session.channelId, ...(await afterDeath({ account }, record)) }
  }

  it('and the chain has it: it is adopted, with its first voucher, and pays on', async () => {
    const { gateway, account, mpp, channelId } = await opening('answer_lost')
    expect(await recovered(stage, mpp)).toMatchObject([
      {
        channelId,
        source: 'ledger',
        found: 'funded',
        action: 'adopted',
        status: 'open',
        amounts: { deposit: '5000000', signed: '1000000' },
        detail: 'the signed open was included',
      },
    ])
    await paySome(mpp, gateway.chat, 1, request)
    expect(await stage.opened(account)).toBe(1)
    expect(await close(mpp, channelId ?? '')).toMatchObject({ settled: '200000', refunded: '4800000' })
    expect(await stage.balance(account.address)).toBe(FUNDS - 200_000n)
  })

  it('and the chain may still get it: it is kept, and told until when; then it is dropped', async () => {
    const { account, mpp, store, channelId } = await opening('connection_lost')
    const [kept] = await recovered(stage, mpp)
    expect(kept).toMatchObject({ channelId, found: 'undecided', action: 'kept', status: 'opening' })
    expect(kept?.detail).toMatch(/^the signed open may still be included, until \d{4}-/)
    expect((await store.list())[0]?.secrets.pendingTransaction).toMatch(/^0x76/)
    await stage.chain.advanceTime(60)
    expect(await recovered(stage, mpp)).toMatchObject([
      { channelId, found: 'nothing', action: 'dropped', status: 'absent', amounts: { deposit: '0' } },
    ])
    expect(await mpp.sessions.list()).toEqual([])
    expect(await stage.balance(account.address)).toBe(FUNDS)
  })

  it('and it was opened and closed again since: what it cost is in the ledger', async () => {
    const ground = await opened(stage, { tenths: 2 })
    await close(ground.mpp, ground.channelId)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'opening'))
    expect(await recovered(stage, mpp)).toMatchObject([
      {
        found: 'ended',
        action: 'closed',
        status: 'closed',
        amounts: { settled: '200000', refunded: '4800000', refundable: '0' },
      },
    ])
  })
})

describe('a process that died while it topped up', () => {
  const policy = { maxDeposit: '20' }

  it('and the chain has it: the new deposit is in the ledger', async () => {
    const ground = await opened(stage, { tenths: 8, policy, sandbox: { suggestedDeposit: '1' } })
    expect((await ground.mpp.pay(ground.gateway.chat, chat(2000))).status).toBe('succeeded')
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'toppingUp', 'topUp'))
    expect(await recovered(stage, mpp)).toMatchObject([
      { found: 'funded', action: 'adopted', amounts: { deposit: '2000000' }, detail: 'the signed top-up was included' },
    ])
    await paySome(mpp, ground.gateway.chat, 1, request)
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '1300000', refunded: '700000' })
    expect(await ground.balance()).toBe(FUNDS - 1_300_000n)
  })

  it('and the chain may still get it: it is kept; then it is dropped, and the channel is as it was', async () => {
    const ground = await opened(stage, { tenths: 8, policy, sandbox: { suggestedDeposit: '1' } })
    ground.gateway.inject('connection_lost', { on: 'topUp', times: 10 })
    expect((await ground.mpp.pay(ground.gateway.chat, chat(2000))).status).toBe('failed')
    const record = lastIn(ground.store, 'toppingUp', 'topUp')
    const { mpp } = await afterDeath(ground, record)
    expect(await recovered(stage, mpp)).toMatchObject([
      { found: 'undecided', action: 'kept', status: 'toppingUp', amounts: { deposit: '1000000' } },
    ])
    await stage.chain.advanceTime(60)
    expect(await recovered(stage, mpp)).toMatchObject([
      { found: 'funded', action: 'dropped', status: 'open', amounts: { deposit: '1000000' } },
    ])
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '800000', refunded: '200000' })
    expect(await ground.balance()).toBe(FUNDS - 800_000n)
  })
})

describe('a process that died while it closed', () => {
  it('and the gateway has closed: settlement and refund are in the ledger', async () => {
    const ground = await opened(stage, { tenths: 3 })
    await close(ground.mpp, ground.channelId)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'closing'))
    expect(await recovered(stage, mpp)).toMatchObject([
      { found: 'ended', action: 'closed', amounts: { settled: '300000', refunded: '4700000' } },
    ])
    expect(await ground.balance()).toBe(FUNDS - 300_000n)
  })

  it('and the gateway has not: the channel is open, and is closed after all', async () => {
    const ground = await opened(stage, { tenths: 3 })
    ground.gateway.setCloseSigner(false)
    expect((await ground.mpp.sessions.close(ground.channelId)).status).toBe('failed')
    ground.gateway.setCloseSigner(true)
    const { mpp } = await afterDeath(ground, lastIn(ground.store, 'closing'))
    expect(await recovered(stage, mpp)).toMatchObject([{ found: 'funded', action: 'dropped', status: 'open' }])
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '300000', refunded: '4700000' })
  })
})

describe('a ledger that is wrong', () => {
  it('about a channel that it believes lost: the chain has it, and it is used again', async () => {
    const ground = await opened(stage)
    const record = lastIn(ground.store, 'open')
    const { mpp } = await afterDeath(ground, { ...record, status: 'lost', version: record.version + 1 })
    expect(await recovered(stage, mpp)).toMatchObject([
      { channelId: ground.channelId, source: 'chain', found: 'funded', action: 'adopted', status: 'open' },
    ])
    await paySome(mpp, ground.gateway.chat, 1, request)
    expect(await stage.opened(ground.account)).toBe(1)
    expect(await close(mpp, ground.channelId)).toMatchObject({ settled: '200000', refunded: '4800000' })
  })

  it('about nothing: each channel is looked at, and nothing is changed or signed', async () => {
    const ground = await opened(stage)
    const signatures = ground.payer.signatures()
    const [before] = await ground.mpp.sessions.list()
    expect(await recovered(stage, ground.mpp)).toMatchObject([{ found: 'funded', action: 'none', detail: null }])
    expect(ground.payer.signatures()).toBe(signatures)
    expect(await ground.mpp.sessions.list()).toEqual([before])
  })

  it('that cannot be read: it is named, the channel is found on the chain and kept beside it, and the others are settled', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-recover-'))
    try {
      const ground = await opened(stage, { policy: { maxDeposit: '2' } })
      const { channelId, account, gateway } = ground
      const kept = fileStore(folder)
      await kept.update(lastIn(ground.store, 'open').key, () => lastIn(ground.store, 'open'))
      const elsewhere = await stage.gateway()
      await paySome(stage.client(account, { store: fileStore(folder) }), elsewhere.chat, 1, request)
      const files = (await readdir(folder)).filter((name) => name.endsWith('.json'))
      const torn = files.find((name) => name.includes(gateway.payee.slice(2, 10)))
      if (torn === undefined) throw new Error(`no file of the channel among ${files.join(' ')}`)
      await writeFile(join(folder, torn), '{"format":1,"key":')
      const mpp = stage.client(account, { store: fileStore(folder), policy: { maxDeposit: '2' } })
      const report = await mpp.sessions.recover(here())
      expect(report.unreadable).toContain(torn)
      expect(report.channels).toMatchObject([
        { source: 'ledger', found: 'funded', action: 'none', payee: elsewhere.payee },
        { source: 'chain', found: 'funded', action: 'adopted', payee: gateway.payee, channelId },
      ])
      expect(await close(mpp, channelId, gateway.chat)).toMatchObject({ settled: '100000', refunded: '1900000' })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('leaves the channels of other payers alone', async () => {
    const ground = await opened(stage)
    const stranger = stage.client(stage.payer(), { store: ground.store })
    const written = ground.store.written.length
    expect(await recovered(stage, stranger)).toEqual([])
    expect(ground.store.written.length).toBe(written)
  })
})
