// Challenges that ask for what they must not: other chains, tokens, payees, contracts and places, and plain nonsense.
// Must never be satisfied with a failure alone: nothing may be signed for them, and no credential may travel.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'
import { createMppClient } from '../../src/index.js'
import { encodeBase64url, MAX_UINT96 } from '../../src/protocol/index.js'
import { lowerCase } from '../../src/tempo/index.js'
import { chat, counted, events, failureOf, type Stage, setStage } from '../client/stage.js'
import { afterOpening, attack, codeOf } from './attack.js'
import { type HostileGateway, startHostile, type Terms } from './gateway.js'
import { roomyFetch } from './roomy-fetch.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(180)
})
afterAll(() => stage?.stop())

const BUCKET = 1_000_000n
const USDC_E = '0x20c000000000000000000000b9537d11c60e8b50'
const ALPHA_USD = '0x20c0000000000000000000000000000000000001'
const STRANGER = '0x00000000000000000000000000000000000000aa'

/** Terms that differ from the usual ones in one thing, and what becomes of them in a first and in a later challenge. */
const OTHERS: readonly [name: string, terms: Terms, atFirst: string, later: string][] = [
  ['another chain', { chainId: 1 }, 'policy_denied', 'policy_denied'],
  // Allowed by default, but the RPC is not of that chain: what is true there must not be signed for here.
  ['the mainnet, while the RPC is of the testnet', { chainId: 4217 }, 'chain_unavailable', 'challenge_rejected'],
  ['another token', { currency: ALPHA_USD }, 'policy_denied', 'policy_denied'],
  ['a token that this chain does not have', { currency: USDC_E }, 'signing_failed', 'challenge_rejected'],
  ['a fee in another token', { feeToken: ALPHA_USD }, 'policy_denied', 'policy_denied'],
  ['another escrow', { escrowContract: STRANGER }, 'policy_denied', 'policy_denied'],
  [
    'an escrow that is one digit off',
    { escrowContract: '0x4d50500000000000000000000000000000000001' },
    'policy_denied',
    'policy_denied',
  ],
]

describe.concurrent('a challenge for', () => {
  it.each(OTHERS)('%s, from the start: nothing is signed, nothing is sent', async (_name, terms, code) => {
    const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, null, { terms }))
    expect(spoils.codes).toEqual([code])
    expect(spoils).toMatchObject({ signatures: 0, gained: 0n, lost: 0n, deposited: 0n, sends: ['unpaid'] })
  })

  it.each([
    ...OTHERS,
    ['another payee', { recipient: STRANGER }, '', 'challenge_rejected'] as const,
    ['another operator', { operator: STRANGER }, '', 'challenge_rejected'] as const,
  ])('%s, in the middle of a flow: the first voucher is all there is', async (_name, terms, _atFirst, code) => {
    const spoils = await attack(stage, async (call, response, gateway) => {
      if (call.action === 'unpaid') return gateway.refuse(response, null)
      if (call.action === 'open') await gateway.broadcast(call)
      gateway.refuse(response, 'mpp_voucher_bucket_refresh_required', { terms })
    })
    expect(spoils.codes).toEqual([code])
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, signatures: 2, channels: 1 })
    expect(spoils.sends).toEqual(['unpaid', 'open'])
  })

  it.each(OTHERS)('%s, once a channel is open: its voucher is not shown', async (_name, terms, code) => {
    const spoils = await attack(
      stage,
      async (call, response, gateway) => {
        if (call.action === 'unpaid') {
          return gateway.refuse(response, null, { terms: call.earlier === 0 ? {} : terms })
        }
        if (call.action === 'open') await gateway.broadcast(call)
        gateway.deliver(call, response)
      },
      { requests: 2 },
    )
    expect(spoils.codes).toEqual([200, code])
    expect(spoils.sends).toEqual(['unpaid', 'open', 'unpaid'])
    expect(spoils).toMatchObject({ gained: BUCKET, signatures: 2, channels: 1 })
  })

  it('a payee and an operator that the caller has not named: nothing', async () => {
    const terms = { recipient: STRANGER } as const
    const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, null, { terms }), {
      policy: { allowedPayees: ['0x00000000000000000000000000000000000000bb'] },
    })
    expect(spoils.codes).toEqual(['policy_denied'])
    expect(spoils.signatures).toBe(0)
  })

  it('an earlier session protocol: unsupported, and nothing is signed', async () => {
    const spoils = await attack(stage, (_call, response, gateway) => {
      const request = encodeBase64url(
        JSON.stringify({
          amount: '1',
          currency: stage.chain.token,
          recipient: STRANGER,
          methodDetails: { chainId: stage.chain.chainId, escrowContract: STRANGER, sessionProtocol: 'v1' },
        }),
      )
      response.writeHead(402, { 'www-authenticate': gateway.challenge({}, { request }) }).end()
    })
    expect(spoils.codes).toEqual(['challenge_unsupported'])
    expect(spoils.signatures).toBe(0)
  })
})

