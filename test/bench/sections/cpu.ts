// What a flow costs by itself: the machine alone, then the whole client over a gateway in memory. No network, no crypto.
// Must never count what the gateway in memory costs as the client's: it is measured apart, and taken off.

import { measure } from 'mitata'
import { createActor, fromCallback } from 'xstate'
import {
  type ChallengeSummary,
  type EffectInput,
  type PaymentFlowEvent,
  type PaymentFlowInput,
  paymentFlowMachine,
  type SessionView,
} from '../../../machines/index.js'
import { createMppClient, memoryStore } from '../../../src/index.js'
import { newPayer, openInStore } from '../ground/channel.js'
import { type MemoryGateway, memoryGateway } from '../ground/memory-gateway.js'
import { bodyOf, CHAIN_ID, ESCROW, PAYEE, TOKEN } from '../ground/terms.js'
import { section, type Task } from '../processes.js'
import { type SectionResult, told } from '../result.js'
import { type Spread, spreadOf } from '../statistics.js'

const BODY = bodyOf(1_024)
const INIT: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY }

const FACTS = {
  status: 402,
  requestId: null,
  challengeId: 'bench',
  challengesOffered: 1,
  cumulative: null,
  requiredTopUp: null,
  retryAfterMs: null,
  contended: false,
} as const

const CHALLENGE: ChallengeSummary = {
  id: 'bench',
  realm: 'bench',
  channelKey: 'bench',
  amount: '1000000',
  unitType: null,
  suggestedDeposit: '5000000',
  minVoucherDelta: '0',
  currency: TOKEN,
  recipient: PAYEE,
  operator: PAYEE,
  chainId: CHAIN_ID,
  escrow: ESCROW,
  feePayer: false,
  expiresAt: null,
  snapshot: null,
}

const SESSION: SessionView = {
  status: 'open',
  channelId: '0xc1',
  deposit: '5000000',
  signed: '1000000',
  accepted: '1000000',
  spent: '1000',
  reserved: '0',
  unacknowledged: '0',
  waiting: 0,
  depositedElsewhere: '0',
  pending: null,
  pendingAmount: '0',
  spendable: null,
}

const INPUT: PaymentFlowInput = {
  flow: 'bench',
  purpose: 'pay',
  request: { method: 'POST', origin: 'http://127.0.0.1', path: '/v1/work' },
  limits: {
    maxDeposit: '5000000',
    maxCumulative: null,
    maxExposure: '2000000',
    maxTotalDeposit: null,
    approval: false,
    retryCommitFailed: false,
    resendPaid: true,
  },
}

/** An effect that reports at once. */
const reporting = <Input extends EffectInput>(event: PaymentFlowEvent) =>
  fromCallback<PaymentFlowEvent, Input>(({ sendBack }) => {
    sendBack(event)
  })

/** The machine with effects that do nothing but report: a request paid with the voucher in hand. */
const alone = paymentFlowMachine.provide({
  actors: {
    sendUnpaid: reporting({ type: 'CHALLENGE_RECEIVED', ...FACTS }),
    parseChallenge: reporting({ type: 'CHALLENGE_ACCEPTED', challenge: CHALLENGE }),
    acquireSession: reporting({ type: 'SESSION_ACQUIRED', session: SESSION }),
    sendPaid: reporting({ type: 'PAID_ANSWER_RECEIVED', ...FACTS, status: 200, cumulative: '1000000' }),
    verifyReceipt: reporting({
      type: 'RECEIPT_VERIFIED',
      receipt: { challengeId: 'bench', channelId: '0xc1', acceptedCumulative: '1000000', spent: '1000', txHash: null },
    }),
  },
})

function runAlone(): void {
  const actor = createActor(alone, { input: INPUT })
  actor.start()
  if (actor.getSnapshot().output?.status !== 'succeeded') throw new Error('the machine did not succeed')
}

/** The two fetches of a request, with the gateway in memory answering: what is not the client's. */
async function exchangeAlone({ fetch, url }: MemoryGateway, authorization: string): Promise<void> {
  await (await fetch(url, INIT)).arrayBuffer()
  await (await fetch(url, { ...INIT, headers: { authorization } })).arrayBuffer()
}

async function cpu({ quick }: Task): Promise<SectionResult> {
  const gateway = memoryGateway()
  const store = memoryStore()
  const account = newPayer()
  await openInStore(store, account)
  let authorization = ''
  const watching: typeof globalThis.fetch = (input, init) => {
    authorization = new Headers(init?.headers).get('authorization') ?? authorization
    return gateway.fetch(input, init)
  }
  await (await createMppClient({ account, store, fetch: watching }).fetch(gateway.url, INIT)).arrayBuffer()
  const mpp = createMppClient({ account, store, fetch: gateway.fetch })
  const pay = async (): Promise<void> => {
    const response = await mpp.fetch(gateway.url, INIT)
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    await response.arrayBuffer()
  }
  const options = { min_cpu_time: (quick ? 0.2 : 3) * 1e9, batch_threshold: 0, gc: false }
  const figures: Record<string, Spread> = {}
  const note = async (name: string, run: () => void | Promise<void>): Promise<Spread> => {
    for (let time = 0; time < (quick ? 200 : 2_000); time += 1) await run()
    globalThis.gc?.()
    const { samples } = await measure(run, options)
    const spread = spreadOf(samples.map((nanoseconds) => nanoseconds / 1000))
    figures[`cpu, ${name} (µs)`] = spread
    return spread
  }
  const machine = await note('machine alone', runAlone)
  const exchange = await note('gateway in memory alone', () => exchangeAlone(gateway, authorization))
  const whole = await note('client over the gateway in memory', pay)
  const own = whole.median - exchange.median
  return {
    section: 'cpu',
    tables: [
      {
        title: 'What a flow costs by itself: no network, no signature, no hash',
        columns: ['', 'µs'],
        rows: [
          ['the machine alone, with effects that report at once', told(machine)],
          ['the gateway in memory, asked twice', told(exchange)],
          ['the client over it', told(whole)],
          ['machine and runtime: the difference of the two', own.toFixed(1)],
        ],
      },
    ],
    figures,
  }
}

section(cpu)
