// Many processes that pay from one wallet over one channel, while some of them are killed and replaced.
// Must never ask again for what a killed process had asked for: it may have been paid for.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AccountedCharge, type Sandbox, startSandbox } from '../../src/sandbox/index.js'
import { serverDatabase } from '../sessions/databases.js'
import { auditCase } from './audit.js'
import { type Given, startVictim, type Victim } from './child.js'
import { excessOf } from './ground.js'
import { AFTERMATH } from './operations.js'
import type { Line, Step, Task } from './task.js'
import type { Payer, World } from './world.js'

/** A request costs 0.01: fifty tokens. A voucher's bucket of 1 lasts a hundred requests. */
const TOKENS = 50
const POLICY = { maxDeposit: '40', maxExposure: '10', timeouts: { leaseMs: 3_000 } }
const AT_ONCE = 16

export interface CrowdShape {
  readonly processes: number
  /** Of each process. */
  readonly requests: number
  /** How many processes are killed on the way. */
  readonly kills: number
}

export interface CrowdStore {
  readonly name: 'files' | 'postgres'
  readonly store: Task['store']
  close(): Promise<void>
}

export interface CrowdResult extends CrowdShape {
  readonly store: CrowdStore['name']
  readonly seconds: number
  /** Answers per second, all processes together. */
  readonly perSecond: number
  readonly answered: number
  /** On the gateway's books, and asked for by a process that was killed before it had the answer. */
  readonly unheard: number
  readonly opens: number
  /** Paid sends of each answer: beyond one, what was refused because others were faster. */
  readonly sendsPerAnswer: number
  /** Base units. */
  readonly lost: number
  readonly doubleChannels: number
  readonly doublePaid: number
  readonly problems: readonly string[]
}

export async function filesForCrowd(): Promise<CrowdStore> {
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-crowd-'))
  return {
    name: 'files',
    store: { kind: 'files', folder: join(folder, 'records') },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** @param connection of a PostgreSQL server. */
export async function postgresForCrowd(connection: string): Promise<CrowdStore> {
  const database = serverDatabase(connection)
  return {
    name: 'postgres',
    store: { kind: 'postgres', connection, schema: database.schema() },
    close: () => database.close(),
  }
}

export interface CrowdStage {
  readonly world: World
  readonly program: string
}

/** Lets a crowd pay, then settles and accounts for everything. */
export async function runCrowd(
  { world, program }: CrowdStage,
  at: CrowdStore,
  shape: CrowdShape,
): Promise<CrowdResult> {
  const { chain } = world
  const payer = world.payer()
  const beyond: string[] = []
  const charges: AccountedCharge[] = []
  const gateway: Sandbox = await startSandbox({
    chain,
    bucket: '1',
    suggestedDeposit: '40',
    observe: (exchange) => {
      const excess = excessOf(exchange, gateway, POLICY)
      if (excess !== null) beyond.push(excess)
    },
    charged: (charge) => charges.push(charge),
  })
  const lines: Line[] = []
  try {
    const task = taskFor(gateway, world, payer, at)
    const started = performance.now()
    const { opens, killed } = await pay(program, task, shape, lines, gateway)
    const seconds = (performance.now() - started) / 1000
    const answered = lines.filter((line) => line.say === 'paid' && line.ok).length
    await startVictim(program, task(AFTERMATH), (line) => lines.push(line)).ended
    const audit = await auditCase({ chain, gateway, payer: payer.account.address, lines, charges, beyond })
    const refused = lines.flatMap((line) =>
      line.say === 'paid' && !line.ok ? [`${line.code} (${line.detail ?? 'no detail'})`] : [],
    )
    const problems = [...audit.problems]
    if (opens !== 1) problems.push(`${opens} channels were opened`)
    // The last one may have come to its end just before it was to be killed.
    if (killed < Math.min(1, shape.kills)) problems.push('no process was killed')
    if (refused.length > 0)
      problems.push(`${refused.length} requests failed for good: ${[...new Set(refused)].join(', ')}`)
    if (audit.unheard > killed * AT_ONCE) problems.push(`${audit.unheard} charged that nobody was waiting for`)
    return {
      ...shape,
      kills: killed,
      store: at.name,
      seconds,
      perSecond: answered / seconds,
      answered,
      unheard: audit.unheard,
      opens,
      sendsPerAnswer: gateway.accounting().counts.paidSends / answered,
      lost: Number(audit.lost),
      doubleChannels: audit.doubleChannels,
      doublePaid: audit.doublePaid,
      problems,
    }
  } finally {
    await gateway.stop()
  }
}

function taskFor(gateway: Sandbox, { chain }: World, payer: Payer, { store }: CrowdStore) {
  return (steps: readonly Step[]): Given => ({
    key: payer.key,
    url: `${gateway.url}/v1/mpp/chat/completions`,
    chainId: chain.chainId,
    rpc: { url: chain.rpcUrl, timeoutMs: 20_000, retries: 2 },
    store,
    policy: POLICY,
    tokens: TOKENS,
    kill: null,
    disk: null,
    steps: [...steps],
  })
}

/** All processes at once; each that is killed is followed by one that asks for what is left. */
async function pay(
  program: string,
  task: (steps: readonly Step[]) => Given,
  { processes, requests, kills }: CrowdShape,
  lines: Line[],
  gateway: Sandbox,
): Promise<{ readonly opens: number; readonly killed: number }> {
  const alive = new Set<Victim>()
  let answers = 0
  let killed = 0
  const every = Math.floor((processes * requests) / (kills + 1))
  const heard = (line: Line): void => {
    lines.push(line)
    if (line.say !== 'paid' || !line.ok) return
    answers += 1
    if (answers % every !== 0 || answers / every > kills) return
    // At any moment within the next few writes and sends.
    setTimeout(() => killOne(), Math.random() * 60)
  }
  const killOne = (): void => {
    const all = [...alive].filter(({ lines: said }) => !said.some((line) => line.say === 'done'))
    all[Math.floor(Math.random() * all.length)]?.kill()
  }
  const one = async (number: number): Promise<void> => {
    let ids = Array.from({ length: requests }, (_, index) => `${number}-${index}`)
    while (ids.length > 0) {
      const victim = startVictim(program, task([{ do: 'crowd', ids, atOnce: AT_ONCE }]), heard)
      alive.add(victim)
      const ended = await victim.ended
      alive.delete(victim)
      if (!ended.killed) return
      killed += 1
      const asked = new Set(ended.lines.flatMap((line) => (line.say === 'asking' ? [line.id] : [])))
      ids = ids.filter((id) => !asked.has(id))
    }
  }
  await Promise.all(Array.from({ length: processes }, (_, number) => one(number)))
  return { opens: gateway.accounting().counts.opens, killed }
}
