// The life of one payment channel: which changes of its record are legal, and nothing else.
// Must never do I/O; the ledger runs it with XState's pure `transition`, so an illegal change cannot be stored.

import { assign, setup } from 'xstate'
import { type Amount, add, exceeds, max, min, subtract } from './amount.js'
import { type RecoveryMeta, to } from './leads-to.js'
import type { Reservation, SessionContext, SessionEvent } from './session.types.js'

/** A channel that does not exist yet. */
export const ABSENT_SESSION: SessionContext = {
  channelId: null,
  descriptor: null,
  resource: null,
  deposit: '0',
  signed: '0',
  accepted: '0',
  spent: '0',
  settled: '0',
  refunded: null,
  pending: null,
  reservations: [],
  unacknowledged: '0',
  withdrawableAt: null,
  seenAtBlock: null,
  adopted: false,
}

/** Reservations of flows that go on with another channel, of which so much is acknowledged as spent. */
function carriedOver(reservations: readonly Reservation[], spent: Amount): readonly Reservation[] {
  return reservations.map((held) => ({ ...held, spent }))
}

/** What this side has signed for a channel before it found it again on the chain. */
function signedBefore(context: SessionContext, channelId: string): Amount {
  return context.channelId === channelId ? context.signed : '0'
}

/**
 * What is presumed to be spent beyond `spent`, once the request of `answered` was. A server's running total includes every
 * earlier request: a receipt that says more than this request's price makes up for those that were not acknowledged.
 * Where nothing is acknowledged, a refusal may say what is used up, with this request's price on top of it: as long as no
 * other request is on its way, to which that may belong.
 */
function unacknowledgedAfter(
  context: SessionContext,
  { flow, spent, usedUp }: { readonly flow: string | undefined; readonly spent: Amount; readonly usedUp?: Amount },
): Amount {
  const answered = context.reservations.find((held) => held.flow === flow)
  const isAlone = answered !== undefined && context.reservations.length === 1
  const amount = answered?.amount ?? '0'
  const acknowledged = answered === undefined || exceeds(spent, answered.spent)
  const total = max(context.spent, spent)
  const grown = subtract(total, context.spent)
  const known = isAlone && usedUp !== undefined ? subtract(add(usedUp, amount), total) : '0'
  const presumed = acknowledged
    ? subtract(context.unacknowledged, subtract(grown, amount))
    : max(subtract(add(context.unacknowledged, amount), grown), known)
  // Nothing can have been spent that was not signed for.
  return min(presumed, subtract(context.signed, total))
}

