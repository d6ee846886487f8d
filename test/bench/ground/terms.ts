// What the gateways of the benchmarks ask for, and what they write into their answers.
// Must never be shorter than the real thing: every header has the members that real gateways give it.

import { z } from 'zod'
import { CHANNEL_RESERVE, encodeBase64url, encodeSessionRequest } from '../../../src/protocol/index.js'

/** Tempo testnet, with the token and the escrow that a client allows by default. */
export const CHAIN_ID = 42_431
export const TOKEN = '0x20c0000000000000000000000000000000000000'
export const ESCROW = CHANNEL_RESERVE
export const PAYEE = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8'

/** The route whose body the client looks into for `"stream": true`. */
export const ROUTE = '/v1/mpp/chat/completions'

export interface Pricing {
  /** Base units: the size of a bucket, or the price of a request. */
  readonly amount: bigint
  readonly unitType?: string
}

/** A bucket of one token. */
export const BUCKET: Pricing = { amount: 1_000_000n }

/** The body of a 402. */
export const REFUSAL = JSON.stringify({
  error: { code: 'payment_required', message: 'Payment is required. Retry with a payment credential.' },
})

/** The body of a 402 to a credential that has not the form of a payment. */
export const UNREADABLE = JSON.stringify({
  error: { code: 'mpp_malformed_credential', message: 'The credential is not that of a voucher for this challenge.' },
})

/** What the id of a challenge begins with. */
const ISSUED = 'bench_'

/** Writes challenges whose every part but id and expiry is made once. */
export function challengeWriter(pricing: Pricing = BUCKET): (digest: string | undefined) => string {
  const request = encodeSessionRequest({
    amount: pricing.amount,
    ...(pricing.unitType !== undefined && { unitType: pricing.unitType }),
    suggestedDeposit: 5_000_000n,
    currency: TOKEN,
    recipient: PAYEE,
    chainId: CHAIN_ID,
    escrowContract: ESCROW,
  })
  let issued = 0
  return (digest) => {
    issued += 1
    const id = `${ISSUED}${String(issued).padStart(37, '0')}`
    const expires = new Date(Date.now() + 300_000).toISOString()
    const bound = digest === undefined ? '' : `, digest="${digest}"`
    return `Payment id="${id}", realm="bench", method="tempo", intent="session", request="${request}", expires="${expires}"${bound}`
  }
}

/** What a receipt repeats of the credential that it answers. */
export interface Claimed {
  readonly challengeId: string
  readonly channelId: string
  readonly cumulative: string
}

const claimSchema = z.object({
  challenge: z.object({ id: z.string().startsWith(ISSUED) }),
  payload: z.object({
    action: z.literal('voucher'),
    channelId: z.string().regex(/^0x[0-9a-f]{64}$/),
    cumulativeAmount: z.string().regex(/^[1-9][0-9]*$/),
    signature: z.string().regex(/^0x[0-9a-f]{130}$/),
  }),
})

/**
 * Reads it off a credential; undefined for what has not the form of a voucher for a challenge of these gateways. Who
 * signed is not asked: recovering it would cost more than all that is measured.
 */
export function claimOf(authorization: string): Claimed | undefined {
  if (!authorization.startsWith('Payment ')) return undefined
  try {
    const read = claimSchema.safeParse(JSON.parse(Buffer.from(authorization.slice(8), 'base64url').toString()))
    if (!read.success) return undefined
    const { challenge, payload } = read.data
    return { challengeId: challenge.id, channelId: payload.channelId, cumulative: payload.cumulativeAmount }
  } catch {
    return undefined
  }
}

/** The receipt header of an answer. `spent` in base units. */
export function receiptFor({ challengeId, channelId, cumulative }: Claimed, spent: bigint, now = new Date()): string {
  return encodeBase64url(
    JSON.stringify({
      method: 'tempo',
      intent: 'session',
      status: 'success',
      timestamp: now.toISOString(),
      reference: `bench-${spent}`,
      challengeId,
      channelId,
      acceptedCumulative: cumulative,
      spent: spent.toString(),
    }),
  )
}

/** A chat request of exactly `bytes` bytes. */
export function bodyOf(bytes: number): string {
  const shell = JSON.stringify({ model: 'bench', max_tokens: 64, messages: [{ role: 'user', content: '' }] })
  const filler = 'All work and no play makes a long prompt. '
  const room = bytes - shell.length
  return shell.replace('""', JSON.stringify(filler.repeat(Math.ceil(room / filler.length)).slice(0, room)))
}
