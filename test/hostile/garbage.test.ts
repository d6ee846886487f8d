// Answers made of garbage, over real HTTP: whatever comes back, a request ends, with a name for how, and within the limits.
// Must never accept a failure without a name: an internal error is a defect of this side, whatever the server sent.
import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CODE_FACTS, MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'
import type { MppClient, PaymentOutcome, Policy } from '../../src/index.js'
import { encodeBase64url, formatReceipt, MAX_UINT96 } from '../../src/protocol/index.js'
import { chat, type Stage, setStage } from '../client/stage.js'
import { cases } from '../extent.js'
import { type Call, type HostileGateway, startHostile, type Terms } from './gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const RUNS = cases(300)
const EXPOSURE = 2_000_000n
const DEPOSIT = 5_000_000n

const TOO_LATE_MS = 45_000

/** Garbage may name other payees: what all channels together may hold. */
const TOTAL = 12_000_000n

/** Nothing is waited for: what is repeated after a pause is tried in the other tests. */
const AT_ONCE: Policy = {
  maxTotalDeposit: TOTAL,
  timeouts: { unpaidMs: 2_000, paidMs: 2_000, topUpMs: 2_000 },
  attempts: { RATE_LIMITED: 0, SERVER_FAILED: 0, CONNECTION_FAILED: 0, mpp_reservation_failed: 0 },
}

/** One answer. What is undefined is left out. */
interface Answer {
  /** Goes onto the socket as it is, and the connection is closed; nothing else counts then. */
  readonly raw: string | undefined
  readonly status: number
  readonly challenge: string | Terms | undefined
  readonly receipt: string | { readonly accepted: bigint; readonly spent: bigint } | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What may stand in a header: bytes but controls. */
const headerText = fc
  .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0xa0, max: 0xff })), { maxLength: 60 })
  .map((units) => String.fromCharCode(...units))
const amount = fc.oneof(fc.constantFrom(0n, 1n, 1_000_000n, EXPOSURE, MAX_UINT96), fc.bigInt({ min: 0n, max: DEPOSIT }))
const hex = (digits: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: digits, maxLength: digits })
    .map((values): `0x${string}` => `0x${values.map((value) => value.toString(16)).join('')}`)
const code = fc.oneof(
  fc.constantFrom<string>(...MPP_CODES, ...PROBLEM_TYPES, 'mpp_error', 'mpp_new', 'session/new', 'constructor'),
  fc.string({ maxLength: 30 }),
)

const terms: fc.Arbitrary<Terms> = fc.record(
  {
    amount,
    suggestedDeposit: amount,
    minVoucherDelta: amount,
    unitType: fc.constantFrom('request', 'token', ''),
    chainId: fc.constantFrom(1, 4217, 42431, 42431, 42431),
    recipient: hex(40),
    operator: hex(40),
    feePayer: fc.boolean(),
  },
  { requiredKeys: [] },
)
const parameter = fc.tuple(
  fc.constantFrom('id', 'realm', 'method', 'intent', 'request', 'expires', 'digest', 'opaque', '__proto__', 'x'),
  fc.oneof(
    headerText,
    fc.constantFrom('tempo', 'session', '2001-01-01T00:00:00Z', '2999-01-01T00:00:00Z'),
    fc.json({ maxDepth: 3 }).map(encodeBase64url),
  ),
)
const brokenChallenge = fc
  .tuple(fc.constantFrom('Payment', 'payment', 'Bearer', 'Payment Payment'), fc.array(parameter, { maxLength: 12 }))
  .map(([scheme, parameters]) => `${scheme} ${parameters.map(([name, value]) => `${name}="${value}"`).join(', ')}`)

const body = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.json({ maxDepth: 4 }),
  code.map((name) => JSON.stringify({ error: { code: name } })),
  code.map((name) => JSON.stringify({ type: `https://paymentauth.org/problems/${name}`, requiredTopUp: name })),
  fc.tuple(code, amount).map(([name, requiredTopUp]) =>
    JSON.stringify({
      type: `https://paymentauth.org/problems/${name}`,
      requiredTopUp: requiredTopUp.toString(),
      error: name,
    }),
  ),
  fc.integer({ min: 1, max: 70_000 }).map((depth) => '['.repeat(depth)),
)

/** A refusal that a server could mean: it leads deep into recovery. */
const refusal: fc.Arbitrary<Answer> = fc.record({
  raw: fc.constant(undefined),
  status: fc.constant(402),
  challenge: fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: terms }),
  receipt: fc.constant(undefined),
  headers: fc.constant({}),
  body: fc
    .constantFrom<string>(...MPP_CODES, ...PROBLEM_TYPES)
    .map((name) => JSON.stringify({ type: `https://paymentauth.org/problems/${name}`, error: name })),
})

