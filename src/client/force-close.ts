// Gets a deposit back without the payee: asks the chain for the close, waits the grace period and a minute, withdraws.
// Must never send what is not stored, nor hold the lease while it waits: a close by the payee goes before it.

import type { SessionStatus } from '../../machines/index.js'
import { OptionError, readOptions } from '../options/index.js'
import { type HeldLease, isEnded, type SessionRecord, StoreError } from '../sessions/index.js'
import { ChainFailure, findClosing, readNewestBlock, signRequestClose, signWithdraw } from '../tempo/index.js'
import { channelOf } from './effects/credential.js'
import { signing } from './effects/effect.js'
import { reconcile } from './effects/reconcile.js'
import { causeOf, type ForceCloseOutcome, type ForceCloseStep, forceCloseFailure } from './force-close-outcome.js'
import { sendAndLook } from './force-close-send.js'
import { type ForceCloseOptions, forceCloseOptions } from './options.js'
import type { Runtime } from './runtime.js'
import { findSession } from './sessions.js'

const LOOK_EVERY_MS = 5_000
/** The shortest wait between two looks: about a block. */
const SHORTEST_WAIT_MS = 250
/** How often one of the two transactions is signed anew after its time ran out without the chain including it. */
const MOST_SIGNED = 3

/** One call of {@link forceClose}, as it goes on. */
interface Run {
  readonly runtime: Runtime
  readonly channelId: string
  readonly options: { readonly [K in keyof ForceCloseOptions]: ForceCloseOptions[K] | undefined }
  readonly signal: AbortSignal
  readonly signed: { requestClose: number; withdraw: number }
  /** Most that what was signed may cost, in base units of the fee token. */
  feeAtMost: bigint
  /** The chain had the request while this call was looking. */
  requested: boolean
  calledOff: boolean
  withdrawableAt: number | null
  withdrawal: string | null
  /** What the node said to the last transaction that it did not take. */
  refusal: string | null
  failingSince: number | null
}

/** What may be different the next time. */
const PASSING: ReadonlySet<ChainFailure['reason']> = new Set([
  'unreachable',
  'rate_limited',
  'behind',
  'implausible',
  'unknown',
  'reverted',
  'nonce_spent',
  'validity_expired',
])

const PASSING_OF_STORE: ReadonlySet<StoreError['reason']> = new Set(['busy', 'unavailable', 'lease_lost'])

/** The chain answers and includes nothing. */
class NotIncluded extends Error {
  override readonly name = 'NotIncluded'
}

function mayPass(error: unknown): boolean {
  if (error instanceof ChainFailure) return PASSING.has(error.reason)
  return error instanceof StoreError && PASSING_OF_STORE.has(error.reason)
}

/**
 * Closes a channel against the chain alone (TIP-1034): `requestClose`, the grace period and a minute, `withdraw`. Works with the gateway
 * gone, and goes on where an earlier call, of this process or another, left off. Never throws.
 *
 * @example
 * ```ts
 * import type { MppClient } from 'mpp-flow'
 *
 * export async function refund(mpp: MppClient, channelId: string) {
 *   const outcome = await mpp.sessions.forceClose(channelId, {
 *     onProgress: ({ step, secondsLeft }) => console.log(step, secondsLeft),
 *   })
 *   if (outcome.status === 'withdrawn') console.log(outcome.settlement?.refunded)
 * }
 * ```
 */
export async function forceClose(
  runtime: Runtime,
  channelId: string,
  given: ForceCloseOptions = {},
): Promise<ForceCloseOutcome> {
  let options: Run['options']
  try {
    options = readOptions(forceCloseOptions, given)
  } catch (error) {
    const detail = error instanceof OptionError ? error.message : null
    return forceCloseFailure(channelId, 'internal_error', detail, null, {
      advice: 'Correct the option; nothing was sent.',
    })
  }
  const run: Run = {
    runtime,
    channelId,
    options,
    signal: options.signal ?? new AbortController().signal,
    signed: { requestClose: 0, withdraw: 0 },
    feeAtMost: 0n,
    requested: false,
    calledOff: false,
    withdrawableAt: null,
    withdrawal: null,
    refusal: null,
    failingSince: null,
  }
  try {
    return await untilOver(run)
  } catch (error) {
    const stands = run.withdrawableAt !== null
    const feeAtMost = run.feeAtMost.toString()
    if (run.signal.aborted) {
      const detail = stands ? 'the request stands on the chain; call again to go on' : null
      return forceCloseFailure(channelId, 'cancelled', detail, run.withdrawableAt, { feeAtMost })
    }
    const { code, detail, named } =
      error instanceof NotIncluded
        ? { code: 'chain_unavailable' as const, detail: error.message, named: {} }
        : causeOf(error)
    return forceCloseFailure(channelId, code, detail, run.withdrawableAt, { ...named, feeAtMost })
  }
}