const session = setup({
  types: {} as {
    context: SessionContext
    events: SessionEvent
    input: Partial<SessionContext> | undefined
    meta: RecoveryMeta
  },
  guards: {
    /** A first voucher never authorises more than the deposit it comes with. */
    opensWithinDeposit: ({ event }) => event.type === 'OPEN_SIGNED' && !exceeds(event.cumulative, event.deposit),
    /** A voucher grows (or is signed again at the same amount), and never passes the deposit. */
    voucherGrowsWithinDeposit: ({ context, event }) =>
      event.type === 'VOUCHER_SIGNED' &&
      !exceeds(context.signed, event.cumulative) &&
      !exceeds(event.cumulative, context.deposit),
    /** While a channel opens, its voucher may grow within the deposit that was signed for. */
    voucherGrowsWithinPending: ({ context, event }) =>
      event.type === 'VOUCHER_SIGNED' &&
      !exceeds(context.signed, event.cumulative) &&
      !exceeds(event.cumulative, context.pending?.amount ?? '0'),
    /** What is adopted from the chain covers all that was signed or settled. */
    adoptsWithinDeposit: ({ context, event }) =>
      event.type === 'CHANNEL_ADOPTED' &&
      !exceeds(max(event.cumulative, event.settled, signedBefore(context, event.channelId)), event.deposit),
    /** What the chain confirms covers the first voucher. */
    depositCovers: ({ context, event }) => event.type === 'OPEN_CONFIRMED' && !exceeds(context.signed, event.deposit),
    /** A forced close is under way that nothing has called off yet. */
    closeWasRequested: ({ context }) => context.withdrawableAt !== null,
    /** The chain has the request for a forced close, so that the grace period has an end. */
    graceRuns: ({ context }) => context.withdrawableAt !== null && context.pending === null,
    /** Whatever was signed before is decided. */
    nothingPending: ({ context }) => context.pending === null,
    requestPending: ({ context }) => context.pending?.kind === 'requestClose',
    withdrawPending: ({ context }) => context.pending?.kind === 'withdraw',
    /** Deposits only grow while a channel is open. */
    depositGrows: ({ context, event }) =>
      (event.type === 'TOP_UP_CONFIRMED' || event.type === 'DEPOSIT_SEEN') && !exceeds(context.deposit, event.deposit),
    /** Whatever is vouched for, the deposit covers what is signed; only the paid send may find that it does not. */
    resetCovers: ({ context, event }) => event.type === 'DEPOSIT_RESET' && !exceeds(context.signed, event.deposit),
    /** A receipt counts only if it claims no more than was signed. */
    receiptWithinSigned: ({ context, event }) =>
      event.type === 'RECEIPT_ACCEPTED' &&
      !exceeds(event.accepted, context.signed) &&
      !exceeds(event.spent, event.accepted),
    /** A close settles at most the highest voucher. */
    closesAtSigned: ({ context, event }) =>
      event.type === 'CLOSE_SIGNED' && event.cumulative === context.signed && context.pending === null,
  },
  actions: {
    recordOpen: assign(({ context, event }) =>
      event.type !== 'OPEN_SIGNED'
        ? {}
        : {
            ...ABSENT_SESSION,
            reservations: carriedOver(context.reservations, '0'),
            channelId: event.channelId,
            descriptor: event.descriptor,
            resource: event.resource,
            signed: event.cumulative,
            pending: {
              kind: 'open' as const,
              amount: event.deposit,
              validBefore: event.validBefore,
              transactionHash: event.transactionHash,
              reaching: event.deposit,
            },
          },
    ),
    adoptChannel: assign(({ context, event }) => {
      if (event.type !== 'CHANNEL_ADOPTED') return {}
      // What the chain has settled is money taken, not work acknowledged: only receipts say what was spent.
      const known = context.channelId === event.channelId ? context : { ...ABSENT_SESSION, adopted: true }
      return {
        ...ABSENT_SESSION,
        reservations: carriedOver(context.reservations, known.spent),
        channelId: event.channelId,
        descriptor: event.descriptor,
        resource: event.resource,
        deposit: event.deposit,
        settled: max(known.settled, event.settled),
        signed: max(known.signed, event.cumulative),
        accepted: known.accepted,
        spent: known.spent,
        unacknowledged: known.unacknowledged,
        adopted: known.adopted,
      }
    }),
    /** How new the chain was in which the channel was seen: it never counts backwards. */
    recordSeenBlock: assign(({ context, event }) =>
      'block' in event && event.block !== undefined
        ? { seenAtBlock: Math.max(context.seenAtBlock ?? 0, event.block) }
        : {},
    ),
    forgetSeenBlock: assign({ seenAtBlock: null }),
    resetDeposit: assign(({ event }) => (event.type === 'DEPOSIT_RESET' ? { deposit: event.deposit } : {})),
    forgetOpen: assign(({ context }) => ({
      ...ABSENT_SESSION,
      reservations: carriedOver(context.reservations, '0'),
    })),
    recordVoucher: assign(({ context, event }) =>
      event.type === 'VOUCHER_SIGNED' ? { signed: max(context.signed, event.cumulative) } : {},
    ),
    recordTopUp: assign(({ event }) =>
      event.type !== 'TOP_UP_SIGNED'
        ? {}
        : {
            pending: {
              kind: 'topUp' as const,
              amount: event.additionalDeposit,
              validBefore: event.validBefore,
              transactionHash: event.transactionHash,
              reaching: event.reaching,
            },
          },
    ),
    recordDeposit: assign(({ context, event }) => {
      if (event.type === 'OPEN_CONFIRMED') return { deposit: event.deposit }
      // A top-up that the chain has calls a forced close off.
      if (event.type === 'TOP_UP_CONFIRMED') return { deposit: event.deposit, withdrawableAt: null }
      if (event.type !== 'DEPOSIT_SEEN') return {}
      return { deposit: max(context.deposit, event.deposit), settled: max(context.settled, event.settled) }
    }),
    clearPending: assign({ pending: null }),
    reserve: assign(({ context, event }) => {
      if (event.type !== 'RESERVED') return {}
      const live = context.reservations.filter((held) => held.flow !== event.flow && held.until > event.now)
      const { flow, amount, until } = event
      return { reservations: [...live, { flow, amount, until, spent: context.spent }] }
    }),
    release: assign(({ context, event }) =>
      event.type === 'RELEASED'
        ? { reservations: context.reservations.filter((held) => held.flow !== event.flow) }
        : {},
    ),
    recordReceipt: assign(({ context, event }) =>
      event.type === 'RECEIPT_ACCEPTED'
        ? {
            accepted: max(context.accepted, event.accepted),
            spent: max(context.spent, event.spent),
            resource: context.resource ?? event.resource ?? null,
            reservations: context.reservations.filter((held) => held.flow !== event.flow),
            unacknowledged: unacknowledgedAfter(context, { flow: undefined, ...event }),
            // Whoever has accepted all that was signed here holds no higher voucher: it would have refused this one.
            adopted: context.adopted && exceeds(context.signed, event.accepted),
          }
        : {},
    ),
    recordUnacknowledged: assign(({ context, event }) =>
      event.type === 'ANSWER_UNACKNOWLEDGED'
        ? {
            reservations: context.reservations.filter((held) => held.flow !== event.flow),
            unacknowledged: unacknowledgedAfter(context, { ...event, spent: '0' }),
          }
        : {},
    ),
    recordClose: assign({
      pending: { kind: 'close' as const, amount: '0', validBefore: null, transactionHash: null, reaching: '0' },
    }),
    recordSettlement: assign(({ context, event }) =>
      event.type === 'CLOSE_CONFIRMED'
        ? { settled: max(context.settled, event.settled), refunded: event.refunded, pending: null, reservations: [] }
        : {},
    ),
    recordCloseRequest: assign(({ event }) =>
      event.type === 'CLOSE_REQUESTED' ? { withdrawableAt: event.withdrawableAt, pending: null } : {},
    ),
    forgetCloseRequest: assign({ withdrawableAt: null }),
    /** Two transactions of a forced close, which move nothing into the channel. */
    recordForcedStep: assign(({ event }) => {
      if (event.type !== 'REQUEST_CLOSE_SIGNED' && event.type !== 'WITHDRAW_SIGNED') return {}
      const { transactionHash, validBefore } = event
      const kind = event.type === 'WITHDRAW_SIGNED' ? ('withdraw' as const) : ('requestClose' as const)
      return { pending: { kind, amount: '0', validBefore, transactionHash, reaching: '0' } }
    }),
    recordWithdrawal: assign(({ context, event }) =>
      event.type === 'WITHDRAWN'
        ? { settled: max(context.settled, event.settled), refunded: event.refunded, pending: null, reservations: [] }
        : {},
    ),
  },
})

