// The commands `sessions close` and `sessions force-close`: end a channel with its payee, or without.
// Must never report a refund that the chain has not shown.

import { z } from 'zod'
import {
  type CloseOutcome,
  describeFailure,
  type ForceCloseOutcome,
  type ForcedSettlement,
  type SessionSummary,
} from '../../client/index.js'
import { parseAddress } from '../../protocol/index.js'
import { inOptions } from '../advice.js'
import type { CommandRun } from '../command-run.js'
import { showingFetch } from '../exchange.js'
import { type EndingSignal, EXIT, EXIT_OF_SIGNAL, exitOf, usageError } from '../exit.js'
import { inTokens, namedAmount } from '../money.js'
import { payerOptions, policyOf } from '../payer.js'
import type { Given } from '../perform.js'
import { ownChannel } from './channel.js'
import { forceCloseLine, stepLine } from './progress.js'

const closeOptions = payerOptions.extend({ url: z.string().optional(), verbose: z.boolean().default(false) })

const ENDED: ReadonlySet<SessionSummary['status']> = new Set(['closed', 'withdrawn', 'lost'])

/** Closes one channel together with its payee. @throws CommandError when it is not this payer's, or not known. */
export async function closeChannel(run: CommandRun, { options, args }: Given): Promise<number> {
  const given = closeOptions.parse(options)
  const url = given.url === undefined ? {} : { url: readUrl(given.url) }
  const showing = given.verbose ? { fetch: showingFetch(run.note, run.noteColors) } : {}
  const { mpp, session } = await ownChannel(args[0], given, showing)
  if (given.url === undefined && session.resource === null && !ENDED.has(session.status)) {
    const where = 'the ledger does not know where this channel is used: name a paid route of its payee with --url'
    throw usageError(`${where}, or get the deposit back without the payee: mpp-flow sessions force-close`)
  }
  run.onSignal((signal) => {
    run.note('Left before the close was seen on the chain. It may still come about: close again to see.')
    run.leave(signal)
  })
  return tell(run, session, await mpp.sessions.close(session.channelId, url), 'Closed')
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError('--url takes the URL of a paid route of the payee')
  return url
}

const forceCloseOptions = payerOptions.extend({ feeToken: z.string().optional(), maxFee: z.string().optional() })

/** Gets the deposit of one channel back from the chain. @throws CommandError when it is not this payer's, or not known. */
export async function forceCloseChannel(run: CommandRun, { options, args }: Given): Promise<number> {
  const given = forceCloseOptions.parse(options)
  const feeToken = given.feeToken === undefined ? {} : { feeToken: readFeeToken(given.feeToken) }
  const { maxFee } = given
  const { mpp, session } = await ownChannel(args[0], given, { policy: policyOf({ maxFee }) })
  const abort = new AbortController()
  let interrupted: EndingSignal | null = null
  run.onSignal((signal) => {
    interrupted = signal
    abort.abort()
  })
  const { signal } = abort
  const progress = forceCloseLine(stepLine(run))
  const outcome = await mpp.sessions.forceClose(session.channelId, { signal, ...feeToken, onProgress: progress.show })
  progress.end()
  return tell(run, session, outcome, 'Withdrawn', interrupted)
}

function readFeeToken(text: string) {
  const address = parseAddress(text)
  if (!address.ok) throw usageError(`--fee-token: ${address.detail}`)
  return address.value
}

/** Says how the channel ended, or why it did not. @returns the exit code. */
async function tell(
  run: CommandRun,
  { channelId, token }: SessionSummary,
  outcome: CloseOutcome | ForceCloseOutcome,
  done: string,
  interrupted: EndingSignal | null = null,
): Promise<number> {
  if (outcome.status === 'failed') {
    const failure = inOptions(outcome.failure)
    const { code, advice, retryable, detail, references } = failure
    const message = describeFailure(failure)
    const exitCode = interrupted === null ? exitOf(code) : EXIT_OF_SIGNAL[interrupted]
    const error = { code, message, advice, retryable, detail }
    const withdrawableAt = 'withdrawableAt' in outcome ? { withdrawableAt: outcome.withdrawableAt } : {}
    if (run.json) {
      await run.writeJson({ status: 'failed', exitCode, error, channelId, references, ...withdrawableAt })
    } else run.complain(message)
    return exitCode
  }
  const { status, settlement } = outcome
  const fees = 'feeAtMost' in outcome ? { feeAtMost: outcome.feeAtMost } : {}
  if (run.json) await run.writeJson({ status, exitCode: EXIT.ok, channelId, settlement, ...fees })
  else await run.write(inWords(status === 'closed' ? 'Closed' : done, settlement, token))
  return EXIT.ok
}

function inWords(done: string, settlement: ForcedSettlement | null, token: string): string {
  if (settlement === null) return 'The channel had ended before; nothing was sent.\n'
  const { settled, refunded, txHash } = settlement
  const where = txHash === null ? '' : `\n  transaction ${txHash}`
  return `${done}: ${namedAmount(settled, token)} to the payee, ${inTokens(refunded)} back to the payer.${where}\n`
}