const noise: fc.Arbitrary<Answer> = fc.record({
  raw: fc.option(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      headerText.map((text) => `HTTP/1.1 402 ${text}\r\nwww-authenticate: ${text}\r\n\r\n${text}`),
      headerText.map((text) => `HTTP/1.1 ${text}\r\n${text}: ${text}\r\n\r\n`),
    ),
    { nil: undefined, freq: 6 },
  ),
  status: fc.oneof(
    fc.constantFrom(402, 402, 402, 402, 400, 401, 403, 409, 410, 500, 502, 503, 200, 200, 204),
    fc.integer({ min: 200, max: 999 }),
  ),
  challenge: fc.option(fc.oneof(headerText, brokenChallenge, terms, fc.constant({}), fc.constant({})), {
    nil: undefined,
  }),
  receipt: fc.option(
    fc.oneof(headerText, fc.json({ maxDepth: 3 }).map(encodeBase64url), fc.record({ accepted: amount, spent: amount })),
    { nil: undefined },
  ),
  headers: fc.dictionary(
    fc.constantFrom('content-type', 'retry-after', 'location', 'x-request-id', 'payment-session-snapshot', 'etag'),
    fc.oneof(headerText, fc.constantFrom('application/json', 'application/problem+json', '/v1/models')),
  ),
  body,
})

const answer = fc.oneof(noise, refusal)

function give(call: Call, response: ServerResponse, gateway: HostileGateway, given: Answer): void {
  if (given.raw !== undefined) return void response.socket?.end(Buffer.from(given.raw, 'latin1'))
  const { challenge, receipt } = given
  const payload = call.credential?.payload
  response.writeHead(given.status, {
    'content-type': 'application/json',
    ...given.headers,
    ...(challenge !== undefined && {
      'www-authenticate': typeof challenge === 'string' ? challenge : gateway.challenge(challenge),
    }),
    ...(receipt !== undefined && {
      'payment-receipt':
        typeof receipt === 'string'
          ? receipt
          : formatReceipt({
              method: 'tempo',
              intent: 'session',
              status: 'success',
              timestamp: new Date().toISOString(),
              reference: 'r',
              challengeId: call.credential?.challenge.id ?? '',
              channelId: payload?.channelId ?? `0x${'0'.repeat(64)}`,
              acceptedCumulative: receipt.accepted,
              spent: receipt.spent,
            }),
    }),
  })
  response.end(given.body)
}

/** Pays, and says where a request was when it did not end. */
async function inTime(mpp: MppClient, url: string): Promise<PaymentOutcome> {
  const actor = mpp.createFlow(url, chat(500))
  actor.start()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const tell = () => reject(new Error(`still in ${JSON.stringify(actor.getSnapshot().value)}`))
    timer = setTimeout(tell, TOO_LATE_MS)
  })
  return Promise.race([mpp.outcomeOf(actor), late]).finally(() => clearTimeout(timer))
}

function expectNamedEnd(outcome: PaymentOutcome): void {
  if (outcome.status === 'succeeded') {
    expect(outcome.response).toBeInstanceOf(Response)
    return
  }
  const { code: name, advice } = outcome.failure
  expect(Object.keys(CODE_FACTS)).toContain(name)
  expect(name).not.toBe('internal_error')
  expect(advice).not.toBe('')
  expect(outcome.trace.at(-1)?.state).toBe('failed')
  // What is kept for a report is JSON, whatever the server put into it.
  expect(JSON.parse(JSON.stringify(outcome.failure))).toEqual(outcome.failure)
}

describe.concurrent('garbage', () => {
  it.each(['unpaid', 'paid'] as const)(
    'as the answer to %s sends, each with its own',
    async (to) => {
      const payer = stage.payer()
      const mpp = stage.client(payer, { policy: AT_ONCE })
      let answers: Answer[] | null = null
      const gateway = await startHostile(stage.chain, async (call, response, hostile) => {
        // In peace: the channel is opened first. Then garbage, until there is no more of it.
        const next = call.action === 'unpaid' && to === 'paid' ? undefined : answers?.shift()
        if (next !== undefined) return give(call, response, hostile, next)
        if (call.action === 'unpaid') return hostile.refuse(response, null)
        if (call.action === 'open') await hostile.broadcast(call)
        hostile.deliver(call, response)
      })
      try {
        expect((await mpp.pay(gateway.chat, chat(500))).status).toBe('succeeded')
        await fc.assert(
          fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 5 }), async (given) => {
            answers = [...given]
            const outcome = await inTime(mpp, gateway.chat)
            expectNamedEnd(outcome)
            await outcome.response?.body?.cancel()
          }),
          { numRuns: RUNS, endOnFailure: true },
        )
        for (const { signed, spent, deposit } of await mpp.sessions.list()) {
          expect(BigInt(deposit)).toBeLessThanOrEqual(DEPOSIT)
          expect(BigInt(signed) - BigInt(spent)).toBeLessThanOrEqual(EXPOSURE)
        }
        // Every voucher is within its channel's deposit, whatever was acknowledged; all deposits are within the total.
        for (const cumulative of (await gateway.vouchers()).values()) expect(cumulative).toBeLessThanOrEqual(DEPOSIT)
        const deposited = 10_000_000_000n - (await stage.balance(payer.address))
        expect(deposited).toBeLessThanOrEqual(TOTAL)
        expect(await gateway.cashIn()).toBeLessThanOrEqual(deposited)
      } finally {
        await gateway.stop()
      }
    },
    60_000,
  )
})
