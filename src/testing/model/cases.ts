// Every event that can reach a flow, state by state, in the variants that guards and planning look at.
// Must never offer an event that the effect of the state could not report.

import {
  add,
  exceeds,
  type PaymentFlowContext,
  type PaymentFlowEvent,
  type SessionView,
  stateName,
} from '../../../machines/index.js'
import { answer, answered, plainAnswers, rejectionsIn, serverFailed } from './answers.js'
import type { Cause, ChainTruth, Finding } from './causes.js'
import type { EventCase } from './event-case.js'
import {
  BEYOND_THE_WALLET,
  BUCKET,
  dropped,
  ended,
  FEE_AT_MOST,
  FOUND,
  included,
  MODEL_CHALLENGE,
  MODEL_CHANNEL,
  nextChannel,
  sessionOf,
} from './payloads.js'
import type { FlowSnapshot } from './payment-flow-model.js'

type Of<Type extends PaymentFlowEvent['type']> = Extract<PaymentFlowEvent, { readonly type: Type }>

function one(name: string, cause: Cause, event: PaymentFlowEvent): EventCase {
  return { name, event, cause }
}

const CLIENT: Cause = { by: 'client' }

const CANCEL = one('CANCEL', { by: 'caller', sends: 'CANCEL' }, { type: 'CANCEL' })
const STORE_BUSY = one(
  'SESSION_UNAVAILABLE',
  { by: 'store', is: 'busy' },
  { type: 'SESSION_UNAVAILABLE', reason: 'the channel is busy' },
)
const STORE_UNAVAILABLE = one(
  'STORE_UNAVAILABLE',
  { by: 'store', is: 'unavailable' },
  { type: 'STORE_UNAVAILABLE', reason: 'the store does not answer' },
)
const STORE_DAMAGED = one(
  'STORE_DAMAGED',
  { by: 'store', is: 'damaged' },
  { type: 'STORE_DAMAGED', reason: 'a record cannot be read' },
)
const STORE_NEWER_FORMAT = one(
  'STORE_NEWER_FORMAT',
  { by: 'store', is: 'newer_format' },
  { type: 'STORE_NEWER_FORMAT', reason: 'written by a newer version' },
)
const STORE_BROKEN = one('EFFECT_FAILED', { by: 'store', is: 'broken' }, { type: 'EFFECT_FAILED', reason: 'TypeError' })
const WALLET_REFUSES = one(
  'SIGNING_FAILED',
  { by: 'wallet', is: 'refusing' },
  { type: 'SIGNING_FAILED', reason: 'the account did not sign' },
)
const WALLET_EMPTY = one(
  'WALLET_BALANCE_INSUFFICIENT',
  { by: 'wallet', is: 'empty' },
  { type: 'WALLET_BALANCE_INSUFFICIENT', reason: 'the payer holds nothing of the token' },
)
/** The wallet has enough, only not of the token that this offer asks for. */
const WALLET_LACKS_THIS_TOKEN = one('WALLET_BALANCE_INSUFFICIENT/of-this-token', CLIENT, WALLET_EMPTY.event)
const CHAIN_UNREACHABLE = one(
  'CHAIN_UNAVAILABLE',
  { by: 'chain', is: 'unreachable' },
  { type: 'CHAIN_UNAVAILABLE', reason: 'the RPC endpoint could not be reached' },
)
const CHAIN_EXPENSIVE = one(
  'FEE_TOO_HIGH',
  { by: 'chain', is: 'expensive' },
  { type: 'FEE_TOO_HIGH', reason: 'the transaction may cost more than maxFee' },
)
const REFUSED = one(
  'CONNECTION_FAILED',
  { by: 'connection', is: 'refused' },
  { type: 'CONNECTION_FAILED', reason: 'no connection' },
)
const EXPIRY = one('CHALLENGE_EXPIRED', { by: 'clock', passes: 'expiry' }, { type: 'CHALLENGE_EXPIRED' })