async function untilOver(run: Run): Promise<ForceCloseOutcome> {
  const { runtime, channelId, signal } = run
  for (let looks = 0; ; looks += 1) {
    signal.throwIfAborted()
    const record = await findSession(runtime.ledger, channelId)
    if (record === undefined) return unknown(run, looks)
    if (record.place.payer !== runtime.account.address.toLowerCase()) {
      return forceCloseFailure(channelId, 'session_unavailable', 'another account pays for this channel', null)
    }
    if (isEnded(record)) return over(run, record)
    run.withdrawableAt = record.session.withdrawableAt
    const waitMs = await patiently(run, () => advance(run, record))
    if (run.calledOff) {
      const why = 'a top-up has called the forced close off; the channel is open again'
      const advice = 'Force the close again if it is still wanted.'
      const feeAtMost = run.feeAtMost.toString()
      return forceCloseFailure(channelId, 'session_unavailable', why, null, { advice, feeAtMost })
    }
    if (waitMs > 0) await runtime.clock.pause(waitMs, signal)
  }
}

/** A failure that may pass is waited out, as long as the policy's patience for a session goes. */
async function patiently(run: Run, work: () => Promise<number>): Promise<number> {
  const { runtime, options, signal } = run
  try {
    const waitMs = await work()
    run.failingSince = null
    return waitMs
  } catch (error) {
    if (signal.aborted || !mayPass(error)) throw error
    run.failingSince ??= Date.now()
    if (Date.now() - run.failingSince >= runtime.policy.timeouts.sessionMs) throw error
    return Math.min(options.lookEveryMs ?? LOOK_EVERY_MS, 1_000)
  }
}

/** Takes the next step that the record's state asks for. @returns how long to wait before the next look, in milliseconds. */
async function advance(run: Run, before: SessionRecord): Promise<number> {
  const { runtime, signal } = run
  const { key, place } = before
  const lease = await runtime.ledger.lease(key, { signal, timeoutMs: runtime.policy.timeouts.sessionMs })
  try {
    const result = await reconcile(runtime, { key, place }, lease)
    if ('undecidedMs' in result) {
      await emit(run, before, 'deciding')
      return result.undecidedMs
    }
    const { record } = result
    // Another channel stands here by now: this one is looked for once more.
    if (record?.session.channelId !== run.channelId) return 0
    run.withdrawableAt = record.session.withdrawableAt
    run.requested ||= run.withdrawableAt !== null
    return await STEPS[record.status](run, lease, record)
  } finally {
    await lease.release()
  }
}

type Step = (run: Run, lease: HeldLease, record: SessionRecord) => Promise<number>

const DONE: Step = async () => 0
const DECIDE: Step = async (run, _lease, record) => {
  await emit(run, record, 'deciding')
  return 1_000
}

/** What is done in each state of the session machine; the machine alone says which state comes next. */
const STEPS: Readonly<Record<SessionStatus, Step>> = {
  absent: DONE,
  closed: DONE,
  withdrawn: DONE,
  lost: DONE,
  opening: DECIDE,
  toppingUp: DECIDE,
  closing: DECIDE,
  async open(run, lease, record) {
    if (!run.requested) return request(run, lease, record)
    run.calledOff = true
    return 0
  },
  closeRequested: (run, lease, record) =>
    record.session.pending === null ? wait(run, record) : send(run, lease, record, 'requesting'),
  withdrawable: (run, lease, record) =>
    record.session.pending === null ? withdraw(run, lease, record) : send(run, lease, record, 'withdrawing'),
}

async function request(run: Run, lease: HeldLease, record: SessionRecord): Promise<number> {
  const { transaction, transactionHash, validBefore } = await sign(run, record, 'requestClose')
  const event = { type: 'REQUEST_CLOSE_SIGNED', transactionHash, validBefore } as const
  const stored = await run.runtime.ledger.apply(record.key, record.place, event, { lease, transaction })
  return send(run, lease, stored, 'requesting')
}

async function withdraw(run: Run, lease: HeldLease, record: SessionRecord): Promise<number> {
  const { transaction, transactionHash, validBefore } = await sign(run, record, 'withdraw')
  const event = { type: 'WITHDRAW_SIGNED', transactionHash, validBefore } as const
  const stored = await run.runtime.ledger.apply(record.key, record.place, event, { lease, transaction })
  return send(run, lease, stored, 'withdrawing')
}

