// Servers that play with deposits: they hold transactions back, deny what they did, and want funds again and again.
// Must never let a deposit out of sight: what left the payer is on the chain, and in the ledger.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_UINT96 } from '../../src/protocol/index.js'
import { lowerCase } from '../../src/tempo/index.js'
import { failureOf, type Stage, setStage } from '../client/stage.js'
import { afterOpening, attack, codeOf, type Spoils } from './attack.js'
import type { Call, HostileGateway, Malice, Terms } from './gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(80)
})
afterAll(() => stage?.stop())

/** Defaults of the policy, in base units: the most that may be exposed, and the most that one channel may hold. */
const EXPOSURE = 2_000_000n
const DEPOSIT = 5_000_000n
const BUCKET = 1_000_000n
const TOO_LOW = 'mpp_session_deposit_below_request_cost'

/** Every transaction of a kind that was handed out, once each. */
function transactions(gateway: HostileGateway, action: 'open' | 'topUp'): Call[] {
  const first = new Map<string, Call>()
  for (const call of gateway.seen) {
    const payload = call.credential?.payload
    if (payload?.action === action && !first.has(payload.transaction)) first.set(payload.transaction, call)
  }
  return [...first.values()]
}

/** A deposit is not the server's: what is not authorised comes back with a close or a forced close. */
function expectDeposit(spoils: Spoils, most: bigint): void {
  expect(spoils.deposited).toBeLessThanOrEqual(most)
  expect(spoils.lost).toBe(spoils.gained)
}

describe.concurrent('deposits that are never enough', () => {
  const small: Terms = { suggestedDeposit: BUCKET }

  it.each([TOO_LOW, 'session/amount-exceeds-deposit'])(
    '%s, endlessly, and every top-up is really broadcast: the deposit limit is the end',
    async (code) => {
      const spoils = await attack(
        stage,
        async (call, response, gateway) => {
          if (call.action === 'open' || call.action === 'topUp') await gateway.broadcast(call)
          if (call.action === 'topUp') return gateway.deliver(call, response)
          gateway.refuse(response, call.action === 'unpaid' ? null : code, { terms: small })
        },
        { requests: 4 },
      )
      // Two top-ups a request, until the channel holds 5; the voucher never grows past its first bucket.
      expect(spoils.codes).toEqual([code, code, 'limit_exceeded', 'limit_exceeded'])
      expect(failureOf(spoils.outcomes[3] ?? never()).limit).toBe('maxDeposit')
      expectDeposit(spoils, DEPOSIT)
      expect(spoils).toMatchObject({ gained: BUCKET, highest: BUCKET, deposited: DEPOSIT, channels: 1 })
      expect(spoils.sessions).toMatchObject([{ deposit: '5000000', signed: '1000000' }])
    },
  )

  it('and every top-up is refused, though it was broadcast: seen on the chain, not signed twice', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'open' || call.action === 'topUp') await gateway.broadcast(call)
        gateway.refuse(response, call.action === 'unpaid' ? null : TOO_LOW, { terms: small })
      },
      { requests: 3 },
    )
    for (const code of spoils.codes) expect([TOO_LOW, 'limit_exceeded']).toContain(code)
    expectDeposit(spoils, DEPOSIT)
    expect(spoils).toMatchObject({ gained: BUCKET, channels: 1 })
  })

  it('and a suggested deposit of everything there is', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'open' || call.action === 'topUp') await gateway.broadcast(call)
        if (call.action === 'topUp') return gateway.deliver(call, response)
        const terms = { suggestedDeposit: call.action === 'unpaid' ? BUCKET : MAX_UINT96 }
        gateway.refuse(response, call.action === 'unpaid' ? null : TOO_LOW, { terms })
      },
      { requests: 2 },
    )
    // The open was refused with less in it than there is now, the top-up could not be larger.
    expect(spoils.codes).toEqual([TOO_LOW, 'limit_exceeded'])
    expectDeposit(spoils, DEPOSIT)
    expect(spoils).toMatchObject({ gained: BUCKET, deposited: DEPOSIT })
  })

  it('and top-ups are said to be done but held back, to be broadcast all at once later', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'topUp') return gateway.deliver(call, response)
        if (call.action === 'open') await gateway.broadcast(call)
        gateway.refuse(response, call.action === 'unpaid' ? null : TOO_LOW, { terms: small })
      },
      {
        // By default it is looked for three times, and that takes some 15 seconds.
        policy: { attempts: { TOP_UP_UNCONFIRMED: 1 } },
        before: async ({ gateway, payer }) => {
          const held = transactions(gateway, 'topUp')
          // While it may still be mined there is no second one.
          expect(held).toHaveLength(1)
          for (const call of held) await gateway.broadcast(call)
          // The open, its voucher, one top-up.
          expect(payer.signatures()).toBe(3)
        },
      },
    )
    expect(spoils.codes).toEqual(['chain_unavailable'])
    // It is known to be out there: the ledger counts it as at stake.
    expect(spoils.sessions).toMatchObject([{ status: 'toppingUp', deposit: '1000000', pending: 'topUp' }])
    expectDeposit(spoils, 2n * BUCKET)
    expect(spoils).toMatchObject({ gained: BUCKET, deposited: 2n * BUCKET, channels: 1 })
    expect(spoils.elapsedMs).toBeLessThan(50_000)
  })

  it('and one top-up is broadcast again and again: the chain takes it once', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'open') await gateway.broadcast(call)
        if (call.action === 'topUp') {
          for (let at = 0; at < 4; at += 1) await gateway.broadcast(call)
          return gateway.deliver(call, response)
        }
        if (call.action === 'voucher' && call.earlier > 0) return gateway.deliver(call, response)
        gateway.refuse(response, call.action === 'unpaid' ? null : TOO_LOW, { terms: small })
      },
      {
        requests: 2,
        before: async ({ gateway }) => {
          const [topUp, ...more] = transactions(gateway, 'topUp')
          expect(more).toEqual([])
          await gateway.broadcast(topUp ?? never())
        },
      },
    )
    expect(spoils.codes).toEqual([200, 200])
    expectDeposit(spoils, 2n * BUCKET)
    expect(spoils).toMatchObject({ gained: BUCKET, deposited: 2n * BUCKET })
    expect(spoils.sessions).toMatchObject([{ deposit: '2000000' }])
  })
})

