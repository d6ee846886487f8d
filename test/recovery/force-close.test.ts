// Forced closes on a real chain: with the gateway gone, over restarts, twice at once, and called off.
// Must never accept a refund that the balances do not show, to the unit.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, http } from 'viem'
import { getBlock, getContractEvents, getTransactionReceipt } from 'viem/actions'
import { tempoModerato } from 'viem/chains'
import { Abis, Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ForceCloseOutcome, ForceCloseProgress } from '../../src/index.js'
import { descriptorSchema, type Hex, parseHex } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { fileStore } from '../../src/sessions/file-store.js'
import { signVoucher } from '../../src/tempo/index.js'
import { failureOf, paySome, type Stage, setStage } from '../client/stage.js'
import { countEvents, diedAfter, FUNDS, type Ground, lastIn, opened, request } from './ground.js'
import { startNode } from './node.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

/** The grace period of TIP-1034, and a minute. */
const GRACE = 960

function settlementOf(outcome: ForceCloseOutcome) {
  if (outcome.status === 'failed') throw new Error(`failed: ${outcome.failure.code} (${outcome.failure.detail})`)
  return outcome.settlement
}

function parseHash(value: unknown): Hex {
  const hash = parseHex(value, 32)
  if (!hash.ok) throw new Error(hash.detail)
  return hash.value
}

function failureIn(outcome: ForceCloseOutcome) {
  if (outcome.status !== 'failed') throw new Error(`the forced close ended as ${outcome.status}`)
  return outcome.failure
}

/** Lets the grace period pass as soon as it runs, and keeps what was told. */
function hurried(
  told: ForceCloseProgress[] = [],
  onWaiting: () => Promise<void> = () => stage.chain.advanceTime(GRACE),
) {
  let once = true
  return {
    lookEveryMs: 300,
    onProgress: (progress: ForceCloseProgress) => {
      told.push(progress)
      if (progress.step !== 'waiting' || !once) return
      once = false
      void onWaiting()
    },
  }
}

/** Forces the close up to the running grace period, and is then stopped. */
async function stoppedWhileWaiting({ mpp, channelId }: Pick<Ground, 'mpp' | 'channelId'>): Promise<ForceCloseOutcome> {
  const stop = new AbortController()
  return mpp.sessions.forceClose(channelId, {
    signal: stop.signal,
    lookEveryMs: 300,
    onProgress: ({ step }) => {
      if (step === 'waiting') stop.abort()
    },
  })
}

async function descriptorIn({ store }: Ground) {
  const [record] = await store.list()
  return descriptorSchema.parse(record?.session.descriptor)
}

