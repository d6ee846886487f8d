// Finds out what a request would sign, without signing: the flow runs until its first plan, and is cancelled there.
// Must never sign, send a credential, ask the chain or change the ledger: each is made impossible here, not just avoided.

import type { LocalAccount } from 'viem'
import { toAccount } from 'viem/accounts'
import type { ChallengeSummary, Plan } from '../../../machines/index.js'
import { createMppClient, describeFailure, type PaymentOutcome, type Policy } from '../../client/index.js'
import { resolvePolicy } from '../../client/policy.js'
import { memoryStore, type SessionStore } from '../../sessions/index.js'
import { inOptions } from '../advice.js'
import type { CommandRun } from '../command-run.js'
import { printable } from '../exchange.js'
import { EXIT, exitOfFailure } from '../exit.js'
import { inTokens, namedAmount, namedToken } from '../money.js'
import { type Payer, readingPolicy } from '../payer.js'
import type { RequestInput } from './input.js'
import { failedDocument } from './result.js'

/** What a dry run works with. */
export interface DryRun {
  readonly input: RequestInput
  /** Undefined: as for a payer without channels. */
  readonly payer: Payer | undefined
  readonly policy: Policy
  readonly store: SessionStore
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
}

/** What would be done, and for which challenge. */
interface Found {
  readonly plan: Plan
  readonly challenge: ChallengeSummary
  /** Most that the transaction would cost, in base units; `0`: none would be signed, or the payee would pay. */
  readonly feeAtMost: string
}

/** An address that nobody has the key of: for a dry run without a key. */
const NOBODY = '0x000000000000000000000000000000000000dEaD'

/** An account that knows its address and cannot sign. */
function unableToSign(address: LocalAccount['address']): LocalAccount {
  const refuse = async (): Promise<never> => {
    throw new Error('nothing is signed in a dry run')
  }
  return toAccount({ address, sign: refuse, signMessage: refuse, signTransaction: refuse, signTypedData: refuse })
}

async function copyOf(store: SessionStore): Promise<SessionStore> {
  const copy = memoryStore()
  for (const record of await store.list()) await copy.update(record.key, () => record)
  return copy
}

function unpaidOnly(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    if (/^payment\b/i.test(new Headers(init?.headers).get('authorization') ?? '')) {
      throw new Error('nothing is paid in a dry run')
    }
    return fetch(input, init)
  }
}

/** Says what the request would sign, on standard output. @returns the exit code that the request itself would have now. */
export async function dryRun(run: CommandRun, options: DryRun): Promise<number> {
  const { found, outcome } = await firstPlan(options)
  const payer = options.payer?.account.address ?? null
  if (found !== null) {
    const { kind, ...amounts } = found.plan
    const document = {
      status: 'planned',
      exitCode: EXIT.ok,
      plan: { kind, ...amounts },
      challenge: found.challenge,
      feeAtMost: found.feeAtMost,
      payer,
    }
    await (run.json ? run.writeJson(document) : run.write(inWords(found, options.input.url.origin, payer)))
    return EXIT.ok
  }
  if (outcome.status === 'succeeded') {
    const exitCode = outcome.response.ok ? EXIT.ok : EXIT.httpError
    const http = { status: outcome.response.status }
    const text = `The answer is ${http.status}, without being asked to pay. Nothing would be signed.\n`
    await (run.json ? run.writeJson({ status: 'nothing-to-pay', exitCode, http, payer }) : run.write(text))
    await outcome.response.body?.cancel()
    return exitCode
  }
  const failure = inOptions(outcome.failure)
  const exitCode = exitOfFailure(failure)
  if (run.json) await run.writeJson(failedDocument(outcome, exitCode, failure))
  else run.complain(describeFailure(failure))
  return exitCode
}

async function firstPlan(options: DryRun): Promise<{ readonly found: Found | null; readonly outcome: PaymentOutcome }> {
  const { input, payer, policy, signal } = options
  const store = await copyOf(options.store)
  const client = {
    account: unableToSign(payer?.account.address ?? NOBODY),
    ...(payer?.voucherSigner && { voucherSigner: unableToSign(payer.voucherSigner.address) }),
    getClient: (): never => {
      throw new Error('the chain is not asked in a dry run')
    },
    policy,
    store,
    fetch: unpaidOnly(options.fetch),
  }
  const { mpp, maxFee } = readingPolicy(() => ({ mpp: createMppClient(client), ...resolvePolicy(policy) }))
  const actor = mpp.createFlow(input.url, { ...input.init, signal })
  let found: Found | null = null
  actor.subscribe(({ context, status }) => {
    const { plan, challenge } = context
    // A plan that refuses ends the flow by itself, and one that waits is followed by another.
    if (found !== null || status !== 'active' || plan === null || challenge === null) return
    if (plan.kind === 'awaitAcknowledgement') return
    found = { plan, challenge, feeAtMost: moves(plan) && !challenge.feePayer ? maxFee : '0' }
    actor.send({ type: 'CANCEL' })
  })
  actor.start()
  const outcome = await mpp.outcomeOf(actor)
  return { found, outcome }
}

function moves({ kind }: Plan): boolean {
  return kind === 'open' || kind === 'topUp'
}

function wouldDo({ plan, challenge }: Found): string {
  const { currency } = challenge
  switch (plan.kind) {
    case 'open':
      return `Would open a channel with a deposit of ${namedAmount(plan.deposit, currency)}, and authorise up to ${inTokens(plan.cumulative)} of it.`
    case 'topUp':
      return `Would add ${namedAmount(plan.additionalDeposit, currency)} to the deposit of the channel, and authorise up to ${inTokens(plan.cumulative)} in all.`
    case 'sign':
      return `Would sign the next voucher: up to ${namedAmount(plan.cumulative, currency)} in all. No funds move.`
    case 'reuse':
      return `Would pay with the voucher in hand, up to ${namedAmount(plan.cumulative, currency)}. Nothing new is signed.`
    default:
      return `Would first ask chain ${challenge.chainId} what became of something that was signed before.`
  }
}

function inWords(found: Found, origin: string, payer: string | null): string {
  const { challenge } = found
  const suggested =
    challenge.suggestedDeposit === null ? '' : `, suggests a deposit of ${inTokens(challenge.suggestedDeposit)}`
  const facts: readonly (readonly [string, string])[] = [
    [
      'asked',
      `${namedAmount(challenge.amount, challenge.currency)} for each ${challenge.unitType ?? 'voucher bucket'}${suggested}`,
    ],
    ['for', origin],
    ['payee', challenge.recipient],
    ['token', `${namedToken(challenge.currency)} on chain ${challenge.chainId}`],
    ['held by', challenge.escrow],
    ...(found.feeAtMost === '0' ? [] : [['fee', `at most ${inTokens(found.feeAtMost)}`] as const]),
    ['payer', payer ?? 'none given: as for a payer without channels'],
  ]
  const lines = facts.map(([name, text]) => `  ${name.padEnd(8)} ${printable(text)}`)
  return [wouldDo(found), ...lines, 'Nothing was signed, and only the unpaid request was sent.', ''].join('\n')
}
