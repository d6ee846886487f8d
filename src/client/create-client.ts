// The client: a fetch that pays, built from the machine, the effects and the ledger.
// Must never give two flows two ledgers: everything that one client signs goes through one.

import type { LocalAccount } from 'viem'
import { type Actor, assign, createActor, type InspectionEvent, type Observer } from 'xstate'
import {
  type PaymentFlowInput,
  type PaymentFlowOutput,
  paymentFlowMachine,
  plan,
  stateName,
  type TraceStep,
  traceInto,
} from '../../machines/index.js'
import { createLedger, memoryStore, type SessionStore } from '../sessions/index.js'
import { voucherSignerOf } from '../tempo/index.js'
import { type CapturedRequest, captureRequest } from './capture.js'
import { type ChainSource, chainClients } from './chain-clients.js'
import { createEffects } from './effects/index.js'
import { finalAnswer, repeatHabit } from './final-answer.js'
import { type ForceCloseOptions, forceClose } from './force-close.js'
import type { ForceCloseOutcome } from './force-close-outcome.js'
import { type CloseOutcome, closeOutcome, type FlowNotes, type PaymentOutcome, paymentOutcome } from './outcome.js'
import { type Policy, resolvePolicy } from './policy.js'
import { type RecoverOptions, recover } from './recover.js'
import type { RecoveryReport } from './recover-report.js'
import { endFlow, type FlowResources, openFlow, type Ring } from './ring.js'
import { findSession, listSessions, type SessionSummary, type TokenTotals, totalSessions } from './sessions.js'
import { notStarted, unclosable } from './unstarted.js'

/** An XState inspector: a function or an observer, such as `createBrowserInspector().inspect` gives. */
export type Inspector = ((event: InspectionEvent) => void) | Observer<InspectionEvent>

