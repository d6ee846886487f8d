// What the tests of peers share: the chain with its payers, mppx servers on it, and the money that moved.
// Must never take anybody's word for a balance: the chain is asked.
import { afterAll, beforeAll } from 'vitest'
import type { CloseOutcome, MppClient, MppClientOptions, PaymentOutcome, Policy } from '../../src/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import { type CountedAccount, counted, failureOf, type Stage, setStage } from '../client/stage.js'
import { type MppxGateway, type MppxGatewayOptions, startMppxGateway } from './mppx-gateway.js'

/** A request that is worth paying for. */
export const work = (body = '{"do":"something"}'): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
})

/** What each party gained since the beginning, in base units. Together they are always zero: fees are none here. */
export interface Gains {
  readonly payer: bigint
  readonly payee: bigint
  readonly reserve: bigint
}

export interface Meeting {
  readonly gateway: MppxGateway
  readonly payer: CountedAccount
  readonly mpp: MppClient
  /** Pays for a request. */
  pay(init?: RequestInit): Promise<PaymentOutcome>
  /** Pays for requests one after another. @throws when one of them does not succeed. */
  paySome(times: number): Promise<void>
  /** The id of the channel used last. */
  channelId(): Promise<string>
  close(): Promise<CloseOutcome>
  gains(): Promise<Gains>
}

export interface MeetingOptions extends Omit<MppxGatewayOptions, 'chain'> {
  readonly policy?: Policy | ((gateway: MppxGateway) => Policy)
  readonly client?: Partial<MppClientOptions>
}

/** Our client and an mppx server, with a chain, for the tests of one file. */
export function prepareMeetings() {
  let stage: Stage
  const running: MppxGateway[] = []
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(async () => {
    await Promise.all(running.map((gateway) => gateway.stop()))
    await stage?.stop()
  })
  return {
    stage: () => stage,
    async meet({ policy, client, ...options }: MeetingOptions = {}): Promise<Meeting> {
      const gateway = await startMppxGateway({ chain: stage.chain, ...options })
      running.push(gateway)
      const payer = counted(stage.payer())
      const own = typeof policy === 'function' ? policy(gateway) : policy
      const mpp = stage.client(payer.account, { policy: { maxDeposit: '50', ...own }, ...client })
      const balances = async () => ({
        payer: await stage.balance(payer.account.address),
        payee: await stage.balance(gateway.account.address),
        reserve: await stage.balance(CHANNEL_RESERVE),
      })
      const before = await balances()
      const pay: Meeting['pay'] = (init = work()) => mpp.pay(gateway.url, init)
      const channelId: Meeting['channelId'] = async () => {
        const [session] = await mpp.sessions.list()
        if (session === undefined) throw new Error('there is no session')
        return session.channelId
      }
      return {
        gateway,
        payer,
        mpp,
        pay,
        async paySome(times) {
          for (let at = 0; at < times; at += 1) {
            const outcome = await pay()
            if (outcome.status !== 'succeeded') throw new Error(`payment ${at} failed: ${failureOf(outcome).code}`)
          }
        },
        channelId,
        close: async () => mpp.sessions.close(await channelId()),
        async gains() {
          const after = await balances()
          return {
            payer: after.payer - before.payer,
            payee: after.payee - before.payee,
            reserve: after.reserve - before.reserve,
          }
        },
      }
    },
  }
}

/** How often each text occurs. */
export function tally(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

/** What a close settled. @throws when it did not close anything. */
export function settlementOf(outcome: CloseOutcome) {
  if (outcome.status !== 'closed' || outcome.settlement === null) {
    throw new Error(`not closed: ${outcome.status === 'failed' ? outcome.failure.code : 'nothing was sent'}`)
  }
  return outcome.settlement
}
