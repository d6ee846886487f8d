// One attack from beginning to end: requests are paid at a hostile gateway, which then cashes in all it was given.
// Must never take the client's word for what it lost: figures are read from captured vouchers and from the chain.
import { type MppClient, memoryStore, type PaymentOutcome, type Policy } from '../../src/index.js'
import { type CountedAccount, chat, counted, type Stage } from '../client/stage.js'
import { type HostileGateway, type Malice, startHostile } from './gateway.js'

/** What every funded account of the local chain begins with. */
const BALANCE = 10_000_000_000n

export interface AttackOptions {
  readonly policy?: Policy
  /** Opens the channel in peace first, with the default policy; not counted among the outcomes. */
  readonly opened?: boolean
  /** Requests, one after another. Default 1. */
  readonly requests?: number
  /** Requests at once, each time. Default 1. */
  readonly atOnce?: number
  /** Runs after the requests and before the gateway cashes in. */
  readonly before?: (prey: {
    mpp: MppClient
    gateway: HostileGateway
    payer: CountedAccount
    outcomes: readonly PaymentOutcome[]
  }) => Promise<void>
}

/** How an attack ended. Amounts are base units. */
export interface Spoils {
  readonly outcomes: readonly PaymentOutcome[]
  /** The code of each failure, or the status of the answer where there was none. */
  readonly codes: readonly (string | number)[]
  /** What the payer had moved into channels before anything was cashed in. */
  readonly deposited: bigint
  /** The highest amount signed in any one channel. */
  readonly highest: bigint
  /** What the gateway's accounts held in the end, having closed every channel at its highest voucher. */
  readonly gained: bigint
  /** What the payer had less in the end, open channels included. */
  readonly lost: bigint
  readonly channels: number
  readonly sends: readonly string[]
  readonly signatures: number
  readonly elapsedMs: number
  readonly sessions: Awaited<ReturnType<MppClient['sessions']['list']>>
}

export function codeOf(outcome: PaymentOutcome): string | number {
  return outcome.status === 'failed' ? outcome.failure.code : outcome.response.status
}

export async function attack(stage: Stage, malice: Malice, options: AttackOptions = {}): Promise<Spoils> {
  const { requests = 1, atOnce = 1, policy = {}, opened = false, before } = options
  const payer = counted(stage.payer())
  const store = memoryStore()
  const mpp = stage.client(payer.account, { policy, store })
  const gateway = await startHostile(stage.chain, malice)
  try {
    if (opened) await stage.client(payer.account, { store }).pay(gateway.chat, chat(500))
    const started = Date.now()
    const outcomes: PaymentOutcome[] = []
    for (let at = 0; at < requests; at += 1) {
      const together = Array.from({ length: atOnce }, () => mpp.pay(gateway.chat, chat(500)))
      outcomes.push(...(await Promise.all(together)))
    }
    const elapsedMs = Date.now() - started
    await before?.({ mpp, gateway, payer, outcomes })
    const held = await stage.balance(payer.account.address)
    const channels = await stage.opened(payer.account)
    const vouchers = await gateway.vouchers()
    const sends = gateway.actions()
    const sessions = await mpp.sessions.list()
    const gained = await gateway.cashIn()
    return {
      outcomes,
      codes: outcomes.map(codeOf),
      deposited: BALANCE - held,
      highest: [...vouchers.values()].reduce((most, amount) => (amount > most ? amount : most), 0n),
      gained,
      lost: BALANCE - (await stage.balance(payer.account.address)),
      channels,
      sends,
      signatures: payer.signatures(),
      elapsedMs,
      sessions,
    }
  } finally {
    await gateway.stop()
  }
}

/** Challenges, opens the channel for real with its first request, and then does `malice`. */
export function afterOpening(malice: Malice, spent: (cumulative: bigint) => bigint = () => 0n): Malice {
  return async (call, response, gateway) => {
    if (call.action === 'unpaid') return gateway.refuse(response, null)
    if (call.action === 'open' && call.earlier === 0) {
      await gateway.broadcast(call)
      const payload = call.credential?.payload
      const cumulative = payload?.action === 'open' ? BigInt(payload.cumulativeAmount) : 0n
      return gateway.deliver(call, response, { spent: spent(cumulative) })
    }
    return malice(call, response, gateway)
  }
}
