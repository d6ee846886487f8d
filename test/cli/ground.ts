// The ground of the command line's tests: gateways on one chain, payers whose keys are files, and a folder for ledgers.
// Must never leave a file, a port or a process behind.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hex } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { Actions } from 'viem/tempo'
import type { SandboxOptions } from '../../src/sandbox/index.js'
import { type Stage, setStage, type WatchedGateway } from '../client/stage.js'

/** A payer as the program gets to know it. */
export interface FilePayer {
  readonly key: Hex
  readonly address: Hex
  readonly keyFile: string
}

export interface Ground {
  readonly stage: Stage
  readonly folder: string
  /** All that were opened here. */
  readonly gateways: readonly WatchedGateway[]
  /** Of all payers that were made here. */
  readonly keys: readonly Hex[]
  gateway(options?: SandboxOptions): Promise<WatchedGateway>
  /** A name for a new ledger. */
  store(): string
  /** A payer with a key file of this mode. @param amount what it holds, in base units. */
  payer(amount?: bigint, mode?: number): Promise<FilePayer>
  stop(): Promise<void>
}

export async function setGround(): Promise<Ground> {
  const stage = await setStage(10)
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-cli-test-'))
  const bank = stage.payer()
  const gateways: WatchedGateway[] = []
  const keys: Hex[] = []
  let count = 0
  const next = (name: string): string => {
    count += 1
    return join(folder, `${name}-${count}`)
  }
  return {
    stage,
    folder,
    gateways,
    keys,
    async gateway(options) {
      const gateway = await stage.gateway(options)
      gateways.push(gateway)
      return gateway
    },
    store: () => next('ledger'),
    async payer(amount = 100_000_000n, mode = 0o600) {
      const key = generatePrivateKey()
      keys.push(key)
      const { address } = privateKeyToAccount(key)
      const keyFile = next('key')
      await writeFile(keyFile, `${key}\n`)
      await chmod(keyFile, mode)
      const { token } = stage.chain
      if (amount > 0n)
        await Actions.token.transferSync(stage.chain.client(), { account: bank, amount, to: address, token })
      return { key, address, keyFile }
    },
    async stop() {
      await stage.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** In every prompt that is sent: must not come back in anything that is said about a request. */
export const PROMPT = 'Where do the cormorants of the harbour sleep?'

/** A chat that costs about 0.1. */
export function chatBody(): string {
  return JSON.stringify({ model: 'sandbox-verbose', max_tokens: 480, messages: [{ role: 'user', content: PROMPT }] })
}

/** Bytes that are no text in any encoding. */
export const BYTES = Uint8Array.from({ length: 512 }, (_, index) => (index * 7) % 256)

/** A server that never takes a payment: free bytes, errors, and a challenge of another payment method. */
export async function startFreeServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url === '/bytes') response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(BYTES)
    else if (request.url === '/lightning') {
      const challenge = 'Payment id="1", realm="here", method="lightning", intent="charge", request="e30"'
      response.writeHead(402, { 'www-authenticate': challenge }).end()
    } else response.writeHead(404, { 'content-type': 'text/plain' }).end('nothing here\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