describe.concurrent('another origin', () => {
  /** A second server that must never hear of anything. */
  async function bystander() {
    return startHostile(stage.chain, (_call, response) => void response.writeHead(200).end('{}'))
  }

  it('named as the realm of a challenge: the credential goes where the request went, and nowhere else', async () => {
    const other = await bystander()
    try {
      const spoils = await attack(stage, (call, response, gateway) => {
        const realm = new URL(other.url).host
        if (call.action !== 'unpaid') return gateway.deliver(call, response)
        response.writeHead(402, { 'www-authenticate': gateway.challenge({}, { realm }) }).end()
      })
      expect(spoils.sends).toEqual(['unpaid', 'open'])
      expect(other.seen).toEqual([])
    } finally {
      await other.stop()
    }
  })

  it.each([301, 302, 303, 307, 308])('to which the paid send is redirected with %i: not followed', async (status) => {
    const other = await bystander()
    try {
      const spoils = await attack(
        stage,
        afterOpening((_call, response) => void response.writeHead(status, { location: other.chat }).end()),
        { requests: 2 },
      )
      // The redirect is the caller's answer; whoever follows it goes without the credential.
      expect(spoils.codes).toEqual([200, status])
      expect(other.seen).toEqual([])
      expect(spoils).toMatchObject({ gained: BUCKET, signatures: 2 })
    } finally {
      await other.stop()
    }
  })

  it.each([302, 307])('to which the open itself is redirected with %i: not followed', async (status) => {
    const other = await bystander()
    try {
      const spoils = await attack(stage, (call, response, gateway) => {
        if (call.action === 'unpaid') return gateway.refuse(response, null)
        response.writeHead(status, { location: other.chat }).end()
      })
      expect(spoils.codes).toEqual([status])
      expect(other.seen).toEqual([])
      expect(spoils).toMatchObject({ gained: 0n, lost: 0n, deposited: 0n })
    } finally {
      await other.stop()
    }
  })

  it.each([307, 308])(
    'to which the unpaid send is redirected with %i: not followed, and nothing is signed',
    async (status) => {
      const other = await bystander()
      try {
        const spoils = await attack(
          stage,
          (_call, response) => void response.writeHead(status, { location: other.chat }).end(),
        )
        expect(spoils.codes).toEqual([status])
        expect(other.seen).toEqual([])
        expect(spoils.signatures).toBe(0)
      } finally {
        await other.stop()
      }
    },
  )

  it.each(['topUp', 'close'] as const)('to which a %s is redirected: not followed', async (action) => {
    const other = await bystander()
    try {
      const spoils = await attack(
        stage,
        afterOpening((call, response, gateway) => {
          if (call.action === action) return void response.writeHead(307, { location: other.chat }).end()
          gateway.refuse(response, 'mpp_session_deposit_below_request_cost', { terms: { suggestedDeposit: 1n } })
        }),
        {
          requests: action === 'topUp' ? 2 : 1,
          policy: { maxDeposit: '6' },
          before: async ({ mpp }) => {
            if (action === 'topUp') return
            const [session] = await mpp.sessions.list()
            expect((await mpp.sessions.close(session?.channelId ?? '')).status).toBe('failed')
          },
        },
      )
      expect(spoils.sends).toContain(action)
      if (action === 'topUp') expect(spoils.outcomes[1]?.status).toBe('failed')
      expect(other.seen).toEqual([])
      expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET })
    } finally {
      await other.stop()
    }
  })

  it('a redirect that goes in circles: a few steps, then it is the caller’s answer', async () => {
    const spoils = await attack(stage, (_call, response, gateway) => {
      response.writeHead(307, { location: `${gateway.chat}?${gateway.seen.length}` }).end()
    })
    expect(spoils.codes).toEqual([307])
    expect(spoils.sends.length).toBeLessThanOrEqual(6)
  })

  it('a redirect to the routes of the account: no challenge is taken from there', async () => {
    const spoils = await attack(stage, (call, response, gateway) => {
      if (call.path === '/v1/chat/completions') return gateway.refuse(response, null)
      response.writeHead(307, { location: '/v1/chat/completions' }).end()
    })
    expect(spoils.codes).toEqual([307])
    expect(spoils).toMatchObject({ sends: ['unpaid'], signatures: 0 })
  })

  it('whose payee is named by a stranger: the stranger gets a voucher that only the payee can cash', async () => {
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    const honest = await stage.gateway()
    expect(codeOf(await mpp.pay(honest.chat, chat(500)))).toBe(200)
    const stranger = await startHostile(stage.chain, (_call, response, gateway) => {
      gateway.refuse(response, 'mpp_voucher_bucket_refresh_required', { terms: { recipient: honest.payee } })
    })
    try {
      const outcomes = []
      for (let at = 0; at < 4; at += 1) outcomes.push(await mpp.pay(stranger.chat, chat(500)))
      for (const outcome of outcomes) expect(outcome.status).toBe('failed')
      const [highest = 0n] = (await stranger.vouchers()).values()
      // Acknowledged by the honest gateway: 0.1. The exposure above that is not passed, whoever asks.
      expect(highest).toBeLessThanOrEqual(2_100_000n)
      expect(await stranger.cashIn()).toBe(0n)
      expect(await stage.balance(honest.payee)).toBe(0n)
      // And the channel goes on working where it belongs.
      expect(codeOf(await mpp.pay(honest.chat, chat(500)))).toBe(200)
    } finally {
      await stranger.stop()
    }
  })
})

