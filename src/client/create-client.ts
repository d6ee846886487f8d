// The client: a fetch that pays, built from the machine, the effects and the ledger.
// Must never give two flows two ledgers: everything that one client signs goes through one.

import { assign } from 'xstate'
import { paymentFlowMachine, plan } from '../../machines/index.js'
import { readOptions } from '../options/index.js'
import { createLedger, memoryStore } from '../sessions/index.js'
import { voucherSignerOf } from '../tempo/index.js'
import { answeringStore } from './answering-store.js'
import { type CapturedRequest, captureRequest } from './capture.js'
import { chainClients } from './chain-clients.js'
import { type Clock, WALL_CLOCK } from './clock.js'
import { asActors, createEffects } from './effects/index.js'
import { finalAnswer, retryPolicy } from './final-answer.js'
import { rememberingLedger } from './flow-secrets.js'
import { createFlows, notesOf, type PaymentFlowActor, type RunningFlow } from './flows.js'
import { forceClose } from './force-close.js'
import type { ForceCloseOutcome } from './force-close-outcome.js'
import { warnOnce } from './forgetful.js'
import {
  type CloseOptions,
  clientOptions,
  closeOptions,
  type FlowOptions,
  type ForceCloseOptions,
  flowOptions,
  type MppClientOptions,
} from './options.js'
import { type CloseOutcome, closeOutcome, type FlowNotes, type PaymentOutcome, paymentOutcome } from './outcome.js'
import { resolvePolicy } from './policy.js'
import { type RecoverOptions, recover } from './recover.js'
import type { RecoveryReport } from './recover-report.js'
import type { Runtime } from './runtime.js'
import {
  closeTarget,
  findSession,
  listSessions,
  type SessionSummary,
  type TokenTotals,
  totalSessions,
} from './sessions.js'
import { SignedSecrets } from './signed-secrets.js'
import { type FetchInput, transportOver } from './transport/index.js'
import { notStarted, unclosable } from './unstarted.js'

/** A client that pays. */
export interface MppClient {
  /**
   * A fetch: resolves with the gateway's answer, paid for if it asked for payment.
   *
   * SDKs are told of a failed flow in the way that keeps them from paying again by their own retries: `openai` and its
   * kin get an answer with `x-should-retry: false` in any case, the AI SDK an error.
   *
   * @throws PaymentFlowError when there is no answer; the signal's reason when it was aborted; TypeError, before anything is
   * sent, for arguments that fetch refuses: a URL that is none, or neither http nor https, a body on GET. No error quotes
   * its arguments.
   */
  readonly fetch: (input: FetchInput, init?: RequestInit) => Promise<Response>
  /** The same, with the whole outcome. Never throws: arguments that fetch refuses fail with `request_invalid`. */
  pay(input: FetchInput, init?: RequestInit): Promise<PaymentOutcome>
  /**
   * The actor itself, not started: start it, watch it, send it `APPROVE`, `DENY` or `CANCEL`. The client holds on to a flow
   * from its start to its end; one that is never started is let go of with its actor.
   *
   * @throws OptionError for options that cannot be read; TypeError for arguments that fetch refuses, as `fetch` does.
   */
  createFlow(input: FetchInput, init?: RequestInit, options?: FlowOptions): PaymentFlowActor
  /**
   * The outcome of a flow made by `createFlow`, once it is over; of one that is not started yet, once it was started and is
   * over. An actor that is stopped, also before its start, has the outcome that `CANCEL` would have had: `cancelled`.
   *
   * @throws Error for an actor of another client.
   */
  outcomeOf(actor: PaymentFlowActor): Promise<PaymentOutcome>
  readonly sessions: {
    /** Every channel in the ledger. A channel that this client has just opened is looked for on the chain first. */
    list(): Promise<readonly SessionSummary[]>
    /** Sums of all channels, per chain and token. */
    totals(): Promise<readonly TokenTotals[]>
    /** Asks the payee to settle what was spent and refund the rest. Never throws. */
    close(channelId: string, options?: CloseOptions): Promise<CloseOutcome>
    /**
     * Gets the deposit back without the payee: a request on the chain, 16 minutes of waiting, a withdrawal. Goes on
     * where an earlier call left off. The payer pays both fees. Never throws.
     *
     * @see TIP-1034
     */
    forceClose(channelId: string, options?: ForceCloseOptions): Promise<ForceCloseOutcome>
    /**
     * Brings the ledger in line with the chain, and finds channels that only the chain knows. Nothing is done on start: a
     * flow settles what is pending in its own channel; this does it for all of them.
     *
     * @throws StoreError when the store cannot be read at all; the signal's reason when aborted.
     */
    recover(options?: RecoverOptions): Promise<RecoveryReport>
  }
}

const NO_NOTES: FlowNotes = { response: null, trace: [], timing: [] }

