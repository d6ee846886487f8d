// The command `sandbox`: runs a gateway with a chain of its own until it is interrupted, and says how to call it.
// Must never print the key of the funded account, nor leave its file behind.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Hex, http, type LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { tempoModerato } from 'viem/chains'
import { Actions } from 'viem/tempo'
import { z } from 'zod'
import { OptionError } from '../../options/index.js'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/index.js'
import type { CommandRun } from '../command-run.js'
import { EXIT, usageError } from '../exit.js'
import { inTokens } from '../money.js'
import type { Given } from '../perform.js'
import { readPort } from '../port.js'

const text = z.string().optional()
const sandboxOptions = z.object({ port: text, bucket: text, suggestedDeposit: text, pricePerToken: text })

/** What the printed account holds, in base units: 1,000 tokens. */
const FUNDS = 1_000_000_000n

/** Where to send requests, and what to pay them with. */
interface Ready {
  readonly gateway: string
  readonly rpcUrl: string
  readonly chainId: number
  readonly token: string
  readonly payee: string
  readonly payer: string
  readonly payerBalance: string
  readonly keyFile: string
  readonly store: string
}

/** Runs until a signal ends it, which is how it is meant to end. @throws CommandError for options that cannot be read. */
export async function sandbox(run: CommandRun, given: Given): Promise<number> {
  const options = readOptions(given.options)
  const running = await start(options)
  run.onLeave(() => running.stop())
  let folder: string | null = null
  try {
    folder = await mkdtemp(join(tmpdir(), 'mpp-flow-sandbox-'))
    const interrupted = new Promise<void>((resolve) => run.onSignal(() => resolve()))
    const ready = await prepare(running, folder)
    await (run.json ? run.writeJson({ status: 'ready', ...ready }) : run.write(howToCall(ready)))
    await interrupted
    return EXIT.ok
  } finally {
    await running.stop()
    if (folder !== null) await rm(folder, { recursive: true, force: true })
  }
}

function readOptions(given: unknown): SandboxOptions {
  const { port, bucket, suggestedDeposit, pricePerToken } = sandboxOptions.parse(given)
  return {
    ...(port !== undefined && { port: readPort(port) }),
    ...(bucket !== undefined && { bucket }),
    ...(suggestedDeposit !== undefined && { suggestedDeposit }),
    ...(pricePerToken !== undefined && { pricePerToken }),
  }
}

async function start(options: SandboxOptions): Promise<Sandbox> {
  try {
    return await startSandbox(options)
  } catch (error) {
    if (error instanceof OptionError) throw usageError(asArgument(error))
    throw error
  }
}

/** What is wrong with an option, by the name that it has here. Only texts are given here, so what else it may be is left out. */
function asArgument({ option, message }: OptionError): string {
  const name = `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  return message.replace(option, name).replace('; or a bigint of base units', '')
}

/** Funds an account of this sandbox alone, and puts its key where only this user can read it. */
async function prepare(running: Sandbox, folder: string): Promise<Ready> {
  const key = generatePrivateKey()
  const payer = privateKeyToAccount(key)
  await fund(running, payer)
  const keyFile = join(folder, 'payer.key')
  await writeKey(keyFile, key)
  const { url, rpcUrl, chainId, token, payee } = running
  return {
    gateway: `${url}/v1/mpp/chat/completions`,
    rpcUrl,
    chainId,
    token,
    payee,
    payer: payer.address,
    payerBalance: FUNDS.toString(),
    keyFile,
    store: join(folder, 'sessions'),
  }
}

async function fund({ rpcUrl, accounts, token }: Sandbox, payer: LocalAccount): Promise<void> {
  const account = accounts[0]
  if (account === undefined) throw new Error('the sandbox has no account to fund another one from')
  const client = createClient({ chain: tempoModerato, transport: http(rpcUrl), pollingInterval: 50 })
  await Actions.token.transferSync(client, { account, amount: FUNDS, to: payer.address, token })
}

async function writeKey(file: string, key: Hex): Promise<void> {
  await writeFile(file, `${key}\n`, { mode: 0o600, flag: 'wx' })
}

const BODY = '{"model":"sandbox-small","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}'

function howToCall({ gateway, rpcUrl, chainId, payer, payerBalance, keyFile, store }: Ready): string {
  return `
  gateway  ${gateway}
  chain    ${rpcUrl}  (chain id ${chainId})
  payer    ${payer}, holds ${inTokens(payerBalance)} on this chain
  key      ${keyFile}
  ledger   ${store}

  Pay for a request:

    export MPP_FLOW_RPC_URL=${rpcUrl} MPP_FLOW_STORE=${store}
    npx mpp-flow request --key-file ${keyFile} \\
      --json '${BODY}' \\
      ${gateway}

  Get the deposit back:

    npx mpp-flow sessions list
    npx mpp-flow sessions close --key-file ${keyFile} CHANNEL

  Ctrl-C stops the gateway and its chain, and removes key and ledger.
`
}
