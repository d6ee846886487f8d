// Servers that want more signed: more often, more at once, or for work that was never done.
// Must never be satisfied with a failure alone: what the server could cash in is counted on the chain.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ChannelDescriptor, MAX_UINT96, type Receipt, type SessionSnapshot } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { events, type Stage, setStage } from '../client/stage.js'
import { afterOpening, attack } from './attack.js'
import type { Call, HostileGateway, Malice, Terms } from './gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(80)
})
afterAll(() => stage?.stop())

const REFRESH = 'mpp_voucher_bucket_refresh_required'
/** The default exposure, 2 tokens: the most that a server can have without acknowledging any work. */
const EXPOSURE = 2_000_000n
/** The default limit of a deposit, 5 tokens: the most that one channel can ever be worth. */
const DEPOSIT = 5_000_000n

const endlessly =
  (code: string, body?: unknown): Malice =>
  async (call, response, gateway) => {
    if (call.action === 'open') await gateway.broadcast(call)
    if (call.action === 'unpaid') return gateway.refuse(response, null)
    gateway.refuse(response, code, { body })
  }

describe.concurrent('a voucher that is never enough', () => {
  it.each([REFRESH, 'payment-insufficient', 'session/delta-too-small', 'session/insufficient-balance'])(
    '%s, endlessly: no more than the exposure is signed',
    async (code) => {
      const spoils = await attack(stage, endlessly(code), { requests: 3 })
      expect(spoils.codes).toEqual(['limit_exceeded', 'limit_exceeded', 'limit_exceeded'])
      expect(spoils).toMatchObject({ gained: EXPOSURE, lost: EXPOSURE, highest: EXPOSURE, channels: 1 })
      expect(spoils.deposited).toBe(DEPOSIT)
      // One open with its voucher, and one more voucher, however often it was asked for.
      expect(spoils.signatures).toBe(3)
      expect(spoils.elapsedMs).toBeLessThan(45_000)
    },
  )

  it('mpp_request_exceeds_voucher_bucket, endlessly: one refresh a request, then the code itself', async () => {
    const spoils = await attack(stage, endlessly('mpp_request_exceeds_voucher_bucket'), { requests: 3 })
    expect(spoils.codes).toEqual(['mpp_request_exceeds_voucher_bucket', 'limit_exceeded', 'limit_exceeded'])
    expect(spoils).toMatchObject({ gained: EXPOSURE, lost: EXPOSURE, channels: 1 })
  })

  it('refused to 20 requests at once: no more than to one', async () => {
    const spoils = await attack(stage, endlessly(REFRESH), { atOnce: 20 })
    for (const code of spoils.codes) expect(['limit_exceeded', REFRESH]).toContain(code)
    expect(spoils).toMatchObject({ gained: EXPOSURE, lost: EXPOSURE, channels: 1, signatures: 3 })
    // Each request is refused a bounded number of times; here they take turns, and few are needed.
    expect(spoils.sends.length).toBeLessThan(20 * 12)
    expect(spoils.elapsedMs).toBeLessThan(50_000)
  })

  it('refused before anything was sent, on the unpaid request', async () => {
    const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, REFRESH))
    // The voucher of the first send already counts as too little; nothing is ever broadcast, so nothing can be cashed.
    expect(spoils).toMatchObject({ gained: 0n, lost: 0n, deposited: 0n })
    expect(spoils.highest).toBeLessThanOrEqual(EXPOSURE)
    expect(['limit_exceeded', REFRESH]).toContain(spoils.codes[0])
  })

  it('and a server that says yes, delivers nothing and acknowledges all: the deposit is the end', async () => {
    // Every second paid send is answered, with a receipt that says that all of it was used.
    const spoils = await attack(
      stage,
      afterOpening(
        (call, response, gateway) => {
          if (call.earlier % 2 === 0) return gateway.refuse(response, REFRESH)
          return gateway.deliver(call, response, { spent: cumulativeOf(call) })
        },
        (cumulative) => cumulative,
      ),
      { requests: 10 },
    )
    expect(spoils.codes.at(-1)).toBe('limit_exceeded')
    expect(spoils.outcomes.at(-1)).toMatchObject({ failure: { limit: 'maxDeposit' } })
    expect(spoils).toMatchObject({ gained: DEPOSIT, lost: DEPOSIT, channels: 1 })
  })

  it('and the same where the caller said how much a channel may cost in all', async () => {
    const spoils = await attack(
      stage,
      afterOpening(
        (call, response, gateway) => {
          if (call.earlier % 2 === 0) return gateway.refuse(response, REFRESH)
          return gateway.deliver(call, response, { spent: cumulativeOf(call) })
        },
        (cumulative) => cumulative,
      ),
      { requests: 6, policy: { maxCumulative: '3' } },
    )
    expect(spoils.outcomes.at(-1)).toMatchObject({ failure: { code: 'limit_exceeded', limit: 'maxCumulative' } })
    expect(spoils).toMatchObject({ gained: 3_000_000n, lost: 3_000_000n, channels: 1 })
  })
})

