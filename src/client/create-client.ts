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
import { type CapturedRequest, captureRequest } from './capture.js'
import { type ChainSource, chainClients } from './chain-clients.js'
import { createEffects } from './effects/index.js'
import {
  type CloseOutcome,
  closeOutcome,
  type FlowNotes,
  PaymentFlowError,
  type PaymentOutcome,
  paymentOutcome,
} from './outcome.js'
import { type Policy, resolvePolicy } from './policy.js'
import { endFlow, type FlowResources, openFlow, type Ring } from './ring.js'
import { findSession, listSessions, type SessionSummary } from './sessions.js'
import { notStarted, unknownChannel } from './unstarted.js'

/** An XState inspector: a function or an observer, such as `createBrowserInspector().inspect` gives. */
export type Inspector = ((event: InspectionEvent) => void) | Observer<InspectionEvent>

/** A running flow: XState's actor of the payment-flow machine. */
export type PaymentFlowActor = Actor<typeof paymentFlowMachine>

/** What a client is made from. */
export interface MppClientOptions {
  /** Pays deposits and fees. Any viem account that signs typed data and Tempo transactions. */
  readonly account: LocalAccount
  /** Signs vouchers instead of `account`, so that the key that moves the deposit can stay cold. */
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
   * @throws PaymentFlowError when there is no answer; the signal's reason when it was aborted.
   */
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
  /** The same, with the whole outcome. Never throws. */
  pay(input: RequestInfo | URL, init?: RequestInit): Promise<PaymentOutcome>
  /** The actor itself, not started: start it, watch it, send it `APPROVE`, `DENY` or `CANCEL`. */
  createFlow(input: RequestInfo | URL, init?: RequestInit): PaymentFlowActor
  /** The outcome of a flow made by `createFlow`, once it is over. */
  outcomeOf(actor: PaymentFlowActor): Promise<PaymentOutcome>
  readonly sessions: {
    /** Every channel in the ledger. */
    list(): Promise<readonly SessionSummary[]>
    /** Asks the payee to settle what was spent and refund the rest. Never throws. */
    close(channelId: string): Promise<CloseOutcome>
  }
}

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
    voucherSigner: options.voucherSigner ?? options.account,
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

  function start(request: CapturedRequest, purpose: Pick<PaymentFlowInput, 'purpose' | 'closing'>): PaymentFlowActor {
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

  const createFlow: MppClient['createFlow'] = (input, init) => start(captureRequest(input, init), { purpose: 'pay' })

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
      if (outcome.status === 'succeeded') return outcome.response
      const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
      if (outcome.failure.code === 'cancelled') signal?.throwIfAborted()
      if (outcome.response === undefined) throw new PaymentFlowError(outcome)
      return explained(outcome.response, outcome.failure.code)
    },
    sessions: {
      list: () => listSessions(ring.ledger),
      async close(channelId) {
        const record = await findSession(ring.ledger, channelId)
        if (record?.session.resource === undefined || record.session.resource === null) {
          return closeOutcome(unknownChannel(channelId), { response: null, trace: [], timing: [] })
        }
        const request = captureRequest(record.session.resource, { method: 'POST' })
        const actor = start(request, { purpose: 'close', closing: channelId })
        actor.start()
        const run = runningOf(actor)
        return closeOutcome(await run.done, notesOf(run))
      },
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

/** The gateway's answer to a flow that failed, saying to SDKs that repeating it is not theirs to decide. */
function explained(response: Response, code: string): Response {
  const headers = new Headers(response.headers)
  headers.set('x-should-retry', 'false')
  headers.set('x-mpp-failure', code)
  const { status, statusText, url } = response
  const again = new Response(response.body, { status, statusText, headers })
  Object.defineProperty(again, 'url', { value: url })
  return again
}
