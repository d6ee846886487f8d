// What the tests of the tables share: a scripted gateway with an open channel behind it, and what every failure must say.
// Must never weaken a row: what is expected here holds for all of them.
import type { LocalAccount } from 'viem'
import { expect } from 'vitest'
import { CODE_FACTS, type FailureCode, type TraceStep } from '../../machines/index.js'
import type { MppClient, PaymentOutcome, Policy } from '../../src/index.js'
import type { SandboxOptions } from '../../src/sandbox/index.js'
import { memoryStore, type SessionStore } from '../../src/sessions/index.js'
import { hurriedClock } from '../../src/testing/hurried-clock.js'
import {
  type CountedAccount,
  chat,
  counted,
  failureOf,
  paySome,
  type Stage,
  states,
  type WatchedGateway,
} from '../client/stage.js'
import { type ScriptedGateway, type Send, type SendKind, startScripted } from './scripted-gateway.js'

export const AUTHORIZE = ['authorizing.acquiringSession', 'authorizing.planning']
export const CHALLENGED = ['requesting', 'parsingChallenge']
export const DONE = ['paying', 'verifyingReceipt', 'succeeded']
/** From a credential that is sent again because its first send was left open. */
export const RESENT = ['resending', 'verifyingReceipt', 'succeeded']
/** A request that needs no new signature, from its first send to its receipt. */
export const REUSE = [...CHALLENGED, ...AUTHORIZE, ...DONE]
/** The same up to its first paid send. */
export const TO_PAYING = [...CHALLENGED, ...AUTHORIZE, 'paying']

export const NOTHING = {
  channelId: null,
  deposit: '0',
  cumulative: '0',
  feeAtMost: '0',
  vouchersSigned: 0,
  paidSends: 0,
}

/** A tenth of a bucket. */
export const request = () => chat(500)

export interface Ground {
  readonly gateway: WatchedGateway
  readonly scripted: ScriptedGateway
  readonly payer: CountedAccount
  readonly account: LocalAccount
  readonly store: SessionStore
  readonly mpp: MppClient
  /** Of the channel that is open. */
  readonly channelId: string
  /** Sends since the channel was opened. */
  sends(): readonly Send[]
  /** What the client was to wait for since the channel was opened, in milliseconds; its clock is over it sooner. */
  pauses(): readonly number[]
  /** Signatures since the channel was opened. */
  signed(): number
}

export interface GroundOptions {
  readonly sandbox?: SandboxOptions
  readonly policy?: Policy
  /** Pays once before the test, so that a channel is open. Default: a tenth of its bucket. */
  readonly spend?: number
  readonly rpcUrl?: string
}

/** Starts a sandbox with a scripted gateway in front, and a client; the scripted gateway is stopped by `grounds`. */
export function prepareGrounds(stage: () => Stage) {
  const running: ScriptedGateway[] = []
  return {
    async ground({ sandbox, policy, spend = 500, rpcUrl }: GroundOptions = {}): Promise<Ground> {
      const gateway = await stage().gateway(sandbox)
      const scripted = await startScripted(gateway)
      running.push(scripted)
      const payer = counted(stage().payer())
      const store = memoryStore()
      const clock = hurriedClock()
      const limits = { maxDeposit: '20', maxExposure: '10', ...policy }
      const own = { policy: limits, store, ...(rpcUrl !== undefined && { rpcUrl }) }
      const mpp = stage().client(payer.account, own, clock)
      if (spend > 0) await paySome(mpp, scripted.chat, 1, () => chat(spend))
      const [session] = await mpp.sessions.list()
      const before = { sends: scripted.sends.length, signatures: payer.signatures(), pauses: clock.pauses.length }
      return {
        gateway,
        scripted,
        payer,
        account: payer.account,
        store,
        mpp,
        channelId: session?.channelId ?? '',
        sends: () => scripted.sends.slice(before.sends),
        pauses: () => clock.pauses.slice(before.pauses),
        signed: () => payer.signatures() - before.signatures,
      }
    },
    stop: () => Promise.all(running.map((scripted) => scripted.stop())),
  }
}

export const kinds = (sends: readonly Send[]): SendKind[] => sends.map(({ kind }) => kind)

export const cumulatives = (sends: readonly Send[]): string[] =>
  sends.flatMap(({ credential }) => {
    const payload = credential?.payload
    return payload !== undefined && 'cumulativeAmount' in payload ? [payload.cumulativeAmount] : []
  })

/** Sends that carry the request itself: every one must have the same bytes and the same key. */
export function expectIdenticalRequests(sends: readonly Send[]): void {
  // A top-up may ask for a challenge of its own first, without the body.
  const contents = sends.filter(
    ({ kind, body }, at) =>
      kind !== 'topUp' && kind !== 'close' && (body.length > 0 || sends[at + 1]?.kind !== 'topUp'),
  )
  expect(new Set(contents.map(({ body }) => body)).size).toBe(1)
  expect(contents[0]?.body.length).toBeGreaterThan(0)
  expect(new Set(contents.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
}

/** The states of a flow, one after the other: a state that only took note of something counts once. */
export const route = (outcome: { readonly trace: readonly TraceStep[] }): string[] =>
  states(outcome).filter((state, at, all) => state !== all[at - 1])

/** What a failure says whatever its code: advice and retryability of the code, where to look, what was authorised. */
export function expectFailure(
  outcome: PaymentOutcome,
  code: FailureCode,
  expected: {
    readonly httpStatus: number | null
    readonly authorised: Record<string, unknown>
    readonly cause?: string | null
    /** Default: only when the outcome is unknown. */
    readonly mayHaveBeenCharged?: boolean
    readonly channelId?: string | null
    readonly requestId?: string | undefined
  },
) {
  const failure = failureOf(outcome)
  const { mayHaveBeenCharged = code === 'outcome_unknown' } = expected
  const { advice } = CODE_FACTS[mayHaveBeenCharged ? 'outcome_unknown' : code]
  const retryable = CODE_FACTS[code].retryable && !mayHaveBeenCharged
  // A limit that stopped the flow is named in its place.
  const told = failure.limit === null ? advice : advice.replace('named limit', `limit ${failure.limit}`)
  expect(failure).toMatchObject({ code, advice: told, retryable, mayHaveBeenCharged, cause: expected.cause ?? null })
  expect(advice.length).toBeGreaterThan(5)
  expect(failure.references.httpStatus).toBe(expected.httpStatus)
  if (expected.channelId !== undefined) expect(failure.references.channelId).toBe(expected.channelId)
  if (expected.requestId !== undefined) expect(failure.references.requestId).toBe(expected.requestId)
  expect(failure.authorised).toMatchObject(expected.authorised)
  expect(outcome.authorised).toEqual(failure.authorised)
  expect(outcome.trace.at(-1)?.state).toBe('failed')
  return failure
}
