// Accounts for every unit of a case, from the chain's balances and events and the gateway's books.
// Must never take the payer's ledger for the truth: it is what is being tried.

import { getContractEvents } from 'viem/actions'
import { Abis } from 'viem/tempo'
import type { Address } from '../../src/protocol/index.js'
import { CHANNEL_RESERVE } from '../../src/sandbox/chain/addresses.js'
import type { AccountedCharge, LocalChain, Sandbox } from '../../src/sandbox/index.js'
import { readChannel, readTokenBalance } from '../../src/tempo/index.js'
import { idOf } from './request.js'
import type { Line } from './task.js'
import { FUNDS } from './world.js'

/** What a case has come to. */
export interface Audit {
  /** Base units that are neither the payer's nor were captured for work that is on the gateway's books. */
  readonly lost: bigint
  /** How many channels more than one were funded at the same time. */
  readonly doubleChannels: number
  /** Of the runs that were charged, how many were not the first one for their request. */
  readonly doublePaid: number
  /** Runs that were charged and whose answer nobody got. */
  readonly unheard: number
  /** Whatever else is not as it must be. */
  readonly problems: readonly string[]
}

export interface AuditInput {
  readonly chain: LocalChain
  readonly gateway: Sandbox
  readonly payer: Address
  readonly lines: readonly Line[]
  /** What the gateway has charged for, run by run. */
  readonly charges: readonly AccountedCharge[]
  /** Vouchers that the gateway saw and the policy does not allow. */
  readonly beyond: readonly string[]
}

const magnitude = (amount: bigint): bigint => (amount < 0n ? -amount : amount)

export async function auditCase({ chain, gateway, payer, lines, charges, beyond }: AuditInput): Promise<Audit> {
  const problems: string[] = beyond.map((excess) => `a voucher beyond the policy was seen: ${excess}`)
  const client = chain.client()
  const { token } = chain
  const [payerHas, payeeHas, events] = await Promise.all([
    readTokenBalance(client, { token, owner: payer }),
    readTokenBalance(client, { token, owner: gateway.payee }),
    channelEvents(chain, payer),
  ])
  const held = await Promise.all(
    events.opened.map((channelId) => readChannel(client, { channelId, escrow: CHANNEL_RESERVE })),
  )
  const reserveHas = held.reduce((sum, { deposit, settled }) => sum + deposit - settled, 0n)
  if (payerHas + payeeHas + reserveHas !== FUNDS) {
    problems.push(`payer ${payerHas} + payee ${payeeHas} + reserve ${reserveHas} is not ${FUNDS}`)
  }
  const { channels } = gateway.accounting()
  const captured = channels.reduce((sum, channel) => sum + BigInt(channel.captured), 0n)
  if (captured !== payeeHas) problems.push(`the books say ${captured} captured, the payee has ${payeeHas}`)
  for (const { status, captured: taken, spent } of channels) {
    if (status === 'closed' && taken !== spent) problems.push(`${taken} captured of a channel that spent ${spent}`)
  }
  const spent = channels.reduce((sum, channel) => sum + BigInt(channel.spent), 0n)
  const charged = charges.reduce((sum, { cost }) => sum + cost, 0n)
  if (spent !== charged) problems.push(`the books say ${spent} spent, the runs cost ${charged}`)
  const requests = compareRequests(lines, charges)
  problems.push(...requests.problems)
  problems.push(...leftOver(lines))
  return {
    lost: magnitude(FUNDS - payerHas - captured),
    doubleChannels: Math.max(0, events.mostAtOnce - 1),
    doublePaid: requests.doublePaid,
    unheard: requests.unheard,
    problems,
  }
}

/** Holds what callers asked for and were told against what was charged, request by request. */
export function compareRequests(
  lines: readonly Line[],
  charges: readonly AccountedCharge[],
): Pick<Audit, 'doublePaid' | 'unheard' | 'problems'> {
  const runs = new Map<string, number>()
  for (const { body } of charges) {
    const id = idOf(body) ?? 'a request that nobody makes here'
    runs.set(id, (runs.get(id) ?? 0) + 1)
  }
  const asked = new Set(lines.flatMap((line) => (line.say === 'asking' ? [line.id] : [])))
  const told = new Map(lines.flatMap((line) => (line.say === 'paid' ? [[line.id, line] as const] : [])))
  const problems: string[] = []
  for (const [id, { ok }] of told) if (ok && !runs.has(id)) problems.push(`the answer to "${id}" is not on the books`)
  let unheard = 0
  for (const id of runs.keys()) {
    if (!asked.has(id)) problems.push(`"${id}" was charged, and nobody asked for it`)
    const line = told.get(id)
    if (line?.ok === true) continue
    unheard += 1
    // Whoever is alive to hear it is told that it may have been paid for; whoever was killed hears nothing.
    if (line !== undefined && line.code !== 'outcome_unknown') {
      problems.push(`"${id}" was charged, and its caller was told ${line.code}`)
    }
  }
  const doublePaid = [...runs.values()].reduce((sum, times) => sum + times - 1, 0)
  return { doublePaid, unheard, problems }
}

/** What the payer's own ledger says at the end: everything is over, nothing is pending. */
function leftOver(lines: readonly Line[]): string[] {
  const last = lines.findLast((line) => line.say === 'sessions')
  if (last === undefined) return ['the last process did not come to its end']
  return last.list
    .filter(({ status, pending }) => (status !== 'closed' && status !== 'withdrawn') || pending !== null)
    .map(({ status, pending }) => `a channel was left ${status}, pending ${pending ?? 'nothing'}`)
}

/** The channels that a payer has opened, and the most of them that were funded at the same time. */
async function channelEvents(chain: LocalChain, payer: Address) {
  const client = chain.client()
  const from = {
    address: CHANNEL_RESERVE,
    abi: Abis.tip20ChannelReserve,
    fromBlock: 'earliest',
    toBlock: 'latest',
  } as const
  const openings = await getContractEvents(client, {
    ...from,
    eventName: 'ChannelOpened',
    args: { payer },
    strict: true,
  })
  const closings = await Promise.all(
    openings.map(({ args }) =>
      getContractEvents(client, {
        ...from,
        eventName: 'ChannelClosed',
        args: { channelId: args.channelId },
        strict: true,
      }),
    ),
  )
  const changes = [
    ...openings.map((event) => ({ event, by: 1 })),
    ...closings.flat().map((event) => ({ event, by: -1 })),
  ].sort((a, b) => Number(a.event.blockNumber - b.event.blockNumber) || a.event.logIndex - b.event.logIndex)
  let now = 0
  let mostAtOnce = 0
  for (const { by } of changes) {
    now += by
    mostAtOnce = Math.max(mostAtOnce, now)
  }
  return { opened: openings.map(({ args }) => args.channelId), mostAtOnce }
}
