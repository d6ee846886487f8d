// Asks the person at the terminal before funds move.
// Must never take anything but a yes for one: no terminal, no answer and a broken prompt all mean no.

import confirm from '@inquirer/confirm'
import { tokenName } from '../../../machines/index.js'
import type { PaymentIntent } from '../../client/index.js'
import { usageError } from '../exit.js'
import { inTokens, namedAmount, namedToken } from '../money.js'

/** Where the question is asked. */
export interface Asking {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** Ends the question without an answer. */
  readonly signal: AbortSignal
  /** Told when the person pressed Ctrl-C in place of an answer. */
  readonly onInterrupt: () => void
}

/** @throws CommandError when there is nobody to ask. */
export function needTerminal(): void {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw usageError('--approve asks on the terminal, and there is none: use limits such as --max-deposit instead')
  }
}

/** What the person is asked. */
export function question({ action, deposit, cumulative, token }: PaymentIntent): string {
  const what = action === 'open' ? 'Open a channel with a deposit of' : 'Add to the deposit of the channel'
  // The whole address of a token without a name stands above the question.
  const amount = tokenName(token) === token ? `${inTokens(deposit)} tokens` : namedAmount(deposit, token)
  return `${what} ${amount}, and authorise up to ${inTokens(cumulative)} in all?`
}

/** What it is about. */
export function particulars({ origin, payee, token, chainId, fee, feeToken }: PaymentIntent): string {
  const cost = fee === '0' ? '' : ` The transaction costs at most ${namedAmount(fee, feeToken)} besides.`
  return `${origin} asks to be paid: to ${payee}, in the token ${namedToken(token)} on chain ${chainId}.${cost}`
}

/** The rule for `policy.approve`. */
export function askOnTerminal({ input, output, signal, onInterrupt }: Asking) {
  return async (intent: PaymentIntent): Promise<boolean> => {
    output.write(`${particulars(intent)}\n`)
    try {
      return await confirm({ message: question(intent), default: false }, { input, output, signal })
    } catch {
      // The prompt takes Ctrl-C for itself; everything else that ends it has its own cause.
      if (!signal.aborted) onInterrupt()
      return false
    }
  }
}
