// The cases of the matrix: each runs one operation into one fault, brings a process back, and accounts for every unit.
// Must never pass a case whose fault did not happen.

import { type LaggingNode, startNode } from '../recovery/node.js'
import type { Audit } from './audit.js'
import { type Ground, openGround, type Stage } from './ground.js'
import { AFTERMATH, AFTERMATH_OF_FORCED, type Operation, termsOfLostRecords } from './operations.js'
import type { DiskFault, Line, Step } from './task.js'
import type { Grace } from './world.js'

export type NodeFault = 'times out' | 'answers late' | 'answers from the past'

export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'kill'; readonly point: string }
  | { readonly kind: 'disk'; readonly disk: DiskFault }
  /** The gateway, or the node, does everything and then drops the connection; nobody is killed. */
  | { readonly kind: 'answer lost'; readonly on: 'open' | 'voucher' | 'topUp' | 'close' | 'transaction' }
  | LostDisk
  /** The operation is done, and then the records of before it are restored from a backup. */
  | { readonly kind: 'restored' }
  /** Killed at `point`, and the node fails while the next process recovers. */
  | { readonly kind: 'node'; readonly node: NodeFault; readonly point: string }
  /** The node fails from `point` on, under the process that lives on. */
  | { readonly kind: 'node meanwhile'; readonly node: NodeFault; readonly point: string }

/** Killed at `point`, and the machine with all its records is gone. */
export interface LostDisk {
  readonly kind: 'disk lost'
  readonly point: string
}

export interface Case {
  readonly operation: Operation
  readonly fault: Fault
}

export interface Row extends Case {
  readonly outcome: string
  readonly audit: Audit
}

/** The words of a fault, as the table has them. */
export function pointOf(fault: Fault): string {
  switch (fault.kind) {
    case 'none':
      return 'no fault'
    case 'kill':
      return fault.point
    case 'disk':
      return `write ${fault.disk.write} of the disk is ${fault.disk.kind}`
    case 'answer lost':
      return `answer to ${fault.on} lost`
    case 'disk lost':
      return `${fault.point}, then the records are gone`
    case 'restored':
      return 'done, then the records are restored from before'
    case 'node':
      return `${fault.point}, then the node ${fault.node}`
    case 'node meanwhile':
      return `${fault.point}, the node ${fault.node}`
  }
}

/** Points and writes that an operation passes when nothing goes wrong. */
export interface Journey {
  readonly points: readonly string[]
  readonly writes: number
}

export function journeyOf(lines: readonly Line[]): Journey {
  return {
    points: lines.flatMap((line) => (line.say === 'point' ? [line.name] : [])),
    writes: Math.max(0, ...lines.flatMap((line) => (line.say === 'write' ? [line.count] : []))),
  }
}

/** Runs a case to its end. */
export async function runCase(stage: Stage, { operation, fault }: Case, grace: Grace | null): Promise<Row & Journey> {
  // A backup of before an open knows nothing of the channel, as if the disk were gone.
  const isLost =
    fault.kind === 'disk lost' ||
    (fault.kind === 'disk' && fault.disk.kind === 'lying') ||
    (fault.kind === 'restored' && operation.name === 'open again')
  const terms = isLost ? termsOfLostRecords(operation) : operation.terms
  const ground = await openGround(stage, terms)
  let waits = grace
  const wait = async (): Promise<void> => {
    const mine = waits
    waits = null
    await mine?.over()
  }
  const notes: string[] = []
  let acted: readonly Line[] = []
  try {
    acted = await interrupt(ground, operation, fault, wait, notes)
    if (operation.grace === 'after') {
      await ground.run([{ do: 'recover' }, { do: 'force', untilWaiting: true }])
      await wait()
    }
    await ground.run(operation.grace === undefined ? AFTERMATH : AFTERMATH_OF_FORCED)
  } catch (error) {
    notes.push(error instanceof Error ? error.message : String(error))
  } finally {
    waits?.leave()
  }
  try {
    const audit = await ground.audit()
    const problems = [...notes, ...audit.problems, ...unfinished(ground.lines)]
    const outcome = tellOutcome(ground.lines, audit)
    return { operation, fault, outcome, audit: { ...audit, problems }, ...journeyOf(acted) }
  } finally {
    await ground.stop()
  }
}

/** Brings the operation about and lets the fault happen. @returns what was said meanwhile. */
async function interrupt(
  ground: Ground,
  operation: Operation,
  fault: Fault,
  waitForGrace: () => Promise<void>,
  problems: string[],
): Promise<readonly Line[]> {
  const { before, after, act, grace } = operation
  if (after !== undefined && !(await ground.run(after.steps, { kill: after.kill })).killed) {
    problems.push(`the process before did not die at "${after.kill}"`)
  }
  if (before.length > 0) await ground.run(before)
  if (grace === 'before') await waitForGrace()
  const steps = [act]
  switch (fault.kind) {
    case 'none':
      return (await ground.run(steps)).lines
    case 'answer lost':
      if (fault.on === 'transaction') ground.loseTransactionAnswer()
      else ground.gateway.inject('answer_lost', { on: fault.on })
      return (await ground.run([act])).lines
    case 'kill': {
      const ended = await ground.run(steps, { kill: fault.point })
      if (!ended.killed) problems.push('the point was not passed')
      return ended.lines
    }
    case 'disk': {
      const ended = await ground.run(steps, { disk: fault.disk })
      if (!ended.killed) problems.push('the write did not happen')
      if (fault.disk.kind === 'lying') await repair(ground, problems)
      return ended.lines
    }
    case 'disk lost': {
      const ended = await ground.run(steps, { kill: fault.point })
      if (!ended.killed) problems.push('the point was not passed')
      // Nobody replaces a disk while a request is under way; an open that no record and no chain shows cannot be known.
      await ground.answered()
      await ground.loseRecords()
      return ended.lines
    }
    case 'restored': {
      const restore = await ground.backUp()
      const { lines } = await ground.run(steps)
      await restore()
      return lines
    }
    case 'node':
      return failNode(ground, operation, fault, problems)
    case 'node meanwhile':
      return failNodeMeanwhile(ground, operation, fault, problems)
  }
}