async function sign(run: Run, record: SessionRecord, kind: 'requestClose' | 'withdraw') {
  const { runtime, options, signed } = run
  if (signed[kind] >= MOST_SIGNED) {
    const said = run.refusal === null ? '' : `: ${run.refusal}`
    throw new NotIncluded(`the chain did not include any of ${MOST_SIGNED} ${kind} transactions${said}`)
  }
  const { chainId, escrow } = record.place
  const { withdrawableAt } = record.session
  const client = await runtime.clientFor(chainId)
  const { descriptor } = channelOf(record)
  const terms = {
    account: runtime.account,
    chainId,
    escrow,
    descriptor,
    maxFee: BigInt(runtime.policy.maxFee),
    clock: runtime.clock,
    ...(options.feeToken !== undefined && { feeToken: options.feeToken }),
    ...(withdrawableAt !== null && { notBefore: withdrawableAt }),
  }
  const made = await signing('forced close', () =>
    (kind === 'withdraw' ? signWithdraw : signRequestClose)(client, terms),
  )
  signed[kind] += 1
  run.feeAtMost += made.feeAtMost
  return made
}

/** Sends what is stored, whether it was sent before or not, and looks until the chain has decided about it. */
async function send(run: Run, lease: HeldLease, record: SessionRecord, step: ForceCloseStep): Promise<number> {
  await emit(run, record, step)
  if (step === 'withdrawing') run.withdrawal = record.session.pending?.transactionHash ?? null
  const { decided, refusal } = await sendAndLook(run.runtime, lease, record, run.signal)
  run.refusal = refusal
  return decided ? 0 : 1_000
}

async function wait(run: Run, record: SessionRecord): Promise<number> {
  const left = await emit(run, record, 'waiting')
  const most = run.options.lookEveryMs ?? LOOK_EVERY_MS
  return Math.max(SHORTEST_WAIT_MS, Math.min(most, (left ?? 0) * 1000))
}

/** @returns the seconds left, by the chain's clock. */
async function emit(run: Run, record: SessionRecord, step: ForceCloseStep): Promise<number | null> {
  const { withdrawableAt, pending } = record.session
  let secondsLeft: number | null = null
  if (withdrawableAt !== null) {
    const { blockTime } = await readNewestBlock(await run.runtime.clientFor(record.place.chainId), {
      clock: run.runtime.clock,
    })
    secondsLeft = Math.max(0, withdrawableAt - blockTime)
  }
  const txHash = pending?.transactionHash ?? null
  run.options.onProgress?.({ channelId: run.channelId, step, withdrawableAt, secondsLeft, txHash })
  return secondsLeft
}

function unknown({ channelId, feeAtMost }: Run, looks: number): ForceCloseOutcome {
  if (looks > 0) {
    const never = 'the channel was never funded: its open can no longer be included'
    return forceCloseFailure(channelId, 'session_unavailable', never, null, {
      advice: 'There is nothing to get back.',
      feeAtMost: feeAtMost.toString(),
    })
  }
  const advice = 'List the sessions, or recover: channels that the ledger does not know are found on the chain.'
  return forceCloseFailure(channelId, 'session_unavailable', 'the ledger does not know this channel', null, { advice })
}

/** How the channel ended, whoever ended it. */
async function over(
  { runtime, channelId, withdrawal, ...run }: Run,
  record: SessionRecord,
): Promise<ForceCloseOutcome> {
  const { settled, refunded, seenAtBlock } = record.session
  const status = record.status === 'withdrawn' ? 'withdrawn' : 'closed'
  const feeAtMost = run.feeAtMost.toString()
  if (refunded === null) return { status, channelId, settlement: null, feeAtMost }
  const known = status === 'withdrawn' ? withdrawal : null
  const txHash = known ?? (await closingHash(runtime, record, seenAtBlock))
  return { status, channelId, settlement: { settled, refunded, txHash }, feeAtMost }
}

async function closingHash(runtime: Runtime, record: SessionRecord, fromBlock: number | null): Promise<string | null> {
  try {
    const client = await runtime.clientFor(record.place.chainId)
    const where = { channelId: channelOf(record).channelId, escrow: record.place.escrow, fromBlock }
    return (await findClosing(client, where))?.txHash ?? null
  } catch {
    // What came of it is known; only the hash of the transaction is not, and the outcome says so.
    return null
  }
}
