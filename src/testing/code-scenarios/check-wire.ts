// Looks at what a flow has sent: the same bytes every time, and credentials that answer the newest challenge.
// Must never show what it looks at: problems name what is wrong, not what was sent.

import { parseChallenges, parseCredential, type SessionPayload } from '../../protocol/index.js'
import type { WireExchange } from '../wire.js'
import type { FlowRun, SendKind } from './scenario.js'

/** A request with a credential, as the client sent it. */
export interface PaidSend {
  readonly action: SessionPayload['action']
  readonly channelId: string
  /** What it authorises in base units; zero for a top-up. */
  readonly cumulative: bigint
  readonly challengeId: string
  /** The newest challenge that the client had got by then for the bytes that it sends: a challenge is bound to them. */
  readonly newestChallengeId: string | null
}

/** The challenge of an answer, as the client got it. */
export function challengeIdOf({ delivered }: WireExchange): string | null {
  const list = parseChallenges(delivered.headers.get('www-authenticate'))
  return list.ok ? (list.value.challenges[0]?.id ?? null) : null
}

/** The requests of a flow that carried a credential, in order. */
export function paidSends({ exchanges }: Pick<FlowRun, 'exchanges'>): readonly PaidSend[] {
  const sends: PaidSend[] = []
  const newest = new Map<string, string>()
  for (const exchange of exchanges) {
    const bytes = Buffer.from(exchange.sent.body).toString('hex')
    const credential = parseCredential(exchange.sent.headers.get('authorization'))
    if (credential.ok) {
      const { challenge, payload } = credential.value
      sends.push({
        action: payload.action,
        channelId: payload.channelId,
        cumulative: 'cumulativeAmount' in payload ? BigInt(payload.cumulativeAmount) : 0n,
        challengeId: challenge.id,
        newestChallengeId: newest.get(bytes) ?? null,
      })
    }
    const challengeId = challengeIdOf(exchange)
    if (challengeId !== null) newest.set(bytes, challengeId)
  }
  return sends
}

/** What each request of a flow carried, as the client sent it. */
export function sendKinds({ exchanges }: Pick<FlowRun, 'exchanges'>): readonly SendKind[] {
  return exchanges.map(sendKindOf)
}

/** What a request carried, as the client sent it. */
export function sendKindOf({ sent }: Pick<WireExchange, 'sent'>): SendKind {
  const credential = parseCredential(sent.headers.get('authorization'))
  return credential.ok ? credential.value.payload.action : 'unpaid'
}

/** Whether a request is about the channel alone: a top-up, a close, or the question for a top-up's own challenge. */
function isManagement(exchange: WireExchange, next: WireExchange | undefined): boolean {
  const kind = sendKindOf(exchange)
  const isQuestion = kind === 'unpaid' && exchange.sent.body.length === 0 && next !== undefined
  return kind === 'topUp' || kind === 'close' || (isQuestion && sendKindOf(next) === 'topUp')
}

/** What is wrong with what a flow has sent; empty when nothing is. */
export function checkWire(flow: FlowRun): readonly string[] {
  const problems: string[] = []
  for (const [index, send] of paidSends(flow).entries()) {
    if (send.challengeId !== send.newestChallengeId)
      problems.push(`credential ${index + 1} (${send.action}) does not answer the newest challenge`)
  }
  if (flow.kind === 'close') return problems
  const wanted = new TextEncoder().encode(flow.request.body)
  const ofContent = flow.exchanges.filter((exchange, at, all) => !isManagement(exchange, all[at + 1]))
  for (const [index, { sent }] of ofContent.entries()) {
    if (Buffer.compare(sent.body, wanted) !== 0) problems.push(`send ${index + 1} has other bytes than the request`)
    if (sent.method !== flow.request.method) problems.push(`send ${index + 1} has another method than the request`)
  }
  for (const name of ['idempotency-key', 'content-type']) {
    const values = new Set(ofContent.map(({ sent }) => sent.headers.get(name)))
    if (values.size > 1) problems.push(`${name} differs between the sends`)
  }
  if (new Set(ofContent.map(({ sent }) => sent.path)).size > 1) problems.push('the path differs between the sends')
  return problems
}
