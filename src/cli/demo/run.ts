// Runs the demo from an empty chain to its summary.
// Must never leave the sandbox running, whatever happens in between.

import { createClient, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { TOKEN_DECIMALS } from '../../client/policy.js'
import { createMppClient } from '../../index.js'
import { type Address, CHANNEL_RESERVE, parseTokenAmount } from '../../protocol/index.js'
import { type Sandbox, startSandbox } from '../../sandbox/index.js'
import { readTokenBalance } from '../../tempo/index.js'
import { watchTransitions } from '../transitions.js'
import { createApprovalRule } from './approvals.js'
import type { AccountsReport, Reporter, SettingReport, StepName } from './reports.js'
import { play } from './scenario.js'
import { CLOSE, TERMS } from './steps.js'
import { summarise } from './summary.js'

export interface RunOptions {
  readonly report: Reporter
  /** Told as soon as there is something to stop. */
  readonly onSandbox: (sandbox: Pick<Sandbox, 'stop'>) => void
}

/**
 * Starts a sandbox, runs the scenario in it, reports everything, and stops the sandbox.
 *
 * @returns what went wrong, one line each; empty when every expectation holds.
 * @throws whatever `startSandbox` throws, such as the line that says what to install.
 */
export async function runDemo({ report, onSandbox }: RunOptions): Promise<readonly string[]> {
  const { pricePerToken, bucket, suggestedDeposit } = TERMS
  const sandbox = await startSandbox({ pricePerToken, bucket, suggestedDeposit })
  onSandbox(sandbox)
  try {
    return await runInSandbox(sandbox, report)
  } finally {
    await sandbox.stop()
  }
}

/** The scenario and its summary, in a sandbox that somebody else starts and stops. */
export async function runInSandbox(sandbox: Sandbox, report: Reporter): Promise<readonly string[]> {
  const account = sandbox.accounts[0]
  if (account === undefined) throw new Error('the sandbox has no account to pay from')
  const before = await balances(sandbox, account.address)
  const setting = settingOf(sandbox, account.address, before.payer)
  report(setting)

  let act: StepName = CLOSE.act
  const rule = createApprovalRule()
  const watch = watchTransitions({
    report: (transition) => {
      report({ type: 'transition', act, ...transition })
      rule.note(transition)
    },
  })
  const { approve } = rule
  const mpp = createMppClient({
    account,
    rpcUrl: sandbox.rpcUrl,
    policy: { maxDeposit: TERMS.maxDeposit, approve },
    inspect: watch.inspect,
  })
  const enter = (next: StepName): void => {
    act = next
  }
  const url = setting.gateway
  const played = await play({ mpp, url, pricePerToken: baseUnits(TERMS.pricePerToken), report, watch, rule, enter })

  const after = await balances(sandbox, account.address)
  const accounts: AccountsReport = {
    type: 'accounts',
    payerBefore: before.payer.toString(),
    payerAfter: after.payer.toString(),
    payeeBefore: before.payee.toString(),
    payeeAfter: after.payee.toString(),
    reserveBefore: before.reserve.toString(),
    reserveAfter: after.reserve.toString(),
  }
  const { summary, problems } = summarise({ ...played, accounting: sandbox.accounting(), accounts })
  report(accounts)
  report(summary)
  return [...played.failures, ...problems]
}

/** What the chain says that everybody holds, in base units. */
async function balances({ rpcUrl, token, payee }: Sandbox, payer: Address) {
  const client = createClient({ chain: tempoModerato, transport: http(rpcUrl) })
  const held = (owner: Address): Promise<bigint> => readTokenBalance(client, { token, owner })
  const [ofPayer, ofPayee, ofReserve] = await Promise.all([held(payer), held(payee), held(CHANNEL_RESERVE)])
  return { payer: ofPayer, payee: ofPayee, reserve: ofReserve }
}

function settingOf(sandbox: Sandbox, payer: Address, payerBalance: bigint): SettingReport {
  return {
    type: 'setting',
    gateway: `${sandbox.url}/v1/mpp/chat/completions`,
    rpcUrl: sandbox.rpcUrl,
    chainId: sandbox.chainId,
    token: sandbox.token,
    payer,
    payee: sandbox.payee,
    payerBalance: payerBalance.toString(),
    pricePerToken: baseUnits(TERMS.pricePerToken).toString(),
    bucket: baseUnits(TERMS.bucket).toString(),
    suggestedDeposit: baseUnits(TERMS.suggestedDeposit).toString(),
    maxDeposit: baseUnits(TERMS.maxDeposit).toString(),
  }
}

function baseUnits(amount: string): bigint {
  const parsed = parseTokenAmount(amount, TOKEN_DECIMALS)
  if (!parsed.ok) throw new RangeError(parsed.detail)
  return parsed.value
}
