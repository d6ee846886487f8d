// What the effects of all flows share, and what each flow keeps out of the machine: bytes, challenges, leases, answers.
// Must never be serialised or logged: this is where the secrets of a flow live while it runs.

import type { Client, LocalAccount } from 'viem'
import type { Amount, SessionView } from '../../machines/index.js'
import type { Challenge, SessionRequest } from '../protocol/index.js'
import type {
  ChannelPlace,
  Freshness,
  HeldLease,
  Ledger,
  ResourceAccess,
  SessionRecord,
  Slot,
} from '../sessions/index.js'
import { StoreError } from '../sessions/index.js'
import type { Reference } from '../tempo/index.js'
import type { Answer } from './answer.js'
import { type CapturedRequest, type Destination, queryOf } from './capture.js'
import type { Clock } from './clock.js'
import type { NoteOpening } from './forgetful.js'
import type { ResolvedPolicy } from './policy.js'
import type { SignedSecrets } from './signed-secrets.js'
import type { Transport } from './transport/index.js'
import { within } from './within.js'

/** What one flow keeps outside of its machine. */
export interface FlowResources {
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
  place: ChannelPlace | null
  key: string | null
  lease: HeldLease | null
  /** The paid request of this flow that is under way, or may go. */
  slot: Slot | null
  /** The credential of the last paid send: the only one that may follow it while it is left open. */
  sent: { readonly credential: string; readonly cumulative: Amount } | null
  /** For a close: the record that it is about, which may stand beside the channel in use. */
  recordKey: string | null
  /** Close credentials of this flow that the gateway would not take. */
  closesRefused: number
  reserved: boolean
  /** The highest voucher that was there when this flow first looked, or that it has signed or sent since. Base units. */
  known: Amount | null
  /** What the request consists of, as names that its server gives are held against it; null before the first answer. */
  letters: string | null
  ended: boolean
}

/** Where this client's channel for some terms is, and under which key. */
export interface OwnChannel {
  readonly place: ChannelPlace
  readonly key: string
}

/** What every effect can reach. */
export interface Ring {
  readonly ledger: Ledger
  readonly policy: ResolvedPolicy
  readonly account: LocalAccount
  readonly voucherSigner: LocalAccount
  readonly clientFor: (chainId: number) => Promise<Client>
  readonly transport: Transport
  readonly flows: Map<string, FlowResources>
  /** The channel of each set of terms: a gateway asks for the same ones again and again. */
  readonly channels: WeakMap<SessionRequest, OwnChannel>
  /** What was signed lately: no name that a server gives may repeat it. */
  readonly signed: SignedSecrets
  /** Channels of which the ledger was read for that. */
  readonly remembered: Set<string>
  /** What goes on beside the flows: opens whose answer was handed over before the chain was asked. */
  readonly concluding: Set<Promise<void>>
  readonly noteOpening: NoteOpening
  readonly clock: Clock
}

/** A flow whose challenge was accepted, so that its channel is known. */
export interface PlacedFlow {
  readonly flow: FlowResources
  readonly place: ChannelPlace
  readonly key: string
  readonly challenge: Challenge
  readonly terms: SessionRequest
}

/** What a flow keeps, before it starts. */
export function resourcesFor(id: string, request: CapturedRequest): FlowResources {
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
    slot: null,
    sent: null,
    recordKey: null,
    closesRefused: 0,
    reserved: false,
    known: null,
    letters: null,
    ended: false,
  }
}

/** The flow starts: from now on, and until it ends, its effects find what it keeps. */
export function openFlow(ring: Ring, flow: FlowResources): void {
  ring.flows.set(flow.id, flow)
}

/** The resources of a flow that is running. @throws Error when there are none: an effect was run outside of its client. */
export function flowOf(ring: Ring, id: string): FlowResources {
  const flow = ring.flows.get(id)
  if (flow === undefined) throw new Error('this flow was not created by this client, or is over')
  return flow
}

/** How the ledger remembers that the flow's resource is asked. A close must not repeat what has effects. */
export function accessOf({ to, request: { method, body } }: FlowResources): ResourceAccess {
  const isRead = body === undefined && (method === 'GET' || method === 'HEAD')
  return { method: isRead ? method : 'POST', query: queryOf(to) }
}