describe.concurrent('amounts that grow', () => {
  const growing =
    (terms: (nth: number) => Terms): Malice =>
    async (call, response, gateway) => {
      if (call.action === 'open') await gateway.broadcast(call)
      gateway.refuse(response, call.action === 'unpaid' ? null : REFRESH, { terms: terms(gateway.seen.length) })
    }

  it.each<[string, (nth: number) => Terms, bigint]>([
    // The open is for 1, the first refresh asks for 2 more than that.
    ['the amount doubles with every challenge', (nth) => ({ amount: 500_000n * 2n ** BigInt(nth) }), 1_000_000n],
    ['the amount creeps up', (nth) => ({ amount: 100_000n * BigInt(nth) }), EXPOSURE],
    [
      'the suggested deposit doubles with every challenge',
      (nth) => ({ suggestedDeposit: 10n ** BigInt(nth + 5) }),
      EXPOSURE,
    ],
    ['the smallest growth of a voucher grows', (nth) => ({ minVoucherDelta: 400_000n * BigInt(nth) }), EXPOSURE],
    ['a price per request that grows', (nth) => ({ amount: 300_000n * BigInt(nth), unitType: 'request' }), EXPOSURE],
  ])('%s', async (_name, terms, most) => {
    const spoils = await attack(stage, growing(terms), { requests: 3 })
    for (const code of spoils.codes) expect(['limit_exceeded', REFRESH]).toContain(code)
    expect(spoils.gained).toBeGreaterThan(0n)
    expect(spoils.gained).toBeLessThanOrEqual(most)
    expect(spoils.lost).toBe(spoils.gained)
    expect(spoils.deposited).toBeLessThanOrEqual(DEPOSIT)
    expect(spoils.channels).toBe(1)
  })

  it.each<[string, Terms, string]>([
    ['an amount of everything there is', { amount: MAX_UINT96 }, 'limit_exceeded'],
    ['an amount just above the exposure', { amount: EXPOSURE + 1n }, 'limit_exceeded'],
    ['an amount of zero', { amount: 0n }, 'challenge_rejected'],
    ['a least growth of everything there is', { minVoucherDelta: MAX_UINT96 }, 'limit_exceeded'],
    ['a suggested deposit of zero, and too much to pay', { amount: DEPOSIT, suggestedDeposit: 0n }, 'limit_exceeded'],
    [
      'all of it at once',
      { amount: MAX_UINT96, suggestedDeposit: MAX_UINT96, minVoucherDelta: MAX_UINT96 },
      'limit_exceeded',
    ],
  ])('%s, from the start: nothing is signed', async (_name, terms, code) => {
    const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, null, { terms }))
    expect(spoils.codes).toEqual([code])
    expect(spoils).toMatchObject({ signatures: 0, gained: 0n, lost: 0n, deposited: 0n, channels: 0 })
    expect(spoils.sends).toEqual(['unpaid'])
  })

  it.each<[string, unknown]>([
    ['everything there is', MAX_UINT96.toString()],
    ['more than there is', (MAX_UINT96 * 10n).toString()],
    ['nothing', '0'],
    ['less than nothing', -5],
    ['no number', { amount: '1' }],
    ['a number that is not exact', 1e300],
  ])('a required top-up of %s', async (_name, requiredTopUp) => {
    const code = 'session/insufficient-balance'
    const type = `https://paymentauth.org/problems/${code}`
    const spoils = await attack(stage, endlessly(code, { type, requiredTopUp }), { requests: 2 })
    for (const failure of spoils.codes) expect(['limit_exceeded', code]).toContain(failure)
    expect(spoils.gained).toBeLessThanOrEqual(EXPOSURE)
    expect(spoils.lost).toBe(spoils.gained)
    expect(spoils.deposited).toBe(DEPOSIT)
  })
})

