// Runs all scenarios on one chain, each on a gateway of its own, and reports them in the order of the table.
// Must never let one scenario's failure hide another's result.

import { ERROR_CODES, type LeadsTo, type MppCode } from '../../../machines/index.js'
import { type LocalChain, startChain } from '../../sandbox/index.js'
import {
  CODE_SCENARIOS,
  type CodeScenario,
  checkPersistent,
  checkRow,
  type Ground,
  PERSISTENT,
  type PersistentCode,
  runPersistent,
  runScenario,
} from '../../testing/code-scenarios/index.js'

/** What became of one code. */
export interface CodeResult {
  readonly code: MppCode
  readonly cause: 'real' | 'injected'
  readonly how: string
  readonly leadsTo: LeadsTo
  readonly bound: number
  /** How the flow that met the code ended; null when it could not be run. */
  readonly outcome: 'succeeded' | 'closed' | 'failed' | null
  readonly failureCode: string | null
  /** The states that this flow went through. */
  readonly states: readonly string[]
  /** The same from the code on. */
  readonly statesAfter: readonly string[]
  /** What of the row does not hold. */
  readonly problems: readonly string[]
}

export interface RunOptions {
  /** Which codes; all of them when there are none. */
  readonly only: ReadonlySet<string>
  /** Called with each result, in the order of the table. */
  readonly show: (result: CodeResult) => void
  /** Told as soon as there is something to stop. */
  readonly onChain: (chain: Pick<LocalChain, 'stop'>) => void
}

/** More would only make each of them wait for the others. */
const AT_ONCE = 4

/**
 * Starts a chain, runs every scenario, and stops the chain.
 *
 * @throws whatever `startChain` throws, such as the line that says what to install.
 */
export async function runCodes({ only, show, onChain }: RunOptions): Promise<readonly CodeResult[]> {
  const scenarios = CODE_SCENARIOS.filter(({ code }) => only.size === 0 || only.has(code))
  // Two payers for each scenario, none of them shared, and one account that pays for the closes of the gateways.
  const chain = await startChain({ accounts: 2 * scenarios.length + 1 })
  onChain(chain)
  try {
    const results: CodeResult[] = []
    const waiting = new Map<number, CodeResult>()
    const done = (index: number, result: CodeResult): void => {
      waiting.set(index, result)
      for (let next = waiting.get(results.length); next !== undefined; next = waiting.get(results.length)) {
        results.push(next)
        show(next)
      }
    }
    const queue = [...scenarios.entries()]
    const work = async (): Promise<void> => {
      for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
        const [index, scenario] = job
        done(index, await runOne(scenario, groundOf(chain, 2 * index), groundOf(chain, 2 * index + 1)))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return results
  } finally {
    await chain.stop()
  }
}

function groundOf(chain: LocalChain, index: number): Ground {
  const payer = chain.accounts[index]
  if (payer === undefined) throw new RangeError('the chain has too few accounts')
  return { chain, payer }
}

function canPersist(code: MppCode): code is PersistentCode {
  return Object.hasOwn(PERSISTENT, code)
}

/** Plays the scenario and, where the code has a bound, plays on until it is used up. */
async function runOne(scenario: CodeScenario, ground: Ground, secondGround: Ground): Promise<CodeResult> {
  const { code, cause, how, row, expected } = scenario
  const { leadsTo, bound } = ERROR_CODES[code]
  const result = { code, cause, how, leadsTo, bound }
  try {
    const run = await runScenario(scenario, ground)
    const { outcome } = run.flow
    const problems = [...checkRow(scenario, run)]
    if (canPersist(code)) {
      const endless = checkPersistent(scenario, await runPersistent(code, secondGround))
      problems.push(...endless.map((problem) => `without end: ${problem}`))
    } else if (row.bound > 0) problems.push('its bound was not tried')
    const states = outcome.trace.map(({ state }) => state)
    const met = outcome.trace.findIndex(
      ({ event }, index) => event === code && states[index - 1] === expected.refusedIn,
    )
    return {
      ...result,
      outcome: outcome.status,
      failureCode: outcome.status === 'failed' ? outcome.failure.code : null,
      states,
      statesAfter: met === -1 ? [] : states.slice(met),
      problems,
    }
  } catch (error) {
    // Its name alone: a message may quote what was sent.
    const problem = `it could not be run (${error instanceof Error ? error.name : 'unknown'})`
    return { ...result, outcome: null, failureCode: null, states: [], statesAfter: [], problems: [problem] }
  }
}
