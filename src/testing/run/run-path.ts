// Runs one path for real: the real client, over HTTP, with real signatures, on a real chain, against a scripted gateway.
// Must never call a run good whose flow went any other way than the model.

import { Actor, type AnyActor } from 'xstate'
import { paymentFlowMachine } from '../../../machines/index.js'
import { clientRunning } from '../../client/create-client.js'
import { type MppClientOptions, PATH_USD, type Policy, USDC_E } from '../../client/index.js'
import { memoryStore } from '../../sessions/index.js'
import { endOf, type PathPlan, type PlanStep } from '../model/plan.js'
import { OTHER_TOKEN } from './challenge-forge.js'
import { createFaultInjector } from './fault-injector.js'
import { createOtherProcess } from './other-process.js'
import { createPathClock } from './path-clock.js'
import { createPlanChecker, type Divergence } from './plan-checker.js'
import { startRpcRelay } from './rpc-relay.js'
import type { SendKind } from './sends.js'
import type { PathGround, PathNeeds, PathTarget } from './target.js'

/** What came of a run. */
export interface PathResult {
  readonly ok: boolean
  /** How the flow left its path; null when it did not. */
  readonly divergence: Divergence | null
  /** Steps seen to be taken, of all. */
  readonly taken: number
  /** What the flow sent, in order. */
  readonly sends: readonly SendKind[]
}

export interface RunOptions {
  /** The machine that the client runs. Default: the payment-flow machine, from which the paths are made. */
  readonly machine?: typeof paymentFlowMachine
  /** How long one step may take. Default 45 s. */
  readonly stepTimeoutMs?: number
}

const STEP_TIMEOUT_MS = 45_000

/** The policy that allows what the setting of a path allows, and no more. */
function policyOf({ setting, steps }: PathPlan, ground: PathGround, asked: () => undefined): Policy {
  const { limits, bounds } = setting
  const forbidden = steps.some(({ cause }) => cause.by === 'policy')
  const { allowedTokens = [USDC_E, PATH_USD] } = ground.policy ?? {}
  return {
    ...ground.policy,
    ...(offersChoice(steps) && { allowedTokens: [...allowedTokens, OTHER_TOKEN] }),
    maxDeposit: BigInt(limits.maxDeposit),
    maxExposure: BigInt(limits.maxExposure),
    ...(limits.maxCumulative !== null && { maxCumulative: BigInt(limits.maxCumulative) }),
    ...(limits.maxTotalDeposit !== null && { maxTotalDeposit: BigInt(limits.maxTotalDeposit) }),
    retryCommitFailed: limits.retryCommitFailed,
    resendPaid: limits.resendPaid,
    attempts: bounds,
    ...(limits.approval && { approve: asked }),
    ...(forbidden && { allowedOrigins: ['https://elsewhere.example'] }),
  }
}

/** Whether one of two offers is in a token of which the wallet must have nothing. */
function offersChoice(steps: readonly PlanStep[]): boolean {
  return steps.some(
    ({ cause }) => cause.by === 'challenge' && (cause.is === 'beyond-the-wallet' || cause.is === 'before-another'),
  )
}

/** What a path needs of its ground, or does to it that others could feel. */
export function pathNeeds({ steps }: PathPlan): PathNeeds {
  return {
    movesClock: steps.some(({ cause }) => cause.by === 'chain' && 'shows' in cause && /expire/.test(cause.shows)),
    emptiesWallet: steps.some(({ cause }) => cause.by === 'wallet' && cause.is === 'empty'),
  }
}

/**
 * Runs a path against a target and compares each step of the flow with the model's.
 *
 * @throws Error when what precedes the path cannot be brought about on this target: that says nothing of the flow.
 *
 * @example
 * ```ts
 * import { runPath, sandboxTarget, transitionPaths } from 'mpp-flow/testing'
 *
 * const target = await sandboxTarget()
 * for (const path of transitionPaths()) {
 *   const { ok, divergence } = await runPath(path, target)
 *   if (!ok) console.error(path.name, divergence)
 * }
 * await target.stop()
 * ```
 */
export async function runPath(plan: PathPlan, target: PathTarget, options: RunOptions = {}): Promise<PathResult> {
  const needs = pathNeeds(plan)
  const ground = await target.open(needs)
  const relay = await startRpcRelay(ground.rpcUrl)
  try {
    if (needs.movesClock && ground.advanceTime === undefined) {
      throw new Error('this path waits for a transaction to expire, and the target cannot move the clock of its chain')
    }
    return await runOn(ground, relay, plan, options)
  } finally {
    await relay.stop()
    await ground.stop()
  }
}