/** What can go wrong wherever the ledger is asked. */
const OF_THE_STORE = [STORE_BUSY, STORE_UNAVAILABLE, STORE_DAMAGED, STORE_NEWER_FORMAT, STORE_BROKEN]
/** The same where all channels are listed: one that cannot be read does not hide the others. */
const OF_THE_STORE_AS_A_WHOLE = [STORE_BUSY, STORE_UNAVAILABLE, STORE_BROKEN]

function changed(does: 'opens' | 'signs' | 'tops-up' | 'closes', session: SessionView): EventCase {
  return one(`SESSION_CHANGED/${does}`, { by: 'another-process', does }, { type: 'SESSION_CHANGED', session })
}

function requesting(context: PaymentFlowContext): readonly EventCase[] {
  const closing = context.purpose === 'close'
  // A close looks into the ledger before it sends.
  if (closing && context.session?.status === 'closed') {
    return [one('ALREADY_CLOSED/known', CLIENT, { type: 'ALREADY_CLOSED' }), ...OF_THE_STORE_AS_A_WHOLE, CANCEL]
  }
  // What the policy and the ledger say before anything was sent, they would have said at the first send.
  const first = context.references.httpStatus === null && Object.keys(context.counts).length === 0
  return [
    answered('CHALLENGE_RECEIVED', answer({ challenges: 1 }), null, (said) => ({
      type: 'CHALLENGE_RECEIVED',
      ...said,
    })),
    answered('CHALLENGE_RECEIVED/later', answer({ challenges: 1, retryAfter: 1 }), null, (said) => ({
      type: 'CHALLENGE_RECEIVED',
      ...said,
    })),
    ...(first && !closing
      ? [
          answered('CHALLENGE_RECEIVED/two-challenges', answer({ challenges: 2 }), null, (said) => ({
            type: 'CHALLENGE_RECEIVED',
            ...said,
          })),
        ]
      : []),
    answered('ANSWER_RECEIVED', answer({ status: 200 }), null, (said) => ({ type: 'ANSWER_RECEIVED', ...said })),
    answered('PAYMENT_REJECTED/challenged', answer({ code: 'mpp_unheard_of', challenges: 1 }), null, (said) => ({
      type: 'PAYMENT_REJECTED',
      code: 'mpp_unheard_of',
      ...said,
    })),
    ...rejectionsIn('paymentFlow.requesting', null),
    ...plainAnswers(null),
    serverFailed(null, 500, false),
    one('CONNECTION_FAILED', { by: 'connection', is: 'broken' }, { type: 'CONNECTION_FAILED', reason: 'no answer' }),
    ...(first && !closing
      ? [one('POLICY_DENIED', { by: 'policy', forbids: 'origin' }, { type: 'POLICY_DENIED', reason: 'origin' })]
      : []),
    ...(first && closing ? [one('ALREADY_CLOSED', { by: 'ledger', finds: 'closed' }, { type: 'ALREADY_CLOSED' })] : []),
    ...(closing ? OF_THE_STORE_AS_A_WHOLE : []),
    CANCEL,
  ]
}

