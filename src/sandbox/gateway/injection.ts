// Faults on demand: any code at any kind of request, where its real cause is hard to bring about.
// Must never change what a fault-free request does.
import { CodeRefusal, type GatewayCode, isGatewayCode } from './refusal.js'

/** The kinds of request a fault can hit. `paid` is `open` and `voucher` together. */
export type InjectionTarget = 'unpaid' | 'paid' | 'open' | 'voucher' | 'topUp' | 'close'

/** Where in its handling a request meets a fault. */
export type InjectionStage =
  /** Before anything is verified or changed. */
  | 'start'
  /** After the channel is open and the voucher accepted. */
  | 'reserve'
  /** After the model has run. */
  | 'commit'
  /** After everything is done, before the answer is sent. */
  | 'answer'

export interface InjectionOptions {
  /** Default: `close` for the two close codes, `paid` for everything else. */
  readonly on?: InjectionTarget
  /** Default 1. */
  readonly times?: number
}

/** Thrown to leave a request's handling with a bare status, or without any answer. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault'
  constructor(readonly status: number | 'connection_lost') {
    super(`injected ${status}`)
  }
}

export interface Injections {
  /**
   * Plans a fault: one of the gateway's codes, `http_<status>` (400 to 599, no code in the body), `connection_lost` (nothing was
   * done) or `answer_lost` (everything was done).
   *
   * @throws RangeError when the fault is unknown.
   */
  plan(fault: string, options?: InjectionOptions): void
  /** Throws what is planned for such a request at this stage, if anything. */
  maybeFail(stage: InjectionStage, action: Exclude<InjectionTarget, 'paid'>): void
}

interface Plan {
  readonly fault: string
  readonly on: InjectionTarget
  readonly stage: InjectionStage
  left: number
}

export function createInjections(): Injections {
  const plans: Plan[] = []
  return {
    plan(fault, options = {}) {
      if (!isGatewayCode(fault) && !/^http_[45][0-9]{2}$|^(connection|answer)_lost$/.test(fault))
        throw new RangeError(
          `inject: "${fault}" is no code of the gateway, http_<status>, connection_lost or answer_lost`,
        )
      const on = options.on ?? (fault.startsWith('mpp_session_close_') ? 'close' : 'paid')
      plans.push({ fault, on, stage: stageOf(fault, on), left: options.times ?? 1 })
    },
    maybeFail(stage, action) {
      const content = action === 'open' || action === 'voucher'
      const plan = plans.find(
        (entry) => entry.left > 0 && entry.stage === stage && (entry.on === action || (entry.on === 'paid' && content)),
      )
      if (plan === undefined) return
      plan.left -= 1
      throw faultOf(plan.fault)
    },
  }
}

const LATER_STAGES: Partial<Record<GatewayCode, InjectionStage>> = {
  mpp_request_exceeds_voucher_bucket: 'reserve',
  mpp_voucher_bucket_refresh_required: 'reserve',
  mpp_reservation_failed: 'reserve',
  mpp_commit_failed: 'commit',
}

function stageOf(fault: string, on: InjectionTarget): InjectionStage {
  if (fault === 'answer_lost') return 'answer'
  const content = on === 'paid' || on === 'open' || on === 'voucher'
  return content && isGatewayCode(fault) ? (LATER_STAGES[fault] ?? 'start') : 'start'
}

function faultOf(fault: string): Error {
  if (isGatewayCode(fault)) return new CodeRefusal(fault)
  return new InjectedFault(fault.startsWith('http_') ? Number(fault.slice('http_'.length)) : 'connection_lost')
}
