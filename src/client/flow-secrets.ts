// What a server knows of a client that it may not be shown to repeat: the request, and all that was signed lately.
// Must never be kept longer than the flow, but for what the ledger keeps anyway.

import { type Challenge, lettersOf, parseSessionRequest, type Secrets } from '../protocol/index.js'
import type { Ledger, SessionRecord } from '../sessions/index.js'
import { queryOf } from './capture.js'
import type { FlowState } from './flow-state.js'
import { channelFor } from './own-channel.js'
import type { Runtime } from './runtime.js'
import type { SignedSecrets } from './signed-secrets.js'

/** Names that callers give their requests: servers answer with them, so that both sides can find them. */
const NAMES_OF_REQUESTS = ['x-request-id', 'request-id', 'x-correlation-id', 'traceparent', 'idempotency-key']

/** The same ledger; what passes through it that is signed is remembered. */
export function rememberingLedger(ledger: Ledger, signed: SignedSecrets): Ledger {
  const remembered = <Found extends SessionRecord | undefined>(record: Found): Found => {
    const { voucher = null, pendingTransaction = null } = record?.secrets ?? {}
    if (voucher !== null) signed.remember(voucher.signature)
    if (pendingTransaction !== null) signed.remember(pendingTransaction)
    return record
  }
  return {
    ...ledger,
    read: async (key) => remembered(await ledger.read(key)),
    settled: async (key, options) => remembered(await ledger.settled(key, options)),
    apply: async (key, place, event, options) => remembered(await ledger.apply(key, place, event, options)),
  }
}

/**
 * What the answer to a flow's request may not repeat. What an earlier process has signed for the channels that are offered is
 * in the ledger: it is read once.
 */
export async function secretsOf(
  runtime: Runtime,
  flow: FlowState,
  body: Uint8Array | undefined,
  offered: readonly Challenge[],
): Promise<Secrets> {
  for (const challenge of offered) {
    const terms = parseSessionRequest(challenge)
    if (!terms.ok) continue
    const { key } = channelFor(runtime, terms.value)
    if (runtime.remembered.has(key)) continue
    // A ledger that cannot be read is told of by whoever needs it; until then nothing of it was sent.
    const record = await runtime.ledger.read(key).catch(() => undefined)
    if (record !== undefined) runtime.remembered.add(key)
  }
  flow.letters ??= lettersOfRequest(flow, body)
  return { sent: flow.letters, isSigned: (letters) => runtime.signed.isIn(letters) }
}

function lettersOfRequest({ request, to }: FlowState, body: Uint8Array | undefined): string {
  const headers = request.headers.without(...NAMES_OF_REQUESTS).flat()
  const values = headers.filter((_, at) => at % 2 === 1)
  const queries = [queryOf(request.to), queryOf(to)].filter((query) => query !== '')
  const parameters = queries.flatMap((query) => [query, ...new URLSearchParams(query).values()])
  return [body ?? '', ...values, ...parameters].map(lettersOf).join(' ')
}