/**
 * Creates a client that pays for HTTP requests with Tempo sessions.
 *
 * @throws OptionError naming the option that is unknown or cannot be read; it never quotes what was given.
 *
 * @example
 * ```ts
 * import { createMppClient } from 'mpp-flow'
 * import { isHex } from 'viem'
 * import { privateKeyToAccount } from 'viem/accounts'
 *
 * const key = process.env.PAYER_KEY
 * if (!isHex(key)) throw new Error('PAYER_KEY must be a private key: 0x and 64 hex digits')
 * const mpp = createMppClient({
 *   account: privateKeyToAccount(key),
 *   policy: { maxDeposit: '5', allowedOrigins: ['https://api.example.com'] },
 * })
 * const response = await mpp.fetch('https://api.example.com/v1/mpp/chat/completions', {
 *   method: 'POST',
 *   headers: { 'content-type': 'application/json' },
 *   body: JSON.stringify({ model: 'small', max_tokens: 64, messages: [{ role: 'user', content: 'Hello' }] }),
 * })
 * console.log(response.status, await response.json())
 * ```
 */
export function createMppClient(options: MppClientOptions): MppClient {
  return clientRunning(paymentFlowMachine, options)
}

/**
 * The same client over a machine and a clock that are given: for tests that change the machine and must notice, and that
 * do not wait. Not part of the package's interface.
 */
export function clientRunning(
  base: typeof paymentFlowMachine,
  given: MppClientOptions,
  clock: Clock = WALL_CLOCK,
): MppClient {
  const options = readOptions(clientOptions, given)
  const policy = resolvePolicy(options.policy)
  const { sessionMs, chainMs, leaseMs } = policy.timeouts
  // What is in this memory always answers.
  const store = options.store === undefined ? memoryStore() : answeringStore(options.store, sessionMs)
  const signed = new SignedSecrets()
  const runtime: Runtime = {
    ledger: rememberingLedger(createLedger({ store, leaseTtlMs: leaseMs }), signed),
    policy,
    account: options.account,
    voucherSigner: options.voucherSigner ?? voucherSignerOf(options.account),
    clientFor: chainClients(options, chainMs),
    transport: transportOver(options.fetch),
    flows: new Map(),
    channels: new WeakMap(),
    signed,
    remembered: new Set(),
    concluding: new Set(),
    noteOpening: options.store === undefined ? warnOnce() : () => undefined,
    clock,
  }
  const effects = createEffects(runtime)
  const machine = base.provide({
    actors: asActors(effects),
    actions: {
      plan: assign(({ context }) => {
        const { challenge, session, limits, demand, reconciled, turn } = context
        if (challenge === null || session === null) return { plan: null }
        return { plan: plan({ challenge, session, limits, demand, reconciled, turn }, policy.strategy) }
      }),
    },
  })
  const flows = createFlows(runtime, machine, effects, options.inspect)

  async function outcomeOf(running: RunningFlow): Promise<PaymentOutcome> {
    return paymentOutcome(await running.done, notesOf(running))
  }

  const capture = (input: FetchInput, init?: RequestInit): CapturedRequest =>
    captureRequest(input, init ?? undefined, policy.authenticatedOrigins)

  const start = (request: CapturedRequest): RunningFlow => flows.start(request, { purpose: 'pay' })

  return {
    createFlow(input, init, more) {
      const inspect = more === undefined ? undefined : readOptions(flowOptions, more).inspect
      return flows.createActor(capture(input, init), { purpose: 'pay' }, inspect)
    },
    outcomeOf: async (actor) => outcomeOf(flows.runningOf(actor)),
    async pay(input, init) {
      try {
        return await outcomeOf(start(capture(input, init)))
      } catch (error) {
        return notStarted(error)
      }
    },
    async fetch(input, init) {
      const request = capture(input, init)
      const running = start(request)
      const outcome = paymentOutcome(await running.done, notesOf(running))
      const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
      return finalAnswer(outcome, retryPolicy(request.headers), signal)
    },
    sessions: {
      async list() {
        await Promise.all(runtime.concluding)
        return listSessions(runtime.ledger)
      },
      async totals() {
        await Promise.all(runtime.concluding)
        return totalSessions(runtime.ledger)
      },
      async close(channelId, more = {}) {
        let running: RunningFlow
        try {
          const { url, headers = {} } = readOptions(closeOptions, more)
          const record = await findSession(runtime.ledger, channelId)
          const target = record === undefined ? null : closeTarget(record, url)
          if (record === undefined || target === null) return closeOutcome(unclosable(channelId, record), NO_NOTES)
          const request = capture(target.url, { method: target.method, headers })
          running = flows.start(request, { purpose: 'close', closing: channelId }, (state) => {
            state.recordKey = record.key
          })
        } catch (error) {
          return closeOutcome(unclosable(channelId, undefined, error), NO_NOTES)
        }
        return closeOutcome(await running.done, notesOf(running))
      },
      forceClose: (channelId, options) => forceClose(runtime, channelId, options),
      recover: (options) => recover(runtime, options),
    },
  }
}
