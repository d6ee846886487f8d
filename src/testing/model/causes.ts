// What must happen outside of the machine so that an event comes about: the words that scripts of a path are made of.
// Must never hold anything but JSON: plans are exported.

import type { MppCode, ProblemType } from '../../../machines/index.js'

/** What the challenges of an answer are like. */
export type ChallengeKind =
  | 'usable'
  /** Usable; its amount is the price of one request, not the size of a bucket. */
  | 'priced-per-request'
  | 'expired'
  /** Its digest is that of another body. */
  | 'for-another-body'
  | 'malformed'
  /** For another payment method. */
  | 'unsupported'
  /** In a token that the policy does not allow. */
  | 'in-a-foreign-token'
  /** Usable, but in a token of which the wallet has nothing; the one after it is usable and within its means. */
  | 'beyond-the-wallet'
  /** Usable; the one after it is in a token of which the wallet has nothing. */
  | 'before-another'

/** What the receipt of a paid answer is like. */
export type ReceiptKind = 'good' | 'none' | 'for-another-channel'

/** The answer a gateway must give to the next send. */
export interface GatewayAnswer {
  /** Whether the request is carried out, so that the answer is the gateway's own. */
  readonly carriedOut: boolean
  readonly status: number
  /** An `mpp_*` code in `{"error":{"code":…}}`, or one that nobody knows. */
  readonly code: MppCode | 'mpp_unheard_of' | null
  /** A standard problem type, after `https://paymentauth.org/problems/`. */
  readonly problem: ProblemType | null
  /** How many fresh challenges stand on the answer. */
  readonly challenges: 0 | 1 | 2
  readonly challenge: ChallengeKind
  /** Whether the challenges run out before the flow is over. */
  readonly shortLived: boolean
  readonly receipt: ReceiptKind
  /** Seconds of `Retry-After`; null: no such header. */
  readonly retryAfter: number | null
}

/** In what state a flow finds its channel in the ledger: left behind by earlier flows, or by a process that died. */
export type Finding =
  | 'absent'
  /** Deposit 5 buckets, one signed. */
  | 'open'
  /** Deposit one bucket, one signed. */
  | 'used-up'
  /** Signed, but never sent. */
  | 'opening'
  /** A top-up is signed, but was not carried out. */
  | 'topping-up'
  | 'closing'
  /** More signed than the deposit holds. */
  | 'overdrawn'
  /** A forced close is under way. */
  | 'close-requested'
  | 'closed'
  /** As this flow has left it. */
  | 'unchanged'

/** What another process with the same wallet and ledger does while this flow waits. */
export type Interference = 'opens' | 'signs' | 'tops-up' | 'closes' | 'notes-loss' | 'is-acknowledged'

/** What the chain shows of an operation that was signed and is not decided. */
export type ChainTruth =
  | 'as-before'
  /** The transaction was included after all. */
  | 'included'
  /** It was not, and never will be. */
  | 'expired'
  /** It was not, and has seconds left. */
  | 'about-to-expire'
  /** The channel was closed behind the ledger's back. */
  | 'ended'

/** Who brings an event about, and how. */
export type Cause =
  | { readonly by: 'gateway'; readonly answer: GatewayAnswer }
  /** `refused`: no connection is made; `broken`: it breaks before anything is carried out. */
  | { readonly by: 'connection'; readonly is: 'refused' | 'broken' }
  /** The challenge that was answered before is like this. */
  | { readonly by: 'challenge'; readonly is: ChallengeKind }
  /** The answer before carries such a receipt. */
  | { readonly by: 'receipt'; readonly is: ReceiptKind }
  | { readonly by: 'ledger'; readonly finds: Finding }
  | { readonly by: 'another-process'; readonly does: Interference }
  | { readonly by: 'chain'; readonly shows: ChainTruth }
  /** The RPC endpoint does not answer; it asks for a price that nobody pays. */
  | { readonly by: 'chain'; readonly is: 'unreachable' | 'expensive' }
  | { readonly by: 'wallet'; readonly is: 'refusing' | 'empty' }
  | { readonly by: 'store'; readonly is: 'broken' | 'busy' | 'unavailable' | 'damaged' | 'newer_format' }
  /** The challenge's time runs out. */
  | { readonly by: 'clock'; readonly passes: 'expiry' }
  | { readonly by: 'caller'; readonly sends: 'APPROVE' | 'DENY' | 'CANCEL' }
  | { readonly by: 'policy'; readonly forbids: 'origin' }
  /** The client does it by itself. */
  | { readonly by: 'client' }

/** A cause in words. */
export function describeCause(cause: Cause): string {
  switch (cause.by) {
    case 'gateway':
      return `the gateway answers ${describeAnswer(cause.answer)}`
    case 'connection':
      return `the connection is ${cause.is}`
    case 'challenge':
      return `the challenge is ${cause.is}`
    case 'receipt':
      return `the receipt is ${cause.is}`
    case 'ledger':
      return `the ledger holds the channel ${cause.finds}`
    case 'another-process':
      return `another process ${cause.does}`
    case 'chain':
      return 'is' in cause ? `the chain is ${cause.is}` : `the chain shows the operation ${cause.shows}`
    case 'wallet':
      return `the wallet is ${cause.is}`
    case 'store':
      return `the store is ${cause.is}`
    case 'clock':
      return 'the challenge runs out'
    case 'caller':
      return `the caller sends ${cause.sends}`
    case 'policy':
      return `the policy forbids the ${cause.forbids}`
    case 'client':
      return 'nothing else'
  }
}

function describeAnswer({ carriedOut, status, code, problem, challenges }: GatewayAnswer): string {
  if (carriedOut) return `${status}, having carried it out`
  const name = code ?? problem
  const offered = challenges === 0 ? '' : `, with ${challenges === 1 ? 'a challenge' : `${challenges} challenges`}`
  return `${status}${name === null ? '' : ` ${name}`}${offered}`
}