function parsingChallenge(context: PaymentFlowContext): readonly EventCase[] {
  const is = (kind: Extract<Cause, { by: 'challenge' }>['is'], event: PaymentFlowEvent): EventCase =>
    one(`${event.type}/${kind}`, { by: 'challenge', is: kind }, event)
  // Read once more after a wait: it is what it was, unless it has run out meanwhile.
  if (context.challenge !== null && context.unreadChallenges === 0 && context.skipChallenges === 0) {
    return [
      one('CHALLENGE_ACCEPTED/again', CLIENT, { type: 'CHALLENGE_ACCEPTED', challenge: context.challenge }),
      EXPIRY,
      CANCEL,
    ]
  }
  const accepted = usable(context).map((kind) =>
    is(kind, { type: 'CHALLENGE_ACCEPTED', challenge: { ...MODEL_CHALLENGE, unitType: unitOf(kind) } }),
  )
  const beyond = (another: boolean): EventCase =>
    is('beyond-the-wallet', { type: 'CHALLENGE_ACCEPTED', challenge: BEYOND_THE_WALLET, another })
  // Read from the same answer as the one before it, which was made for this.
  if (context.challenge !== null && context.unreadChallenges === 0)
    return [...(isBeyondTheWallet(context) ? accepted : [beyond(false)]), CANCEL]
  const choice = context.purpose === 'pay' && context.challenge === null && context.unreadChallenges > 1
  return [
    ...accepted,
    ...(choice
      ? [beyond(true), is('before-another', { type: 'CHALLENGE_ACCEPTED', challenge: MODEL_CHALLENGE, another: true })]
      : []),
    is('unsupported', { type: 'CHALLENGE_UNSUPPORTED', reason: 'no tempo/session challenge' }),
    is('malformed', { type: 'CHALLENGE_REJECTED', reason: 'malformed' }),
    is('expired', { type: 'CHALLENGE_EXPIRED' }),
    is('for-another-body', { type: 'DIGEST_MISMATCH' }),
    is('in-a-foreign-token', { type: 'POLICY_DENIED', reason: 'token' }),
    CANCEL,
  ]
}

/** A gateway has one way to charge: the first challenge of a flow says which. */
function usable({ purpose, challenge }: PaymentFlowContext): readonly ('usable' | 'priced-per-request')[] {
  if (purpose === 'close') return ['usable']
  if (challenge === null) return ['usable', 'priced-per-request']
  return challenge.unitType === null ? ['usable'] : ['priced-per-request']
}

/** Whether the accepted challenge asks for a token of which the wallet has nothing. */
function isBeyondTheWallet({ challenge }: PaymentFlowContext): boolean {
  return challenge?.currency === BEYOND_THE_WALLET.currency
}

function unitOf(kind: 'usable' | 'priced-per-request'): string | null {
  return kind === 'usable' ? null : 'request'
}

const FINDINGS: readonly Exclude<Finding, 'unchanged' | 'closed'>[] = [
  'absent',
  'open',
  'used-up',
  'opening',
  'topping-up',
  'closing',
  'overdrawn',
  'close-requested',
]

function acquiringSession(context: PaymentFlowContext): readonly EventCase[] {
  const found = (finds: Finding, session: SessionView): EventCase =>
    one(`SESSION_ACQUIRED/${finds}`, { by: 'ledger', finds }, { type: 'SESSION_ACQUIRED', session })
  // The wallet never had anything of that token, nor a channel in it; paths begin with one channel at most.
  const choice = isBeyondTheWallet(context) || context.skipChallenges > 0
  if (context.session === null && choice) return [found('absent', FOUND.absent), ...OF_THE_STORE, CANCEL]
  // Of channels that are there, only this one must grow before anything is sent.
  if (context.session === null && context.anotherOffer) {
    return [found('overdrawn', FOUND.overdrawn), ...OF_THE_STORE, CANCEL]
  }
  const acquired =
    context.session === null
      ? FINDINGS.map((finds) => found(finds, FOUND[finds]))
      : [found('unchanged', context.session)]
  return [...acquired, ...OF_THE_STORE, CANCEL]
}

function awaitingAcknowledgement(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  const granted = (name: string, cause: Cause, view: SessionView): EventCase =>
    one(`TURN_GRANTED/${name}`, cause, { type: 'TURN_GRANTED', session: view, grant: 'immediate' })
  return [
    granted('nothing-outstanding', CLIENT, session),
    granted('acknowledged', { by: 'another-process', does: 'is-acknowledged' }, { ...session, spent: session.signed }),
    ...OF_THE_STORE,
    CANCEL,
  ]
}

function opened(session: SessionView, context: PaymentFlowContext): Of<'OPEN_SIGNED'> {
  const plan = context.plan?.kind === 'open' ? context.plan : { cumulative: BUCKET, deposit: BUCKET }
  const { cumulative, deposit } = plan
  return {
    type: 'OPEN_SIGNED',
    session: {
      ...session,
      status: 'opening',
      channelId: nextChannel(context),
      deposit: '0',
      signed: cumulative,
      accepted: '0',
      spent: '0',
      pending: 'open',
      pendingAmount: deposit,
    },
    deposit,
    cumulative,
    feeAtMost: FEE_AT_MOST,
  }
}

