// The command `explain`: what a code means, where it leads in the machine, and what to do about it.
// Must never know a code by itself: everything it says is read from the machines.

import { ERROR_CODES, type ErrorCode, paymentFlowMachine } from '../../machines/index.js'
import { type GraphTransition, machineGraph } from '../inspect/diagram/graph.js'
import { adviceOn } from './advice.js'
import type { CommandRun } from './command-run.js'
import { EXIT, usageError } from './exit.js'

const PROBLEM_BASE = /^https:\/\/paymentauth\.org\/problems\//
/** A column for the longest name of a state. */
const STATE_WIDTH = 34

/** One way that a code leads on. */
interface Way {
  readonly from: string
  readonly guard: string | null
  readonly to: string
}

/** @throws CommandError when there is no such code. */
export async function explain(run: CommandRun, code: string | undefined): Promise<number> {
  if (code === undefined) {
    const all = Object.values(ERROR_CODES)
    await (run.json ? run.writeJson({ codes: all }) : run.write(all.map(lineOf).join('')))
    return EXIT.ok
  }
  const known = Object.values(ERROR_CODES).find((each) => each.code === code.replace(PROBLEM_BASE, ''))
  if (known === undefined) throw usageError(`there is no such code${didYouMean(code)}`)
  const ways = waysOf(known)
  await (run.json ? run.writeJson({ ...known, transitions: ways }) : run.write(inWords(known, ways)))
  return EXIT.ok
}

function lineOf({ code, leadsTo, meaning }: ErrorCode): string {
  return `${code.padEnd(40)} ${leadsTo.padEnd(16)} ${meaning}\n`
}

/** Codes that share the most words with what was asked for. */
function didYouMean(code: string): string {
  const words = new Set(
    code
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter((word) => word !== 'mpp'),
  )
  const shared = (known: string): number => known.split(/[^a-z]+/).filter((word) => words.has(word)).length
  const best = Math.max(...Object.keys(ERROR_CODES).map(shared))
  if (best === 0) return '. "mpp-flow explain" lists all of them'
  return `. Did you mean ${Object.keys(ERROR_CODES)
    .filter((known) => shared(known) === best)
    .slice(0, 3)
    .join(' or ')}?`
}

/** Every arrow of the payment flow that the code is the event of, or the guard. */
function waysOf({ event }: ErrorCode): readonly Way[] {
  const { id, transitions } = machineGraph(paymentFlowMachine)
  const name = (state: string): string => state.replace(`${id}.`, '').replace(id, 'any state')
  const way = ({ source, guard, target }: GraphTransition): Way => ({
    from: name(source),
    guard,
    to: target === null ? 'no other state' : name(target),
  })
  return transitions.filter((each) => each.event === event || each.guard === event).map(way)
}

function inWords({ code, meaning, leadsTo, bound, retryable }: ErrorCode, ways: readonly Way[]): string {
  const times = bound === 0 ? '' : `, at most ${bound} ${bound === 1 ? 'time' : 'times'} a flow`
  const facts = [
    ['leads to', `${leadsTo}${times}`],
    ['retryable', retryable ? 'yes: the same call may succeed later' : 'no: something has to change first'],
    ['to do', adviceOn(code)],
  ]
  const arrows = ways.map(
    ({ from, guard, to }) => `  ${from.padEnd(STATE_WIDTH)} → ${to}${guard === null ? '' : `  [${guard}]`}`,
  )
  return [
    code,
    '',
    `  ${meaning}`,
    '',
    ...facts.map(([name = '', text = '']) => `  ${name.padEnd(10)} ${text}`),
    ...(arrows.length === 0 ? [] : ['', '  In the payment-flow machine:', ...arrows]),
    '',
  ].join('\n')
}
