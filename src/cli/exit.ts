// The exit codes of the command line: one for each thing that its caller may have to do about a failure.
// Must never tell "nothing was paid" and "it may have been paid" apart wrongly: scripts decide by it whether to repeat.

import type { Failure, FailureCode, LocalCode, MppCode, ProblemType } from '../../machines/index.js'

/** Exit codes by name. docs/cli.md has the same table. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** This program failed, what it checks does not hold, or a record of the ledger cannot be read. */
  failed: 1,
  /** The arguments, a key, a file or the folder of the ledger cannot be used; nothing was sent. */
  usage: 2,
  /** Not a matter of payment: the gateway's answer is an HTTP error, and its body was printed. */
  httpError: 3,
  /** The policy, a limit or the person who was asked does not allow it. */
  notAllowed: 4,
  /** The wallet cannot pay, or did not sign. */
  wallet: 5,
  /** The challenge cannot be used, or is not for this request. */
  challenge: 6,
  /** The gateway refused the payment. */
  refused: 7,
  /** Gateway, chain or ledger could not be reached, or were too busy. The same may work later. */
  unavailable: 8,
  /** It may have been paid for, or carried out: not to be repeated without asking. */
  unknown: 9,
} as const

/** What an exit code is called. */
export type ExitName = keyof typeof EXIT

/** Exit codes after a signal, as shells have them. */
export const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** A signal that ends a command. */
export type EndingSignal = keyof typeof EXIT_OF_SIGNAL

const LOCAL: Readonly<Record<LocalCode, ExitName>> = {
  deposit_too_low: 'notAllowed',
  policy_denied: 'notAllowed',
  limit_exceeded: 'notAllowed',
  wallet_balance_insufficient: 'wallet',
  signing_failed: 'wallet',
  challenge_unsupported: 'challenge',
  challenge_rejected: 'challenge',
  challenge_expired: 'challenge',
  payment_rejected: 'refused',
  session_unavailable: 'unavailable',
  store_unavailable: 'unavailable',
  // Nothing changes by itself here; the same call fails again.
  store_damaged: 'failed',
  store_newer_format: 'failed',
  chain_unavailable: 'unavailable',
  rate_limited: 'unavailable',
  server_failed: 'unavailable',
  connection_failed: 'unavailable',
  outcome_unknown: 'unknown',
  // Without a signal nobody cancels; a signal has an exit code of its own.
  cancelled: 'failed',
  request_invalid: 'usage',
  internal_error: 'failed',
}

/** Codes of gateways that are more than a refusal. */
const WORK_MAY_HAVE_RUN: ReadonlySet<string> = new Set<MppCode | ProblemType>([
  'mpp_commit_failed',
  'internal-payment-error',
])

function isLocal(code: FailureCode): code is LocalCode {
  return Object.hasOwn(LOCAL, code)
}

/** The exit code for what a flow failed with: that the request may have been charged goes before why it failed. */
export function exitOfFailure({ code, mayHaveBeenCharged }: Pick<Failure, 'code' | 'mayHaveBeenCharged'>): number {
  return mayHaveBeenCharged ? EXIT.unknown : exitOf(code)
}

/** The exit code for a code of failure. */
export function exitOf(code: FailureCode): number {
  if (isLocal(code)) return EXIT[LOCAL[code]]
  return WORK_MAY_HAVE_RUN.has(code) ? EXIT.unknown : EXIT.refused
}

/** A command that cannot go on, in words for the person who called it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** @param exit names the exit code. @param code names the kind of failure for programs. */
  constructor(
    readonly exit: ExitName,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** Something given to the command cannot be used. Nothing was sent. */
export function usageError(message: string): CommandError {
  return new CommandError('usage', 'usage', message)
}