/** What another process may do to the channel before this flow has its lease; nothing, while this flow holds it. */
function interference(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  const { plan } = context
  const holdsLease = context.approvedDeposit !== null || session.pending !== null
  if (holdsLease || plan === null) return []
  if (plan.kind === 'open') return [changed('opens', { ...FOUND.open, channelId: nextChannel(context) })]
  if (plan.kind === 'topUp') {
    return [changed('tops-up', { ...session, deposit: add(session.deposit, plan.additionalDeposit) })]
  }
  if (plan.kind !== 'sign') return []
  // A bucket more, whatever this flow was about to sign: also what is to be signed anew is settled by a higher voucher only.
  const signed = add(session.signed, BUCKET)
  const possible = !exceeds(signed, session.deposit) && !exceeds(plan.cumulative, signed)
  return possible ? [changed('signs', { ...session, signed })] : []
}

function awaitingApproval(context: PaymentFlowContext): readonly EventCase[] {
  if (isBeyondTheWallet(context)) return [WALLET_LACKS_THIS_TOKEN, CHAIN_UNREACHABLE, ...OF_THE_STORE, CANCEL]
  return [
    one('APPROVE', { by: 'caller', sends: 'APPROVE' }, { type: 'APPROVE' }),
    one('DENY', { by: 'caller', sends: 'DENY' }, { type: 'DENY' }),
    ...interference(context),
    WALLET_EMPTY,
    CHAIN_EXPENSIVE,
    CHAIN_UNREACHABLE,
    ...OF_THE_STORE,
    CANCEL,
  ]
}

function openingSession(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  if (context.plan?.kind === 'open' && context.plan.resumes === true) {
    return [one('OPEN_RESUMED', CLIENT, { type: 'OPEN_RESUMED', session }), ...OF_THE_STORE, CANCEL]
  }
  if (isBeyondTheWallet(context)) return [WALLET_LACKS_THIS_TOKEN, CHAIN_UNREACHABLE, ...OF_THE_STORE, CANCEL]
  return [
    one('OPEN_SIGNED', CLIENT, opened(session, context)),
    ...interference(context),
    WALLET_REFUSES,
    WALLET_EMPTY,
    CHAIN_EXPENSIVE,
    CHAIN_UNREACHABLE,
    ...OF_THE_STORE,
    CANCEL,
  ]
}

function toppingUp(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  if (session.status !== 'toppingUp') {
    const { plan } = context
    const additionalDeposit = plan?.kind === 'topUp' ? plan.additionalDeposit : BUCKET
    const signed = { ...session, status: 'toppingUp', pending: 'topUp', pendingAmount: additionalDeposit } as const
    return [
      one('TOP_UP_SIGNED', CLIENT, {
        type: 'TOP_UP_SIGNED',
        session: signed,
        additionalDeposit,
        feeAtMost: FEE_AT_MOST,
      }),
      ...interference(context),
      EXPIRY,
      WALLET_REFUSES,
      WALLET_EMPTY,
      CHAIN_EXPENSIVE,
      CHAIN_UNREACHABLE,
      ...OF_THE_STORE,
      CANCEL,
    ]
  }
  return [
    answered('TOPPED_UP', answer({ carriedOut: true, status: 200 }), null, () => ({
      type: 'TOPPED_UP',
      session: included(session),
    })),
    one('TOP_UP_UNCONFIRMED', { by: 'connection', is: 'broken' }, { type: 'TOP_UP_UNCONFIRMED' }),
    ...rejectionsIn('paymentFlow.authorizing.toppingUp', null),
    ...plainAnswers(null),
    serverFailed(null, 500, true),
    answered('ANSWER_RECEIVED', answer({ status: 404 }), null, (said) => ({ type: 'ANSWER_RECEIVED', ...said })),
    REFUSED,
    CANCEL,
  ]
}