describe('a forced close', () => {
  it('gets the whole deposit back with the gateway gone; every unit is accounted for', async () => {
    const reserve = await stage.balance(CHANNEL_RESERVE)
    const here = await opened(stage, { tenths: 3 })
    const { mpp, channelId, gateway } = here
    const vouchers = here.payer.vouchers.length
    await gateway.stop()
    const told: ForceCloseProgress[] = []
    const outcome = await mpp.sessions.forceClose(channelId, hurried(told))
    expect(outcome).toMatchObject({ status: 'withdrawn', channelId })
    expect(settlementOf(outcome)).toEqual({
      settled: '0',
      refunded: '5000000',
      txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    })
    expect(await here.balance()).toBe(FUNDS)
    expect(await stage.balance(gateway.payee)).toBe(0n)
    expect(await stage.balance(CHANNEL_RESERVE)).toBe(reserve)
    expect(here.payer.vouchers.length).toBe(vouchers)
    const steps = told.map(({ step }) => step)
    expect(steps.filter((step, at) => step !== steps[at - 1])).toEqual(['requesting', 'waiting', 'withdrawing'])
    const waiting = told.find(({ step }) => step === 'waiting')
    expect(waiting?.secondsLeft).toBeGreaterThan(GRACE - 60)
    expect(waiting?.secondsLeft).toBeLessThanOrEqual(GRACE)
    expect(await mpp.sessions.list()).toMatchObject([
      { channelId, status: 'withdrawn', settled: '0', refunded: '5000000', refundable: '0', withdrawableAt: null },
    ])
    expect(await mpp.sessions.totals()).toMatchObject([{ live: 0, ended: 1, atStake: '0', refunded: '5000000' }])
    expect(await countEvents(stage, 'CloseRequested', channelId)).toBe(1)
    // Done already: nothing more is sent.
    const signatures = here.payer.signatures()
    expect(settlementOf(await mpp.sessions.forceClose(channelId))).toEqual(settlementOf(outcome))
    expect(here.payer.signatures()).toBe(signatures)
  })

  it('is withdrawn no sooner than 16 minutes after the request, by the clock of the chain', async () => {
    const { mpp, channelId } = await opened(stage)
    const left: number[] = []
    const outcome = await mpp.sessions.forceClose(channelId, {
      lookEveryMs: 300,
      onProgress: ({ step, secondsLeft }) => {
        if (step !== 'waiting' || secondsLeft === null) return
        left.push(secondsLeft)
        // First to where the grace period is over, then past the minute after it.
        if (left.length === 1) void stage.chain.advanceTime(905)
        else if (left.length > 3 && secondsLeft > 10) void stage.chain.advanceTime(secondsLeft)
      },
    })
    expect(outcome.status).toBe('withdrawn')
    expect(left.filter((seconds) => seconds <= 55).length).toBeGreaterThan(0)
    const client = stage.chain.client()
    const [requested] = await getContractEvents(client, {
      address: CHANNEL_RESERVE,
      abi: Abis.tip20ChannelReserve,
      eventName: 'CloseRequested',
      args: { channelId: parseHash(channelId) },
      fromBlock: 'earliest',
    })
    const { txHash } = settlementOf(outcome) ?? {}
    const withdrawn = await getTransactionReceipt(client, { hash: parseHash(txHash) })
    const timeOf = async (blockNumber: bigint | undefined) => {
      if (blockNumber === undefined) throw new Error('the chain has no such block')
      return Number((await getBlock(client, { blockNumber })).timestamp)
    }
    const waited = (await timeOf(withdrawn.blockNumber)) - (await timeOf(requested?.blockNumber))
    expect(waited).toBeGreaterThanOrEqual(16 * 60)
  })

  it('stores every transaction before it is sent', async () => {
    const here = await opened(stage)
    await here.mpp.sessions.forceClose(here.channelId, hurried())
    for (const [status, kind] of [
      ['closeRequested', 'requestClose'],
      ['withdrawable', 'withdraw'],
    ] as const) {
      const record = lastIn(here.store, status, kind)
      expect(record.secrets.pendingTransaction).toMatch(/^0x76/)
      expect(record.session.pending?.transactionHash).toMatch(/^0x[0-9a-f]{64}$/)
    }
    const written = here.store.written.map(({ status, session }) => `${status} ${session.pending?.kind ?? 'nothing'}`)
    expect(written.slice(-5)).toEqual([
      'closeRequested requestClose',
      'closeRequested nothing',
      'withdrawable nothing',
      'withdrawable withdraw',
      'withdrawn nothing',
    ])
  })

  it('refunds what the payee did not settle in the grace period', async () => {
    const [payee, payer] = [stage.payer(), stage.payer()]
    const client = stage.chain.client()
    const feeToken = stage.chain.token
    const opening = { account: payer, payee: payee.address, token: feeToken, deposit: 2_000_000n, feeToken }
    const { channelId, receipt: _receipt, ...channel } = await Actions.channel.openSync(client, opening)
    const mpp = stage.client(payer)
    await mpp.sessions.recover({ chainIds: [stage.chain.chainId] })
    const cumulativeAmount = 700_000n
    const terms = { channelId, cumulative: cumulativeAmount, chainId: stage.chain.chainId, escrow: CHANNEL_RESERVE }
    const settle = async () => {
      const signature = await signVoucher(payer, terms)
      await Actions.channel.settleSync(client, { account: payee, channel, cumulativeAmount, signature, feeToken })
      await stage.chain.advanceTime(GRACE)
    }
    const outcome = await mpp.sessions.forceClose(channelId, hurried([], settle))
    expect(outcome.status).toBe('withdrawn')
    expect(settlementOf(outcome)).toMatchObject({ settled: '700000', refunded: '1300000' })
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'withdrawn', settled: '700000', refunded: '1300000' }])
    expect(await stage.balance(payer.address)).toBe(FUNDS - 700_000n)
    expect(await stage.balance(payee.address)).toBe(FUNDS + 700_000n)
  })

  it('lets nothing be paid while it is under way', async () => {
    const here = await opened(stage)
    expect(failureIn(await stoppedWhileWaiting(here)).code).toBe('cancelled')
    const signatures = here.payer.signatures()
    const failure = failureOf(await here.mpp.pay(here.gateway.chat, request()))
    expect(failure).toMatchObject({
      code: 'session_unavailable',
      detail: 'a forced close of this channel is under way',
    })
    expect(here.payer.signatures()).toBe(signatures)
    const [session] = await here.mpp.sessions.list()
    expect(session).toMatchObject({ status: 'closeRequested', refundable: '4900000' })
    expect(session?.withdrawableAt).toBeGreaterThan(0)
  })

  it('of a channel that nobody knows, or that another account pays for, sends nothing', async () => {
    const here = await opened(stage)
    for (const channelId of [`0x${'12'.repeat(32)}`, '', 'constructor']) {
      expect(failureIn(await here.mpp.sessions.forceClose(channelId))).toMatchObject({ code: 'session_unavailable' })
    }
    const stranger = stage.client(stage.payer(), { store: here.store })
    const failure = failureIn(await stranger.sessions.forceClose(here.channelId))
    expect(failure.detail).toContain('another account')
    expect(await countEvents(stage, 'CloseRequested', here.channelId)).toBe(0)
  })
})

