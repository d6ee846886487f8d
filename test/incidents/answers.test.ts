// Incidents with answers that were misread, thrown away or lumped together, and with requests that met each other.
// Must never cost the caller an answer that was paid for.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'
import { describeFailure } from '../../src/index.js'
import { formatReceipt, parseReceipt, type Receipt } from '../../src/protocol/index.js'
import { startProxy } from '../client/proxy.js'
import { chat, counted, failureOf, paySome, type Stage, setStage } from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const PATH = '/v1/mpp/chat/completions'

describe.concurrent('5. two requests at once produce the same cumulative amount', () => {
  it('both go through, again and again, and no amount is signed twice', async () => {
    // Two requests fill a bucket: every pair needs the next voucher, and both find out at once.
    const gateway = await stage.gateway({ suggestedDeposit: '20', latencyMs: 5 })
    const payer = counted(stage.payer())
    const mpp = stage.client(payer.account, { policy: { maxDeposit: '20' } })
    for (let pair = 0; pair < 10; pair += 1) {
      const both = await Promise.all([mpp.pay(gateway.chat, chat(2_500)), mpp.pay(gateway.chat, chat(2_500))])
      expect(both.map((outcome) => (outcome.status === 'failed' ? describeFailure(outcome.failure) : 200))).toEqual([
        200, 200,
      ])
    }
    expect(payer.vouchers).toHaveLength(10)
    expect(new Set(payer.vouchers).size).toBe(10)
    expect(gateway.accounting().channels).toMatchObject([{ accepted: '10000000', spent: '10000000' }])
    expect(await mpp.sessions.list()).toMatchObject([{ signed: '10000000', accepted: '10000000' }])
  })
})

describe.concurrent('6. a paid answer is thrown away because its receipt looks wrong', () => {
  const changed = (change: (receipt: Receipt) => Partial<Receipt>) => (header: string | null) => {
    const receipt = parseReceipt(header)
    return receipt.ok ? formatReceipt({ ...receipt.value, ...change(receipt.value) }) : null
  }
  it.each<[string, (header: string | null) => string | null]>([
    ['is missing', () => null],
    ['is no base64url', () => '!!!'],
    ['is no JSON', () => 'bm90IGpzb24'],
    ['is for another channel', changed(() => ({ channelId: `0x${'1'.repeat(64)}` }))],
    ['is for another challenge', changed(() => ({ challengeId: 'another' }))],
    ['claims more than was signed', changed(() => ({ acceptedCumulative: 9_000_000n }))],
    ['spent more than it accepted', changed(({ acceptedCumulative }) => ({ spent: acceptedCumulative + 1n }))],
    ['has the time in another calendar', () => 'eyJ0aW1lc3RhbXAiOiJ5ZXN0ZXJkYXkifQ'],
  ])('it %s: the answer is delivered whole, and the next request is paid', async (_name, rewrite) => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, {
      answer: ({ headers, request }) => {
        if (!request.paid) return
        const header = rewrite(headers.get('payment-receipt'))
        if (header === null) headers.delete('payment-receipt')
        else headers.set('payment-receipt', header)
      },
    })
    try {
      const mpp = stage.client(stage.payer())
      for (let at = 0; at < 2; at += 1) {
        const outcome = await mpp.pay(proxy.url + PATH, chat(500))
        expect(outcome.status).toBe('succeeded')
        expect(outcome.receipt).toBeUndefined()
        expect(outcome.receiptProblem?.length).toBeGreaterThan(5)
        expect(await outcome.response?.json()).toMatchObject({ object: 'chat.completion' })
      }
      // What nobody could prove is not in the ledger; what was signed is.
      expect(await mpp.sessions.list()).toMatchObject([{ spent: '0', signed: '1000000', deposit: '5000000' }])
      expect(gateway.accounting().channels).toMatchObject([{ spent: '200000' }])
    } finally {
      await proxy.stop()
    }
  })
})

describe.concurrent('7. several challenges in one 402, the first unusable', () => {
  it.each<[string, string]>([
    ['another method', 'Payment id="1", realm="r", method="stripe", intent="charge", request="e30"'],
    ['another intent', 'Payment id="1", realm="r", method="tempo", intent="charge", request="e30"'],
    ['a broken request', 'Payment id="1", realm="r", method="tempo", intent="session", request="!!!"'],
    ['no id', 'Payment realm="r", method="tempo", intent="session", request="e30"'],
    ['another scheme', 'Bearer realm="Payment, not here", error="a \\"quoted\\" one"'],
    [
      'an expired one',
      'Payment id="1", realm="r", method="tempo", intent="session", expires="2001-01-01T00:00:00Z", request="e30"',
    ],
  ])('%s first: the one that can be used is used', async (_name, first) => {
    const gateway = await stage.gateway()
    const proxy = await startProxy(gateway.url, {
      answer: ({ headers }) => {
        const own = headers.get('www-authenticate')
        if (own !== null) headers.set('www-authenticate', `${first}, ${own}, ${first}`)
      },
    })
    try {
      const mpp = stage.client(stage.payer())
      await paySome(mpp, proxy.url + PATH, 2, () => chat(500))
      expect(gateway.accounting().counts).toMatchObject({ opens: 1, completions: 2, rejectedCredentials: 0 })
    } finally {
      await proxy.stop()
    }
  })
})

describe.concurrent('8. every distinct rejection collapses into one generic error', () => {
  const NO_RECOVERY = Object.fromEntries([...MPP_CODES, ...PROBLEM_TYPES].map((code) => [code, 0]))

  it('every code of the gateway is the code of the failure, with words of its own', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { policy: { attempts: NO_RECOVERY } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const [session] = await mpp.sessions.list()
    const words = new Map<string, string>()
    for (const code of MPP_CODES) {
      gateway.inject(code)
      const closes = code.startsWith('mpp_session_close_')
      const outcome = closes
        ? await mpp.sessions.close(session?.channelId ?? '')
        : await mpp.pay(gateway.chat, chat(500))
      if (outcome.status !== 'failed') throw new Error(`${code} was no failure`)
      expect(outcome.failure.code).toBe(code)
      words.set(code, describeFailure(outcome.failure).split(' Nothing was')[0]?.split(' This request')[0] ?? '')
    }
    expect(words.size).toBe(MPP_CODES.length)
    expect(new Set(words.values()).size).toBe(MPP_CODES.length)
    // And none of it has done any harm.
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it('and so is each of the standard problem types', async () => {
    const gateway = await stage.gateway()
    let problem = ''
    const proxy = await startProxy(gateway.url, {
      answer: (answer) => {
        if (!answer.request.paid || problem === '') return
        answer.status = problem === 'internal-payment-error' ? 500 : 402
        answer.headers.set('content-type', 'application/problem+json')
        answer.headers.delete('payment-receipt')
        const body = { type: `https://paymentauth.org/problems/${problem}`, status: answer.status, title: 'Refused' }
        answer.body = new TextEncoder().encode(JSON.stringify(body))
      },
    })
    try {
      const mpp = stage.client(stage.payer(), { policy: { attempts: NO_RECOVERY } })
      await paySome(mpp, proxy.url + PATH, 1, () => chat(500))
      for (const type of PROBLEM_TYPES) {
        problem = type
        expect(failureOf(await mpp.pay(proxy.url + PATH, chat(50))).code).toBe(type)
      }
      problem = ''
      await paySome(mpp, proxy.url + PATH, 1, () => chat(50))
    } finally {
      await proxy.stop()
    }
  })
})