function signingVoucher(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  const cumulative = context.plan?.kind === 'sign' ? context.plan.cumulative : BUCKET
  return [
    one('VOUCHER_SIGNED', CLIENT, { type: 'VOUCHER_SIGNED', session: { ...session, signed: cumulative }, cumulative }),
    ...interference(context),
    WALLET_REFUSES,
    ...OF_THE_STORE,
    CANCEL,
  ]
}

function reconcilingSession(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  const pending = session.status === 'opening' || session.status === 'toppingUp'
  // What had seconds left when it was looked at has run out by now.
  const late = (context.counts.OPERATION_UNDECIDED ?? 0) > 0
  const shows = (truth: ChainTruth, view: SessionView): EventCase =>
    one(`SESSION_RECONCILED/${truth}`, { by: 'chain', shows: truth }, { type: 'SESSION_RECONCILED', session: view })
  const live = session.status !== 'absent' && session.status !== 'closed'
  return [
    ...(pending && !late ? [shows('included', included(session))] : []),
    ...(pending && late ? [] : [shows('as-before', session.status === 'closing' ? dropped(session) : session)]),
    ...(pending ? [shows('expired', dropped(session))] : []),
    ...(live ? [shows('ended', ended(session))] : []),
    ...(pending && !late
      ? [
          one(
            'OPERATION_UNDECIDED',
            { by: 'chain', shows: 'about-to-expire' },
            { type: 'OPERATION_UNDECIDED', waitMs: 3000 },
          ),
        ]
      : []),
    CHAIN_UNREACHABLE,
    ...OF_THE_STORE,
    CANCEL,
  ]
}

function paying(context: PaymentFlowContext): readonly EventCase[] {
  const session = sessionOf(context)
  const opening = session.status === 'opening'
  if (!opening && exceeds(session.signed, session.deposit)) {
    return [one('DEPOSIT_TOO_LOW', CLIENT, { type: 'DEPOSIT_TOO_LOW', session }), ...OF_THE_STORE, CANCEL]
  }
  return [
    ...paidAnswers('paymentFlow.paying', session.signed),
    // A channel that is being topped up cannot be closed.
    ...(session.status === 'open' ? [changed('closes', ended(session))] : []),
    ...OF_THE_STORE,
    CANCEL,
  ]
}

/** What can come of a credential that is sent again: nothing is planned for it, and the ledger is not asked. */
function resending(context: PaymentFlowContext): readonly EventCase[] {
  return [...paidAnswers('paymentFlow.resending', sessionOf(context).signed), CANCEL]
}

/** What can come of a paid send in a state, once it is on its way. */
function paidAnswers(stateId: string, cumulative: string): readonly EventCase[] {
  return [
    answered(
      'PAID_ANSWER_RECEIVED',
      answer({ carriedOut: true, status: 200, receipt: 'good' }),
      cumulative,
      (said) => ({
        type: 'PAID_ANSWER_RECEIVED',
        ...said,
      }),
    ),
    answered('ANSWER_RECEIVED', answer({ status: 404 }), cumulative, (said) => ({ type: 'ANSWER_RECEIVED', ...said })),
    ...rejectionsIn(stateId, cumulative),
    ...plainAnswers(cumulative),
    answered('PAYMENT_REJECTED/no-code', answer({ status: 402 }), cumulative, (said) => ({
      type: 'PAYMENT_REJECTED',
      code: null,
      ...said,
    })),
    answered('PAYMENT_REJECTED/500', answer({ status: 500, code: 'mpp_unheard_of' }), cumulative, (said) => ({
      type: 'PAYMENT_REJECTED',
      code: 'mpp_unheard_of',
      ...said,
    })),
    serverFailed(cumulative, 503, false),
    serverFailed(cumulative, 500, true),
    REFUSED,
    one('OUTCOME_UNKNOWN', { by: 'connection', is: 'broken' }, { type: 'OUTCOME_UNKNOWN', reason: 'no answer' }),
    EXPIRY,
  ]
}