describe.concurrent('opens that are denied', () => {
  it('200 to the open, nothing broadcast, and open again, please: one transaction is all it ever gets', async () => {
    const spoils = await attack(
      stage,
      (call, response, gateway) => {
        if (call.action === 'unpaid') return gateway.refuse(response, null)
        gateway.deliver(call, response)
      },
      {
        requests: 5,
        before: async ({ gateway, payer }) => {
          expect(gateway.actions().filter((action) => action === 'open')).toHaveLength(5)
          const opens = transactions(gateway, 'open')
          expect(opens).toHaveLength(1)
          expect(payer.signatures()).toBe(2)
          expect(await stage.opened(payer.account)).toBe(0)
          // And now it is broadcast after all.
          for (const call of opens) await gateway.broadcast(call)
        },
      },
    )
    expect(spoils.codes).toEqual([200, 200, 200, 200, 200])
    expect(spoils.sessions).toMatchObject([{ status: 'opening', pending: 'open' }])
    expectDeposit(spoils, DEPOSIT)
    expect(spoils).toMatchObject({ gained: BUCKET, channels: 1 })
  })

  it.each([
    'payment_required',
    'mpp_invalid_challenge',
    'mpp_payment_verification_failed',
    'mpp_malformed_credential',
    'session/channel-not-found',
    'mpp_unheard_of',
    null,
  ])('the open is broadcast and rejected with %s: the channel is kept and used, no other is opened', async (code) => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'unpaid') return gateway.refuse(response, null)
        if (call.action === 'open') await gateway.broadcast(call)
        if (call.action === 'voucher' && call.earlier > 3) return gateway.deliver(call, response)
        if (code === null) return void response.writeHead(500).end()
        gateway.refuse(response, code)
      },
      { requests: 6 },
    )
    expect(spoils.codes.at(-1)).toBe(200)
    const expected = code === 'mpp_unheard_of' ? 'payment_rejected' : (code ?? 'outcome_unknown')
    expect(spoils.codes[0]).toBe(expected)
    expect(spoils.sessions).toMatchObject([{ status: 'open', deposit: '5000000', signed: '1000000' }])
    expectDeposit(spoils, DEPOSIT)
    expect(spoils).toMatchObject({ gained: BUCKET, channels: 1 })
  })

  it('the open is broadcast and the answer never comes: found on the chain by the next request', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'unpaid') return gateway.refuse(response, null)
        if (call.action === 'open') {
          await gateway.broadcast(call)
          return void response.destroy()
        }
        gateway.deliver(call, response)
      },
      { requests: 2 },
    )
    expect(spoils.codes).toEqual(['outcome_unknown', 200])
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, channels: 1, deposited: DEPOSIT })
  })
})