/** A file that is half there is refused, and pays for nothing, until an operator has taken it away. */
async function repair(ground: Ground, problems: string[]): Promise<void> {
  const { lines } = await ground.run([{ do: 'pay', ids: ['refused'] }])
  if (lines.some((line) => line.say === 'paid' && line.code !== 'store_damaged')) {
    problems.push('a request went on over a damaged record')
  }
  // Before anything is recovered: a channel that is found while its place is damaged is kept apart from it.
  if ((await ground.removeDamaged()) !== 1) problems.push('no damaged record was quarantined')
}

async function failNode(
  ground: Ground,
  { act, grace }: Operation,
  fault: Extract<Fault, { kind: 'node' }>,
  problems: string[],
): Promise<readonly Line[]> {
  const node = await startNode(ground.chain.rpcUrl)
  try {
    const past = await node.newest()
    const ended = await ground.run([act], { kill: fault.point })
    if (!ended.killed) problems.push('the point was not passed')
    const found = await recoverOver(ground, node, fault.node, past, grace === undefined)
    // Nothing is over for good because of a node that does not answer, or not from the present.
    const over = found.some((line) => line.say === 'recovered' && line.channels.some(({ status }) => OVER.has(status)))
    if (over && fault.node !== 'answers late') problems.push(`a channel was given up though the node ${fault.node}`)
    return ended.lines
  } finally {
    await node.stop()
  }
}

/** So long a forced close is left with a node that fails: it waits for a better one. */
const NODE_FAILS_MS = 3_000

async function failNodeMeanwhile(
  ground: Ground,
  { act, grace }: Operation,
  fault: Extract<Fault, { kind: 'node meanwhile' }>,
  problems: string[],
): Promise<readonly Line[]> {
  const node = await startNode(ground.chain.rpcUrl)
  let better: ReturnType<typeof setTimeout> | undefined
  try {
    const past = await node.newest()
    let passed = false
    const heard = (line: Line): void => {
      if (line.say !== 'point' || line.name !== fault.point) return
      passed = true
      fail(node, fault.node, past)
      if (grace !== undefined) better = setTimeout(() => fail(node, null, past), NODE_FAILS_MS)
    }
    // Long enough for a busy machine, before the node begins to fail as well as after.
    const timeoutMs = fault.node === 'times out' ? 5_000 : 20_000
    const { lines } = await ground.run([act], { rpc: { url: node.url, timeoutMs, retries: 0 }, heard })
    if (!passed) problems.push('the point was not passed')
    return lines
  } finally {
    clearTimeout(better)
    await node.stop()
  }
}

/** Makes the node fail, or makes it well again. */
function fail(node: LaggingNode, fault: NodeFault | null, past: number): void {
  node.hang(fault === 'times out')
  node.late(fault === 'answers late' ? 500 : 0)
  node.stayAt(fault === 'answers from the past' ? past : null)
}

const OVER: ReadonlySet<string> = new Set(['absent', 'closed', 'withdrawn', 'lost'])

async function recoverOver(ground: Ground, node: LaggingNode, fault: NodeFault, past: number, pays: boolean) {
  const patience = { 'times out': 700, 'answers late': 10_000, 'answers from the past': 10_000 }
  fail(node, fault, past)
  const rpc = { url: node.url, timeoutMs: patience[fault], retries: 0 }
  const request: Step = { do: 'pay', ids: ['in between'] }
  const { lines } = await ground.run(pays ? [{ do: 'recover' }, request] : [{ do: 'recover' }], { rpc })
  return lines
}

/** What the last process must have done. */
function unfinished(lines: readonly Line[]): string[] {
  const last = lines.findLast((line) => line.say === 'paid' && line.id === 'last')
  const ends = lines.findLast((line) => line.say === 'ended')
  const problems: string[] = []
  if (last?.say !== 'paid') problems.push('the last request was not made')
  else if (!last.ok) problems.push(`the last request was not answered: ${last.code}`)
  if (ends?.say !== 'ended' || ends.status === 'failed') {
    problems.push(`the last channel was not closed: ${ends?.say === 'ended' ? ends.code : 'nobody tried'}`)
  }
  return problems
}

/** What came of it, in a few words. */
function tellOutcome(lines: readonly Line[], { unheard, problems }: Audit): string {
  const recovered = lines.flatMap((line) => (line.say === 'recovered' ? [line] : []))
  const found = recovered.map(
    ({ channels }) =>
      channels.map(({ source, found, action, status }) => wordFor(source, found, action, status)).join(' + ') ||
      'nothing open',
  )
  const charged = unheard === 0 ? '' : unheard === 1 ? '; charged, answer lost' : `; ${unheard} charged, answers lost`
  return `${[...new Set(found)].join(', then ')}${charged}${problems.length === 0 ? '' : '; WRONG'}`
}

function wordFor(source: string, found: string, action: string, status: string): string {
  const from = source === 'chain' ? 'found on chain, ' : ''
  if (action === 'none') return `${from}${status}`
  return `${from}${found === 'unasked' ? 'not asked, ' : ''}${action} (${status})`
}