describe('a forced close that is interrupted', () => {
  it('goes on in another client over the same store; the chain is asked once', async () => {
    const here = await opened(stage)
    const stopped = await stoppedWhileWaiting(here)
    expect(failureIn(stopped).code).toBe('cancelled')
    expect(stopped).toMatchObject({ status: 'failed', withdrawableAt: expect.any(Number) })
    const next = stage.client(here.account, { store: here.store })
    const signatures = here.payer.signatures()
    const outcome = await next.sessions.forceClose(here.channelId, hurried())
    expect(settlementOf(outcome)).toMatchObject({ settled: '0', refunded: '5000000' })
    expect(here.payer.signatures() - signatures).toBe(1)
    expect(await countEvents(stage, 'CloseRequested', here.channelId)).toBe(1)
    expect(await here.balance()).toBe(FUNDS)
  })

  it('goes on over files: each step is made by another client that has only read them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-forced-'))
    try {
      const { store, account, channelId, balance } = await opened(stage)
      const record = lastIn(store, 'open')
      await fileStore(folder).update(record.key, () => record)
      const over = () => stage.client(account, { store: fileStore(folder) })
      expect(failureIn(await stoppedWhileWaiting({ mpp: over(), channelId })).code).toBe('cancelled')
      await stage.chain.advanceTime(GRACE)
      expect(await over().sessions.recover({ chainIds: [stage.chain.chainId] })).toMatchObject({
        channels: [{ status: 'withdrawable', action: 'adopted' }],
      })
      expect(settlementOf(await over().sessions.forceClose(channelId))).toMatchObject({ refunded: '5000000' })
      expect(await over().sessions.list()).toMatchObject([{ status: 'withdrawn', refunded: '5000000' }])
      expect(await balance()).toBe(FUNDS)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it.each([
    ['its request was signed', 'closeRequested', 'requestClose'],
    ['the chain had its request', 'closeRequested', null],
    ['the grace period was over', 'withdrawable', null],
    ['its withdrawal was signed', 'withdrawable', 'withdraw'],
  ] as const)('and finished by somebody else after %s: what came of it is found', async (_what, status, pending) => {
    const here = await opened(stage)
    settlementOf(await here.mpp.sessions.forceClose(here.channelId, hurried()))
    const store = await diedAfter(lastIn(here.store, status, pending))
    const signatures = here.payer.signatures()
    const outcome = await stage.client(here.account, { store }).sessions.forceClose(here.channelId)
    expect(settlementOf(outcome)).toMatchObject({ settled: '0', refunded: '5000000', txHash: expect.any(String) })
    expect(here.payer.signatures()).toBe(signatures)
    expect(await countEvents(stage, 'ChannelClosed', here.channelId)).toBe(1)
    expect(await here.balance()).toBe(FUNDS)
  })

  it.each([
    ['its request', 0, 'closeRequested', 'requestClose'],
    ['its withdrawal', 1, 'withdrawable', 'withdraw'],
  ] as const)(
    'after %s was signed and before it was sent: the same transaction is sent, nothing is signed for it again',
    async (_what, taken, status, kind) => {
      const here = await opened(stage)
      const { store } = await notSent(here, taken)
      const stored = lastIn(store, status, kind)
      const again = await diedAfter(stored)
      const signatures = here.payer.signatures()
      const outcome = await stage.client(here.account, { store: again }).sessions.forceClose(here.channelId, hurried())
      expect(settlementOf(outcome)).toMatchObject({ settled: '0', refunded: '5000000' })
      expect(here.payer.signatures() - signatures).toBe(kind === 'requestClose' ? 1 : 0)
      const sent = await getTransactionReceipt(stage.chain.client(), {
        hash: `0x${stored.session.pending?.transactionHash?.slice(2)}`,
      })
      expect(sent.status).toBe('success')
      expect(await here.balance()).toBe(FUNDS)
    },
  )

  it.each([
    ['its request', 0, 'closeRequested', 'requestClose'],
    ['its withdrawal', 1, 'withdrawable', 'withdraw'],
  ] as const)(
    'after %s ran out without being sent: it is dropped, and signed anew',
    async (_what, taken, status, kind) => {
      const here = await opened(stage)
      const { store } = await notSent(here, taken)
      const again = await diedAfter(lastIn(store, status, kind))
      await stage.chain.advanceTime(60)
      const outcome = await stage.client(here.account, { store: again }).sessions.forceClose(here.channelId, hurried())
      expect(settlementOf(outcome)).toMatchObject({ settled: '0', refunded: '5000000' })
      const hashes = again.written.flatMap(({ session }) =>
        session.pending?.kind === kind ? [session.pending.transactionHash] : [],
      )
      expect(new Set(hashes).size).toBe(2)
      expect(await countEvents(stage, 'CloseRequested', here.channelId)).toBe(1)
      expect(await here.balance()).toBe(FUNDS)
    },
  )

  it('by a node that goes away while it waits: it gives up after a while, and goes on later', async () => {
    const here = await opened(stage)
    const node = await startNode(stage.chain.rpcUrl)
    try {
      const store = await diedAfter(lastIn(here.store, 'open'))
      const hasty = stage.client(here.account, {
        store,
        policy: { timeouts: { sessionMs: 1_000 } },
        getClient: () =>
          createClient({ chain: tempoModerato, transport: http(node.url, { timeout: 300, retryCount: 0 }) }),
      })
      const goesAway = async () => node.hang(true)
      const outcome = await hasty.sessions.forceClose(here.channelId, hurried([], goesAway))
      expect(failureIn(outcome)).toMatchObject({ code: 'chain_unavailable', retryable: true })
      expect(outcome).toMatchObject({ withdrawableAt: expect.any(Number) })
      node.hang(false)
      expect(settlementOf(await hasty.sessions.forceClose(here.channelId, hurried()))).toMatchObject({
        refunded: '5000000',
      })
      expect(await countEvents(stage, 'CloseRequested', here.channelId)).toBe(1)
    } finally {
      await node.stop()
    }
  })
})