describe.concurrent('nonsense', () => {
  const request = (change: (usual: Record<string, unknown>, details: Record<string, unknown>) => void): string => {
    const details: Record<string, unknown> = { chainId: stage.chain.chainId, sessionProtocol: 'v2' }
    const usual: Record<string, unknown> = {
      amount: '1000000',
      currency: stage.chain.token,
      recipient: lowerCase(STRANGER),
      methodDetails: details,
    }
    change(usual, details)
    return encodeBase64url(JSON.stringify(usual))
  }
  const amounts: readonly unknown[] = [
    ...[
      '',
      '-1',
      '+1',
      '1e6',
      '0x10',
      '1.5',
      ' 1',
      '1 ',
      '١٢٣',
      'NaN',
      'Infinity',
      '1_000',
      '9'.repeat(30),
      '9'.repeat(4000),
    ],
    ...[(MAX_UINT96 + 1n).toString(), 1000000, Number.MAX_VALUE, -0, true, null, [], {}, ['1']],
  ]

  it('for an amount: refused, whatever it is', async () => {
    let amount: unknown
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account)
    const gateway = await startHostile(stage.chain, (_call, response, hostile) => {
      const odd = request((usual) => Object.assign(usual, { amount }))
      response.writeHead(402, { 'www-authenticate': hostile.challenge({}, { request: odd }) }).end()
    })
    try {
      for (amount of amounts) {
        expect(codeOf(await mpp.pay(gateway.chat, chat(500))), JSON.stringify(amount)).toBe('challenge_rejected')
      }
      expect(payer.signatures()).toBe(0)
    } finally {
      await gateway.stop()
    }
  })

  it.each<[string, (usual: Record<string, unknown>, details: Record<string, unknown>) => void]>([
    ['a chain that is no number', (_, details) => Object.assign(details, { chainId: '42431' })],
    ['a chain below zero', (_, details) => Object.assign(details, { chainId: -42431 })],
    ['a chain that is no whole number', (_, details) => Object.assign(details, { chainId: 42431.5 })],
    ['a token that is no address', (usual) => Object.assign(usual, { currency: '0x20c0' })],
    ['a payee that is no address', (usual) => Object.assign(usual, { recipient: 'Ando' })],
    ['a payee that is a list', (usual) => Object.assign(usual, { recipient: [STRANGER] })],
    ['an operator that is no address', (_, details) => Object.assign(details, { operator: 'me' })],
    ['a suggested deposit below zero', (usual) => Object.assign(usual, { suggestedDeposit: '-5' })],
    ['no details', (usual) => Reflect.deleteProperty(usual, 'methodDetails')],
    ['details that are a list', (usual) => Object.assign(usual, { methodDetails: [1] })],
  ])('%s: refused', async (_name, change) => {
    const spoils = await attack(stage, (_call, response, gateway) => {
      const odd = request(change)
      response.writeHead(402, { 'www-authenticate': gateway.challenge({}, { request: odd }) }).end()
    })
    expect(spoils.codes).toEqual(['challenge_rejected'])
    expect(spoils.signatures).toBe(0)
  })

  it.each<[string, Parameters<HostileGateway['challenge']>[1], string]>([
    ['a request that is no base64url', { request: '{"amount":"1"}' }, 'challenge_rejected'],
    ['a request that is no JSON', { request: encodeBase64url('amount=1') }, 'challenge_rejected'],
    ['a request of brackets', { request: encodeBase64url('['.repeat(9000)) }, 'challenge_rejected'],
    [
      'a request that touches prototypes',
      { request: encodeBase64url('{"__proto__":{"amount":"1"}}') },
      'challenge_rejected',
    ],
    ['an expiry that is no date', { expires: 'tomorrow' }, 'challenge_rejected'],
    ['an expiry that no calendar has', { expires: '9999-99-99T99:99:99Z' }, 'challenge_rejected'],
    ['an expiry in the past', { expires: '2001-01-01T00:00:00Z' }, 'challenge_expired'],
    ['a digest of other bytes', { digest: `sha-256=:${'A'.repeat(43)}=:` }, 'challenge_rejected'],
    ['a digest of a kind that nobody uses', { digest: 'crc32=:AAAA:' }, 'challenge_rejected'],
    ['another method', { method: 'bitcoin' }, 'challenge_unsupported'],
    ['another intent', { intent: 'charge' }, 'challenge_unsupported'],
    ['a header of its choice for the credential', { header: 'Cookie' }, 'challenge_unsupported'],
  ])('%s: refused', async (_name, more, code) => {
    const spoils = await attack(stage, (_call, response, gateway) => {
      response.writeHead(402, { 'www-authenticate': gateway.challenge({}, more) }).end()
    })
    expect(spoils.codes).toEqual([code])
    expect(spoils.signatures).toBe(0)
    expect(spoils.sends.length).toBeLessThanOrEqual(3)
  })

  it('a challenge that never expires is answered all the same', async () => {
    const spoils = await attack(stage, async (call, response, gateway) => {
      if (call.action === 'open') await gateway.broadcast(call)
      if (call.action !== 'unpaid') return gateway.deliver(call, response)
      const header = gateway.challenge({}, { expires: '9999-12-31T23:59:59Z' })
      response.writeHead(402, { 'www-authenticate': header }).end()
    })
    expect(spoils.codes).toEqual([200])
  })
})

