// What the effects of all flows share.
// Must never be serialised or logged: it reaches the keys and the secrets of every running flow.

import type { Client, LocalAccount } from 'viem'
import type { SessionView } from '../../machines/index.js'
import type { SessionRequest } from '../protocol/index.js'
import type { ChannelScope, Freshness, Ledger, SessionRecord } from '../sessions/index.js'
import type { Reference } from '../tempo/index.js'
import type { Clock } from './clock.js'
import type { FlowState, PlacedFlow } from './flow-state.js'
import type { NoteOpening } from './forgetful.js'
import type { ResolvedPolicy } from './policy.js'
import type { SignedSecrets } from './signed-secrets.js'
import type { Transport } from './transport/index.js'

/** Where this client's channel for some terms is, and under which key. */
export interface OwnChannel {
  readonly place: ChannelScope
  readonly key: string
}

/** What every effect can reach. */
export interface Runtime {
  readonly ledger: Ledger
  readonly policy: ResolvedPolicy
  readonly account: LocalAccount
  readonly voucherSigner: LocalAccount
  readonly clientFor: (chainId: number) => Promise<Client>
  readonly transport: Transport
  readonly flows: Map<string, FlowState>
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

/** The state of a flow that is running. @throws Error when there is none: an effect was run outside of its client. */
export function flowOf(runtime: Runtime, id: string): FlowState {
  const flow = runtime.flows.get(id)
  if (flow === undefined) throw new Error('this flow was not created by this client, or is over')
  return flow
}

/** The flow with its channel. @throws Error when no challenge was accepted before. */
export function placedFlow(runtime: Runtime, id: string): PlacedFlow {
  const flow = flowOf(runtime, id)
  const { place, key, challenge, terms } = flow
  if (place === null || key === null || challenge === null || terms === null) {
    throw new Error('no challenge was accepted before this effect')
  }
  return { flow, place, key, challenge, terms }
}

/** What a node's answers about a record's channel are held against. */
export function referenceFor({ clock }: Pick<Runtime, 'clock'>, record: SessionRecord | undefined): Reference {
  const block = record?.session.seenAtBlock ?? null
  // A record is no newer than the first sighting in it.
  return { clock, base: record === undefined || block === null ? null : { block, at: record.createdAt } }
}

/** What planning may see of the flow's channel now. */
export function viewFor(
  runtime: Runtime,
  { place, key }: PlacedFlow,
  record: SessionRecord | undefined,
  freshness: Freshness = 'recent',
): Promise<SessionView> {
  return runtime.ledger.view(record, place, key, runtime.policy.limits.maxTotalDeposit === null ? null : freshness)
}
