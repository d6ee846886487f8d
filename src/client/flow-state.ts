// What one flow keeps outside of its machine: bytes, challenges, answers, and what it holds of its channel.
// Must never be serialised or logged: this is where the secrets of a flow live while it runs.

import type { Amount } from '../../machines/index.js'
import type { Challenge, SessionRequest } from '../protocol/index.js'
import type { ChannelScope, HeldLease, Permit, ResourceAccess } from '../sessions/index.js'
import type { Answer } from './answer.js'
import { type CapturedRequest, type Destination, queryOf } from './capture.js'

/** What one flow keeps outside of its machine. */
export interface FlowState {
  readonly id: string
  readonly request: CapturedRequest
  /** Where the request is answered from: moves with a redirect inside the origin. */
  to: Destination
  /** The method of requests without a body: the request's own if it has none, else POST; HEAD once that was refused. */
  bodyless: string
  /** The newest answer: its challenges are read from here, and the caller gets its response. */
  answer: Answer | null
  challenge: Challenge | null
  terms: SessionRequest | null
  place: ChannelScope | null
  key: string | null
  /** The lease of the channel. Acquired and released in `flow-holdings.ts` only. */
  lease: HeldLease | null
  /** Counts the flow's paid request as in flight. Acquired and released in `flow-holdings.ts` only. */
  permit: Permit | null
  /** Whether the ledger holds a reservation of this flow. Acquired and released in `flow-holdings.ts` only. */
  reserved: boolean
  /** The credential of the last paid send: the only one that may follow it while it is left open. */
  sent: { readonly credential: string; readonly cumulative: Amount } | null
  /** For a close: the record that it is about, which may stand beside the channel in use. */
  recordKey: string | null
  /** Close credentials of this flow that the gateway would not take. */
  closesRefused: number
  /** The highest voucher that was there when this flow first looked, or that it has signed or sent since. Base units. */
  lastSeenCumulative: Amount | null
  /** What the request consists of, as names that its server gives are held against it; null before the first answer. */
  letters: string | null
  ended: boolean
}

/** A flow whose challenge was accepted, so that its channel is known. */
export interface PlacedFlow {
  readonly flow: FlowState
  readonly place: ChannelScope
  readonly key: string
  readonly challenge: Challenge
  readonly terms: SessionRequest
}

/** The state of a flow that has not started. */
export function createFlowState(id: string, request: CapturedRequest): FlowState {
  return {
    id,
    request,
    to: request.to,
    bodyless: request.body === undefined ? request.method : 'POST',
    answer: null,
    challenge: null,
    terms: null,
    place: null,
    key: null,
    lease: null,
    permit: null,
    reserved: false,
    sent: null,
    recordKey: null,
    closesRefused: 0,
    lastSeenCumulative: null,
    letters: null,
    ended: false,
  }
}

/** How the ledger remembers that the flow's resource is asked. A close must not repeat what has effects. */
export function accessOf({ to, request: { method, body } }: FlowState): ResourceAccess {
  const isRead = body === undefined && (method === 'GET' || method === 'HEAD')
  return { method: isRead ? method : 'POST', query: queryOf(to) }
}

/** Keeps the newest answer. Nobody reads on in the one before, so its connection is given back. */
export function keepAnswer(flow: FlowState, answer: Answer | null): void {
  const before = flow.answer
  flow.answer = answer
  before?.discard().catch(() => undefined)
}
