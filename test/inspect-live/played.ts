// Real payments to be looked at by an inspector, and everything about them that no inspector may ever be sent.
// Must never look for a secret that was not there: each is taken from the wire, or was used to sign.
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Actions } from 'viem/tempo'
import type { TraceStep } from '../../machines/index.js'
import { createMppClient, type Inspector } from '../../src/index.js'
import { chat, type Stage, type WatchedGateway } from '../client/stage.js'

export const PROMPT = 'the heron keeps its own counsel 7f3a91'
export const BEARER = 'Bearer vk-secret-0b1d5c'

export interface Payer {
  readonly privateKey: `0x${string}`
  readonly address: `0x${string}`
}

/** A funded payer whose key nobody else knows. */
export async function freshPayer(stage: Stage): Promise<Payer> {
  const privateKey = generatePrivateKey()
  const { address } = privateKeyToAccount(privateKey)
  await Actions.token.transferSync(stage.chain.client(), {
    account: stage.payer(),
    amount: 100_000_000n,
    to: address,
    token: stage.chain.token,
  })
  return { privateKey, address }
}

/** The request of every payment: its prompt and its Bearer key are secrets. */
export function request(tokens: number): RequestInit {
  return { ...chat(tokens, PROMPT), headers: { 'content-type': 'application/json', authorization: BEARER } }
}

/** How one payment went. */
export interface Played {
  readonly name: string
  readonly trace: readonly TraceStep[]
  readonly completion: string
}

/** Open, reuse, refresh, recoveries with and without waiting, a failure, and a close. */
export async function play(
  stage: Stage,
  gateway: WatchedGateway,
  payer: Payer,
  inspect: Inspector,
): Promise<readonly Played[]> {
  const mpp = createMppClient({
    account: privateKeyToAccount(payer.privateKey),
    rpcUrl: stage.chain.rpcUrl,
    policy: { maxDeposit: '20' },
    inspect,
  })
  const played: Played[] = []
  const pay = async (tokens: number): Promise<void> => {
    const actor = mpp.createFlow(gateway.chat, request(tokens))
    actor.start()
    const outcome = await mpp.outcomeOf(actor)
    const text = (await outcome.response?.text()) ?? ''
    const completion = /"content":"([^"]{20,})/.exec(text)?.[1]?.slice(0, 60) ?? ''
    played.push({ name: actor.id, trace: outcome.trace, completion })
  }
  await pay(500)
  for (const code of [
    'mpp_voucher_bucket_refresh_required',
    'mpp_reservation_failed',
    'mpp_payment_verification_failed',
    'mpp_payer_not_allowed',
  ]) {
    gateway.inject(code)
    await pay(50)
  }
  const [session] = await mpp.sessions.list()
  const closed = await mpp.sessions.close(session?.channelId ?? '')
  if (closed.status !== 'closed') throw new Error('the channel was not closed')
  return played
}

/** Everything secret about what a gateway has seen. */
export function secretsOf(gateway: WatchedGateway, payer: Payer, completions: readonly string[]): readonly string[] {
  const sent = gateway.seen.flatMap(({ authorization, credential }) => {
    if (authorization === undefined || credential === undefined) return []
    const token = authorization.slice('Payment '.length)
    const { payload } = credential
    return [
      token,
      token.slice(-60),
      ...('signature' in payload ? [payload.signature.slice(2), payload.signature.slice(2, 66)] : []),
      ...('transaction' in payload ? [payload.transaction.slice(2), payload.transaction.slice(-130)] : []),
    ]
  })
  const written = completions.filter((text) => text !== '')
  if (sent.length < 12 || written.length < 3) throw new Error('too little was seen to look for secrets')
  return [payer.privateKey.slice(2), PROMPT, BEARER.slice('Bearer '.length), ...sent, ...written]
}

/** The secrets that a text holds; letters count in either case, as hex may be written in both. */
export function leaked(text: string, secrets: readonly string[]): readonly string[] {
  const lower = text.toLowerCase()
  return secrets.filter((secret) => lower.includes(secret.toLowerCase()))
}