/** A running flow: XState's actor of the payment-flow machine. */
export type PaymentFlowActor = Actor<typeof paymentFlowMachine>

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
  /** Default: the global fetch. */
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
   * @throws PaymentFlowError when there is no answer; the signal's reason when it was aborted.
   */
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
  /** The same, with the whole outcome. Never throws. */
  pay(input: RequestInfo | URL, init?: RequestInit): Promise<PaymentOutcome>
  /** The actor itself, not started: start it, watch it, send it `APPROVE`, `DENY` or `CANCEL`. */
  createFlow(input: RequestInfo | URL, init?: RequestInit, options?: FlowOptions): PaymentFlowActor
  /** The outcome of a flow made by `createFlow`, once it is over. */
  outcomeOf(actor: PaymentFlowActor): Promise<PaymentOutcome>
  readonly sessions: {
    /** Every channel in the ledger. */
    list(): Promise<readonly SessionSummary[]>
    /** Sums of all channels, per chain and token. */
    totals(): Promise<readonly TokenTotals[]>
    /** Asks the payee to settle what was spent and refund the rest. Never throws. */
    close(channelId: string, options?: CloseOptions): Promise<CloseOutcome>
    /**
     * Gets the deposit back without the payee: a request on the chain, a grace period of 15 minutes, a withdrawal. Goes on
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

interface Running {
  readonly resources: FlowResources
  readonly trace: TraceStep[]
  readonly timing: number[]
  readonly done: Promise<PaymentFlowOutput>
}

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
 * The same client over a machine that is given: for tests that change the machine and must notice. Not part of the
 * package's interface.
 */
export function clientRunning(base: typeof paymentFlowMachine, options: MppClientOptions): MppClient {
  const policy = resolvePolicy(options.policy)
  const ring: Ring = {
    ledger: createLedger({ store: options.store ?? memoryStore() }),
    policy,
    account: options.account,
    voucherSigner: options.voucherSigner ?? voucherSignerOf(options.account),
    clientFor: chainClients(options),
    // Looked up at each call, so that a patched global fetch is used.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    flows: new Map(),
  }
  const machine = base.provide({
    actors: createEffects(ring),
    actions: {
      plan: assign(({ context }) => {
        const { challenge, session, limits, demand, reconciled, turn } = context
        if (challenge === null || session === null) return { plan: null }
        return { plan: plan({ challenge, session, limits, demand, reconciled, turn }, policy.strategy) }
      }),
    },
  })
  const running = new WeakMap<PaymentFlowActor, Running>()

  function start(
    request: CapturedRequest,
    purpose: Pick<PaymentFlowInput, 'purpose' | 'closing'>,
    inspect?: Inspector,
  ): PaymentFlowActor {
    const id = crypto.randomUUID()
    const resources = openFlow(ring, id, request)
    const trace: TraceStep[] = []
    const timing: number[] = []
    const note = traceInto(trace)
    const { method, url } = request
    const actor: PaymentFlowActor = createActor(machine, {
      id: `payment-flow-${id.slice(0, 8)}`,
      input: {
        flow: id,
        request: { method, origin: url.origin, path: url.pathname },
        limits: policy.limits,
        bounds: policy.bounds,
        ...purpose,
      },
      inspect: (event) => {
        note(event)
        while (timing.length < trace.length) timing.push(Date.now())
        tell(options.inspect, event)
        tell(inspect, event)
      },
    })
    trace.push({ state: stateName(actor.getSnapshot().value), event: 'START' })
    timing.push(Date.now())
    const cancel = (): void => actor.send({ type: 'CANCEL' })
    request.signal?.addEventListener('abort', cancel, { once: true })
    const done = new Promise<PaymentFlowOutput>((resolve, reject) => {
      const over = (): Promise<void> => {
        request.signal?.removeEventListener('abort', cancel)
        return endFlow(ring, resources)
      }
      actor.subscribe({
        complete: () => {
          const { output } = actor.getSnapshot()
          // Stopped from outside before it was over: there is no output, and nobody to hand one to.
          const settle = (): void =>
            output === undefined ? reject(new Error('the flow was stopped')) : resolve(output)
          over().then(settle, settle)
        },
        error: (error) => {
          over().then(
            () => reject(error),
            () => reject(error),
          )
        },
      })
    })
    done.catch(() => undefined)
    running.set(actor, { resources, trace, timing, done })
    return actor
  }

  function runningOf(actor: PaymentFlowActor): Running {
    const found = running.get(actor)
    if (found === undefined) throw new Error('this actor was not created by this client')
    return found
  }

  async function outcomeOf(actor: PaymentFlowActor): Promise<PaymentOutcome> {
    const run = runningOf(actor)
    return paymentOutcome(await run.done, notesOf(run))
  }

  const createFlow: MppClient['createFlow'] = (input, init, more) =>
    start(captureRequest(input, init, policy.authenticatedOrigins), { purpose: 'pay' }, more?.inspect)

  async function run(input: RequestInfo | URL, init?: RequestInit): Promise<PaymentOutcome> {
    const actor = createFlow(input, init)
    actor.start()
    if (runningOf(actor).resources.request.signal?.aborted === true) actor.send({ type: 'CANCEL' })
    return outcomeOf(actor)
  }

  return {
    createFlow,
    outcomeOf,
    async pay(input, init) {
      try {
        return await run(input, init)
      } catch (error) {
        return notStarted(error)
      }
    },
    async fetch(input, init) {
      const outcome = await run(input, init)
      const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
      return finalAnswer(outcome, repeatHabit(input, init), signal)
    },
    sessions: {
      list: () => listSessions(ring.ledger),
      totals: () => totalSessions(ring.ledger),
      async close(channelId, { url, headers = {} } = {}) {
        let actor: PaymentFlowActor
        try {
          const record = await findSession(ring.ledger, channelId)
          const resource = url ?? record?.session.resource ?? null
          if (record === undefined || resource === null) return closeOutcome(unclosable(channelId, record), NO_NOTES)
          const request = captureRequest(resource, { method: 'POST', headers }, policy.authenticatedOrigins)
          actor = start(request, { purpose: 'close', closing: channelId })
          runningOf(actor).resources.recordKey = record.key
        } catch (error) {
          return closeOutcome(unclosable(channelId, undefined, error), NO_NOTES)
        }
        actor.start()
        const run = runningOf(actor)
        return closeOutcome(await run.done, notesOf(run))
      },
      forceClose: (channelId, options) => forceClose(ring, channelId, options),
      recover: (options) => recover(ring, options),
    },
  }
}

function notesOf({ resources, trace, timing }: Running): FlowNotes {
  return { response: resources.answer?.response ?? null, trace, timing }
}

function tell(inspector: Inspector | undefined, event: InspectionEvent): void {
  if (typeof inspector === 'function') inspector(event)
  else inspector?.next?.(event)
}