const opens = {
  OPEN_SIGNED: { guard: 'opensWithinDeposit' as const, target: 'opening', actions: 'recordOpen' as const },
  CHANNEL_ADOPTED: {
    guard: 'adoptsWithinDeposit' as const,
    target: 'open',
    actions: ['adoptChannel' as const, 'recordSeenBlock' as const],
    meta: to.reconcile,
  },
}
const reservations = {
  RESERVED: { actions: 'reserve' as const },
  RELEASED: { actions: 'release' as const },
}
/** Amounts and states stay as they are: only which nodes are believed changes. */
const seenBlockResets = {
  SEEN_BLOCK_RESET: { actions: 'forgetSeenBlock' as const },
}
const acknowledgements = {
  RECEIPT_ACCEPTED: { guard: 'receiptWithinSigned' as const, actions: 'recordReceipt' as const },
  ANSWER_UNACKNOWLEDGED: { actions: 'recordUnacknowledged' as const },
}

/**
 * One channel, from nothing to its settled end. Amounts in its context only grow while the channel lives, but for a deposit
 * that a person resets.
 *
 * @example
 * ```ts
 * import { sessionMachine, transitionSession, ABSENT_SESSION } from 'mpp-flow/machines'
 *
 * const next = transitionSession({ status: 'absent', session: ABSENT_SESSION }, { type: 'CHANNEL_GONE' })
 * // → undefined: a channel that does not exist cannot go
 * ```
 *
 * @see TIP-1034 (channel reserve)
 */
