// Faults on demand, and the faults of a chain that is gone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CODE_ANSWERS } from '../../src/sandbox/gateway/refusal.js'
import { type LocalChain, type Sandbox, startChain, startSandbox } from '../../src/sandbox/index.js'
import { type Channel, chatCosting, expectCode, Payer } from './gateway-payer.js'

const BODY = chatCosting(50)

let chain: LocalChain
let sandbox: Sandbox
let payer: Payer
let channel: Channel

beforeAll(async () => {
  chain = await startChain()
  sandbox = await startSandbox({ chain })
  payer = payerNumber(0)
  const opened = await payer.open(BODY, { deposit: 1_000_000n, cumulative: 1_000_000n })
  channel = opened.channel
})
afterAll(async () => {
  await sandbox?.stop()
  await chain?.stop()
})

function payerNumber(index: number): Payer {
  const account = sandbox.accounts[index]
  if (account === undefined) throw new Error('no such account')
  return new Payer(sandbox, chain, account)
}

describe('injection', () => {
  const codes = Object.keys(CODE_ANSWERS)
  it('knows all sixteen codes', () => {
    expect(codes).toHaveLength(16)
    expect(() => sandbox.inject('mpp_nonsense')).toThrow(RangeError)
  })

  it.each(codes)('%s can be planned for an unpaid send, a voucher, a top-up and a close', async (code) => {
    const before = sandbox.accounting().channels
    sandbox.inject(code, { on: 'unpaid' })
    expectCode(await payer.send(BODY), code)
    sandbox.inject(code, { on: 'voucher' })
    expectCode(await payer.pay(channel, BODY, 1_000_000n), code)
    sandbox.inject(code, { on: 'topUp' })
    expectCode(await payer.topUp(channel, 1n), code)
    sandbox.inject(code, { on: 'close' })
    expectCode(await payer.close(channel, 1_000_000n), code)
    expect(sandbox.accounting().channels).toEqual(before)
  })

  it('strikes as often as it was told to, and bare statuses have no code', async () => {
    sandbox.inject('http_429', { times: 2 })
    const answers = [
      await payer.pay(channel, BODY, 1_000_000n),
      await payer.pay(channel, BODY, 1_000_000n),
      await payer.pay(channel, BODY, 1_000_000n),
    ]
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 200])
    expect(answers[0]?.headers.get('retry-after')).toBe('1')
    expect(answers[0]?.code).toBeUndefined()
  })

  it('mpp_reservation_failed comes after the channel is open, and a repeated credential finds it open', async () => {
    const other = payerNumber(8)
    sandbox.inject('mpp_reservation_failed', { on: 'open' })
    const { answer, channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
    expectCode(answer, 'mpp_reservation_failed')
    expect(answer.headers.get('retry-after')).toBe('0')
    expect(sandbox.accounting().channels.find(({ channelId }) => channelId === own.channelId)).toMatchObject({
      deposit: '500000',
      spent: '0',
    })
    expect(await other.pay(own, BODY, 500_000n)).toMatchObject({ status: 200 })
  })
})

describe('without a chain', () => {
  it('mpp_reservation_failed and mpp_session_close_failed: the deposit cannot be read', async () => {
    const lonely = await startChain()
    const gateway = await startSandbox({ chain: lonely })
    try {
      const [account] = gateway.accounts
      if (account === undefined) throw new Error('no account')
      const other = new Payer(gateway, lonely, account)
      const { channel: own } = await other.open(BODY, { deposit: 500_000n, cumulative: 500_000n })
      await gateway.advanceTime(1)
      await lonely.stop()
      expectCode(await other.pay(own, BODY, 500_000n), 'mpp_reservation_failed')
      expectCode(await other.close(own, 500_000n), 'mpp_session_close_failed')
    } finally {
      await gateway.stop()
      await lonely.stop()
    }
  })
})
