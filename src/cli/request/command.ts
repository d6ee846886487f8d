// The command `request`: sends a request, pays for it when it is asked to, and prints the answer.
// Must never print anything but the answer on standard output, nor leave before what was signed is accounted for.

import { describeFailure, type PaymentOutcome } from '../../client/index.js'
import { inOptions } from '../advice.js'
import type { CommandRun } from '../command-run.js'
import { showingFetch } from '../exchange.js'
import { type EndingSignal, EXIT, EXIT_OF_SIGNAL, exitOfFailure } from '../exit.js'
import { needPayer, openClient, policyOf, readPayer } from '../payer.js'
import type { Given } from '../perform.js'
import { openStore, storeFolder } from '../store.js'
import { watchTransitions } from '../transitions.js'
import { askOnTerminal, needTerminal } from './approval.js'
import { dryRun } from './dry-run.js'
import { type RequestInput, type RequestOptions, readRequest, requestOptions } from './input.js'
import { isLive, liveProgress, type Progress, plainProgress, silentProgress } from './progress.js'
import { answerDocument, answeredDocument, failedDocument, leftSomething, summary } from './result.js'

/** How a signal ends a request: it is cancelled, and told about when it is over. */
interface Interruption {
  readonly abort: AbortController
  by: EndingSignal | null
}

export async function request(run: CommandRun, given: Given): Promise<number> {
  const options = requestOptions.parse(given.options)
  if (options.approve && !options.dryRun) needTerminal()
  const input = await readRequest(given.args[0], options)
  const interruption: Interruption = { abort: new AbortController(), by: null }
  const interrupt = (signal: EndingSignal): void => {
    interruption.by ??= signal
    interruption.abort.abort()
  }
  run.onSignal(interrupt)
  const progress = progressOf(run, options)
  const fetch = options.verbose ? showingFetch(progress.note, run.noteColors) : globalThis.fetch
  if (options.dryRun) {
    const payer = await readPayer(options)
    const { signal } = interruption.abort
    const store = await openStore(options, 'read')
    const exitCode = await dryRun(run, { input, payer, policy: policyOf(options), store, fetch, signal })
    return interruption.by === null ? exitCode : EXIT_OF_SIGNAL[interruption.by]
  }
  const payer = await needPayer(options)
  const mpp = openClient(payer, await openStore(options, 'write'), options, {
    policy: {
      ...policyOf(options),
      ...(options.approve && { approve: approval(interruption, () => interrupt('SIGINT')) }),
    },
    fetch,
    inspect: watchTransitions({ report: progress.show }).inspect,
  })
  const outcome = await mpp.pay(input.url, { ...input.init, signal: interruption.abort.signal })
  progress.end()
  return deliver(run, outcome, { input, options, interruption })
}

function approval({ abort }: Interruption, onInterrupt: () => void) {
  return askOnTerminal({ input: process.stdin, output: process.stderr, signal: abort.signal, onInterrupt })
}

function progressOf(run: CommandRun, { silent, verbose }: RequestOptions): Progress {
  if (silent || (run.json && !verbose)) return silentProgress(run.note)
  return isLive(process.stderr) ? liveProgress(process.stderr, run.noteColors) : plainProgress(run.note, run.noteColors)
}

interface Delivery {
  readonly input: RequestInput
  readonly options: RequestOptions
  readonly interruption: Interruption
}

async function deliver(run: CommandRun, outcome: PaymentOutcome, delivery: Delivery): Promise<number> {
  const { options, interruption } = delivery
  if (outcome.status === 'failed') {
    const exitCode = interruption.by === null ? exitOfFailure(outcome.failure) : EXIT_OF_SIGNAL[interruption.by]
    const failure = inOptions(outcome.failure)
    if (run.json) await run.writeJson(failedDocument(outcome, exitCode, failure))
    else run.complain(describeFailure(failure))
    if (leftSomething(outcome)) run.note(`What was signed is in the ledger: ${storeFolder(options)}`)
    return exitCode
  }
  const exitCode = outcome.response.ok ? EXIT.ok : EXIT.httpError
  try {
    if (run.json) await run.writeJson(answeredDocument(outcome, exitCode, await answerDocument(outcome.response)))
    else await printBody(run, outcome.response)
  } catch {
    // Paid for or not is known by now; it is only the answer that broke off.
    run.complain(`the answer broke off. ${summary(outcome)}`)
    if (interruption.by !== null) return EXIT_OF_SIGNAL[interruption.by]
    return outcome.authorised.paidSends > 0 ? EXIT.unknown : EXIT.unavailable
  }
  if (!run.json && !options.silent) run.note(summary(outcome))
  return exitCode
}

/** Writes the bytes of the answer as they come. */
async function printBody(run: CommandRun, response: Response): Promise<void> {
  if (response.body === null) return
  let last: number | undefined
  for await (const chunk of response.body) {
    await run.write(chunk)
    last = chunk.at(-1)
  }
  // A person sees the answer and the line below it on one screen.
  if (process.stdout.isTTY === true && process.stderr.isTTY === true && last !== NEWLINE) run.note('')
}

const NEWLINE = 0x0a
