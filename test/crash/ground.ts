// One case: a payer, a gateway of its own, a folder for its records, and the processes that die and come back on them.
// Must never share a payer, a payee or a folder with another case, so that each balance accounts for this one alone.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCredential } from '../../src/protocol/index.js'
import {
  type AccountedCharge,
  type GatewayExchange,
  type GatewayOptions,
  type LocalChain,
  type Sandbox,
  startSandbox,
} from '../../src/sandbox/index.js'
import { startArrivals } from './arrivals.js'
import { type Audit, auditCase } from './audit.js'
import { type Ended, type Given, type Survivors, startVictim, type Victim } from './child.js'
import type { Line, Step, Task } from './task.js'
import { DOOM_HEADER } from './victim/doom.js'
import type { Payer, World } from './world.js'

/** Tokens of one request; at the sandbox's price they cost 0.1. */
const TOKENS = 500

const ANSWERED_WITHIN_MS = 30_000

export interface Terms {
  readonly gateway: GatewayOptions
  readonly policy: Task['policy']
}

export interface RunOptions {
  readonly kill?: string
  readonly disk?: Task['disk']
  readonly rpc?: Task['rpc']
  /** Told of everything that this process says. */
  readonly heard?: (line: Line) => void
}

export interface Ground {
  readonly chain: LocalChain
  readonly gateway: Sandbox
  readonly payer: Payer
  /** Of all processes of the case, in order. */
  readonly lines: readonly Line[]
  /** Runs steps with a new client: in a process of their own when it is to die, or in one that lives on. */
  run(steps: readonly Step[], options?: RunOptions): Promise<Ended>
  /** Does what an operator does with records that were quarantined. @returns how many there were. */
  removeDamaged(): Promise<number>
  /** The node takes the next transaction and drops the connection instead of answering. */
  loseTransactionAnswer(): void
  /** Waits until the gateway has dealt with everything that was paid for. @throws when it takes too long. */
  answered(): Promise<void>
  /** The disk is gone, with all records. */
  loseRecords(): Promise<void>
  /** Copies the records as an operator would. @returns what puts the copy in the place of what is there then. */
  backUp(): Promise<() => Promise<void>>
  audit(): Promise<Audit>
  stop(): Promise<void>
}

/** Limits how many processes run at once. */
export type Permits = <T>(work: () => Promise<T>) => Promise<T>

export function createPermits(most: number): Permits {
  let free = most
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}

export interface Stage {
  readonly world: World
  readonly program: string
  /** They run what is not to be killed: starting a process for it costs more than the work itself. */
  readonly survivors: Survivors
  readonly permits: Permits
  /** Told of everything that a process of a case says. */
  readonly heard?: (line: Line) => void
}

export async function openGround({ world, program, survivors, permits, heard }: Stage, terms: Terms): Promise<Ground> {
  const { chain } = world
  const payer = world.payer()
  const lines: Line[] = []
  const beyond: string[] = []
  const charges: AccountedCharge[] = []
  let victim: Victim | undefined
  let paidFor = 0
  const gateway: Sandbox = await startSandbox({
    ...terms.gateway,
    chain,
    observe: (exchange) => {
      if (headerOf(exchange, DOOM_HEADER) !== undefined) victim?.kill()
      if (headerOf(exchange, 'authorization') !== undefined) paidFor += 1
      const excess = excessOf(exchange, gateway, terms.policy)
      if (excess !== null) beyond.push(excess)
    },
    charged: (charge) => charges.push(charge),
  })
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-crash-'))
  const records = join(folder, 'records')
  const arrivals = await startArrivals(chain.rpcUrl, () => victim?.kill())
  const direct = { url: arrivals.url, timeoutMs: 20_000, retries: 1 }
  return {
    chain,
    gateway,
    payer,
    lines,
    run: (steps, { kill, disk = null, rpc = direct, heard: listen } = {}) =>
      permits(async () => {
        const given: Given = {
          key: payer.key,
          url: `${gateway.url}/v1/mpp/chat/completions`,
          chainId: chain.chainId,
          rpc,
          store: { kind: 'files', folder: records },
          policy: terms.policy,
          tokens: TOKENS,
          kill: kill ?? null,
          disk,
          steps: [...steps],
        }
        const hear = (line: Line): void => {
          lines.push(line)
          heard?.(line)
          listen?.(line)
        }
        if (given.kill === null && disk === null) return survivors.run(given, hear)
        victim = startVictim(program, given, hear)
        return victim.ended
      }),
    async removeDamaged() {
      const quarantined = (await readdir(records)).filter((name) => name.includes('.damaged'))
      await Promise.all(quarantined.map((name) => rm(join(records, name))))
      return quarantined.length
    },
    loseTransactionAnswer: arrivals.loseNext,
    async answered() {
      const deadline = Date.now() + ANSWERED_WITHIN_MS
      for (;;) {
        const { completions, rejectedCredentials, topUps, closes, replays } = gateway.accounting().counts
        if (completions + rejectedCredentials + topUps + closes + replays >= paidFor) return
        if (Date.now() > deadline) throw new Error('the gateway did not answer everything that was paid for')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    loseRecords: () => rm(records, { recursive: true }),
    async backUp() {
      const names = (await readdir(records)).filter((name) => name.endsWith('.json'))
      const copies = await Promise.all(
        names.map(async (name) => ({ name, text: await readFile(join(records, name), 'utf8') })),
      )
      return async () => {
        await rm(records, { recursive: true })
        await mkdir(records, { mode: 0o700 })
        await Promise.all(copies.map(({ name, text }) => writeFile(join(records, name), text, { mode: 0o600 })))
      }
    },
    audit: () => auditCase({ chain, gateway, payer: payer.account.address, lines, charges, beyond }),
    async stop() {
      victim?.kill()
      await Promise.all([gateway.stop(), arrivals.stop(), rm(folder, { recursive: true, force: true })])
    },
  }
}

function headerOf({ headers }: GatewayExchange, name: string): string | undefined {
  return headers.find(([key]) => key.toLowerCase() === name)?.[1]
}

/** Token amounts with at most six decimals, in base units. */
export function baseUnits(amount: string): bigint {
  const [whole = '0', part = ''] = amount.split('.')
  return BigInt(whole) * 1_000_000n + BigInt(part.padEnd(6, '0'))
}

/** What a voucher authorises beyond the policy, in words; null when it is within, or when there is no voucher. */
export function excessOf(exchange: GatewayExchange, gateway: Sandbox, policy: Task['policy']): string | null {
  const read = parseCredential(headerOf(exchange, 'authorization'))
  if (!read.ok || !('cumulativeAmount' in read.value.payload)) return null
  const { channelId, cumulativeAmount, action } = read.value.payload
  const channel = gateway.accounting().channels.find((known) => known.channelId === channelId)
  // What the gateway has booked is never less than what the payer knows of it.
  const exposed = BigInt(cumulativeAmount) - BigInt(channel?.spent ?? '0')
  if (exposed > baseUnits(policy.maxExposure)) return `${action}: ${exposed} exposed`
  if (BigInt(cumulativeAmount) > baseUnits(policy.maxDeposit)) return `${action}: ${cumulativeAmount} authorised`
  return null
}
