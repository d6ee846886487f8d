// Reads the newest challenges and holds them against the policy and the bytes of the body.
// Must never change a received parameter, and never accept a challenge that is for other bytes.

import type { ChallengeSummary, EffectInput, PaymentFlowEvent } from '../../../machines/index.js'
import {
  type Challenge,
  credentialHeaderOf,
  expiresAt,
  parseDigest,
  parseSessionRequest,
  parseSnapshotHeader,
  type SessionRequest,
  sameBytes,
  sha256,
  shownName,
} from '../../protocol/index.js'
import { type ChannelScope, isSecondary } from '../../sessions/index.js'
import { computeChannelId, ZERO_ADDRESS } from '../../tempo/index.js'
import type { CapturedBody } from '../capture.js'
import { leaveChannel } from '../flow-holdings.js'
import { secretsOf } from '../flow-secrets.js'
import type { FlowState } from '../flow-state.js'
import { channelFor } from '../own-channel.js'
import { refuseChannel } from '../policy.js'
import type { Runtime } from '../runtime.js'
import type { EffectScope } from './effect.js'

/** Input of the `parseChallenge` effect. */
export interface ParseChallengeInput extends EffectInput {
  /** How many usable challenges to pass over. */
  readonly skip: number
  /** The flow is about one channel by now: it has signed or sent something, or is there to close it. */
  readonly committed: boolean
}

type Refusal = Exclude<
  Extract<
    PaymentFlowEvent,
    { type: 'CHALLENGE_UNSUPPORTED' | 'CHALLENGE_REJECTED' | 'CHALLENGE_EXPIRED' | 'DIGEST_MISMATCH' | 'POLICY_DENIED' }
  >,
  never
>

export async function parseChallenge(scope: EffectScope<ParseChallengeInput>): Promise<PaymentFlowEvent> {
  const { runtime, flow, input } = scope
  const { answer } = flow
  if (answer === null) return { type: 'CHALLENGE_UNSUPPORTED', reason: 'the answer carries no challenge' }
  if (answer.offerProblem !== null) return { type: 'CHALLENGE_REJECTED', reason: answer.offerProblem }
  let refusal: Refusal = { type: 'CHALLENGE_UNSUPPORTED', reason: 'no tempo/session challenge is offered' }
  let passOver = input.skip
  for (const challenge of answer.offered.challenges) {
    const terms = parseSessionRequest(challenge)
    if (!terms.ok) {
      if (terms.reason === 'unsupported_protocol') refusal = { type: 'CHALLENGE_UNSUPPORTED', reason: terms.detail }
      if (terms.reason === 'malformed') refusal = { type: 'CHALLENGE_REJECTED', reason: terms.detail }
      continue
    }
    const refused = await refuse(runtime, flow, challenge, terms.value, input.committed)
    if (refused !== null) refusal = refused
    else if (passOver > 0) passOver -= 1
    else return accept(runtime, flow, challenge, terms.value)
  }
  return refusal
}

/** Why a challenge is not answered, or null. */
async function refuse(
  runtime: Runtime,
  flow: FlowState,
  challenge: Challenge,
  terms: SessionRequest,
  committed: boolean,
): Promise<Refusal | null> {
  const refused = refuseTerms(runtime, terms) ?? (await refuseChallenge(runtime, flow.request.body, challenge))
  const own = flow.key ?? flow.recordKey
  if (refused !== null || !committed || own === null || own === keyFor(runtime, flow, terms)) return refused
  return {
    type: 'CHALLENGE_REJECTED',
    reason: 'the challenge is for another channel than the one this flow is about',
  }
}

/** Whether a challenge for another channel comes after the accepted one, and would be accepted in its place. */
async function hasAnother(runtime: Runtime, flow: FlowState, accepted: Challenge, key: string): Promise<boolean> {
  const offered = flow.answer?.offered.challenges ?? []
  for (const challenge of offered.slice(offered.indexOf(accepted) + 1)) {
    const terms = parseSessionRequest(challenge)
    if (!terms.ok || keyFor(runtime, flow, terms.value) === key) continue
    if ((await refuse(runtime, flow, challenge, terms.value, false)) === null) return true
  }
  return false
}

/** Holds what the challenge asks for against the policy. */
export function refuseTerms({ policy }: Runtime, terms: SessionRequest): Refusal | null {
  const denied = (reason: string): Refusal => ({ type: 'POLICY_DENIED', reason })
  const { chainId, escrowContract: escrow, currency: token, recipient: payee } = terms
  const { operator = ZERO_ADDRESS } = terms
  const refused = refuseChannel(policy, { chainId, escrow, token, payee, operator })
  if (refused !== null) return denied(refused)
  // Unless the server pays it, the fee is taken from the payer's balance of this token.
  if (terms.feePayer !== true && terms.feeToken !== undefined && !policy.allowedTokens.has(terms.feeToken)) {
    return denied(`fee token ${terms.feeToken} is not in allowedTokens`)
  }
  if (terms.amount === 0n) return { type: 'CHALLENGE_REJECTED', reason: 'the challenge asks for an amount of zero' }
  return null
}

