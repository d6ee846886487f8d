// The paid route: from a request to its challenge, its refusal, or the answer that was paid for.
// Must never run anything before the payment for it is reserved, nor charge for what did not run.
import { formatChallenge } from '../../protocol/challenge.js'
import type { Credential, OpenPayload, VoucherPayload } from '../../protocol/credential.js'
import { formatDigest, sha256 } from '../../protocol/digest.js'
import { formatReceipt } from '../../protocol/receipt.js'
import { encodeSessionRequest } from '../../protocol/session-request.js'
import { sameHex, ZERO_ADDRESS } from '../../tempo/index.js'
import { type Answer, codeAnswer, problemAnswer } from './answer.js'
import { type ChannelChange, findChannel, openChannel, refreshChannel, topUpChannel } from './channels.js'
import { closeChannel } from './closing.js'
import type { GatewayContext } from './context.js'
import {
  readCredential,
  requireAllowedPayer,
  requireChallenge,
  requireDigest,
  requireOwnChannel,
  requireVoucher,
} from './credential-checks.js'
import { InjectedFault } from './injection.js'
import { readWork, type Work, type WorkResult } from './metering.js'
import { CODE_ANSWERS, CodeRefusal, ProblemRefusal } from './refusal.js'
import { fingerprintOf } from './replays.js'

export interface MppRequest {
  readonly headers: Headers
  readonly body: Uint8Array
  readonly requestId: string
}

/** Answers `POST /v1/mpp/chat/completions` ('Ando errors page'; Tempo session intent draft). */
export async function answerMppRequest(gateway: GatewayContext, request: MppRequest): Promise<Answer> {
  const authorization = request.headers.get('authorization')
  try {
    return authorization === null ? answerUnpaid(gateway, request) : await answerPaid(gateway, request, authorization)
  } catch (error) {
    if (authorization !== null) gateway.accounting.counts.rejectedCredentials += 1
    return refuse(gateway, request, error)
  }
}

function answerUnpaid(gateway: GatewayContext, request: MppRequest): never {
  gateway.accounting.counts.unpaidSends += 1
  gateway.injections.maybeFail('start', 'unpaid')
  // A request without a body asks for a challenge to close or top up with; there is nothing to price.
  if (request.body.length > 0) requirePriced(readWork(request.body, gateway.settings()))
  throw new CodeRefusal('payment_required')
}

async function answerPaid(gateway: GatewayContext, request: MppRequest, authorization: string): Promise<Answer> {
  const credential = readPaid(gateway, request, authorization)
  const { payload } = credential
  switch (payload.action) {
    case 'topUp':
      return manage(gateway, request, credential, 'topUp', () => topUpChannel(gateway, payload))
    case 'close':
      if (!gateway.settings().closeSigner) throw new CodeRefusal('mpp_session_close_unavailable')
      return manage(gateway, request, credential, 'close', async () => {
        await requireVoucher(gateway, payload)
        return closeChannel(gateway, payload)
      })
    default:
      return answerContent(gateway, request, authorization, credential, payload)
  }
}

/** Reads the credential, counting the send as paid unless it is about the channel only. */
function readPaid(gateway: GatewayContext, request: MppRequest, authorization: string): Credential {
  let management = false
  try {
    if (readWork(request.body, gateway.settings()).kind === 'streaming')
      throw new CodeRefusal('mpp_streaming_unavailable')
    const credential = readCredential(authorization)
    management = credential.payload.action === 'topUp' || credential.payload.action === 'close'
    return credential
  } finally {
    if (!management) gateway.accounting.counts.paidSends += 1
  }
}

/** Top-up and close: no content, and the challenge is not used up; it is answered with the body that it is bound to. */
async function manage(
  gateway: GatewayContext,
  request: MppRequest,
  credential: Credential,
  action: 'topUp' | 'close',
  change: () => Promise<ChannelChange>,
): Promise<Answer> {
  requireChallenge(gateway, credential.challenge)
  gateway.injections.maybeFail('start', action)
  await requireDigest(credential.challenge, request.body)
  requireAllowedPayer(gateway, credential)
  requireOwnChannel(gateway, credential)
  const changed = await gateway.channelMutex.run(credential.payload.channelId, change)
  return afterwards(gateway, action, { status: 204, headers: receiptHeader(credential, changed) })
}

async function answerContent(
  gateway: GatewayContext,
  request: MppRequest,
  authorization: string,
  credential: Credential,
  payload: OpenPayload | VoucherPayload,
): Promise<Answer> {
  const key = request.headers.get('idempotency-key')
  const fingerprint = key === null ? undefined : fingerprintOf(key, authorization, request.body)
  const earlier = fingerprint === undefined ? undefined : gateway.replays.find(fingerprint)
  const answer = earlier ?? payFor(gateway, request, credential, payload)
  if (earlier !== undefined) gateway.accounting.counts.replays += 1
  else if (fingerprint !== undefined) gateway.replays.remember(fingerprint, answer)
  return afterwards(gateway, payload.action, await answer)
}

async function payFor(
  gateway: GatewayContext,
  request: MppRequest,
  credential: Credential,
  payload: OpenPayload | VoucherPayload,
): Promise<Answer> {
  const { challenge } = credential
  requireChallenge(gateway, challenge)
  // Nothing was begun: the same credential is taken when it comes again.
  gateway.injections.maybeFail('start', payload.action)
  if (!gateway.challengeStore.use(challenge))
    throw new CodeRefusal('mpp_invalid_challenge', 'The challenge is used up.')
  await requireDigest(challenge, request.body)
  requireAllowedPayer(gateway, credential)
  const work = requirePriced(readWork(request.body, gateway.settings()))
  requireOwnChannel(gateway, credential)
  await requireVoucher(gateway, payload)
  const reserved = await gateway.channelMutex.run(payload.channelId, () => reserve(gateway, payload, work.quote))
  const result = await runReserved(gateway, payload, reserved, work)
  gateway.charged?.({ channelId: payload.channelId, body: request.body, cost: result.cost })
  return {
    status: 200,
    headers: { 'content-type': result.contentType, ...receiptHeader(credential, reserved) },
    body: result.body,
  }
}