function verifyingReceipt(context: PaymentFlowContext): readonly EventCase[] {
  const { channelId, signed, spent } = sessionOf(context)
  const receipt = {
    challengeId: 'challenge',
    channelId: channelId ?? MODEL_CHANNEL,
    acceptedCumulative: signed,
    spent,
    txHash: null,
  }
  return [
    one('RECEIPT_VERIFIED', { by: 'receipt', is: 'good' }, { type: 'RECEIPT_VERIFIED', receipt }),
    one('RECEIPT_MISSING', { by: 'receipt', is: 'none' }, { type: 'RECEIPT_MISSING' }),
    one(
      'RECEIPT_REJECTED',
      { by: 'receipt', is: 'for-another-channel' },
      { type: 'RECEIPT_REJECTED', reason: 'the receipt is for another channel' },
    ),
    CANCEL,
  ]
}

function waiting(): readonly EventCase[] {
  return [one('WAITED', CLIENT, { type: 'WAITED' }), CANCEL]
}

function sendingClose(context: PaymentFlowContext): readonly EventCase[] {
  const { signed, deposit, status } = sessionOf(context)
  // The chain has said that it is over: there is nothing left to send.
  if (status === 'closed') {
    const settled = { type: 'CLOSE_CONFIRMED', settled: signed, refunded: deposit, txHash: null } as const
    return [one('CLOSE_CONFIRMED/known', CLIENT, settled), ...OF_THE_STORE, CANCEL]
  }
  // The lease is held from the first close on: nobody else touches the channel then.
  const first = Object.keys(context.counts).length === 0 && context.authorised.paidSends === 0
  return [
    answered('CLOSE_CONFIRMED', answer({ carriedOut: true, status: 200 }), signed, () => ({
      type: 'CLOSE_CONFIRMED',
      settled: signed,
      refunded: deposit,
      txHash: null,
    })),
    ...(first
      ? [one('ALREADY_CLOSED', { by: 'another-process', does: 'notes-loss' }, { type: 'ALREADY_CLOSED' })]
      : []),
    one('CLOSE_UNCONFIRMED', { by: 'connection', is: 'broken' }, { type: 'CLOSE_UNCONFIRMED', reason: 'no answer' }),
    ...rejectionsIn('paymentFlow.closing.sendingClose', signed),
    ...plainAnswers(signed),
    serverFailed(signed, 500, true),
    answered('ANSWER_RECEIVED', answer({ status: 404 }), signed, (said) => ({ type: 'ANSWER_RECEIVED', ...said })),
    REFUSED,
    CHAIN_UNREACHABLE,
    EXPIRY,
    ...OF_THE_STORE,
    CANCEL,
  ]
}

const CASES: Readonly<Record<string, (context: PaymentFlowContext) => readonly EventCase[]>> = {
  requesting,
  parsingChallenge,
  'authorizing.acquiringSession': acquiringSession,
  'authorizing.awaitingAcknowledgement': awaitingAcknowledgement,
  'authorizing.awaitingApproval': awaitingApproval,
  'authorizing.openingSession': openingSession,
  'authorizing.toppingUp': toppingUp,
  'authorizing.signingVoucher': signingVoucher,
  'authorizing.reconcilingSession': reconcilingSession,
  paying,
  resending,
  verifyingReceipt,
  backingOff: waiting,
  'closing.sendingClose': sendingClose,
  'closing.backingOff': waiting,
}

/**
 * Every event that can reach a flow in the state of `snapshot`, with payloads that go with what the flow knows.
 *
 * @throws Error for a state without cases: one that was added to the machine and not here.
 */
export function casesFor(snapshot: FlowSnapshot): readonly EventCase[] {
  if (snapshot.status !== 'active') return []
  const cases = CASES[stateName(snapshot.value)]
  if (cases === undefined) throw new Error(`the model has no event cases for the state ${stateName(snapshot.value)}`)
  return cases(snapshot.context)
}