async function runOn(
  ground: PathGround,
  relay: Awaited<ReturnType<typeof startRpcRelay>>,
  plan: PathPlan,
  { machine = paymentFlowMachine, stepTimeoutMs = STEP_TIMEOUT_MS }: RunOptions,
): Promise<PathResult> {
  const { gateway, payer } = ground
  const store = memoryStore()
  const other = createOtherProcess(ground, store)
  await other.prepare(foundBy(plan))
  if (offersChoice(plan.steps)) await other.emptyWallet(OTHER_TOKEN)
  let actor: AnyActor | undefined
  let watchdog: NodeJS.Timeout | undefined
  const { promise: stopped, resolve: stop } = withResolvers()

  /** The flow rests in a state: who acts from outside acts now. */
  function rests(step: PlanStep | undefined): void {
    clearTimeout(watchdog)
    faultInjector.restore()
    if (step === undefined) {
      stop()
      return
    }
    watchdog = setTimeout(() => planChecker.diverge(`nothing within ${stepTimeoutMs} ms`), stepTimeoutMs)
    if (step.cause.by === 'clock') clock.passes(gateway.expiry())
    if (step.cause.by === 'caller' && step.cause.sends === 'CANCEL')
      queueMicrotask(() => actor?.send({ type: 'CANCEL' }))
  }

  const planChecker = createPlanChecker({ plan, onStep: rests, onDivergence: stop })
  const clock = createPathClock(() => planChecker.current())
  const begunYet = (): boolean => actor !== undefined
  const faultInjector = createFaultInjector({
    planChecker,
    begun: begunYet,
    gateway,
    relay,
    store,
    payer,
    other,
    clock,
  })
  const asked = (): undefined => {
    const cause = planChecker.current()?.cause
    // Answered later, as a person would, by an event.
    if (cause?.by === 'caller' && cause.sends !== 'CANCEL') {
      const { sends } = cause
      setTimeout(() => actor?.send({ type: sends }), 0)
    }
    return undefined
  }
  const options: MppClientOptions = {
    account: faultInjector.account,
    rpcUrl: relay.url,
    store: faultInjector.store,
    fetch: faultInjector.fetch,
    policy: policyOf(plan, ground, asked),
    inspect: (event) => {
      if (
        event.type === '@xstate.actor' &&
        event.actorRef instanceof Actor &&
        event.actorRef.sessionId === event.rootId
      ) {
        actor = event.actorRef
      }
      planChecker.inspect(event)
    },
  }
  const client = clientRunning(machine, options, clock)
  const begun = plan.setting.purpose === 'pay' ? client.createFlow(gateway.url, ground.request) : null
  const [record] = await store.list()
  rests(plan.steps[0])
  // A close starts its actor by itself; the inspector is told of it.
  const over = begun === null ? client.sessions.close(record?.session.channelId ?? '') : client.outcomeOf(begun)
  begun?.start()
  await stopped
  clearTimeout(watchdog)
  faultInjector.restore()
  actor?.stop()
  // A flow that ended gives back what it held before the ground is cleared; one that was stopped has no outcome.
  await over.catch(() => undefined)
  const ended = actor === undefined ? null : endOf(actor.getSnapshot())
  if (JSON.stringify(ended) !== JSON.stringify(plan.ends)) planChecker.diverge(`an end as ${JSON.stringify(ended)}`)
  const { sends } = faultInjector
  const contents = sends.filter(({ kind }) => kind !== 'topUp' && kind !== 'close')
  if (new Set(contents.map(({ bodyDigest }) => bodyDigest)).size > 1)
    planChecker.diverge('the bytes of the body changed')
  const divergence = planChecker.divergence() ?? null
  return { ok: divergence === null, divergence, taken: planChecker.taken(), sends: sends.map(({ kind }) => kind) }
}

/** A promise and what fulfils it (`Promise.withResolvers`, which Node 20 has not). */
function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

/** In what state the flow of a plan finds its channel. */
function foundBy({ setting, steps }: PathPlan) {
  for (const { cause } of steps) {
    if (cause.by === 'ledger' && cause.finds !== 'unchanged') return cause.finds
  }
  return setting.purpose === 'close' ? 'open' : 'absent'
}