/** With the channel locked: makes sure of the deposit, accepts the voucher, and puts the quote aside. */
async function reserve(
  gateway: GatewayContext,
  payload: OpenPayload | VoucherPayload,
  quote: bigint,
): Promise<ChannelChange> {
  const { accounting, injections } = gateway
  const { bucket, minVoucherDelta } = gateway.settings()
  const cumulative = BigInt(payload.cumulativeAmount)
  const change: ChannelChange =
    payload.action === 'open'
      ? await openChannel(gateway, payload, quote)
      : { account: await findChannel(gateway, payload.channelId, payload.descriptor) }
  const { account } = change
  if (cumulative > account.deposit) await refreshChannel(gateway, account)
  if (cumulative > account.deposit) throw new CodeRefusal('mpp_session_deposit_below_request_cost')
  if (cumulative < account.accepted)
    throw new CodeRefusal('mpp_voucher_bucket_refresh_required', 'A higher voucher was accepted before.')
  if (cumulative > account.accepted) {
    if (account.accepted > 0n && cumulative - account.accepted < (minVoucherDelta ?? 0n))
      throw new ProblemRefusal('session/delta-too-small')
    account.accepted = cumulative
    account.acceptedSignature = payload.signature
  }
  injections.maybeFail('reserve', payload.action)
  if (!accounting.reserve(account, quote))
    throw new CodeRefusal(quote > bucket ? 'mpp_request_exceeds_voucher_bucket' : 'mpp_voucher_bucket_refresh_required')
  return change
}

async function runReserved(
  gateway: GatewayContext,
  payload: OpenPayload | VoucherPayload,
  { account }: ChannelChange,
  work: Work & { kind: 'priced' },
): Promise<WorkResult> {
  let result: WorkResult
  try {
    const { latencyMs } = gateway.settings()
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs))
    result = work.run()
    gateway.injections.maybeFail('commit', payload.action)
  } catch (error) {
    gateway.accounting.counts.uncommittedRuns += 1
    gateway.accounting.release(account, work.quote)
    throw error
  }
  gateway.accounting.commit(account, work.quote, result.cost)
  return result
}

function requirePriced(work: Work): Work & { kind: 'priced' } {
  if (work.kind === 'streaming') throw new CodeRefusal('mpp_streaming_unavailable')
  if (work.kind === 'unpriceable') throw new CodeRefusal('mpp_request_quote_invalid', work.detail)
  return work
}

/** The answer may be planned to get lost on its way; what it reports has happened all the same. */
function afterwards(gateway: GatewayContext, action: 'open' | 'voucher' | 'topUp' | 'close', answer: Answer): Answer {
  try {
    gateway.injections.maybeFail('answer', action)
    return answer
  } catch (error) {
    if (error instanceof InjectedFault) return { ...answer, lost: true }
    throw error
  }
}

function receiptHeader(credential: Credential, { account, txHash }: ChannelChange): Record<string, string> {
  return {
    'cache-control': 'private',
    'payment-receipt': formatReceipt({
      method: 'tempo',
      intent: 'session',
      status: 'success',
      timestamp: new Date().toISOString(),
      reference: account.channelId,
      challengeId: credential.challenge.id,
      channelId: account.channelId,
      acceptedCumulative: account.accepted,
      spent: account.spent,
      ...(txHash === undefined ? {} : { txHash }),
    }),
  }
}

async function refuse(gateway: GatewayContext, request: MppRequest, error: unknown): Promise<Answer> {
  if (error instanceof InjectedFault) {
    gateway.accounting.reject(error.status === 'connection_lost' ? error.status : `http_${error.status}`)
    if (error.status === 'connection_lost') return { status: 500, headers: {}, lost: true }
    return { status: error.status, headers: error.status === 429 ? { 'retry-after': '1' } : {} }
  }
  if (error instanceof ProblemRefusal) {
    gateway.accounting.reject(error.problem)
    return problemAnswer(error, request.requestId, await freshChallenge(gateway, request.body))
  }
  if (!(error instanceof CodeRefusal)) throw error
  gateway.accounting.reject(error.code)
  const headers = CODE_ANSWERS[error.code].challenge ? await freshChallenge(gateway, request.body) : {}
  return codeAnswer(error, request.requestId, headers)
}

/** A challenge bound to the body just received. */
async function freshChallenge(gateway: GatewayContext, body: Uint8Array): Promise<Record<string, string>> {
  const { bucket, suggestedDeposit, minVoucherDelta, challengeTtlSeconds } = gateway.settings()
  const challenge = gateway.challengeStore.issue({
    realm: gateway.realm(),
    request: encodeSessionRequest({
      amount: bucket,
      suggestedDeposit,
      currency: gateway.token,
      recipient: gateway.payee.address,
      chainId: gateway.chainId,
      escrowContract: gateway.escrow,
      ...(minVoucherDelta === undefined ? {} : { minVoucherDelta }),
      ...(sameHex(gateway.operator, ZERO_ADDRESS) ? {} : { operator: gateway.operator }),
    }),
    digest: formatDigest(await sha256(body)),
    ttlSeconds: challengeTtlSeconds,
    description: 'One bucket of inference.',
  })
  return { 'www-authenticate': formatChallenge(challenge), 'cache-control': 'no-store' }
}