describe.concurrent('channels that are denied', () => {
  it.each(['session/channel-not-found', 'session/channel-finalized'])(
    '%s for a funded channel, again and again: nothing new is funded, the deposit is kept',
    async (code) => {
      const spoils = await attack(
        stage,
        afterOpening((_call, response, gateway) => gateway.refuse(response, code, { status: 410 })),
        { requests: 6 },
      )
      expect(spoils.codes).toEqual([200, code, code, code, code, code])
      expect(failureOf(spoils.outcomes[5] ?? never()).detail).toContain('the chain still holds the deposit')
      expect(spoils.sessions).toMatchObject([{ status: 'open', deposit: '5000000', signed: '1000000' }])
      expect(spoils.sends.filter((action) => action === 'open')).toHaveLength(1)
      expectDeposit(spoils, DEPOSIT)
      expect(spoils).toMatchObject({ gained: BUCKET, channels: 1, signatures: 2 })
    },
  )

  /** Takes all that a voucher allows as soon as it has it, and then denies the channel, in changing words. */
  const takeAndDeny =
    (codes: readonly string[]): Malice =>
    async (call, response, gateway) => {
      const terms = { amount: EXPOSURE }
      if (call.action === 'unpaid') return gateway.refuse(response, null, { terms })
      if (call.action === 'open') {
        await gateway.broadcast(call)
        return gateway.refuse(response, 'payment_required', { terms })
      }
      await gateway.capture(call.credential?.payload.channelId ?? '0x')
      gateway.refuse(response, codes[call.earlier % codes.length] ?? null, { terms })
    }

  it.each([
    [['session/channel-finalized', 'session/channel-not-found']],
    [['mpp_payment_verification_failed', 'verification-failed', 'session/invalid-signature']],
    [['verification-failed', 'session/channel-finalized', 'session/invalid-signature', 'session/channel-not-found']],
  ])('the channel is really closed, by turns %j: one more is opened, once a request', async (codes) => {
    const spoils = await attack(stage, takeAndDeny(codes))
    // Two channels, each at the exposure: whatever words are used, one request costs no more.
    expect(spoils).toMatchObject({ gained: 2n * EXPOSURE, lost: 2n * EXPOSURE, channels: 2 })
    expect(codes).toContain(spoils.codes[0])
    const ended = spoils.sessions.filter(({ status }) => status === 'closed')
    expect(ended[0]).toMatchObject({ deposit: '5000000', settled: '2000000', refunded: '3000000' })
  })

  it('an open that is broadcast, captured and denied in one breath is not forgotten', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'open') {
          await gateway.broadcast(call)
          await gateway.capture(call.credential?.payload.channelId ?? '0x')
        }
        gateway.refuse(response, call.action === 'unpaid' ? null : 'session/channel-not-found', {
          terms: { amount: EXPOSURE },
        })
      },
      { requests: 1 },
    )
    expect(spoils.codes).toEqual(['session/channel-not-found'])
    expect(spoils).toMatchObject({ gained: 2n * EXPOSURE, lost: 2n * EXPOSURE, channels: 2 })
    // What the first one cost is in the ledger, and the second one is looked at when the channel is needed again.
    expect(spoils.sessions.map(({ status, settled }) => [status, settled]).sort()).toEqual([
      ['closed', '2000000'],
      ['opening', '0'],
    ])
  })
})

describe.concurrent('a new channel for every request', () => {
  const another: readonly [string, (call: Call, gateway: HostileGateway) => Terms][] = [
    ['payee', (call, gateway) => ({ recipient: lowerCase(gateway.payees[call.earlier]?.address ?? '0x') })],
    ['operator', (call) => ({ operator: `0x${String(call.earlier + 1).padStart(40, '0')}` })],
  ]
  const wandering =
    (terms: (call: Call, gateway: HostileGateway) => Terms): Malice =>
    async (call, response, gateway) => {
      if (call.action === 'unpaid') {
        return gateway.refuse(response, null, { terms: { amount: EXPOSURE, ...terms(call, gateway) } })
      }
      if (call.action === 'open') await gateway.broadcast(call)
      gateway.deliver(call, response, { spent: EXPOSURE })
    }

  it.each(another)('for another %s each time: a total limit holds across all of them', async (_name, terms) => {
    const spoils = await attack(stage, wandering(terms), { requests: 6, policy: { maxTotalDeposit: '7' } })
    expect(spoils.codes).toEqual([200, 200, 'limit_exceeded', 'limit_exceeded', 'limit_exceeded', 'limit_exceeded'])
    expect(failureOf(spoils.outcomes[5] ?? never()).limit).toBe('maxTotalDeposit')
    expectDeposit(spoils, 7_000_000n)
    expect(spoils).toMatchObject({ gained: 2n * EXPOSURE, channels: 2 })
  })

  it('for another payee each time, all at once: the same', async () => {
    const [, [, terms] = never()] = [null, another[0]]
    const spoils = await attack(stage, wandering(terms), { atOnce: 6, policy: { maxTotalDeposit: '7' } })
    expect(spoils.codes.filter((code) => code === 200).length).toBe(2)
    expectDeposit(spoils, 7_000_000n)
    expect(spoils).toMatchObject({ gained: 2n * EXPOSURE, channels: 2 })
  })

  it('for another payee each time, where payees are named: nothing', async () => {
    const allowedPayees = ['0x00000000000000000000000000000000000000aa']
    const spoils = await attack(stage, wandering(another[0]?.[1] ?? never()), {
      requests: 3,
      policy: { allowedPayees },
    })
    expect(spoils.codes).toEqual(['policy_denied', 'policy_denied', 'policy_denied'])
    expect(spoils).toMatchObject({ gained: 0n, lost: 0n, deposited: 0n, signatures: 0 })
  })

  it('for another operator each time, where operators are named: nothing, but with none', async () => {
    const policy = { allowedOperators: ['0x00000000000000000000000000000000000000aa'] }
    const operators = wandering(another[1]?.[1] ?? never())
    const spoils = await attack(stage, operators, { requests: 3, policy })
    expect(spoils.codes).toEqual(['policy_denied', 'policy_denied', 'policy_denied'])
    expect(failureOf(spoils.outcomes[0] ?? never()).detail).toMatch(/^operator 0x0+1 is not in allowedOperators$/)
    expect(spoils).toMatchObject({ gained: 0n, lost: 0n, deposited: 0n, signatures: 0 })
    const none = await attack(
      stage,
      wandering(() => ({})),
      { policy },
    )
    expect(none.codes).toEqual([200])
  })

  it('for another payee each time, with no total limit: the exposure for every request that the caller sends', async () => {
    const spoils = await attack(stage, wandering(another[0]?.[1] ?? never()), { requests: 4 })
    expect(spoils.codes).toEqual([200, 200, 200, 200])
    expectDeposit(spoils, 4n * DEPOSIT)
    expect(spoils).toMatchObject({ gained: 4n * EXPOSURE, channels: 4 })
  })
})