/** Holds the challenge against the clock and the bytes that its credential would be sent with. */
export async function refuseChallenge(
  { clock }: Pick<Runtime, 'clock'>,
  sent: CapturedBody,
  challenge: Challenge,
): Promise<Refusal | null> {
  const header = credentialHeaderOf(challenge)
  if (!header.ok) return { type: 'CHALLENGE_UNSUPPORTED', reason: header.detail }
  const expires = expiresAt(challenge)
  if (!expires.ok) return { type: 'CHALLENGE_REJECTED', reason: expires.detail }
  if (expires.value !== undefined && expires.value <= clock.now()) return { type: 'CHALLENGE_EXPIRED' }
  if (challenge.digest === undefined) return null
  const digest = parseDigest(challenge.digest)
  if (!digest.ok) return { type: 'CHALLENGE_REJECTED', reason: digest.detail }
  const body = (await sent) ?? new Uint8Array()
  return sameBytes(digest.value, await sha256(body)) ? null : { type: 'DIGEST_MISMATCH' }
}

/** The key of the record that a challenge is about; for a close, it may stand beside the channel in use. */
function keyFor(runtime: Runtime, flow: FlowState, terms: SessionRequest): string {
  const { key } = channelFor(runtime, terms)
  return flow.recordKey !== null && isSecondary(flow.recordKey, key) ? flow.recordKey : key
}

async function accept(
  runtime: Runtime,
  flow: FlowState,
  challenge: Challenge,
  terms: SessionRequest,
): Promise<PaymentFlowEvent> {
  const { place } = channelFor(runtime, terms)
  const key = keyFor(runtime, flow, terms)
  if (flow.key !== key) await leaveChannel(runtime, flow)
  flow.challenge = challenge
  flow.terms = terms
  flow.place = place
  flow.key = key
  // The header stands beside every challenge of its answer; a challenge's own snapshot goes before it.
  const header = parseSnapshotHeader(flow.answer?.header('payment-session-snapshot') ?? null)
  const snapshot = terms.snapshot ?? (header.ok ? header.value : undefined)
  return {
    type: 'CHALLENGE_ACCEPTED',
    challenge: summarise(
      challenge,
      { ...terms, ...(snapshot && { snapshot }) },
      place,
      key,
      await namesOf(runtime, flow, challenge, terms),
    ),
    another: await hasAnother(runtime, flow, challenge, key),
  }
}

/** What a challenge calls things, as far as it may be shown. */
async function namesOf(
  runtime: Runtime,
  flow: FlowState,
  { id, realm }: Challenge,
  { unitType }: SessionRequest,
): Promise<Pick<ChallengeSummary, 'id' | 'realm' | 'unitType'>> {
  const secrets = await secretsOf(runtime, flow, await flow.request.body, [])
  const { host, hostname } = flow.to.url
  return {
    id: shownName(id, secrets),
    realm: realm === host || realm === hostname ? realm : shownName(realm, secrets),
    unitType: unitType === undefined || unitType === 'request' ? (unitType ?? null) : shownName(unitType, secrets),
  }
}

function summarise(
  challenge: Challenge,
  terms: SessionRequest,
  place: ChannelScope,
  key: string,
  names: Pick<ChallengeSummary, 'id' | 'realm' | 'unitType'>,
): ChallengeSummary {
  const expires = expiresAt(challenge)
  return {
    ...names,
    channelKey: key,
    amount: terms.amount.toString(),
    suggestedDeposit: terms.suggestedDeposit?.toString() ?? null,
    minVoucherDelta: (terms.minVoucherDelta ?? 0n).toString(),
    currency: terms.currency,
    recipient: terms.recipient,
    operator: place.operator,
    chainId: terms.chainId,
    escrow: terms.escrowContract,
    feePayer: terms.feePayer ?? false,
    expiresAt: expires.ok ? (expires.value ?? null) : null,
    snapshot: checkedSnapshot(terms, place),
  }
}

/** A snapshot is believed only when its channel id can be recomputed and its parties are those of this flow. */
function checkedSnapshot({ snapshot }: SessionRequest, place: ChannelScope): ChallengeSummary['snapshot'] {
  if (snapshot === undefined) return null
  const { descriptor, chainId, escrow } = snapshot
  const same =
    chainId === place.chainId &&
    escrow === place.escrow &&
    descriptor.payer === place.payer &&
    descriptor.payee === place.payee &&
    descriptor.token === place.token &&
    descriptor.operator === place.operator &&
    computeChannelId(descriptor, { chainId, escrow }) === snapshot.channelId
  return same ? { channelId: snapshot.channelId, requiredCumulative: snapshot.requiredCumulative.toString() } : null
}
