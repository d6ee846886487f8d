// The command `sessions recover`: brings the ledger and the chain together, and says what was found and done.
// Must never call a recovery complete when something could not be looked at.

import { createClient, http } from 'viem'
import { getChainId } from 'viem/actions'
import { z } from 'zod'
import type { ChainSearch, RecoveredChannel, RecoveryReport } from '../../client/index.js'
import { withOptions } from '../advice.js'
import type { CommandRun } from '../command-run.js'
import { CommandError, type EndingSignal, EXIT, EXIT_OF_SIGNAL, usageError } from '../exit.js'
import { inTokens, namedAmount } from '../money.js'
import { needPayer, openClient, payerOptions, policyOf } from '../payer.js'
import type { Given } from '../perform.js'
import { openStore } from '../store.js'
import { recoverLine, stepLine } from './progress.js'

const recoverOptions = payerOptions.extend({
  chain: z.array(z.string()).optional(),
  escrow: z.array(z.string()).optional(),
  fromBlock: z.string().optional(),
  maxExposure: z.string().optional(),
  reuse: z.boolean().default(false),
  trustNode: z.boolean().default(false),
})

type RecoverOptions = z.infer<typeof recoverOptions>

/** Recovers. Its exit code is 0 when everything could be looked at. */
export async function recoverChannels(run: CommandRun, { options }: Given): Promise<number> {
  const given = recoverOptions.parse(options)
  const fromBlock = readBlock(given.fromBlock)
  // Whoever is trusted is named.
  if (given.trustNode && given.rpcUrl === undefined) throw usageError('--trust-node needs --rpc-url')
  const keys = await needPayer(given)
  const { chain, escrow, maxExposure } = given
  const named = policyOf({ allowChain: chain, allowEscrow: escrow, maxExposure })
  const chainIds = named.allowedChains ?? (await chainOfRpc(given))
  const policy = { ...named, ...(chainIds !== undefined && { allowedChains: chainIds }) }
  const mpp = openClient(keys, await openStore(given, 'write'), given, { policy })
  const abort = new AbortController()
  let interrupted: EndingSignal | null = null
  run.onSignal((signal) => {
    interrupted = signal
    abort.abort()
  })
  const line = stepLine(run)
  try {
    const report = await mpp.sessions.recover({
      signal: abort.signal,
      reuse: given.reuse,
      trustNode: given.trustNode,
      onProgress: recoverLine(line),
      ...(chainIds !== undefined && { chainIds }),
      ...(fromBlock !== undefined && { fromBlock }),
    })
    line.end()
    return await tell(run, report)
  } catch (error) {
    line.end()
    if (interrupted === null) throw error
    run.note('Left before everything was looked at. What was found so far is in the ledger; recover again to go on.')
    return EXIT_OF_SIGNAL[interrupted]
  }
}

function readBlock(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9]{1,15}$/.test(text)) throw usageError('--from-block takes the number of a block')
  return Number(text)
}

/** An RPC knows one chain: the others are not searched by it. */
async function chainOfRpc({ rpcUrl }: RecoverOptions): Promise<readonly number[] | undefined> {
  if (rpcUrl === undefined) return undefined
  try {
    return [await getChainId(createClient({ transport: http(rpcUrl) }))]
  } catch {
    // Its own message holds the URL, which may hold a key.
    throw new CommandError('unavailable', 'chain_unavailable', 'the RPC does not say which chain it is for')
  }
}

async function tell(run: CommandRun, report: RecoveryReport): Promise<number> {
  const { channels, searches, unreadable } = report
  const complete =
    unreadable === null &&
    searches.every(({ blocks }) => blocks !== null) &&
    channels.every(({ found }) => found !== 'unasked')
  const exitCode = complete ? EXIT.ok : EXIT.unavailable
  if (run.json) {
    await run.writeJson({ status: complete ? 'recovered' : 'incomplete', exitCode, ...report })
    return exitCode
  }
  await run.write([...channels.flatMap(channelLines), ...searches.map(searchLine), ''].join('\n'))
  if (unreadable !== null) run.complain(unreadable)
  if (!complete) run.complain('not everything could be looked at; recover again when it can')
  return exitCode
}

function channelLines({
  channelId,
  source,
  found,
  action,
  status,
  amounts,
  token,
  detail,
}: RecoveredChannel): string[] {
  const { deposit, signed, spent, refundable } = amounts
  const figures = `deposit ${namedAmount(deposit, token)}, signed ${inTokens(signed)}, spent ${inTokens(spent)}`
  return [
    `${channelId}  ${status}`,
    `  ${source === 'chain' ? 'only the chain knew it' : 'in the ledger'}; found ${found}, ${ACTIONS[action]}`,
    `  ${figures}, refundable ${inTokens(refundable)}`,
    ...(detail === null ? [] : [`  ${withOptions(detail)}`]),
  ]
}

const ACTIONS: Readonly<Record<RecoveredChannel['action'], string>> = {
  adopted: 'taken into the ledger',
  dropped: 'what can no longer come about was dropped',
  closed: 'its end was written down',
  kept: 'left as it was',
  none: 'nothing had to be done',
}

function searchLine({ chainId, escrow, blocks, opened, detail }: ChainSearch): string {
  const what = `chain ${chainId}, escrow ${escrow}`
  if (blocks === null) return `Not searched: ${what} (${detail ?? 'unknown'})`
  return `Searched ${what}, blocks ${blocks.from} to ${blocks.to}: ${opened} opened by this payer`
}