describe.concurrent('closes that do not close', () => {
  it.each<[string, Malice, string]>([
    ['says 204 and does nothing', (call, response, gateway) => gateway.deliver(call, response), 'chain_unavailable'],
    [
      'refuses with mpp_session_close_failed, endlessly',
      (_call, response, gateway) => gateway.refuse(response, 'mpp_session_close_failed', { status: 502, terms: null }),
      'mpp_session_close_failed',
    ],
    ['breaks the connection', (_call, response) => void response.destroy(), 'chain_unavailable'],
    [
      'says that there is no such channel',
      (_call, response, gateway) => gateway.refuse(response, 'session/channel-not-found', { status: 410 }),
      'session/channel-not-found',
    ],
  ])('%s: the channel stays in the ledger, and nothing more was signed', async (_name, malice, code) => {
    const spoils = await attack(stage, afterOpening(malice), {
      // By default a close is tried four times, and looked for each time.
      policy: { attempts: { CLOSE_UNCONFIRMED: 1 } },
      before: async ({ mpp, payer }) => {
        const before = payer.signatures()
        const [session] = await mpp.sessions.list()
        const outcome = await mpp.sessions.close(session?.channelId ?? '')
        expect(outcome.status === 'failed' ? outcome.failure.code : outcome.status).toBe(code)
        expect(payer.signatures()).toBe(before)
        expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '5000000', signed: '1000000' }])
      },
    })
    // A close carries the highest voucher, and with it no more than the server had before.
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, highest: BUCKET })
  })

  it('closes with the whole voucher though it acknowledged less: what was signed, and the ledger says so', async () => {
    const spoils = await attack(
      stage,
      afterOpening(
        async (call, response, gateway) => {
          await gateway.capture(call.credential?.payload.channelId ?? '0x')
          gateway.deliver(call, response)
        },
        () => 1n,
      ),
      {
        before: async ({ mpp }) => {
          const [session] = await mpp.sessions.list()
          const outcome = await mpp.sessions.close(session?.channelId ?? '')
          expect(outcome).toMatchObject({ status: 'closed', settlement: { settled: '1000000', refunded: '4000000' } })
        },
      },
    )
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET })
    expect(spoils.sessions).toMatchObject([{ status: 'closed', settled: '1000000', spent: '1' }])
  })
})

describe('an open that is held back until it has expired', () => {
  it('is dropped and another one signed; the first can never land', async () => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'unpaid') return gateway.refuse(response, null)
        gateway.deliver(call, response)
      },
      {
        before: async ({ gateway, mpp }) => {
          await stage.chain.advanceTime(40)
          expect(codeOf(await mpp.pay(gateway.chat, { method: 'POST', body: '{}' }))).toBe(200)
          const [first, second, ...more] = transactions(gateway, 'open')
          expect(more).toEqual([])
          expect(await gateway.broadcast(first ?? never())).toBe(false)
          expect(await gateway.broadcast(second ?? never())).toBe(true)
        },
      },
    )
    expectDeposit(spoils, DEPOSIT)
    expect(spoils).toMatchObject({ gained: BUCKET, channels: 1 })
  })
})

function never(): never {
  throw new Error('this is missing')
}
