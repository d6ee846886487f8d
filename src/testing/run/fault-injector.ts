// Between the client and the world: each send, each look into the ledger and each signature waits here for what the plan
// wants to happen first. Must never change what is sent, stored or signed.

import type { LocalAccount } from 'viem'
import { type SessionStore, StoreError } from '../../sessions/index.js'
import type { GatewayAnswer } from '../model/causes.js'
import type { PlanStep } from '../model/plan.js'
import type { OtherProcess } from './other-process.js'
import type { PathClock } from './path-clock.js'
import type { PlanChecker } from './plan-checker.js'
import type { RpcRelay } from './rpc-relay.js'
import type { ScriptedGateway } from './scripted-gateway.js'
import { lookAt, type SeenSend } from './sends.js'

export interface FaultInjector {
  /** What the flow has sent, in order. */
  readonly sends: readonly SeenSend[]
  readonly fetch: typeof fetch
  readonly store: SessionStore
  readonly account: LocalAccount
  /** Takes back what lasts no longer than its step: a gateway or a chain that cannot be reached. */
  restore(): void
}

export interface FaultInjectorOptions {
  readonly planChecker: PlanChecker
  /** Whether the flow has begun: nothing happens before. */
  readonly begun: () => boolean
  readonly gateway: ScriptedGateway
  readonly relay: RpcRelay
  readonly store: SessionStore
  readonly payer: LocalAccount
  readonly other: OtherProcess
  readonly clock: PathClock
}

/** Waits until the flow gives up: what was asked for will not come. */
function never(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function offers(cause: PlanStep['cause']): boolean {
  return cause.by === 'gateway' && cause.answer.challenges > 0
}

/** The answer of a step, with the challenges and the receipt that later steps need it to carry. */
export function fittingAnswer(answer: GatewayAnswer, after: readonly PlanStep[]): GatewayAnswer {
  const [next] = after
  const receipt = next?.cause.by === 'receipt' ? next.cause.is : answer.receipt
  const read = after.findIndex(({ cause }) => cause.by === 'challenge')
  const cause = after[read]?.cause
  // Another answer comes before challenges are read: they are that one's.
  const renewed = after.slice(0, Math.max(read, 0)).some((step) => offers(step.cause))
  if (cause?.by !== 'challenge' || renewed) return { ...answer, receipt, shortLived: false }
  // What was read is answered until the next ones are read.
  const later = after.slice(read + 1)
  const replaced = later.findIndex((step) => step.cause.by === 'challenge')
  const until = replaced < 0 ? later : later.slice(0, replaced)
  return { ...answer, receipt, challenge: cause.is, shortLived: until.some((step) => step.cause.by === 'clock') }
}

export function createFaultInjector({
  planChecker,
  begun,
  gateway,
  relay,
  store,
  payer,
  other,
  clock,
}: FaultInjectorOptions): FaultInjector {
  /** What a step wants to have done is done once, before anything else of that step. */
  const done = new WeakMap<PlanStep, Promise<void>>()
  let isDown = false
  let comingBack: Promise<void> | undefined

  async function happen(step: PlanStep): Promise<void> {
    const { cause } = step
    if (cause.by === 'another-process') await other.act(cause.does)
    if (cause.by === 'chain' && 'shows' in cause) await other.decide(cause.shows)
    if (cause.by === 'chain' && 'is' in cause) {
      if (cause.is === 'expensive') relay.overcharge(true)
      else relay.reach(false)
    }
    if (cause.by === 'wallet' && cause.is === 'empty') await other.emptyWallet()
  }

  /** Before the ledger is asked. @throws what the plan wants the store to throw. */
  async function beforeStore(): Promise<void> {
    const step = begun() ? planChecker.current() : undefined
    if (step === undefined) return
    const { cause } = step
    if (cause.by === 'store') {
      throw cause.is === 'broken' ? new TypeError('the store broke') : new StoreError(cause.is, 'the store refuses')
    }
    const happening = done.get(step) ?? happen(step)
    done.set(step, happening)
    await happening
  }

  /** @param isPlanned whether the answer of the step is for this send */
  async function beforeSend(signal: AbortSignal | null | undefined, isPlanned: boolean): Promise<void> {
    await comingBack
    const [step, ...after] = planChecker.ahead()
    if (step === undefined) return
    const { cause } = step
    if (!isPlanned && (cause.by === 'gateway' || (cause.by === 'connection' && cause.is === 'broken'))) return
    if (cause.by === 'gateway') await gateway.answerNext(fittingAnswer(cause.answer, after))
    else if (cause.by === 'connection' && cause.is === 'broken') await gateway.breakNext()
    else if (cause.by === 'connection') {
      isDown = true
      await gateway.goDown()
    } else if (cause.by === 'caller') await never(signal)
    else {
      planChecker.diverge('a request was sent')
      await never(signal)
    }
  }

  const sends: SeenSend[] = []
  return {
    sends,
    async fetch(input, init) {
      const seen = await lookAt(init)
      const isPlanned = !asksForBodylessChallenge(planChecker.current(), seen)
      await beforeSend(init?.signal, isPlanned)
      if (isPlanned) sends.push(seen)
      return fetch(input, init)
    },
    store: {
      ...store,
      async get(key) {
        await beforeStore()
        return store.get(key)
      },
      async list() {
        await beforeStore()
        return store.list()
      },
      async update(key, change, leases) {
        await beforeStore()
        return store.update(key, change, leases)
      },
      async acquireLease(key, holder, ttlMs) {
        await beforeStore()
        return store.acquireLease(key, holder, ttlMs)
      },
    },
    account: refusing(payer, () => {
      const cause = planChecker.current()?.cause
      return cause?.by === 'wallet' && cause.is === 'refusing'
    }),
    restore() {
      relay.reach(true)
      relay.overcharge(false)
      clock.restore()
      if (isDown) comingBack = gateway.comeBack()
      isDown = false
    },
  }
}

/** What a top-up asks first when its challenge is bound to a body: the gateway itself answers that. */
function asksForBodylessChallenge(step: PlanStep | undefined, { kind }: SeenSend): boolean {
  return kind === 'unpaid' && step?.state === 'authorizing.toppingUp'
}

/** The same account, which refuses to sign whenever `refuses` says so. */
function refusing(account: LocalAccount, refuses: () => boolean): LocalAccount {
  const guard =
    <Args extends readonly unknown[], Result>(sign: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      if (refuses()) throw new Error('refused')
      return sign(...args)
    }
  return {
    ...account,
    ...(account.sign !== undefined && { sign: guard(account.sign) }),
    signTransaction: (...args: Parameters<typeof account.signTransaction>) => {
      if (refuses()) throw new Error('refused')
      return account.signTransaction(...args)
    },
    signTypedData: (typedData) => {
      if (refuses()) throw new Error('refused')
      return account.signTypedData(typedData)
    },
  }
}
