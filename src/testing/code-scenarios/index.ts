// A scenario for each code of the gateway, in the order of Ando's errors page.
// Must never leave one out: a code without a scenario is a row that nobody has seen happen.

import { MPP_CODES } from '../../../machines/index.js'
import { CLOSE_SCENARIOS } from './close-codes.js'
import { CREDENTIAL_SCENARIOS } from './credential-codes.js'
import { GATEWAY_SCENARIOS } from './gateway-codes.js'
import type { CodeScenario } from './scenario.js'
import { VOUCHER_SCENARIOS } from './voucher-codes.js'

export { checkPersistent, checkRow } from './check-row.js'
export { challengeIdOf, checkWire, paidSends, sendKindOf, sendKinds } from './check-wire.js'
export { type CodeRun, PERSISTENT, type PersistentCode, runPersistent, runScenario } from './run.js'
export type { ChatRequest, CodeScenario, Expectation, FlowRun, SendKind, Stage, TableRow } from './scenario.js'
export { type Ground, setStage } from './stage.js'

const ALL = [...CREDENTIAL_SCENARIOS, ...VOUCHER_SCENARIOS, ...GATEWAY_SCENARIOS, ...CLOSE_SCENARIOS]

/**
 * How each code comes about on a sandbox, and what must follow.
 *
 * @see Ando, "Errors", Tempo MPP errors
 *
 * @example
 * ```ts
 * import { startChain } from 'mpp-flow/sandbox'
 * import { CODE_SCENARIOS, checkRow, runScenario } from 'mpp-flow/testing'
 *
 * const chain = await startChain({ accounts: 40 })
 * for (const [index, scenario] of CODE_SCENARIOS.entries()) {
 *   const payer = chain.accounts[index]
 *   if (payer === undefined) throw new Error('there are more scenarios than accounts')
 *   console.log(scenario.code, checkRow(scenario, await runScenario(scenario, { chain, payer })))
 * }
 * await chain.stop()
 * ```
 */
export const CODE_SCENARIOS: readonly CodeScenario[] = MPP_CODES.map((code) => {
  const scenario = ALL.find((candidate) => candidate.code === code)
  if (scenario === undefined) throw new Error(`there is no scenario for ${code}`)
  return scenario
})
