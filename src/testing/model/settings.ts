// What flows of the model are started with: purposes, limits and bounds, under names.
// Must never be needed to read a path: a path carries its setting.

import {
  type Bounds,
  type FlowLimits,
  LOCAL_CODES,
  MPP_CODES,
  type PaymentFlowInput,
  PROBLEM_TYPES,
} from '../../../machines/index.js'
import { MODEL_CHANNEL } from './payloads.js'

/** One way to start a flow. */
export interface Setting {
  readonly name: string
  readonly purpose: 'pay' | 'close'
  readonly limits: FlowLimits
  readonly bounds: Bounds
}

const LIMITS: FlowLimits = {
  maxDeposit: '20000000',
  maxCumulative: null,
  maxExposure: '20000000',
  maxTotalDeposit: null,
  approval: false,
  retryCommitFailed: false,
  resendPaid: true,
}

/** What is bounded without being a code. */
const OTHER_BOUNDS = [
  'DIGEST_MISMATCH',
  'SESSION_CHANGED',
  'CONTENTION',
  'RETRY_AFTER',
  'TURN_GRANTED',
  'OPERATION_UNDECIDED',
  'TOPPED_UP',
  'TOP_UP_UNCONFIRMED',
  'OPEN_SIGNED',
  'CLOSE_UNCONFIRMED',
] as const

/** The same bound for every recovery. */
export function everyBound(bound: number): Bounds {
  const names = [...MPP_CODES, ...PROBLEM_TYPES, ...LOCAL_CODES, ...OTHER_BOUNDS]
  return Object.fromEntries(names.map((name) => [name, bound]))
}

function setting(name: string, more: Partial<Omit<Setting, 'name' | 'limits'>> = {}, limits: Partial<FlowLimits> = {}) {
  return { name, purpose: 'pay', bounds: {}, ...more, limits: { ...LIMITS, ...limits } } as const satisfies Setting
}

/** Nothing special: the default bounds, and limits that are not reached. */
export const PLAIN: Setting = setting('plain')

/** The settings that together let every arrow of the machine be taken. */
export const SETTINGS: readonly Setting[] = [
  PLAIN,
  setting('each recovery once', { bounds: everyBound(1) }),
  setting('no recovery', { bounds: everyBound(0) }),
  setting('approval', {}, { approval: true }),
  setting('approval, no recovery', { bounds: everyBound(0) }, { approval: true }),
  setting('work may be repeated', {}, { retryCommitFailed: true }),
  setting('nothing paid is sent again', {}, { resendPaid: false }),
  setting('one paid send is left open', { bounds: { ...everyBound(0), server_failed: 1 } }),
  setting('little exposure', {}, { maxExposure: '900000' }),
  setting('little exposure, no recovery', { bounds: everyBound(0) }, { maxExposure: '900000' }),
  setting('one bucket of deposit', {}, { maxDeposit: '1000000' }),
  setting('close', { purpose: 'close' }),
  setting('close, each recovery once', { purpose: 'close', bounds: everyBound(1) }),
  setting('close, no recovery', { purpose: 'close', bounds: everyBound(0) }),
]

/** More than any tour takes. */
const MANY = 10_000
const RICH: Partial<FlowLimits> = { maxDeposit: '2000000000', maxExposure: '2000000000' }
const ROOMY = { bounds: everyBound(MANY) }

/** A setting, and how many recoveries deep it is explored. */
export interface Explored {
  readonly setting: Setting
  readonly depth: number
}

/** The settings that together allow every pair of consecutive recoveries, each explored until nothing new comes of it. */
export const SEQUENCE_SETTINGS: readonly Explored[] = [
  { setting: setting('tour', ROOMY, { ...RICH, retryCommitFailed: true }), depth: 1 },
  { setting: setting('tour with approval', ROOMY, { ...RICH, approval: true, retryCommitFailed: true }), depth: 0 },
  {
    setting: setting('tour with little exposure', ROOMY, { ...RICH, maxExposure: '900000', retryCommitFailed: true }),
    depth: 1,
  },
  { setting: setting('tour of closes', { ...ROOMY, purpose: 'close' }), depth: 12 },
]

/** The input of the machine for a setting. */
export function inputOf({ purpose, limits, bounds }: Setting): PaymentFlowInput {
  return {
    flow: 'model',
    purpose,
    request: { method: 'POST', origin: 'https://gateway.example', path: '/v1/mpp/chat/completions' },
    limits,
    bounds,
    ...(purpose === 'close' && { closing: MODEL_CHANNEL }),
  }
}
