// Runs a scenario once, and runs codes that never stop, to see their bound.
// Must never judge what it sees: that is done against the table, elsewhere.

import type { MppCode } from '../../../machines/index.js'
import type { Policy } from '../../client/index.js'
import type { AccountingCounts, GatewayOptions } from '../../sandbox/index.js'
import { chat } from './requests.js'
import type { CodeScenario, FlowRun, Stage } from './scenario.js'
import { type Ground, setStage } from './stage.js'

/** What was seen of one run. */
export interface CodeRun {
  /** All flows, the preparing ones too. */
  readonly flows: readonly FlowRun[]
  /** The flow that met the code. */
  readonly flow: FlowRun
  /** What the gateway has counted during the whole run. */
  readonly counts: AccountingCounts
}

async function run(
  ground: Ground,
  options: GatewayOptions,
  policy: Policy | undefined,
  play: (stage: Stage) => Promise<FlowRun>,
): Promise<CodeRun> {
  const stage = await setStage(ground, options, policy)
  try {
    const flow = await play(stage)
    return { flows: stage.flows, flow, counts: stage.gateway.accounting().counts }
  } finally {
    await stage.stop()
  }
}

/** Plays a scenario on a fresh gateway, with a client that knows of no channel. */
export function runScenario(scenario: CodeScenario, ground: Ground): Promise<CodeRun> {
  return run(ground, scenario.gateway?.(ground.payer.address) ?? {}, undefined, (stage) => scenario.play(stage))
}

/** More often than any bound allows. */
const ENDLESS = 99

interface Persistence {
  readonly on?: 'close'
  readonly gateway?: GatewayOptions
  /** Limits wide enough for the bound to be met before them. */
  readonly policy?: Policy
}

/** Codes that a flow may recover from, and what it takes to see them until the bound is used up. */
export const PERSISTENT = {
  payment_required: {},
  mpp_session_deposit_below_request_cost: { gateway: { suggestedDeposit: '1' }, policy: { maxDeposit: '9' } },
  mpp_malformed_credential: {},
  mpp_invalid_challenge: {},
  mpp_body_digest_mismatch: {},
  mpp_request_exceeds_voucher_bucket: {},
  mpp_payment_verification_failed: {},
  mpp_voucher_bucket_refresh_required: { policy: { maxExposure: '9' } },
  mpp_reservation_failed: {},
  mpp_session_close_unavailable: { on: 'close' },
  mpp_session_close_failed: { on: 'close' },
} as const satisfies Partial<Record<MppCode, Persistence>>

/** A code that a flow may recover from. */
export type PersistentCode = keyof typeof PERSISTENT

/** A channel is opened, and from then on the gateway answers with nothing but this code. Injected: no cause is so patient. */
export function runPersistent(code: PersistentCode, ground: Ground, policy?: Policy): Promise<CodeRun> {
  const { gateway, on, ...rest }: Persistence = PERSISTENT[code]
  return run(ground, gateway ?? {}, policy ?? rest.policy, async (stage) => {
    await stage.pay(chat(10))
    stage.gateway.inject(code, { times: ENDLESS, on: on ?? 'paid' })
    return on === 'close' ? stage.close() : stage.pay(chat(10))
  })
}