/** A forced close by a client that is stopped when its node refuses a transaction, after `taken` were taken. */
async function notSent(here: Ground, taken: number) {
  const node = await startNode(stage.chain.rpcUrl)
  try {
    const stop = new AbortController()
    node.takesTransactions(taken)
    node.onRefused(() => stop.abort())
    const store = await diedAfter(lastIn(here.store, 'open'))
    const client = stage.client(here.account, { store, rpcUrl: node.url })
    const outcome = await client.sessions.forceClose(here.channelId, { ...hurried(), signal: stop.signal })
    expect(failureIn(outcome).code).toBe('cancelled')
    return { store }
  } finally {
    await node.stop()
  }
}

describe('a forced close that comes together with something else', () => {
  it('is called off by a top-up of another process: the channel is open again and pays on', async () => {
    const here = await opened(stage)
    const descriptor = await descriptorIn(here)
    const topUp = async () => {
      await Actions.channel.topUpSync(stage.chain.client(), {
        account: here.account,
        channel: descriptor,
        additionalDeposit: 1_000_000n,
        feeToken: stage.chain.token,
      })
    }
    const outcome = await here.mpp.sessions.forceClose(here.channelId, hurried([], topUp))
    expect(failureIn(outcome)).toMatchObject({ code: 'session_unavailable' })
    expect(failureIn(outcome).detail).toContain('called the forced close off')
    expect(await here.mpp.sessions.list()).toMatchObject([
      { status: 'open', deposit: '6000000', withdrawableAt: null, pending: null },
    ])
    await here.gateway.advanceTime(1)
    await paySome(here.mpp, here.gateway.chat, 1, request)
    expect(await stage.opened(here.account)).toBe(1)
    // Wanted once more, it begins anew.
    expect(settlementOf(await here.mpp.sessions.forceClose(here.channelId, hurried()))).toMatchObject({
      settled: '0',
      refunded: '6000000',
    })
    expect(await here.balance()).toBe(FUNDS)
  })

  it('is called off where nobody here sees it: the next request asks the chain, and pays on', async () => {
    const here = await opened(stage)
    const descriptor = await descriptorIn(here)
    await stoppedWhileWaiting(here)
    await Actions.channel.topUpSync(stage.chain.client(), {
      account: here.account,
      channel: descriptor,
      additionalDeposit: 1_000_000n,
      feeToken: stage.chain.token,
    })
    await here.gateway.advanceTime(1)
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'closeRequested', deposit: '5000000' }])
    await paySome(here.mpp, here.gateway.chat, 1, request)
    expect(await here.mpp.sessions.list()).toMatchObject([
      { status: 'open', deposit: '6000000', withdrawableAt: null, pending: null },
    ])
    expect(await stage.opened(here.account)).toBe(1)
  })

  it('was withdrawn by a process with another ledger: the next request opens another channel', async () => {
    const here = await opened(stage)
    const elsewhere = stage.client(here.account, { store: await diedAfter(lastIn(here.store, 'open')) })
    await stoppedWhileWaiting(here)
    const outcome = await elsewhere.sessions.forceClose(here.channelId, hurried())
    expect(settlementOf(outcome)).toMatchObject({ refunded: '5000000' })
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'closeRequested' }])
    await paySome(here.mpp, here.gateway.chat, 1, request)
    expect(await stage.opened(here.account)).toBe(2)
    expect(await here.mpp.sessions.list()).toMatchObject([
      { status: 'open' },
      { channelId: here.channelId, status: 'closed', refunded: '5000000' },
    ])
  })

  it('is overtaken by a close of the gateway, which captures what was spent', async () => {
    const here = await opened(stage, { tenths: 3 })
    const close = async () => {
      expect((await here.mpp.sessions.close(here.channelId)).status).toBe('closed')
    }
    const outcome = await here.mpp.sessions.forceClose(here.channelId, hurried([], close))
    expect(outcome.status).toBe('closed')
    expect(settlementOf(outcome)).toMatchObject({ settled: '300000', refunded: '4700000' })
    expect(await here.balance()).toBe(FUNDS - 300_000n)
    expect(await stage.balance(here.gateway.payee)).toBe(300_000n)
  })

  it('stays under way when the gateway could not close after all', async () => {
    const here = await opened(stage)
    await stoppedWhileWaiting(here)
    here.gateway.setCloseSigner(false)
    expect((await here.mpp.sessions.close(here.channelId)).status).toBe('failed')
    expect(await here.mpp.sessions.list()).toMatchObject([{ status: 'closeRequested', pending: null }])
    expect(settlementOf(await here.mpp.sessions.forceClose(here.channelId, hurried()))).toMatchObject({
      refunded: '5000000',
    })
    expect(await here.balance()).toBe(FUNDS)
  })

  it.each(['the same store', 'stores of their own'])(
    'run by two clients at once over %s: refunded once',
    async (kind) => {
      const here = await opened(stage)
      const store = kind === 'the same store' ? here.store : await diedAfter(lastIn(here.store, 'open'))
      const other = stage.client(here.account, { store })
      const outcomes = await Promise.all([
        here.mpp.sessions.forceClose(here.channelId, hurried()),
        other.sessions.forceClose(here.channelId, { lookEveryMs: 300 }),
      ])
      for (const outcome of outcomes) expect(settlementOf(outcome)).toMatchObject({ settled: '0', refunded: '5000000' })
      expect(await countEvents(stage, 'ChannelClosed', here.channelId)).toBe(1)
      expect(await here.balance()).toBe(FUNDS)
    },
  )
})