describe.concurrent('receipts that lie', () => {
  const otherChannel = `0x${'7'.repeat(64)}` as const
  it.each<[string, (call: Call) => Partial<Receipt>]>([
    ['accepted more than was signed', () => ({ acceptedCumulative: 5_000_000n, spent: 5_000_000n })],
    ['accepted everything there is', () => ({ acceptedCumulative: MAX_UINT96, spent: MAX_UINT96 })],
    ['spent more than was accepted', (call) => ({ spent: cumulativeOf(call) + 1n })],
    ['is for another channel', (call) => ({ channelId: otherChannel, spent: cumulativeOf(call) })],
    ['is for another challenge', (call) => ({ challengeId: 'another', spent: cumulativeOf(call) })],
  ])('%s: the answer is delivered, the ledger is not moved', async (_name, lie) => {
    // Each answer claims what would make room for more; every other paid send asks for it.
    const spoils = await attack(
      stage,
      afterOpening((call, response, gateway) => {
        if (call.earlier % 2 === 0) return gateway.deliver(call, response, lie(call))
        return gateway.refuse(response, REFRESH)
      }),
      { requests: 6 },
    )
    expect(spoils).toMatchObject({ gained: EXPOSURE, lost: EXPOSURE, highest: EXPOSURE, channels: 1 })
    expect(spoils.sessions).toMatchObject([{ spent: '0', signed: '2000000' }])
    const delivered = spoils.outcomes.filter(({ receiptProblem }) => receiptProblem !== undefined)
    expect(delivered.length).toBeGreaterThanOrEqual(2)
    for (const { status, response } of delivered) {
      expect(status).toBe('succeeded')
      expect(await response?.json()).toEqual({ choices: [] })
    }
  })

  it('spent shrinks from one receipt to the next: what was acknowledged stays so', async () => {
    const spoils = await attack(
      stage,
      afterOpening(
        (call, response, gateway) =>
          gateway.deliver(call, response, { spent: 100_000n - BigInt(call.earlier) * 50_000n }),
        () => 200_000n,
      ),
      { requests: 4 },
    )
    expect(spoils.codes).toEqual([200, 200, 200, 200])
    expect(spoils.sessions).toMatchObject([{ spent: '200000', signed: '1000000' }])
    expect(spoils.gained).toBe(1_000_000n)
  })

  it('a receipt on a refusal is the end of the flow: what it claims is within what was signed, and nothing more is', async () => {
    const spoils = await attack(
      stage,
      afterOpening((call, response, gateway) => {
        gateway.deliver(
          call,
          {
            writeHead: (_status: number, headers: Record<string, string>) => {
              gateway.refuse(response, REFRESH, { headers })
            },
            end: () => undefined,
          } as never,
          { spent: cumulativeOf(call) },
        )
      }),
      { requests: 3 },
    )
    expect(spoils.codes).toEqual([200, 402, 402])
    expect(spoils).toMatchObject({ gained: 1_000_000n, lost: 1_000_000n })
    expect(spoils.sessions).toMatchObject([{ spent: '1000000', signed: '1000000' }])
  })
})

describe.concurrent('snapshots that lie', () => {
  function snapshot(call: Call, gateway: HostileGateway, lie: Partial<SessionSnapshot>): SessionSnapshot {
    const open = gateway.seen.find(({ action }) => action === 'open')?.credential?.payload
    if (open?.action !== 'open') throw new Error('nothing was opened before')
    return {
      acceptedCumulative: 0n,
      chainId: stage.chain.chainId,
      channelId: open.channelId,
      deposit: DEPOSIT,
      descriptor: open.descriptor,
      escrow: CHANNEL_RESERVE,
      requiredCumulative: cumulativeOf(call),
      settled: 0n,
      spent: 0n,
      ...lie,
    }
  }
  const stranger = (descriptor: ChannelDescriptor): ChannelDescriptor => ({
    ...descriptor,
    salt: `0x${'5'.repeat(64)}`,
  })

  it.each<[string, (own: SessionSnapshot) => Partial<SessionSnapshot>]>([
    ['requires everything there is', () => ({ requiredCumulative: MAX_UINT96 })],
    ['requires the whole deposit', () => ({ requiredCumulative: DEPOSIT })],
    ['is of a channel that has another id', () => ({ channelId: `0x${'9'.repeat(64)}`, requiredCumulative: EXPOSURE })],
    [
      'is of a foreign channel',
      ({ descriptor }) => ({ descriptor: stranger(descriptor), requiredCumulative: EXPOSURE }),
    ],
    ['says that all was spent', () => ({ spent: EXPOSURE, acceptedCumulative: EXPOSURE, requiredCumulative: DEPOSIT })],
  ])('%s: no more than the exposure is signed', async (_name, lie) => {
    const spoils = await attack(
      stage,
      afterOpening((call, response, gateway) => {
        const own = snapshot(call, gateway, {})
        gateway.refuse(response, REFRESH, { terms: { snapshot: { ...own, ...lie(own) } } })
      }),
      { requests: 4 },
    )
    expect(spoils.codes).toEqual([200, 'limit_exceeded', 'limit_exceeded', 'limit_exceeded'])
    expect(spoils.gained).toBeLessThanOrEqual(EXPOSURE)
    expect(spoils.lost).toBe(spoils.gained)
    expect(spoils.sessions).toMatchObject([{ spent: '0', deposit: '5000000' }])
  })

  it('requires less than was signed: the voucher in hand is used, nothing is taken back', async () => {
    const spoils = await attack(
      stage,
      afterOpening((call, response, gateway) => {
        if (call.earlier > 0) return gateway.deliver(call, response)
        const terms = { snapshot: snapshot(call, gateway, { requiredCumulative: 1n }) }
        return gateway.refuse(response, 'mpp_invalid_challenge', { terms })
      }),
      { requests: 2 },
    )
    expect(spoils.codes).toEqual([200, 200])
    expect(events(spoils.outcomes[1] ?? { trace: [] })).toContain('mpp_invalid_challenge')
    expect(spoils).toMatchObject({ gained: 1_000_000n, signatures: 2 })
  })
})

function cumulativeOf({ credential }: Call): bigint {
  const payload = credential?.payload
  return payload !== undefined && 'cumulativeAmount' in payload ? BigInt(payload.cumulativeAmount) : 0n
}