describe.concurrent('a refusal without any challenge', () => {
  it.each([...MPP_CODES, ...PROBLEM_TYPES])(
    '%s, to every unpaid send: a few sends, then its own name',
    async (code) => {
      const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, code, { terms: null }))
      expect(spoils.codes).toEqual([code])
      expect(spoils.sends.length).toBeLessThanOrEqual(4)
      expect(spoils.elapsedMs).toBeLessThan(45_000)
      expect(spoils).toMatchObject({ signatures: 0, gained: 0n, deposited: 0n })
    },
  )

  it.each([...MPP_CODES, ...PROBLEM_TYPES])('%s, to everything but the first send', async (code) => {
    const spoils = await attack(stage, async (call, response, gateway) => {
      if (call.action === 'open') await gateway.broadcast(call)
      gateway.refuse(response, gateway.seen.length > 1 ? code : null, gateway.seen.length > 1 ? { terms: null } : {})
    })
    expect(spoils.codes).toEqual([code])
    expect(spoils.elapsedMs).toBeLessThan(45_000)
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, highest: BUCKET, channels: 1 })
  })
})

describe.concurrent('many challenges', () => {
  const odd = 'Payment id="x", realm="r", method="bitcoin", intent="charge", request="e30"'

  it('of which only the last one can be used: that one is', async () => {
    const spoils = await attack(stage, async (call, response, gateway) => {
      if (call.action === 'open') await gateway.broadcast(call)
      if (call.action !== 'unpaid') return gateway.deliver(call, response)
      const header = [...Array.from({ length: 100 }, () => odd), gateway.challenge()].join(', ')
      response.writeHead(402, { 'www-authenticate': header }).end()
    })
    expect(spoils.codes).toEqual([200])
    expect(spoils.gained).toBe(BUCKET)
  })

  it('thousands of them: more than a header may hold, so there is no answer at all', async () => {
    const spoils = await attack(stage, (_call, response) => {
      response.writeHead(402, Array.from({ length: 3000 }, () => ['www-authenticate', odd]).flat()).end()
    })
    expect(spoils.codes).toEqual(['connection_failed'])
    expect(spoils.signatures).toBe(0)
    expect(spoils.elapsedMs).toBeLessThan(45_000)
  })

  it('thousands of them, over a fetch that lets them through: refused for their length', async () => {
    const started = Date.now()
    const gateway = await startHostile(stage.chain, (_call, response, hostile) => {
      const usable = Array.from({ length: 4000 }, () => ['www-authenticate', hostile.challenge()])
      response.writeHead(402, usable.flat()).end()
    })
    try {
      const payer = counted(stage.payer())
      const mpp = createMppClient({ account: payer.account, rpcUrl: stage.chain.rpcUrl, fetch: roomyFetch })
      const outcome = await mpp.pay(gateway.chat, chat(500))
      expect(failureOf(outcome)).toMatchObject({ code: 'challenge_rejected' })
      expect(failureOf(outcome).detail).toContain('16384')
      expect(payer.signatures()).toBe(0)
      expect(Date.now() - started).toBeLessThan(45_000)
    } finally {
      await gateway.stop()
    }
  })

  it('a server that sends each of them anew for as long as it is asked', async () => {
    const spoils = await attack(stage, (_call, response, gateway) => gateway.refuse(response, 'payment_required'))
    expect(spoils.codes).toEqual(['payment_required'])
    expect(events(spoils.outcomes[0] ?? { trace: [] }).filter((event) => event === 'payment_required')).toHaveLength(4)
    expect(spoils.sends).toEqual(['unpaid', 'open', 'open', 'open'])
    expect(spoils).toMatchObject({ signatures: 2, gained: 0n, lost: 0n })
  })
})
