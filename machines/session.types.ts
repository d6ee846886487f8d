// What a channel's record knows and which events may change it.
// Must never hold a signature, a signed transaction or a key: those stay beside the record, in the ledger.

import type { Amount } from './amount.js'

/** The TIP-1034 channel descriptor, as JSON. */
export interface SessionDescriptor {
  readonly payer: string
  readonly payee: string
  readonly operator: string
  readonly token: string
  readonly salt: string
  readonly authorizedSigner: string
  readonly expiringNonceHash: string
}

/** Something that was signed and whose fate on the chain is not known yet. */
export interface PendingOperation {
  readonly kind: 'open' | 'topUp' | 'close' | 'requestClose' | 'withdraw'
  /** What the transaction would add to the deposit, in base units. */
  readonly amount: Amount
  /** Chain time in seconds after which the transaction can no longer be included; null when none was signed here. */
  readonly validBefore: number | null
  readonly transactionHash: string | null
  /** The deposit on the chain by which it can be seen that the transaction was included. */
  readonly reaching: Amount
}

/** An amount that one flow may cause to be spent and that no receipt has acknowledged yet. */
export interface Reservation {
  readonly flow: string
  readonly amount: Amount
  /** Milliseconds since the epoch after which a crashed holder's reservation no longer counts. */
  readonly until: number
  /** What was acknowledged as spent when it was made: a receipt that says no more does not acknowledge this request. */
  readonly spent: Amount
}

/** Everything the ledger knows about one channel, secrets apart. Amounts are base units. */
export interface SessionContext {
  readonly channelId: string | null
  readonly descriptor: SessionDescriptor | null
  /** Where the channel is used, without query: a close is sent there. */
  readonly resource: string | null
  readonly deposit: Amount
  /** Highest cumulative amount ever signed. */
  readonly signed: Amount
  /** Highest cumulative amount that the payee acknowledged. */
  readonly accepted: Amount
  /** What the payee says was used, from verified receipts. */
  readonly spent: Amount
  /** What the chain has paid out to the payee; known once the chain was asked. */
  readonly settled: Amount
  /** What came back to the payer at the end. */
  readonly refunded: Amount | null
  readonly pending: PendingOperation | null
  readonly reservations: readonly Reservation[]
  /** Prices of requests that were answered and that no receipt has acknowledged: presumed to be spent as well. */
  readonly unacknowledged: Amount
  /** Chain time in seconds at which a forced close may be finished. */
  readonly withdrawableAt: number | null
  /** The newest block in which the channel was seen on the chain: a node that is behind it cannot say that it is gone. */
  readonly seenAtBlock: number | null
  /**
   * Found on the chain instead of opened here: more may have been signed for it than `signed` says, until a receipt
   * accepts all of `signed`.
   */
  readonly adopted: boolean
}

/** The block in which something was seen on the chain, where one was read. */
interface Seen {
  readonly block?: number
}

export type SessionEvent =
  | {
      readonly type: 'OPEN_SIGNED'
      readonly channelId: string
      readonly descriptor: SessionDescriptor
      readonly resource: string
      readonly deposit: Amount
      readonly cumulative: Amount
      readonly transactionHash: string
      readonly validBefore: number
    }
  | (Seen & { readonly type: 'OPEN_CONFIRMED'; readonly deposit: Amount })
  | { readonly type: 'OPEN_DROPPED' }
  | (Seen & {
      readonly type: 'CHANNEL_ADOPTED'
      readonly channelId: string
      readonly descriptor: SessionDescriptor
      readonly resource: string | null
      readonly deposit: Amount
      readonly settled: Amount
      readonly cumulative: Amount
    })
  | { readonly type: 'VOUCHER_SIGNED'; readonly cumulative: Amount }
  | {
      readonly type: 'TOP_UP_SIGNED'
      readonly additionalDeposit: Amount
      /** What the chain will show once it has the top-up. */
      readonly reaching: Amount
      readonly transactionHash: string
      readonly validBefore: number
    }
  | (Seen & { readonly type: 'TOP_UP_CONFIRMED'; readonly deposit: Amount })
  | { readonly type: 'TOP_UP_DROPPED' }
  /** The block in which the channel was last seen was a lie of a node: a person vouches for another node. */
  | { readonly type: 'SEEN_BLOCK_RESET' }
  /** The deposit was a node's lie, or is that of an older chain: a person vouches for a node that shows less. */
  | { readonly type: 'DEPOSIT_RESET'; readonly deposit: Amount }
  | (Seen & { readonly type: 'DEPOSIT_SEEN'; readonly deposit: Amount; readonly settled: Amount })
  | {
      readonly type: 'RESERVED'
      readonly flow: string
      readonly amount: Amount
      readonly until: number
      readonly now: number
    }
  | { readonly type: 'RELEASED'; readonly flow: string }
  | {
      readonly type: 'RECEIPT_ACCEPTED'
      readonly accepted: Amount
      readonly spent: Amount
      /** Where the answer came from: where the channel is used, if that was not known. */
      readonly resource?: string
      /** Whose request was answered: its reservation ends with this. */
      readonly flow?: string
      /** The cumulative amount that was refused to this request as used up, before more was signed for it. */
      readonly usedUp?: Amount
    }
  /** A request was answered, and no receipt that holds says what it cost. `usedUp`: as with a receipt. */
  | { readonly type: 'ANSWER_UNACKNOWLEDGED'; readonly flow: string; readonly usedUp?: Amount }
  | { readonly type: 'CLOSE_SIGNED'; readonly cumulative: Amount }
  | { readonly type: 'CLOSE_CONFIRMED'; readonly settled: Amount; readonly refunded: Amount }
  | { readonly type: 'CLOSE_ABANDONED' }
  | { readonly type: 'REQUEST_CLOSE_SIGNED'; readonly transactionHash: string; readonly validBefore: number }
  | { readonly type: 'REQUEST_CLOSE_DROPPED' }
  | (Seen & { readonly type: 'CLOSE_REQUESTED'; readonly withdrawableAt: number })
  | (Seen & { readonly type: 'CLOSE_REQUEST_CANCELLED' })
  | { readonly type: 'GRACE_ELAPSED' }
  | { readonly type: 'WITHDRAW_SIGNED'; readonly transactionHash: string; readonly validBefore: number }
  | { readonly type: 'WITHDRAW_DROPPED' }
  | { readonly type: 'WITHDRAWN'; readonly settled: Amount; readonly refunded: Amount }
  | { readonly type: 'CHANNEL_GONE' }

export type SessionStatus =
  | 'absent'
  | 'opening'
  | 'open'
  | 'toppingUp'
  | 'closing'
  | 'closed'
  | 'closeRequested'
  | 'withdrawable'
  | 'withdrawn'
  | 'lost'
