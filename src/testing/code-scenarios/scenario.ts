// What a scenario is: how one code of the gateway comes about, and what its row of the table says must follow.
// Must never take what must follow from the machine: the rows are written out, and the machine is held against them.

import type { FailureCode, LeadsTo, MppCode } from '../../../machines/index.js'
import type { CloseOutcome, MppClient, PaymentOutcome } from '../../client/index.js'
import type { Address, SessionPayload } from '../../protocol/index.js'
import type { GatewayOptions, LocalChain, Sandbox } from '../../sandbox/index.js'
import type { SessionStore } from '../../sessions/index.js'
import type { Wire, WireExchange } from '../wire.js'

/** What a request carries: no credential, or one of these. */
export type SendKind = 'unpaid' | SessionPayload['action']

/** A chat request, as a caller hands it to the client. */
export interface ChatRequest {
  readonly method: 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One flow of a run: what was asked for, how it ended, and what passed on the wire meanwhile. */
export type FlowRun = (
  | { readonly kind: 'pay'; readonly request: ChatRequest; readonly outcome: PaymentOutcome }
  | { readonly kind: 'close'; readonly outcome: CloseOutcome }
) & {
  readonly exchanges: readonly WireExchange[]
  /** The ledger's deposit was set to this before the flow, in base units. */
  readonly ledgerDeposit?: string
}

/** What a scenario plays with: a gateway of its own, the way to it, and a client with an empty ledger. */
export interface Stage {
  readonly chain: LocalChain
  readonly gateway: Sandbox
  readonly wire: Wire
  readonly client: MppClient
  readonly store: SessionStore
  /** Runs one flow that pays for a chat request. */
  pay(request: ChatRequest): Promise<FlowRun>
  /** Runs one flow that closes the channel of the client. */
  close(): Promise<FlowRun>
  /** Makes the ledger believe in `more` base units of deposit that the chain does not have. */
  overstateDeposit(more: bigint): Promise<void>
}

/** One row of the table of codes. */
export interface TableRow {
  readonly leadsTo: LeadsTo
  /** How often one flow recovers from the code. */
  readonly bound: number
}

/** What must be seen of the flow that meets the code. */
export interface Expectation {
  /** The state in which the refusal arrives. */
  readonly refusedIn: 'requesting' | 'paying' | 'closing.sendingClose'
  /** How often the code comes up in the flow. */
  readonly refusals: number
  /** States that must be passed after the first refusal, in this order; the first one directly. */
  readonly through: readonly string[]
  /** Every request of the flow, in order: neither more nor less is sent. */
  readonly sends: readonly SendKind[]
  readonly outcome: 'succeeded' | 'closed' | 'failed'
  readonly failureCode: FailureCode | null
}

/** How one code comes about, on a sandbox of its own. */
export interface CodeScenario {
  readonly code: MppCode
  /** `injected` only where nothing outside of the gateway can bring the code about. */
  readonly cause: 'real' | 'injected'
  /** The cause, in one line. */
  readonly how: string
  readonly row: TableRow
  readonly expected: Expectation
  readonly gateway?: (payer: Address) => GatewayOptions
  /** The last flow it runs is the one that meets the code. */
  play(stage: Stage): Promise<FlowRun>
}
