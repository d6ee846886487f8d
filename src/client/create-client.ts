// The client: a fetch that pays, built from the machine, the effects and the ledger.
// Must never give two flows two ledgers: everything that one client signs goes through one.

import type { LocalAccount } from 'viem'
import { assign } from 'xstate'
import { paymentFlowMachine, plan } from '../../machines/index.js'
import { createLedger, memoryStore, type SessionStore } from '../sessions/index.js'
import { voucherSignerOf } from '../tempo/index.js'
import { type CapturedRequest, captureRequest } from './capture.js'
import { type ChainSource, chainClients } from './chain-clients.js'
import { type Clock, WALL_CLOCK } from './clock.js'
import { asActors, createEffects } from './effects/index.js'
import { finalAnswer, repeatHabit } from './final-answer.js'
import { createFlows, type Inspector, notesOf, type PaymentFlowActor, type RunningFlow } from './flows.js'
import { type ForceCloseOptions, forceClose } from './force-close.js'
import type { ForceCloseOutcome } from './force-close-outcome.js'
import { type CloseOutcome, closeOutcome, type FlowNotes, type PaymentOutcome, paymentOutcome } from './outcome.js'
import { type Policy, resolvePolicy } from './policy.js'
import { type RecoverOptions, recover } from './recover.js'
import type { RecoveryReport } from './recover-report.js'
import type { Ring } from './ring.js'
import {
  closeTarget,
  findSession,
  listSessions,
  type SessionSummary,
  type TokenTotals,
  totalSessions,
} from './sessions.js'
import { transportOver } from './transport/index.js'
import { notStarted, unclosable } from './unstarted.js'

/** What a client is made from. */
export interface MppClientOptions {
  /** Pays deposits and fees. Any viem account that signs typed data and Tempo transactions. */
  readonly account: LocalAccount
  /**
   * Signs vouchers instead of `account`, so that the key that moves the deposit can stay cold. Default: `account`, or the
   * access key behind it.
   */
  readonly voucherSigner?: LocalAccount
  /** A viem client for a chain. Give this or `rpcUrl`. */
  readonly getClient?: NonNullable<ChainSource['getClient']>
  /** RPC URL of the chain. Default: the chain's public one. */
  readonly rpcUrl?: string
  readonly policy?: Policy
  /** Where the ledger is kept. Default: in memory, so that channels are forgotten with the process. */
  readonly store?: SessionStore
  /**
   * Sends the requests. Default: the global fetch; in Node, when nobody has replaced that, the HTTP client that it is made
   * of, which sends the same bytes and heeds `setGlobalDispatcher`.
   */
  readonly fetch?: typeof globalThis.fetch
  readonly inspect?: Inspector
}

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
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
  /** The same, with the whole outcome. Never throws: arguments that fetch refuses fail with `request_invalid`. */
  pay(input: RequestInfo | URL, init?: RequestInit): Promise<PaymentOutcome>
  /**
   * The actor itself, not started: start it, watch it, send it `APPROVE`, `DENY` or `CANCEL`. The client holds on to a flow
   * from its start to its end; one that is never started is let go of with its actor.
   *
   * @throws TypeError for arguments that fetch refuses, as `fetch` does.
   */
  createFlow(input: RequestInfo | URL, init?: RequestInit, options?: FlowOptions): PaymentFlowActor
  /**
   * The outcome of a flow made by `createFlow`, once it is over; of one that is not started yet, once it was started and is
   * over. An actor that is stopped, also before its start, has the outcome that `CANCEL` would have had: `cancelled`.
   *
   * @throws Error for an actor of another client.
   */
  outcomeOf(actor: PaymentFlowActor): Promise<PaymentOutcome>
  readonly sessions: {
    /** Every channel in the ledger. */
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

/** What a single flow can be given. */
export interface FlowOptions {
  /** Watches this flow, besides whatever watches all flows of the client. */
  readonly inspect?: Inspector
}

/** How a close is asked for. */
export interface CloseOptions {
  /** A paid route of the payee. Needed for a channel that was found on the chain and not used since. */
  readonly url?: string | URL
  /** Headers of the request, such as an `Authorization` for one of the policy's `authenticatedOrigins`. */
  readonly headers?: HeadersInit
}

const NO_NOTES: FlowNotes = { response: null, trace: [], timing: [] }

/**
 * Creates a client that pays for HTTP requests with Tempo sessions.
 *
 * @throws RangeError or TypeError when a key of the policy cannot be read.
 *
 * @example
 * ```ts
 * import { createMppClient } from 'mpp-flow'
 * import { privateKeyToAccount } from 'viem/accounts'
 *
 * const mpp = createMppClient({
 *   account: privateKeyToAccount(process.env.PAYER_KEY),
 *   policy: { maxDeposit: '5', allowedOrigins: ['https://api.example.com'] },
 * })
 * const response = await mpp.fetch('https://api.example.com/v1/mpp/chat/completions', { method: 'POST', body })
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
  options: MppClientOptions,
  clock: Clock = WALL_CLOCK,
): MppClient {
  const policy = resolvePolicy(options.policy)
  const ring: Ring = {
    ledger: createLedger({ store: options.store ?? memoryStore(), leaseTtlMs: policy.timeouts.leaseMs }),
    policy,
    account: options.account,
    voucherSigner: options.voucherSigner ?? voucherSignerOf(options.account),
    clientFor: chainClients(options),
    transport: transportOver(options.fetch),
    flows: new Map(),
    channels: new WeakMap(),
    clock,
  }
  const effects = createEffects(ring)
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
  const flows = createFlows(ring, machine, effects, options.inspect)

  async function outcomeOf(running: RunningFlow): Promise<PaymentOutcome> {
    return paymentOutcome(await running.done, notesOf(running))
  }

  const capture = (input: RequestInfo | URL, init?: RequestInit): CapturedRequest =>
    captureRequest(input, init ?? undefined, policy.authenticatedOrigins)

  const start = (request: CapturedRequest): RunningFlow => flows.start(request, { purpose: 'pay' })

  return {
    createFlow: (input, init, more) => flows.createActor(capture(input, init), { purpose: 'pay' }, more?.inspect),
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
      return finalAnswer(outcome, repeatHabit(request.headers), signal)
    },
    sessions: {
      list: () => listSessions(ring.ledger),
      totals: () => totalSessions(ring.ledger),
      async close(channelId, { url, headers = {} } = {}) {
        let running: RunningFlow
        try {
          const record = await findSession(ring.ledger, channelId)
          const target = record === undefined ? null : closeTarget(record, url)
          if (record === undefined || target === null) return closeOutcome(unclosable(channelId, record), NO_NOTES)
          const request = capture(target.url, { method: target.method, headers })
          running = flows.start(request, { purpose: 'close', closing: channelId }, (resources) => {
            resources.recordKey = record.key
          })
        } catch (error) {
          return closeOutcome(unclosable(channelId, undefined, error), NO_NOTES)
        }
        return closeOutcome(await running.done, notesOf(running))
      },
      forceClose: (channelId, options) => forceClose(ring, channelId, options),
      recover: (options) => recover(ring, options),
    },
  }
}