/** The flow with its channel. @throws Error when no challenge was accepted before. */
export function placedFlow(ring: Ring, id: string): PlacedFlow {
  const flow = flowOf(ring, id)
  const { place, key, challenge, terms } = flow
  if (place === null || key === null || challenge === null || terms === null) {
    throw new Error('no challenge was accepted before this effect')
  }
  return { flow, place, key, challenge, terms }
}

/** What a node's answers about a record's channel are held against. */
export function referenceFor({ clock }: Pick<Ring, 'clock'>, record: SessionRecord | undefined): Reference {
  const block = record?.session.seenAtBlock ?? null
  // A record is no newer than the first sighting in it.
  return { clock, base: record === undefined || block === null ? null : { block, at: record.createdAt } }
}

/** What planning may see of the flow's channel now. */
export function viewFor(
  ring: Ring,
  { place, key }: PlacedFlow,
  record: SessionRecord | undefined,
  freshness: Freshness = 'recent',
): Promise<SessionView> {
  return ring.ledger.view(record, place, key, ring.policy.limits.maxTotalDeposit === null ? null : freshness)
}

/**
 * The lease of the flow's channel: the one it holds, or a new one when it is its turn.
 *
 * @throws StoreError when it is not free in time; the signal's reason when it is aborted.
 */
export async function holdLease(ring: Ring, flow: FlowResources, key: string, signal: AbortSignal): Promise<HeldLease> {
  if (flow.lease !== null) return flow.lease
  // Who waits for the lease is not under way: its holder may be waiting until nobody is.
  if (ring.ledger.hasLine(key)) land(flow, false)
  const lease = await ring.ledger.lease(key, { signal, timeoutMs: ring.policy.timeouts.sessionMs })
  if (flow.ended) {
    await lease.release()
    throw new StoreError('busy', 'the flow ended while it waited for the lease')
  }
  flow.lease = lease
  return lease
}

/** Gives the lease back, if the flow holds it. */
export async function dropLease(flow: FlowResources): Promise<void> {
  const { lease } = flow
  flow.lease = null
  await lease?.release()
}

/** Keeps the newest answer. Nobody reads on in the one before, so its connection is given back. */
export function keepAnswer(flow: FlowResources, answer: Answer | null): void {
  const before = flow.answer
  flow.answer = answer
  before?.discard().catch(() => undefined)
}

/** The flow's paid request is over, or will not go: somebody else may. */
export function land(flow: FlowResources, accepted: boolean): void {
  flow.slot?.land(accepted)
  flow.slot = null
}

/** Gives back what the flow has reserved, if it has. */
export async function unreserve(ring: Ring, flow: FlowResources): Promise<void> {
  const { key, place } = flow
  if (key === null || place === null || !flow.reserved) return
  flow.reserved = false
  await ring.ledger.apply(key, place, { type: 'RELEASED', flow: flow.id })
}

/** Gives back what a flow holds of a channel that it has signed nothing for, before it is about another one. */
export async function leaveChannel(ring: Ring, flow: FlowResources): Promise<void> {
  if (flow.key === null) return
  land(flow, false)
  flow.known = null
  await dropLease(flow)
  await unreserve(ring, flow)
}

/** How long the end of a flow waits for a store: what is not given back by then runs out by itself. */
const GIVING_BACK_MS = 1_000

/**
 * Gives back what a flow holds. What it signed stays in the ledger; a close that was not confirmed leaves the channel
 * open, and whatever the chain says later is found when the channel is used again. A store that does not answer does not
 * hold up the end.
 */
export async function endFlow(ring: Ring, flow: FlowResources): Promise<void> {
  if (flow.ended) return
  flow.ended = true
  ring.flows.delete(flow.id)
  land(flow, true)
  // Most flows hold nothing by then.
  if (!flow.reserved && flow.lease === null) return
  const late = (): StoreError => new StoreError('unavailable', 'the store did not answer')
  await within(GIVING_BACK_MS, giveBack(ring, flow), late)
}

async function giveBack(ring: Ring, flow: FlowResources): Promise<void> {
  const { key, place, lease } = flow
  try {
    await unreserve(ring, flow)
    if (key !== null && place !== null && lease !== null) {
      const record = await ring.ledger.read(key)
      if (record?.status === 'closing') await ring.ledger.apply(key, place, { type: 'CLOSE_ABANDONED' }, { lease })
    }
  } finally {
    await dropLease(flow)
  }
}
