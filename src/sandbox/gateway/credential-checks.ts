// Checks a credential against what the gateway asked for: the challenge, the payer, the channel, the voucher's signature.
// Must never change anything: a credential that fails leaves no trace but its refusal.
import type { Challenge } from '../../protocol/challenge.js'
import { type Credential, parseCredential, parseSource } from '../../protocol/credential.js'
import type { ChannelDescriptor } from '../../protocol/descriptor.js'
import { parseDigest, sameBytes, sha256 } from '../../protocol/digest.js'
import type { Hex } from '../../protocol/hex.js'
import { computeChannelId, effectiveSigner, sameHex, verifyVoucher } from '../../tempo/index.js'
import type { GatewayContext } from './context.js'
import { CodeRefusal } from './refusal.js'

/** Reads the credential. @throws {@link CodeRefusal} */
export function readCredential(authorization: string): Credential {
  const read = parseCredential(authorization)
  if (!read.ok)
    throw new CodeRefusal(
      read.reason === 'unsupported_payload' ? 'mpp_method_unsupported' : 'mpp_malformed_credential',
      read.reason === 'not_payment' ? 'Another Authorization scheme does not pay here.' : undefined,
    )
  const { method, intent } = read.value.challenge
  if (method !== 'tempo' || intent !== 'session') throw new CodeRefusal('mpp_method_unsupported')
  return read.value
}

/** The challenge is from here, unchanged and in time. @throws {@link CodeRefusal} */
export function requireChallenge(gateway: GatewayContext, challenge: Challenge): void {
  const check = gateway.challengeStore.check(challenge)
  if (!check.ok) throw new CodeRefusal('mpp_invalid_challenge', check.detail)
}

/** The body is the one that the challenge was issued for (RFC 9530). @throws {@link CodeRefusal} */
export async function requireDigest(challenge: Challenge, body: Uint8Array): Promise<void> {
  const digest = parseDigest(challenge.digest ?? '')
  if (!digest.ok || !sameBytes(digest.value, await sha256(body))) throw new CodeRefusal('mpp_body_digest_mismatch')
}

/** The payer is not blocked. @throws {@link CodeRefusal} */
export function requireAllowedPayer(gateway: GatewayContext, credential: Credential): void {
  const source = parseSource(credential.source)
  const payers = [credential.payload.descriptor.payer, ...(source.ok ? [source.value.payer] : [])]
  const { blockedPayers } = gateway.settings()
  if (payers.some((payer) => blockedPayers.has(payer.toLowerCase()))) throw new CodeRefusal('mpp_payer_not_allowed')
}

/** The credential is about a channel to this payee, in this token, on this chain, and its id is right. */
export function requireOwnChannel(gateway: GatewayContext, credential: Credential): void {
  const { channelId, descriptor } = credential.payload
  const source = parseSource(credential.source)
  const fails = (detail: string): never => {
    throw new CodeRefusal('mpp_payment_verification_failed', detail)
  }
  if (!source.ok || source.value.chainId !== gateway.chainId) fails('The source names another chain.')
  else if (!sameHex(source.value.payer, descriptor.payer)) fails('The source is not the payer of the channel.')
  if (!sameHex(descriptor.payee, gateway.payee.address)) fails('The channel has another payee.')
  if (!sameHex(descriptor.token, gateway.token)) fails('The channel holds another token.')
  if (!sameHex(descriptor.operator, gateway.operator)) fails('The channel has another operator.')
  if (!sameHex(channelIdOf(gateway, descriptor), channelId)) fails('The channel id does not belong to the descriptor.')
}

/** The voucher was signed by who may sign for the channel. @throws {@link CodeRefusal} */
export async function requireVoucher(
  gateway: GatewayContext,
  voucher: {
    readonly channelId: Hex
    readonly descriptor: ChannelDescriptor
    readonly cumulativeAmount: string
    readonly signature: Hex
  },
): Promise<void> {
  const { channelId, descriptor, signature } = voucher
  const cumulative = BigInt(voucher.cumulativeAmount)
  const known = gateway.accounting.find(channelId)
  // The same bytes were verified when they came first; a bucket's voucher comes with every request.
  if (known?.accepted === cumulative && known.acceptedSignature === signature) return
  const { chainId, escrow } = gateway
  const signer = effectiveSigner(descriptor)
  if (!(await verifyVoucher({ channelId, cumulative, chainId, escrow, signature, signer })))
    throw new CodeRefusal('mpp_payment_verification_failed', 'The voucher is not signed by the authorized signer.')
}

function channelIdOf(gateway: GatewayContext, descriptor: ChannelDescriptor): Hex {
  return computeChannelId(descriptor, { chainId: gateway.chainId, escrow: gateway.escrow })
}