export const sessionMachine = session.createMachine({
  id: 'session',
  description: 'One payment channel on the channel reserve, from its opening to its settled end.',
  context: ({ input }) => ({ ...ABSENT_SESSION, ...input }),
  initial: 'absent',
  states: {
    absent: {
      description: 'No channel for this payer, payee and token. Waits for a signed open.',
      on: { ...opens, ...reservations },
    },
    opening: {
      description: 'An open transaction was signed; its fate on the chain is not known yet. Vouchers wait.',
      tags: ['wallet', 'waiting'],
      on: {
        VOUCHER_SIGNED: { guard: 'voucherGrowsWithinPending', actions: 'recordVoucher' },
        OPEN_CONFIRMED: {
          guard: 'depositCovers',
          target: 'open',
          actions: ['recordDeposit', 'clearPending', 'recordSeenBlock'],
        },
        OPEN_DROPPED: { target: 'absent', actions: 'forgetOpen', meta: to.reconcile },
        ...reservations,
        ...acknowledgements,
      },
    },
    open: {
      description: 'The channel is funded. Vouchers may be signed up to its deposit.',
      on: {
        VOUCHER_SIGNED: { guard: 'voucherGrowsWithinDeposit', actions: 'recordVoucher' },
        TOP_UP_SIGNED: { target: 'toppingUp', actions: 'recordTopUp' },
        DEPOSIT_SEEN: { guard: 'depositGrows', actions: ['recordDeposit', 'recordSeenBlock'] },
        DEPOSIT_RESET: { guard: 'resetCovers', actions: 'resetDeposit' },
        CLOSE_SIGNED: { guard: 'closesAtSigned', target: 'closing', actions: 'recordClose' },
        CLOSE_CONFIRMED: { target: 'closed', actions: 'recordSettlement' },
        REQUEST_CLOSE_SIGNED: { target: 'closeRequested', actions: 'recordForcedStep' },
        CLOSE_REQUESTED: { target: 'closeRequested', actions: ['recordCloseRequest', 'recordSeenBlock'] },
        CHANNEL_GONE: { target: 'lost', actions: 'clearPending' },
        ...seenBlockResets,
        ...reservations,
        ...acknowledgements,
      },
    },
    toppingUp: {
      description: 'A top-up was signed; the channel stays usable within its old deposit until the chain has it.',
      tags: ['wallet', 'waiting'],
      on: {
        VOUCHER_SIGNED: { guard: 'voucherGrowsWithinDeposit', actions: 'recordVoucher' },
        TOP_UP_CONFIRMED: {
          guard: 'depositGrows',
          target: 'open',
          actions: ['recordDeposit', 'clearPending', 'recordSeenBlock'],
        },
        TOP_UP_DROPPED: [
          { guard: 'closeWasRequested', target: 'closeRequested', actions: 'clearPending', meta: to.reconcile },
          { target: 'open', actions: 'clearPending', meta: to.reconcile },
        ],
        CLOSE_CONFIRMED: { target: 'closed', actions: 'recordSettlement' },
        CHANNEL_GONE: { target: 'lost', actions: 'clearPending' },
        ...seenBlockResets,
        ...reservations,
        ...acknowledgements,
      },
    },
    closing: {
      description: 'A close credential is out; the payee settles what was spent and refunds the rest.',
      tags: ['network', 'waiting'],
      on: {
        CLOSE_CONFIRMED: { target: 'closed', actions: 'recordSettlement' },
        CLOSE_ABANDONED: [
          { guard: 'closeWasRequested', target: 'closeRequested', actions: 'clearPending', meta: to.reconcile },
          { target: 'open', actions: 'clearPending', meta: to.reconcile },
        ],
        CLOSE_REQUESTED: { target: 'closeRequested', actions: ['recordCloseRequest', 'recordSeenBlock'] },
        CHANNEL_GONE: { target: 'lost', actions: 'clearPending' },
        ...seenBlockResets,
        ...reservations,
        ...acknowledgements,
      },
    },
    closeRequested: {
      description: 'The payer has signed a request for a forced close; once the chain has it, the grace period runs.',
      tags: ['waiting'],
      on: {
        CLOSE_REQUESTED: { actions: ['recordCloseRequest', 'recordSeenBlock'] },
        REQUEST_CLOSE_DROPPED: { guard: 'requestPending', target: 'open', actions: 'clearPending' },
        GRACE_ELAPSED: { guard: 'graceRuns', target: 'withdrawable' },
        CLOSE_REQUEST_CANCELLED: {
          guard: 'nothingPending',
          target: 'open',
          actions: ['forgetCloseRequest', 'recordSeenBlock'],
          meta: to.reconcile,
        },
        TOP_UP_SIGNED: { guard: 'nothingPending', target: 'toppingUp', actions: 'recordTopUp' },
        CLOSE_SIGNED: { guard: 'closesAtSigned', target: 'closing', actions: 'recordClose' },
        CLOSE_CONFIRMED: { target: 'closed', actions: 'recordSettlement' },
        CHANNEL_GONE: { target: 'lost', actions: 'clearPending' },
        ...seenBlockResets,
        ...reservations,
        ...acknowledgements,
      },
    },
    withdrawable: {
      description: 'The grace period is over; what the payee did not settle can be withdrawn.',
      on: {
        WITHDRAW_SIGNED: { guard: 'nothingPending', actions: 'recordForcedStep' },
        WITHDRAW_DROPPED: { guard: 'withdrawPending', actions: 'clearPending' },
        WITHDRAWN: { target: 'withdrawn', actions: 'recordWithdrawal' },
        CLOSE_REQUEST_CANCELLED: {
          guard: 'nothingPending',
          target: 'open',
          actions: ['forgetCloseRequest', 'recordSeenBlock'],
          meta: to.reconcile,
        },
        TOP_UP_SIGNED: { guard: 'nothingPending', target: 'toppingUp', actions: 'recordTopUp' },
        CLOSE_SIGNED: { guard: 'closesAtSigned', target: 'closing', actions: 'recordClose' },
        CLOSE_CONFIRMED: { target: 'closed', actions: 'recordSettlement' },
        CHANNEL_GONE: { target: 'lost', actions: 'clearPending' },
        ...seenBlockResets,
        ...reservations,
        ...acknowledgements,
      },
    },
    closed: {
      description: 'Settled and refunded by the payee. A new channel may be opened.',
      tags: ['ended'],
      on: { ...opens, ...reservations },
    },
    withdrawn: {
      description: 'Refunded by a forced close. A new channel may be opened.',
      tags: ['ended'],
      on: { ...opens, ...reservations },
    },
    lost: {
      description: 'The chain no longer has the channel, and how it ended was not seen. A new one may be opened.',
      tags: ['ended'],
      on: { ...opens, ...reservations },
    },
  },
})

/** What counts against the deposit limits of a policy: the confirmed deposit and whatever was signed to add to it. */
export function depositAtStake(context: Pick<SessionContext, 'deposit' | 'pending'>): string {
  return context.pending === null ? context.deposit : add(context.deposit, context.pending.amount)
}
